#include "upstream.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "alert.h"
#include "capability.h"
#include "evidence.h"
#include "log.h"
#include "moves.h"
#include "opening.h"
#include "pipeline.h"
#include "status.h"
#include "tag.h"
#include "tls.h"

/* How long the server may take to answer LOGOUT; nobody waits for it. */
#define UPSTREAM_LEAVING_MS 5000u

/* Several are in flight at once: each has a tag of its own. */
#define CHORE_TAG UPSTREAM_TAG "-%u"

#define BIT(state) MOVES_BIT(state)

static const unsigned upstream_may_enter[UPSTREAM_STATE_MAX] = {
    [UPSTREAM_RESOLVING] = BIT(UPSTREAM_CONNECTING) | BIT(UPSTREAM_DEAD),
    [UPSTREAM_CONNECTING] =
        BIT(UPSTREAM_SECURING) | BIT(UPSTREAM_PREPARING) | BIT(UPSTREAM_CONNECTING) | BIT(UPSTREAM_DEAD),
    [UPSTREAM_SECURING] = BIT(UPSTREAM_PREPARING) | BIT(UPSTREAM_CONNECTING) | BIT(UPSTREAM_DEAD),
    [UPSTREAM_PREPARING] = BIT(UPSTREAM_SECURING) | BIT(UPSTREAM_READY) | BIT(UPSTREAM_CONNECTING) | BIT(UPSTREAM_DEAD),
    [UPSTREAM_READY] = BIT(UPSTREAM_PREPARING) | BIT(UPSTREAM_LOGGING_IN) | BIT(UPSTREAM_LEAVING) | BIT(UPSTREAM_DEAD),
    [UPSTREAM_LOGGING_IN] = BIT(UPSTREAM_ATTACHED) | BIT(UPSTREAM_DEAD),
    [UPSTREAM_ATTACHED] = BIT(UPSTREAM_SETTLING) | BIT(UPSTREAM_LEAVING) | BIT(UPSTREAM_DEAD),
    [UPSTREAM_SETTLING] = BIT(UPSTREAM_DEAD),
    [UPSTREAM_LEAVING] = BIT(UPSTREAM_DEAD),
};

static const char *const upstream_state_names[UPSTREAM_STATE_MAX] = {
    "RESOLVING",  "CONNECTING", "SECURING", "PREPARING", "READY",
    "LOGGING_IN", "ATTACHED",   "SETTLING", "LEAVING",   "DEAD",
};

static const struct moves upstream_moves = { "upstream", upstream_state_names, upstream_may_enter };

void upstream_enter(struct upstream *upstream, enum upstream_state next)
{
    if (!moves_allow(&upstream_moves, upstream->state, next)) {
        stream_break(&upstream->stream, "unforeseen state");
        return;
    }
    log_debug("client=%" PRIx64 " upstream=%s %s -> %s", upstream->owner.id_number, upstream->config->name,
              upstream_state_names[upstream->state], upstream_state_names[next]);
    upstream->state = (uint8_t)next;
    list_move(&upstream->link, &upstream->upstreams->by_state[next]);
}

void upstream_tell(struct upstream *upstream, enum upstream_event event, struct imapstate_span words)
{
    if (upstream->owner.callback)
        upstream->owner.callback(upstream->owner.owner, event, upstream, words);
}

void upstream_disown(struct upstream *upstream)
{
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
    list_remove(&upstream->link);
    free(upstream);
}

static void upstream_die(struct upstream *upstream)
{
    if (upstream->state == UPSTREAM_DEAD)
        return;
    bool is_resting = upstream->state == UPSTREAM_SETTLING;
    upstream_enter(upstream, UPSTREAM_DEAD);
    struct upstream_owner owner = upstream->owner;
    upstream_disown(upstream);
    timer_stop(&upstream->timer);
    opening_free(upstream);
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
    upstream_die(upstream);
    if (owner.callback)
        owner.callback(owner.owner, UPSTREAM_LOST, upstream, imapstate_span_of(words));
}

