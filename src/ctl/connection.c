#include "connection.h"

#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lookup.h"
#include "tls.h"

__attribute__((format(printf, 2, 3))) static bool connection_fail(struct connection *connection, const char *format,
                                                                  ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(connection->error, sizeof connection->error, format, args);
    va_end(args);
    return false;
}

static bool connection_timed_out(struct connection *connection, const char *waiting_for)
{
    return connection_fail(connection, "no %s within %g s", waiting_for, connection->target->timeout_ms / 1000.0);
}

void connection_set_deadline(struct connection *connection)
{
    connection->deadline_us = clock_us() + (uint64_t)connection->target->timeout_ms * 1000;
}

/* Whoever never has to wait, as the server never stops, must heed the deadline as well. */
static bool connection_is_in_time(struct connection *connection, const char *waiting_for)
{
    return clock_us() < connection->deadline_us || connection_timed_out(connection, waiting_for);
}

/* Waits until the socket is ready for events. */
static bool connection_wait(struct connection *connection, short events, const char *waiting_for)
{
    for (;;) {
        struct pollfd poll_fd = { .fd = connection->fd, .events = events };
        uint64_t now_us = clock_us(), left_us = now_us < connection->deadline_us ? connection->deadline_us - now_us : 0;
        int ready = poll(&poll_fd, 1, (int)((left_us + 999) / 1000));
        if (ready > 0)
            return true;
        if (ready == 0)
            return connection_timed_out(connection, waiting_for);
        if (errno != EINTR)
            return connection_fail(connection, "poll: %s", strerror(errno));
    }
}

/* --- TCP --- */

