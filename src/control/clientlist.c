#include "clientlist.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "client.h"
#include "config.h"
#include "filter.h"
#include "inquiry.h"
#include "list.h"
#include "logmark.h"
#include "loop.h"
#include "reply.h"
#include "scope.h"
#include "service.h"
#include "tls.h"
#include "username.h"
#include "worker.h"

/* How many clients all workers together give at a time, and one at least. */
#define CLIENTLIST_ROWS       1024u
#define CLIENTLIST_ROWS_LEAST 16u
#define CLIENTLIST_WORKERS    1024u

/* A copy of what is shown, made in the worker's thread. */
struct clientrow {
    struct logmark mark;
    struct imapstate_buf user;
    struct service *service;                /* counted: keeps listener and upstream */
    const struct config_listener *listener; /* of service */
    const char *upstream;                   /* its name */
    struct address from, server;
    const char *tls;   /* static */
    const char *state; /* static */
    uint64_t age_s, idle_s;
    uint8_t restored;
    bool has_server;
};

struct clientslot {
    struct clientrow *rows; /* owned */
    size_t count;
    unsigned index; /* the worker's */
    bool has_failed;
};

/* What is asked for: of each worker those behind the last one that it gave. */
struct clientpage {
    struct filter *filter; /* counted */
    size_t rows_max;
    uint64_t after_id[CLIENTLIST_WORKERS];
};

/* The command, while it is carried out. */
struct clientlist {
    const struct scope *scope;
    struct reply *reply;
    struct filter *filter; /* counted */
    size_t shown;
    uint64_t after_id[CLIENTLIST_WORKERS];
};

/* --- in the workers' threads --- */

static bool client_is_admitted(const struct client *client, const struct filter *filter)
{
    return filter_admits_user(filter, imapstate_buf_span(&client->session.user)) &&
           filter_admits_upstream(filter, client_home_name(client)) && filter_admits_address(filter, &client->peer);
}

/* Puts client where it belongs among the first ones by their ids, of which there are at most max. Mostly the ids come
 * in order. */
static size_t clientslot_sort_in(struct client **first, size_t count, size_t max, struct client *client)
{
    if (count == max && first[count - 1]->mark.client < client->mark.client)
        return count;
    size_t at = count < max ? count : max - 1;
    for (; at > 0 && first[at - 1]->mark.client > client->mark.client; at--)
        first[at] = first[at - 1];
    first[at] = client;
    return count < max ? count + 1 : max;
}

static size_t clientslot_choose(const struct clients *clients, const struct clientpage *page, uint64_t after_id,
                                struct client **ret_first)
{
    size_t count = 0;
    for (unsigned state = 0; state < CLIENT_DEAD; state++)
        list_each_safe(link, &clients->by_state[state])
        {
            struct client *client = list_entry(link, struct client, link);
            if (client->mark.client > after_id && client_is_admitted(client, page->filter))
                count = clientslot_sort_in(ret_first, count, page->rows_max, client);
        }
    return count;
}

static const char *client_state_text(const struct client *client)
{
    static const char *const texts[CLIENT_STATE_MAX] = {
        [CLIENT_PROXYING] = "proxying",     [CLIENT_SECURING] = "securing",
        [CLIENT_GREETING] = "greeting",     [CLIENT_NOT_AUTHENTICATED] = "not authenticated",
        [CLIENT_LOGGING_IN] = "logging in", [CLIENT_AUTHENTICATED] = "authenticated",
        [CLIENT_CLOSING] = "closing",       [CLIENT_DEAD] = "closing",
    };
    return client->state == CLIENT_AUTHENTICATED && client_is_idling(client) ? "idling" : texts[client->state];
}

static void clientrow_fill(struct clientrow *row, const struct client *client, uint64_t now_ms)
{
    *row = (struct clientrow){
        .mark = client->mark,
        .service = service_ref(client->service),
        .listener = client->listener,
        .upstream = client_home_name(client),
        .from = client->peer,
        .tls = client->stream.ssl ? SSL_get_version(client->stream.ssl) : NULL,
        .state = client_state_text(client),
        .age_s = (now_ms - client->began_at_ms) / 1000,
        .idle_s = (now_ms - client->active_at_ms) / 1000,
        .restored = client->session.restored,
    };
    imapstate_buf_init(&row->user, USERNAME_MAX);
    imapstate_buf_put(&row->user, imapstate_buf_span(&client->session.user));
    row->has_server = client->upstream && address_of_peer(client->upstream->stream.fd, &row->server);
}

static void clientlist_ask(struct worker *worker, void *slot, const void *argument)
{
    const struct clientpage *page = argument;
    struct clientslot *mine = slot;
    mine->index = worker->loop.index % CLIENTLIST_WORKERS;
    struct client **first = calloc(page->rows_max, sizeof *first);
    size_t count = first ? clientslot_choose(&worker->clients, page, page->after_id[mine->index], first) : 0;
    mine->rows = calloc(count + 1, sizeof *mine->rows);
    mine->has_failed = !first || !mine->rows;
    for (; mine->rows && mine->count < count; mine->count++)
        clientrow_fill(&mine->rows[mine->count], first[mine->count], loop_now_ms(&worker->loop));
    free(first);
}

/* --- in the main thread --- */

