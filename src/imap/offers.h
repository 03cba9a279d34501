/* offers: what a side offers: a capability list, as it was said once. Read once, never changed, and counted, so that
 * all sessions with the same upstream have one. Safe from all threads. NULL is no list. */
#ifndef IMAP_OFFERS_H
#define IMAP_OFFERS_H

#include <imapstate/span.h>

#include "capability.h"

struct offers {
    struct capabilities known; /* what of it the gateway acts on */
    uint64_t sum; /* of its words (wordset.h), with their number: in another order or case it is the same */
    size_t word_count;
    unsigned references; /* atomic */
    size_t len;
    uint8_t names[]; /* as they were said */
};

/* names are copied. NULL: there are none, or more than CAPABILITY_LIST_MAX octets, or memory is out. */
struct offers *offers_new(struct imapstate_span names);
struct offers *offers_ref(struct offers *offers); /* accepts NULL; gives offers */
void offers_unref(struct offers *offers);         /* accepts NULL */

/* Of NULL: nothing, and nothing. */
struct imapstate_span offers_names(const struct offers *offers);
const struct capabilities *offers_known(const struct offers *offers);

/* What both lists have, as the first says it; NULL is everything. Counted; NULL if both are, if they have nothing in
 * common, or if memory is out. */
struct offers *offers_common(struct offers *one, struct offers *other);

/* Do the names say the same as the list, in whatever order and case? */
bool offers_are(const struct offers *offers, struct imapstate_span names);

#endif
