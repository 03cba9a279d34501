/* tls: OpenSSL contexts for both sides. */
#ifndef IO_TLS_H
#define IO_TLS_H

#include <openssl/ssl.h>
#include <stdio.h>

#include "config.h"

/* The context of a listener, its certificate and key loaded; NULL after writing what is wrong to errors, a line each.
 */
SSL_CTX *tls_listener_context(const struct config *config, const struct config_listener *listener, FILE *errors);

/* The context of an upstream, what it verifies with loaded; NULL likewise. */
SSL_CTX *tls_upstream_context(const struct config *config, const struct config_upstream *upstream, FILE *errors);

/* The context of a side that connects to others. It verifies them, if at all, by the certificates in ca_file, or by the
 * system's if that is "". NULL: OpenSSL's queue of errors tells why. */
SSL_CTX *tls_peer_context(bool is_verified, const char *ca_file);

/* The end of one connection; NULL if memory is out. The side that connects sends the name of the other (RFC 6066) and
 * verifies it (RFC 9525): a host's name, or an address, which is not sent. */
SSL *tls_accept(SSL_CTX *context);
SSL *tls_peer(SSL_CTX *context, const char *name);
SSL *tls_connect(SSL_CTX *context, const struct config_upstream *upstream);

/* Why the other side's certificate was refused, in static words, or NULL if it was not. */
const char *tls_verify_failure(const SSL *ssl);

#endif
