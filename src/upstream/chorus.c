#include "chorus.h"

#include "id.h"
#include "offers.h"
#include "prelude.h"
#include "service.h"

bool chorus_is_fresh(const struct service_reach *reach, uint64_t now_ms,
                     void (*ask)(void *owner, const struct config_upstream *upstream), void *owner, uint32_t *ret_round)
{
    bool is_fresh = true;
    *ret_round = 0;
    for (size_t i = 0; i < reach->count; i++) {
        uint32_t round;
        enum prelude_turn turn = prelude_take_turn(reach->at[i]->name, now_ms, &round);
        is_fresh &= turn == PRELUDE_FRESH;
        if (turn != PRELUDE_FRESH && (int32_t)(round - *ret_round) > 0)
            *ret_round = round;
        if (turn == PRELUDE_ASK)
            ask(owner, reach->at[i]);
    }
    return is_fresh;
}

bool chorus_has_ended(const struct service_reach *reach, uint32_t round)
{
    bool has_ended = true;
    for (size_t i = 0; i < reach->count; i++)
        has_ended &= prelude_round_has_ended(reach->at[i]->name, round) ||
                     (reach->count > 1 && prelude_is_silent(reach->at[i]->name));
    return has_ended;
}

struct offers *chorus_offers(const struct service_reach *reach)
{
    struct offers *common = NULL;
    bool is_disjoint = false; /* else a third one's list would be all that is left */
    for (size_t i = 0; i < reach->count && !is_disjoint; i++) {
        struct offers *before = common, *own = prelude_offers(reach->at[i]->name);
        common = offers_common(before, own);
        is_disjoint = before && own && !common;
        offers_unref(before);
        offers_unref(own);
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
        bool has_any = prelude_id(reach->at[i]->name, &next);
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
