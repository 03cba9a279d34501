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

#include "log.h"
#include "prelude.h"
#include "upstream.h"

#define PARK_HASH_OCTETS 32u

/* A capability list and a state come to it, each in as much memory as it takes. */
_Static_assert(sizeof(struct parked) <= 256, "a parked connection in clear is to stay below 1 KiB");

/* All that a user has at an upstream. */
struct account {
    struct list proofs;
    unsigned parked_count;
    UT_hash_handle hh;
    uint8_t key[PARK_HASH_OCTETS]; /* of the upstream's name and the user's */
};

struct proof {
    struct list link;        /* in account->proofs */
    struct account *account; /* borrowed: an account lives as long as it has proofs */
    struct list parked;      /* the one that was parked last at the end */
    unsigned references;     /* sessions and parked connections */
    uint64_t proved_at_ms;
    bool is_void;      /* the upstream refuses the secret now, or another has taken its place */
    bool is_suspended; /* the upstream has refused a login of this identity since */
    bool has_address, is_compat;
    struct address address; /* port 0 */
    uint8_t hash[PARK_HASH_OCTETS];
    size_t authentication_len;
    uint8_t authentication[];
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
    imapstate_buf_init(&parked->names, PRELUDE_NAMES_MAX);
    imapstate_buf_init(&parked->state, IMAPSTATE_STATE_MAX);
    imapstate_buf_init(&parked->alerts, PARK_ALERTS_MAX);
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
    parked->proof->account->parked_count--;
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

static bool proof_is_identity(const struct proof *proof, const struct park_identity *identity)
{
    struct imapstate_span authentication = { proof->authentication, proof->authentication_len };
    return imapstate_span_equal(authentication, identity->authentication);
}

/* The same identity from the same place: what a refusal there suspends, and a success there restores. */
static bool proof_is_place(const struct proof *proof, const struct park_identity *identity)
{
    if (!proof_is_identity(proof, identity) || proof->has_address != (identity->address != NULL))
        return false;
    struct address address = identity->address ? *identity->address : (struct address){ 0 };
    address.port = 0;
    return !identity->address || memcmp(&proof->address, &address, sizeof address) == 0;
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
    if (!list_is_empty(&account->proofs))
        return;
    HASH_DEL(park.accounts, account);
    free(account);
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
    struct account *account = proof->account;
    list_remove(&proof->link);
    sodium_memzero(proof, sizeof *proof);
    free(proof);
    account_free_if_empty(account);
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

/* Without memory, so that a refusal is heeded even when that is out. */
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
    account_key(upstream, user, account->key);
    HASH_ADD(hh, park.accounts, key, sizeof account->key, account);
    if (account->hh.tbl)
        return account;
    free(account);
    return NULL;
}

static struct proof *proof_new(struct account *account, const struct park_identity *identity, const uint8_t *hash)
{
    struct proof *proof = calloc(1, sizeof *proof + identity->authentication.len);
    if (!proof)
        return NULL;
    proof->account = account;
    proof->is_compat = identity->is_compat;
    proof->has_address = identity->address != NULL;
    if (identity->address) {
        proof->address = *identity->address;
        proof->address.port = 0;
    }
    memcpy(proof->hash, hash, PARK_HASH_OCTETS);
    proof->authentication_len = identity->authentication.len;
    memcpy(proof->authentication, identity->authentication.at, identity->authentication.len);
    list_init(&proof->parked);
    list_init(&proof->link);
    list_move(&proof->link, &account->proofs);
    return proof;
}

/* The proof of just these credentials, good or not. */
static struct proof *account_find_proof(struct account *account, const struct park_identity *identity,
                                        const uint8_t *hash)
{
    list_each_safe(link, &account->proofs)
    {
        struct proof *proof = list_entry(link, struct proof, link);
        if (proof->is_compat == identity->is_compat && proof_is_place(proof, identity) &&
            sodium_memcmp(proof->hash, hash, PARK_HASH_OCTETS) == 0)
            return proof;
    }
    return NULL;
}

static void account_void_others(struct account *account, const struct park_identity *identity, const uint8_t *hash,
                                struct list *doomed)
{
    list_each_safe(link, &account->proofs)
    {
        struct proof *proof = list_entry(link, struct proof, link);
        if (!proof_is_identity(proof, identity) || sodium_memcmp(proof->hash, hash, PARK_HASH_OCTETS) == 0)
            continue;
        proof->is_void = true;
        proof_doom(proof, doomed, "another password is in use");
    }
}

/* --- configuration --- */

static bool park_is_same_upstream(const struct config_upstream *a, const struct config_upstream *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->host, b->host) == 0 && strcmp(a->port, b->port) == 0 &&
           a->tls == b->tls && a->tls_verify == b->tls_verify && strcmp(a->tls_name, b->tls_name) == 0 &&
           strcmp(a->tls_ca_file, b->tls_ca_file) == 0 && a->send_client_address == b->send_client_address;
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

static struct proof *park_prove_locked(const struct park_identity *identity, uint64_t now_ms, struct list *doomed)
{
    uint8_t hash[PARK_HASH_OCTETS];
    struct account *account = account_find(identity->upstream, identity->user);
    if (!account)
        account = account_new(identity->upstream, identity->user);
    if (!account)
        return NULL;
    proof_hash(identity, hash);
    struct proof *proof = account_find_proof(account, identity, hash);
    if (!proof)
        proof = proof_new(account, identity, hash);
    if (proof) {
        proof->references++;
        proof->proved_at_ms = now_ms;
        proof->is_void = false;
        list_each_safe(link, &account->proofs)
        {
            struct proof *other = list_entry(link, struct proof, link);
            if (proof_is_place(other, identity))
                other->is_suspended = false;
        }
        if (park.limits.one_password)
            account_void_others(account, identity, hash, doomed);
    }
    sodium_memzero(hash, sizeof hash);
    account_free_if_empty(account);
    return proof;
}

struct proof *park_prove(const struct park_identity *identity, uint64_t now_ms)
{
    struct list doomed;
    list_init(&doomed);
    pthread_mutex_lock(&park.lock);
    struct proof *proof = park_is_on() ? park_prove_locked(identity, now_ms, &doomed) : NULL;
    pthread_mutex_unlock(&park.lock);
    parked_end_doomed(&doomed);
    return proof;
}

void park_refuse(const struct park_identity *identity)
{
    struct list doomed;
    uint8_t hash[PARK_HASH_OCTETS];
    list_init(&doomed);
    pthread_mutex_lock(&park.lock);
    struct account *account = account_find(identity->upstream, identity->user);
    if (account) {
        proof_hash(identity, hash);
        list_each_safe(link, &account->proofs)
        {
            struct proof *proof = list_entry(link, struct proof, link);
            if (proof_is_place(proof, identity))
                proof->is_suspended = true;
            if (proof_is_identity(proof, identity) && sodium_memcmp(proof->hash, hash, PARK_HASH_OCTETS) == 0) {
                proof->is_void = true;
                proof_doom(proof, &doomed, "the credentials are refused");
            }
        }
        sodium_memzero(hash, sizeof hash);
    }
    pthread_mutex_unlock(&park.lock);
    parked_end_doomed(&doomed);
}

static bool parked_is(const struct parked *parked, enum park_want want, struct imapstate_span state)
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
    if (!proof_is_good(proof, now_ms))
        return NULL;
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
    struct account *account = account_find(identity->upstream, identity->user);
    if (account && account->parked_count > 0) {
        proof_hash(identity, hash);
        struct proof *proof = account_find_proof(account, identity, hash);
        sodium_memzero(hash, sizeof hash);
        if (proof)
            parked = proof_take(proof, PARK_ANY, (struct imapstate_span){ 0 }, now_ms);
        if (parked && ret_proof) {
            proof->references++;
            *ret_proof = proof;
        }
    }
    pthread_mutex_unlock(&park.lock);
    return parked;
}

