/* park: upstream connections that wait for their client to come back. Shared by all workers, behind one lock, which
 * guards the proofs (proof.h) as well: they are reached by what is in here only.
 *
 * A parked connection sits in no event loop and holds no buffer. Whoever takes one owns it alone, and first looks what
 * has arrived on it meanwhile. It serves only whoever proves to be who it belongs to. Local acceptance never extends a
 * proof. */
#ifndef UPSTREAM_PARK_H
#define UPSTREAM_PARK_H

#include <openssl/ssl.h>

#include "config.h"
#include "list.h"
#include "service.h"

struct proof;
struct proof_identity;

/* What of a connection outlives the session that has it, whether it is in use or parked. */
struct kept {
    struct proof *proof;         /* counted; NULL: not to be parked */
    struct imapstate_buf names;  /* the upstream's capability list after login, if it may be parked */
    struct imapstate_buf state;  /* encoded: the very state that it is, or will be, parked in; empty: pristine */
    struct imapstate_buf alerts; /* for the next session */
    uint64_t born_at_ms;
    uint64_t parked_at_ms; /* since a session has had it; 0: one has it */
};

void kept_init(struct kept *kept);
void kept_done(struct kept *kept);
struct kept kept_take(struct kept *kept); /* moves it: kept is as after kept_init() */

struct parked {
    struct list proof_link, age_link; /* the park's */
    struct service *service;          /* counted; keeps config */
    const struct config_upstream *config;
    struct kept kept;
    SSL *ssl;            /* owned; NULL without TLS */
    int fd;              /* owned */
    uint64_t used_at_ms; /* when an octet last passed */
};

/* Limits, from the configuration; at any time, and for what is parked already. Connections to upstreams that are not in
 * config any more, or there are others by their name, are given up, and those that sessions still have are not taken.
 * config is borrowed until the next call, or park_done(). */
void park_configure(const struct config *config);

/* The upstream has taken these credentials. The proof is the caller's (park_proof_unref()); NULL if the secret is not
 * known, memory is out or parking is off. What was suspected before is good again. */
struct proof *park_prove(const struct proof_identity *identity, uint64_t now_ms);

/* The upstream has refused them: what this user has parked by this secret goes, what other users have waits until the
 * secret is taken again. And it is suspected: */
void park_refuse(const struct proof_identity *identity);

/* Somebody logs in by a secret that the upstream is yet to judge. From here on all logins by the authentication
 * identity (from this address), whoever they are for, go upstream until one succeeds there. So a lockout there is never
 * weakened: what may be a guess is never told from the right secret here, be it that the upstream's answer is not
 * waited for, be it that it does not come, be it that many are made at a time. */
void park_suspect(const struct proof_identity *identity);

/* What the upstream has told the user when it last took these credentials (alert.h): whoever is let in by the proof
 * would have been told so, too. */
void park_set_alerts(struct proof *proof, struct imapstate_span alerts);
void park_alerts(const struct proof *proof, struct imapstate_buf *ret_alerts);

struct proof *park_proof_ref(struct proof *proof);
void park_proof_unref(struct proof *proof); /* accepts NULL */

enum park_want {
    PARK_ANY,      /* the one that was parked last */
    PARK_PRISTINE, /* nothing lasting was ever done to it */
    PARK_STATE,    /* in exactly the state given, encoded */
};

/* Takes a connection that these credentials match; the caller's from then on. NULL if there is none, or if they must go
 * upstream; unless it is only that there is none, they are suspect then. *ret_proof, if given, is the proof, counted,
 * that matched. */
struct parked *park_match(const struct proof_identity *identity, uint64_t now_ms, struct proof **ret_proof);

/* Takes another one of the same proof. */
struct parked *park_take(struct proof *proof, enum park_want want, struct imapstate_span state, uint64_t now_ms);

/* Takes parked over, always: if it may not wait (any more), it is ended. The oldest of the user's, and the oldest of
 * all, make room. */
void park_put(struct parked *parked, uint64_t now_ms);

/* Gives up all that the user has parked at the upstream; how many that were. */
unsigned park_give_up(struct imapstate_span upstream, struct imapstate_span user);

/* Gives up the one that has been parked at the upstream for longest, whoever's it is. False: nothing is parked there.
 */
bool park_give_up_oldest(struct imapstate_span upstream);

/* The name has lost addresses: what is parked at one that it does not have any more is given up. From here on none that
 * leads there is taken. */
void park_follow(const char *name);

/* An upstream that wanted fewer connections is asked again so long after the last one was given up for it, as it counts
 * a connection until it has seen its end. *presses counts the tries, from 0. False: that was enough of them. */
bool park_press(uint8_t *presses, uint64_t *ret_after_ms);

/* Ends what has waited or lived too long, or whose proof has aged. Those that need a sign of life are taken out, by
 * their age_link into ret_tired, which the caller has initialized and empties. */
void park_sweep(uint64_t now_ms, struct list *ret_tired);

/* Is it such a one? */
bool parked_is(const struct parked *parked, enum park_want want, struct imapstate_span state);

struct parked *parked_new(void);
void parked_free(struct parked *parked); /* says LOGOUT, closes; accepts NULL */

unsigned park_count(void);

/* Ends everything. */
void park_done(void);

#endif
