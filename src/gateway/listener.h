/* listener: a socket that accepts clients for one worker. Each worker has its own TCP sockets (SO_REUSEPORT: the kernel
 * spreads connections). A unix socket is shared by all, and wakes one worker at a time (EPOLLEXCLUSIVE). */
#ifndef GATEWAY_LISTENER_H
#define GATEWAY_LISTENER_H

#include <event2/event_struct.h>
#include <stdio.h>

#include "config.h"

struct room;

struct listener {
    struct room *room; /* borrowed: whose clients they become */
    size_t index;      /* of the section in the configuration, which a reload does not change */
    int fd;            /* owned, for unix sockets a duplicate */
    int epoll_fd;      /* owned; -1 except for unix sockets */
    int reserve_fd;    /* owned: given up briefly when descriptors run out, so that a client can be told */
    struct event event;
    struct event resume_timer; /* not even a refusal was possible: tried again later */
};

/* Opens the sockets of all listeners for count workers: ret_listeners[worker * addresses + address]. False after
 * writing what is wrong to errors; then nothing stays open. ret_per_worker is the total number of addresses. */
bool listener_open_all(const struct config *config, unsigned workers, struct listener **ret_listeners,
                       size_t *ret_per_worker, FILE *errors);

/* Begins, and stops, accepting. */
bool listener_start(struct listener *listener, struct room *room);
void listener_done(struct listener *listener);

#endif
