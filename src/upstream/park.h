/* park: upstream connections that wait for their client to come back. Shared by all workers, behind one lock, which
 * also guards the proofs (proof.h): they are only reached through the functions here.
 *
 * A parked connection sits in no event loop and holds no buffer. A caller that takes one is its only owner, and first
 * looks at what has arrived on it in the meantime. It only serves a user who proves to be its own. Local acceptance
 * never extends a proof. */
#ifndef UPSTREAM_PARK_H
#define UPSTREAM_PARK_H

#include <openssl/ssl.h>

#include "address.h"
#include "config.h"
#include "list.h"
#include "queue.h"
#include "record.h"
#include "rows.h"
#include "service.h"

struct offers;
struct proof;
struct proof_identity;

/* The part of a connection that outlives a session, whether the connection is in use or parked. */
struct kept {
    struct proof *proof;         /* counted; NULL: not to be parked */
    struct offers *offers;       /* counted: the upstream's after login, if it may be parked; else NULL */
    struct imapstate_buf state;  /* the key (setup.h) of the state that it is, or will be, parked in; empty: pristine */
    struct imapstate_buf alerts; /* for the next session */
    char *session;               /* owned: x-session-id that the server was told on it; else NULL */
    struct queue_stay stay;      /* the places that it holds at its server (queue.h) */
    struct record *record;       /* owned: of the session that had it last (record.h); NULL: none */
    uint64_t born_at_ms;
    uint64_t parked_at_ms; /* when a session last had it; 0: one has it */
    bool is_going;         /* park_expect() */
};

void kept_init(struct kept *kept);
void kept_done(struct kept *kept);
struct kept kept_take(struct kept *kept); /* moves it: kept is then as after kept_init() */

/* Why a parked connection has ended, rather than served again. */
enum park_end {
    PARK_END_TIME,      /* time */
    PARK_END_LIFETIME,  /* lifetime */
    PARK_END_PROOF,     /* reauth_interval */
    PARK_END_PER_USER,  /* the user has newer ones */
    PARK_END_MAX,       /* there are too many */
    PARK_END_CROWDED,   /* the upstream wants fewer connections */
    PARK_END_REFUSED,   /* the upstream has refused the credentials */
    PARK_END_PASSWORD,  /* one_password */
    PARK_END_MOVED,     /* the upstream's name leads elsewhere */
    PARK_END_CONFIG,    /* the configuration has changed */
    PARK_END_STOP,      /* the gateway ends */
    PARK_END_FORGOTTEN, /* the operator has had the user forgotten */
    PARK_END_DOWN,      /* the operator has taken the upstream down */
    PARK_END_LATE,      /* it came too late to be parked, by one of the reasons above */
    PARK_END_DEAD,      /* the server had ended it, or it was of no use any more */
    PARK_END_COUNT,
};
extern const char *const park_end_names[PARK_END_COUNT];

/* What an upstream has in the park. */
struct park_row {
    struct row row; /* its name: the upstream's */
    uint64_t parked;
    uint64_t ends[PARK_END_COUNT];
};

struct park_counters {
    struct rows upstreams;
    struct park_row other_upstreams;
    uint64_t suspended_accounts; /* for whom nobody is let in before the upstream has accepted somebody (proof.h) */
    uint64_t limits;             /* that servers have shown lately (allowance.h) */
};

void park_counters_init(struct park_counters *counters);
void park_counters_done(struct park_counters *counters);

/* Adds what the park has counted. */
void park_count_into(struct park_counters *into);

/* A connection that was taken out has ended. */
void park_count_end(const char *upstream, enum park_end end);

struct parked {
    struct list proof_link, age_link; /* the park's */
    struct service *service;          /* counted; keeps config */
    const struct config_upstream *config;
    const struct config_member *member; /* of config: where it leads */
    struct park_row *row;               /* the park's, while it is parked */
    struct kept kept;
    SSL *ssl;              /* owned; NULL without TLS */
    int fd;                /* owned */
    struct address server; /* where it leads; family AF_UNSPEC until park_put(), or if nobody knows */
    uint64_t used_at_ms;   /* when an octet last passed */
    uint8_t end;           /* the park's: enum park_end, once it has ended */
    bool is_new;           /* a session has just left it: if it may not wait, no parked one has ended */
};

/* Limits, from the configuration; at any time, also for what is already parked. Connections to upstreams that are no
 * longer in config, or whose name now means another server, are given up, and those that sessions still have are not
 * accepted. config is borrowed until the next call, or park_done(). */
void park_configure(const struct config *config);

/* The upstream has accepted these credentials. The proof is the caller's (park_proof_unref()); NULL if the secret is
 * not known, memory is out or parking is off. What was suspect before is good again. */
struct proof *park_prove(const struct proof_identity *identity, uint64_t now_ms);

/* The upstream has refused them: what this user has parked with this secret is closed, what other users have waits
 * until the secret is accepted again. And it is suspected: */
void park_refuse(const struct proof_identity *identity);

/* Somebody logs in with a secret that the upstream has yet to judge. From here on all logins with the authentication
 * identity (from this address), whoever they are for, go upstream until one succeeds there. So a lockout there is never
 * weakened: a possible guess is never told apart from the right secret here, whether nobody waits for the upstream's
 * answer, or it does not come, or many guesses are made at the same time. */
void park_suspect(const struct proof_identity *identity);

/* What the upstream told the user when it last accepted these credentials (alert.h): a client that is let in by the
 * proof would have been told the same. */
void park_set_alerts(struct proof *proof, struct imapstate_span alerts);
void park_alerts(const struct proof *proof, struct imapstate_buf *ret_alerts);

/* For whom it lets in. Lives as long as the proof. */
struct imapstate_span park_proof_user(const struct proof *proof);

