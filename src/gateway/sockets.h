/* sockets: the listening sockets of the process, by address.
 *
 * They outlive whoever accepts on them: a reload and a process that takes over go on with what there is, so that no
 * client that waits in a socket's queue is lost. At a TCP address there is one for each worker, as far as that can be
 * had (SO_REUSEPORT: the kernel spreads connections); where there are fewer, workers share them. At a unix address
 * there is one. Used by the main thread alone. */
#ifndef GATEWAY_SOCKETS_H
#define GATEWAY_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "endpoint.h"

struct sockets_place {
    struct endpoint endpoint;
    int *fds; /* owned */
    unsigned count;
    bool is_given; /* whoever has started the daemon opened it: it is not ours to change */
    bool is_kept;  /* between sockets_begin() and sockets_close_others(): it is still wanted */
};

/* All zero: none. */
struct sockets {
    struct sockets_place *places; /* owned */
    size_t count;
};

void sockets_done(struct sockets *sockets); /* closes all; may be called again */

/* Sees to it that the address is open, with as many as wanted sockets if they can be had; those that there are stay,
 * even if they are more. NULL, or what is wrong; sockets_find() tells whether it is open even so. unix_mode: the
 * permissions of a unix socket's file. */
const char *sockets_open(struct sockets *sockets, const struct endpoint *endpoint, unsigned wanted, mode_t unix_mode);

/* A socket that listens already, and came from elsewhere; fd is taken in any case. NULL, or why it is of no use. */
const char *sockets_adopt(struct sockets *sockets, int fd, bool is_given);

/* NULL: the address is not open. Valid until the next call that is not const. */
const struct sockets_place *sockets_find(const struct sockets *sockets, const struct endpoint *endpoint);

/* What is wanted, sockets_keep() says; then the others can be closed. */
void sockets_begin(struct sockets *sockets);
void sockets_keep(struct sockets *sockets, const struct endpoint *endpoint); /* if it is open */
void sockets_close_others(struct sockets *sockets);

#endif
