/* load: an IMAP client for measurements, as lean as it can be, so that what is measured is what stands behind it.
 *
 * load fetch CLEAR_OR_TLS PORT COUNT PID...         one connection, COUNT times the 20 MB message
 * load noop  CLEAR_OR_TLS PORT COUNT DEPTH PID...   one connection, COUNT NOOPs, DEPTH in a write
 * load page  CLEAR_OR_TLS PORT COUNT STYLE          COUNT connections one after the other; STYLE: see page_run()
 * load idle  CLEAR_OR_TLS PORT COUNT                COUNT logged-in connections until standard input ends
 *
 * It prints NAME=VALUE words on one line. The PIDs are the proxy's: their CPU time is read right at the beginning and
 * the end of what is measured, so that connecting and login do not count. It ends by itself after TIME_LIMIT_S. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TIME_LIMIT_S   180
#define ANSWER_LIMIT_S 30
#define INPUT_OCTETS   262144
#define IDLE_GROUP     32
#define DEPTH_MAX      64
#define STALL_S        0.038 /* Linux delays an acknowledgement by 40 ms at least; timers differ by a little */

#define LOGIN  "a1 LOGIN bench bench\r\n"
#define SELECT "a2 SELECT INBOX\r\n"
#define FETCH  "a3 FETCH 1:* (UID FLAGS ENVELOPE)\r\n"

struct conn {
    int fd;
    SSL *ssl; /* NULL in clear */
};

/* What has arrived and was not looked at yet. One for all connections: each is read to the end of its answer before
 * another one is. */
static char input[INPUT_OCTETS];
static size_t input_at, input_len;

static SSL_CTX *tls; /* NULL in clear */
static const char *doing = "connecting";

static void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
static void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "load: while %s: ", doing);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* CPU time of all threads of these processes, user and system, to the nanosecond; /proc/PID/stat has it in ticks of
 * 10 ms only. */
static double cpu_s(char **pids)
{
    double sum_s = 0;
    for (; *pids; pids++) {
        clockid_t clock;
        struct timespec used;
        int error = clock_getcpuclockid((pid_t)strtol(*pids, NULL, 10), &clock);
        if (error || clock_gettime(clock, &used))
            die("the proxy's process %s is gone", *pids);
        sum_s += (double)used.tv_sec + (double)used.tv_nsec / 1e9;
    }
    return sum_s;
}

static unsigned long number(const char *text, unsigned long max)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno || end == text || *end || value < 1 || value > max)
        die("\"%s\" is not a number from 1 to %lu", text, max);
    return value;
}

/* One version, one cipher, one group: all peers must do the same work, whatever each of them would prefer. */
static void tls_open(void)
{
    tls = SSL_CTX_new(TLS_client_method());
    if (!tls || !SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) ||
        !SSL_CTX_set_ciphersuites(tls, "TLS_AES_128_GCM_SHA256") || !SSL_CTX_set1_groups_list(tls, "X25519"))
        die("OpenSSL refuses TLS 1.3 with AES-128-GCM");
    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
}

static void conn_begin_tls(struct conn *conn)
{
    conn->ssl = SSL_new(tls);
    if (!conn->ssl || !SSL_set_fd(conn->ssl, conn->fd) || SSL_connect(conn->ssl) != 1)
        die("TLS handshake failed");
}

static void conn_open(struct conn *conn, uint16_t port)
{
    const struct timeval limit = { .tv_sec = ANSWER_LIMIT_S };
    const struct sockaddr_in address = { .sin_family = AF_INET,
                                         .sin_port = htons(port),
                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    conn->ssl = NULL;
    conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (conn->fd < 0 || setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)) ||
        setsockopt(conn->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)))
        die("socket: %s", strerror(errno));
    if (connect(conn->fd, (const struct sockaddr *)&address, sizeof(address)))
        die("port %u: %s", port, strerror(errno));
    if (tls)
        conn_begin_tls(conn);
    input_at = input_len = 0;
}

static void conn_close(struct conn *conn)
{
    SSL_free(conn->ssl);
    close(conn->fd);
}

