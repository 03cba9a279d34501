#include "answer.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdlib.h>

#include "loop.h"

/* --- life --- */

void http_request_free(struct http_request *request)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(request->evhttp);
    if (connection)
        evhttp_connection_set_closecb(connection, NULL, NULL);
    figures_withdraw(&request->figures);
    predecessors_withdraw(&request->predecessors);
    timer_stop(&request->timer);
    list_remove(&request->link);
    free(request);
}

/* libevent frees its own. */
static void http_request_on_close(struct evhttp_connection *connection, void *arg)
{
    http_request_free(arg);
}

struct http_request *http_request_new(struct http_context *context, struct evhttp_request *evhttp)
{
    struct http_request *request = calloc(1, sizeof *request);
    if (!request) {
        evhttp_send_error(evhttp, HTTP_SERVUNAVAIL, NULL);
        return NULL;
    }
    request->context = context;
    request->evhttp = evhttp;
    timer_init(&request->timer, context->loop, NULL, request);
    list_init(&request->link);
    list_move(&request->link, &context->requests);
    evhttp_connection_set_closecb(evhttp_request_get_connection(evhttp), http_request_on_close, request);
    return request;
}

/* --- asked --- */

const char *http_request_header(const struct http_request *request, const char *name)
{
    return evhttp_find_header(evhttp_request_get_input_headers(request->evhttp), name);
}

bool http_request_figures(struct http_request *request, figures_callback *answered)
{
    request->figures.answered = answered;
    request->figures.asker = request;
    if (figures_ask(request->context->desk, &request->figures))
        return true;
    http_reply_text(request, HTTP_SERVUNAVAIL, "the workers cannot be asked at the moment");
    return false;
}

static void http_request_on_predecessors(void *asker)
{
    struct http_request *request = asker;
    http_request_figures(request, request->figures.answered);
}

void http_request_all_figures(struct http_request *request, figures_callback *answered)
{
    request->figures.answered = answered;
    request->predecessors.answered = http_request_on_predecessors;
    request->predecessors.asker = request;
    predecessors_ask(request->context->predecessors, &request->predecessors);
}

const struct inheritance *http_request_inheritance(const struct http_request *request)
{
    return predecessors_told(request->context->predecessors);
}

void http_request_wait(struct http_request *request, uint64_t ms, agenda_callback *callback)
{
    request->timer.due.callback = callback;
    timer_set(&request->timer, ms);
}

/* --- answered --- */

void http_request_tell(struct http_request *request, const char *name, const char *value)
{
    evhttp_add_header(evhttp_request_get_output_headers(request->evhttp), name, value);
}

void http_reply(struct http_request *request, int status, const char *type, struct evbuffer *body)
{
    struct evhttp_request *evhttp = request->evhttp;
    struct evkeyvalq *headers = evhttp_request_get_output_headers(evhttp);
    http_request_free(request);
    evhttp_add_header(headers, "Content-Type", type);
    evhttp_add_header(headers, "Cache-Control", "no-store");
    evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
    /* One request a connection: what a client may hold is bounded by that, and by the time that it may take. */
    evhttp_add_header(headers, "Connection", "close");
    if (status == HTTP_BADMETHOD)
        evhttp_add_header(headers, "Allow", "GET, HEAD");
    evhttp_send_reply(evhttp, status, status == HTTP_MISDIRECTED ? "Misdirected Request" : NULL, body);
}

void http_reply_text(struct http_request *request, int status, const char *text)
{
    struct evbuffer *body = evbuffer_new();
    if (body)
        evbuffer_add_printf(body, "%s\n", text);
    http_reply(request, status, "text/plain; charset=utf-8", body);
    if (body)
        evbuffer_free(body);
}
