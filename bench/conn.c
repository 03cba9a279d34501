#include "conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_LIMIT_S 30
#define INPUT_OCTETS   262144

/* What has arrived and was not looked at yet. One for all connections: each is read to the end of its answer before
 * another one is. */
static char input[INPUT_OCTETS];
static size_t input_at, input_len;

static SSL_CTX *tls; /* NULL without TLS */

const char *program = "bench";
const char *doing = "connecting";

void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: while %s: ", program, doing);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

unsigned long number(const char *text, unsigned long max)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno || end == text || *end || value < 1 || value > max)
        die("\"%s\" is not a number from 1 to %lu", text, max);
    return value;
}

/* One version, one cipher, one group: all peers must do the same work, whatever each of them would prefer. */
void tls_open(void)
{
    tls = SSL_CTX_new(TLS_client_method());
    if (!tls || !SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) ||
        !SSL_CTX_set_ciphersuites(tls, "TLS_AES_128_GCM_SHA256") || !SSL_CTX_set1_groups_list(tls, "X25519"))
        die("OpenSSL refuses TLS 1.3 with AES-128-GCM");
    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
}

void tls_close(void)
{
    SSL_CTX_free(tls);
}

static void conn_begin_tls(struct conn *conn)
{
    conn->ssl = SSL_new(tls);
    if (!conn->ssl || !SSL_set_fd(conn->ssl, conn->fd) || SSL_connect(conn->ssl) != 1)
        die("TLS handshake failed");
}

void conn_open(struct conn *conn, struct in_addr address, uint16_t port)
{
    const struct timeval limit = { .tv_sec = ANSWER_LIMIT_S };
    const struct sockaddr_in peer = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = address };
    doing = "connecting";
    *conn = (struct conn){ .fd = -1 };
    conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (conn->fd < 0 || setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)) ||
        setsockopt(conn->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)))
        die("socket: %s", strerror(errno));
    if (connect(conn->fd, (const struct sockaddr *)&peer, sizeof(peer)))
        die("port %u: %s", port, strerror(errno));
    if (tls)
        conn_begin_tls(conn);
    input_at = input_len = 0;
}

void conn_close(struct conn *conn)
{
    SSL_free(conn->ssl);
    close(conn->fd);
}

void conn_write(struct conn *conn, const char *at, size_t len)
{
    ssize_t put = conn->ssl ? SSL_write(conn->ssl, at, (int)len) : send(conn->fd, at, len, MSG_NOSIGNAL);
    if (put != (ssize_t)len)
        die("cannot write");
}

/* More input, behind what is not consumed. 0 at the end of the connection. */
static size_t conn_read(struct conn *conn)
{
    if (input_at == input_len)
        input_at = input_len = 0;
    if (input_at) {
        memmove(input, input + input_at, input_len - input_at);
        input_len -= input_at;
        input_at = 0;
    }
    if (input_len == sizeof(input))
        die("a line is too long");
    char *to = input + input_len;
    size_t room = sizeof(input) - input_len;
    ssize_t got = conn->ssl ? SSL_read(conn->ssl, to, (int)room) : recv(conn->fd, to, room, 0);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        die("no answer within %d s", ANSWER_LIMIT_S);
    if (got <= 0)
        return 0;
    /* Linux takes this as a hint for what has just come, so it is given anew each time (tcp(7)). */
    if (conn->quick_ack && setsockopt(conn->fd, IPPROTO_TCP, TCP_QUICKACK, &(int){ 1 }, sizeof(int)))
        die("TCP_QUICKACK: %s", strerror(errno));
    input_len += (size_t)got;
    return (size_t)got;
}

/* The next line without its CRLF; valid until the next call. */
static char *conn_line(struct conn *conn)
{
    size_t scanned = 0;
    for (;;) {
        char *line = input + input_at;
        char *end = memchr(line + scanned, '\n', input_len - input_at - scanned);
        if (end) {
            input_at = (size_t)(end + 1 - input);
            *(end > line && end[-1] == '\r' ? end - 1 : end) = '\0';
            return line;
        }
        scanned = input_len - input_at;
        if (!conn_read(conn))
            die("the connection ended");
    }
}

static void conn_skip(struct conn *conn, uint64_t octets)
{
    while (octets) {
        if (input_at == input_len && !conn_read(conn))
            die("the connection ended inside a literal");
        size_t here = input_len - input_at;
        if (here > octets)
            here = (size_t)octets;
        input_at += here;
        octets -= here;
    }
}

/* Octets of the literal that this line of a FETCH answer announces, else 0. Only such lines are asked: human text may
 * end in {12} too. */
static uint64_t line_literal(const char *line)
{
    size_t len = strlen(line);
    const char *open = strrchr(line, '{');
    return open && len && line[len - 1] == '}' ? strtoull(open + 1, NULL, 10) : 0;
}

uint64_t conn_await(struct conn *conn, unsigned answers)
{
    uint64_t literals = 0;
    bool is_fetch = false;
    while (answers) {
        const char *line = conn_line(conn);
        if (*line == 'a') {
            const char *word = strchr(line, ' ');
            if (!word || strncmp(word, " OK", 3))
                die("answer is \"%.200s\"", line);
            answers--;
            continue;
        }
        if (!strncmp(line, "* BYE", 5))
            die("answer is \"%.200s\"", line);
        conn->restored += !strncmp(line, "* STATE ", 8);
        conn->fetched += strstr(line, " FETCH (") != NULL;
        is_fetch = is_fetch || strstr(line, " FETCH (");
        uint64_t octets = is_fetch ? line_literal(line) : 0;
        is_fetch = octets; /* what follows a literal is still the FETCH answer */
        literals += octets;
        conn_skip(conn, octets);
    }
    return literals;
}

void conn_command(struct conn *conn, const char *command)
{
    doing = command;
    conn_write(conn, command, strlen(command));
    conn_await(conn, 1);
}

void conn_greeting(struct conn *conn)
{
    doing = "waiting for the greeting";
    const char *line = conn_line(conn);
    if (strncmp(line, "* OK", 4))
        die("greeting is \"%.200s\"", line);
}

const char *conn_cipher(const struct conn *conn)
{
    return conn->ssl ? SSL_get_cipher_name(conn->ssl) : "none";
}

void conn_logout(struct conn *conn)
{
    static const char logout[] = "a LOGOUT\r\n";
    doing = "logging out";
    conn_write(conn, logout, sizeof(logout) - 1);
    do
        input_at = input_len = 0;
    while (conn_read(conn));
    conn_close(conn);
}
