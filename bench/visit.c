/* visit: what a webmail page does, again and again: connect, greeting, commands, LOGOUT.
 *
 * visit latency CLEAR_OR_TLS ADDRESS PORT COUNT KEPT [quick-ack]   COUNT visits by the first client, one by one
 * visit rate    CLEAR_OR_TLS ADDRESS PORT MS    KEPT [quick-ack]   what fits into MS by all clients at once
 *
 * Standard input has a line for each client, then an empty one: commands without tags. TAB between two: the second is
 * sent when all answers to the first are there; ";" between two: both are in one write. What stands behind the last TAB
 * ends the visit and is not in its latency. KEPT is "fresh", each visit has a connection of its own; or a number:
 * connections are kept, and so many writes are done only at their beginning. Even so each visit begins with connect and
 * greeting, by a process that can do nothing else: less than that nobody needs who has not kept the connection itself.
 *
 * latency prints a line for each visit: us (from connect to the last answer but that to the end), waits (times that the
 * client had nothing to do but wait for the other side: TCP, TLS, greeting, each write), stalls. rate prints seconds
 * and visits. A visit counts only if it was whole: OK everywhere, FETCH data, and an untagged STATE for each token. */
#include "conn.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIME_LIMIT_S 180
#define FLIGHTS_MAX  16
#define CLIENTS_MAX  64
#define OCTETS_MAX   8192

struct flight {
    char octets[OCTETS_MAX];
    size_t len;
    unsigned answers, tokens;
    bool is_fetch;
};

struct script {
    struct flight flights[FLIGHTS_MAX];
    unsigned count;
};

struct visitor {
    struct in_addr address;
    uint16_t port;
    bool is_tls, quick_ack, keeps;
    unsigned first;        /* the flight that a visit begins with; those before are done once */
    uint16_t greeter_port; /* set by visitor_begin() if connections are kept */
};

struct took {
    double us;
    unsigned waits, stalls;
};

static void flight_add(struct flight *flight, const char *command, unsigned tag)
{
    int put = snprintf(flight->octets + flight->len, OCTETS_MAX - flight->len, "a%u %s\r\n", tag, command);
    if (put < 0 || (size_t)put >= OCTETS_MAX - flight->len)
        die("the commands of a write are too long");
    flight->len += (size_t)put;
    flight->answers++;
    flight->tokens += !strncmp(command, "STATE ", 6);
    flight->is_fetch = flight->is_fetch || !strncmp(command, "FETCH ", 6);
}

static void script_parse(struct script *script, char *line)
{
    char *text, *command;
    unsigned tag = 0;
    line[strcspn(line, "\n")] = '\0';
    while ((text = strsep(&line, "\t"))) {
        if (script->count == FLIGHTS_MAX)
            die("a line has more than %d writes", FLIGHTS_MAX);
        struct flight *flight = &script->flights[script->count++];
        while ((command = strsep(&text, ";")))
            flight_add(flight, command, ++tag);
    }
    if (script->count < 2)
        die("a line wants a write that is measured and one behind it");
}

static struct script *scripts_read(unsigned *ret_count)
{
    char line[OCTETS_MAX];
    struct script *scripts = calloc(CLIENTS_MAX, sizeof(*scripts));
    if (!scripts)
        die("out of memory");
    for (*ret_count = 0; fgets(line, sizeof(line), stdin) && *line != '\n'; ++*ret_count) {
        if (*ret_count == CLIENTS_MAX || !strchr(line, '\n'))
            die("standard input wants at most %d lines of at most %d octets", CLIENTS_MAX, OCTETS_MAX);
        script_parse(&scripts[*ret_count], line);
    }
    if (!*ret_count)
        die("standard input has no line");
    return scripts;
}

static void flight_run(struct conn *conn, const struct flight *flight)
{
    unsigned fetched = conn->fetched, restored = conn->restored;
    doing = "visiting";
    conn_write(conn, flight->octets, flight->len);
    conn_await(conn, flight->answers);
    if (flight->is_fetch && conn->fetched == fetched)
        die("FETCH brought nothing");
    if (conn->restored - restored != flight->tokens)
        die("a token was not restored");
}

/* Greets whoever connects, until the visitor has ended. */
static void greeter_run(int listener)
{
    static const char greeting[] = "* OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+ AUTH=PLAIN] ready\r\n";
    char octet;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(TIME_LIMIT_S);
    dup2(listener, STDIN_FILENO);
    close_range(STDIN_FILENO + 1, ~0u, 0); /* whoever reads from a pipe of the visitor's, waits for its end */
    for (int fd; (fd = accept(STDIN_FILENO, NULL, NULL)) >= 0; close(fd))
        while (send(fd, greeting, sizeof(greeting) - 1, MSG_NOSIGNAL) > 0 && read(fd, &octet, 1) > 0)
            ;
    _exit(1);
}

static uint16_t greeter_begin(struct in_addr address)
{
    struct sockaddr_in own = { .sin_family = AF_INET, .sin_addr = address };
    socklen_t len = sizeof(own);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&own, len) || listen(listener, 8) ||
        getsockname(listener, (struct sockaddr *)&own, &len))
        die("nobody can greet");
    pid_t pid = fork();
    if (pid < 0)
        die("cannot fork");
    if (!pid)
        greeter_run(listener);
    close(listener);
    return ntohs(own.sin_port);
}

static void visitor_connect(const struct visitor *visitor, uint16_t port, struct conn *conn)
{
    conn_open(conn, visitor->address, port);
    conn->quick_ack = visitor->quick_ack;
    conn_greeting(conn);
}

