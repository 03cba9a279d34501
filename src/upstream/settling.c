#include "settling.h"

#include "alert.h"
#include "evidence.h"
#include "log.h"
#include "park.h"
#include "pipeline.h"
#include "service.h"
#include "setup.h"
#include "status.h"
#include "stream.h"
#include "tag.h"
#include "upstream.h"

/* Several are in flight at once: each has a tag of its own. */
#define SETTLING_TAG UPSTREAM_TAG "-%u"

/* --- what a connection may say that is nobody's --- */

/* ALERT is for the user, whoever's session it is (RFC 9051 section 7.1), so the next one gets it. False: there is no
 * room. */
static bool settling_keep_alert(struct upstream *upstream, struct imapstate_span line)
{
    return alerts_add(&upstream->kept.alerts, line) || alerts_have(imapstate_buf_span(&upstream->kept.alerts), line);
}

/* Does a line show nothing but what the state says that the connection is to be parked in, or is parked in? */
static bool settling_is_accounted(const struct upstream *upstream, struct imapstate_span line)
{
    unsigned evidence = evidence_read(line);
    return evidence == 0 || setup_accounts_for(imapstate_buf_span(&upstream->kept.state), evidence);
}

bool settling_hear_untagged(struct upstream *upstream, const struct imapstate_piece *piece, bool may_have_data)
{
    struct status status;
    if (piece->is_bare_lf || !settling_is_accounted(upstream, piece->octets))
        return false;
    if (!status_parse(piece->octets, &status))
        return may_have_data && !piece->is_text;
    if (!imapstate_span_equal(status.tag, IMAPSTATE_SPAN("*")) || status.word > STATUS_BAD)
        return false;
    if (status.has_alert)
        return settling_keep_alert(upstream, piece->octets);
    return status.word != STATUS_BAD;
}

/* --- chores --- */

/* Why a session's connection does not wait that was made ready to. */
static enum upstream_unparked settling_unparked(enum park_end end)
{
    static const enum upstream_unparked unparked[PARK_END_COUNT] = {
        [PARK_END_TIME] = UPSTREAM_UNPARKED_LIFETIME,   [PARK_END_LIFETIME] = UPSTREAM_UNPARKED_LIFETIME,
        [PARK_END_PROOF] = UPSTREAM_UNPARKED_REAUTH,    [PARK_END_PER_USER] = UPSTREAM_UNPARKED_PER_USER,
        [PARK_END_MAX] = UPSTREAM_UNPARKED_MAX,         [PARK_END_CROWDED] = UPSTREAM_UNPARKED_CROWDED,
        [PARK_END_REFUSED] = UPSTREAM_UNPARKED_REFUSED, [PARK_END_PASSWORD] = UPSTREAM_UNPARKED_REFUSED,
        [PARK_END_MOVED] = UPSTREAM_UNPARKED_MOVED,     [PARK_END_CONFIG] = UPSTREAM_UNPARKED_CONFIG,
        [PARK_END_STOP] = UPSTREAM_UNPARKED_STOP,       [PARK_END_FORGOTTEN] = UPSTREAM_UNPARKED_REFUSED,
        [PARK_END_DOWN] = UPSTREAM_UNPARKED_DOWN,       [PARK_END_LATE] = UPSTREAM_UNPARKED_FAILED,
        [PARK_END_DEAD] = UPSTREAM_UNPARKED_FAILED,
    };
    return unparked[end];
}

/* Once it is put it may be anybody's. */
static void settling_put(struct upstream *upstream, struct parked *parked)
{
    uint64_t now_ms = upstream_now_ms(upstream);
    struct proof *proof = upstream_tells_park(upstream) ? park_proof_ref(parked->kept.proof) : NULL;
    const char *kind = parked->kept.state.len > 0 ? "in a state" : "pristine";
    bool is_new = parked->kept.parked_at_ms == 0;
    parked->is_new = is_new;
    if (is_new)
        parked->kept.parked_at_ms = now_ms;
    enum park_end end = park_put(parked, now_ms);
    upstream->upstreams->counters.parked += is_new && end == PARK_END_COUNT;
    if (is_new && end != PARK_END_COUNT)
        upstream->upstreams->counters.unparked[settling_unparked(end)]++;
    if (end == PARK_END_COUNT)
        upstream_log_park(upstream, proof, "parked, ", kind);
    else if (is_new)
        upstream_log_park(upstream, proof, "not parked: ", upstream_unparked_names[settling_unparked(end)]);
    park_proof_unref(proof);
}

/* The connection becomes a parked one, and this upstream ends. */
static void settling_park(struct upstream *upstream)
{
    if (upstream->is_silent) /* it was woken, and nobody has wanted anything of it */
        stream_bound_silence(upstream->stream.fd, STREAM_SILENCE_MS);
    struct parked *parked = parked_new();
    if (parked && stream_give_away(&upstream->stream, &parked->fd, &parked->ssl)) {
        parked->service = service_ref(upstream->service);
        parked->config = upstream->config;
        parked->member = upstream->member;
        parked->kept = kept_take(&upstream->kept);
        parked->used_at_ms = upstream_now_ms(upstream);
        settling_put(upstream, parked);
    } else {
        parked_free(parked);
    }
    upstream_die(upstream);
}

