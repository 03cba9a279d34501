#include "choice.h"

#include <string.h>

#include "alert.h"
#include "capability.h"
#include "catalogue.h"
#include "client.h"
#include "clientcounters.h"
#include "credentials.h"
#include "down.h"
#include "id.h"
#include "offers.h"
#include "proof.h"
#include "record.h"
#include "request.h"
#include "serving.h"
#include "session.h"
#include "stream.h"
#include "tag.h"
#include "trust.h"
#include "upstream.h"
#include "upstreams.h"
#include "waking.h"

static void choice_forget_record(struct client *client)
{
    record_free(client->choice.record);
    client->choice.record = NULL;
}

static void choice_give_back(struct client *client)
{
    struct choice *choice = &client->choice;
    if (choice->reserved)
        park_put(choice->reserved, client_now_ms(client));
    choice->reserved = NULL;
}

void choice_done(struct client *client)
{
    struct choice *choice = &client->choice;
    choice_give_back(client);
    park_proof_unref(choice->proof);
    choice_forget_record(client);
    resend_done(&choice->resend);
    *choice = (struct choice){ .resend = choice->resend };
}

/* --- taking one --- */

static struct parked *choice_take(struct client *client, enum park_want want, struct imapstate_span state)
{
    struct choice *choice = &client->choice;
    struct parked *reserved = choice->reserved;
    if (choice->wants_new)
        return NULL;
    if (reserved && parked_is(reserved, want, state)) {
        choice->reserved = NULL;
        return reserved;
    }
    choice_give_back(client);
    return choice->proof ? park_take(choice->proof, want, state, client_now_ms(client)) : NULL;
}

static void choice_count(const struct client *client, enum choice_find find)
{
    client_counters_upstream(&client->clients->counters, client->home->name)->finds[find]++;
}

/* What the client said of itself before there was an upstream (RFC 2971). */
static void choice_send_id(struct client *client)
{
    struct imapstate_buf command;
    if (!client->id || !offers_known(client->session.offers)->id)
        return;
    imapstate_buf_init(&command, sizeof "ID " + ID_MAX);
    if (imapstate_buf_put(&command, IMAPSTATE_SPAN("ID ")) && id_write(client->id, NULL, &command))
        waking_say(client->upstream, imapstate_buf_span(&command));
    imapstate_buf_done(&command);
}

/* The first that is alive. */
static bool choice_wake(struct client *client, enum park_want want, struct imapstate_span state)
{
    struct parked *parked;
    struct address server;
    struct upstream_owner owner = client_as_owner(client);
    struct imapstate_buf alerts;
    imapstate_buf_init(&alerts, ALERTS_MAX);
    while (!client->upstream && (parked = choice_take(client, want, state))) {
        server = parked->server;
        client->upstream = upstreams_wake(client->clients->upstreams, parked, &owner, &alerts);
        client_tell_alerts(client, imapstate_buf_span(&alerts));
        imapstate_buf_done(&alerts);
    }
    if (!client->upstream)
        return false;
    /* What another session was answered on it is of use if this one goes on where that one was. */
    struct record *record = client->upstream->kept.record;
    client->upstream->kept.record = NULL;
    if (want == PARK_STATE || record_is_empty(record))
        session_give_record(&client->session, record);
    else
        record_free(record);
    choice_forget_record(client);
    resend_begin(&client->choice.resend);
    serving_note(client, &server, &client->upstream->kept);
    choice_send_id(client);
    client_log(client, LOG_LEVEL_DEBUG, "park: taken, %s",
               client->upstream->kept.state.len > 0 ? "in a state" : "pristine");
    return true;
}

/* What the client would see, counted, if it is another list than the one that it was told, whatever the order and case.
 * NULL: it is the same, or nobody can say. */
static struct offers *choice_news(const struct client *client, struct offers *offers)
{
    struct offers *shown = client_show(client, offers);
    if (shown && !session_is_shown(&client->session, shown))
        return shown;
    offers_unref(shown);
    return NULL;
}

bool choice_heed_offers(struct client *client, struct offers *offers)
{
    if (!offers) /* of the login that the client was told of: there is no news */
        return false;
    struct offers *news = choice_news(client, offers);
    bool has_news = news;
    if (has_news) {
        client_say_offers(client, news);
        session_set_shown(&client->session, news);
    }
    offers_unref(news);
    /* What the client sees is the same whether LANGUAGE is the upstream's or ours. */
    session_set_offers(&client->session, offers);
    client_heed_offers(client);
    return has_news;
}

