/* proof: who has proved an identity to an upstream, and with which secret.
 *
 * A proof says that the upstream itself accepted these credentials, for this identity (and between these addresses if
 * they are passed on), at most reauth_interval ago, and that nobody has tried another secret since (proofs_suspect()).
 * The secret itself is not kept, only a hash under a key that ends with the process.
 *
 * What serves by a proof hangs on it, the oldest first, by links that belong to its owner. There is no lock and no
 * clock in here: the holder of the proofs (park.c) guards them, with everything that hangs on them, by one lock, and
 * passes the time. It may pass an older time than in an earlier call. */
#ifndef UPSTREAM_PROOF_H
#define UPSTREAM_PROOF_H

#include <imapstate/span.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>

/* Without this uthash ends the process when out of memory. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "address.h"
#include "list.h"

#define PROOF_HASH_OCTETS 32u

/* Who logs in, with which secret. Borrowed for the call. */
struct proof_identity {
    struct imapstate_span upstream;       /* its name */
    struct imapstate_span user;           /* the authorization identity */
    struct imapstate_span authentication; /* the authentication identity */
    struct imapstate_span secret;         /* empty: not known, as nobody can prove an identity with an empty secret */
    bool is_bearer;                       /* a bearer token rather than a password */
    bool is_compat;                       /* a listener with imapproxy_compat: never mixed with others */
    /* If addresses are passed on, the client's and the one it has connected to; else both NULL. */
    const struct address *address, *local;
    struct imapstate_span site; /* the server's address, where a route names one; else empty */
};

/* Everything that a user has at an upstream. It lives as long as it has proofs. */
struct account {
    struct list proofs;    /* for sessions as this user */
    struct list proven;    /* by this user's secrets, for any user: what a guess suspends */
    unsigned parked_count; /* the owner's count of what hangs on proofs */
    unsigned going_count;  /* the owner's count of what may soon hang on them, or end */
    uint64_t ended_at_ms;  /* the owner's: when one that hung on them was last ended; 0: never */
    bool has_bad;          /* one of proven is void or suspended */
    bool has_suspended;    /* one of proven is suspended */
    UT_hash_handle hh;
    uint8_t key[PROOF_HASH_OCTETS]; /* of the upstream's name and the user's */
    size_t name_len;
    uint8_t name[]; /* the user's */
};

struct proof {
    struct list user_link, prover_link; /* in user->proofs, in prover->proven */
    struct account *user, *prover;      /* borrowed. Usually the same */
    struct list parked;                 /* what serves by it */
    unsigned references;
    uint64_t proved_at_ms;
    bool is_void;      /* the upstream now refuses the secret, or another has taken its place */
    bool is_suspended; /* proofs_suspect() */
    bool has_ends, is_compat;
    uint8_t hash[PROOF_HASH_OCTETS];
    struct imapstate_buf alerts; /* what the upstream told the user when it last accepted these credentials */
    struct address ends[];       /* if addresses are passed on: the client's, port 0, and the one it has connected to */
};

/* All of them. All zero: there are none. */
struct proofs {
    struct account *accounts;
    unsigned suspended_count;    /* accounts that have something suspended */
    uint64_t reauth_interval_ms; /* the owner's to set, at any time */
    bool has_key;
    uint8_t key[crypto_generichash_KEYBYTES];
};

/* The upstream has accepted these credentials. What was suspect about the authentication identity at this address is
 * good again, and so is what this secret has proved. The proof is the caller's (proof_unref()); NULL if the secret is
 * not known or memory is out. */
struct proof *proofs_prove(struct proofs *proofs, const struct proof_identity *identity, uint64_t now_ms);

/* The same, where no proof is wanted. */
void proofs_restore(struct proofs *proofs, const struct proof_identity *identity);

/* No other secret of the authentication identity is good any more. What serves by one is moved to ret_given_up. */
void proofs_void_others(struct proofs *proofs, const struct proof_identity *identity, struct list *ret_given_up);

/* The upstream has refused them. This secret's proofs are void until it is accepted again. A refusal for one user may
 * be about that user: what serves that user by it is moved to ret_given_up, what serves others stays. And they are
 * suspected: */
void proofs_refuse(struct proofs *proofs, const struct proof_identity *identity, struct list *ret_given_up);

/* Somebody logs in with a secret that the upstream has yet to judge: nothing of the authentication identity (from this
 * address) is good until one is accepted there. */
void proofs_suspect(struct proofs *proofs, const struct proof_identity *identity);

/* All proofs for the user, and all by the user's secrets, are void; with NULL all there are. ASCII letters match in
 * either case. What serves by one is moved to ret_given_up. Returns how many proofs were good until now. */
unsigned proofs_forget(struct proofs *proofs, const struct imapstate_span *user, struct list *ret_given_up);

/* The proof of exactly these credentials, if it is good; borrowed. NULL: they must go upstream; if the secret is not
 * known to be good for anybody, they are suspect. */
struct proof *proofs_match(struct proofs *proofs, const struct proof_identity *identity, uint64_t now_ms);

/* Names the account of the user at the upstream, or with an empty user, whom nobody is, the upstream. Takes no
 * memory. */
void proofs_key(struct imapstate_span upstream, struct imapstate_span user, uint8_t ret_key[PROOF_HASH_OCTETS]);

/* NULL: the user has nothing there. */
struct account *proofs_account(const struct proofs *proofs, struct imapstate_span upstream, struct imapstate_span user);

/* Is it younger than reauth_interval? And is it neither void nor suspended? */
bool proof_is_fresh(const struct proofs *proofs, const struct proof *proof, uint64_t now_ms);
bool proof_is_good(const struct proofs *proofs, const struct proof *proof, uint64_t now_ms);

/* Moves everything that hangs on it. */
void proof_give_up(struct proof *proof, struct list *ret_given_up);

struct proof *proof_ref(struct proof *proof);
void proof_unref(struct proofs *proofs, struct proof *proof); /* nothing may hang on it when the last reference goes */

/* Forgets the key: no secret matches what was proved before. */
void proofs_forget_key(struct proofs *proofs);

#endif
