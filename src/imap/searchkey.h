/* searchkey: where in a search a literal is what a key looks for, and no key itself (RFC 9051 section 6.4.4). No I/O.
 */
#ifndef IMAP_SEARCHKEY_H
#define IMAP_SEARCHKEY_H

#include <imapstate/span.h>

#include <stdbool.h>

/* Is what this line announces at its end ("{n}", "{n+}") the string of a key? The line begins with a key, or behind a
 * literal for which this was true. False wherever servers could disagree: at a key that is not known here, at the name
 * of a header. */
bool searchkey_awaits_string(struct imapstate_span line);

/* Takes off the front of *line what SORT and THREAD have before their keys: RETURN and its list, the criteria or the
 * algorithm, the charset (RFC 5256 section 3, RFC 5267 section 3). False if it is not there. */
bool searchkey_take_charset(struct imapstate_span *line);

#endif
