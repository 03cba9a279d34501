#include "counterlist.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "exposition.h"
#include "figures.h"
#include "reply.h"

struct counterlist {
    struct figures_request request;
    struct reply *reply;
    bool is_all; /* with buckets */
};

/* "NAME{LABELS} VALUE", or a comment. */
static void counterlist_put(const struct counterlist *list, char *line)
{
    char *space = strrchr(line, ' ');
    if (*line == '#' || !space || (!list->is_all && strstr(line, "_bucket{")))
        return;
    *space = '\0';
    reply_put_row(list->reply, json_pack("{ss ss}", "name", line, "value", space + 1));
}

static bool counterlist_put_all(const struct counterlist *list, const struct figures *figures)
{
    struct evbuffer *text = figures ? evbuffer_new() : NULL;
    bool is_whole = text && exposition_write(figures, NULL, EXPOSITION_TEXT, text);
    for (char *line; is_whole && (line = evbuffer_readln(text, NULL, EVBUFFER_EOL_LF)); free(line))
        counterlist_put(list, line);
    if (text)
        evbuffer_free(text);
    return is_whole;
}

static void counterlist_answered(void *asker, const struct figures *figures)
{
    struct counterlist *list = asker;
    if (!counterlist_put_all(list, figures))
        reply_end(list->reply, REPLY_FAILED, "out of memory, or the workers cannot be asked now");
    else if (figures->late_count > 0)
        reply_end(list->reply, REPLY_FAILED, "not all workers have answered in time: some figures are old");
    else
        reply_end(list->reply, REPLY_DONE, "since the start");
    free(list);
}

void counterlist_show(struct figures_desk *desk, bool is_all, struct reply *reply)
{
    struct counterlist *list = desk ? calloc(1, sizeof *list) : NULL;
    if (list)
        *list = (struct counterlist){ .request = { .answered = counterlist_answered, .asker = list },
                                      .reply = reply,
                                      .is_all = is_all };
    if (list && figures_ask(desk, &list->request))
        return;
    reply_end(reply, REPLY_FAILED, "out of memory, or the workers cannot be asked now");
    free(list);
}
