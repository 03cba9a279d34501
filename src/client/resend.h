/* resend: what a session has written to a connection that was parked and has not shown yet that it is alive, so that it
 * can be sent to another one. No I/O. */
#ifndef CLIENT_RESEND_H
#define CLIENT_RESEND_H

#include <imapstate/span.h>
#include <stdbool.h>
#include <stdint.h>

/* How many octets are kept; with more, nothing can be sent again. */
#define RESEND_MAX 65536u

enum resend_may {
    RESEND_FREELY, /* all of it may run twice, and all of it is kept */
    RESEND_UNSEEN, /* some of it may not: only if no octet of it has been written */
    RESEND_NEVER,  /* not all of it is kept */
};

struct resend {
    struct imapstate_buf sent;
    uint8_t may;       /* enum resend_may; only ever grows, until resend_begin() */
    bool is_due;       /* another connection is being made, and sent goes up on it when it can */
    bool may_have_run; /* octets of it were written to a connection that is gone */
};

void resend_init(struct resend *resend);
void resend_done(struct resend *resend); /* wipes; it can begin again */

/* Writing to a woken connection begins: from scratch, unless what was sent before is due on it. */
void resend_begin(struct resend *resend);

/* Octets go up, as part of a command that may run twice, or may not. */
void resend_add(struct resend *resend, struct imapstate_span octets, bool is_repeatable);

/* Octets go up that could not be sent to another connection. */
void resend_spoil(struct resend *resend);

/* May it all go up on another connection? was_written: octets have been written to this one. */
bool resend_is_allowed(const struct resend *resend, bool was_written);

/* The connection has shown that it is alive: what went up on it need not be kept, unless it is due on the next. */
void resend_forget(struct resend *resend);

#endif
