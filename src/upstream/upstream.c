#include "upstream.h"

#include <stdarg.h>
#include <stdlib.h>

#include "log.h"
#include "moves.h"
#include "opening.h"
#include "park.h"
#include "pipeline.h"
#include "pulse.h"
#include "queue.h"
#include "tag.h"

/* How long the server may take to answer LOGOUT; nobody waits for it. */
#define UPSTREAM_LEAVING_MS 5000u

#define BIT(state) MOVES_BIT(state)

static const unsigned upstream_may_enter[UPSTREAM_STATE_MAX] = {
    [UPSTREAM_RESOLVING] = BIT(UPSTREAM_QUEUED) | BIT(UPSTREAM_CONNECTING) | BIT(UPSTREAM_DEAD),
    [UPSTREAM_QUEUED] = BIT(UPSTREAM_CONNECTING) | BIT(UPSTREAM_DEAD),
    [UPSTREAM_CONNECTING] = BIT(UPSTREAM_SECURING) | BIT(UPSTREAM_PREPARING) | BIT(UPSTREAM_QUEUED) |
                            BIT(UPSTREAM_CONNECTING) | BIT(UPSTREAM_DEAD),
    [UPSTREAM_SECURING] =
        BIT(UPSTREAM_PREPARING) | BIT(UPSTREAM_QUEUED) | BIT(UPSTREAM_CONNECTING) | BIT(UPSTREAM_DEAD),
    [UPSTREAM_PREPARING] = BIT(UPSTREAM_SECURING) | BIT(UPSTREAM_READY) | BIT(UPSTREAM_QUEUED) |
                           BIT(UPSTREAM_CONNECTING) | BIT(UPSTREAM_LEAVING) | BIT(UPSTREAM_DEAD),
    [UPSTREAM_READY] = BIT(UPSTREAM_PREPARING) | BIT(UPSTREAM_LOGGING_IN) | BIT(UPSTREAM_LEAVING) | BIT(UPSTREAM_DEAD),
    [UPSTREAM_LOGGING_IN] = BIT(UPSTREAM_ATTACHED) | BIT(UPSTREAM_DEAD),
    [UPSTREAM_ATTACHED] = BIT(UPSTREAM_SETTLING) | BIT(UPSTREAM_LEAVING) | BIT(UPSTREAM_DEAD),
    [UPSTREAM_SETTLING] = BIT(UPSTREAM_DEAD),
    [UPSTREAM_LEAVING] = BIT(UPSTREAM_DEAD),
};

static const char *const upstream_state_names[UPSTREAM_STATE_MAX] = {
    "RESOLVING",  "QUEUED",   "CONNECTING", "SECURING", "PREPARING", "READY",
    "LOGGING_IN", "ATTACHED", "SETTLING",   "LEAVING",  "DEAD",
};

/* DEAD: none. */
static const uint8_t upstream_stages[UPSTREAM_STATE_MAX] = {
    [UPSTREAM_RESOLVING] = UPSTREAM_OPENING,   [UPSTREAM_QUEUED] = UPSTREAM_WAITS,
    [UPSTREAM_CONNECTING] = UPSTREAM_OPENING,  [UPSTREAM_SECURING] = UPSTREAM_OPENING,
    [UPSTREAM_PREPARING] = UPSTREAM_OPENING,   [UPSTREAM_READY] = UPSTREAM_OPENING,
    [UPSTREAM_LOGGING_IN] = UPSTREAM_IN_LOGIN, [UPSTREAM_ATTACHED] = UPSTREAM_IN_SESSION,
    [UPSTREAM_SETTLING] = UPSTREAM_SETTLES,    [UPSTREAM_LEAVING] = UPSTREAM_LEAVES,
    [UPSTREAM_DEAD] = UPSTREAM_STAGE_COUNT,
};

static const struct moves upstream_moves = { "upstream", upstream_state_names, upstream_may_enter };

/* --- what is counted --- */

/* more is 1 or -1. */
static void upstream_count_stage(const struct upstream *upstream, int more)
{
    unsigned stage = upstream_stages[upstream->state];
    if (!upstream->place || stage == UPSTREAM_STAGE_COUNT)
        return;
    upstream->place->now[stage] += (uint64_t)(int64_t)more;
    if (stage == UPSTREAM_IN_LOGIN || stage == UPSTREAM_IN_SESSION)
        pulse_count(upstream->config->name, upstream_place_address(upstream->place), more);
}

void upstream_set_place(struct upstream *upstream, const char *address)
{
    upstream_count_stage(upstream, -1);
    upstream->place = upstream_counters_place(&upstream->upstreams->counters, upstream->config->name, address);
    upstream_count_stage(upstream, 1);
}

