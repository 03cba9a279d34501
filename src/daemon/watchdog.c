#include "watchdog.h"

#include "inquiry.h"
#include "log.h"
#include "loop.h"
#include "notify.h"

static void watchdog_ask(struct worker *worker, void *slot, const void *argument)
{
}

static void watchdog_on_answered(const struct inquiry *inquiry, void *asker)
{
    size_t missing = inquiry_missing(inquiry);
    if (missing == 0)
        notify_watchdog();
    else
        log_warning("watchdog: %zu of %zu workers did not answer in time", missing, inquiry_count(inquiry));
}

static const struct question watchdog_question = {
    .ask = watchdog_ask,
    .answered = watchdog_on_answered,
    .limit_ms = INQUIRY_LIMIT_MS,
};

static void watchdog_on_timer(void *owner)
{
    struct watchdog *watchdog = owner;
    inquiry_begin(watchdog->inquiries, &watchdog_question, NULL, watchdog);
    timer_set(&watchdog->timer, watchdog->period_ms);
}

void watchdog_begin(struct watchdog *watchdog, struct inquiries *inquiries)
{
    uint64_t limit_ms = notify_watchdog_ms();
    timer_init(&watchdog->timer, inquiries->loop, watchdog_on_timer, watchdog);
    watchdog->inquiries = inquiries;
    watchdog->period_ms = limit_ms / 3;
    if (limit_ms > 0)
        timer_set(&watchdog->timer, 0);
}

void watchdog_done(struct watchdog *watchdog)
{
    if (watchdog->inquiries)
        timer_stop(&watchdog->timer);
}
