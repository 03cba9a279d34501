#include "restore.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "capability.h"
#include "catalogue.h"
#include "choice.h"
#include "client.h"
#include "language.h"
#include "moves.h"
#include "offers.h"
#include "relay.h"
#include "request.h"
#include "revocations.h"
#include "session.h"
#include "stream.h"
#include "tag.h"
#include "upstream.h"
#include "views.h"
#include "words.h"

#define RESTORE_CANNOT      "OK " N_("State not restored, but state command tracking enabled.")
#define RESTORE_UNAVAILABLE "NO [UNAVAILABLE] " N_("State cannot be restored at the moment.")

#define BIT(phase) MOVES_BIT(phase)

static const unsigned restore_may_enter[RESTORE_PHASE_MAX] = {
    [RESTORE_CHOOSING] = BIT(RESTORE_CHOOSING) | BIT(RESTORE_REPLAYING),
    [RESTORE_REPLAYING] = BIT(RESTORE_CHOOSING) | BIT(RESTORE_REPLACING),
};

static const char *const restore_phase_names[RESTORE_PHASE_MAX] = { "CHOOSING", "REPLAYING", "REPLACING" };

static const struct moves restore_moves = { "restore", restore_phase_names, restore_may_enter };

static void restore_enter(struct client *client, enum restore_phase next)
{
    if (moves_allow(&restore_moves, client->restore->phase, next))
        client->restore->phase = (uint8_t)next;
    else
        stream_break(&client->stream, "unforeseen state");
}

void restore_free(struct restore *restore)
{
    if (!restore)
        return;
    imapstate_buf_done(&restore->tag);
    imapstate_buf_done(&restore->token);
    imapstate_buf_done(&restore->encoded);
    offers_unref(restore->held);
    imapstate_state_free(restore->state);
    imapstate_state_free(restore->share);
    imapstate_replay_free(restore->replay);
    free(restore);
}

static const char *restore_upstream_name(const struct client *client)
{
    return client->listener->upstream->name;
}

static void restore_answer(struct client *client, const char *answer)
{
    struct imapstate_span tag = request_tag(&client->request);
    client_say(client, &tag, answer);
}

/* Tracking begins; what cannot be tracked cannot be saved either. */
static void restore_track(struct client *client, const char *answer)
{
    bool is_tracking = session_track(&client->session, restore_upstream_name(client));
    restore_answer(client, is_tracking ? answer : "NO [UNAVAILABLE] " N_("Out of memory."));
    choice_forget_credentials(client);
}

/* --- STATE token --- */

static void restore_log_token(const struct client *client, struct imapstate_span token, const char *what,
                              const char *why)
{
    char hash[17];
    imapstate_token_hash(token, hash);
    client_log(client, LOG_LEVEL_INFO, "token=%s %s%s%s", hash, what, *why ? ": " : "", why);
}

/* What the gateway sets by itself is none of the upstream's. */
static enum imapstate_error restore_divide(const struct client *client, struct restore *restore)
{
    restore->share = session_copy(restore->state);
    if (!restore->share)
        return IMAPSTATE_NO_MEMORY;
    if (client_has_language(client))
        imapstate_state_remove(restore->share, IMAPSTATE_ENTRY_LANGUAGE);
    imapstate_buf_clear(&restore->encoded);
    return imapstate_state_encode(restore->share, &restore->encoded) ? IMAPSTATE_OK : IMAPSTATE_NO_MEMORY;
}

static struct imapstate_token_binding restore_binding(const struct client *client)
{
    struct imapstate_token_binding binding = session_binding(&client->session, restore_upstream_name(client));
    binding.revoked_s = revocations_second(client->clients->revocations, binding.user);
    return binding;
}

/* Opens the token and decodes what it holds. */
static enum imapstate_error restore_open(const struct client *client, struct imapstate_span token,
                                         struct restore *restore)
{
    struct imapstate_token_binding binding = restore_binding(client);
    enum imapstate_error error = imapstate_token_open(client->clients->service->keyring, &binding, (uint64_t)time(NULL),
                                                      token, &restore->encoded);
    if (error == IMAPSTATE_OK)
        error = imapstate_state_decode(restore->state, imapstate_buf_span(&restore->encoded));
    return error == IMAPSTATE_OK ? restore_divide(client, restore) : error;
}

