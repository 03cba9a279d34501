#include "tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "certificates.h"
#include "pins.h"
#include "resumption.h"
#include "tickets.h"

static bool tls_fail(struct tls_fault *ret_fault, enum tls_wrong what, const char *option, size_t at)
{
    *ret_fault = (struct tls_fault){ what, option, at };
    return false;
}

static int tls_refuse_passphrase(char *buffer, int size, int is_writing, void *arg)
{
    return 0; /* a daemon has nobody to ask */
}

/* NULL if out of memory. */
static SSL_CTX *tls_context(const SSL_METHOD *method, struct tls_fault *ret_fault)
{
    ERR_clear_error();
    tls_fail(ret_fault, TLS_WRONG_CONTEXT, "TLS", 0);
    SSL_CTX *context = SSL_CTX_new(method);
    if (!context)
        return NULL;
    /* RFC 9051 section 11.1: TLS 1.2 at least. */
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    /* An idle session holds no record buffers; a write that could take only part says so; what was not taken may lie
     * elsewhere when it is offered again. */
    SSL_CTX_set_mode(context,
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_default_passwd_cb(context, tls_refuse_passphrase);
    return context;
}

static bool tls_apply_policy(SSL_CTX *context, const struct tlspolicy *policy, struct tls_fault *ret_fault)
{
    const char *option = tlspolicy_apply(policy, context);
    return !option || tls_fail(ret_fault, TLS_WRONG_POLICY, option, 0);
}

/* The key was compared with the certificate as soon as it was read. */
static bool tls_is_mismatch(void)
{
    unsigned long error = ERR_peek_last_error();
    int reason = ERR_GET_REASON(error);
    return ERR_GET_LIB(error) == ERR_LIB_X509 &&
           (reason == X509_R_KEY_VALUES_MISMATCH || reason == X509_R_KEY_TYPE_MISMATCH);
}

static bool tls_load_pair(SSL_CTX *context, const char *cert_file, const char *key_file, size_t at,
                          struct tls_fault *ret_fault)
{
    if (SSL_CTX_use_certificate_chain_file(context, cert_file) != 1)
        return tls_fail(ret_fault, TLS_WRONG_CERTIFICATE, "tls_cert_file", at);
    if (SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) != 1)
        return tls_fail(ret_fault, tls_is_mismatch() ? TLS_WRONG_PAIR : TLS_WRONG_KEY, "tls_key_file", at);
    if (SSL_CTX_check_private_key(context) != 1)
        return tls_fail(ret_fault, TLS_WRONG_PAIR, "tls_key_file", at);
    return true;
}

/* --- a side that is connected to --- */

static bool tls_load_pairs(SSL_CTX *context, const struct tls_own *own, struct certificates *certificates,
                           struct tls_fault *ret_fault)
{
    for (size_t i = 0; i < own->count; i++) {
        if (!tls_load_pair(context, own->cert_files[i], own->key_files[i], i, ret_fault))
            return false;
        if (!certificates_add(certificates, context))
            return tls_fail(ret_fault, TLS_WRONG_CONTEXT, "TLS", i);
        if (own->on_loaded)
            own->on_loaded(own->arg, i, context);
    }
    return true;
}

static bool tls_show_certificates(SSL_CTX *context, const struct tls_own *own, struct tls_fault *ret_fault)
{
    struct certificates *certificates = certificates_new();
    if (!certificates)
        return false;
    if (tls_load_pairs(context, own, certificates, ret_fault) && certificates_serve(context, certificates))
        return true;
    certificates_free(certificates);
    return false;
}

static bool tls_ask_for_certificate(SSL_CTX *context, const struct tls_own *own, struct tls_fault *ret_fault)
{
    if (own->client_certificate == TLS_CLIENT_CERTIFICATE_NONE)
        return true;
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(own->client_ca_file);
    if (!names || SSL_CTX_load_verify_file(context, own->client_ca_file) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return tls_fail(ret_fault, TLS_WRONG_CA, "tls_client_ca_file", 0);
    }
    SSL_CTX_set_client_CA_list(context, names);
    bool is_required = own->client_certificate == TLS_CLIENT_CERTIFICATE_REQUIRED;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (is_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
    return true;
}

/* --- what tickets are bound to --- */

/* Such that no two ways to divide the octets are the same. */
static void digest_add(crypto_generichash_state *hash, const void *octets, size_t len)
{
    uint64_t prefix = len;
    crypto_generichash_update(hash, (const uint8_t *)&prefix, sizeof prefix);
    if (len > 0)
        crypto_generichash_update(hash, octets, len);
}

static void digest_add_text(crypto_generichash_state *hash, const char *text)
{
    digest_add(hash, text, strlen(text));
}

/* In the order of the store, which is that of the names. */
static void digest_add_authorities(crypto_generichash_state *hash, const SSL_CTX *context)
{
    STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(SSL_CTX_get_cert_store(context));
    for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
        uint8_t *der = NULL;
        X509 *certificate = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
        int len = certificate ? i2d_X509(certificate, &der) : 0;
        if (len > 0)
            digest_add(hash, der, (size_t)len);
        OPENSSL_free(der);
    }
}

