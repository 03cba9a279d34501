#include "park.h"

#include <imapstate/state.h>

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Without this uthash ends the process when memory is out. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "capability.h"
#include "log.h"
#include "resolver.h"
#include "tag.h"

#define PARK_HASH_OCTETS 32u

/* A capability list and a state come to it, each in as much memory as it takes. */
_Static_assert(sizeof(struct parked) <= 256, "a parked connection in clear is to stay below 1 KiB");

/* All that a user has at an upstream. */
struct account {
    struct list proofs; /* for sessions as this user */
    struct list
        proven; /* by this user's secrets, for itself and for those that it acts for: what is locked out is it */
    unsigned parked_count;
    bool has_bad; /* one of proven is void or suspended */
    UT_hash_handle hh;
    uint8_t key[PARK_HASH_OCTETS]; /* of the upstream's name and the user's */
};

struct proof {
    struct list user_link, prover_link; /* in user->proofs, in prover->proven */
    struct account *user, *prover;      /* borrowed: an account lives as long as it has proofs. Mostly the same */
    struct list parked;                 /* the one that was parked last at the end */
    unsigned references;                /* sessions and parked connections */
    uint64_t proved_at_ms;
    bool is_void;      /* the upstream refuses the secret now, or another has taken its place */
    bool is_suspended; /* park_suspect() */
    bool has_ends, is_compat;
    uint8_t hash[PARK_HASH_OCTETS];
    struct imapstate_buf alerts; /* park_set_alerts() */
    struct address ends[];       /* if addresses are passed on: the client's, port 0, and where it has connected to */
};

/* Everything in here, proofs and accounts are guarded by the lock. A connection that was taken out is its taker's. */
static struct {
    pthread_mutex_t lock;
    struct config_park limits;
    const struct config *config; /* borrowed; NULL before there is one */
    struct account *accounts;
    struct list by_age; /* all that are parked, the oldest first */
    unsigned count;
    bool has_key;
    uint8_t key[crypto_generichash_KEYBYTES];
} park = { .lock = PTHREAD_MUTEX_INITIALIZER, .by_age = { &park.by_age, &park.by_age } };

/* --- connections --- */

struct parked *parked_new(void)
{
    struct parked *parked = calloc(1, sizeof *parked);
    if (!parked)
        return NULL;
    parked->fd = -1;
    list_init(&parked->proof_link);
    list_init(&parked->age_link);
    imapstate_buf_init(&parked->names, CAPABILITY_LIST_MAX);
    imapstate_buf_init(&parked->state, IMAPSTATE_STATE_MAX);
    imapstate_buf_init(&parked->alerts, ALERTS_MAX);
    return parked;
}

static void parked_say_logout(struct parked *parked)
{
    static const char logout[] = UPSTREAM_TAG " LOGOUT\r\n";
    if (parked->fd < 0)
        return;
    /* A courtesy to the server's log. If it does not fit now, the end of file tells the same. */
    ssize_t sent = parked->ssl ? SSL_write(parked->ssl, logout, sizeof logout - 1)
                               : send(parked->fd, logout, sizeof logout - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent <= 0)
        log_debug("park: no LOGOUT said");
    if (parked->ssl)
        SSL_shutdown(parked->ssl);
}

void parked_free(struct parked *parked)
{
    if (!parked)
        return;
    parked_say_logout(parked);
    SSL_free(parked->ssl);
    if (parked->fd >= 0)
        close(parked->fd);
    park_proof_unref(parked->proof);
    service_unref(parked->service);
    imapstate_buf_done(&parked->names);
    imapstate_buf_done(&parked->state);
    imapstate_buf_done(&parked->alerts);
    free(parked);
}

/* Takes out of the pool. */
static void parked_remove(struct parked *parked)
{
    list_remove(&parked->proof_link);
    list_remove(&parked->age_link);
    parked->proof->user->parked_count--;
    park.count--;
}

/* Takes out, to be ended when the lock has been given back: that writes to a socket. */
static void parked_doom(struct parked *parked, struct list *doomed, const char *why)
{
    log_debug("park: ended: %s", why);
    parked_remove(parked);
    list_move(&parked->age_link, doomed);
}

