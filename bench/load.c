/* load: an IMAP client for measurements, as lean as it can be, so that what is measured is what stands behind it.
 *
 * load fetch CLEAR_OR_TLS PORT COUNT PID...         one connection, COUNT times the 20 MB message
 * load noop  CLEAR_OR_TLS PORT COUNT DEPTH PID...   one connection, COUNT NOOPs, DEPTH in a write
 * load page  CLEAR_OR_TLS PORT COUNT STYLE          COUNT connections one after the other; STYLE: see page_run()
 * load idle  CLEAR_OR_TLS PORT COUNT                COUNT logged-in connections until standard input ends
 *
 * It prints NAME=VALUE words on one line. The PIDs are the proxy's: their CPU time is read right at the beginning and
 * the end of what is measured, so that connecting and login do not count. It ends by itself after TIME_LIMIT_S. */
#include "conn.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TIME_LIMIT_S 180
#define IDLE_GROUP   32
#define DEPTH_MAX    64

#define LOGIN  "a1 LOGIN bench bench\r\n"
#define SELECT "a2 SELECT INBOX\r\n"
#define FETCH  "a3 FETCH 1:* (UID FLAGS ENVELOPE)\r\n"

static struct in_addr loopback;

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

static void conn_login(struct conn *conn, uint16_t port)
{
    conn_open(conn, loopback, port);
    conn_greeting(conn);
    conn_command(conn, LOGIN);
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
    conn_open(&conn, loopback, port);
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
    conn_logout(&conn);
}

/* Logs in a group of connections side by side, so that a proxy that stalls at each login does not stall a whole run. */
static void idle_open(struct conn *conns, unsigned long count, uint16_t port)
{
    static const char *const commands[] = { LOGIN, "a NOOP\r\n" }; /* a gateway may choose its upstream only at NOOP */
    for (unsigned long i = 0; i < count; i++)
        conn_open(&conns[i], loopback, port);
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
    program = "load";
    loopback.s_addr = htonl(INADDR_LOOPBACK);
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
    tls_close();
    return 0;
}
