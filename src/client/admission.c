#include "admission.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "alert.h"
#include "capability.h"
#include "client.h"
#include "connecting.h"
#include "id.h"
#include "moves.h"
#include "offers.h"
#include "origin.h"
#include "park.h"
#include "queue.h"
#include "refusal.h"
#include "sasl.h"
#include "service.h"
#include "serving.h"
#include "session.h"
#include "status.h"
#include "stream.h"
#include "tag.h"
#include "trust.h"
#include "upstream.h"
#include "upstreams.h"
#include "views.h"
#include "way.h"
#include "words.h"

/* Octets of an answer with what the upstream has said when it hung up. */
#define ADMISSION_BYE_MAX 256u

#define BIT(phase) MOVES_BIT(phase)

static const unsigned admission_may_enter[ADMISSION_PHASE_MAX] = {
    [ADMISSION_CONNECTING] = BIT(ADMISSION_CONNECTING) | BIT(ADMISSION_ANSWERING),
    [ADMISSION_ANSWERING] =
        BIT(ADMISSION_CONNECTING) | BIT(ADMISSION_CHALLENGED) | BIT(ADMISSION_WITHDRAWN) | BIT(ADMISSION_ASKING),
    [ADMISSION_CHALLENGED] = BIT(ADMISSION_ANSWERING) | BIT(ADMISSION_CHALLENGED) | BIT(ADMISSION_WITHDRAWN),
    [ADMISSION_WITHDRAWN] = BIT(ADMISSION_CONNECTING) | BIT(ADMISSION_WITHDRAWN) | BIT(ADMISSION_ASKING),
};

static const char *const admission_phase_names[ADMISSION_PHASE_MAX] = {
    "CONNECTING", "ANSWERING", "CHALLENGED", "WITHDRAWN", "ASKING",
};

static const struct moves admission_moves = { "admission", admission_phase_names, admission_may_enter };

static void admission_enter(struct client *client, enum admission_phase next)
{
    struct admission *admission = client->admission;
    if (moves_allow(&admission_moves, admission->phase, next))
        admission->phase = (uint8_t)next;
    else
        stream_break(&client->stream, "unforeseen state");
}

static struct admission *admission_new(struct imapstate_span tag, const struct admission_asker *asker)
{
    struct admission *admission = calloc(1, sizeof *admission);
    if (!admission)
        return NULL;
    admission->asker = asker;
    admission->tag = tag;
    imapstate_buf_init(&admission->answer, IMAPSTATE_LINE_MAX);
    imapstate_buf_init(&admission->names, CAPABILITY_LIST_MAX);
    imapstate_buf_init(&admission->alerts, ALERTS_MAX);
    imapstate_buf_init(&admission->refusal, IMAPSTATE_LINE_MAX);
    admission->way = WAY_NONE;
    return admission;
}

void admission_free(struct admission *admission)
{
    if (!admission)
        return;
    credentials_parts_done(&admission->parts);
    imapstate_buf_done(&admission->answer);
    imapstate_buf_done(&admission->names);
    imapstate_buf_done(&admission->alerts);
    imapstate_buf_done(&admission->refusal);
    free(admission->unavailable);
    free(admission);
}

/* --- how it ends --- */

static void admission_drop_upstream(struct client *client)
{
    struct upstream *upstream = client->upstream;
    client->upstream = NULL;
    if (upstream)
        upstream_release(upstream, false);
}

/* RFC 7628 section 3.2.3: a bearer token is refused by a challenge, whatever is said to that. Any other dialog that was
 * cut short says nothing. */
static bool admission_is_judged(const struct client *client, enum admission_failure failure)
{
    return failure == ADMISSION_REFUSED ||
           (failure == ADMISSION_CANCELLED && credentials_passing(client->credentials) == SASL_RELAYED);
}

/* answer: the upstream's, empty if it has given none. Where a second way has shown nothing of the credentials, the
 * answer to the first counts. */
