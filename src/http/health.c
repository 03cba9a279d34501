#include "health.h"

#include <event2/http.h>

#include "answer.h"
#include "config.h"
#include "figures.h"
#include "inquiry.h"
#include "janitor.h"
#include "loop.h"
#include "reach.h"
#include "service.h"
#include "upstreams.h"
#include "worker.h"

/* How long the answer waits for what is being found out, and how often it looks. */
#define HEALTH_PATIENCE_MS 3000u
#define HEALTH_LOOK_MS     50u
/* So many upstreams are connected to for the question: one that answers is enough. */
#define HEALTH_PROBES_MAX 8u

void health_page(struct http_request *request)
{
    http_reply_text(request, HTTP_OK, "ok");
}

/* --- asking the upstreams --- */

static void probe_ask(struct worker *worker, void *slot, const void *argument)
{
    struct service *service = worker->clients.service;
    size_t count = service->config->upstream_count;
    if (worker->loop.index != JANITOR_INDEX || worker->loop.is_stopping)
        return;
    for (size_t i = 0; i < count && i < HEALTH_PROBES_MAX; i++)
        upstreams_probe(&worker->upstreams, service, &service->config->upstreams[i]);
}

static void probe_answered(const struct inquiry *inquiry, void *asker)
{
}

static const struct question probe_question = {
    .ask = probe_ask,
    .answered = probe_answered,
    .limit_ms = INQUIRY_LIMIT_MS,
};

static void health_probe(struct http_context *context)
{
    uint64_t now_ms = loop_now_ms(context->loop);
    if (context->probed_at_ms > 0 && now_ms < context->probed_at_ms + HEALTH_FRESH_MS / 2)
        return;
    if (inquiry_begin(context->inquiries, &probe_question, NULL, NULL))
        context->probed_at_ms = now_ms;
}

/* --- the answer --- */

/* As far as is known lately, and for the worse since upstreams were asked last. GOOD: one of them is enough. */
static enum reach health_of_all(const struct figures *figures, uint64_t probed_at_ms)
{
    const struct config *config = figures->standing->service->config;
    bool is_known = probed_at_ms > 0 && figures->now_ms < probed_at_ms + HEALTH_FRESH_MS / 2;
    for (size_t i = 0; i < config->upstream_count; i++) {
        uint64_t at_ms;
        enum reach reach = reach_of(&figures->upstreams, config->upstreams[i].name, &at_ms);
        if (reach == REACH_GOOD && figures->now_ms < at_ms + HEALTH_FRESH_MS)
            return REACH_GOOD;
        is_known &= reach == REACH_BAD && at_ms > probed_at_ms;
    }
    return is_known ? REACH_BAD : REACH_UNKNOWN;
}

static void health_look_again(void *owner);

static void health_on_figures(void *asker, const struct figures *figures)
{
    struct http_request *request = asker;
    struct http_context *context = request->context;
    enum reach reach = figures ? health_of_all(figures, context->probed_at_ms) : REACH_BAD;
    if (reach == REACH_GOOD) {
        http_reply_text(request, HTTP_OK, "ready");
    } else if (reach == REACH_UNKNOWN && loop_now_ms(context->loop) < request->deadline_ms) {
        health_probe(context);
        http_request_wait(request, HEALTH_LOOK_MS, health_look_again);
    } else {
        http_reply_text(request, HTTP_SERVUNAVAIL, "not ready: no upstream can be reached");
    }
}

static void health_look_again(void *owner)
{
    http_request_figures(owner, health_on_figures);
}

void readiness_page(struct http_request *request)
{
    const struct http_context *context = request->context;
    request->deadline_ms = loop_now_ms(context->loop) + HEALTH_PATIENCE_MS;
    if (*context->standing->is_draining)
        http_reply_text(request, HTTP_SERVUNAVAIL, "not ready: it drains");
    else if (!context->standing->is_listening)
        http_reply_text(request, HTTP_SERVUNAVAIL, "not ready: not all addresses are open");
    else
        http_request_figures(request, health_on_figures);
}
