#include "tickets.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* For crypto_kdf: no other use of a key in the keyring has it. */
#define TICKETS_LABEL "imapstls"

_Static_assert(sizeof TICKETS_LABEL - 1 == crypto_kdf_CONTEXTBYTES, "one label");
_Static_assert(crypto_kdf_KEYBYTES == IMAPSTATE_KEY_OCTETS, "key that others are derived from");
_Static_assert(2 * TICKET_KEY_OCTETS <= crypto_kdf_BYTES_MAX, "both at once");

/* --- derived from the keyring --- */

#define NAME_ID_AT     0 /* 4 octets */
#define NAME_PERIOD_AT 4 /* 8 octets */
#define NAME_CHECK_AT  12

static void tickets_put_number(uint8_t *at, uint64_t number, size_t octets)
{
    for (size_t i = octets; i-- > 0; number >>= 8)
        at[i] = (uint8_t)number;
}

static uint64_t tickets_take_number(const uint8_t *at, size_t octets)
{
    uint64_t number = 0;
    for (size_t i = 0; i < octets; i++)
        number = number << 8 | at[i];
    return number;
}

static void tickets_derive(const struct imapstate_key *key, uint64_t period, struct ticketkey *ret_key)
{
    uint8_t octets[2 * TICKET_KEY_OCTETS];
    crypto_kdf_derive_from_key(octets, sizeof octets, period, TICKETS_LABEL, key->octets);
    memcpy(ret_key->cipher, octets, TICKET_KEY_OCTETS);
    memcpy(ret_key->mac, octets + TICKET_KEY_OCTETS, TICKET_KEY_OCTETS);
    sodium_memzero(octets, sizeof octets);
    tickets_put_number(ret_key->name + NAME_ID_AT, key->id, 4);
    tickets_put_number(ret_key->name + NAME_PERIOD_AT, period, 8);
    memcpy(ret_key->name + NAME_CHECK_AT, "TLS3", TICKET_NAME_OCTETS - NAME_CHECK_AT);
}

/* Another gateway's clock may be ahead. */
static bool tickets_is_in_time(uint64_t period, uint64_t now)
{
    return period <= now ? now - period <= 1 : period - now <= 1;
}

static enum tickets_found tickets_find_derived(const struct imapstate_keyring *keyring, const uint8_t *name,
                                               uint64_t now_s, struct ticketkey *ret_key)
{
    uint64_t period = tickets_take_number(name + NAME_PERIOD_AT, 8), now = now_s / TICKETS_PERIOD_S;
    struct imapstate_key key;
    if (!tickets_is_in_time(period, now) ||
        !imapstate_keyring_find(keyring, (uint32_t)tickets_take_number(name + NAME_ID_AT, 4), &key))
        return TICKETS_NOT_FOUND;
    tickets_derive(&key, period, ret_key);
    if (memcmp(ret_key->name, name, TICKET_NAME_OCTETS) == 0)
        return period < now ? TICKETS_FOUND_OLD : TICKETS_FOUND;
    sodium_memzero(ret_key, sizeof *ret_key);
    return TICKETS_NOT_FOUND;
}

/* --- made at random --- */

enum ring_place { RING_NOW, RING_BEFORE, RING_PLACES };

struct ticketring {
    pthread_mutex_t mutex;
    unsigned references; /* atomic */
    uint64_t period;     /* of the key that seals; 0: there is none yet */
    bool has_before;
    struct ticketkey *keys; /* RING_PLACES, in guarded memory: locked, and in no dump */
};

struct ticketring *ticketring_new(void)
{
    struct ticketring *ring = calloc(1, sizeof *ring);
    if (ring)
        ring->keys = sodium_allocarray(RING_PLACES, sizeof *ring->keys);
    if (!ring || !ring->keys) {
        free(ring);
        return NULL;
    }
    pthread_mutex_init(&ring->mutex, NULL);
    ring->references = 1;
    return ring;
}

struct ticketring *ticketring_ref(struct ticketring *ring)
{
    __atomic_add_fetch(&ring->references, 1, __ATOMIC_RELAXED);
    return ring;
}

