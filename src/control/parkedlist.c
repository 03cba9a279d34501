#include "parkedlist.h"

#include <stdlib.h>

#include "address.h"
#include "filter.h"
#include "loop.h"
#include "park.h"
#include "reply.h"
#include "scope.h"
#include "username.h"

/* How many are copied while the park's lock is held. */
#define PARKEDLIST_ROWS 256u

struct parkedlist {
    struct loop *loop; /* borrowed */
    struct reply *reply;
    struct filter *filter; /* counted */
    struct park_place place;
    size_t shown;
};

static json_t *parkedlist_row(const struct parked_copy *row, uint64_t now_ms)
{
    char server[ADDRESS_TEXT_MAX];
    return json_pack("{so ss? ss? sb ss sb sI sI}", "user", username_show(imapstate_buf_span(&row->user)), "upstream",
                     row->upstream, "server", row->has_server ? address_text_with_port(&row->server, server) : NULL,
                     "tls", row->has_tls, "kind", row->is_pristine ? "pristine" : "state", "suspended", !row->is_good,
                     "parked_s", (json_int_t)((now_ms - row->parked_at_ms) / 1000), "age_s",
                     (json_int_t)((now_ms - row->born_at_ms) / 1000));
}

static bool parkedlist_admits(const struct filter *filter, const struct parked_copy *row)
{
    return filter_admits_user(filter, imapstate_buf_span(&row->user)) &&
           (!filter->upstream || (row->upstream && filter_admits_upstream(filter, row->upstream))) &&
           (!filter->has_address || (row->has_server && filter_admits_address(filter, &row->server)));
}

static bool parkedlist_give_part(struct parkedlist *list)
{
    struct parked_copy rows[PARKEDLIST_ROWS];
    size_t count = park_list(&list->place, rows, PARKEDLIST_ROWS);
    uint64_t now_ms = loop_now_ms(list->loop);
    for (size_t i = 0; i < count; i++) {
        if (parkedlist_admits(list->filter, &rows[i])) {
            reply_put_row(list->reply, parkedlist_row(&rows[i], now_ms));
            list->shown++;
        }
        parked_copy_done(&rows[i]);
    }
    return count == PARKEDLIST_ROWS;
}

static void parkedlist_go_on(void *waiter)
{
    struct parkedlist *list = waiter;
    bool has_more = true;
    while (has_more && !reply_is_abandoned(list->reply)) {
        if (!reply_has_room(list->reply, parkedlist_go_on, list))
            return;
        has_more = parkedlist_give_part(list);
    }
    reply_end(list->reply, REPLY_DONE, "%zu parked", list->shown);
    filter_unref(list->filter);
    free(list);
}

void parkedlist_show(const struct scope *scope, const struct controlline *line, struct reply *reply)
{
    const char *wrong;
    struct filter *filter = filter_new(line, &wrong);
    struct parkedlist *list = filter ? calloc(1, sizeof *list) : NULL;
    if (!list) {
        reply_end(reply, filter ? REPLY_FAILED : REPLY_USAGE, "%s", filter ? "out of memory" : wrong);
        filter_unref(filter);
        return;
    }
    *list = (struct parkedlist){ .loop = scope->loop, .reply = reply, .filter = filter };
    parkedlist_go_on(list);
}
