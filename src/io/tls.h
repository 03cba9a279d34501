/* tls: OpenSSL contexts for both sides. */
#ifndef IO_TLS_H
#define IO_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>

/* The context of a side that is connected to, its certificate (with its chain) and key loaded, from PEM files. NULL:
 * OpenSSL's error queue says why, and *ret_wrong what could not be made or loaded: enum tls_wrong. */
enum tls_wrong { TLS_WRONG_CONTEXT, TLS_WRONG_CERTIFICATE, TLS_WRONG_KEY, TLS_WRONG_PAIR };
SSL_CTX *tls_own_context(const char *certificate_file, const char *key_file, enum tls_wrong *ret_wrong);

/* The context of a side that connects to others. If it verifies them, it uses the certificates in ca_file, or the
 * system's if that is "". NULL: OpenSSL's error queue says why. */
SSL_CTX *tls_peer_context(bool is_verified, const char *ca_file);

/* One end of a connection; NULL if out of memory. The side that connects sends the name of the other (RFC 6066) and
 * verifies it (RFC 9525): the name of a host, or an address, which is not sent. */
SSL *tls_accept(SSL_CTX *context);
SSL *tls_peer(SSL_CTX *context, const char *name);

/* What a handshake has agreed on. */
enum tls_version { TLS_VERSION_1_2, TLS_VERSION_1_3, TLS_VERSION_COUNT };
enum tls_version tls_version(const SSL *ssl);
extern const char *const tls_version_names[TLS_VERSION_COUNT]; /* as OpenSSL writes them: "TLSv1.3" */

/* Why the other side's certificate was refused, in static words, or NULL if it was not. */
const char *tls_verify_failure(const SSL *ssl);

#endif
