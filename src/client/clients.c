#include "clients.h"

#include <stdlib.h>
#include <unistd.h>

#include "client.h"
#include "clientcounters.h"
#include "dispatch.h"
#include "list.h"
#include "login.h"
#include "revocations.h"
#include "routehttp.h"
#include "service.h"
#include "views.h"

void clients_init(struct clients *clients, struct upstreams *upstreams, struct service *service)
{
    *clients = (struct clients){
        .loop = upstreams->loop,
        .upstreams = upstreams,
        .service = service_ref(service),
        .revocations = revocations_ref(service->revocations),
        .on_upstream = dispatch_on_upstream,
        .on_routed = dispatch_routed,
    };
    routehttp_init(&clients->routehttp, clients->loop);
    client_counters_init(&clients->counters);
    for (size_t state = 0; state < CLIENT_STATE_MAX; state++)
        list_init(&clients->by_state[state]);
}

void clients_done(struct clients *clients)
{
    service_unref(clients->service);
    views_done(&clients->views);
    revocations_unref(clients->revocations);
    client_counters_done(&clients->counters);
}

bool clients_are_gone(const struct clients *clients)
{
    for (size_t state = 0; state < CLIENT_STATE_MAX; state++)
        if (!list_is_empty(&clients->by_state[state]))
            return false;
    return true;
}

bool clients_accept(struct clients *clients, const struct config_listener *listener, int fd,
                    const struct peers_place *place, const struct address *local)
{
    struct client *client = calloc(1, sizeof *client);
    if (!client) {
        close(fd);
        return false;
    }
    client_init(client, clients, listener, place, local);
    dispatch_begin(client, fd);
    return true;
}

void clients_heed(struct clients *clients, struct revocations *revocations)
{
    bool are_newer = revocations_are_newer(revocations, clients->revocations);
    revocations_unref(are_newer ? clients->revocations : revocations);
    if (are_newer)
        clients->revocations = revocations;
}

void clients_begin_with(struct clients *clients, struct service *service, struct revocations *revocations)
{
    service_unref(clients->service);
    clients->service = service;
    clients_heed(clients, revocations);
}

void clients_round_ended(struct clients *clients)
{
    list_each_safe(link, &clients->by_state[CLIENT_GREETING])
        dispatch_round_ended(list_entry(link, struct client, link));
}

/* --- making room --- */

static struct client *clients_first(struct list *state)
{
    return list_is_empty(state) ? NULL : list_entry(state->next, struct client, link);
}

/* Each list is in the order in which its state was entered. */
static struct client *clients_oldest_newcomer(struct clients *clients)
{
    struct client *oldest = NULL;
    for (unsigned state = CLIENT_PROXYING; state <= CLIENT_NOT_AUTHENTICATED; state++) {
        struct client *first = clients_first(&clients->by_state[state]);
        if (first && (!oldest || first->began_at_ms < oldest->began_at_ms))
            oldest = first;
    }
    return oldest;
}

/* A dialog that was begun and left alone is as silent as no login at all. */
static struct client *clients_oldest_in_dialog(struct clients *clients)
{
    list_each_safe(link, &clients->by_state[CLIENT_LOGGING_IN])
    {
        struct client *client = list_entry(link, struct client, link);
        if (login_wants_line(client))
            return client;
    }
    return NULL;
}

bool clients_make_room(struct clients *clients)
{
    struct client *oldest = clients_oldest_newcomer(clients);
    if (!oldest)
        oldest = clients_oldest_in_dialog(clients);
    if (oldest)
        dispatch_give_place(oldest);
    return oldest;
}

/* --- the end --- */

size_t clients_count(const struct clients *clients)
{
    size_t count = 0;
    for (size_t state = 0; state < CLIENT_DEAD; state++)
        list_each_safe(link, &clients->by_state[state]) count++;
    return count;
}

void clients_drain(struct clients *clients, size_t count)
{
    for (size_t state = 0; count > 0 && state <= CLIENT_AUTHENTICATED; state++)
        list_each_safe(link, &clients->by_state[state])
        {
            if (count == 0)
                break;
            count -= dispatch_drain(list_entry(link, struct client, link));
        }
}

void clients_stop(struct clients *clients, bool now)
{
    for (size_t state = 0; state < CLIENT_DEAD; state++)
        list_each_safe(link, &clients->by_state[state]) dispatch_stop(list_entry(link, struct client, link), now);
}
