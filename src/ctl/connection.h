/* connection: a connection to a server, in clear or under TLS, each wait of which has an end.
 *
 * A function that fails has put why into error, in words for the operator; the connection is of no use then. */
#ifndef CTL_CONNECTION_H
#define CTL_CONNECTION_H

#include <imapstate/span.h>

#include <openssl/ssl.h>

enum connection_tls { CONNECTION_IMPLICIT, CONNECTION_STARTTLS, CONNECTION_PLAIN };

struct connection_target {
    const char *host, *port;
    enum connection_tls tls;
    bool is_insecure;    /* the certificate is not verified */
    const char *ca_file; /* "": what the system trusts */
    int timeout_ms;      /* for the name, and for what follows each connection_set_deadline() */
};

struct connection {
    const struct connection_target *target; /* borrowed */
    SSL_CTX *context;                       /* owned; NULL in clear */
    SSL *ssl;                               /* owned; NULL in clear and before the handshake */
    int fd;                                 /* owned; -1: there is none */
    uint64_t deadline_us;                   /* on the monotonic clock */
    char error[400];
};

/* Connects by TCP, and shakes hands if TLS is implicit. connection_close() ends it, after a failure too. */
bool connection_open(struct connection *connection, const struct connection_target *target);
void connection_close(struct connection *connection);

/* From now on what is waited for must have come within timeout_ms in all. Each address that is tried has so long by
 * itself. */
void connection_set_deadline(struct connection *connection);

/* The handshake behind STARTTLS. */
bool connection_secure(struct connection *connection);

/* Writes all. */
bool connection_write(struct connection *connection, struct imapstate_span octets);

/* Appends what has arrived, waiting for it if nothing has. False too if the server has closed. */
bool connection_read(struct connection *connection, struct imapstate_buf *in);

/* "TLSv1.3", or "no TLS". Static. */
const char *connection_protocol(const struct connection *connection);

#endif
