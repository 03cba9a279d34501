/* http_request: one request, from when it is complete until it is answered. Whoever answers it may take its time: it
 * asks for the figures, or waits, and the main thread goes on. If the client goes away before that, the request goes
 * with it, and whoever would have answered is never called again. */
#ifndef HTTP_ANSWER_H
#define HTTP_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "figures.h"
#include "list.h"
#include "predecessors.h"
#include "timer.h"

struct evbuffer;
struct evhttp_request;
struct loop;
struct sampler;

/* What all requests share. */
struct http_context {
    struct loop *loop; /* borrowed, all of these: the main thread's */
    struct inquiries *inquiries;
    const struct standing *standing;
    struct figures_desk *desk;
    struct sampler *sampler;
    struct predecessors *predecessors;
    struct list requests;  /* that are not answered yet */
    uint64_t probed_at_ms; /* health.h: when upstreams were last asked whether they are there; 0: never */
};

struct http_request {
    struct list link;              /* in context->requests */
    struct evhttp_request *evhttp; /* libevent's; until it is answered */
    struct http_context *context;  /* borrowed */
    struct figures_request figures;
    struct predecessors_request predecessors;
    struct timer timer;
    uint64_t deadline_ms; /* its page's */
};

/* NULL: out of memory; evhttp has been answered. */
struct http_request *http_request_new(struct http_context *context, struct evhttp_request *evhttp);

/* Its end without an answer: the server is ending. */
void http_request_free(struct http_request *request);

/* The value of a header; NULL: there is none. Valid until it is answered. */
const char *http_request_header(const struct http_request *request, const char *name);

/* Asks for the figures; then answered() is called with request for the asker. False: that cannot be, and it has been
 * answered. */
bool http_request_figures(struct http_request *request, figures_callback *answered);

/* The same after the processes that drain have been asked for theirs: inheritance is valid in answered(). */
void http_request_all_figures(struct http_request *request, figures_callback *answered);
const struct inheritance *http_request_inheritance(const struct http_request *request);

/* callback is called with request for the owner, after that time. */
void http_request_wait(struct http_request *request, uint64_t ms, agenda_callback *callback);

/* A header for the answer. Without memory for it the answer goes without. */
void http_request_tell(struct http_request *request, const char *name, const char *value);

/* RFC 9110 section 15.5.20; libevent does not know it. */
#define HTTP_MISDIRECTED 421

/* The answers; each is the end of request. body is borrowed. */
void http_reply(struct http_request *request, int status, const char *type, struct evbuffer *body);
void http_reply_text(struct http_request *request, int status, const char *text); /* a line, without its end */

#endif
