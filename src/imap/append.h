/* append: what the lines of APPEND and REPLACE may contain.
 *
 * A message may be long, so servers read these commands argument by argument. After a mistake Dovecot reads the rest of
 * the line as the next command: "a APPEND INBOX {y NOOP", "a APPEND INBOX CATENATE (FOO )y NOOP". So a line only goes
 * up if each of its octets is where RFC 9051 section 9, RFC 4469 (CATENATE) and RFC 6855 (UTF8) allow it. The server
 * judges what the arguments mean. */
#ifndef IMAP_APPEND_H
#define IMAP_APPEND_H

#include <imapstate/command.h>
#include <imapstate/frame.h>

/* The first line of any command. True for commands that carry no message. Otherwise: can it go up? If so,
 * *ret_is_in_list says whether a CATENATE list continues after the literal at its end. */
bool append_begins_well(const struct imapstate_command_line *line, const struct imapstate_piece *piece,
                        bool *ret_is_in_list);

/* The same for a line after a literal. *is_in_list is as the line before it left it. */
bool append_goes_on_well(const struct imapstate_piece *piece, bool *is_in_list);

#endif