struct upstream_place *upstream_have_place(struct upstream *upstream)
{
    if (!upstream->place) /* its name has led nowhere yet */
        upstream_set_place(upstream, upstream->config->members[0].host);
    return upstream->place;
}

void upstream_count_failure(struct upstream *upstream, enum upstream_failure failure)
{
    struct upstream_place *place = upstream_have_place(upstream);
    place->failures[failure]++;
    place->bad_at_ms = upstream_now_ms(upstream);
}

/* --- states --- */

static const struct logmark *upstream_mark(const struct upstream *upstream)
{
    return upstream->owner.mark ? upstream->owner.mark : upstream->past;
}

static bool upstream_is_told(const struct upstream *upstream, enum log_level level)
{
    const struct logmark *mark = upstream_mark(upstream);
    return mark ? logmark_is_on(mark, level) : log_is_on(level);
}

/* Nobody's is client 0. */
static void upstream_put_owner(const struct upstream *upstream, struct logline *line)
{
    const struct logmark *mark = upstream_mark(upstream);
    if (mark)
        logmark_put(mark, line);
    else
        logline_words(line, "client", "0");
}

bool upstream_tells_park(const struct upstream *upstream)
{
    return upstream_is_told(upstream, LOG_LEVEL_DEBUG);
}

void upstream_log_park(const struct upstream *upstream, const struct proof *proof, const char *what, const char *why)
{
    struct logline line;
    if (!upstream_tells_park(upstream))
        return;
    log_begin(&line, LOG_LEVEL_DEBUG);
    upstream_put_owner(upstream, &line);
    if (proof)
        logline_name(&line, "user", park_proof_user(proof));
    logline_words(&line, "upstream", upstream->config->name);
    log_end_with(&line, "park: %s%s", what, why);
}

void upstream_count_unparked(struct upstream *upstream, enum upstream_unparked why)
{
    upstream->upstreams->counters.unparked[why]++;
    upstream_log_park(upstream, upstream->kept.proof, "not parked: ", upstream_unparked_names[why]);
}

/* A session's connection that was to be parked, or a parked one that was to show that it lives. */
static void upstream_count_unsettled(struct upstream *upstream)
{
    bool is_stopping = upstream->upstreams->loop->is_stopping;
    if (upstream->stream.fd < 0) /* it is parked */
        return;
    if (upstream->kept.parked_at_ms > 0)
        park_count_end(upstream->config->name, PARK_END_DEAD);
    else
        upstream_count_unparked(upstream, is_stopping ? UPSTREAM_UNPARKED_STOP : UPSTREAM_UNPARKED_FAILED);
}

void upstream_log(const struct upstream *upstream, enum log_level level, const char *format, ...)
{
    struct logline line;
    va_list arguments;
    if (!upstream_is_told(upstream, level))
        return;
    log_begin(&line, level);
    upstream_put_owner(upstream, &line);
    logline_words(&line, "upstream", upstream->config->name);
    va_start(arguments, format);
    logline_message(&line, format, arguments);
    va_end(arguments);
    log_end(&line);
}
void upstream_enter(struct upstream *upstream, enum upstream_state next)
{
    if (!moves_allow(&upstream_moves, upstream->state, next)) {
        stream_break(&upstream->stream, "unforeseen state");
        return;
    }
    upstream_log(upstream, LOG_LEVEL_DEBUG, "%s -> %s", upstream_state_names[upstream->state],
                 upstream_state_names[next]);
    upstream_count_stage(upstream, -1);
    upstream->state = (uint8_t)next;
    upstream_count_stage(upstream, 1);
    list_move(&upstream->link, &upstream->upstreams->by_state[next]);
}

void upstream_tell(struct upstream *upstream, enum upstream_event event, struct imapstate_span words)
{
    if (upstream->owner.callback)
        upstream->owner.callback(upstream->owner.owner, event, upstream, words);
}

void upstream_disown(struct upstream *upstream)
{
    const struct logmark *mark = upstream->owner.mark;
    bool is_kept = mark && !upstream->past && logmark_is_on(mark, LOG_LEVEL_DEBUG);
    if (is_kept && (upstream->past = malloc(sizeof *mark)))
        *upstream->past = *mark;
    upstream->owner = (struct upstream_owner){ 0 };
}

void upstream_set_timer(struct upstream *upstream, uint64_t after_ms)
{
    timer_set(&upstream->timer, after_ms);
}

static void upstream_end(struct grave *grave)
{
    struct upstream *upstream = list_entry(grave, struct upstream, grave);
    stream_done(&upstream->stream);
    service_unref(upstream->service);
    kept_done(&upstream->kept);
    flight_free(upstream->idle);
    free(upstream->past);
    list_remove(&upstream->link);
    free(upstream);
}