static void upstream_on_timer(void *owner)
{
    struct upstream *upstream = owner;
    switch (upstream->state) {
    case UPSTREAM_RESOLVING:
    case UPSTREAM_CONNECTING:
    case UPSTREAM_SECURING:
    case UPSTREAM_PREPARING:
        opening_on_timer(upstream);
        break;
    case UPSTREAM_SETTLING:
    case UPSTREAM_LEAVING:
        upstream_die(upstream);
        break;
    default:
        upstream_lose(upstream, "answer timed out");
    }
}

static void upstream_on_stream(void *owner, enum stream_event event);

static struct upstream *upstream_new(struct upstreams *upstreams, struct service *service,
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
    stream_init(&upstream->stream, upstreams->loop, -1, upstream_on_stream, upstream);
    timer_init(&upstream->timer, upstreams->loop, upstream_on_timer, upstream);
    list_init(&upstream->link);
    list_move(&upstream->link, &upstreams->by_state[state]);
    return upstream;
}

void upstream_renew_stream(struct upstream *upstream)
{
    stream_done(&upstream->stream);
    stream_init(&upstream->stream, upstream->upstreams->loop, -1, upstream_on_stream, upstream);
}

struct upstream *upstream_open(struct upstreams *upstreams, struct service *service,
                               const struct config_upstream *config, const struct upstream_owner *owner,
                               const struct upstream_ends *ends)
{
    struct upstream *upstream = upstream_new(upstreams, service, config, UPSTREAM_RESOLVING);
    if (!upstream)
        return NULL;
    if (!opening_new(upstream, ends)) {
        upstream_die(upstream);
        return NULL;
    }
    if (owner)
        upstream->owner = *owner;
    /* A turn later, so that the caller has what it asked for before it hears of it. */
    upstream_set_timer(upstream, 0);
    return upstream;
}

/* --- in use --- */

void upstream_log_in(struct upstream *upstream)
{
    upstream_enter(upstream, UPSTREAM_LOGGING_IN);
    upstream_await(upstream);
}

void upstream_attach(struct upstream *upstream)
{
    upstream_enter(upstream, UPSTREAM_ATTACHED);
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
    upstream_set_timer(upstream, UPSTREAM_LEAVING_MS);
    stream_put(&upstream->stream, IMAPSTATE_SPAN(UPSTREAM_TAG " LOGOUT\r\n"));
    stream_flush(&upstream->stream);
    stream_resume(&upstream->stream);
}

bool upstream_line_begins(struct imapstate_span line, const char *words)
{
    struct imapstate_span want = imapstate_span_of(words);
    return line.len > want.len && imapstate_span_equal_nocase((struct imapstate_span){ line.at, want.len }, want) &&
           (line.at[want.len] == ' ' || line.at[want.len] == '\r');
}

/* --- parked, and back --- */

/* ALERT is for the user, whoever's session it is (RFC 9051 section 7.1), so the next one gets it. False: there is no
 * room. */
static bool upstream_keep_alert(struct upstream *upstream, struct imapstate_span line)
{
    return alerts_add(&upstream->kept.alerts, line) || alerts_have(imapstate_buf_span(&upstream->kept.alerts), line);
}

/* Does a line show nothing but what the state says that the connection is to be parked in, or is parked in? */
static bool upstream_is_accounted(const struct upstream *upstream, struct imapstate_span line)
{
    unsigned evidence = evidence_read(line);
    struct imapstate_span encoded = imapstate_buf_span(&upstream->kept.state);
    if (evidence == 0)
        return true;
    struct imapstate_state *state = encoded.len > 0 ? imapstate_state_new(IMAPSTATE_STATE_MAX) : NULL;
    bool is_known = encoded.len == 0 || (state && imapstate_state_decode(state, encoded) == IMAPSTATE_OK);
    bool is_accounted = is_known && evidence_is_accounted(evidence, state);
    imapstate_state_free(state);
    return is_accounted;
}

