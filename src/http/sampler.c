#include "sampler.h"

#include <stdlib.h>

#include "figures.h"
#include "history.h"
#include "loop.h"
#include "overview.h"
#include "timer.h"

struct sampler {
    struct loop *loop;         /* borrowed */
    struct figures_desk *desk; /* borrowed */
    struct timer timer;
    uint64_t due_ms;
    struct figures_request request;
    bool is_asking;
    struct history history;
};

static void sampler_on_figures(void *asker, const struct figures *figures)
{
    struct sampler *sampler = asker;
    sampler->is_asking = false;
    if (!figures)
        return;
    struct history_levels levels;
    struct history_sums sums;
    overview_levels(figures, &levels);
    overview_sums(figures, &sums);
    history_note(&sampler->history, figures->now_ms, &levels, &sums);
}

static void sampler_on_timer(void *owner)
{
    struct sampler *sampler = owner;
    if (!sampler->is_asking)
        sampler->is_asking = figures_ask(sampler->desk, &sampler->request);
    /* From when it was due, so that it does not become later each time. What was missed is not made up for. */
    uint64_t now_ms = loop_now_ms(sampler->loop);
    do
        sampler->due_ms += HISTORY_POINT_MS;
    while (sampler->due_ms <= now_ms);
    timer_set(&sampler->timer, sampler->due_ms - now_ms);
}

struct sampler *sampler_new(struct loop *loop, struct figures_desk *desk)
{
    struct sampler *sampler = calloc(1, sizeof *sampler);
    if (!sampler)
        return NULL;
    sampler->loop = loop;
    sampler->desk = desk;
    sampler->request = (struct figures_request){ .answered = sampler_on_figures, .asker = sampler };
    timer_init(&sampler->timer, loop, sampler_on_timer, sampler);
    sampler->due_ms = loop_now_ms(loop);
    timer_set(&sampler->timer, 0);
    return sampler;
}

void sampler_free(struct sampler *sampler)
{
    if (!sampler)
        return;
    timer_stop(&sampler->timer);
    figures_withdraw(&sampler->request);
    free(sampler);
}

const struct history *sampler_history(const struct sampler *sampler)
{
    return &sampler->history;
}
