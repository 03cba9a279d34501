/* drain: nobody is accepted any more, and the sessions of a worker come to their end by and by.
 *
 * In the first half of drain_time they are left alone: most end by themselves. In the second half they get their BYE
 * one after the other, so that not all clients come back at once; nobody who is in the middle of something. Who is left
 * at the end, is the owner's. */
#ifndef GATEWAY_DRAIN_H
#define GATEWAY_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "timer.h"

struct clients;
struct loop;

typedef void drain_callback(void *owner);

struct drain {
    struct timer timer;
    struct clients *clients; /* borrowed */
    drain_callback *is_over;
    void *owner;
    uint64_t half_at_ms, over_at_ms; /* on the monotonic clock */
    bool is_on;
};

void drain_init(struct drain *drain, struct loop *loop);

/* For the drain_time of what new sessions begin with; then is_over is called, unless drain_done() is before. */
void drain_begin(struct drain *drain, struct clients *clients, drain_callback *is_over, void *owner);

void drain_done(struct drain *drain); /* may be called at any time */

#endif
