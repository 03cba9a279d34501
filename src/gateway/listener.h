/* listener: accepts clients for one worker, on a socket of its own or on one that it shares with others, of whom one at
 * a time is woken (EPOLLEXCLUSIVE). */
#ifndef GATEWAY_LISTENER_H
#define GATEWAY_LISTENER_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>

struct config;
struct room;
struct sockets;

struct listener {
    struct room *room; /* borrowed: whose clients they become */
    size_t index;      /* of the section in the configuration that the worker begins sessions with */
    int fd;            /* owned: a duplicate of the process's (sockets.h) */
    int epoll_fd;      /* owned; -1 except for one that is shared */
    int reserve_fd;    /* owned: given up briefly when descriptors run out, so that a client can be told */
    struct event event;
    struct event resume_timer; /* not even a refusal was possible: tried again later */
};

/* The listeners of one of so many workers, for the addresses of config that are open; an array, owned by the caller.
 * They do not accept yet. False: errno. */
bool listeners_share(const struct config *config, const struct sockets *sockets, unsigned worker, unsigned workers,
                     struct listener **ret_listeners, size_t *ret_count);
void listeners_free(struct listener *listeners, size_t count);

/* Begins, and stops, accepting. */
bool listener_start(struct listener *listener, struct room *room);
void listener_done(struct listener *listener);

#endif