/* The language of the token's state is spoken by the gateway; if there is none in it, the default. False: it is ours to
 * speak, and is not offered (any more). */
static bool restore_find_language(const struct client *client, struct restore *restore)
{
    struct imapstate_entry entry;
    for (size_t i = 0; imapstate_state_at(restore->state, i, &entry); i++)
        if (entry.kind == IMAPSTATE_ENTRY_LANGUAGE)
            return language_find(&client->service->config->languages, entry.value, &restore->language) ||
                   !client_has_language(client);
    return true;
}

static struct restore *restore_new(const struct client *client, struct imapstate_span token)
{
    struct restore *restore = calloc(1, sizeof *restore);
    if (!restore)
        return NULL;
    imapstate_buf_init(&restore->tag, IMAPSTATE_LINE_MAX);
    imapstate_buf_init(&restore->token, IMAPSTATE_TOKEN_MAX);
    imapstate_buf_init(&restore->encoded, IMAPSTATE_TOKEN_MAX);
    struct imapstate_token_binding binding = session_binding(&client->session, restore_upstream_name(client));
    restore->state = imapstate_state_new(imapstate_token_state_max(&binding));
    if (restore->state && imapstate_buf_put(&restore->tag, request_tag(&client->request)) &&
        imapstate_buf_put(&restore->token, token))
        return restore;
    restore_free(restore);
    return NULL;
}

static void restore_write(struct client *client)
{
    struct imapstate_span octets = imapstate_replay_output(client->restore->replay);
    if (octets.len == 0)
        return;
    stream_put(&client->upstream->stream, octets);
    stream_flush(&client->upstream->stream);
    upstream_await(client->upstream);
}

static void restore_put_held(struct client *client)
{
    struct offers *held = client->restore->held, *shown = held ? client_show(client, held) : NULL;
    if (shown)
        client_say_offers(client, shown);
    offers_unref(shown);
}

static void restore_end(struct client *client)
{
    struct restore *restore = client->restore;
    client->restore = NULL;
    restore_free(restore);
}

static void restore_succeed_again(struct client *client)
{
    upstream_await_nothing(client->upstream);
    restore_put_held(client);
    restore_end(client);
    client_log(client, LOG_LEVEL_DEBUG, "the state is set up again on another connection");
    choice_resend(client);
    choice_forget_credentials(client);
}

/* P4 */
static void restore_succeed(struct client *client)
{
    struct restore *restore = client->restore;
    struct imapstate_span tag = imapstate_buf_span(&restore->tag);
    upstream_await_nothing(client->upstream);
    choice_forget_credentials(client);
    restore_put_held(client);
    restore_log_token(client, imapstate_buf_span(&restore->token), "restored", restore->is_warm ? "warm" : "cold");
    session_restore(&client->session, restore->state, restore->share,
                    restore->is_warm ? SESSION_RESTORED_WARM : SESSION_RESTORED_COLD);
    restore->state = restore->share = NULL;
    client->language = restore->language;
    stream_put(&client->stream, IMAPSTATE_SPAN("* STATE "));
    stream_put(&client->stream, imapstate_buf_span(&restore->token));
    stream_put(&client->stream, IMAPSTATE_SPAN("\r\n"));
    client_say(client, &tag, "OK " N_("State restored."));
    restore_end(client);
}

static const struct admission_asker restore_asker; /* below: it goes on where the login was asked for */

static void restore_give_up(struct client *client, const char *answer)
{
    struct imapstate_span tag = imapstate_buf_span(&client->restore->tag);
    client_say(client, &tag, answer);
    client_end(client, "restore failed", "BYE [UNAVAILABLE] " N_("The session cannot continue."));
}

/* P18: the connection may be in half a state. It is replaced while that is possible. */
static void restore_fail(struct client *client, const char *command, const char *why)
{
    struct upstream *tainted = client->upstream;
    char words[160];
    snprintf(words, sizeof words, "%s%s%s", command, *command ? ": " : "", why);
    if (client->restore->is_again) {
        client_set_detail(client, words);
        choice_give_up(client, ADMISSION_UNREACHABLE);
        return;
    }
    restore_log_token(client, imapstate_buf_span(&client->restore->token), "not restored", words);
    client->upstream = NULL;
    if (tainted)
        upstream_release(tainted, false);
    session_forget_enabled(&client->session);
    restore_enter(client, RESTORE_REPLACING);
    if (!choice_log_in(client, &restore_asker))
        restore_give_up(client, RESTORE_UNAVAILABLE);
}

