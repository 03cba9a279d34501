/* names: what an ENABLE asks for, in one order: sorted, each once. RFC 5161 knows no order, and names are the same in
 * any case. */
#ifndef IMAP_NAMES_H
#define IMAP_NAMES_H

#include <imapstate/span.h>

/* Octets of names that are put in order, and how many names these can be. */
#define NAMES_MAX       1024u
#define NAMES_COUNT_MAX (NAMES_MAX / 2 + 1)

/* The names in order; they borrow from names. Gives how many there are; 0: none, or too many octets. */
size_t names_in_order(struct imapstate_span names, struct imapstate_span ret_each[NAMES_COUNT_MAX]);

/* Appends the names in order to out, upper case, an SP between. False: there are none, or too many octets, or they do
 * not fit; what out has then is of no use. */
bool names_put_in_order(struct imapstate_buf *out, struct imapstate_span names);

#endif
