/* upstream_counters: what became of one loop's connections to servers, by the server's address. The loop's own thread
 * writes them; another one gets a copy that was made there. */
#ifndef UPSTREAM_UPSTREAMCOUNTERS_H
#define UPSTREAM_UPSTREAMCOUNTERS_H

#include <stdint.h>

#include "histogram.h"
#include "rows.h"

/* How far connections are that exist now. */
enum upstream_stage {
    UPSTREAM_WAITS,   /* for a place (queue.h): nothing is connected yet */
    UPSTREAM_OPENING, /* connected to, until somebody can log in */
    UPSTREAM_IN_LOGIN,
    UPSTREAM_IN_SESSION,
    UPSTREAM_SETTLES, /* it is made ready to be parked, or shows a sign of life */
    UPSTREAM_LEAVES,  /* LOGOUT has been sent */
    UPSTREAM_STAGE_COUNT,
};
extern const char *const upstream_stage_names[UPSTREAM_STAGE_COUNT];

/* Why a connection came to nothing, or was lost. */
enum upstream_failure {
    UPSTREAM_FAILED_NAME,        /* its name has no address, as far as is known */
    UPSTREAM_FAILED_CONNECT,     /* refused, or unreachable */
    UPSTREAM_FAILED_TIMEOUT,     /* not connected, or silent, in connect_timeout */
    UPSTREAM_FAILED_CLOSED,      /* it has hung up before anybody could log in */
    UPSTREAM_FAILED_BYE,         /* the same, with words */
    UPSTREAM_FAILED_TLS,         /* the handshake */
    UPSTREAM_FAILED_CERTIFICATE, /* that is not to be trusted */
    UPSTREAM_FAILED_STARTTLS,    /* not offered, refused, or tampered with */
    UPSTREAM_FAILED_PROTOCOL,    /* it speaks, but nothing that can be used */
    UPSTREAM_FAILED_RESOURCES,   /* out of memory or descriptors here */
    UPSTREAM_FAILED_ANSWER,      /* no answer in answer_timeout */
    UPSTREAM_FAILED_LOST,        /* under a login or a session, without BYE */
    UPSTREAM_FAILURE_COUNT,
};
extern const char *const upstream_failure_names[UPSTREAM_FAILURE_COUNT];

/* Why a session's connection was not parked. */
enum upstream_unparked {
    UPSTREAM_UNPARKED_OFF,    /* parking is off */
    UPSTREAM_UNPARKED_PROOF,  /* nobody could prove that it is his: SCRAM, CRAM-MD5, OAUTHBEARER without a= */
    UPSTREAM_UNPARKED_ENDED,  /* the server has said BYE, or has closed it */
    UPSTREAM_UNPARKED_STOP,   /* the gateway is ending */
    UPSTREAM_UNPARKED_DOUBT,  /* something has passed of which nobody knows what it has done */
    UPSTREAM_UNPARKED_STATE,  /* something is on in it that can neither be undone nor kept */
    UPSTREAM_UNPARKED_BUSY,   /* something is under way */
    UPSTREAM_UNPARKED_NOBODY, /* UNAUTHENTICATE (P16) */
    UPSTREAM_UNPARKED_FAILED, /* the server did not take what was to make it ready, or did not answer */
    /* Ready, it may not wait (park_put()). */
    UPSTREAM_UNPARKED_LIFETIME,
    UPSTREAM_UNPARKED_REAUTH,   /* the proof is older than reauth_interval */
    UPSTREAM_UNPARKED_REFUSED,  /* the credentials are good no more */
    UPSTREAM_UNPARKED_PER_USER, /* of all that the user has it is the first to go */
    UPSTREAM_UNPARKED_MAX,      /* of all that there are */
    UPSTREAM_UNPARKED_CROWDED,  /* the server has no room for it */
    UPSTREAM_UNPARKED_MOVED,    /* the upstream's name leads elsewhere */
    UPSTREAM_UNPARKED_CONFIG,   /* the configuration has changed */
    UPSTREAM_UNPARKED_DOWN,     /* the operator has taken the upstream down */
    UPSTREAM_UNPARKED_COUNT,
};
extern const char *const upstream_unparked_names[UPSTREAM_UNPARKED_COUNT];

/* An address of an upstream. */
struct upstream_place {
    struct row row; /* its name: the upstream's, a NUL, and the address; for a name without one, the name */
    uint64_t now[UPSTREAM_STAGE_COUNT];
    uint64_t sessions;       /* that have got a connection by a login */
    uint64_t woken_sessions; /* that have got a parked one */
    uint64_t failures[UPSTREAM_FAILURE_COUNT];
    struct histogram queued;  /* how long those waited that had to wait for a place, and got it */
    uint64_t queue_timeouts;  /* who waited in vain */
    uint64_t queue_left;      /* who did not wait for it: the client is gone, or the daemon ends */
    struct histogram connect; /* from the first packet until somebody could log in */
    uint64_t good_at_ms;      /* when somebody last could, on the loop's clock; 0: never */
    uint64_t bad_at_ms;       /* when a connection last came to nothing */
};

struct upstream_counters {
    struct rows places;
    struct upstream_place other_places;
    uint64_t parked; /* sessions' connections; not those that come back from a sign of life */
    uint64_t unparked[UPSTREAM_UNPARKED_COUNT];
};

void upstream_counters_init(struct upstream_counters *counters);
void upstream_counters_done(struct upstream_counters *counters);
void upstream_counters_add(struct upstream_counters *into, const struct upstream_counters *from);

/* Never NULL; lives as long as the counters. */
struct upstream_place *upstream_counters_place(struct upstream_counters *counters, const char *upstream,
                                               const char *address);

/* The two parts of its name. */
const char *upstream_place_upstream(const struct upstream_place *place);
const char *upstream_place_address(const struct upstream_place *place);

#endif
