#include "routehttp.h"

#include <stdlib.h>

#include "address.h"
#include "config.h"
#include "loop.h"
#include "routecache.h"
#include "stream.h"
#include "timer.h"

struct question {
    struct list link; /* in waiting; in no list: under way, or over */
    struct grave grave;
    struct routehttp *routehttp; /* borrowed */
    const struct config_route_http *http;
    struct imapstate_buf user;
    struct address client;
    struct stream stream;
    struct timer timer;
    routehttp_callback *callback;
    void *owner;
    const char *failure; /* static: what the timer tells */
    bool is_under_way, is_over;
};

void routehttp_init(struct routehttp *routehttp, struct loop *loop)
{
    *routehttp = (struct routehttp){ .loop = loop };
    list_init(&routehttp->waiting);
}

/* --- its end --- */

static void question_end(struct grave *grave)
{
    struct question *question = list_entry(grave, struct question, grave);
    stream_done(&question->stream);
    imapstate_buf_done(&question->user);
    free(question);
}

static void routehttp_go_on(struct routehttp *routehttp);

/* Nobody is told anything any more, and the next one has its turn. */
static void question_close(struct question *question)
{
    struct routehttp *routehttp = question->routehttp;
    question->is_over = true;
    list_remove(&question->link);
    timer_stop(&question->timer);
    stream_pause(&question->stream);
    loop_bury(routehttp->loop, &question->grave, question_end);
    if (!question->is_under_way)
        return;
    routehttp->asked--;
    routehttp_go_on(routehttp);
}

void routehttp_cancel(struct question *question)
{
    if (question && !question->is_over)
        question_close(question);
}

static void question_answer(struct question *question, enum routeanswer_result result, const struct routeanswer *answer)
{
    routehttp_callback *callback = question->callback;
    void *owner = question->owner;
    if (result == ROUTEANSWER_OK)
        routecache_put(question->http, imapstate_buf_span(&question->user), &question->client,
                       loop_now_ms(question->routehttp->loop), answer);
    question_close(question);
    callback(owner, result, answer);
}

static void question_fail(struct question *question, const char *why)
{
    question_answer(question, ROUTEANSWER_WRONG, &(struct routeanswer){ .why = why });
}

/* --- its way --- */

static void question_read(struct question *question, bool is_at_end)
{
    struct routeanswer answer;
    enum routeanswer_result result = routeanswer_read(stream_input(&question->stream), is_at_end, &answer);
    if (result != ROUTEANSWER_MORE)
        question_answer(question, result, &answer);
}

static void question_write(struct question *question)
{
    struct imapstate_buf request;
    imapstate_buf_init(&request, ROUTEANSWER_REQUEST_MAX);
    bool is_written =
        routeanswer_write_request(question->http, imapstate_buf_span(&question->user), &question->client, &request) &&
        stream_put(&question->stream, imapstate_buf_span(&request));
    imapstate_buf_done(&request);
    if (!is_written) {
        question_fail(question, "out of memory");
        return;
    }
    stream_flush(&question->stream);
    stream_start(&question->stream);
}

static void question_on_stream(void *owner, enum stream_event event)
{
    struct question *question = owner;
    if (question->is_over)
        return;
    switch (event) {
    case STREAM_CONNECTED:
        question_write(question);
        break;
    case STREAM_INPUT:
        question_read(question, false);
        break;
    case STREAM_EOF:
        question_read(question, true);
        break;
    case STREAM_CLOSED:
        question_fail(question, "it cannot be reached, or hangs up");
        break;
    default:
        break;
    }
}

static void question_on_timer(void *owner)
{
    struct question *question = owner;
    question_fail(question, question->failure);
}

static void question_begin(struct question *question)
{
    const struct endpoint *endpoint = &question->http->endpoint;
    list_remove(&question->link);
    question->is_under_way = true;
    question->routehttp->asked++;
    if (stream_connect(&question->stream, &endpoint->sockaddr.any, endpoint->len))
        return;
    question->failure = "it cannot be connected to";
    timer_set(&question->timer, 0);
}

static void routehttp_go_on(struct routehttp *routehttp)
{
    while (routehttp->asked < ROUTEHTTP_MAX && !list_is_empty(&routehttp->waiting))
        question_begin(list_entry(routehttp->waiting.next, struct question, link));
}

struct question *routehttp_ask(struct routehttp *routehttp, const struct config_route_http *http,
                               struct imapstate_span user, const struct address *client, routehttp_callback *callback,
                               void *owner)
{
    struct question *question = calloc(1, sizeof *question);
    if (!question)
        return NULL;
    imapstate_buf_init(&question->user, ROUTEANSWER_USER_MAX);
    if (!imapstate_buf_put(&question->user, user)) {
        free(question);
        return NULL;
    }
    question->routehttp = routehttp;
    question->http = http;
    question->client = *client;
    question->callback = callback;
    question->owner = owner;
    question->failure = "it does not answer in time";
    stream_init(&question->stream, routehttp->loop, -1, question_on_stream, question);
    timer_init(&question->timer, routehttp->loop, question_on_timer, question);
    timer_set(&question->timer, http->timeout_ms);
    list_init(&question->link);
    list_move(&question->link, &routehttp->waiting);
    routehttp_go_on(routehttp);
    return question;
}