/* --- login without the upstream --- */

bool choice_accept(struct client *client, struct offers **ret_offers)
{
    struct proof_identity identity;
    struct choice *choice = &client->choice;
    if (!trust_identify(client, &identity))
        return false;
    choice->reserved = park_match(&identity, client_now_ms(client), &choice->proof);
    if (!choice->reserved)
        return false;
    struct upstream *unused = client->upstream;
    client->upstream = NULL;
    /* Whoever is told that a connection is reused must get one, whatever its state. */
    if (client->listener->imapproxy_compat && !choice_wake(client, PARK_ANY, (struct imapstate_span){ 0 })) {
        client->upstream = unused;
        choice_done(client);
        return false;
    }
    if (unused)
        upstream_release(unused, false);
    if (client->upstream)
        choice_count(client, CHOICE_FOUND_ANY);
    if (choice->reserved)
        serving_note(client, &choice->reserved->server, &choice->reserved->kept);
    choice->due_at_ms = client_now_ms(client) + CHOICE_DELAY_MS;
    *ret_offers = client->upstream ? client->upstream->kept.offers : choice->reserved->kept.offers;
    return true;
}

/* --- the record --- */

/* May the session be answered from a record? */
static bool choice_is_undecided(const struct client *client)
{
    const struct choice *choice = &client->choice;
    bool is_on_record = !record_is_empty(client->session.record) || !session_is_set_up(&client->session);
    return choice->proof && !client->upstream && !client->admission && !client->restore && is_on_record &&
           !choice->wants_new && !client->listener->imapproxy_compat;
}

/* One that knows what was answered to this ENABLE, or with NULL to NAMESPACE, in a session that began like this one.
 * It is kept: what the session is told next must not hang on who takes a connection meanwhile. */
static const struct record *choice_record(struct client *client, const struct imapstate_span *enable)
{
    struct choice *choice = &client->choice;
    const struct parked *reserved = choice->reserved;
    const struct record *told = client->session.record;
    if (!choice_is_undecided(client))
        return NULL;
    if (choice->record && record_knows(choice->record, told, enable))
        return choice->record;
    bool is_reserved = reserved && reserved->kept.record && record_knows(reserved->kept.record, told, enable);
    struct record *found = is_reserved ? record_copy(reserved->kept.record)
                                       : park_record(choice->proof, told, enable, client_now_ms(client));
    if (found) {
        choice_forget_record(client);
        choice->record = found;
    }
    return found;
}

enum record_answer choice_look_up(struct client *client, struct imapstate_span request, struct imapstate_buf *ret_names)
{
    const struct record *record = choice_record(client, &request);
    return record ? record_look_up(record, client->session.record, request, ret_names) : RECORD_UNKNOWN;
}

bool choice_namespace(struct client *client, struct imapstate_buf *ret_line)
{
    const struct record *record = choice_record(client, NULL);
    return record && record_namespace(record, client->session.record, ret_line);
}

void choice_was_told(struct client *client)
{
    uint64_t due_at_ms = client_now_ms(client) + CHOICE_TOLD_MS;
    if (due_at_ms < client->choice.due_at_ms)
        client->choice.due_at_ms = due_at_ms;
    choice_give_back(client);
}

/* --- until it has shown that it lives --- */

void choice_forget_credentials(struct client *client)
{
    const struct upstream *upstream = client->upstream;
    if (!upstream || upstream->is_woken || upstream->is_ahead)
        return;
    client_forget_credentials(client);
    id_told(client->id);
}

bool choice_awaits_life(struct client *client, bool is_repeatable)
{
    struct upstream *upstream = client->upstream;
    if (is_repeatable || !upstream->is_doubtful)
        return false;
    if (client->pipeline.count == 0 && !upstream->is_asked_ahead)
        waking_say(upstream, IMAPSTATE_SPAN("NOOP"));
    return true;
}

/* What the one that takes its place must be like. False: nobody can say. */
static bool choice_wanted(const struct client *client, enum park_want *ret_want, struct imapstate_buf *ret_state)
{
    const struct imapstate_state *in_effect = client->session.in_effect;
    bool is_known = !in_effect || imapstate_state_count(in_effect) == 0 || imapstate_state_encode(in_effect, ret_state);
    *ret_want = client->listener->imapproxy_compat ? PARK_ANY : ret_state->len > 0 ? PARK_STATE : PARK_PRISTINE;
    return is_known;
}

