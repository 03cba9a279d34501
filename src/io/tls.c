#include "tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

static SSL_CTX *tls_context(const SSL_METHOD *method)
{
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
    return context;
}

static int tls_refuse_passphrase(char *buffer, int size, int is_writing, void *arg)
{
    return 0; /* a daemon has nobody to ask */
}

/* The key was compared with the certificate as soon as it was read. */
static bool tls_is_mismatch(void)
{
    unsigned long error = ERR_peek_last_error();
    int reason = ERR_GET_REASON(error);
    return ERR_GET_LIB(error) == ERR_LIB_X509 &&
           (reason == X509_R_KEY_VALUES_MISMATCH || reason == X509_R_KEY_TYPE_MISMATCH);
}

SSL_CTX *tls_own_context(const char *certificate_file, const char *key_file, enum tls_wrong *ret_wrong)
{
    ERR_clear_error();
    SSL_CTX *context = tls_context(TLS_server_method());
    *ret_wrong = TLS_WRONG_CONTEXT;
    if (!context)
        return NULL;
    /* What clients send holds passwords and tokens. */
    SSL_CTX_set_options(context, SSL_OP_CLEANSE_PLAINTEXT | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_default_passwd_cb(context, tls_refuse_passphrase);
    if (SSL_CTX_use_certificate_chain_file(context, certificate_file) != 1)
        *ret_wrong = TLS_WRONG_CERTIFICATE;
    else if (SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) != 1)
        *ret_wrong = tls_is_mismatch() ? TLS_WRONG_PAIR : TLS_WRONG_KEY;
    else if (SSL_CTX_check_private_key(context) != 1)
        *ret_wrong = TLS_WRONG_PAIR;
    else
        return context;
    SSL_CTX_free(context);
    return NULL;
}

SSL_CTX *tls_peer_context(bool is_verified, const char *ca_file)
{
    ERR_clear_error();
    SSL_CTX *context = tls_context(TLS_client_method());
    if (!context)
        return NULL;
    SSL_CTX_set_verify(context, is_verified ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    int loaded =
        *ca_file ? SSL_CTX_load_verify_locations(context, ca_file, NULL) : SSL_CTX_set_default_verify_paths(context);
    if (loaded == 1)
        return context;
    SSL_CTX_free(context);
    return NULL;
}

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

SSL *tls_peer(SSL_CTX *context, const char *name)
{
    SSL *ssl = SSL_new(context);
    if (!ssl)
        return NULL;
    SSL_set_connect_state(ssl);
    bool is_set;
    if (tls_is_address(name)) {
        is_set = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    } else {
        /* RFC 9525 section 6.3: the subject is no place to look for a name. */
        SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
        is_set = SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
    }
    if (is_set)
        return ssl;
    SSL_free(ssl);
    return NULL;
}

const char *const tls_version_names[TLS_VERSION_COUNT] = { "TLSv1.2", "TLSv1.3" };

/* tls_context() allows no other. */
enum tls_version tls_version(const SSL *ssl)
{
    return SSL_version(ssl) >= TLS1_3_VERSION ? TLS_VERSION_1_3 : TLS_VERSION_1_2;
}

const char *tls_verify_failure(const SSL *ssl)
{
    long result = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;
    return result == X509_V_OK ? NULL : X509_verify_cert_error_string(result);
}
