/* pool: read buffers that connections borrow while octets wait in them. One per loop, no locks.
 *
 * An idle connection holds none. Some are kept when they come back: otherwise glibc would trim the pages and fault them
 * in again, which costs more than the copying itself. */
#ifndef IO_POOL_H
#define IO_POOL_H

#include <imapstate/frame.h>
#include <stdint.h>

/* A whole command line fits (IMAPSTATE_LINE_MAX), and one more octet, so that a longer line is noticed. */
#define POOL_BUFFER_OCTETS (IMAPSTATE_LINE_MAX + 1u)
#define POOL_KEPT_MAX      64u

struct pool {
    uint8_t *kept[POOL_KEPT_MAX];
    unsigned kept_count;
};

/* A buffer of POOL_BUFFER_OCTETS with undefined contents, or NULL if out of memory. */
uint8_t *pool_take(struct pool *pool);

/* Gives a buffer back; accepts NULL. A caller that had secrets in it has wiped them. */
void pool_give(struct pool *pool, uint8_t *buffer);

/* Frees what is kept. */
void pool_done(struct pool *pool);

#endif