/* A session that was begun under another policy, or by a certificate that another CA had signed, is not resumed; nor
 * one that was begun with another listener, which may lead to another server: the client does not see that. */
static void tls_digest(const struct tls_own *own, const SSL_CTX *context, uint8_t ret_digest[TICKETS_DIGEST_OCTETS])
{
    uint8_t numbers[] = { (uint8_t)own->policy->min_version, (uint8_t)own->client_certificate };
    crypto_generichash_state hash;
    crypto_generichash_init(&hash, NULL, 0, TICKETS_DIGEST_OCTETS);
    digest_add(&hash, numbers, sizeof numbers);
    digest_add_text(&hash, own->name);
    digest_add_text(&hash, own->policy->ciphers);
    digest_add_text(&hash, own->policy->ciphersuites);
    digest_add_text(&hash, own->policy->groups);
    digest_add_authorities(&hash, context);
    crypto_generichash_final(&hash, ret_digest, TICKETS_DIGEST_OCTETS);
}

static bool tls_serve_tickets(SSL_CTX *context, const struct tls_own *own, struct tls_fault *ret_fault)
{
    uint8_t digest[TICKETS_DIGEST_OCTETS];
    tls_digest(own, context, digest);
    return tickets_serve(context, own->tickets, digest) || tls_fail(ret_fault, TLS_WRONG_CONTEXT, "TLS", 0);
}