/* An untagged response outside a session. False: the connection is of no use any more. */
static bool upstream_hear_resting(struct upstream *upstream, const struct imapstate_piece *piece, bool may_have_data)
{
    struct status status;
    if (piece->is_bare_lf || !upstream_is_accounted(upstream, piece->octets))
        return false;
    if (!status_parse(piece->octets, &status))
        return may_have_data && !piece->is_text;
    if (!imapstate_span_equal(status.tag, IMAPSTATE_SPAN("*")) || status.word > STATUS_BAD)
        return false;
    if (status.has_alert)
        return upstream_keep_alert(upstream, piece->octets);
    return status.word != STATUS_BAD;
}

/* What has arrived on a parked connection. Nothing was asked, so there is little that can be taken without doubt. */
static bool upstream_look(struct upstream *upstream)
{
    bool is_open = stream_read_now(&upstream->stream);
    for (;;) {
        struct imapstate_span in = stream_input(&upstream->stream);
        struct imapstate_piece piece;
        if (in.len == 0)
            return is_open;
        if (imapstate_frame_next(&upstream->frame, in, &piece) != IMAPSTATE_FRAME_LINE ||
            !upstream_hear_resting(upstream, &piece, false))
            return false;
        stream_consume(&upstream->stream, piece.octets.len);
    }
}

static void upstream_take_parked(struct upstream *upstream, struct parked *parked)
{
    stream_adopt(&upstream->stream, parked->fd, parked->ssl);
    upstream->kept = kept_take(&parked->kept);
    parked->fd = -1;
    parked->ssl = NULL;
    parked_free(parked);
}

static void upstream_say_chores(struct upstream *upstream);

struct upstream *upstream_adopt(struct upstreams *upstreams, struct parked *parked, const struct upstream_owner *owner,
                                struct imapstate_buf *ret_alerts)
{
    struct upstream *upstream =
        upstream_new(upstreams, parked->service, parked->config, owner ? UPSTREAM_ATTACHED : UPSTREAM_SETTLING);
    if (!upstream) {
        parked_free(parked);
        return NULL;
    }
    const struct config_park *park = &parked->service->config->park;
    upstream->is_silent = true;
    upstream->is_doubtful = upstream_now_ms(upstream) >= parked->used_at_ms + park->wake_check_ms;
    stream_bound_silence(parked->fd, park->wake_timeout_ms);
    upstream_take_parked(upstream, parked);
    bool is_alive = upstream_look(upstream);
    /* What an alert says is the user's to know, even if the connection that brought it is of no use any more. */
    if (owner) {
        imapstate_buf_put(ret_alerts, imapstate_buf_span(&upstream->kept.alerts));
        imapstate_buf_done(&upstream->kept.alerts);
        upstream->kept.parked_at_ms = 0;
    }
    if (!is_alive) {
        log_debug("park: found dead, or in doubt");
        upstream_die(upstream);
        return NULL;
    }
    imapstate_frame_take_bare_lf(&upstream->frame);
    upstream->is_woken = true;
    upstream->is_introduced = true;
    if (owner) {
        upstream->owner = *owner;
    } else {
        upstream->chores = UPSTREAM_CHORE_NOOP;
        upstream_say_chores(upstream);
    }
    stream_start(&upstream->stream);
    return upstream;
}

void upstream_is_heard(struct upstream *upstream)
{
    upstream->is_silent = upstream->is_doubtful = false;
    stream_watch_peer(upstream->stream.fd);
}

/* The connection becomes a parked one, and this upstream ends. */
static void upstream_park(struct upstream *upstream)
{
    stream_watch_peer(upstream->stream.fd);
    struct parked *parked = parked_new();
    if (parked && stream_give_away(&upstream->stream, &parked->fd, &parked->ssl)) {
        parked->service = service_ref(upstream->service);
        parked->config = upstream->config;
        parked->kept = kept_take(&upstream->kept);
        parked->used_at_ms = upstream_now_ms(upstream);
        if (parked->kept.parked_at_ms == 0)
            parked->kept.parked_at_ms = upstream_now_ms(upstream);
        log_debug("park: parked, %s", parked->kept.state.len > 0 ? "in a state" : "pristine");
        park_put(parked, upstream_now_ms(upstream));
    } else {
        parked_free(parked);
    }
    upstream_die(upstream);
}

