#include "tally.h"

#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "inquiry.h"
#include "list.h"
#include "service.h"
#include "worker.h"

struct tally_asker {
    tally_counted *counted;
    void *asker;
};

static void tally_init(struct tally *tally, struct service *service)
{
    *tally = (struct tally){
        .service = service_ref(service),
        .listeners = calloc(service->config->listener_count + 1, sizeof *tally->listeners),
        .upstreams = calloc(service->config->upstream_count + 1, sizeof *tally->upstreams),
    };
}

static void tally_done(struct tally *tally)
{
    free(tally->listeners);
    free(tally->upstreams);
    service_unref(tally->service);
}

static bool tally_is_whole(const struct tally *tally)
{
    return tally->listeners && tally->upstreams;
}

/* --- in the workers' threads --- */

/* Its row; NULL: none. Mostly it is of the same configuration. */
static struct tally_listener *tally_of_listener(struct tally *tally, const struct config_listener *listener)
{
    const struct config *config = tally->service->config;
    for (size_t i = 0; i < config->listener_count; i++)
        if (&config->listeners[i] == listener || strcmp(config->listeners[i].name, listener->name) == 0)
            return &tally->listeners[i];
    return NULL;
}

static struct tally_upstream *tally_of_upstream(struct tally *tally, const struct config_upstream *upstream)
{
    const struct config *config = tally->service->config;
    for (size_t i = 0; i < config->upstream_count; i++)
        if (&config->upstreams[i] == upstream || strcmp(config->upstreams[i].name, upstream->name) == 0)
            return &tally->upstreams[i];
    return NULL;
}

static void tally_count_clients(struct tally *tally, const struct clients *clients)
{
    for (unsigned state = 0; state < CLIENT_DEAD; state++)
        list_each_safe(link, &clients->by_state[state])
        {
            struct tally_listener *row = tally_of_listener(tally, list_entry(link, struct client, link)->listener);
            if (row)
                row->clients[state]++;
        }
}

static void tally_count_upstreams(struct tally *tally, const struct upstreams *upstreams)
{
    for (unsigned state = 0; state < UPSTREAM_DEAD; state++)
        list_each_safe(link, &upstreams->by_state[state])
        {
            struct tally_upstream *row = tally_of_upstream(tally, list_entry(link, struct upstream, link)->config);
            if (row)
                row->connections[state]++;
        }
}

static void tally_ask(struct worker *worker, void *slot, const void *argument)
{
    const struct tally *wanted = argument;
    struct tally *tally = slot;
    tally_init(tally, wanted->service);
    if (!tally_is_whole(tally))
        return;
    tally_count_clients(tally, &worker->clients);
    tally_count_upstreams(tally, &worker->upstreams);
}

/* --- in the main thread --- */

static void tally_add(struct tally *sum, const struct tally *part)
{
    for (size_t i = 0; i < sum->service->config->listener_count; i++)
        for (unsigned state = 0; state < CLIENT_STATE_MAX; state++)
            sum->listeners[i].clients[state] += part->listeners[i].clients[state];
    for (size_t i = 0; i < sum->service->config->upstream_count; i++)
        for (unsigned state = 0; state < UPSTREAM_STATE_MAX; state++)
            sum->upstreams[i].connections[state] += part->upstreams[i].connections[state];
}

static void tally_answered(const struct inquiry *inquiry, void *asker)
{
    struct tally_asker *for_whom = asker;
    struct tally sum;
    tally_init(&sum, ((const struct tally *)inquiry_argument(inquiry))->service);
    bool is_whole = tally_is_whole(&sum);
    for (size_t i = 0; i < inquiry_count(inquiry) && is_whole; i++) {
        const struct tally *part = inquiry_slot(inquiry, i);
        is_whole = !part || tally_is_whole(part);
        if (part && is_whole)
            tally_add(&sum, part);
    }
    sum.missing = inquiry_missing(inquiry);
    for_whom->counted(is_whole ? &sum : NULL, for_whom->asker);
    tally_done(&sum);
    free(for_whom);
}

static void tally_argument_done(void *argument)
{
    tally_done(argument);
    free(argument);
}

static void tally_slot_done(void *slot)
{
    tally_done(slot);
}

static const struct question tally_question = {
    .ask = tally_ask,
    .answered = tally_answered,
    .argument_done = tally_argument_done,
    .slot_done = tally_slot_done,
    .slot_octets = sizeof(struct tally),
    .limit_ms = INQUIRY_LIMIT_MS,
};

bool tally_take(struct inquiries *inquiries, struct service *service, tally_counted *counted, void *asker)
{
    struct tally_asker *for_whom = malloc(sizeof *for_whom);
    struct tally *wanted = calloc(1, sizeof *wanted);
    if (!for_whom || !wanted) {
        free(for_whom);
        free(wanted);
        return false;
    }
    *for_whom = (struct tally_asker){ counted, asker };
    wanted->service = service_ref(service);
    if (inquiry_begin(inquiries, &tally_question, wanted, for_whom))
        return true;
    free(for_whom);
    return false;
}
