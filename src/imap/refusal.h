/* refusal: what a server's NO or BAD to a login tells of its reason, by its code or its words. No I/O. */
#ifndef IMAP_REFUSAL_H
#define IMAP_REFUSAL_H

#include <imapstate/span.h>
#include <stdbool.h>

struct refusal {
    bool is_passing;    /* the credentials may be good all the same */
    bool is_crowded;    /* there are too many connections, somebody's or all in all ... */
    bool minds_address; /* ... and among them those of the gateway's address */
    bool may_be_way;    /* the same credentials may be taken in another form (way.h) */
};

/* line: the whole tagged line, line end included. What is no status response tells nothing. */
struct refusal refusal_read(struct imapstate_span line);

#endif
