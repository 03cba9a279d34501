#include "proof.h"

#include <stdlib.h>
#include <string.h>

#include "alert.h"

/* --- accounts --- */

/* A refusal is heeded even when no memory is left. */
void proofs_key(struct imapstate_span upstream, struct imapstate_span user, uint8_t ret_key[PROOF_HASH_OCTETS])
{
    const uint8_t between = 0; /* is in no upstream's name */
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, PROOF_HASH_OCTETS);
    crypto_generichash_update(&state, upstream.at, upstream.len);
    crypto_generichash_update(&state, &between, 1);
    crypto_generichash_update(&state, user.at, user.len);
    crypto_generichash_final(&state, ret_key, PROOF_HASH_OCTETS);
}

struct account *proofs_account(const struct proofs *proofs, struct imapstate_span upstream, struct imapstate_span user)
{
    uint8_t key[PROOF_HASH_OCTETS];
    struct account *account;
    proofs_key(upstream, user, key);
    HASH_FIND(hh, proofs->accounts, key, sizeof key, account);
    return account;
}

static struct account *account_new(struct proofs *proofs, struct imapstate_span upstream, struct imapstate_span user)
{
    struct account *account = calloc(1, sizeof *account + user.len);
    if (!account)
        return NULL;
    account->name_len = user.len;
    if (user.len > 0)
        memcpy(account->name, user.at, user.len);
    list_init(&account->proofs);
    list_init(&account->proven);
    proofs_key(upstream, user, account->key);
    HASH_ADD(hh, proofs->accounts, key, sizeof account->key, account);
    if (account->hh.tbl)
        return account;
    free(account);
    return NULL;
}

static struct account *account_have(struct proofs *proofs, struct imapstate_span upstream, struct imapstate_span user)
{
    struct account *account = proofs_account(proofs, upstream, user);
    return account ? account : account_new(proofs, upstream, user);
}

static void account_set_suspended(struct proofs *proofs, struct account *account, bool has_suspended)
{
    proofs->suspended_count += (unsigned)has_suspended - (unsigned)account->has_suspended;
    account->has_suspended = has_suspended;
}

static void account_free_if_empty(struct proofs *proofs, struct account *account)
{
    if (!list_is_empty(&account->proofs) || !list_is_empty(&account->proven))
        return;
    account_set_suspended(proofs, account, false);
    HASH_DEL(proofs->accounts, account);
    free(account);
}

static void accounts_free_if_empty(struct proofs *proofs, struct account *user, struct account *prover)
{
    if (prover && prover != user)
        account_free_if_empty(proofs, prover);
    if (user)
        account_free_if_empty(proofs, user);
}

/* Who logs in; NULL: nothing is proven by him. */
static struct account *proofs_prover(const struct proofs *proofs, const struct proof_identity *identity)
{
    return proofs_account(proofs, identity->upstream, identity->authentication);
}

/* --- what a proof is of --- */

static void proofs_hash(struct proofs *proofs, const struct proof_identity *identity,
                        uint8_t ret_hash[PROOF_HASH_OCTETS])
{
    if (!proofs->has_key)
        crypto_generichash_keygen(proofs->key);
    proofs->has_key = true;
    const uint8_t kind = identity->is_bearer ? 'b' : 'p';
    const uint8_t between = 0; /* is in no address */
    crypto_generichash_state state;
    crypto_generichash_init(&state, proofs->key, sizeof proofs->key, PROOF_HASH_OCTETS);
    crypto_generichash_update(&state, &kind, 1);
    /* What one server has accepted says nothing about another. */
    crypto_generichash_update(&state, identity->site.at, identity->site.len);
    crypto_generichash_update(&state, &between, 1);
    crypto_generichash_update(&state, identity->secret.at, identity->secret.len);
    crypto_generichash_final(&state, ret_hash, PROOF_HASH_OCTETS);
    sodium_memzero(&state, sizeof state);
}

static bool proof_is_secret(const struct proof *proof, const uint8_t hash[PROOF_HASH_OCTETS])
{
    return sodium_memcmp(proof->hash, hash, PROOF_HASH_OCTETS) == 0;
}

/* From the same place: what a refusal there suspends, and a success there restores. */
static bool proof_is_place(const struct proof *proof, const struct proof_identity *identity)
{
    if (!proof->has_ends || !identity->address)
        return !proof->has_ends && !identity->address;
    struct address address = *identity->address;
    address.port = 0;
    return memcmp(&proof->ends[0], &address, sizeof address) == 0;
}

/* And to the same place. Servers may go by that as well: another realm, other users of the same names. */
static bool proof_is_way(const struct proof *proof, const struct proof_identity *identity)
{
    return proof_is_place(proof, identity) && proof->is_compat == identity->is_compat &&
           (!proof->has_ends || memcmp(&proof->ends[1], identity->local, sizeof proof->ends[1]) == 0);
}