static void conn_write(struct conn *conn, const char *at, size_t len)
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

/* Reads until so many tagged answers, all of which must be OK, have come; gives the octets of literals before them.
 * They are counted, not matched: Dovecot may answer pipelined commands in another order. */
static uint64_t conn_await(struct conn *conn, unsigned answers)
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
        is_fetch = is_fetch || strstr(line, " FETCH (");
        uint64_t octets = is_fetch ? line_literal(line) : 0;
        is_fetch = octets; /* what follows a literal is still the FETCH answer */
        literals += octets;
        conn_skip(conn, octets);
    }
    return literals;
}

static void conn_command(struct conn *conn, const char *command)
{
    doing = command;
    conn_write(conn, command, strlen(command));
    conn_await(conn, 1);
}

static void conn_greeting(struct conn *conn)
{
    doing = "waiting for the greeting";
    const char *line = conn_line(conn);
    if (strncmp(line, "* OK", 4))
        die("greeting is \"%.200s\"", line);
}

static void conn_login(struct conn *conn, uint16_t port)
{
    conn_open(conn, port);
    conn_greeting(conn);
    conn_command(conn, LOGIN);
}

static const char *conn_cipher(const struct conn *conn)
{
    return conn->ssl ? SSL_get_cipher_name(conn->ssl) : "none";
}

static void fetch_run(uint16_t port, unsigned long count, char **pids)
{
    static const char fetch[] = "a FETCH 1 BODY.PEEK[]\r\n";
    struct conn conn;
    uint64_t octets = 0;
    conn_login(&conn, port);
    conn_command(&conn, "a2 SELECT big\r\n");
    conn_command(&conn, fetch); /* so that the message is in the page cache and the path is warm */
    doing = "fetching";
    double cpu_before_s = cpu_s(pids), began_s = now_s();
    for (unsigned long i = 0; i < count; i++) {
        conn_write(&conn, fetch, sizeof(fetch) - 1);
        octets += conn_await(&conn, 1);
    }
    double took_s = now_s() - began_s, cpu_took_s = cpu_s(pids) - cpu_before_s;
    printf("seconds=%.6f cpu_seconds=%.6f octets=%llu cipher=%s\n", took_s, cpu_took_s, (unsigned long long)octets,
           conn_cipher(&conn));
    conn_close(&conn);
}

static void noop_run(uint16_t port, unsigned long count, unsigned depth, char **pids)
{
    char batch[DEPTH_MAX * sizeof("a00 NOOP\r\n")];
    size_t len = 0;
    struct conn conn;
    /* A tag of its own for each in a write, as clients do: a proxy may hold back a command whose tag is in flight. */
    for (unsigned i = 0; i < depth; i++)
        len += (size_t)snprintf(batch + len, sizeof(batch) - len, "a%02u NOOP\r\n", i);
    conn_login(&conn, port);
    conn_command(&conn, "a NOOP\r\n"); /* a gateway may choose its upstream connection only now */
    doing = "sending NOOPs";
    double cpu_before_s = cpu_s(pids), began_s = now_s();
    double sent_s = began_s;
    unsigned long stalls = 0;
    for (unsigned long done = 0; done < count; done += depth) {
        conn_write(&conn, batch, len);
        conn_await(&conn, depth);
        double answered_s = now_s();
        stalls += answered_s - sent_s >= STALL_S;
        sent_s = answered_s;
    }
    double took_s = now_s() - began_s, cpu_took_s = cpu_s(pids) - cpu_before_s;
    unsigned long commands = (count + depth - 1) / depth * depth;
    printf("seconds=%.6f cpu_seconds=%.6f commands=%lu stalls=%lu cipher=%s\n", took_s, cpu_took_s, commands, stalls,
           conn_cipher(&conn));
    conn_close(&conn);
}

/* Writes, waits for the answers and tells whether that was a stall. */
static bool page_step(struct conn *conn, const char *commands, unsigned answers)
{
    double began_s = now_s();
    doing = commands;
    conn_write(conn, commands, strlen(commands));
    conn_await(conn, answers);
    return now_s() - began_s >= STALL_S;
}

