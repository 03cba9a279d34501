#include "sectionlist.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "actions.h"
#include "candidates.h"
#include "config.h"
#include "controlline.h"
#include "outage.h"
#include "park.h"
#include "pulse.h"
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

/* All of them, as they are written. */
static json_t *upstream_address(const struct config_upstream *upstream)
{
    struct imapstate_buf text;
    imapstate_buf_init(&text, SIZE_MAX);
    for (size_t i = 0; i < upstream->member_count; i++)
        imapstate_buf_printf(&text, "%s%s", i > 0 ? ", " : "", upstream->members[i].text);
    json_t *json = json_stringn((const char *)text.at, text.len);
    imapstate_buf_done(&text);
    return json;
}

static json_t *upstream_row(const struct config_upstream *upstream, const struct tally_upstream *row)
{
    return json_pack("{ss so ss ss sI sI sI sI sI so so}", "name", upstream->name, "address",
                     upstream_address(upstream), "tls", schema_tls_words[upstream->tls], "state",
                     outage_names[outage_of(upstream->name, NULL)], "waiting",
                     (json_int_t)row->connections[UPSTREAM_QUEUED], "connecting",
                     (json_int_t)(row->connections[UPSTREAM_RESOLVING] +
                                  sum_upstreams(row, UPSTREAM_CONNECTING, UPSTREAM_LOGGING_IN)),
                     "connected", (json_int_t)sum_upstreams(row, UPSTREAM_ATTACHED, UPSTREAM_ATTACHED), "settling",
                     (json_int_t)sum_upstreams(row, UPSTREAM_SETTLING, UPSTREAM_LEAVING), "parked",
                     (json_int_t)park_count_at(imapstate_span_of(upstream->name)), "max_sessions",
                     upstream_limit(upstream->max_sessions), "max_logins", upstream_limit(upstream->max_logins));
}

static json_t *address_row(const struct config_upstream *upstream, const struct config_member *member,
                           const char *address, const char *state, uint64_t sessions)
{
    return json_pack("{ss ss ss ss ss sI}", "name", upstream->name, "member", member->text, "address", address, "tls",
                     schema_tls_words[upstream->tls], "state", state, "connected", (json_int_t)sessions);
}

/* What is known of a member's addresses: nobody is asked now. */
static void sectionlist_put_member(struct sectionlist *list, const struct config_upstream *upstream,
                                   const struct config_member *member, uint64_t now_ms)
{
    struct candidates_wait wait = { .is_scouting = true, .is_peeking = true };
    struct candidates candidates;
    uint64_t wait_ms;
    enum outage_kind outage = outage_of(upstream->name, member->text);
    candidates_look_up(upstream, member, &wait, now_ms, &candidates, &wait_ms);
    for (unsigned i = 0; i < candidates.count; i++) {
        char text[ADDRESS_TEXT_MAX];
        const char *address = candidate_text(&candidates.at[i], text);
        struct pulse pulse = pulse_read(upstream->name, address);
        reply_put_row(list->reply,
                      address_row(upstream, member, address, pulse_rank_names[pulse.rank], pulse.sessions));
    }
    if (candidates.count == 0)
        reply_put_row(list->reply,
                      address_row(upstream, member, member->text, outage ? outage_names[outage] : "unknown", 0));
    candidates_done(&candidates);
}

/* Of one that has a single member, its own row says it all. */
static void sectionlist_put_members(struct sectionlist *list, const struct config_upstream *upstream)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    for (size_t i = 0; upstream->member_count > 1 && i < upstream->member_count; i++)
        sectionlist_put_member(list, upstream, &upstream->members[i], (uint64_t)now.tv_sec * 1000);
}

static void sectionlist_put_upstreams(struct sectionlist *list, const struct tally *tally)
{
    const struct config *config = tally->service->config;
    for (size_t i = 0; i < config->upstream_count; i++) {
        if (list->upstream && strcmp(list->upstream, config->upstreams[i].name) != 0)
            continue;
        reply_put_row(list->reply, upstream_row(&config->upstreams[i], &tally->upstreams[i]));
        sectionlist_put_members(list, &config->upstreams[i]);
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

    return json_pack("{ss so ss ss ss? sI sI sI}", "name", listener->name, "addresses", listener_addresses(listener),
                     "tls", schema_tls_words[listener->tls], "state", is_paused ? "draining" : "open", "upstream",
                     listener->upstream ? listener->upstream->name : NULL, "before_login",
                     (json_int_t)sum_clients(row, CLIENT_PROXYING, CLIENT_LOGGING_IN), "sessions",
                     (json_int_t)sum_clients(row, CLIENT_AUTHENTICATED, CLIENT_AUTHENTICATED), "closing",
                     (json_int_t)sum_clients(row, CLIENT_CLOSING, CLIENT_DEAD));
}

static bool listener_leads_to(const struct service *service, const struct config_listener *listener, const char *name)
{
    struct service_reach reach = service_upstreams_of(service, listener);
    bool leads_there = false;
    for (size_t i = 0; i < reach.count; i++)
        leads_there |= strcmp(reach.at[i]->name, name) == 0;
    return leads_there;
}

static void sectionlist_put_listeners(struct sectionlist *list, const struct tally *tally)
{
    const struct config *config = tally->service->config;
    for (size_t i = 0; i < config->listener_count; i++) {
        if (list->upstream && !listener_leads_to(tally->service, &config->listeners[i], list->upstream))
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