static void restore_check(struct client *client)
{
    const char *command = "";
    switch (imapstate_replay_status(client->restore->replay)) {
    case IMAPSTATE_REPLAY_RUNNING:
        break;
    case IMAPSTATE_REPLAY_RESTORED:
        if (client->restore->is_again)
            restore_succeed_again(client);
        else
            restore_succeed(client);
        break;
    case IMAPSTATE_REPLAY_FAILED: {
        const char *why = imapstate_replay_reason(client->restore->replay, &command);
        restore_fail(client, command, why);
        break;
    }
    }
}

/* Of a state that a parked connection is in, all but NOTIFY: that was silenced, and is set again so that its data is
 * fresh. */
static struct imapstate_state *restore_silenced(const struct restore *restore)
{
    struct imapstate_state *silenced = imapstate_state_new(IMAPSTATE_STATE_MAX);
    struct imapstate_entry entry;
    for (size_t i = 0; silenced && imapstate_state_at(restore->share, i, &entry); i++) {
        bool is_set =
            entry.kind == IMAPSTATE_ENTRY_NOTIFY && !imapstate_span_equal_nocase(entry.value, IMAPSTATE_SPAN("NONE"));
        if (is_set && imapstate_state_record(silenced, IMAPSTATE_ENTRY_NOTIFY, entry.value) != IMAPSTATE_OK) {
            imapstate_state_free(silenced);
            silenced = NULL;
        }
    }
    return silenced;
}

/* Brings client->upstream into the state. */
static void restore_replay(struct client *client)
{
    struct restore *restore = client->restore;
    struct imapstate_replay_literals literals = { .nonsync_max = 0 }; /* each waits for its "+" (docs/framing.md) */
    struct imapstate_state *silenced = restore->is_warm ? restore_silenced(restore) : NULL;
    imapstate_replay_free(restore->replay);
    restore->replay = NULL;
    if (!restore->is_warm || silenced)
        restore->replay = imapstate_replay_new(silenced ? silenced : restore->share, literals, UPSTREAM_TAG);
    imapstate_state_free(silenced);
    restore_enter(client, RESTORE_REPLAYING);
    if (!restore->replay) {
        restore_fail(client, "", "out of memory");
        return;
    }
    restore_write(client);
    restore_check(client);
}

/* The session goes on without the state (P5). */
static void restore_decline(struct client *client)
{
    struct restore *restore = client->restore;
    struct imapstate_span tag = imapstate_buf_span(&restore->tag);
    bool is_tracking = session_track(&client->session, restore_upstream_name(client));
    client_say(client, &tag, is_tracking ? RESTORE_CANNOT : "NO [UNAVAILABLE] " N_("Out of memory."));
    restore_end(client);
    choice_forget_credentials(client);
}

/* There is an upstream. If it offers something else than what the client was told, the token is dead (P12). */
static void restore_has_upstream(struct client *client, struct offers *offers)
{
    struct restore *restore = client->restore;
    if (choice_heed_offers(client, offers) && !restore->is_again) {
        restore_log_token(client, imapstate_buf_span(&restore->token), "not restored",
                          imapstate_strerror(IMAPSTATE_TOKEN_OTHER_FINGERPRINT));
        restore_decline(client);
    } else {
        restore_replay(client);
    }
}

static void restore_admitted(struct client *client, struct imapstate_span answer, struct offers *offers)
{
    struct restore *restore = client->restore;
    struct imapstate_span tag = imapstate_buf_span(&restore->tag);
    client_hear_alert(client, answer);
    if (restore->phase == RESTORE_CHOOSING) {
        restore_has_upstream(client, offers);
        return;
    }
    choice_heed_offers(client, offers);
    if (!restore->was_lost) {
        restore_decline(client);
        return;
    }
    client_say(client, &tag, RESTORE_UNAVAILABLE);
    restore_end(client);
    choice_forget_credentials(client);
}

