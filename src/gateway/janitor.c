#include "janitor.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "dns.h"
#include "list.h"
#include "loop.h"
#include "park.h"
#include "resolver.h"
#include "service.h"
#include "tickets.h"
#include "upstreams.h"

/* Once a second: times of parked connections are kept to that. */
static const struct timeval janitor_period = { .tv_sec = 1 };

static void janitor_follow_members(const struct config_upstream *upstream, uint64_t now_ms)
{
    for (size_t i = 0; i < upstream->member_count; i++)
        if (!upstream->members[i].is_unix)
            resolver_refresh(upstream->members[i].host, now_ms);
}

/* A name that has moved is noticed as well while nobody who is parked behind it comes back. */
static void janitor_follow_names(const struct config *config, uint64_t now_ms)
{
    resolver_watch(now_ms);
    for (size_t i = 0; i < config->upstream_count && park_count() > 0; i++)
        janitor_follow_members(&config->upstreams[i], now_ms);
}

static void janitor_check(struct worker *worker)
{
    struct service *service = worker->clients.service;
    for (size_t i = 0; i < service->config->upstream_count; i++)
        upstreams_check(&worker->upstreams, service, &service->config->upstreams[i]);
}

static void janitor_on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct janitor *janitor = arg;
    struct worker *worker = janitor->worker;
    uint64_t now_ms = loop_now_ms(&worker->loop);
    struct list tired;
    if (worker->loop.is_stopping)
        return;
    janitor_follow_names(worker->clients.service->config, now_ms);
    janitor_check(worker);
    ticketring_rotate(worker->clients.service->ticketring, (uint64_t)time(NULL));
    list_init(&tired);
    park_sweep(now_ms, &tired);
    list_each_safe(link, &tired)
    {
        struct parked *parked = list_entry(link, struct parked, age_link);
        list_remove(&parked->age_link);
        upstreams_wake(&worker->upstreams, parked, NULL, NULL);
    }
}

bool janitor_start(struct janitor *janitor, struct service *service, FILE *errors)
{
    janitor->worker = worker_new(JANITOR_INDEX, service, errors);
    if (!janitor->worker)
        return false;
    janitor->tick = event_new(janitor->worker->loop.base, -1, EV_PERSIST, janitor_on_tick, janitor);
    janitor->dns = dns_new(&janitor->worker->loop, park_follow);
    if (janitor->dns && janitor->tick && event_add(janitor->tick, &janitor_period) == 0 &&
        worker_start(janitor->worker))
        return true;
    fprintf(errors, "janitor: %s\n", strerror(errno));
    dns_free(janitor->dns);
    worker_free(janitor->worker);
    janitor->worker = NULL;
    return false;
}

void janitor_stop(struct janitor *janitor)
{
    if (!janitor->worker)
        return;
    worker_stop(janitor->worker);
    worker_join(janitor->worker);
    event_free(janitor->tick);
    dns_free(janitor->dns);
    worker_free(janitor->worker);
    janitor->worker = NULL;
}
