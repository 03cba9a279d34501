/* response: the response code of a status response, "[NAME arguments]" before its text (RFC 9051 section 7.1).
 *
 * Where a code ends: by the grammar (RFC 9051 section 9, resp-text-code) an unknown code ends at the first "]". But
 * known codes contain quoted strings (BADCHARSET; INPROGRESS, RFC 9585), and servers put URLs with brackets there
 * (REFERRAL, BADURL). So a "]" that is in a quoted string, or closes a "[" of the same word, is skipped. If none is
 * left then, a quote or a bracket was an ordinary octet, and the first "]" ends the code after all. In a bare tag or a
 * flag, where no "]" may be, it ends the code. Spans borrow from what they are read from. */
#ifndef LIB_RESPONSE_H
#define LIB_RESPONSE_H

#include <imapstate/span.h>

/* Takes the code off the front of *text, which follows OK, NO, BAD, BYE or PREAUTH, together with the SP after it.
 * ret_code is what is between the brackets. False: there is none, or it has no end; *text is then as before. */
bool imapstate_response_take_code(struct imapstate_span *text, struct imapstate_span *ret_code);

/* Is name (any case; or a name and its first arguments: "ANNOTATE TOOBIG") what the code begins with, up to an SP or
 * its end? What follows goes to ret_arguments, which may be NULL. */
bool imapstate_response_is_code(struct imapstate_span code, const char *name, struct imapstate_span *ret_arguments);

/* Both: is name the code at the front of text? */
bool imapstate_response_has_code(struct imapstate_span text, const char *name, struct imapstate_span *ret_arguments);

/* Does the code at the front of text name tag, bare or in quotes? [INPROGRESS ("A1" 3 10)], RFC 9585. */
bool imapstate_response_code_names(struct imapstate_span text, struct imapstate_span tag);

#endif