static bool connection_connect_to(struct connection *connection, const struct endpoint *endpoint)
{
    int error = 0;
    socklen_t size = sizeof error;

    connection->fd = socket(endpoint->sockaddr.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (connection->fd < 0)
        return connection_fail(connection, "socket: %s", strerror(errno));
    if (connect(connection->fd, &endpoint->sockaddr.any, endpoint->len) < 0 && errno != EINPROGRESS)
        return connection_fail(connection, "%s", strerror(errno));
    if (!connection_wait(connection, POLLOUT, "connection"))
        return false;
    if (getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error)
        return connection_fail(connection, "%s", strerror(error ? error : errno));
    /* A flight must not wait for the acknowledgement of the one before: what is measured is the server. */
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    return true;
}

static bool connection_connect(struct connection *connection)
{
    struct lookup lookup;
    bool is_connected = false;

    connection_set_deadline(connection);
    lookup_host(&lookup, connection->target->host, connection->target->port, connection->deadline_us);
    if (lookup.count == 0)
        return lookup.why ? connection_fail(connection, "%s", lookup.why)
                          : connection_timed_out(connection, "answer from the resolver");
    for (unsigned i = 0; i < lookup.count && !is_connected; i++) {
        if (connection->fd >= 0)
            close(connection->fd);
        connection->fd = -1;
        connection_set_deadline(connection);
        is_connected = connection_connect_to(connection, &lookup.endpoints[i]);
    }
    return is_connected;
}

/* --- TLS --- */

static const char *tls_reason(void)
{
    unsigned long code = ERR_get_error();
    const char *reason = ERR_reason_error_string(code);
    ERR_clear_error();
    return code == 0 ? "connection closed" : reason ? reason : "unknown error";
}

/* An operation that OpenSSL has not finished: waits for what it wants. False if it has failed for good. */
static bool connection_tls_wait(struct connection *connection, int result, const char *waiting_for)
{
    switch (SSL_get_error(connection->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return connection_wait(connection, SSL_want_write(connection->ssl) ? POLLOUT : POLLIN, waiting_for);
    case SSL_ERROR_ZERO_RETURN:
        return connection_fail(connection, "the server has closed the connection");
    case SSL_ERROR_SYSCALL:
        if (errno)
            return connection_fail(connection, "%s", strerror(errno));
        /* fall through */
    default:
        return connection_fail(connection, "TLS: %s", tls_reason());
    }
}

static bool connection_handshake(struct connection *connection)
{
    const char *failure;
    int result;

    for (;;) {
        ERR_clear_error();
        errno = 0;
        if ((result = SSL_do_handshake(connection->ssl)) == 1)
            return true;
        failure = connection->target->is_insecure ? NULL : tls_verify_failure(connection->ssl);
        if (failure)
            return connection_fail(
                connection, "the server's certificate is refused: %s (--ca-file FILE names the CAs to trust)", failure);
        if (!connection_tls_wait(connection, result, "TLS handshake"))
            return false;
    }
}

bool connection_secure(struct connection *connection)
{
    const struct connection_target *target = connection->target;

    const struct tls_peering peering = {
        .is_verified = !target->is_insecure, .ca_file = target->ca_file, .cert_file = "", .key_file = ""
    };
    struct tls_fault fault;

    connection->context = tls_peer_context(&peering, &fault);
    if (!connection->context && *target->ca_file)
        return connection_fail(connection, "%s: %s", target->ca_file, tls_reason());
    connection->ssl = connection->context ? tls_peer(connection->context, target->host, NULL) : NULL;
    if (!connection->ssl || SSL_set_fd(connection->ssl, connection->fd) != 1)
        return connection_fail(connection, "TLS: %s", tls_reason());
    return connection_handshake(connection);
}

/* --- both --- */

bool connection_open(struct connection *connection, const struct connection_target *target)
{
    *connection = (struct connection){ .target = target, .fd = -1 };
    return connection_connect(connection) && (target->tls != CONNECTION_IMPLICIT || connection_secure(connection));
}

void connection_close(struct connection *connection)
{
    if (connection->ssl && SSL_is_init_finished(connection->ssl))
        SSL_shutdown(connection->ssl);
    SSL_free(connection->ssl);
    SSL_CTX_free(connection->context);
    if (connection->fd >= 0)
        close(connection->fd);
    ERR_clear_error();
    connection->ssl = NULL;
    connection->context = NULL;
    connection->fd = -1;
}

/* After a call of the socket's that has failed, perhaps only because it would have had to wait: waits. */
static bool connection_clear_wait(struct connection *connection, short events, const char *waiting_for)
{
    if (errno != EAGAIN && errno != EINTR)
        return connection_fail(connection, "%s", strerror(errno));
    return connection_wait(connection, events, waiting_for);
}

bool connection_write(struct connection *connection, struct imapstate_span octets)
{
    size_t written = 0;

    while (written < octets.len) {
        size_t taken = 0, left = octets.len - written;
        ERR_clear_error();
        errno = 0;
        if (connection->ssl) {
            int result = SSL_write_ex(connection->ssl, octets.at + written, left, &taken);
            if (result != 1 && !connection_tls_wait(connection, result, "room to write"))
                return false;
        } else {
            ssize_t len = send(connection->fd, octets.at + written, left, MSG_NOSIGNAL);
            if (len < 0 && !connection_clear_wait(connection, POLLOUT, "room to write"))
                return false;
            taken = len > 0 ? (size_t)len : 0;
        }
        written += taken;
    }
    return true;
}

/* What has arrived goes to octets. *ret_len 0: nothing yet. */
static bool connection_receive(struct connection *connection, uint8_t *octets, size_t size, size_t *ret_len)
{
    ERR_clear_error();
    errno = 0;
    *ret_len = 0;
    if (connection->ssl) {
        int result = SSL_read_ex(connection->ssl, octets, size, ret_len);
        return result == 1 || connection_tls_wait(connection, result, "answer");
    }
    ssize_t len = recv(connection->fd, octets, size, 0);
    if (len == 0)
        return connection_fail(connection, "the server has closed the connection");
    if (len < 0)
        return connection_clear_wait(connection, POLLIN, "answer");
    *ret_len = (size_t)len;
    return true;
}

bool connection_read(struct connection *connection, struct imapstate_buf *in)
{
    uint8_t octets[16384];
    size_t len = 0;

    while (len == 0)
        if (!connection_is_in_time(connection, "answer") ||
            !connection_receive(connection, octets, sizeof octets, &len))
            return false;
    bool fits = imapstate_buf_put(in, (struct imapstate_span){ octets, len });
    sodium_memzero(octets, len);
    return fits || connection_fail(connection, "the server's answer is too long");
}

const char *connection_protocol(const struct connection *connection)
{
    return connection->ssl ? SSL_get_version(connection->ssl) : "no TLS";
}