static void admission_fail(struct client *client, enum admission_failure failure, struct imapstate_span answer)
{
    struct admission *admission = client->admission;
    admission_drop_upstream(client);
    client->admission = NULL;
    if (failure != ADMISSION_REFUSED && admission->refusal.len > 0) {
        failure = admission->failure;
        answer = imapstate_buf_span(&admission->refusal);
    }
    if (admission_is_judged(client, failure))
        trust_refuse(client);
    admission->asker->failed(client, failure, answer,
                             admission->unavailable ? admission->unavailable : ADMISSION_UNREACHABLE);
    admission_free(admission);
}

static void admission_is_unavailable(struct client *client)
{
    admission_fail(client, ADMISSION_UNAVAILABLE, (struct imapstate_span){ 0 });
}

/* answer: the upstream's tagged OK. */
static void admission_succeed(struct client *client, struct imapstate_span answer)
{
    struct admission *admission = client->admission;
    struct offers *offers = views_take(&client->clients->views, imapstate_buf_span(&admission->names));
    struct address server = { 0 };
    client->admission = NULL;
    ways_admit(service_ways(client->upstream->service, client->upstream->config), admission->way, admission->refused);
    upstream_attach(client->upstream);
    address_of_peer(client->upstream->stream.fd, &server);
    serving_note(client, &server, &client->upstream->kept);
    if (admission->evidence == 0)
        trust_prove(client);
    /* What cannot be parked needs none. */
    if (client->upstream->kept.proof) {
        offers_unref(client->upstream->kept.offers);
        client->upstream->kept.offers = offers_ref(offers);
        park_set_alerts(client->upstream->kept.proof, imapstate_buf_span(&admission->alerts));
    }
    admission->asker->admitted(client, answer, offers);
    offers_unref(offers);
    session_saw_at_login(&client->session, admission->evidence);
    admission_free(admission);
}

/* --- the credentials go up --- */

static struct way_lore admission_lore(const struct upstream *upstream)
{
    return ways_lore(service_ways(upstream->service, upstream->config));
}

static enum way admission_choose_way(const struct client *client, uint8_t refused)
{
    const struct credentials *credentials = client->credentials;
    if (credentials_passing(credentials) != SASL_CONVERTED)
        return WAY_NONE;
    return way_choose(admission_lore(client->upstream), credentials_own_way(credentials), &credentials->identity,
                      &client->upstream->before_login, refused);
}

static void admission_send_part(struct client *client)
{
    struct admission *admission = client->admission;
    stream_put(&client->upstream->stream, imapstate_buf_span(&admission->parts.part[admission->sent++]));
    stream_flush(&client->upstream->stream);
}

static void admission_send(struct client *client)
{
    struct admission *admission = client->admission;
    struct upstream *upstream = client->upstream;
    credentials_parts_done(&admission->parts);
    admission->way = (uint8_t)admission_choose_way(client, admission->refused);
    switch (credentials_write(client->credentials, &upstream->before_login, admission->way, &admission->parts)) {
    case CREDENTIALS_NOT_OFFERED:
        admission_fail(client, ADMISSION_NOT_OFFERED, (struct imapstate_span){ 0 });
        return;
    case CREDENTIALS_TOO_LONG:
        admission_is_unavailable(client);
        return;
    case CREDENTIALS_WRITTEN:
        break;
    }
    admission_enter(client, ADMISSION_ANSWERING);
    upstream_log_in(upstream);
    stream_put(&upstream->stream, admission->tag);
    stream_put(&upstream->stream, IMAPSTATE_SPAN(" "));
    admission->sent = 0;
    admission_send_part(client);
}

void admission_upstream_ready(struct client *client)
{
    struct imapstate_buf arguments;
    imapstate_buf_init(&arguments, ID_MAX);
    if (origin_id_arguments(client, client->upstream, &arguments))
        connecting_send_id(client->upstream, imapstate_buf_span(&arguments));
    else
        admission_send(client);
    imapstate_buf_done(&arguments);
}

/* Many share the address of a host that speaks for them. */
static uint8_t admission_lane(const struct client *client)
{
    return client->peer.family != AF_UNIX && client_may_be_newcomer(client->listener, &client->peer)
               ? queue_lane_of_address(&client->peer)
               : queue_lane_of_user(sasl_identity_user(&client->credentials->identity));
}

