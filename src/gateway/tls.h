/* tls: OpenSSL contexts for both sides. */
#ifndef GATEWAY_TLS_H
#define GATEWAY_TLS_H

#include <openssl/ssl.h>
#include <stdio.h>

#include "config.h"

/* The context of a listener, its certificate and key loaded; NULL after writing what is wrong to errors, a line each.
 */
SSL_CTX *tls_listener_context(const struct config *config, const struct config_listener *listener, FILE *errors);

/* The context of an upstream, what it verifies with loaded; NULL likewise. */
SSL_CTX *tls_upstream_context(const struct config *config, const struct config_upstream *upstream, FILE *errors);

/* The end of one connection; NULL if memory is out. The upstream's sends and verifies its name (RFC 6125, RFC 6066). */
SSL *tls_accept(SSL_CTX *context);
SSL *tls_connect(SSL_CTX *context, const struct config_upstream *upstream);

/* Why the upstream's certificate was refused, in static words, or NULL if it was not. */
const char *tls_verify_failure(const SSL *ssl);

#endif
