/* append: what may stand in the lines of APPEND and REPLACE.
 *
 * A message may be long, so servers read these commands argument by argument. Behind a mistake Dovecot reads what is
 * left of the line as the next command: "a APPEND INBOX {y NOOP", "a APPEND INBOX CATENATE (FOO )y NOOP". So a line
 * goes up only if each of its octets is where RFC 9051 section 9, RFC 4469 (CATENATE) and RFC 6855 (UTF8) can have it;
 * what the arguments mean is the server's to judge. */
#ifndef IMAP_APPEND_H
#define IMAP_APPEND_H

#include <imapstate/command.h>
#include <imapstate/frame.h>

/* The first line of any command. True for commands that carry no message. Otherwise: can it go up? Then
 * *ret_is_in_list tells whether a CATENATE list goes on behind the literal that it ends in. */
bool append_begins_well(const struct imapstate_command_line *line, const struct imapstate_piece *piece,
                        bool *ret_is_in_list);

/* The same for a line behind a literal. *is_in_list is as the line before left it. */
bool append_goes_on_well(const struct imapstate_piece *piece, bool *is_in_list);

#endif