static void parked_end_doomed(struct list *doomed)
{
    list_each_safe(link, doomed) parked_free(list_entry(link, struct parked, age_link));
}

/* Whoever waited for the lock brings an older now than whoever had it before: sums do not wrap, differences would. */
static const char *parked_expiry(const struct parked *parked, uint64_t now_ms)
{
    if (now_ms >= parked->parked_at_ms + park.limits.time_ms)
        return "time is up";
    if (now_ms >= parked->born_at_ms + park.limits.lifetime_ms)
        return "lifetime is up";
    return NULL;
}

/* Does it lead where its upstream's name leads? One that is not connected any more shows that when it is taken. */
static bool parked_is_in_place(const struct parked *parked)
{
    struct sockaddr_storage peer = { 0 };
    socklen_t len = sizeof peer;
    struct address address;
    if (parked->config->is_unix || getpeername(parked->fd, (struct sockaddr *)&peer, &len) < 0)
        return true;
    address_set(&address, (const struct sockaddr *)&peer);
    return resolver_leads_to(parked->config->host, &address);
}

/* --- proofs --- */

static void proof_hash(const struct park_identity *identity, uint8_t ret_hash[PARK_HASH_OCTETS])
{
    if (!park.has_key)
        crypto_generichash_keygen(park.key);
    park.has_key = true;
    const uint8_t kind = identity->is_bearer ? 'b' : 'p';
    crypto_generichash_state state;
    crypto_generichash_init(&state, park.key, sizeof park.key, PARK_HASH_OCTETS);
    crypto_generichash_update(&state, &kind, 1);
    crypto_generichash_update(&state, identity->secret.at, identity->secret.len);
    crypto_generichash_final(&state, ret_hash, PARK_HASH_OCTETS);
    sodium_memzero(&state, sizeof state);
}

static bool proof_is_secret(const struct proof *proof, const uint8_t hash[PARK_HASH_OCTETS])
{
    return sodium_memcmp(proof->hash, hash, PARK_HASH_OCTETS) == 0;
}

/* From the same place: what a refusal there suspends, and a success there restores. */
static bool proof_is_place(const struct proof *proof, const struct park_identity *identity)
{
    if (!proof->has_ends || !identity->address)
        return !proof->has_ends && !identity->address;
    struct address address = *identity->address;
    address.port = 0;
    return memcmp(&proof->ends[0], &address, sizeof address) == 0;
}

/* And to the same place. Servers may go by that as well: another realm, other users of the same names. */
static bool proof_is_way(const struct proof *proof, const struct park_identity *identity)
{
    return proof_is_place(proof, identity) && proof->is_compat == identity->is_compat &&
           (!proof->has_ends || memcmp(&proof->ends[1], identity->local, sizeof proof->ends[1]) == 0);
}

static bool proof_is_fresh(const struct proof *proof, uint64_t now_ms)
{
    return now_ms < proof->proved_at_ms + park.limits.reauth_interval_ms;
}

static bool proof_is_good(const struct proof *proof, uint64_t now_ms)
{
    return !proof->is_void && !proof->is_suspended && proof_is_fresh(proof, now_ms);
}

static void proof_doom(struct proof *proof, struct list *doomed, const char *why)
{
    list_each_safe(link, &proof->parked) parked_doom(list_entry(link, struct parked, proof_link), doomed, why);
}

static void account_free_if_empty(struct account *account)
{
    if (!list_is_empty(&account->proofs) || !list_is_empty(&account->proven))
        return;
    HASH_DEL(park.accounts, account);
    free(account);
}

static void accounts_free_if_empty(struct account *user, struct account *prover)
{
    if (prover && prover != user)
        account_free_if_empty(prover);
    if (user)
        account_free_if_empty(user);
}

struct proof *park_proof_ref(struct proof *proof)
{
    pthread_mutex_lock(&park.lock);
    proof->references++;
    pthread_mutex_unlock(&park.lock);
    return proof;
}

static void proof_unref(struct proof *proof)
{
    if (--proof->references > 0)
        return;
    struct account *user = proof->user, *prover = proof->prover;
    list_remove(&proof->user_link);
    list_remove(&proof->prover_link);
    imapstate_buf_done(&proof->alerts);
    sodium_memzero(proof, sizeof *proof);
    free(proof);
    accounts_free_if_empty(user, prover);
}