void ticketring_unref(struct ticketring *ring)
{
    if (!ring || __atomic_sub_fetch(&ring->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    sodium_free(ring->keys);
    pthread_mutex_destroy(&ring->mutex);
    free(ring);
}

/* A clock that is set back rotates nothing. */
static void ticketring_turn(struct ticketring *ring, uint64_t now_s)
{
    uint64_t period = now_s / TICKETS_PERIOD_S + 1;
    if (period <= ring->period)
        return;
    ring->has_before = ring->period != 0 && period - ring->period == 1;
    if (ring->has_before)
        ring->keys[RING_BEFORE] = ring->keys[RING_NOW];
    else
        sodium_memzero(&ring->keys[RING_BEFORE], sizeof ring->keys[RING_BEFORE]);
    randombytes_buf(&ring->keys[RING_NOW], sizeof ring->keys[RING_NOW]);
    ring->period = period;
}

void ticketring_rotate(struct ticketring *ring, uint64_t now_s)
{
    pthread_mutex_lock(&ring->mutex);
    ticketring_turn(ring, now_s);
    pthread_mutex_unlock(&ring->mutex);
}

static void ticketring_key(struct ticketring *ring, uint64_t now_s, struct ticketkey *ret_key)
{
    pthread_mutex_lock(&ring->mutex);
    ticketring_turn(ring, now_s);
    *ret_key = ring->keys[RING_NOW];
    pthread_mutex_unlock(&ring->mutex);
}

static enum tickets_found ticketring_find(struct ticketring *ring, const uint8_t *name, uint64_t now_s,
                                          struct ticketkey *ret_key)
{
    enum tickets_found found = TICKETS_NOT_FOUND;
    pthread_mutex_lock(&ring->mutex);
    ticketring_turn(ring, now_s);
    if (memcmp(ring->keys[RING_NOW].name, name, TICKET_NAME_OCTETS) == 0)
        found = TICKETS_FOUND;
    else if (ring->has_before && memcmp(ring->keys[RING_BEFORE].name, name, TICKET_NAME_OCTETS) == 0)
        found = TICKETS_FOUND_OLD;
    if (found != TICKETS_NOT_FOUND)
        *ret_key = ring->keys[found == TICKETS_FOUND ? RING_NOW : RING_BEFORE];
    pthread_mutex_unlock(&ring->mutex);
    return found;
}

/* --- both --- */

void tickets_key(const struct tickets *tickets, enum tls_version version, uint64_t now_s, struct ticketkey *ret_key)
{
    struct imapstate_key key;
    if (version == TLS_VERSION_1_3 && imapstate_keyring_sealing(tickets->keyring, now_s, &key))
        tickets_derive(&key, now_s / TICKETS_PERIOD_S, ret_key);
    else
        ticketring_key(tickets->ring, now_s, ret_key);
}

enum tickets_found tickets_find(const struct tickets *tickets, enum tls_version version,
                                const uint8_t name[TICKET_NAME_OCTETS], uint64_t now_s, struct ticketkey *ret_key)
{
    enum tickets_found found =
        version == TLS_VERSION_1_3 ? tickets_find_derived(tickets->keyring, name, now_s, ret_key) : TICKETS_NOT_FOUND;
    return found == TICKETS_NOT_FOUND ? ticketring_find(tickets->ring, name, now_s, ret_key) : found;
}

/* --- OpenSSL --- */

static int tickets_index; /* of a context's tickets */
static pthread_once_t tickets_once = PTHREAD_ONCE_INIT;

static void tickets_make_index(void)
{
    tickets_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

static bool tickets_use_key(const struct ticketkey *key, const uint8_t *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                            bool is_new)
{
    char digest[] = "SHA256";
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key->mac, sizeof key->mac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv, is_new) == 1 &&
           EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

static bool tickets_begin(const struct tickets *tickets, enum tls_version version, uint8_t *name, uint8_t *iv,
                          struct ticketkey *ret_key)
{
    tickets_key(tickets, version, (uint64_t)time(NULL), ret_key);
    memcpy(name, ret_key->name, TICKET_NAME_OCTETS);
    return RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1;
}

/* SSL_CTX_set_tlsext_ticket_key_evp_cb(3): -1 is an error, 0 no ticket, 1 a good one, 2 one that is to be replaced. */
static int tickets_on_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                          int is_new)
{
    const struct tickets *tickets = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), tickets_index);
    enum tls_version version = SSL_version(ssl) >= TLS1_3_VERSION ? TLS_VERSION_1_3 : TLS_VERSION_1_2;
    struct ticketkey key;
    enum tickets_found found = TICKETS_FOUND;
    bool is_ready = !is_new || tickets_begin(tickets, version, name, iv, &key);
    if (!is_new)
        found = tickets_find(tickets, version, name, (uint64_t)time(NULL), &key);
    if (found == TICKETS_NOT_FOUND)
        return 0;
    is_ready = is_ready && tickets_use_key(&key, iv, cipher, mac, is_new);
    sodium_memzero(&key, sizeof key);
    /* With TLS 1.3 a ticket is used once (RFC 8446 appendix C.4), so each time there has to be another. */
    bool is_to_renew = !is_new && (found == TICKETS_FOUND_OLD || version == TLS_VERSION_1_3);
    return is_ready ? 1 + is_to_renew : -1;
}

/* A certificate that has expired since then would be refused now. */
static bool tickets_is_outdated(SSL_SESSION *session)
{
    const X509 *certificate = SSL_SESSION_get0_peer(session);
    return certificate && X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0;
}

static SSL_TICKET_RETURN tickets_on_session(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t name_len,
                                            SSL_TICKET_STATUS status, void *arg)
{
    bool is_good = status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW;
    if (!is_good || tickets_is_outdated(session))
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

bool tickets_serve(SSL_CTX *context, struct tickets *tickets, const uint8_t digest[TICKETS_DIGEST_OCTETS])
{
    pthread_once(&tickets_once, tickets_make_index);
    SSL_CTX_set_timeout(context, (long)TICKETS_PERIOD_S);
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_max_early_data(context, 0);
    return SSL_CTX_set_ex_data(context, tickets_index, tickets) == 1 &&
           SSL_CTX_set_session_id_context(context, digest, TICKETS_DIGEST_OCTETS) == 1 &&
           SSL_CTX_set_tlsext_ticket_key_evp_cb(context, tickets_on_key) == 1 &&
           SSL_CTX_set_session_ticket_cb(context, NULL, tickets_on_session, NULL) == 1;
}
