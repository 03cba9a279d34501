#include "chorus.h"

#include "alert.h"
#include "config.h"
#include "id.h"
#include "offers.h"
#include "outage.h"
#include "prelude.h"
#include "service.h"

/* --- one upstream --- */

/* The members that have a say. */
struct voices {
    const char *upstream;
    size_t count; /* at least one */
    const struct config_member *at[CONFIG_MEMBERS_MAX];
};

static void voices_find(const struct config_upstream *upstream, bool with_all, struct voices *ret_voices)
{
    ret_voices->upstream = upstream->name;
    ret_voices->count = 0;
    for (size_t i = 0; i < upstream->member_count; i++)
        if (with_all || !outage_is(upstream->name, upstream->members[i].text))
            ret_voices->at[ret_voices->count++] = &upstream->members[i];
}

/* If all are down, what they have said last is all there is. */
static void voices_of(const struct config_upstream *upstream, struct voices *ret_voices)
{
    bool is_alone = upstream->member_count == 1;
    voices_find(upstream, is_alone, ret_voices);
    if (ret_voices->count == 0)
        voices_find(upstream, true, ret_voices);
}

/* Leaves of *common, counted, what all lists have; NULL: of nobody a list was known yet. False: that is nothing, and
 * what others have cannot make it more. */
static bool voices_join(const struct voices *voices, struct offers **common)
{
    bool is_disjoint = false;
    for (size_t i = 0; i < voices->count && !is_disjoint; i++) {
        struct offers *before = *common, *own = prelude_offers(voices->upstream, voices->at[i]->text);
        *common = offers_common(before, own);
        is_disjoint = before && own && !*common;
        offers_unref(before);
        offers_unref(own);
    }
    return !is_disjoint;
}

/* Are there several, and does one have a list? */
static bool voices_go_without(const struct voices *voices)
{
    bool has_list = false;
    for (size_t i = 0; !has_list && voices->count > 1 && i < voices->count; i++) {
        struct offers *offers = prelude_offers(voices->upstream, voices->at[i]->text);
        has_list = offers;
        offers_unref(offers);
    }
    return has_list;
}

static bool voices_have_ended(const struct voices *voices, uint32_t round)
{
    bool has_ended = true, goes_without = voices_go_without(voices);
    for (size_t i = 0; i < voices->count; i++)
        has_ended &= prelude_round_has_ended(voices->upstream, voices->at[i]->text, round) ||
                     (goes_without && prelude_is_quiet(voices->upstream, voices->at[i]->text));
    return has_ended;
}

static bool voices_are_silent(const struct voices *voices)
{
    bool is_silent = true;
    for (size_t i = 0; i < voices->count; i++)
        is_silent &= prelude_is_silent(voices->upstream, voices->at[i]->text);
    return is_silent;
}

static bool voices_are_fresh(const struct config_upstream *upstream, uint64_t now_ms, chorus_ask *ask, void *owner,
                             uint32_t *ret_round)
{
    struct voices voices;
    bool is_fresh = true;
    voices_of(upstream, &voices);
    bool goes_without = voices_go_without(&voices);
    for (size_t i = 0; i < voices.count; i++) {
        uint32_t round;
        if (goes_without && prelude_rests(upstream->name, voices.at[i]->text, upstream->fail_timeout_ms, now_ms))
            continue;
        enum prelude_turn turn = prelude_take_turn(upstream->name, voices.at[i]->text, now_ms, &round);
        is_fresh &= turn == PRELUDE_FRESH;
        if (turn != PRELUDE_FRESH && (int32_t)(round - *ret_round) > 0)
            *ret_round = round;
        if (turn == PRELUDE_ASK)
            ask(owner, upstream, voices.at[i]);
    }
    return is_fresh;
}

static bool voices_id(const struct config_upstream *upstream, struct imapstate_buf *ret_arguments)
{
    struct voices voices;
    bool has_any = false;
    voices_of(upstream, &voices);
    for (size_t i = 0; !has_any && i < voices.count; i++)
        has_any = prelude_id(upstream->name, voices.at[i]->text, ret_arguments);
    return has_any;
}

/* --- all that a client may be led to --- */

bool chorus_is_fresh(const struct service_reach *reach, uint64_t now_ms, chorus_ask *ask, void *owner,
                     uint32_t *ret_round)
{
    bool is_fresh = true;
    *ret_round = 0;
    for (size_t i = 0; i < reach->count; i++)
        is_fresh &= voices_are_fresh(reach->at[i], now_ms, ask, owner, ret_round);
    return is_fresh;
}

bool chorus_has_ended(const struct service_reach *reach, uint32_t round)
{
    struct voices voices;
    bool has_ended = true;
    for (size_t i = 0; i < reach->count; i++) {
        voices_of(reach->at[i], &voices);
        has_ended &= voices_have_ended(&voices, round) || (reach->count > 1 && voices_are_silent(&voices));
    }
    return has_ended;
}

struct offers *chorus_offers(const struct service_reach *reach)
{
    struct voices voices;
    struct offers *common = NULL;
    bool has_any = true;
    for (size_t i = 0; i < reach->count && has_any; i++) {
        voices_of(reach->at[i], &voices);
        has_any = voices_join(&voices, &common);
    }
    return common;
}

bool chorus_id(const struct service_reach *reach, struct imapstate_buf *ret_arguments)
{
    struct imapstate_buf first, next;
    bool is_same = true;
    imapstate_buf_init(&first, ID_MAX);
    imapstate_buf_init(&next, ID_MAX);
    for (size_t i = 0; i < reach->count && is_same; i++) {
        imapstate_buf_clear(&next);
        bool has_any = voices_id(reach->at[i], &next);
        if (i == 0)
            is_same = has_any && imapstate_buf_put(&first, imapstate_buf_span(&next));
        else
            is_same = imapstate_span_equal(imapstate_buf_span(&first), imapstate_buf_span(&next));
    }
    is_same = is_same && reach->count > 0 && imapstate_buf_put(ret_arguments, imapstate_buf_span(&first));
    imapstate_buf_done(&first);
    imapstate_buf_done(&next);
    return is_same;
}

void chorus_alerts(const struct config_upstream *upstream, struct imapstate_buf *ret_alerts)
{
    struct voices voices;
    struct imapstate_buf own;
    struct imapstate_span left, line;
    imapstate_buf_init(&own, ALERTS_MAX);
    voices_of(upstream, &voices);
    for (size_t i = 0; i < voices.count; i++) {
        imapstate_buf_clear(&own);
        prelude_alerts(upstream->name, voices.at[i]->text, &own);
        left = imapstate_buf_span(&own);
        while (alerts_next(&left, &line))
            alerts_add(ret_alerts, line);
    }
    imapstate_buf_done(&own);
}