static json_t *clientrow_address(const struct address *address)
{
    char text[ADDRESS_TEXT_MAX];
    return json_string(address_text_with_port(address, text));
}

static json_t *clientrow_json(const struct clientrow *row)
{
    static const char *const restored[] = {
        [SESSION_RESTORED_NO] = NULL, [SESSION_RESTORED_COLD] = "cold", [SESSION_RESTORED_WARM] = "warm"
    };
    char id[24], session[LOGMARK_SESSION_MAX];
    snprintf(id, sizeof id, "%" PRIx64, row->mark.client);
    return json_pack("{ss ss so ss so ss ss so ss? sI sI ss?}", "id", id, "session",
                     logmark_session(&row->mark, session), "user", username_show(imapstate_buf_span(&row->user)),
                     "state", row->state, "from", clientrow_address(&row->from), "listener", row->listener->name,
                     "upstream", row->upstream, "server",
                     row->has_server ? clientrow_address(&row->server) : json_null(), "tls", row->tls, "age_s",
                     (json_int_t)row->age_s, "idle_s", (json_int_t)row->idle_s, "restored", restored[row->restored]);
}

static void clientslot_done(void *slot)
{
    struct clientslot *mine = slot;
    for (size_t i = 0; i < mine->count; i++) {
        imapstate_buf_done(&mine->rows[i].user);
        service_unref(mine->rows[i].service);
    }
    free(mine->rows);
}

static void clientpage_done(void *argument)
{
    struct clientpage *page = argument;
    filter_unref(page->filter);
    free(page);
}

static void clientlist_end(struct clientlist *list, enum reply_end end, const char *words)
{
    if (end == REPLY_DONE)
        reply_end(list->reply, end, "%zu %s", list->shown, list->shown == 1 ? "client" : "clients");
    else
        reply_end(list->reply, end, "%s", words);
    filter_unref(list->filter);
    free(list);
}

/* Are there perhaps more than it gave? */
static bool clientlist_take(struct clientlist *list, const struct clientslot *slot, size_t rows_max)
{
    for (size_t i = 0; i < slot->count; i++)
        reply_put_row(list->reply, clientrow_json(&slot->rows[i]));
    list->shown += slot->count;
    if (slot->count > 0)
        list->after_id[slot->index] = slot->rows[slot->count - 1].mark.client;
    return slot->count == rows_max;
}

static void clientlist_next(void *waiter);

static void clientlist_answered(const struct inquiry *inquiry, void *asker)
{
    struct clientlist *list = asker;
    const struct clientpage *page = inquiry_argument(inquiry);
    bool has_more = false, has_failed = false;
    for (size_t i = 0; i < inquiry_count(inquiry); i++) {
        const struct clientslot *slot = inquiry_slot(inquiry, i);
        has_failed |= slot && slot->has_failed;
        has_more |= slot && clientlist_take(list, slot, page->rows_max);
    }
    if (inquiry_missing(inquiry) > 0)
        clientlist_end(list, REPLY_FAILED, "not all workers have answered in time: the list is not complete");
    else if (has_failed)
        clientlist_end(list, REPLY_FAILED, "out of memory: the list is not complete");
    else if (!has_more || reply_is_abandoned(list->reply))
        clientlist_end(list, REPLY_DONE, NULL);
    else if (reply_has_room(list->reply, clientlist_next, list))
        clientlist_next(list);
}

static const struct question clientlist_question = {
    .ask = clientlist_ask,
    .answered = clientlist_answered,
    .argument_done = clientpage_done,
    .slot_done = clientslot_done,
    .slot_octets = sizeof(struct clientslot),
    .limit_ms = INQUIRY_LIMIT_MS,
};

static size_t clientlist_rows_max(const struct inquiries *inquiries)
{
    size_t share = CLIENTLIST_ROWS / (inquiries->worker_count + 1);
    return share > CLIENTLIST_ROWS_LEAST ? share : CLIENTLIST_ROWS_LEAST;
}

static void clientlist_next(void *waiter)
{
    struct clientlist *list = waiter;
    if (reply_is_abandoned(list->reply)) { /* perhaps as the daemon ends, when there are no workers to be asked */
        clientlist_end(list, REPLY_DONE, NULL);
        return;
    }
    struct clientpage *page = calloc(1, sizeof *page);
    if (page) {
        page->filter = filter_ref(list->filter);
        page->rows_max = clientlist_rows_max(list->scope->inquiries);
        memcpy(page->after_id, list->after_id, sizeof page->after_id);
    }
    if (!page || !inquiry_begin(list->scope->inquiries, &clientlist_question, page, list))
        clientlist_end(list, REPLY_FAILED, "the workers cannot be asked now");
}

void clientlist_show(const struct scope *scope, const struct controlline *line, struct reply *reply)
{
    const char *wrong;
    struct filter *filter = filter_new(line, &wrong);
    struct clientlist *list = filter ? calloc(1, sizeof *list) : NULL;
    if (!list) {
        reply_end(reply, filter ? REPLY_FAILED : REPLY_USAGE, "%s", filter ? "out of memory" : wrong);
        filter_unref(filter);
        return;
    }
    list->scope = scope;
    list->reply = reply;
    list->filter = filter;
    clientlist_next(list);
}