static void admission_connect(struct client *client)
{
    struct upstream_owner owner = client_as_owner(client);
    struct upstream_ends ends = { &client->peer, &client->local, sasl_identity_user(&client->credentials->identity),
                                  admission_lane(client) };
    admission_enter(client, ADMISSION_CONNECTING);
    if (!client->upstream)
        client->upstream = upstreams_open(client->clients->upstreams, client->service, client->home, &owner, &ends);
    if (!client->upstream)
        admission_is_unavailable(client);
    else if (client->upstream->state == UPSTREAM_READY)
        admission_upstream_ready(client);
}

void admission_begin(struct client *client, struct imapstate_span tag, const struct admission_asker *asker)
{
    client->admission = admission_new(tag, asker);
    if (client->admission)
        admission_connect(client);
    else
        asker->failed(client, ADMISSION_UNAVAILABLE, (struct imapstate_span){ 0 }, ADMISSION_UNREACHABLE);
}

bool admission_wants_line(const struct admission *admission)
{
    return admission && admission->phase == ADMISSION_CHALLENGED;
}

static void admission_put_line(struct client *client, struct imapstate_span line)
{
    stream_put(&client->upstream->stream, line);
    stream_put(&client->upstream->stream, IMAPSTATE_SPAN("\r\n"));
    stream_flush(&client->upstream->stream);
    upstream_await(client->upstream);
}

void admission_relay(struct client *client, struct imapstate_span line)
{
    trust_suspect(client);
    if (credentials_passing(client->credentials) == SASL_PROVED)
        park_give_way(imapstate_span_of(client->home->name), sasl_identity_user(&client->credentials->identity),
                      client_now_ms(client));
    admission_enter(client, ADMISSION_ANSWERING);
    admission_put_line(client, line);
}

void admission_withdraw(struct client *client)
{
    admission_enter(client, ADMISSION_WITHDRAWN);
    admission_put_line(client, IMAPSTATE_SPAN("*"));
}

void admission_upstream_lost(struct client *client, const struct upstream *lost, const char *why)
{
    client_log(client, LOG_LEVEL_DEBUG, "upstream lost at login: %s", why);
    admission_is_unavailable(client);
}

/* --- no --- */

/* Ends what only waits. False: it was not that which has taken the room. */
static bool admission_clears(const struct client *client, const struct refusal *refusal)
{
    struct imapstate_span upstream = imapstate_span_of(client->home->name);
    struct imapstate_span user = sasl_identity_user(&client->credentials->identity);
    struct park_yield room = park_yield(upstream, user, refusal->minds_address, client_now_ms(client));
    if (room.ended > 0)
        client_log(client, LOG_LEVEL_DEBUG, "park: given up %u, the upstream wants fewer connections", room.ended);
    if (room.most < UINT_MAX)
        client_log(client, LOG_LEVEL_INFO,
                   "park: the upstream has no room for more connections %s: at most %u wait in the next hour",
                   refusal->minds_address ? "from here" : "of this user", room.most);
    return room.may_help;
}

/* Can it be tried again without the client's help? A challenge that the client has seen cannot be had again, nor may
 * one be waiting for its answer. */
static bool admission_may_repeat(const struct client *client)
{
    const struct admission *admission = client->admission;
    return !admission->was_challenged ||
           (admission->phase == ADMISSION_ANSWERING && credentials_passing(client->credentials) != SASL_PROVED);
}

/* Those that only wait give way to one that works. True: it is tried again. One that only the client can repeat is
 * refused all the same; its next try finds room. */
static bool admission_makes_room(struct client *client, const struct refusal *refusal)
{
    struct admission *admission = client->admission;
    uint64_t after_ms;
    bool is_first = admission->presses == 0;
    if (admission->phase == ADMISSION_WITHDRAWN || !refusal->is_crowded || !park_press(&admission->presses, &after_ms))
        return false;
    if ((!admission_clears(client, refusal) && is_first) || !admission_may_repeat(client))
        return false;
    admission_connect(client);
    if (client->upstream)
        connecting_put_off(client->upstream, after_ms);
    return true;
}

