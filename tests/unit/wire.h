/* wire: connections in memory, in the place of the system's sockets. What a test has of one is the peer's end; the
 * gateway's end is a descriptor, for the very code that runs on sockets.
 *
 * The linker puts wire.c in the place of the system's calls (wire_wraps, in meson.build). Descriptors that are none of
 * these pass to the system as ever. A call on a descriptor that was closed ends the process: in the gateway it would
 * hit whoever has its number by then.
 * One thread only. */
#ifndef TEST_WIRE_H
#define TEST_WIRE_H

#include <imapstate/span.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "list.h"

enum wire_state {
    WIRE_CONNECTING, /* by connect(); it is the test's turn: wire_accept(), wire_refuse() */
    WIRE_REFUSED,
    WIRE_OPEN,
};

struct wire {
    struct list link; /* of all, in the order in which they came */
    int fd;           /* the gateway's end */
    enum wire_state state;
    int error;                /* REFUSED, or reset: errno; else 0 */
    struct imapstate_buf in;  /* to the gateway, not read yet */
    struct imapstate_buf out; /* from the gateway; the test clears it, or takes it: */
    char *taken;              /* owned: wire_take() */
    size_t room;              /* so many octets more may be written before it is full */
    size_t piece;             /* no more than so many are read at a time; 0: no limit */
    bool is_at_eof;           /* the peer sends no more */
    bool is_shut;             /* nor does the gateway */
    bool is_closed;           /* the gateway has closed its end */
    int silence_ms;           /* TCP_USER_TIMEOUT; 0: nobody has set it */
    struct sockaddr_storage peer;
    socklen_t peer_len;
};

/* From here on socket() gives wires for stream sockets; until the end, which closes and frees all of them. */
void wires_begin(void);
void wires_end(void);

/* A connection that is open. */
struct wire *wire_new(void);

/* That the gateway has asked for by connect(), the first of those that wait. NULL: none does. */
struct wire *wire_asked(void);
struct wire *wire_newest(void); /* the one that has come last, however it has come */
void wire_accept(struct wire *wire);
void wire_refuse(struct wire *wire, int error);

/* What the peer does. */
void wire_feed(struct wire *wire, struct imapstate_span octets);
void wire_end(struct wire *wire);   /* end of file behind what was fed */
void wire_reset(struct wire *wire); /* and what was fed is lost */

/* All peers do. */
void wires_hang_up(void);

/* What the gateway has written since the last call; NUL-terminated, valid until the next. */
const char *wire_take(struct wire *wire);

/* How many there are whose gateway's end is open. */
unsigned wires_count(void);

/* For loop.watches. */
bool wire_is_ready(int fd, short what);

#endif