struct proof *park_proof_ref(struct proof *proof);
void park_proof_unref(struct proof *proof); /* accepts NULL */

enum park_want {
    PARK_ANY,      /* the one that was parked last */
    PARK_PRISTINE, /* nothing lasting was ever done to it */
    PARK_STATE,    /* in exactly the state given, by its key */
};

/* Takes a connection that these credentials match; it is then the caller's. NULL if there is none, or if they must go
 * upstream; in the latter case they are suspect. *ret_proof, if given, is the proof that matched, counted. */
struct parked *park_match(const struct proof_identity *identity, uint64_t now_ms, struct proof **ret_proof);

/* Takes another one of the same proof. */
struct parked *park_take(struct proof *proof, enum park_want want, struct imapstate_span state, uint64_t now_ms);

/* A copy of a record (record.h) of a session of the same proof, which knows what was answered to this ENABLE, or with
 * NULL to NAMESPACE, when that session was as told says (NULL: it had just begun); it is the caller's. NULL: there is
 * none, or out of memory. */
struct record *park_record(struct proof *proof, const struct record *told, const struct imapstate_span *enable,
                           uint64_t now_ms);

/* No session has it any more: it will be parked soon, or end. Until then whoever has kept holds a place at the server
 * that may become free. */
void park_expect(struct kept *kept);

/* Always takes over parked: if it may not (or no longer) wait, it is ended. Returns why, or PARK_END_COUNT if it waits.
 * Where the user has too many, the oldest of those makes room that another one can stand in for, being in the same
 * state; if there is none, the oldest. So sessions of different kinds do not drive out each other's in turn. Where
 * there are too many in all, the oldest does. Where the server has shown a limit, the user may have fewer
 * (allowance.h). */
enum park_end park_put(struct parked *parked, uint64_t now_ms);

/* What the upstream's limit has cost. */
struct park_yield {
    unsigned ended; /* parked connections */
    bool may_help;  /* or others are ending just now: a login that is tried again may find room */
    unsigned most;  /* that may be parked from here on, if that is news; else UINT_MAX */
};

/* The upstream has no room for one more of the user's. All that the user has parked there ends, and so does what is to
 * be parked soon (ALLOWANCE_PRESS_MS); for ALLOWANCE_MS no more than half as many may wait. is_of_all: there are too
 * many from here, whoever's they are: if the user has none, the one ends that has been parked longest at the upstream,
 * and it is all together that may be a quarter fewer, but one always. */
struct park_yield park_yield(struct imapstate_span upstream, struct imapstate_span user, bool is_of_all,
                             uint64_t now_ms);

/* A login is judged that nobody could try again. Where the server has shown that it has a limit, all that the user has
 * parked ends first. */
void park_give_way(struct imapstate_span upstream, struct imapstate_span user, uint64_t now_ms);

/* Gives up the one that has been parked longest at the upstream, whichever user it belongs to. False: nothing is parked
 * there. */
bool park_give_up_oldest(struct imapstate_span upstream);

/* Those parked at one address give way to whoever waits for a place there (queue.h), the oldest first, as long as
 * nothing but their end is missing. queue may be NULL. */
void park_make_room(const struct queue *queue);

/* Gives up all that is parked there, at this member (NULL: at any); returns how many that were. */
unsigned park_give_up_all(const char *upstream, const char *member);

/* Nothing that the user, or with NULL anybody, has proved is good any more: what hangs on it is given up, and whoever
 * comes back logs in at the upstream. ASCII letters match in either case. Returns how many parked connections that
 * were; ret_voided is how many proofs. */
unsigned park_forget(const struct imapstate_span *user, unsigned *ret_voided);

/* A copy of what is known about a parked connection. */
struct parked_copy {
    struct imapstate_buf user; /* owned; empty if memory was out */
    char *upstream;            /* owned; NULL if memory was out */
    struct address server;     /* where it leads, if has_server */
    bool has_server, has_tls;
    bool is_pristine; /* else it is in a state */
    bool is_good;     /* its proof is neither void nor suspended */
    uint64_t born_at_ms, parked_at_ms;
};

void parked_copy_done(struct parked_copy *row);

/* All zero: at the beginning. */
struct park_place {
    uint64_t at_ms;
    size_t given, seen;
};

/* Copies of up to max that are parked, the longest first, from place on, which moves behind them; fewer: that is all.
 * The lock is only held for one part, so what comes and goes between two of them may be missing, or be there twice. */
size_t park_list(struct park_place *place, struct parked_copy *ret_copies, size_t max);

/* The name has lost addresses: connections parked at an address that it no longer has are given up. From here on none
 * that leads there is accepted. */
void park_follow(const char *name);

/* An upstream that wanted fewer connections is asked again this long after the last one was given up for it, as it
 * counts a connection until it has seen its end. *presses counts the tries, from 0. False: there were enough tries. */
bool park_press(uint8_t *presses, uint64_t *ret_after_ms);

/* Ends connections that have waited or lived too long, or whose proof has aged. Those that need a sign of life are
 * moved, by their age_link, into ret_tired, which the caller has initialized and empties. */
void park_sweep(uint64_t now_ms, struct list *ret_tired);

/* Is it what is wanted? */
bool parked_is(const struct parked *parked, enum park_want want, struct imapstate_span state);

struct parked *parked_new(void);
void parked_free(struct parked *parked); /* says LOGOUT, closes; accepts NULL */

unsigned park_count(void);
unsigned park_count_at(struct imapstate_span upstream);

/* Another process parks from now on: what is parked here ends, and nothing is parked any more, whatever the
 * configuration says. */
void park_close(void);

/* Ends everything. */
void park_done(void);

#endif