SSL_CTX *tls_own_context(const struct tls_own *own, struct tls_fault *ret_fault)
{
    SSL_CTX *context = tls_context(TLS_server_method(), ret_fault);
    if (!context)
        return NULL;
    /* What clients send holds passwords and tokens. */
    SSL_CTX_set_options(context, SSL_OP_CLEANSE_PLAINTEXT | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_dh_auto(context, 1); /* for clients that have no elliptic curves, a group as strong as the key */
    if (tls_apply_policy(context, own->policy, ret_fault) && tls_show_certificates(context, own, ret_fault) &&
        tls_ask_for_certificate(context, own, ret_fault) && tls_serve_tickets(context, own, ret_fault))
        return context;
    SSL_CTX_free(context);
    return NULL;
}

/* --- a side that connects to others --- */

static bool tls_trust(SSL_CTX *context, const char *ca_file, struct tls_fault *ret_fault)
{
    int loaded =
        *ca_file ? SSL_CTX_load_verify_locations(context, ca_file, NULL) : SSL_CTX_set_default_verify_paths(context);
    return loaded == 1 || tls_fail(ret_fault, TLS_WRONG_CA, *ca_file ? "tls_ca_file" : "the system's certificates", 0);
}

/* In place of OpenSSL's own verification. */
static int tls_on_pin_alone(X509_STORE_CTX *store, void *arg)
{
    const struct pins *pins = arg;
    if (pins_have(pins, X509_STORE_CTX_get0_cert(store)))
        return 1;
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
}

static int tls_on_pin_too(X509_STORE_CTX *store, void *arg)
{
    return X509_verify_cert(store) == 1 && tls_on_pin_alone(store, arg);
}

static void tls_verify(SSL_CTX *context, const struct tls_peering *peering)
{
    bool is_pinned = peering->pins && peering->pins->count > 0;
    SSL_CTX_set_verify(context, peering->is_verified || is_pinned ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    if (is_pinned)
        SSL_CTX_set_cert_verify_callback(context, peering->is_verified ? tls_on_pin_too : tls_on_pin_alone,
                                         (void *)(uintptr_t)peering->pins);
}

static bool tls_set_up_peer(SSL_CTX *context, const struct tls_peering *peering, struct tls_fault *ret_fault)
{
    if (peering->policy && !tls_apply_policy(context, peering->policy, ret_fault))
        return false;
    if (*peering->cert_file && !tls_load_pair(context, peering->cert_file, peering->key_file, 0, ret_fault))
        return false;
    if (!tls_trust(context, peering->ca_file, ret_fault))
        return false;
    tls_verify(context, peering);
    return !peering->is_resumed || resumption_begin(context) || tls_fail(ret_fault, TLS_WRONG_CONTEXT, "TLS", 0);
}

SSL_CTX *tls_peer_context(const struct tls_peering *peering, struct tls_fault *ret_fault)
{
    SSL_CTX *context = tls_context(TLS_client_method(), ret_fault);
    if (!context || tls_set_up_peer(context, peering, ret_fault))
        return context;
    SSL_CTX_free(context);
    return NULL;
}

/* --- connections --- */

SSL *tls_accept(SSL_CTX *context)
{
    SSL *ssl = SSL_new(context);
    if (ssl)
        SSL_set_accept_state(ssl);
    return ssl;
}

static bool tls_is_address(const char *name)
{
    uint8_t octets[16];
    return inet_pton(AF_INET, name, octets) == 1 || inet_pton(AF_INET6, name, octets) == 1;
}

static bool tls_expect_name(SSL *ssl, const char *name)
{
    if (tls_is_address(name))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    /* RFC 9525 section 6.3: the subject is no place to look for a name. */
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

/* Two servers that differ in either do not know each other's sessions, and were not verified for each other. */
static bool tls_offer_session(SSL *ssl, const char *name, const char *place)
{
    char *peer = NULL;
    if (asprintf(&peer, "%s %s", name, place) < 0)
        return false;
    bool is_offered = resumption_offer(ssl, peer);
    free(peer);
    return is_offered;
}

SSL *tls_peer(SSL_CTX *context, const char *name, const char *place)
{
    SSL *ssl = SSL_new(context);
    if (!ssl)
        return NULL;
    SSL_set_connect_state(ssl);
    if (tls_expect_name(ssl, name) && (!place || tls_offer_session(ssl, name, place)))
        return ssl;
    SSL_free(ssl);
    return NULL;
}

const char *const tls_version_names[TLS_VERSION_COUNT] = { "TLSv1.2", "TLSv1.3" };

/* tls_context() allows no other. */
enum tls_version tls_agreed_version(const SSL *ssl)
{
    return SSL_version(ssl) >= TLS1_3_VERSION ? TLS_VERSION_1_3 : TLS_VERSION_1_2;
}

const char *tls_verify_failure(const SSL *ssl)
{
    long result = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;
    if (result == X509_V_OK)
        return NULL;
    if (result == X509_V_ERR_APPLICATION_VERIFICATION)
        return "its key is none of tls_pin";
    return X509_verify_cert_error_string(result);
}

static void tls_put_subject(const X509 *certificate, char *ret_subject, size_t size)
{
    BIO *text = BIO_new(BIO_s_mem());
    *ret_subject = '\0';
    /* Whatever is not ASCII or might be taken for syntax is escaped. */
    if (text && X509_NAME_print_ex(text, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) >= 0) {
        int len = BIO_read(text, ret_subject, (int)size - 1);
        ret_subject[len > 0 ? len : 0] = '\0';
    }
    BIO_free(text);
}

bool tls_certificate_of_peer(const SSL *ssl, char *ret_subject, size_t size, char ret_fingerprint[TLS_FINGERPRINT_SIZE])
{
    const X509 *certificate = SSL_get0_peer_certificate(ssl);
    uint8_t digest[(TLS_FINGERPRINT_SIZE - 1) / 2];
    if (!certificate || X509_digest(certificate, EVP_sha256(), digest, NULL) != 1)
        return false;
    tls_put_subject(certificate, ret_subject, size);
    sodium_bin2hex(ret_fingerprint, TLS_FINGERPRINT_SIZE, digest, sizeof digest);
    return true;
}

/* What a server says of the reason is hardly more than "no"; the rest is our own settings. */
static const char *tls_peer_words(int reason)
{
    switch (reason) {
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
    case SSL_R_TLSV1_ALERT_INSUFFICIENT_SECURITY:
        return "handshake failure: nothing in common by tls_ciphers, tls_ciphersuites and tls_groups, or it wants a "
               "certificate (tls_cert_file)";
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_UNSUPPORTED_PROTOCOL:
        return "unsupported protocol: it speaks no version of TLS from tls_min_version on";
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        return "certificate required: it wants one of ours (tls_cert_file)";
    default:
        return NULL;
    }
}

const char *tls_error_words(unsigned long code, bool is_made)
{
    const char *words = NULL;
    if (is_made && ERR_GET_LIB(code) == ERR_LIB_SSL)
        words = tls_peer_words(ERR_GET_REASON(code));
    if (!words)
        words = ERR_reason_error_string(code);
    return words ? words : "TLS protocol error";
}
