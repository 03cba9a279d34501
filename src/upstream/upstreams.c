#include "upstreams.h"

#include "candidates.h"
#include "connecting.h"
#include "list.h"
#include "loop.h"
#include "outage.h"
#include "park.h"
#include "pulse.h"
#include "queue.h"
#include "resolver.h"
#include "scout.h"
#include "settling.h"
#include "stream.h"
#include "upstream.h"
#include "upstreamcounters.h"
#include "waking.h"

/* --- who hears what --- */

#define BIT(event) (1u << (event))
/* Every stream may end. */
#define ENDS (BIT(STREAM_EOF) | BIT(STREAM_CLOSED))

/* Which events are of interest in which state. All others were on their way when the state changed, and are dropped. */
static const unsigned upstreams_heed[UPSTREAM_STATE_MAX] = {
    [UPSTREAM_CONNECTING] = BIT(STREAM_CONNECTED) | ENDS,
    [UPSTREAM_SECURING] = BIT(STREAM_SECURE) | ENDS,
    [UPSTREAM_PREPARING] = BIT(STREAM_INPUT) | BIT(STREAM_DRAINED) | ENDS,
    [UPSTREAM_READY] = BIT(STREAM_INPUT) | BIT(STREAM_DRAINED) | ENDS,
    [UPSTREAM_LOGGING_IN] = BIT(STREAM_INPUT) | BIT(STREAM_DRAINED) | ENDS,
    [UPSTREAM_ATTACHED] = BIT(STREAM_INPUT) | BIT(STREAM_DRAINED) | ENDS,
    [UPSTREAM_SETTLING] = BIT(STREAM_INPUT) | BIT(STREAM_DRAINED) | ENDS,
    [UPSTREAM_LEAVING] = BIT(STREAM_INPUT) | ENDS,
};

static void upstreams_heard(struct upstream *upstream)
{
    switch (upstream->state) {
    case UPSTREAM_PREPARING:
        connecting_heard(upstream);
        break;
    case UPSTREAM_READY:
        /* Nothing was asked. Whatever it is, it is not a connection to log in on. */
        upstream_count_failure(upstream, UPSTREAM_FAILED_PROTOCOL);
        upstream_lose(upstream, "the server speaks unasked before login");
        break;
    case UPSTREAM_SETTLING:
        settling_heard(upstream);
        break;
    case UPSTREAM_LEAVING:
        stream_consume(&upstream->stream, stream_input(&upstream->stream).len);
        break;
    default:
        upstream_tell(upstream, UPSTREAM_HEARD, (struct imapstate_span){ 0 });
    }
}

/* That it ends is expected where it has said so. One that was parked says nothing about the server. */
static void upstreams_lose(struct upstream *upstream, enum upstream_failure failure, const char *why)
{
    if (!upstream->is_woken && !upstream->has_said_bye)
        upstream_count_failure(upstream, failure);
    upstream_lose(upstream, why);
}

static void upstreams_ended(struct upstream *upstream)
{
    if (upstream->state < UPSTREAM_READY)
        connecting_ended(upstream);
    else if (upstream->state == UPSTREAM_LEAVING || upstream->state == UPSTREAM_SETTLING)
        upstream_die(upstream);
    else
        upstreams_lose(upstream, UPSTREAM_FAILED_LOST, stream_failure(&upstream->stream));
}

static void upstreams_on_stream(void *owner, enum stream_event event)
{
    struct upstream *upstream = owner;
    if (!(upstreams_heed[upstream->state] & BIT(event)) || connecting_is_failing(upstream))
        return;
    switch (event) {
    case STREAM_CONNECTED:
        connecting_connected(upstream);
        break;
    case STREAM_SECURE:
        connecting_secured(upstream);
        break;
    case STREAM_INPUT:
        upstreams_heard(upstream);
        break;
    case STREAM_DRAINED:
        upstream_tell(upstream, UPSTREAM_DRAINED, (struct imapstate_span){ 0 });
        break;
    case STREAM_EOF:
    case STREAM_CLOSED:
        upstreams_ended(upstream);
        break;
    case STREAM_GARBLED: /* never: it is not compressed */
        break;
    }
}

static void upstreams_on_timer(void *owner)
{
    struct upstream *upstream = owner;
    switch (upstream->state) {
    case UPSTREAM_RESOLVING:
    case UPSTREAM_QUEUED:
    case UPSTREAM_CONNECTING:
    case UPSTREAM_SECURING:
    case UPSTREAM_PREPARING:
        connecting_on_timer(upstream);
        break;
    case UPSTREAM_SETTLING:
    case UPSTREAM_LEAVING:
        upstream_die(upstream);
        break;
    default:
        upstreams_lose(upstream, UPSTREAM_FAILED_ANSWER, "answer timed out");
    }
}

/* --- how they come about --- */

struct upstream *upstreams_open(struct upstreams *upstreams, struct service *service,
                                const struct config_upstream *config, const struct upstream_owner *owner,
                                const struct upstream_ends *ends)
{
    struct upstream *upstream = upstream_new(upstreams, service, config, UPSTREAM_RESOLVING);
    if (!upstream)
        return NULL;
    if (!connecting_begin(upstream, ends)) {
        upstream_die(upstream);
        return NULL;
    }
    upstream->owner = *owner;
    return upstream;
}

