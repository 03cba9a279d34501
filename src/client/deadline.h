/* deadline: what a client's time runs out for next. */
#ifndef CLIENT_DEADLINE_H
#define CLIENT_DEADLINE_H

#include <stdint.h>

struct client;

enum deadline {
    DEADLINE_CLOSING,  /* the last octets are to have left, and the client to have hung up */
    DEADLINE_EOF,      /* what was sent before the client's end of file is to have been answered */
    DEADLINE_GREETING, /* the upstream's list is not waited for any longer: there is an older one */
    DEADLINE_LOGIN,    /* too long without a login */
    DEADLINE_DELAY,    /* a failed login has been kept waiting for long enough */
    DEADLINE_CHOICE,   /* a session without a command that needs an upstream is given one */
    DEADLINE_IDLE,     /* too long without a word from either side */
};

/* Which comes first, and when, on the monotonic clock. */
enum deadline deadline_next(const struct client *client, uint64_t *ret_at_ms);

#endif