static unsigned settling_next(const struct upstream *upstream)
{
    return upstream->chores & -upstream->chores;
}

static const char *settling_command(unsigned chore)
{
    switch (chore) {
    case SETTLING_DONE:
        return "DONE";
    case SETTLING_UNSELECT:
        return "UNSELECT";
    case SETTLING_EXAMINE:
        return "EXAMINE imapstate-no-such-mailbox";
    case SETTLING_CHECK:
        return "CHECK";
    case SETTLING_NOTIFY_NONE:
        return "NOTIFY NONE";
    default:
        return "NOOP";
    }
}

/* All in one write. None of them may destroy anything, whatever the server makes of it: not CLOSE, for there are
 * servers that expunge a mailbox that was opened by EXAMINE. */
static void settling_say(struct upstream *upstream)
{
    unsigned left = upstream->chores, chore;
    upstream_await(upstream);
    do {
        chore = left & -left;
        left &= ~chore;
        if (chore != SETTLING_DONE) /* it has no tag: what it ends is the client's IDLE */
            stream_printf(&upstream->stream, SETTLING_TAG " ", chore);
        stream_printf(&upstream->stream, "%s\r\n", settling_command(chore));
    } while (left);
    stream_flush(&upstream->stream);
}

/* Does the line answer the chore whose turn it is? */
static bool settling_is_answer(const struct upstream *upstream, const struct status *status)
{
    unsigned chore = settling_next(upstream);
    char text[sizeof SETTLING_TAG + 3 * sizeof chore];
    snprintf(text, sizeof text, SETTLING_TAG, chore);
    struct imapstate_span tag = imapstate_span_of(text);
    if (chore == SETTLING_DONE)
        tag = (struct imapstate_span){ upstream->idle->tag, upstream->idle->tag_len };
    return chore && imapstate_span_equal(status->tag, tag);
}

/* RFC 9051 section 6.3.2: an EXAMINE that fails leaves no mailbox selected, but BAD leaves things as they are. BAD to
 * CHECK may come from a server that does not know it (RFC 9051 has dropped it). */
static bool settling_is_done(const struct upstream *upstream, unsigned chore, enum status_word word)
{
    switch (chore) {
    case SETTLING_EXAMINE:
    case SETTLING_CHECK:
        return word == STATUS_NO;
    case SETTLING_UNSELECT:
        return word == STATUS_OK || upstream->may_fail_unselect;
    default:
        return word == STATUS_OK;
    }
}

/* A chore was answered. False: the connection is not what it would be parked as. */
static bool settling_finish(struct upstream *upstream, const struct status *status)
{
    unsigned chore = settling_next(upstream);
    if (!settling_is_done(upstream, chore, status->word))
        return false;
    upstream->chores &= (uint8_t)~chore;
    return true;
}

static bool settling_hear(struct upstream *upstream, const struct imapstate_piece *piece)
{
    struct status status;
    if (!status_parse(piece->octets, &status) || !settling_is_answer(upstream, &status))
        return settling_hear_untagged(upstream, piece, true);
    return (!status.has_alert || settling_keep_alert(upstream, piece->octets)) && settling_finish(upstream, &status);
}

/* False: it is of no use any more. */
static bool settling_go_on(struct upstream *upstream)
{
    while (upstream->state == UPSTREAM_SETTLING && stream_input(&upstream->stream).len > 0) {
        struct imapstate_piece piece;
        enum imapstate_frame_result result =
            imapstate_frame_next(&upstream->frame, stream_input(&upstream->stream), &piece);
        if (result == IMAPSTATE_FRAME_MORE)
            return upstream->chores != 0 && !stream_is_full(&upstream->stream);
        if (result != IMAPSTATE_FRAME_LINE && result != IMAPSTATE_FRAME_LITERAL)
            return false;
        stream_consume(&upstream->stream, piece.octets.len);
        if (result == IMAPSTATE_FRAME_LINE && piece.begins && !settling_hear(upstream, &piece))
            return false;
    }
    if (upstream->chores != 0)
        return true;
    if (!imapstate_frame_is_between(&upstream->frame)) /* of a literal, a part has come behind the last answer */
        return false;
    settling_park(upstream);
    return true;
}

void settling_heard(struct upstream *upstream)
{
    if (!settling_go_on(upstream))
        upstream_die(upstream);
}

void settling_begin(struct upstream *upstream, unsigned chores, bool is_awaited)
{
    upstream_enter(upstream, UPSTREAM_SETTLING);
    if (!is_awaited)
        upstream_disown(upstream);
    upstream->chores = (uint8_t)chores;
    park_expect(&upstream->kept);
    if (chores == 0) {
        settling_park(upstream);
        return;
    }
    settling_say(upstream);
    stream_resume(&upstream->stream);
}

void settling_show_life(struct upstream *upstream)
{
    upstream->chores = SETTLING_NOOP;
    settling_say(upstream);
}
