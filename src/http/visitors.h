/* visitors: the connections of those who ask by HTTP: how many there may be, and how long each may take for its one
 * request and its answer. libevent accepts them and ends them; here they are only counted, and told to end.
 *
 * When there are too many, the oldest gives way. Until it has, nobody is accepted: others wait in the queue. */
#ifndef HTTP_VISITORS_H
#define HTTP_VISITORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "timer.h"

struct bufferevent;
struct loop;

#define VISITORS_MAX     32u
#define VISITORS_TIME_MS 10000u

struct visitor {
    struct bufferevent *bufferevent; /* counted, until its descriptor is known; else NULL */
    int fd;                          /* libevent's */
    ino_t inode;                     /* of the socket that this was: another may have the descriptor by now */
    uint64_t until_ms;
    bool is_told; /* to end */
};

/* Whether they may be accepted. */
typedef void visitors_gate(void *owner, bool is_open);

struct visitors {
    struct loop *loop; /* borrowed */
    visitors_gate *gate;
    void *owner;
    struct timer timer;
    size_t count;
    bool is_closed;                   /* the gate */
    struct visitor all[VISITORS_MAX]; /* the oldest first */
};

void visitors_init(struct visitors *visitors, struct loop *loop, visitors_gate *gate, void *owner);
void visitors_done(struct visitors *visitors);

/* One has come, whose descriptor is not known before the loop has turned. */
void visitors_add(struct visitors *visitors, struct bufferevent *bufferevent);

/* There were no descriptors for the next one. */
void visitors_pause(struct visitors *visitors);

#endif