void park_proof_unref(struct proof *proof)
{
    if (!proof)
        return;
    pthread_mutex_lock(&park.lock);
    proof_unref(proof);
    pthread_mutex_unlock(&park.lock);
}

/* --- accounts --- */

/* Takes no memory: a refusal is heeded even when there is none left. */
static void account_key(struct imapstate_span upstream, struct imapstate_span user, uint8_t ret_key[PARK_HASH_OCTETS])
{
    const uint8_t between = 0; /* is in no upstream's name */
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, PARK_HASH_OCTETS);
    crypto_generichash_update(&state, upstream.at, upstream.len);
    crypto_generichash_update(&state, &between, 1);
    crypto_generichash_update(&state, user.at, user.len);
    crypto_generichash_final(&state, ret_key, PARK_HASH_OCTETS);
}

static struct account *account_find(struct imapstate_span upstream, struct imapstate_span user)
{
    uint8_t key[PARK_HASH_OCTETS];
    struct account *account;
    account_key(upstream, user, key);
    HASH_FIND(hh, park.accounts, key, sizeof key, account);
    return account;
}

static struct account *account_new(struct imapstate_span upstream, struct imapstate_span user)
{
    struct account *account = calloc(1, sizeof *account);
    if (!account)
        return NULL;
    list_init(&account->proofs);
    list_init(&account->proven);
    account_key(upstream, user, account->key);
    HASH_ADD(hh, park.accounts, key, sizeof account->key, account);
    if (account->hh.tbl)
        return account;
    free(account);
    return NULL;
}

static struct account *account_have(struct imapstate_span upstream, struct imapstate_span user)
{
    struct account *account = account_find(upstream, user);
    return account ? account : account_new(upstream, user);
}

static struct proof *proof_new(struct account *user, struct account *prover, const struct park_identity *identity,
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
    memcpy(proof->hash, hash, PARK_HASH_OCTETS);
    imapstate_buf_init(&proof->alerts, ALERTS_MAX);
    list_init(&proof->parked);
    list_init(&proof->user_link);
    list_init(&proof->prover_link);
    list_move(&proof->user_link, &user->proofs);
    list_move(&proof->prover_link, &prover->proven);
    return proof;
}

/* The proof of just these credentials, good or not. */
static struct proof *account_find_proof(struct account *user, const struct account *prover,
                                        const struct park_identity *identity, const uint8_t *hash)
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
static void account_restore(struct account *prover, const struct park_identity *identity, const uint8_t *hash)
{
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
    }
}

static void account_void_others(struct account *prover, const uint8_t *hash, struct list *doomed)
{
    list_each_safe(link, &prover->proven)
    {
        struct proof *proof = list_entry(link, struct proof, prover_link);
        if (proof_is_secret(proof, hash))
            continue;
        proof->is_void = prover->has_bad = true;
        proof_doom(proof, doomed, "another password is in use");
    }
}

/* Has the secret been taken not long ago, for whomever? Mostly the first one tells. */
static bool account_knows(const struct account *prover, const uint8_t *hash, uint64_t now_ms)
{
    list_each_safe(link, &prover->proven)
    {
        const struct proof *proof = list_entry(link, struct proof, prover_link);
        if (proof_is_secret(proof, hash) && proof_is_good(proof, now_ms))
            return true;
    }
    return false;
}

static void account_suspect(struct account *prover, const struct park_identity *identity)
{
    prover->has_bad = true;
    list_each_safe(link, &prover->proven)
    {
        struct proof *proof = list_entry(link, struct proof, prover_link);
        proof->is_suspended |= proof_is_place(proof, identity);
    }
}

/* A refusal for one user may be about that user. So what the secret has proven for others stays, and waits for its next
 * success. */
static void account_refuse(struct account *prover, const struct park_identity *identity, const uint8_t *hash,
                           struct list *doomed)
{
    const struct account *user = account_find(identity->upstream, identity->user);
    account_suspect(prover, identity);
    list_each_safe(link, &prover->proven)
    {
        struct proof *proof = list_entry(link, struct proof, prover_link);
        if (!proof_is_secret(proof, hash))
            continue;
        proof->is_void = true;
        if (proof->user == user)
            proof_doom(proof, doomed, "the credentials are refused");
    }
}

