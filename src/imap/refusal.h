/* refusal: what a server's NO or BAD to a login says about its reason, by its code or its words. No I/O. */
#ifndef IMAP_REFUSAL_H
#define IMAP_REFUSAL_H

#include <imapstate/span.h>
#include <stdbool.h>

struct refusal {
    bool is_passing;    /* the credentials may still be good */
    bool is_crowded;    /* there are too many connections, of somebody or in total ... */
    bool minds_address; /* ... and among them those of the gateway's address */
    bool may_be_way;    /* the same credentials may be accepted in another form (way.h) */
};

/* line: the whole tagged line, including the line end. Anything but a status response says nothing. */
struct refusal refusal_read(struct imapstate_span line);

#endif
