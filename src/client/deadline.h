/* deadline: which of a client's times runs out next. */
#ifndef CLIENT_DEADLINE_H
#define CLIENT_DEADLINE_H

#include <stdint.h>

struct client;

enum deadline {
    DEADLINE_CLOSING,  /* by then the last octets must have left, and the client must have hung up */
    DEADLINE_EOF,      /* by then everything that was sent before the client's end of file must have been answered */
    DEADLINE_GREETING, /* no longer wait for the upstream's list: there is an older one */
    DEADLINE_LOGIN,    /* too long without a login */
    DEADLINE_DELAY,    /* a failed login has been delayed long enough */
    DEADLINE_CHOICE,   /* a session that has sent no command that needs an upstream is given one */
    DEADLINE_IDLE,     /* too long without an octet from either side */
};

/* Which comes first, and when, on the monotonic clock. */
enum deadline deadline_next(const struct client *client, uint64_t *ret_at_ms);

#endif
