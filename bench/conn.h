/* conn: one connection of an IMAP client for measurements, as lean as it can be, so that what is measured is what
 * stands behind it. One connection is used at a time: each is read to the end of its answer before another one is.
 *
 * Whatever is not as expected ends the program with a line on standard error. */
#ifndef BENCH_CONN_H
#define BENCH_CONN_H

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STALL_S 0.038 /* Linux delays an acknowledgement by 40 ms at least; timers differ by a little */

struct conn {
    int fd;
    SSL *ssl;          /* NULL without TLS */
    bool quick_ack;    /* what arrives is acknowledged at once. Set behind conn_open(). */
    unsigned fetched;  /* FETCH answers seen */
    unsigned restored; /* untagged STATE seen */
};

extern const char *program; /* begins messages */
extern const char *doing;   /* stands in them */

void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
double now_s(void);                                        /* on the monotonic clock */
unsigned long number(const char *text, unsigned long max); /* from 1 to max, else it dies */

/* Connections opened from now on begin with a TLS handshake. */
void tls_open(void);
void tls_close(void);

void conn_open(struct conn *conn, struct in_addr address, uint16_t port);
void conn_close(struct conn *conn);
const char *conn_cipher(const struct conn *conn); /* "none" without TLS */

void conn_write(struct conn *conn, const char *at, size_t len);
void conn_greeting(struct conn *conn);

/* Reads until so many tagged answers, all of which must be OK, have come; gives the octets of literals before them.
 * Tags begin with "a". They are counted, not matched: Dovecot may answer pipelined commands in another order. */
uint64_t conn_await(struct conn *conn, unsigned answers);

void conn_command(struct conn *conn, const char *command); /* writes a line, CRLF included, and awaits */

/* Sends LOGOUT and reads until the other side has closed, so that all is torn down before the next one begins. */
void conn_logout(struct conn *conn);

#endif