/* Whoever waited for the lock brings an older now than whoever had it before: sums do not wrap, differences would. */
bool proof_is_fresh(const struct proofs *proofs, const struct proof *proof, uint64_t now_ms)
{
    return now_ms < proof->proved_at_ms + proofs->reauth_interval_ms;
}

bool proof_is_good(const struct proofs *proofs, const struct proof *proof, uint64_t now_ms)
{
    return !proof->is_void && !proof->is_suspended && proof_is_fresh(proofs, proof, now_ms);
}

/* --- life --- */

static struct proof *proof_new(struct account *user, struct account *prover, const struct proof_identity *identity,
                               const uint8_t *hash)
{
    bool has_ends = identity->address != NULL;
    struct proof *proof = calloc(1, sizeof *proof + (has_ends ? 2 * sizeof proof->ends[0] : 0));
    if (!proof)
        return NULL;
    proof->user = user;
    proof->prover = prover;
    proof->is_compat = identity->is_compat;
    proof->has_ends = has_ends;
    if (has_ends) {
        proof->ends[0] = *identity->address;
        proof->ends[0].port = 0;
        proof->ends[1] = *identity->local;
    }
    memcpy(proof->hash, hash, PROOF_HASH_OCTETS);
    imapstate_buf_init(&proof->alerts, ALERTS_MAX);
    list_init(&proof->parked);
    list_init(&proof->user_link);
    list_init(&proof->prover_link);
    list_move(&proof->user_link, &user->proofs);
    list_move(&proof->prover_link, &prover->proven);
    return proof;
}

struct proof *proof_ref(struct proof *proof)
{
    proof->references++;
    return proof;
}

void proof_unref(struct proofs *proofs, struct proof *proof)
{
    if (--proof->references > 0)
        return;
    struct account *user = proof->user, *prover = proof->prover;
    list_remove(&proof->user_link);
    list_remove(&proof->prover_link);
    imapstate_buf_done(&proof->alerts);
    sodium_memzero(proof, sizeof *proof);
    free(proof);
    accounts_free_if_empty(proofs, user, prover);
}

void proof_give_up(struct proof *proof, struct list *ret_given_up)
{
    list_each_safe(link, &proof->parked) list_move(link, ret_given_up);
}

/* --- the upstream takes credentials --- */

/* The proof of just these credentials, good or not. */
static struct proof *account_find_proof(struct account *user, const struct account *prover,
                                        const struct proof_identity *identity, const uint8_t *hash)
{
    list_each_safe(link, &user->proofs)
    {
        struct proof *proof = list_entry(link, struct proof, user_link);
        if (proof->prover == prover && proof_is_way(proof, identity) && proof_is_secret(proof, hash))
            return proof;
    }
    return NULL;
}

/* The upstream has taken this secret of the prover's: what it has proven is good again, whoever it was for; and so is
 * what any other secret has proven in this place. */
static void account_restore(struct proofs *proofs, struct account *prover, const struct proof_identity *identity,
                            const uint8_t *hash)
{
    bool has_suspended = false;
    if (!prover->has_bad)
        return;
    prover->has_bad = false;
    list_each_safe(link, &prover->proven)
    {
        struct proof *proof = list_entry(link, struct proof, prover_link);
        if (proof_is_secret(proof, hash))
            proof->is_void = false;
        if (proof_is_place(proof, identity))
            proof->is_suspended = false;
        prover->has_bad |= proof->is_void || proof->is_suspended;
        has_suspended |= proof->is_suspended;
    }
    account_set_suspended(proofs, prover, has_suspended);
}

static struct proof *proofs_make(struct proofs *proofs, const struct proof_identity *identity, const uint8_t *hash,
                                 uint64_t now_ms)
{
    struct account *user = account_have(proofs, identity->upstream, identity->user);
    struct account *prover = user ? account_have(proofs, identity->upstream, identity->authentication) : NULL;
    struct proof *proof = prover ? account_find_proof(user, prover, identity, hash) : NULL;
    if (prover && !proof)
        proof = proof_new(user, prover, identity, hash);
    if (proof) {
        proof->references++;
        proof->proved_at_ms = now_ms;
    }
    accounts_free_if_empty(proofs, user, prover);
    return proof;
}

struct proof *proofs_prove(struct proofs *proofs, const struct proof_identity *identity, uint64_t now_ms)
{
    uint8_t hash[PROOF_HASH_OCTETS];
    proofs_hash(proofs, identity, hash);
    struct proof *proof = identity->secret.len > 0 ? proofs_make(proofs, identity, hash, now_ms) : NULL;
    struct account *prover = proofs_prover(proofs, identity);
    if (prover)
        account_restore(proofs, prover, identity, hash);
    sodium_memzero(hash, sizeof hash);
    return proof;
}