static void visitor_begin(struct visitor *visitor, const struct script *script, struct conn *conn)
{
    if (visitor->first + 2 > script->count)
        die("KEPT leaves nothing to repeat");
    if (visitor->keeps) {
        visitor->greeter_port = greeter_begin(visitor->address);
        visitor_connect(visitor, visitor->port, conn);
    }
    for (unsigned i = 0; i < visitor->first; i++)
        flight_run(conn, &script->flights[i]);
}

/* One visit. The connection is open afterwards only if it is kept. */
static struct took visitor_visit(const struct visitor *visitor, const struct script *script, struct conn *conn)
{
    double began_s = now_s();
    struct took took = { .waits = visitor->is_tls ? 3 : 2 };
    struct conn greeted;
    visitor_connect(visitor, visitor->keeps ? visitor->greeter_port : visitor->port, visitor->keeps ? &greeted : conn);
    took.stalls = now_s() - began_s >= STALL_S;
    for (unsigned i = visitor->first; i + 1 < script->count; i++) {
        double sent_s = now_s();
        flight_run(conn, &script->flights[i]);
        took.waits++;
        took.stalls += now_s() - sent_s >= STALL_S;
    }
    took.us = (now_s() - began_s) * 1e6;
    if (visitor->keeps) {
        conn_close(&greeted);
        flight_run(conn, &script->flights[script->count - 1]);
    } else {
        conn_logout(conn);
    }
    return took;
}

static void latency_run(struct visitor *visitor, const struct script *script, unsigned long count)
{
    struct conn conn;
    visitor_begin(visitor, script, &conn);
    while (count--) {
        struct took took = visitor_visit(visitor, script, &conn);
        printf("us=%.1f waits=%u stalls=%u\n", took.us, took.waits, took.stalls);
    }
    if (visitor->keeps)
        conn_logout(&conn);
}

/* In a child: closes ready_fd when it is ready, and begins at the end of file on go_fd. */
static void rate_client(struct visitor *visitor, const struct script *script, double seconds, int ready_fd, int go_fd,
                        unsigned long *ret_visits)
{
    struct conn conn;
    char octet;
    alarm(TIME_LIMIT_S);
    visitor_begin(visitor, script, &conn);
    close(ready_fd);
    if (read(go_fd, &octet, 1))
        die("no end of file on a pipe");
    for (double until_s = now_s() + seconds; now_s() < until_s; ++*ret_visits)
        visitor_visit(visitor, script, &conn);
    if (visitor->keeps)
        conn_logout(&conn);
}

static void rate_fork(struct visitor *visitor, const struct script *scripts, unsigned clients, double seconds,
                      const int ready[2], const int go[2], unsigned long *ret_each)
{
    for (unsigned i = 0; i < clients; i++) {
        pid_t pid = fork();
        if (pid < 0)
            die("cannot fork");
        if (pid)
            continue;
        close(go[1]);
        rate_client(visitor, &scripts[i], seconds, ready[1], go[0], &ret_each[i]);
        _exit(0);
    }
}

/* Says "ready" when all clients are, and lets them go when standard input ends: whoever measures CPU time can
 * read the clocks in between. */
static void rate_run(struct visitor *visitor, const struct script *scripts, unsigned clients, double seconds)
{
    int ready[2], go[2], status;
    char octet;
    size_t octets = CLIENTS_MAX * sizeof(unsigned long);
    unsigned long visits = 0, *each = mmap(NULL, octets, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (each == MAP_FAILED || pipe(ready) || pipe(go))
        die("out of memory or descriptors");
    rate_fork(visitor, scripts, clients, seconds, ready, go, each);
    close(ready[1]);
    if (read(ready[0], &octet, 1))
        die("no end of file on a pipe");
    puts("ready");
    fflush(stdout);
    while (getchar() != EOF)
        ;
    double began_s = now_s();
    close(go[1]);
    while (wait(&status) > 0)
        if (!WIFEXITED(status) || WEXITSTATUS(status))
            die("a client failed");
    for (unsigned i = 0; i < clients; i++)
        visits += each[i];
    printf("seconds=%.6f visits=%lu\n", now_s() - began_s, visits);
}

static void usage(void)
{
    fprintf(stderr, "usage: visit latency|rate clear|tls ADDRESS PORT COUNT|MS fresh|KEPT [quick-ack] <SCRIPT\n");
    exit(2);
}

int main(int argc, char **argv)
{
    struct visitor visitor = { 0 };
    unsigned clients;
    program = "visit";
    doing = "reading arguments";
    if (argc < 7 || argc > 8 || inet_pton(AF_INET, argv[3], &visitor.address) != 1 ||
        (argc == 8 && strcmp(argv[7], "quick-ack")) || (strcmp(argv[2], "clear") && strcmp(argv[2], "tls")))
        usage();
    visitor.port = (uint16_t)number(argv[4], UINT16_MAX);
    unsigned long count = number(argv[5], 1000000);
    visitor.is_tls = !strcmp(argv[2], "tls");
    visitor.quick_ack = argc == 8;
    visitor.keeps = strcmp(argv[6], "fresh");
    visitor.first = visitor.keeps ? (unsigned)number(argv[6], FLIGHTS_MAX) : 0;
    struct script *scripts = scripts_read(&clients);
    signal(SIGPIPE, SIG_IGN);
    alarm(TIME_LIMIT_S);
    if (visitor.is_tls && visitor.keeps)
        die("kept connections are in clear");
    if (visitor.is_tls)
        tls_open();
    if (!strcmp(argv[1], "latency"))
        latency_run(&visitor, scripts, count);
    else if (!strcmp(argv[1], "rate"))
        rate_run(&visitor, scripts, clients, (double)count / 1000);
    else
        usage();
    tls_close();
    free(scripts);
    return 0;
}
