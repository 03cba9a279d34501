/* resumption: the TLS sessions that a side which connects has been given by servers, so that the next connection to the
 * same one begins with what was agreed and verified there. That costs both sides a fraction.
 *
 * They are kept with the context, and so with its policy: what was verified under one is not resumed under another.
 * Each is used by one connection at a time, which TLS 1.3 demands (RFC 8446 appendix C.4), and for two hours at most,
 * after which a server's certificate is looked at again. */
#ifndef IO_RESUMPTION_H
#define IO_RESUMPTION_H

#include <openssl/ssl.h>
#include <stdbool.h>

/* How many sessions are kept of a context, and of these with one server; the oldest go first. */
#define RESUMPTION_MAX      128u
#define RESUMPTION_PEER_MAX 16u

#define RESUMPTION_AGE_MAX_S 7200u

/* From here on sessions of the context are kept; for any number of threads. False: out of memory. */
bool resumption_begin(SSL_CTX *context);

/* Before the handshake. peer: the server, with everything that tells it from others, such as its address and the name
 * that was verified; copied. Sessions that ssl is given are kept for it, and if there is one, this is to resume it.
 * False: out of memory. */
bool resumption_offer(SSL *ssl, const char *peer);

/* After it. A resumed session of TLS 1.2 that was not replaced serves again. */
void resumption_settle(SSL *ssl);

#endif
