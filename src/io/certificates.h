/* certificates: those that a side shows which is connected to, chosen by the name that the other side asks for (SNI,
 * RFC 6066 section 3). Of a name's, there may be one for each kind of key, and the client's signature algorithms
 * decide. If nobody has the name, or none is asked for, it is the first that counts, and those of other kinds that have
 * all of its names. */
#ifndef IO_CERTIFICATES_H
#define IO_CERTIFICATES_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

struct certificates;

struct certificates *certificates_new(void);               /* NULL: out of memory */
void certificates_free(struct certificates *certificates); /* accepts NULL */

/* Takes over what the context has been given: its certificate, the chain and the key. False: out of memory. */
bool certificates_add(struct certificates *certificates, SSL_CTX *context);

/* From here on the context shows them. certificates is taken, and lives as long as the context; with one alone there is
 * nothing to choose. False: out of memory, and certificates is still the caller's. */
bool certificates_serve(SSL_CTX *context, struct certificates *certificates);

#endif
