#include "lag.h"

#include "histogram.h"
#include "loop.h"

#define LAG_PERIOD_MS 1000u

static void lag_set(struct lag *lag)
{
    lag->due_ms = loop_now_ms(lag->timer.loop) + LAG_PERIOD_MS;
    timer_set(&lag->timer, LAG_PERIOD_MS);
}

static void lag_on_timer(void *owner)
{
    struct lag *lag = owner;
    struct loop *loop = lag->timer.loop;
    uint64_t now_ms = loop_now_ms(loop);
    histogram_note(&loop->counters.lag, now_ms > lag->due_ms ? (now_ms - lag->due_ms) * 1000 : 0);
    lag_set(lag);
}

void lag_begin(struct lag *lag, struct loop *loop)
{
    timer_init(&lag->timer, loop, lag_on_timer, lag);
    lag_set(lag);
}