static unsigned upstream_chore(const struct upstream *upstream)
{
    return upstream->chores & -upstream->chores;
}

static const char *upstream_chore_command(unsigned chore)
{
    switch (chore) {
    case UPSTREAM_CHORE_DONE:
        return "DONE";
    case UPSTREAM_CHORE_UNSELECT:
        return "UNSELECT";
    case UPSTREAM_CHORE_EXAMINE:
        return "EXAMINE imapstate-no-such-mailbox";
    case UPSTREAM_CHORE_CHECK:
        return "CHECK";
    case UPSTREAM_CHORE_NOTIFY_NONE:
        return "NOTIFY NONE";
    default:
        return "NOOP";
    }
}

/* All in one write. None of them may destroy anything, whatever the server makes of it: not CLOSE, for there are
 * servers that expunge a mailbox that was opened by EXAMINE. */
static void upstream_say_chores(struct upstream *upstream)
{
    unsigned left = upstream->chores, chore;
    upstream_await(upstream);
    do {
        chore = left & -left;
        left &= ~chore;
        if (chore != UPSTREAM_CHORE_DONE) /* it has no tag: what it ends is the client's IDLE */
            stream_printf(&upstream->stream, CHORE_TAG " ", chore);
        stream_printf(&upstream->stream, "%s\r\n", upstream_chore_command(chore));
    } while (left);
    stream_flush(&upstream->stream);
}

/* Does the line answer the chore whose turn it is? */
static bool upstream_answers_chore(const struct upstream *upstream, const struct status *status)
{
    unsigned chore = upstream_chore(upstream);
    char text[sizeof CHORE_TAG + 3 * sizeof chore];
    snprintf(text, sizeof text, CHORE_TAG, chore);
    struct imapstate_span tag = imapstate_span_of(text);
    if (chore == UPSTREAM_CHORE_DONE)
        tag = (struct imapstate_span){ upstream->idle->tag, upstream->idle->tag_len };
    return chore && imapstate_span_equal(status->tag, tag);
}

/* RFC 9051 section 6.3.2: an EXAMINE that fails leaves no mailbox selected, but BAD leaves things as they are. BAD to
 * CHECK may come from a server that does not know it (RFC 9051 has dropped it). */
static bool upstream_is_done_chore(const struct upstream *upstream, unsigned chore, enum status_word word)
{
    switch (chore) {
    case UPSTREAM_CHORE_EXAMINE:
    case UPSTREAM_CHORE_CHECK:
        return word == STATUS_NO;
    case UPSTREAM_CHORE_UNSELECT:
        return word == STATUS_OK || upstream->may_fail_unselect;
    default:
        return word == STATUS_OK;
    }
}

/* A chore was answered. False: the connection is not what it would be parked as. */
static bool upstream_finish_chore(struct upstream *upstream, const struct status *status)
{
    unsigned chore = upstream_chore(upstream);
    if (!upstream_is_done_chore(upstream, chore, status->word))
        return false;
    upstream->chores &= (uint8_t)~chore;
    return true;
}

static bool upstream_hear_settling(struct upstream *upstream, const struct imapstate_piece *piece)
{
    struct status status;
    if (!status_parse(piece->octets, &status) || !upstream_answers_chore(upstream, &status))
        return upstream_hear_resting(upstream, piece, true);
    return (!status.has_alert || upstream_keep_alert(upstream, piece->octets)) &&
           upstream_finish_chore(upstream, &status);
}

/* SETTLING: what the upstream says. False: it is of no use any more. */
static bool upstream_rest(struct upstream *upstream)
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
        if (result == IMAPSTATE_FRAME_LINE && piece.begins && !upstream_hear_settling(upstream, &piece))
            return false;
    }
    if (upstream->chores == 0)
        upstream_park(upstream);
    return true;
}