/* --- configuration --- */

static bool park_is_same_upstream(const struct config_upstream *a, const struct config_upstream *b)
{
    return strcmp(a->name, b->name) == 0 && config_is_same_server(a, b) &&
           a->send_client_address == b->send_client_address && a->authorization_identity == b->authorization_identity;
}

static bool park_is_configured(const struct config_upstream *upstream)
{
    for (size_t i = 0; park.config && i < park.config->upstream_count; i++)
        if (park_is_same_upstream(&park.config->upstreams[i], upstream))
            return true;
    return false;
}

/* By the configuration; guarded by the lock. */
static bool park_is_on(void)
{
    return park.limits.per_user > 0 && park.limits.max > 0;
}

/* --- what sessions do --- */

static struct proof *park_prove_locked(const struct park_identity *identity, const uint8_t *hash, uint64_t now_ms)
{
    struct account *user = account_have(identity->upstream, identity->user);
    struct account *prover = user ? account_have(identity->upstream, identity->authentication) : NULL;
    struct proof *proof = prover ? account_find_proof(user, prover, identity, hash) : NULL;
    if (prover && !proof)
        proof = proof_new(user, prover, identity, hash);
    if (proof) {
        proof->references++;
        proof->proved_at_ms = now_ms;
    }
    accounts_free_if_empty(user, prover);
    return proof;
}

/* Whatever was taken, it was not a guess. */
static void park_restore(const struct park_identity *identity, const uint8_t *hash, struct list *doomed)
{
    struct account *prover = account_find(identity->upstream, identity->authentication);
    if (!prover)
        return;
    account_restore(prover, identity, hash);
    if (park.limits.one_password && identity->secret.len > 0)
        account_void_others(prover, hash, doomed);
}

struct proof *park_prove(const struct park_identity *identity, uint64_t now_ms)
{
    struct list doomed;
    struct proof *proof = NULL;
    uint8_t hash[PARK_HASH_OCTETS];
    list_init(&doomed);
    pthread_mutex_lock(&park.lock);
    proof_hash(identity, hash);
    if (park_is_on() && identity->secret.len > 0)
        proof = park_prove_locked(identity, hash, now_ms);
    park_restore(identity, hash, &doomed);
    sodium_memzero(hash, sizeof hash);
    pthread_mutex_unlock(&park.lock);
    parked_end_doomed(&doomed);
    return proof;
}

void park_set_alerts(struct proof *proof, struct imapstate_span alerts)
{
    pthread_mutex_lock(&park.lock);
    imapstate_buf_clear(&proof->alerts);
    imapstate_buf_put(&proof->alerts, alerts);
    pthread_mutex_unlock(&park.lock);
}

void park_alerts(const struct proof *proof, struct imapstate_buf *ret_alerts)
{
    pthread_mutex_lock(&park.lock);
    imapstate_buf_put(ret_alerts, imapstate_buf_span(&proof->alerts));
    pthread_mutex_unlock(&park.lock);
}

void park_refuse(const struct park_identity *identity)
{
    struct list doomed;
    uint8_t hash[PARK_HASH_OCTETS];
    list_init(&doomed);
    pthread_mutex_lock(&park.lock);
    struct account *prover = account_find(identity->upstream, identity->authentication);
    if (prover) {
        proof_hash(identity, hash);
        account_refuse(prover, identity, hash, &doomed);
        sodium_memzero(hash, sizeof hash);
    }
    pthread_mutex_unlock(&park.lock);
    parked_end_doomed(&doomed);
}

void park_suspect(const struct park_identity *identity)
{
    pthread_mutex_lock(&park.lock);
    struct account *prover = account_find(identity->upstream, identity->authentication);
    if (prover)
        account_suspect(prover, identity);
    pthread_mutex_unlock(&park.lock);
}

bool parked_is(const struct parked *parked, enum park_want want, struct imapstate_span state)
{
    switch (want) {
    case PARK_ANY:
        return true;
    case PARK_PRISTINE:
        return parked->state.len == 0;
    case PARK_STATE:
        return imapstate_span_equal(imapstate_buf_span(&parked->state), state);
    }
    return false;
}