/* What a webmail page does. step: each command waits for the answer before; behind: all that follows LOGIN is one
 * write; all: LOGIN is in that write too. Prints what it took from connect to the last answer, in microseconds. */
static void page_run(uint16_t port, const char *style)
{
    struct conn conn;
    unsigned stalls = 0;
    double began_s = now_s();
    conn_open(&conn, port);
    conn_greeting(&conn);
    if (!strcmp(style, "all")) {
        stalls += page_step(&conn, LOGIN SELECT FETCH, 3);
    } else {
        stalls += page_step(&conn, LOGIN, 1);
        if (!strcmp(style, "behind")) {
            stalls += page_step(&conn, SELECT FETCH, 2);
        } else {
            stalls += page_step(&conn, SELECT, 1);
            stalls += page_step(&conn, FETCH, 1);
        }
    }
    printf("page_us=%.0f stalls=%u\n", (now_s() - began_s) * 1e6, stalls);
    static const char logout[] = "a4 LOGOUT\r\n";
    conn_write(&conn, logout, sizeof(logout) - 1);
    do /* all is torn down before the next page begins */
        input_at = input_len = 0;
    while (conn_read(&conn));
    conn_close(&conn);
}

/* Logs in a group of connections side by side, so that a proxy that stalls at each login does not stall a whole run. */
static void idle_open(struct conn *conns, unsigned long count, uint16_t port)
{
    static const char *const commands[] = { LOGIN, "a NOOP\r\n" }; /* a gateway may choose its upstream only at NOOP */
    for (unsigned long i = 0; i < count; i++)
        conn_open(&conns[i], port);
    for (unsigned long i = 0; i < count; i++)
        conn_greeting(&conns[i]);
    for (size_t c = 0; c < sizeof(commands) / sizeof(commands[0]); c++) {
        doing = commands[c];
        for (unsigned long i = 0; i < count; i++)
            conn_write(&conns[i], commands[c], strlen(commands[c]));
        for (unsigned long i = 0; i < count; i++)
            conn_await(&conns[i], 1);
    }
}

static void idle_run(uint16_t port, unsigned long count)
{
    struct conn *conns = calloc(count, sizeof(*conns));
    if (!conns)
        die("out of memory");
    for (unsigned long i = 0; i < count; i += IDLE_GROUP)
        idle_open(conns + i, count - i < IDLE_GROUP ? count - i : IDLE_GROUP, port);
    printf("connections=%lu cipher=%s\n", count, conn_cipher(&conns[count - 1]));
    fflush(stdout);
    alarm(TIME_LIMIT_S);
    while (getchar() != EOF)
        ;
    for (unsigned long i = 0; i < count; i++)
        conn_close(&conns[i]);
    free(conns);
}

static void usage(void)
{
    fprintf(stderr, "usage: load fetch|noop|page|idle clear|tls PORT COUNT [DEPTH|STYLE] [PID...]\n");
    exit(2);
}

int main(int argc, char **argv)
{
    if (argc < 5 || (strcmp(argv[2], "clear") && strcmp(argv[2], "tls")))
        usage();
    const char *mode = argv[1];
    uint16_t port = (uint16_t)number(argv[3], UINT16_MAX);
    unsigned long count = number(argv[4], 10000000);
    signal(SIGPIPE, SIG_IGN);
    alarm(TIME_LIMIT_S);
    if (!strcmp(argv[2], "tls"))
        tls_open();
    if (!strcmp(mode, "fetch")) {
        fetch_run(port, count, argv + 5);
    } else if (!strcmp(mode, "noop") && argc > 5) {
        noop_run(port, count, (unsigned)number(argv[5], DEPTH_MAX), argv + 6);
    } else if (!strcmp(mode, "page") && argc == 6) {
        while (count--)
            page_run(port, argv[5]);
    } else if (!strcmp(mode, "idle") && argc == 5) {
        idle_run(port, count);
    } else {
        usage();
    }
    SSL_CTX_free(tls);
    return 0;
}