void upstreams_scout(struct upstreams *upstreams, struct service *service, const struct config_upstream *config,
                     const struct config_member *member)
{
    struct scout *scout = scout_new(config->name, member->text, upstreams->loop);
    struct upstream *upstream = scout ? upstream_new(upstreams, service, config, UPSTREAM_RESOLVING) : NULL;
    if (!upstream)
        scout_free(scout);
    else if (!connecting_begin_scout(upstream, member, scout))
        upstream_die(upstream);
}

void upstreams_probe(struct upstreams *upstreams, struct service *service, const struct config_upstream *config)
{
    static const struct upstream_owner nobody;
    upstreams_open(upstreams, service, config, &nobody, NULL);
}

static void upstreams_check_address(struct upstreams *upstreams, struct service *service,
                                    const struct config_upstream *config, const struct candidate *candidate)
{
    char text[ADDRESS_TEXT_MAX];
    uint64_t now_ms = loop_now_ms(upstreams->loop), until_ms = now_ms + config->connect_timeout_ms;
    const char *address = candidate_text(candidate, text);
    if (!pulse_is_due(config->name, address, config->check_interval_ms, now_ms, until_ms))
        return;
    struct upstream *upstream = upstream_new(upstreams, service, config, UPSTREAM_RESOLVING);
    if (upstream && !connecting_begin_check(upstream, candidate))
        upstream_die(upstream);
}

/* Nobody else may ask for the names of a pool that only stands by. */
static void upstreams_follow_names(const struct config_upstream *config, uint64_t now_ms)
{
    for (size_t i = 0; i < config->member_count; i++)
        if (!config->members[i].is_unix)
            resolver_refresh(config->members[i].host, now_ms);
}

/* Where there is only one address, what is known of it would change nothing. */
void upstreams_check(struct upstreams *upstreams, struct service *service, const struct config_upstream *config)
{
    struct candidates_wait wait = { .is_scouting = true, .is_peeking = true };
    struct candidates candidates;
    uint64_t wait_ms, now_ms = loop_now_ms(upstreams->loop);
    if (outage_is(config->name, NULL))
        return;
    candidates_look_up(config, NULL, &wait, now_ms, &candidates, &wait_ms);
    if (candidates.count > 1)
        upstreams_follow_names(config, now_ms);
    for (unsigned i = 0; candidates.count > 1 && i < candidates.count; i++)
        upstreams_check_address(upstreams, service, config, &candidates.at[i]);
    candidates_done(&candidates);
}

struct upstream *upstreams_wake(struct upstreams *upstreams, struct parked *parked, const struct upstream_owner *owner,
                                struct imapstate_buf *ret_alerts)
{
    struct upstream *upstream =
        upstream_new(upstreams, parked->service, parked->config, owner ? UPSTREAM_ATTACHED : UPSTREAM_SETTLING);
    if (!upstream) {
        parked_free(parked);
        return NULL;
    }
    if (waking_begin(upstream, parked, owner, ret_alerts))
        return upstream;
    upstream_die(upstream);
    return NULL;
}

/* --- all of them --- */

void upstreams_init(struct upstreams *upstreams, struct loop *loop)
{
    *upstreams = (struct upstreams){
        .loop = loop, .on_stream = upstreams_on_stream, .on_timer = upstreams_on_timer, .on_end = connecting_abandon
    };
    upstream_counters_init(&upstreams->counters);
    queue_desk_init(&upstreams->desk, loop);
    for (size_t state = 0; state < UPSTREAM_STATE_MAX; state++)
        list_init(&upstreams->by_state[state]);
}

void upstreams_done(struct upstreams *upstreams)
{
    upstream_counters_done(&upstreams->counters);
}

bool upstreams_are_gone(const struct upstreams *upstreams)
{
    for (size_t state = 0; state < UPSTREAM_STATE_MAX; state++)
        if (!list_is_empty(&upstreams->by_state[state]))
            return false;
    return true;
}

void upstreams_told(struct upstreams *upstreams)
{
    struct queue_wait *wait;
    list_each_safe(link, &upstreams->by_state[UPSTREAM_RESOLVING])
        connecting_look_again(list_entry(link, struct upstream, link));
    while ((wait = queue_next_called(&upstreams->desk)))
        connecting_is_called(wait->owner);
}

static void upstreams_abandon_before(struct upstreams *upstreams, enum upstream_state end)
{
    for (unsigned state = 0; state < end; state++)
        list_each_safe(link, &upstreams->by_state[state])
        {
            struct upstream *upstream = list_entry(link, struct upstream, link);
            if (!upstream->owner.callback)
                upstream_die(upstream);
        }
}

void upstreams_abandon(struct upstreams *upstreams)
{
    upstreams_abandon_before(upstreams, UPSTREAM_DEAD);
}

void upstreams_abandon_scouts(struct upstreams *upstreams)
{
    upstreams_abandon_before(upstreams, UPSTREAM_READY);
}