bool choice_doubt(struct client *client)
{
    struct choice *choice = &client->choice;
    struct imapstate_buf state;
    enum park_want want;
    if (choice->has_doubted || !choice_may_replace(client, client->upstream))
        return false;
    imapstate_buf_init(&state, IMAPSTATE_STATE_MAX);
    choice->has_doubted = choice_wanted(client, &want, &state);
    choice->wants_new = choice->has_doubted && want != PARK_ANY;
    if (choice->has_doubted && !choice->wants_new)
        choice->reserved = choice_take(client, want, imapstate_buf_span(&state));
    imapstate_buf_done(&state);
    return choice->wants_new || choice->reserved;
}

void choice_sent(struct client *client, struct imapstate_span octets, bool is_repeatable)
{
    if (client->upstream->is_woken || client->upstream->is_ahead)
        resend_add(&client->choice.resend, octets, is_repeatable);
}

void choice_heard(struct client *client)
{
    client->upstream->is_woken = false;
    if (!client->upstream->is_ahead)
        resend_forget(&client->choice.resend);
    if (!client->restore && !client->admission)
        choice_forget_credentials(client);
}

void choice_resend(struct client *client)
{
    struct resend *resend = &client->choice.resend;
    if (!resend->is_due)
        return;
    resend->is_due = false;
    stream_put(&client->upstream->stream, imapstate_buf_span(&resend->sent));
    if (!client->upstream->is_woken)
        resend_forget(resend);
}

/* --- the new login --- */

static void choice_admitted(struct client *client, struct imapstate_span answer, struct offers *offers)
{
    client_hear_alert(client, answer);
    choice_heed_offers(client, offers);
    choice_resend(client);
    choice_heard(client);
}

/* May it have been carried out, with an effect? */
static bool choice_may_have_run(const struct client *client, const struct flight *flight)
{
    return client->choice.resend.may_have_run && !flight->may_repeat;
}

/* The tag of the command that is here as a whole and of which nothing has gone up; empty if there is none. What is here
 * in part may yet be any command. */
static struct imapstate_span choice_waiting_tag(const struct client *client)
{
    struct imapstate_span in = stream_input(&client->stream);
    struct imapstate_command_line line = { 0 };
    if (client->request.phase >= REQUEST_COMPLETE)
        return request_tag(&client->request);
    bool is_first = client->pipeline.count == 0 && imapstate_frame_is_between(&client->frame);
    if (is_first && in.len > 0 && memchr(in.at, '\n', in.len))
        imapstate_command_parse(in, &line);
    return line.tag;
}

/* What may have run has no answer but BYE. */
void choice_give_up(struct client *client, const char *answer)
{
    for (const struct flight *flight = client->pipeline.first; flight; flight = flight->next) {
        struct imapstate_span tag = { flight->tag, flight->tag_len };
        if (!flight->is_ours && !choice_may_have_run(client, flight))
            client_say(client, &tag, answer);
    }
    struct imapstate_span tag = choice_waiting_tag(client);
    if (tag.len > 0)
        client_say(client, &tag, answer);
    client_end(client, CLIENT_ENDING_NO_UPSTREAM, "BYE [UNAVAILABLE] " N_("The session cannot continue."));
}

const char *choice_answer(enum admission_failure failure, const char *unavailable)
{
    bool is_refused = failure == ADMISSION_REFUSED || failure == ADMISSION_CANCELLED;
    return is_refused ? "NO [AUTHENTICATIONFAILED] " N_("The credentials are no longer accepted.") : unavailable;
}

static void choice_not_admitted(struct client *client, enum admission_failure failure, struct imapstate_span answer,
                                const char *unavailable)
{
    client_hear_alert(client, answer);
    choice_give_up(client, choice_answer(failure, unavailable));
}

static const struct admission_asker choice_asker = {
    .admitted = choice_admitted,
    .failed = choice_not_admitted,
};

bool choice_log_in(struct client *client, const struct admission_asker *asker)
{
    if (!client->credentials || credentials_passing(client->credentials) == SASL_PROVED)
        return false;
    admission_begin(client, IMAPSTATE_SPAN(UPSTREAM_TAG), asker);
    return true;
}

/* --- choosing --- */

/* Nothing that is parked will do. */
static bool choice_log_in_anew(struct client *client, const struct admission_asker *asker)
{
    bool is_begun = client->credentials && credentials_passing(client->credentials) != SASL_PROVED;
    choice_forget_record(client);
    if (is_begun)
        choice_count(client, CHOICE_FOUND_NONE); /* before it is over, as it may be at once */
    return is_begun && choice_log_in(client, asker);
}