static void restore_not_admitted(struct client *client, enum admission_failure failure, struct imapstate_span answer,
                                 const char *unavailable)
{
    const char *words = choice_answer(failure, unavailable);
    client_hear_alert(client, answer);
    if (client->restore->is_again)
        choice_give_up(client, words);
    else
        restore_give_up(client, words);
}

static const struct admission_asker restore_asker = {
    .admitted = restore_admitted,
    .failed = restore_not_admitted,
};

static void restore_choose(struct client *client)
{
    struct restore *restore = client->restore;
    restore_enter(client, RESTORE_CHOOSING);
    restore->is_warm = false;
    switch (choice_make_state(client, imapstate_buf_span(&restore->encoded), &restore_asker)) {
    case CHOICE_EXACT:
        restore->is_warm = true;
        restore_has_upstream(client, client->upstream->kept.offers);
        break;
    case CHOICE_PRISTINE:
        restore_has_upstream(client, client->upstream->kept.offers);
        break;
    case CHOICE_WAITING:
        break;
    case CHOICE_NONE:
        if (restore->is_again)
            choice_give_up(client, ADMISSION_UNREACHABLE);
        else
            restore_give_up(client, RESTORE_UNAVAILABLE);
        break;
    }
}

bool restore_again(struct client *client)
{
    struct restore *restore = restore_new(client, (struct imapstate_span){ 0 });
    if (!restore)
        return false;
    restore->is_again = true;
    restore->share = session_copy(client->session.in_effect);
    if (!restore->share || !imapstate_state_encode(restore->share, &restore->encoded)) {
        restore_free(restore);
        return false;
    }
    client->restore = restore;
    session_forget_enabled(&client->session);
    restore_choose(client);
    return true;
}

static void restore_begin(struct client *client, struct imapstate_span token)
{
    struct restore *restore = restore_new(client, token);
    enum imapstate_error error = restore ? restore_open(client, token, restore) : IMAPSTATE_NO_MEMORY;
    if (error == IMAPSTATE_NO_MEMORY) {
        restore_free(restore);
        restore_answer(client, "NO [UNAVAILABLE] " N_("Out of memory."));
        return;
    }
    bool has_language = error == IMAPSTATE_OK && restore_find_language(client, restore);
    if (!has_language) {
        /* P5: the client does not learn why. */
        restore_log_token(client, token, "not restored",
                          error != IMAPSTATE_OK ? imapstate_strerror(error) : "its language is not offered");
        restore_free(restore);
        restore_track(client, RESTORE_CANNOT);
        return;
    }
    client->restore = restore;
    restore_choose(client);
}

/* P7: the upstream has shown that something is on which nobody has set up. That is no fault of the client's. */
static void restore_is_not_fresh(struct client *client, struct imapstate_span token)
{
    restore_log_token(client, token, "not restored", "something else is on already, or may be (P7)");
    restore_track(client, RESTORE_CANNOT);
}

static void restore_token(struct client *client, struct imapstate_span arguments)
{
    struct imapstate_buf token;
    imapstate_buf_init(&token, IMAPSTATE_TOKEN_MAX);
    bool is_valid =
        imapstate_command_astring(&arguments, &token) == IMAPSTATE_OK && arguments.len == 0 && token.len > 0;
    if (!is_valid)
        restore_answer(client, "BAD " N_("STATE takes at most one token."));
    else if (session_is_set_up_otherwise(&client->session) || client->session.is_changed ||
             client->session.may_be_enabled)
        restore_is_not_fresh(client, imapstate_buf_span(&token));
    else
        restore_begin(client, imapstate_buf_span(&token));
    imapstate_buf_done(&token);
}

void restore_state(struct client *client)
{
    struct imapstate_span arguments = request_arguments(&client->request);
    if (!client_view(client, false).has_state)
        restore_answer(client, "BAD " N_("STATE is not offered."));
    else if (client->session.selected != SESSION_SELECTED_NO)
        restore_answer(client, "BAD " N_("STATE is not allowed while a mailbox is selected."));
    else if (request_has_arguments(&client->request))
        restore_token(client, arguments);
    else
        restore_track(client, "OK " N_("State command tracking enabled."));
}

