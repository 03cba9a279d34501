#include "timer.h"

#include "loop.h"

void timer_init(struct timer *timer, struct loop *loop, agenda_callback *callback, void *owner)
{
    *timer = (struct timer){ .due = { .callback = callback, .owner = owner }, .loop = loop };
}

void timer_set(struct timer *timer, uint64_t after_ms)
{
    uint64_t at_ms;
    if (__builtin_add_overflow(loop_now_ms(timer->loop), after_ms, &at_ms))
        at_ms = UINT64_MAX;
    agenda_set(&timer->loop->agenda, &timer->due, at_ms);
    loop_arm(timer->loop);
}

void timer_stop(struct timer *timer)
{
    agenda_cancel(&timer->loop->agenda, &timer->due);
}

uint64_t timer_due_ms(const struct timer *timer)
{
    return timer->due.is_set ? timer->due.at_ms : UINT64_MAX;
}