/* The one that was parked last is the likeliest to live. */
static struct parked *proof_take(struct proof *proof, enum park_want want, struct imapstate_span state, uint64_t now_ms)
{
    for (struct list *link = proof->parked.previous; link != &proof->parked; link = link->previous) {
        struct parked *parked = list_entry(link, struct parked, proof_link);
        if (parked_expiry(parked, now_ms) || !parked_is(parked, want, state))
            continue;
        parked_remove(parked);
        return parked;
    }
    return NULL;
}

struct parked *park_match(const struct park_identity *identity, uint64_t now_ms, struct proof **ret_proof)
{
    uint8_t hash[PARK_HASH_OCTETS];
    struct parked *parked = NULL;
    pthread_mutex_lock(&park.lock);
    struct account *user = account_find(identity->upstream, identity->user);
    struct account *prover = account_find(identity->upstream, identity->authentication);
    proof_hash(identity, hash);
    struct proof *proof = user && prover ? account_find_proof(user, prover, identity, hash) : NULL;
    if (proof && proof_is_good(proof, now_ms))
        parked = proof_take(proof, PARK_ANY, (struct imapstate_span){ 0 }, now_ms);
    else if (prover && !account_knows(prover, hash, now_ms))
        account_suspect(prover, identity);
    sodium_memzero(hash, sizeof hash);
    if (parked && ret_proof) {
        proof->references++;
        *ret_proof = proof;
    }
    pthread_mutex_unlock(&park.lock);
    return parked;
}

struct parked *park_take(struct proof *proof, enum park_want want, struct imapstate_span state, uint64_t now_ms)
{
    pthread_mutex_lock(&park.lock);
    struct parked *parked = proof_is_good(proof, now_ms) ? proof_take(proof, want, state, now_ms) : NULL;
    pthread_mutex_unlock(&park.lock);
    return parked;
}

/* The oldest of a user's. */
static struct parked *account_oldest(struct account *account)
{
    struct parked *oldest = NULL;
    list_each_safe(link, &account->proofs)
    {
        struct proof *proof = list_entry(link, struct proof, user_link);
        if (list_is_empty(&proof->parked))
            continue;
        struct parked *first = list_entry(proof->parked.next, struct parked, proof_link);
        if (!oldest || first->parked_at_ms < oldest->parked_at_ms)
            oldest = first;
    }
    return oldest;
}

static void park_keep_to_limits(struct account *account, struct list *doomed)
{
    while (account->parked_count > park.limits.per_user)
        parked_doom(account_oldest(account), doomed, "the user has newer ones");
    while (park.count > park.limits.max)
        parked_doom(list_entry(park.by_age.next, struct parked, age_link), doomed, "there are too many");
}

/* Both lists are by age. One that has shown a sign of life is as old as before. */
static void parked_insert(struct parked *parked)
{
    struct list *next = &parked->proof->parked;
    while (next->previous != &parked->proof->parked &&
           list_entry(next->previous, struct parked, proof_link)->parked_at_ms > parked->parked_at_ms)
        next = next->previous;
    list_move_before(&parked->proof_link, next);
    next = &park.by_age;
    while (next->previous != &park.by_age &&
           list_entry(next->previous, struct parked, age_link)->parked_at_ms > parked->parked_at_ms)
        next = next->previous;
    list_move_before(&parked->age_link, next);
}

void park_put(struct parked *parked, uint64_t now_ms)
{
    struct list doomed;
    list_init(&doomed);
    pthread_mutex_lock(&park.lock);
    struct proof *proof = parked->proof;
    /* A session, or the janitor, may have had it while the configuration changed. A suspended proof may become good
     * again; one that is void or too old would have to be proved anew, on a new connection. */
    bool may_wait = park_is_on() && park_is_configured(parked->config) && !proof->is_void &&
                    proof_is_fresh(proof, now_ms) && !parked_expiry(parked, now_ms) && parked_is_in_place(parked);
    if (may_wait) {
        parked_insert(parked);
        proof->user->parked_count++;
        park.count++;
        park_keep_to_limits(proof->user, &doomed);
    } else {
        list_move(&parked->age_link, &doomed);
    }
    pthread_mutex_unlock(&park.lock);
    parked_end_doomed(&doomed);
}

