#include "tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

static void tls_complain(const struct config *config, unsigned line, const char *what, const char *file, FILE *errors)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(code);
    fprintf(errors, "%s:%u: %s%s%s: %s\n", config->path, line, what, *file ? " " : "", file,
            reason ? reason : "unknown error");
    ERR_clear_error();
}

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

SSL_CTX *tls_listener_context(const struct config *config, const struct config_listener *listener, FILE *errors)
{
    ERR_clear_error();
    SSL_CTX *context = tls_context(TLS_server_method());
    if (!context) {
        tls_complain(config, listener->line, "TLS", "", errors);
        return NULL;
    }
    /* What clients send holds passwords and tokens. */
    SSL_CTX_set_options(context, SSL_OP_CLEANSE_PLAINTEXT | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_default_passwd_cb(context, tls_refuse_passphrase);
    if (SSL_CTX_use_certificate_chain_file(context, listener->tls_cert_file) != 1)
        tls_complain(config, listener->line, "tls_cert_file", listener->tls_cert_file, errors);
    else if (SSL_CTX_use_PrivateKey_file(context, listener->tls_key_file, SSL_FILETYPE_PEM) != 1)
        tls_complain(config, listener->line, "tls_key_file", listener->tls_key_file, errors);
    else if (SSL_CTX_check_private_key(context) != 1)
        tls_complain(config, listener->line, "tls_key_file does not match tls_cert_file", "", errors);
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

SSL_CTX *tls_upstream_context(const struct config *config, const struct config_upstream *upstream, FILE *errors)
{
    SSL_CTX *context = tls_peer_context(upstream->tls_verify, upstream->tls_ca_file);
    if (!context)
        tls_complain(config, upstream->line, *upstream->tls_ca_file ? "tls_ca_file" : "the system's certificates",
                     upstream->tls_ca_file, errors);
    return context;
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

SSL *tls_connect(SSL_CTX *context, const struct config_upstream *upstream)
{
    return tls_peer(context, *upstream->tls_name ? upstream->tls_name : upstream->host);
}

const char *tls_verify_failure(const SSL *ssl)
{
    long result = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;
    return result == X509_V_OK ? NULL : X509_verify_cert_error_string(result);
}