void proofs_restore(struct proofs *proofs, const struct proof_identity *identity)
{
    uint8_t hash[PROOF_HASH_OCTETS];
    struct account *prover = proofs_prover(proofs, identity);
    if (!prover)
        return;
    proofs_hash(proofs, identity, hash);
    account_restore(proofs, prover, identity, hash);
    sodium_memzero(hash, sizeof hash);
}

void proofs_void_others(struct proofs *proofs, const struct proof_identity *identity, struct list *ret_given_up)
{
    uint8_t hash[PROOF_HASH_OCTETS];
    struct account *prover = proofs_prover(proofs, identity);
    if (!prover || identity->secret.len == 0)
        return;
    proofs_hash(proofs, identity, hash);
    list_each_safe(link, &prover->proven)
    {
        struct proof *proof = list_entry(link, struct proof, prover_link);
        if (proof_is_secret(proof, hash))
            continue;
        proof->is_void = prover->has_bad = true;
        proof_give_up(proof, ret_given_up);
    }
    sodium_memzero(hash, sizeof hash);
}

/* --- it refuses them, or is yet to judge --- */

static void account_suspect(struct proofs *proofs, struct account *prover, const struct proof_identity *identity)
{
    bool has_suspended = false;
    prover->has_bad = true;
    list_each_safe(link, &prover->proven)
    {
        struct proof *proof = list_entry(link, struct proof, prover_link);
        proof->is_suspended |= proof_is_place(proof, identity);
        has_suspended |= proof->is_suspended;
    }
    account_set_suspended(proofs, prover, has_suspended);
}

void proofs_suspect(struct proofs *proofs, const struct proof_identity *identity)
{
    struct account *prover = proofs_prover(proofs, identity);
    if (prover)
        account_suspect(proofs, prover, identity);
}

void proofs_refuse(struct proofs *proofs, const struct proof_identity *identity, struct list *ret_given_up)
{
    uint8_t hash[PROOF_HASH_OCTETS];
    struct account *prover = proofs_prover(proofs, identity);
    if (!prover)
        return;
    const struct account *user = proofs_account(proofs, identity->upstream, identity->user);
    account_suspect(proofs, prover, identity);
    proofs_hash(proofs, identity, hash);
    list_each_safe(link, &prover->proven)
    {
        struct proof *proof = list_entry(link, struct proof, prover_link);
        if (!proof_is_secret(proof, hash))
            continue;
        proof->is_void = true;
        if (proof->user == user)
            proof_give_up(proof, ret_given_up);
    }
    sodium_memzero(hash, sizeof hash);
}

/* --- the operator's --- */

static unsigned proof_void(struct proof *proof, struct list *ret_given_up)
{
    bool was_good = !proof->is_void;
    proof->is_void = proof->prover->has_bad = true;
    proof_give_up(proof, ret_given_up);
    return was_good;
}

unsigned proofs_forget(struct proofs *proofs, const struct imapstate_span *user, struct list *ret_given_up)
{
    unsigned count = 0;
    for (struct account *account = proofs->accounts; account; account = account->hh.next) {
        struct imapstate_span name = { account->name, account->name_len };
        if (user && !imapstate_span_equal_nocase(name, *user))
            continue;
        list_each_safe(link, &account->proofs) count +=
            proof_void(list_entry(link, struct proof, user_link), ret_given_up);
        list_each_safe(link, &account->proven) count +=
            proof_void(list_entry(link, struct proof, prover_link), ret_given_up);
    }
    return count;
}

/* --- somebody comes back --- */

/* Has the secret been taken not long ago, for whomever? Mostly the first one tells. */
static bool account_knows(const struct proofs *proofs, const struct account *prover, const uint8_t *hash,
                          uint64_t now_ms)
{
    list_each_safe(link, &prover->proven)
    {
        const struct proof *proof = list_entry(link, struct proof, prover_link);
        if (proof_is_secret(proof, hash) && proof_is_good(proofs, proof, now_ms))
            return true;
    }
    return false;
}

struct proof *proofs_match(struct proofs *proofs, const struct proof_identity *identity, uint64_t now_ms)
{
    uint8_t hash[PROOF_HASH_OCTETS];
    struct account *user = proofs_account(proofs, identity->upstream, identity->user);
    struct account *prover = proofs_prover(proofs, identity);
    proofs_hash(proofs, identity, hash);
    struct proof *proof = user && prover ? account_find_proof(user, prover, identity, hash) : NULL;
    if (proof && !proof_is_good(proofs, proof, now_ms))
        proof = NULL;
    if (!proof && prover && !account_knows(proofs, prover, hash, now_ms))
        account_suspect(proofs, prover, identity);
    sodium_memzero(hash, sizeof hash);
    return proof;
}

void proofs_forget_key(struct proofs *proofs)
{
    sodium_memzero(proofs->key, sizeof proofs->key);
    proofs->has_key = false;
}
