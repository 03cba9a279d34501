/* timer: one call from a loop, when some time has passed. */
#ifndef IO_TIMER_H
#define IO_TIMER_H

#include "agenda.h"

struct loop;

struct timer {
    struct appointment due;
    struct loop *loop; /* borrowed */
};

/* callback is called from the loop, never from within a call of the owner's. */
void timer_init(struct timer *timer, struct loop *loop, agenda_callback *callback, void *owner);

/* Once, in this many milliseconds; 0: in the loop's next turn. What was set before no longer counts. */
void timer_set(struct timer *timer, uint64_t after_ms);
void timer_stop(struct timer *timer);

/* When it fires, on the loop's clock; UINT64_MAX if it is not set, as it no longer is when callback is called. */
uint64_t timer_due_ms(const struct timer *timer);

#endif
