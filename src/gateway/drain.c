#include "drain.h"

#include "client.h"
#include "clients.h"
#include "config.h"
#include "loop.h"
#include "service.h"

/* No more often than that: then several get their BYE at a time. */
#define DRAIN_STEP_MS 100u

/* How many are due now, of all that are left, and when the next ones are. */
static uint64_t drain_due(uint64_t left_ms, uint64_t clients, uint64_t *ret_after_ms)
{
    uint64_t each_ms = clients > 0 ? left_ms / clients : left_ms;
    *ret_after_ms = each_ms > DRAIN_STEP_MS ? each_ms : DRAIN_STEP_MS;
    if (*ret_after_ms > left_ms)
        *ret_after_ms = left_ms;
    return (clients * DRAIN_STEP_MS + left_ms - 1) / left_ms;
}

static void drain_on_timer(void *owner)
{
    struct drain *drain = owner;
    uint64_t now_ms = loop_now_ms(drain->timer.loop), after_ms;
    if (now_ms >= drain->over_at_ms) {
        drain_done(drain);
        drain->is_over(drain->owner);
        return;
    }
    if (now_ms < drain->half_at_ms) {
        timer_set(&drain->timer, drain->half_at_ms - now_ms);
        return;
    }
    uint64_t due = drain_due(drain->over_at_ms - now_ms, clients_count(drain->clients), &after_ms);
    clients_drain(drain->clients, due);
    timer_set(&drain->timer, after_ms);
}

void drain_init(struct drain *drain, struct loop *loop)
{
    *drain = (struct drain){ 0 };
    timer_init(&drain->timer, loop, drain_on_timer, drain);
}

void drain_begin(struct drain *drain, struct clients *clients, drain_callback *is_over, void *owner)
{
    uint64_t time_ms = clients->service->config->drain_time_ms, now_ms = loop_now_ms(clients->loop);
    drain->clients = clients;
    drain->is_over = is_over;
    drain->owner = owner;
    drain->half_at_ms = now_ms + time_ms / 2;
    drain->over_at_ms = now_ms + time_ms;
    drain->is_on = true;
    timer_set(&drain->timer, time_ms / 2);
}

void drain_done(struct drain *drain)
{
    timer_stop(&drain->timer);
    drain->is_on = false;
}