void upstream_die(struct upstream *upstream)
{
    if (upstream->state == UPSTREAM_DEAD)
        return;
    bool is_resting = upstream->state == UPSTREAM_SETTLING;
    if (is_resting)
        upstream_count_unsettled(upstream);
    upstream_enter(upstream, UPSTREAM_DEAD);
    struct upstream_owner owner = upstream->owner;
    upstream_disown(upstream);
    timer_stop(&upstream->timer);
    upstream->upstreams->on_end(upstream);
    opening_free(upstream->opening);
    upstream->opening = NULL;
    stream_pause(&upstream->stream);
    loop_bury(upstream->upstreams->loop, &upstream->grave, upstream_end);
    if (is_resting && owner.callback)
        owner.callback(owner.owner, UPSTREAM_RESTED, upstream, (struct imapstate_span){ 0 });
}

void upstream_lose(struct upstream *upstream, const char *why)
{
    struct upstream_owner owner = upstream->owner;
    char words[192];
    snprintf(words, sizeof words, "%s", why);
    if (upstream->is_woken)
        park_count_end(upstream->config->name, PARK_END_DEAD);
    else if (upstream->state == UPSTREAM_ATTACHED)
        upstream_count_unparked(upstream, UPSTREAM_UNPARKED_ENDED);
    upstream_die(upstream);
    if (owner.callback)
        owner.callback(owner.owner, UPSTREAM_LOST, upstream, imapstate_span_of(words));
}

struct upstream *upstream_new(struct upstreams *upstreams, struct service *service,
                              const struct config_upstream *config, enum upstream_state state)
{
    struct upstream *upstream = calloc(1, sizeof *upstream);
    if (!upstream)
        return NULL;
    upstream->upstreams = upstreams;
    upstream->service = service_ref(service);
    upstream->config = config;
    upstream->state = (uint8_t)state;
    kept_init(&upstream->kept);
    upstream->kept.born_at_ms = upstream_now_ms(upstream);
    imapstate_frame_init(&upstream->frame, IMAPSTATE_FRAME_RESPONSES);
    stream_init(&upstream->stream, upstreams->loop, -1, upstreams->on_stream, upstream);
    timer_init(&upstream->timer, upstreams->loop, upstreams->on_timer, upstream);
    list_init(&upstream->link);
    list_move(&upstream->link, &upstreams->by_state[state]);
    return upstream;
}

void upstream_renew_stream(struct upstream *upstream)
{
    struct upstreams *upstreams = upstream->upstreams;
    stream_done(&upstream->stream);
    stream_init(&upstream->stream, upstreams->loop, -1, upstreams->on_stream, upstream);
}

/* --- in use --- */

void upstream_log_in(struct upstream *upstream)
{
    upstream_enter(upstream, UPSTREAM_LOGGING_IN);
    upstream_await(upstream);
}

void upstream_end_login(struct upstream *upstream)
{
    queue_end_login(&upstream->kept.stay);
    park_make_room(upstream->kept.stay.queue);
}

void upstream_attach(struct upstream *upstream)
{
    upstream_enter(upstream, UPSTREAM_ATTACHED);
    upstream_end_login(upstream);
    upstream_have_place(upstream)->sessions++;
    imapstate_frame_take_bare_lf(&upstream->frame);
    upstream_await_nothing(upstream);
}

void upstream_await(struct upstream *upstream)
{
    upstream_set_timer(upstream, upstream->config->answer_timeout_ms);
}

void upstream_await_nothing(struct upstream *upstream)
{
    timer_stop(&upstream->timer);
}

void upstream_release(struct upstream *upstream, bool is_clean)
{
    if (upstream->state == UPSTREAM_QUEUED)
        upstream_have_place(upstream)->queue_left++;
    if (!is_clean || upstream->has_said_bye || upstream->state != UPSTREAM_ATTACHED || upstream->stream.is_at_eof) {
        upstream_die(upstream);
        return;
    }
    upstream_take_leave(upstream);
}

void upstream_take_leave(struct upstream *upstream)
{
    upstream_enter(upstream, UPSTREAM_LEAVING);
    upstream_disown(upstream);
    park_expect(&upstream->kept);
    upstream_set_timer(upstream, UPSTREAM_LEAVING_MS);
    stream_put(&upstream->stream, IMAPSTATE_SPAN(UPSTREAM_TAG " LOGOUT\r\n"));
    stream_flush(&upstream->stream);
    stream_resume(&upstream->stream);
}

bool upstream_has_written(const struct upstream *upstream)
{
    return upstream->stream.out_octets > 0;
}