struct parked *park_take(struct proof *proof, enum park_want want, struct imapstate_span state, uint64_t now_ms)
{
    pthread_mutex_lock(&park.lock);
    struct parked *parked = proof_take(proof, want, state, now_ms);
    pthread_mutex_unlock(&park.lock);
    return parked;
}

/* The oldest of a user's. */
static struct parked *account_oldest(struct account *account)
{
    struct parked *oldest = NULL;
    list_each_safe(link, &account->proofs)
    {
        struct proof *proof = list_entry(link, struct proof, link);
        if (list_is_empty(&proof->parked))
            continue;
        struct parked *first = list_entry(proof->parked.next, struct parked, proof_link);
        if (!oldest || first->parked_at_ms < oldest->parked_at_ms)
            oldest = first;
    }
    return oldest;
}

static void park_make_room(struct account *account, struct list *doomed)
{
    while (account->parked_count > 0 && account->parked_count >= park.limits.per_user)
        parked_doom(account_oldest(account), doomed, "the user has newer ones");
    while (park.count > 0 && park.count >= park.limits.max)
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
                    proof_is_fresh(proof, now_ms) && !parked_expiry(parked, now_ms);
    if (may_wait) {
        park_make_room(proof->account, &doomed);
        parked_insert(parked);
        proof->account->parked_count++;
        park.count++;
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
            proof_doom(list_entry(link, struct proof, link), &doomed, "the upstream wants fewer connections");
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