/* The same password may be taken in another form. Until some login has succeeded nobody knows, and nobody may be shut
 * out by that; once one has, nobody shall have two guesses for one. True: it is being tried, once. */
static bool admission_tries_another_way(struct client *client, enum admission_failure failure,
                                        struct imapstate_span line)
{
    struct admission *admission = client->admission;
    uint8_t refused = WAY_BIT(admission->way);
    if (admission->refused || admission_lore(client->upstream).has_admitted ||
        admission_choose_way(client, refused) == WAY_NONE || !imapstate_buf_put(&admission->refusal, line))
        return false;
    admission->refused = refused;
    admission->failure = (uint8_t)failure;
    client_log(client, LOG_LEVEL_DEBUG, "login refused; tried by another way");
    admission_drop_upstream(client);
    admission_connect(client);
    return true;
}

static void admission_is_refused(struct client *client, struct imapstate_span line)
{
    struct refusal refusal = refusal_read(line);
    bool was_withdrawn = client->admission->phase == ADMISSION_WITHDRAWN;
    /* RFC 9051 section 6.2.2: BAD is what "*" has asked for, and no reason. */
    bool is_due = was_withdrawn && imapstate_span_equal_nocase(words_at(line, 1), IMAPSTATE_SPAN("BAD"));
    enum admission_failure failure = was_withdrawn ? ADMISSION_CANCELLED : ADMISSION_REFUSED;
    if (refusal.is_passing && !is_due)
        failure = ADMISSION_UNAVAILABLE;
    if (refusal.may_be_way && admission_tries_another_way(client, failure, line))
        return;
    admission_drop_upstream(client);
    if (!admission_makes_room(client, &refusal))
        admission_fail(client, failure, line);
}

/* Appends the status response without its [REFERRAL url] (RFC 2221), which would lead the client past the gateway.
 * False if it has none. */
static bool admission_cut_referral(struct imapstate_span line, struct imapstate_buf *ret_line)
{
    struct status status;
    if (!status_parse(line, &status) || !status_has_code(&status, "REFERRAL"))
        return false;
    /* In front of the code is its "[". */
    return imapstate_buf_put(ret_line, (struct imapstate_span){ line.at, (size_t)(status.code.at - 1 - line.at) }) &&
           imapstate_buf_put(ret_line, status.text) && imapstate_buf_put(ret_line, IMAPSTATE_SPAN("\r\n"));
}

/* --- the upstream's answers --- */

static void admission_keep_names(struct admission *admission, struct imapstate_span line)
{
    struct imapstate_span names;
    if (!capability_find(line, &names))
        return;
    imapstate_buf_clear(&admission->names);
    imapstate_buf_put(&admission->names, names);
}

static void admission_ask(struct client *client, struct imapstate_span answer)
{
    struct admission *admission = client->admission;
    if (!imapstate_buf_put(&admission->answer, answer)) {
        admission_is_unavailable(client);
        return;
    }
    admission_enter(client, ADMISSION_ASKING);
    stream_put(&client->upstream->stream, IMAPSTATE_SPAN(UPSTREAM_TAG " CAPABILITY\r\n"));
    stream_flush(&client->upstream->stream);
    upstream_await(client->upstream);
}

/* The client still owes the answer to a challenge: two dialogs have parted, and its next line might be a password or a
 * command. */
static void admission_is_overtaken(struct client *client)
{
    client_distrust_upstream(client, "login accepted before the answer to its challenge");
}

static void admission_is_accepted(struct client *client, struct imapstate_span line)
{
    struct admission *admission = client->admission;
    if (admission_wants_line(admission)) {
        admission_is_overtaken(client);
        return;
    }
    alerts_add(&admission->alerts, line);
    admission_keep_names(admission, line);
    if (admission->names.len > 0)
        admission_succeed(client, line);
    else
        admission_ask(client, line);
}