void upstream_settle(struct upstream *upstream, unsigned chores, bool is_awaited)
{
    upstream_enter(upstream, UPSTREAM_SETTLING);
    if (!is_awaited)
        upstream_disown(upstream);
    upstream->chores = (uint8_t)chores;
    if (chores == 0) {
        upstream_park(upstream);
        return;
    }
    upstream_say_chores(upstream);
    stream_resume(&upstream->stream);
}

bool upstream_has_written(const struct upstream *upstream)
{
    return upstream->stream.out_octets > 0;
}

/* --- all of them --- */

void upstreams_init(struct upstreams *upstreams, struct loop *loop)
{
    upstreams->loop = loop;
    for (size_t state = 0; state < UPSTREAM_STATE_MAX; state++)
        list_init(&upstreams->by_state[state]);
}

bool upstreams_are_gone(const struct upstreams *upstreams)
{
    for (size_t state = 0; state < UPSTREAM_STATE_MAX; state++)
        if (!list_is_empty(&upstreams->by_state[state]))
            return false;
    return true;
}

void upstreams_look_up(struct upstreams *upstreams)
{
    list_each_safe(link, &upstreams->by_state[UPSTREAM_RESOLVING])
        upstream_set_timer(list_entry(link, struct upstream, link), 0);
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

/* --- the stream --- */

static void upstream_ended(struct upstream *upstream)
{
    const struct stream *stream = &upstream->stream;
    const char *refused = stream->is_securing ? tls_verify_failure(stream->ssl) : NULL;
    char words[160];
    snprintf(words, sizeof words, "%s%s", refused ? "certificate refused: " : "",
             refused ? refused : stream_failure(stream));
    if (upstream->opening && upstream->state < UPSTREAM_READY && !refused)
        opening_hung_up(upstream, words);
    else if (upstream->opening && upstream->state < UPSTREAM_READY)
        opening_fail_address(upstream, words);
    else if (upstream->state == UPSTREAM_LEAVING || upstream->state == UPSTREAM_SETTLING)
        upstream_die(upstream);
    else
        upstream_lose(upstream, words);
}

static void upstream_heard(struct upstream *upstream)
{
    switch (upstream->state) {
    case UPSTREAM_PREPARING:
        opening_prepare(upstream);
        break;
    case UPSTREAM_LOGGING_IN:
    case UPSTREAM_ATTACHED:
        upstream_tell(upstream, UPSTREAM_HEARD, (struct imapstate_span){ 0 });
        break;
    case UPSTREAM_READY:
        /* Nothing was asked. Whatever it is, it is not a connection to log in on. */
        upstream_lose(upstream, "the server speaks unasked before login");
        break;
    case UPSTREAM_SETTLING:
        if (!upstream_rest(upstream))
            upstream_die(upstream);
        break;
    case UPSTREAM_LEAVING:
        stream_consume(&upstream->stream, stream_input(&upstream->stream).len);
        break;
    default:
        break;
    }
}

static void upstream_on_stream(void *owner, enum stream_event event)
{
    struct upstream *upstream = owner;
    if (upstream->state == UPSTREAM_DEAD || opening_is_failing(upstream))
        return;
    switch (event) {
    case STREAM_CONNECTED:
        if (upstream->state == UPSTREAM_CONNECTING)
            opening_connected(upstream);
        break;
    case STREAM_SECURE:
        if (upstream->state == UPSTREAM_SECURING)
            opening_secured(upstream);
        break;
    case STREAM_INPUT:
        upstream_heard(upstream);
        break;
    case STREAM_DRAINED:
        upstream_tell(upstream, UPSTREAM_DRAINED, (struct imapstate_span){ 0 });
        break;
    case STREAM_GARBLED: /* never: it is not compressed */
    case STREAM_EOF:
    case STREAM_CLOSED:
        upstream_ended(upstream);
        break;
    }
}