enum restore_verdict restore_hear(struct client *client, struct imapstate_span line)
{
    struct restore *restore = client->restore;
    struct imapstate_span names;
    enum imapstate_replay_answer answer = imapstate_replay_answer(restore->replay, line);
    upstream_await(client->upstream);
    switch (answer) {
    case IMAPSTATE_REPLAY_PASS:
        session_saw_response(&client->session, &client->pipeline, line);
        return RESTORE_PASS;
    case IMAPSTATE_REPLAY_HIDE:
        /* An ENABLED may name more than the state has: that is on, too (P9). */
        session_saw_echo(&client->session, line);
        break;
    case IMAPSTATE_REPLAY_HOLD:
        if (capability_find(line, &names)) {
            offers_unref(restore->held);
            restore->held = views_take(&client->clients->views, names);
        }
        break;
    case IMAPSTATE_REPLAY_ALERT: {
        struct imapstate_span tag = words_at(line, 0);
        stream_put(&client->stream, IMAPSTATE_SPAN("*"));
        stream_put(&client->stream, (struct imapstate_span){ line.at + tag.len, line.len - tag.len });
        break;
    }
    }
    restore_write(client);
    restore_check(client);
    return RESTORE_HIDE;
}

void restore_upstream_lost(struct client *client, const struct upstream *lost, const char *why)
{
    /* A parked connection that turns out dead: all that a replay sends may be sent again elsewhere. */
    if (lost->is_woken) {
        session_forget_enabled(&client->session);
        restore_choose(client);
        return;
    }
    client->restore->was_lost = true;
    restore_fail(client, "", why);
}

/* --- SAVESTATE --- */

static enum imapstate_error restore_seal(const struct client *client, struct imapstate_buf *ret_token,
                                         uint64_t *ret_left_s)
{
    const struct service *service = client->clients->service;
    const struct config *config = service->config;
    struct imapstate_key key;
    uint64_t now_s = (uint64_t)time(NULL);
    if (!imapstate_keyring_sealing(service->keyring, now_s, &key))
        return IMAPSTATE_KEY_NONE;
    struct imapstate_buf encoded;
    imapstate_buf_init(&encoded, IMAPSTATE_TOKEN_MAX);
    struct imapstate_token_binding binding = restore_binding(client);
    enum imapstate_error error = IMAPSTATE_STATE_TOO_LARGE;
    if (imapstate_state_encode(client->session.state, &encoded))
        error = imapstate_token_seal_as(config->seal_format, &key, &binding, now_s, config->token_lifetime_s,
                                        imapstate_buf_span(&encoded), ret_token, ret_left_s);
    imapstate_buf_done(&encoded);
    return error;
}

static void restore_put_token(struct client *client, struct imapstate_span token, uint64_t left_s)
{
    char answer[80];
    snprintf(answer, sizeof answer, "OK [STATEEXPIRES %" PRIu64 "] %s", left_s, N_("State saved."));
    restore_log_token(client, token, "saved", "");
    stream_put(&client->stream, IMAPSTATE_SPAN("* SAVESTATE "));
    stream_put(&client->stream, token);
    stream_put(&client->stream, IMAPSTATE_SPAN("\r\n"));
    restore_answer(client, answer);
}

void restore_savestate(struct client *client)
{
    if (!client_view(client, false).has_state) {
        restore_answer(client, "BAD " N_("SAVESTATE is not offered."));
        return;
    }
    if (!client->session.is_tracking) {
        restore_answer(client, "NO [CLIENTBUG] " N_("STATE must come first."));
        return;
    }
    uint64_t left_s;
    struct imapstate_buf token;
    imapstate_buf_init(&token, IMAPSTATE_TOKEN_MAX);
    switch (restore_seal(client, &token, &left_s)) {
    case IMAPSTATE_OK:
        restore_put_token(client, imapstate_buf_span(&token), left_s);
        break;
    case IMAPSTATE_STATE_TOO_LARGE:
        restore_answer(client, "NO [LIMIT] " N_("State is too large to be saved."));
        break;
    default:
        restore_answer(client, "NO [UNAVAILABLE] " N_("State cannot be saved at the moment."));
    }
    imapstate_buf_done(&token);
}
