/* connection: a connection to a server, with or without TLS. Every wait on it has an end.
 *
 * A function that fails has put the reason into error, in words for the operator; the connection is then of no use. */
#ifndef CTL_CONNECTION_H
#define CTL_CONNECTION_H

#include <imapstate/span.h>

#include <openssl/ssl.h>

enum connection_tls { CONNECTION_IMPLICIT, CONNECTION_STARTTLS, CONNECTION_PLAIN };

struct connection_target {
    const char *host, *port;
    enum connection_tls tls;
    bool is_insecure;    /* the certificate is not verified */
    const char *ca_file; /* "": the system's */
    int timeout_ms;      /* for the name, and for what follows each connection_set_deadline() */
};

struct connection {
    const struct connection_target *target; /* borrowed */
    SSL_CTX *context;                       /* owned; NULL without TLS */
    SSL *ssl;                               /* owned; NULL without TLS and before the handshake */
    int fd;                                 /* owned; -1: there is none */
    uint64_t deadline_us;                   /* on the monotonic clock */
    char error[400];
};

/* Connects by TCP, and does the handshake if TLS is implicit. Ends with connection_close(), even after a failure. */
bool connection_open(struct connection *connection, const struct connection_target *target);
void connection_close(struct connection *connection);

/* From now on, everything that is waited for must come within timeout_ms in total. Each address that is tried has that
 * long for itself. */
void connection_set_deadline(struct connection *connection);

/* The handshake after STARTTLS. */
bool connection_secure(struct connection *connection);

/* Writes everything. */
bool connection_write(struct connection *connection, struct imapstate_span octets);

/* Appends what has arrived, and waits if nothing has. Also false if the server has closed. */
bool connection_read(struct connection *connection, struct imapstate_buf *in);

/* "TLSv1.3", or "no TLS". Static. */
const char *connection_protocol(const struct connection *connection);

#endif
