#include "sectionlist.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actions.h"
#include "config.h"
#include "controlline.h"
#include "outage.h"
#include "park.h"
#include "reply.h"
#include "schema.h"
#include "scope.h"
#include "service.h"
#include "tally.h"

struct sectionlist {
    const struct control_actions *actions;
    struct reply *reply;
    char *upstream; /* owned: of this one only; NULL: all */
    size_t shown;
};

static unsigned sum_upstreams(const struct tally_upstream *row, enum upstream_state first, enum upstream_state last)
{
    unsigned sum = 0;
    for (unsigned state = first; state <= last; state++)
        sum += row->connections[state];
    return sum;
}

static json_t *upstream_limit(unsigned limit)
{
    return limit > 0 ? json_integer((json_int_t)limit) : json_null();
}

static json_t *upstream_row(const struct config_upstream *upstream, const struct tally_upstream *row)
{
    return json_pack("{ss ss ss ss sI sI sI sI sI so so}", "name", upstream->name, "address", upstream->members[0].text,
                     "tls", schema_tls_words[upstream->tls], "state", outage_names[outage_of(upstream->name, NULL)],
                     "waiting", (json_int_t)row->connections[UPSTREAM_QUEUED], "connecting",
                     (json_int_t)(row->connections[UPSTREAM_RESOLVING] +
                                  sum_upstreams(row, UPSTREAM_CONNECTING, UPSTREAM_LOGGING_IN)),
                     "connected", (json_int_t)sum_upstreams(row, UPSTREAM_ATTACHED, UPSTREAM_ATTACHED), "settling",
                     (json_int_t)sum_upstreams(row, UPSTREAM_SETTLING, UPSTREAM_LEAVING), "parked",
                     (json_int_t)park_count_at(imapstate_span_of(upstream->name)), "max_sessions",
                     upstream_limit(upstream->max_sessions), "max_logins", upstream_limit(upstream->max_logins));
}

static void sectionlist_put_upstreams(struct sectionlist *list, const struct tally *tally)
{
    const struct config *config = tally->service->config;
    for (size_t i = 0; i < config->upstream_count; i++) {
        if (list->upstream && strcmp(list->upstream, config->upstreams[i].name) != 0)
            continue;
        reply_put_row(list->reply, upstream_row(&config->upstreams[i], &tally->upstreams[i]));
        list->shown++;
    }
}

static unsigned sum_clients(const struct tally_listener *row, enum client_state first, enum client_state last)
{
    unsigned sum = 0;
    for (unsigned state = first; state <= last; state++)
        sum += row->clients[state];
    return sum;
}

static json_t *listener_addresses(const struct config_listener *listener)
{
    json_t *addresses = json_array();
    for (size_t i = 0; addresses && i < listener->address_count; i++)
        json_array_append_new(addresses, json_string(listener->addresses[i].text));
    return addresses;
}

static json_t *listener_row(const struct sectionlist *list, const struct config_listener *listener,
                            const struct tally_listener *row)
{
    const struct control_actions *actions = list->actions;
    bool is_paused = actions->is_paused && actions->is_paused(actions->owner, listener->name);

    return json_pack("{ss so ss ss ss sI sI sI}", "name", listener->name, "addresses", listener_addresses(listener),
                     "tls", schema_tls_words[listener->tls], "state", is_paused ? "draining" : "open", "upstream",
                     listener->upstream->name, "before_login",
                     (json_int_t)sum_clients(row, CLIENT_PROXYING, CLIENT_LOGGING_IN), "sessions",
                     (json_int_t)sum_clients(row, CLIENT_AUTHENTICATED, CLIENT_AUTHENTICATED), "closing",
                     (json_int_t)sum_clients(row, CLIENT_CLOSING, CLIENT_DEAD));
}

static void sectionlist_put_listeners(struct sectionlist *list, const struct tally *tally)
{
    const struct config *config = tally->service->config;
    for (size_t i = 0; i < config->listener_count; i++) {
        if (list->upstream && strcmp(list->upstream, config->listeners[i].upstream->name) != 0)
            continue;
        reply_put_row(list->reply, listener_row(list, &config->listeners[i], &tally->listeners[i]));
        list->shown++;
    }
}

static void sectionlist_end(struct sectionlist *list, const struct tally *tally, const char *noun)
{
    if (!tally)
        reply_end(list->reply, REPLY_FAILED, "out of memory");
    else if (tally->missing > 0)
        reply_end(list->reply, REPLY_FAILED, "not all workers have answered in time: the numbers are too small");
    else
        reply_end(list->reply, REPLY_DONE, "%zu %s%s", list->shown, noun, list->shown == 1 ? "" : "s");
    free(list->upstream);
    free(list);
}

static void sectionlist_upstreams_counted(const struct tally *tally, void *asker)
{
    if (tally)
        sectionlist_put_upstreams(asker, tally);
    sectionlist_end(asker, tally, "upstream");
}

static void sectionlist_listeners_counted(const struct tally *tally, void *asker)
{
    if (tally)
        sectionlist_put_listeners(asker, tally);
    sectionlist_end(asker, tally, "listener");
}

static void sectionlist_show(const struct scope *scope, const struct controlline *line, struct reply *reply,
                             tally_counted *counted)
{
    struct sectionlist *list = calloc(1, sizeof *list);
    if (list)
        *list = (struct sectionlist){ .actions = scope->actions, .reply = reply };
    if (list && line->upstream)
        list->upstream = strdup(line->upstream);
    bool is_whole = list && (!line->upstream || list->upstream);
    if (is_whole && tally_take(scope->inquiries, scope->actions->service(scope->actions->owner), counted, list))
        return;
    reply_end(reply, REPLY_FAILED, "the workers cannot be asked now");
    free(list ? list->upstream : NULL);
    free(list);
}

void sectionlist_show_upstreams(const struct scope *scope, const struct controlline *line, struct reply *reply)
{
    sectionlist_show(scope, line, reply, sectionlist_upstreams_counted);
}

void sectionlist_show_listeners(const struct scope *scope, const struct controlline *line, struct reply *reply)
{
    sectionlist_show(scope, line, reply, sectionlist_listeners_counted);
}