bool choice_make(struct client *client)
{
    if (client->upstream)
        return true;
    if (client->admission)
        return false;
    if (choice_wake(client, PARK_PRISTINE, (struct imapstate_span){ 0 })) {
        choice_count(client, CHOICE_FOUND_PRISTINE);
        choice_heed_offers(client, client->upstream->kept.offers);
        return true;
    }
    if (!choice_log_in_anew(client, &choice_asker))
        choice_give_up(client, ADMISSION_UNREACHABLE);
    return false;
}

/* One in this state. But if the upstream has come to offer something else since it was parked, the token is dead for it
 * (P12), and the client would go on in a state that it was told it is not in. */
static bool choice_wake_state(struct client *client, struct imapstate_span state)
{
    while (choice_wake(client, PARK_STATE, state)) {
        struct offers *news = choice_news(client, client->upstream->kept.offers);
        if (!news)
            return true;
        offers_unref(news);
        park_count_end(client->home->name, PARK_END_DEAD);
        upstream_release(client->upstream, false);
        client->upstream = NULL;
    }
    return false;
}

bool choice_make_equal(struct client *client, struct imapstate_span state)
{
    if (client->upstream || client->admission || client->listener->imapproxy_compat ||
        !choice_wake_state(client, state))
        return false;
    client->upstream->is_ahead = true;
    choice_count(client, CHOICE_FOUND_WARM);
    choice_heed_offers(client, client->upstream->kept.offers);
    return true;
}

void choice_arrive(struct client *client)
{
    client->upstream->is_ahead = false;
    if (client->upstream->is_woken)
        return;
    resend_forget(&client->choice.resend);
    choice_forget_credentials(client);
}

bool choice_retreat(struct client *client)
{
    bool may = choice_may_replace(client, client->upstream);
    if (may)
        session_forget_enabled(&client->session);
    return may;
}

enum choice_result choice_make_state(struct client *client, struct imapstate_span state,
                                     const struct admission_asker *asker)
{
    if (client->upstream)
        return CHOICE_PRISTINE;
    if (choice_wake_state(client, state)) {
        choice_count(client, CHOICE_FOUND_WARM);
        return CHOICE_EXACT;
    }
    if (choice_wake(client, PARK_PRISTINE, (struct imapstate_span){ 0 })) {
        choice_count(client, CHOICE_FOUND_PRISTINE);
        return CHOICE_PRISTINE;
    }
    return choice_log_in_anew(client, asker) ? CHOICE_WAITING : CHOICE_NONE;
}

/* --- another takes its place --- */

bool choice_may_replace(const struct client *client, const struct upstream *lost)
{
    return (lost->is_woken || lost->is_ahead) &&
           resend_is_allowed(&client->choice.resend, upstream_has_written(lost)) && down_may_resend(client) &&
           !session_is_notified(&client->session);
}

void choice_cannot_replace(struct client *client)
{
    client->choice.resend.is_due = false;
}

/* Pristine, or of imapproxy's kind of reuse. */
static bool choice_replace_by(struct client *client, enum park_want want, struct imapstate_span state)
{
    if (choice_wake(client, want, state)) {
        choice_count(client, want == PARK_PRISTINE ? CHOICE_FOUND_PRISTINE : CHOICE_FOUND_ANY);
        choice_heed_offers(client, client->upstream->kept.offers);
        choice_resend(client);
        return true;
    }
    return want == PARK_PRISTINE && choice_log_in_anew(client, &choice_asker);
}

enum choice_replacement choice_replace(struct client *client, const struct upstream *lost)
{
    struct resend *resend = &client->choice.resend;
    resend->may_have_run |= upstream_has_written(lost);
    if (!choice_may_replace(client, lost))
        return CHOICE_LOST;
    struct imapstate_buf state;
    enum park_want want;
    imapstate_buf_init(&state, IMAPSTATE_STATE_MAX);
    resend->is_due = choice_wanted(client, &want, &state);
    bool is_restore = resend->is_due && want == PARK_STATE;
    bool is_replaced = resend->is_due && !is_restore && choice_replace_by(client, want, imapstate_buf_span(&state));
    imapstate_buf_done(&state);
    if (!is_restore && !is_replaced)
        choice_cannot_replace(client);
    return is_restore ? CHOICE_RESTORE : is_replaced ? CHOICE_REPLACED : CHOICE_LOST;
}