static void admission_hear_tagged(struct client *client, struct imapstate_span line)
{
    struct imapstate_buf cut;
    imapstate_buf_init(&cut, IMAPSTATE_LINE_MAX);
    if (admission_cut_referral(line, &cut))
        line = imapstate_buf_span(&cut);
    if (!imapstate_span_equal(words_at(line, 0), client->admission->tag))
        admission_is_unavailable(client);
    else if (imapstate_span_equal_nocase(words_at(line, 1), IMAPSTATE_SPAN("OK")))
        admission_is_accepted(client, line);
    else
        admission_is_refused(client, line);
    imapstate_buf_done(&cut);
}

/* The CAPABILITY that we asked has its answer. */
static void admission_hear_asked(struct client *client, struct imapstate_span line)
{
    const struct admission *admission = client->admission;
    if (admission->names.len > 0 && imapstate_span_equal(words_at(line, 0), IMAPSTATE_SPAN(UPSTREAM_TAG)))
        admission_succeed(client, imapstate_buf_span(&admission->answer));
    else
        admission_is_unavailable(client);
}

/* "+": the next part goes up; the challenge of a mechanism that is relayed is the client's. Nobody can give a server
 * that wants more than a password what it wants. */
static bool admission_hear_go(struct client *client, struct imapstate_span line)
{
    struct admission *admission = client->admission;
    upstream_await(client->upstream);
    if (admission->phase == ADMISSION_ANSWERING && admission->sent < admission->parts.count) {
        admission_send_part(client);
        return false;
    }
    bool may_challenge = admission->phase == ADMISSION_ANSWERING || admission->phase == ADMISSION_CHALLENGED;
    if (!may_challenge || !admission->asker->challenged || !admission->asker->challenged(client, line)) {
        admission_withdraw(client);
        return false;
    }
    admission->was_challenged = true;
    upstream_end_login(client->upstream); /* it costs the server nothing while the client takes its time */
    admission_enter(client, ADMISSION_CHALLENGED);
    return true;
}

/* Its words are for the client, if there is no other way. */
static void admission_hear_bye(struct client *client, struct imapstate_span line)
{
    struct admission *admission = client->admission;
    struct status status;
    if (!status_parse(line, &status) || status.word != STATUS_BYE || status.text.len == 0)
        return;
    struct imapstate_buf answer;
    imapstate_buf_init(&answer, ADMISSION_BYE_MAX);
    imapstate_buf_put(&answer, IMAPSTATE_SPAN("NO [UNAVAILABLE] "));
    status_quote(status.text, &answer);
    free(admission->unavailable);
    admission->unavailable = answer.len > 0 ? calloc(answer.len + 1, 1) : NULL;
    if (admission->unavailable)
        memcpy(admission->unavailable, answer.at, answer.len);
    imapstate_buf_done(&answer);
}

static bool admission_hear_untagged(struct client *client, struct imapstate_span line)
{
    struct status status;
    bool is_status = status_parse(line, &status);
    if (is_status && status.has_alert) {
        alerts_add(&client->admission->alerts, line);
        client_hear_alert(client, line);
    }
    admission_hear_bye(client, line);
    if (client->upstream->has_said_bye || (is_status && status.has_alert))
        return false; /* BYE: its end follows, and is answered NO [UNAVAILABLE] */
    admission_keep_names(client->admission, line);
    /* A list of its own is shown as the code of the tagged OK (P1). */
    return !imapstate_span_equal_nocase(words_at(line, 1), IMAPSTATE_SPAN("CAPABILITY"));
}

bool admission_hear(struct client *client, struct imapstate_span line)
{
    struct admission *admission = client->admission;
    if (*line.at == '*')
        return admission_hear_untagged(client, line);
    if (admission->phase == ADMISSION_ASKING)
        admission_hear_asked(client, line);
    else if (*line.at == '+')
        return admission_hear_go(client, line);
    else
        admission_hear_tagged(client, line);
    return false;
}

void admission_told(struct client *client, struct imapstate_span line)
{
    client_hear_alert(client, line);
    admission_hear_bye(client, line);
}