unsigned park_give_up(struct imapstate_span upstream, struct imapstate_span user)
{
    struct list doomed;
    unsigned count = 0;
    list_init(&doomed);
    pthread_mutex_lock(&park.lock);
    struct account *account = account_find(upstream, user);
    if (account) {
        count = account->parked_count;
        list_each_safe(link, &account->proofs)
            proof_doom(list_entry(link, struct proof, user_link), &doomed, "the upstream wants fewer connections");
    }
    pthread_mutex_unlock(&park.lock);
    parked_end_doomed(&doomed);
    return count;
}

bool park_give_up_oldest(struct imapstate_span upstream)
{
    struct list doomed;
    list_init(&doomed);
    pthread_mutex_lock(&park.lock);
    for (struct list *link = park.by_age.next; link != &park.by_age; link = link->next) {
        struct parked *parked = list_entry(link, struct parked, age_link);
        if (!imapstate_span_equal(imapstate_span_of(parked->config->name), upstream))
            continue;
        parked_doom(parked, &doomed, "the upstream wants fewer connections");
        break;
    }
    pthread_mutex_unlock(&park.lock);
    bool is_given_up = !list_is_empty(&doomed);
    parked_end_doomed(&doomed);
    return is_given_up;
}

void park_follow(const char *name)
{
    struct list doomed;
    list_init(&doomed);
    pthread_mutex_lock(&park.lock);
    list_each_safe(link, &park.by_age)
    {
        struct parked *parked = list_entry(link, struct parked, age_link);
        if (strcmp(parked->config->host, name) == 0 && !parked_is_in_place(parked))
            parked_doom(parked, &doomed, "the upstream's name leads elsewhere");
    }
    pthread_mutex_unlock(&park.lock);
    parked_end_doomed(&doomed);
}

bool park_press(uint8_t *presses, uint64_t *ret_after_ms)
{
    static const uint64_t after_ms[] = { 20, 100, 400 };
    if (*presses == sizeof after_ms / sizeof *after_ms)
        return false;
    *ret_after_ms = after_ms[(*presses)++];
    return true;
}

/* --- the janitor's --- */

void park_sweep(uint64_t now_ms, struct list *ret_tired)
{
    struct list doomed;
    list_init(&doomed);
    pthread_mutex_lock(&park.lock);
    list_each_safe(link, &park.by_age)
    {
        struct parked *parked = list_entry(link, struct parked, age_link);
        const struct proof *proof = parked->proof;
        const char *why = parked_expiry(parked, now_ms);
        if (!why && !proof_is_fresh(proof, now_ms))
            why = "the proof is too old";
        if (why) {
            parked_doom(parked, &doomed, why);
        } else if (now_ms >= parked->used_at_ms + park.limits.keepalive_ms) {
            parked_remove(parked);
            list_move(&parked->age_link, ret_tired);
        }
    }
    pthread_mutex_unlock(&park.lock);
    parked_end_doomed(&doomed);
}

/* --- reload, end --- */

void park_configure(const struct config *config)
{
    struct list doomed;
    list_init(&doomed);
    pthread_mutex_lock(&park.lock);
    park.limits = config->park;
    park.config = config;
    list_each_safe(link, &park.by_age)
    {
        struct parked *parked = list_entry(link, struct parked, age_link);
        if (!park_is_on() || !park_is_configured(parked->config))
            parked_doom(parked, &doomed, "the configuration has changed");
    }
    for (struct account *account = park.accounts; account; account = account->hh.next)
        park_keep_to_limits(account, &doomed);
    pthread_mutex_unlock(&park.lock);
    parked_end_doomed(&doomed);
}

unsigned park_count(void)
{
    pthread_mutex_lock(&park.lock);
    unsigned count = park.count;
    pthread_mutex_unlock(&park.lock);
    return count;
}

void park_done(void)
{
    struct list doomed;
    list_init(&doomed);
    pthread_mutex_lock(&park.lock);
    list_each_safe(link, &park.by_age)
        parked_doom(list_entry(link, struct parked, age_link), &doomed, "the gateway ends");
    pthread_mutex_unlock(&park.lock);
    parked_end_doomed(&doomed);
    sodium_memzero(park.key, sizeof park.key);
    park.has_key = false;
    park.config = NULL;
}
