/* handshake: two ends of TLS that are connected in memory, and what contexts of both sides need. Behind check.h. */
#ifndef TEST_HANDSHAKE_H
#define TEST_HANDSHAKE_H

#include <openssl/err.h>

#include "certificate.h"
#include "tickets.h"
#include "tls.h"

#define HANDSHAKE_LIST(list) ((char[]){ list })

/* As if nothing was configured. */
#define HANDSHAKE_POLICY                                                                                               \
    ((struct tlspolicy){ TLS_VERSION_1_2, HANDSHAKE_LIST(TLSPOLICY_CIPHERS), HANDSHAKE_LIST(TLSPOLICY_CIPHERSUITES),   \
                         HANDSHAKE_LIST(TLSPOLICY_GROUPS) })

/* The keys of tickets, with one key in the keyring. */
struct ticket_keys {
    struct imapstate_keyring *keyring;
    struct tickets tickets;
};

static inline void ticket_keys_begin(struct ticket_keys *keys, uint8_t octet)
{
    uint8_t octets[IMAPSTATE_KEY_OCTETS];
    memset(octets, octet, sizeof octets);
    keys->keyring = imapstate_keyring_new();
    assert_int_equal(imapstate_keyring_add(keys->keyring, octet, 0, octets), IMAPSTATE_OK);
    keys->tickets = (struct tickets){ keys->keyring, ticketring_new() };
    assert_non_null(keys->tickets.ring);
}

static inline void ticket_keys_end(struct ticket_keys *keys)
{
    ticketring_unref(keys->tickets.ring);
    imapstate_keyring_free(keys->keyring);
}

/* A side that is connected to, as if nothing was configured but its certificate. */
#define HANDSHAKE_OWN(certificate, keys)                                                                               \
    ((struct tls_own){                                                                                                 \
        .name = "listener",                                                                                            \
        .policy = &HANDSHAKE_POLICY,                                                                                   \
        .cert_files = (const char *[]){ (certificate)->cert_file },                                                    \
        .key_files = (const char *[]){ (certificate)->key_file },                                                      \
        .count = 1,                                                                                                    \
        .client_ca_file = "",                                                                                          \
        .tickets = &(keys)->tickets,                                                                                   \
    })

/* A side that connects, and believes whom the CA has signed. */
#define HANDSHAKE_PEERING(ca)                                                                                          \
    ((struct tls_peering){                                                                                             \
        .policy = &HANDSHAKE_POLICY, .is_verified = true, .ca_file = (ca), .cert_file = "", .key_file = "" })

static inline SSL_CTX *handshake_own(const struct tls_own *own)
{
    struct tls_fault fault;
    SSL_CTX *context = tls_own_context(own, &fault);
    assert_non_null(context);
    return context;
}

static inline SSL_CTX *handshake_peer(const struct tls_peering *peering)
{
    struct tls_fault fault;
    SSL_CTX *context = tls_peer_context(peering, &fault);
    assert_non_null(context);
    return context;
}

struct ends {
    SSL *server, *client;
    unsigned long server_error, client_error; /* why the handshake has failed */
};

static inline void ends_begin(struct ends *ends, SSL_CTX *own, SSL_CTX *peer, const char *name, const char *place)
{
    BIO *one, *two;
    ends->server_error = ends->client_error = 0;
    ends->server = tls_accept(own);
    ends->client = tls_peer(peer, name, place);
    assert_true(ends->server && ends->client);
    assert_int_equal(BIO_new_bio_pair(&one, 0, &two, 0), 1);
    SSL_set_bio(ends->server, one, one);
    SSL_set_bio(ends->client, two, two);
}

static inline void ends_end(struct ends *ends)
{
    SSL_free(ends->server);
    SSL_free(ends->client);
    ERR_clear_error();
}

/* False: it is over. */
static inline bool ends_step(SSL *ssl, bool *ret_is_through, unsigned long *ret_error)
{
    ERR_clear_error();
    int result = SSL_do_handshake(ssl);
    *ret_is_through = result == 1;
    if (result == 1 || SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ)
        return true;
    *ret_error = ERR_peek_error();
    return false;
}

/* The client reads what is left of the handshake: tickets, or why the other does not want it. */
static inline bool ends_hear(struct ends *ends)
{
    char octet;
    ERR_clear_error();
    int result = SSL_read(ends->client, &octet, 1);
    bool is_well = SSL_get_error(ends->client, result) == SSL_ERROR_WANT_READ;
    if (!is_well)
        ends->client_error = ERR_peek_error();
    return is_well;
}

/* True: both sides are through. */
static inline bool ends_shake_hands(struct ends *ends)
{
    for (int turns = 0; turns < 20; turns++) {
        bool client, server;
        if (!ends_step(ends->client, &client, &ends->client_error)) {
            ends_step(ends->server, &server, &ends->server_error);
            return false;
        }
        if (!ends_step(ends->server, &server, &ends->server_error)) {
            ends_hear(ends);
            return false;
        }
        if (client && server)
            return ends_hear(ends);
    }
    return false;
}

#endif
