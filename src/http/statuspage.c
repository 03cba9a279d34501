#include "statuspage.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <stdbool.h>
#include <time.h>

#include "answer.h"
#include "overview.h"
#include "sampler.h"
#include "statuspage-text.h"

static void statuspage_reply(struct http_request *request, const char *type, struct evbuffer *body, bool is_whole)
{
    if (is_whole)
        http_reply(request, HTTP_OK, type, body);
    else
        http_reply_text(request, HTTP_SERVUNAVAIL, "out of memory");
    if (body)
        evbuffer_free(body);
}

void statuspage_page(struct http_request *request)
{
    struct evbuffer *body = evbuffer_new();
    bool is_whole = body && evbuffer_add(body, statuspage_text, sizeof statuspage_text - 1) == 0;
    /* The browser then runs nothing but what is in the page, asks nobody else, and shows it in nobody's frame. */
    http_request_tell(request, "Content-Security-Policy", statuspage_policy);
    http_request_tell(request, "Referrer-Policy", "no-referrer");
    statuspage_reply(request, "text/html; charset=utf-8", body, is_whole);
}

static void statuspage_on_figures(void *asker, const struct figures *figures)
{
    struct http_request *request = asker;
    const struct overview overview = {
        .figures = figures,
        .inheritance = http_request_inheritance(request),
        .history = sampler_history(request->context->sampler),
        .now_s = (int64_t)time(NULL),
    };
    struct evbuffer *body = figures ? evbuffer_new() : NULL;
    statuspage_reply(request, "application/json", body, body && overview_write(&overview, body));
}

void statuspage_status(struct http_request *request)
{
    http_request_all_figures(request, statuspage_on_figures);
}
