/* proof: who has shown an upstream who he is, and by which secret.
 *
 * A proof says that the upstream itself took these credentials, for this identity, between these addresses if they are
 * passed on, not longer than reauth_interval ago, and that nobody has tried another secret since (proofs_suspect()).
 * The secret itself is not kept, only a hash under a key that ends with the process.
 *
 * What serves by a proof hangs on it, the oldest first, by links that are its owner's. No lock and no clock are in
 * here: whoever holds the proofs (park.c) guards them, with all that hangs on them, by one lock, and brings the time.
 * It may bring an older one than whoever came before. */
#ifndef UPSTREAM_PROOF_H
#define UPSTREAM_PROOF_H

#include <imapstate/span.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>

/* Without this uthash ends the process when memory is out. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "address.h"
#include "list.h"

#define PROOF_HASH_OCTETS 32u

/* Who logs in, by which secret. Borrowed for the call. */
struct proof_identity {
    struct imapstate_span upstream;       /* its name */
    struct imapstate_span user;           /* the authorization identity */
    struct imapstate_span authentication; /* the authentication identity */
    struct imapstate_span secret;         /* empty: not known, as nobody can prove by an empty one who he is */
    bool is_bearer;                       /* a bearer token rather than a password */
    bool is_compat;                       /* a listener with imapproxy_compat: never mixed with others */
    /* If addresses are passed on, the client's and where it has connected to; else both NULL. */
    const struct address *address, *local;
};

/* All that a user has at an upstream. It lives as long as it has proofs. */
struct account {
    struct list proofs;    /* for sessions as this user */
    struct list proven;    /* by this user's secrets, for whomever: what a guess suspends */
    unsigned parked_count; /* the owner's, of what hangs on proofs */
    bool has_bad;          /* one of proven is void or suspended */
    UT_hash_handle hh;
    uint8_t key[PROOF_HASH_OCTETS]; /* of the upstream's name and the user's */
};

struct proof {
    struct list user_link, prover_link; /* in user->proofs, in prover->proven */
    struct account *user, *prover;      /* borrowed. Mostly the same */
    struct list parked;                 /* what serves by it */
    unsigned references;
    uint64_t proved_at_ms;
    bool is_void;      /* the upstream refuses the secret now, or another has taken its place */
    bool is_suspended; /* proofs_suspect() */
    bool has_ends, is_compat;
    uint8_t hash[PROOF_HASH_OCTETS];
    struct imapstate_buf alerts; /* what the upstream has told the user when it last took these credentials */
    struct address ends[];       /* if addresses are passed on: the client's, port 0, and where it has connected to */
};

/* All of them. Zero has none. */
struct proofs {
    struct account *accounts;
    uint64_t reauth_interval_ms; /* the owner's to set, at any time */
    bool has_key;
    uint8_t key[crypto_generichash_KEYBYTES];
};

/* The upstream has taken these credentials. What was suspected of the authentication identity in this place is good
 * again, and so is what this secret has proven. The proof is the caller's (proof_unref()); NULL if the secret is not
 * known or memory is out. */
struct proof *proofs_prove(struct proofs *proofs, const struct proof_identity *identity, uint64_t now_ms);

/* The same, where no proof is wanted. */
void proofs_restore(struct proofs *proofs, const struct proof_identity *identity);

/* No other secret of the authentication identity's is good any more. What serves by one is moved to ret_given_up. */
void proofs_void_others(struct proofs *proofs, const struct proof_identity *identity, struct list *ret_given_up);

/* The upstream has refused them. This secret's proofs are void until it is taken again. A refusal for one user may be
 * about that user: what serves him by it is moved to ret_given_up, what serves others stays. And they are suspected: */
void proofs_refuse(struct proofs *proofs, const struct proof_identity *identity, struct list *ret_given_up);

/* Somebody logs in by a secret that the upstream is yet to judge: nothing of the authentication identity's (from this
 * address) is good until one is taken there. */
void proofs_suspect(struct proofs *proofs, const struct proof_identity *identity);

/* The proof of just these credentials, if it is good: borrowed. NULL: they must go upstream; if the secret is not known
 * to be good for anybody, they are suspect. */
struct proof *proofs_match(struct proofs *proofs, const struct proof_identity *identity, uint64_t now_ms);

/* NULL: he has nothing there. */
struct account *proofs_account(const struct proofs *proofs, struct imapstate_span upstream, struct imapstate_span user);

/* Is it younger than reauth_interval? And neither void nor suspended? */
bool proof_is_fresh(const struct proofs *proofs, const struct proof *proof, uint64_t now_ms);
bool proof_is_good(const struct proofs *proofs, const struct proof *proof, uint64_t now_ms);

/* Moves all that hangs on it. */
void proof_give_up(struct proof *proof, struct list *ret_given_up);

struct proof *proof_ref(struct proof *proof);
void proof_unref(struct proofs *proofs, struct proof *proof); /* nothing hangs on it any more when the last one goes */

/* Forgets the key: no secret matches what was proved before. */
void proofs_forget_key(struct proofs *proofs);

#endif
