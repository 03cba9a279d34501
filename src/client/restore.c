#include "restore.h"

#include <stdlib.h>
#include <time.h>

#include "capability.h"
#include "catalogue.h"
#include "choice.h"
#include "client.h"
#include "clientcounters.h"
#include "language.h"
#include "log.h"
#include "logline.h"
#include "moves.h"
#include "offers.h"
#include "record.h"
#include "relay.h"
#include "request.h"
#include "revocations.h"
#include "session.h"
#include "setup.h"
#include "stream.h"
#include "tag.h"
#include "upstream.h"
#include "views.h"
#include "words.h"

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
    imapstate_state_free(restore->share);
    imapstate_replay_free(restore->replay);
    free(restore);
}

static const char *restore_upstream_name(const struct client *client)
{
    return client->home->name;
}

static void restore_say(struct client *client, struct imapstate_span tag, enum imapstate_answer answer)
{
    char text[IMAPSTATE_ANSWER_SIZE];
    client_say(client, &tag, imapstate_answer_text(answer, 0, text));
}

/* To the command that has just come. */
static void restore_answer(struct client *client, enum imapstate_answer answer)
{
    restore_say(client, request_tag(&client->request), answer);
}

/* The answer with which a token comes, and the token. */
static void restore_put_token(struct client *client, struct imapstate_span tag, enum imapstate_answer answer,
                              struct imapstate_span token, uint64_t left_s)
{
    char text[IMAPSTATE_ANSWER_SIZE];
    struct imapstate_buf untagged;
    imapstate_buf_init(&untagged, IMAPSTATE_LINE_MAX);
    if (imapstate_answer_put_untagged(answer, token, &untagged)) {
        stream_put(&client->stream, imapstate_buf_span(&untagged));
        client_say(client, &tag, imapstate_answer_text(answer, left_s, text));
    } else {
        stream_break(&client->stream, "out of memory");
    }
    imapstate_buf_done(&untagged);
}

/* --- STATE token --- */

static void restore_log_token(const struct client *client, struct imapstate_span token, const char *what,
                              const char *why)
{
    char hash[17];
    struct logline line;
    imapstate_token_hash(token, hash);
    if (!client_begin_line(client, LOG_LEVEL_INFO, &line))
        return;
    logline_words(&line, "token", hash);
    logline_event(&line, what);
    if (*why) {
        logline_gap_bare(&line, ": ");
        logline_words(&line, "reason", why);
    }
    log_end(&line);
}

static void restore_count(const struct client *client, enum restore_result result)
{
    client->clients->counters.restores[result]++;
}

/* What is to be restored. */
static const struct imapstate_state *restore_whole(const struct client *client)
{
    return imapstate_server_restoring(client->session.server);
}

/* What the gateway sets by itself is none of the upstream's. False if out of memory. */
static bool restore_divide(const struct client *client, struct restore *restore)
{
    restore->share = session_copy(restore_whole(client));
    if (!restore->share)
        return false;
    if (client_has_language(client))
        imapstate_state_remove(restore->share, IMAPSTATE_ENTRY_LANGUAGE);
    return imapstate_state_encode(restore->share, &restore->encoded);
}

static struct imapstate_token_binding restore_binding(const struct client *client)
{
    struct imapstate_token_binding binding = session_binding(&client->session, restore_upstream_name(client));
    binding.revoked_s = revocations_second(client->clients->revocations, binding.user);
    return binding;
}

/* The language of the token's state is spoken by the gateway; if there is none in it, the default. False: it is ours to
 * speak, and is not offered (any more). */
static bool restore_find_language(const struct client *client, struct restore *restore)
{
    struct imapstate_entry entry;
    for (size_t i = 0; imapstate_state_at(restore_whole(client), i, &entry); i++)
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
    if (imapstate_buf_put(&restore->tag, request_tag(&client->request)) && imapstate_buf_put(&restore->token, token))
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
    session_is_set_up_again(&client->session);
    restore_put_held(client);
    restore_end(client);
    client_log(client, LOG_LEVEL_DEBUG, "the session's state is set up on its connection");
    choice_resend(client);
    choice_forget_credentials(client);
}

static enum imapstate_answer restore_conclude(struct client *client, enum imapstate_outcome outcome)
{
    struct imapstate_token_binding binding = restore_binding(client);
    return imapstate_server_conclude(client->session.server, &binding, outcome);
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
    restore_count(client, restore->is_warm ? RESTORE_WARM : RESTORE_COLD);
    enum imapstate_answer answer = restore_conclude(client, IMAPSTATE_OUTCOME_RESTORED);
    session_restore(&client->session, restore->share, restore->is_warm ? SESSION_RESTORED_WARM : SESSION_RESTORED_COLD);
    restore->share = NULL;
    client->language = restore->language;
    restore_put_token(client, tag, answer, imapstate_buf_span(&restore->token), 0);
    restore_end(client);
}

static const struct admission_asker restore_asker; /* below: it goes on where the login was asked for */

/* P18; words: the answer, where it is known better than by the library; or NULL. */
static void restore_give_up(struct client *client, const char *words)
{
    struct imapstate_span tag = imapstate_buf_span(&client->restore->tag);
    char text[IMAPSTATE_ANSWER_SIZE];
    enum imapstate_answer answer = restore_conclude(client, IMAPSTATE_OUTCOME_TAINTED);
    client_say(client, &tag, words ? words : imapstate_answer_text(answer, 0, text));
    if (client->restore->phase == RESTORE_CHOOSING) /* else the failure that has led here was counted */
        restore_count(client, RESTORE_NO_UPSTREAM);
    client_end(client, CLIENT_ENDING_RESTORE, "BYE [UNAVAILABLE] " N_("The session cannot continue."));
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
    restore_count(client, RESTORE_FAILED);
    client->upstream = NULL;
    if (tainted) {
        upstream_count_unparked(tainted, UPSTREAM_UNPARKED_DOUBT);
        upstream_release(tainted, false);
    }
    session_forget_enabled(&client->session);
    restore_enter(client, RESTORE_REPLACING);
    if (!choice_log_in(client, &restore_asker))
        restore_give_up(client, NULL);
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

/* The session goes on without the state (P5, P6). */
static void restore_go_on(struct client *client, enum imapstate_outcome outcome)
{
    struct imapstate_span tag = imapstate_buf_span(&client->restore->tag);
    restore_say(client, tag, restore_conclude(client, outcome));
    restore_end(client);
    choice_forget_credentials(client);
}

/* There is an upstream. If it offers something else than what the client was told, the token is dead (P12). */
static void restore_has_upstream(struct client *client, struct offers *offers)
{
    struct restore *restore = client->restore;
    bool has_news = choice_heed_offers(client, offers);
    /* What an upstream answered that offers something else now says nothing of what it answers now. */
    if (has_news)
        record_free(session_take_record(&client->session));
    if (has_news && !restore->is_again) {
        restore_log_token(client, imapstate_buf_span(&restore->token), "not restored",
                          imapstate_strerror(IMAPSTATE_TOKEN_OTHER_FINGERPRINT));
        restore_count(client, RESTORE_CHANGED);
        restore_go_on(client, IMAPSTATE_OUTCOME_UNDONE);
    } else {
        restore_replay(client);
    }
}

static void restore_admitted(struct client *client, struct imapstate_span answer, struct offers *offers)
{
    client_hear_alert(client, answer);
    if (client->restore->phase == RESTORE_CHOOSING) {
        restore_has_upstream(client, offers);
    } else {
        choice_heed_offers(client, offers);
        restore_go_on(client, client->restore->was_lost ? IMAPSTATE_OUTCOME_INTERRUPTED : IMAPSTATE_OUTCOME_UNDONE);
    }
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
            restore_give_up(client, NULL);
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

static bool restore_make_equal(struct client *client, const struct imapstate_command_line *line)
{
    struct imapstate_buf state;
    imapstate_buf_init(&state, SETUP_MAX);
    bool is_made =
        session_would_be(&client->session, line, &state) && choice_make_equal(client, imapstate_buf_span(&state));
    imapstate_buf_done(&state);
    return is_made;
}

bool restore_make_upstream(struct client *client, const struct imapstate_command_line *line)
{
    if (client->upstream || client->admission || client->restore)
        return !client->restore && choice_make(client);
    if (line && restore_make_equal(client, line))
        return true;
    if (!session_is_set_up(&client->session))
        return choice_make(client);
    if (!restore_again(client))
        client_end(client, CLIENT_ENDING_MEMORY, "BYE " N_("Out of memory."));
    return client->upstream && !client->restore;
}

/* The token is good. False if out of memory. */
static bool restore_begin(struct client *client, struct imapstate_span token)
{
    struct restore *restore = restore_new(client, token);
    if (!restore || !restore_divide(client, restore)) {
        restore_free(restore);
        restore_conclude(client, IMAPSTATE_OUTCOME_INTERRUPTED);
        restore_count(client, RESTORE_MEMORY);
        return false;
    }
    client->restore = restore;
    /* What this session was answered so far is not how its connection comes to be in that state. */
    record_free(session_take_record(&client->session));
    if (restore_find_language(client, restore)) {
        restore_choose(client);
    } else {
        restore_log_token(client, token, "not restored", "its language is not offered");
        restore_count(client, RESTORE_NO_LANGUAGE);
        restore_go_on(client, IMAPSTATE_OUTCOME_UNDONE);
    }
    return true;
}

static void restore_token(struct client *client, struct imapstate_span token)
{
    struct imapstate_server *server = client->session.server;
    struct imapstate_token_binding binding = restore_binding(client);
    enum imapstate_error error;
    imapstate_server_set_pristine(server, session_is_pristine(&client->session));
    enum imapstate_answer answer = imapstate_server_restore(server, client->clients->service->keyring, &binding,
                                                            (uint64_t)time(NULL), token, &error);
    if (answer == IMAPSTATE_ANSWER_RUN && restore_begin(client, token))
        return;
    if (answer == IMAPSTATE_ANSWER_DECLINED) {
        restore_log_token(client, token, "not restored", imapstate_strerror(error)); /* P5: the client does not learn */
        restore_count(client, restore_result_of(error));
        choice_forget_credentials(client);
    }
    restore_answer(client, answer == IMAPSTATE_ANSWER_RUN ? IMAPSTATE_ANSWER_NO_MEMORY : answer);
}

static void restore_read_token(struct client *client, struct imapstate_span arguments)
{
    struct imapstate_buf token;
    imapstate_buf_init(&token, IMAPSTATE_TOKEN_MAX);
    if (imapstate_command_astring(&arguments, &token) == IMAPSTATE_OK && arguments.len == 0)
        restore_token(client, imapstate_buf_span(&token));
    else
        restore_answer(client, IMAPSTATE_ANSWER_MALFORMED);
    imapstate_buf_done(&token);
}

static void restore_track(struct client *client)
{
    struct imapstate_token_binding binding = restore_binding(client);
    enum imapstate_answer answer = imapstate_server_track(client->session.server, &binding);
    restore_answer(client, answer);
    if (answer == IMAPSTATE_ANSWER_TRACKING)
        choice_forget_credentials(client);
}

void restore_state(struct client *client)
{
    if (!client_view(client, false).has_state) {
        struct imapstate_span tag = request_tag(&client->request);
        client_say(client, &tag, "BAD " N_("STATE is not offered."));
    } else if (request_has_arguments(&client->request)) {
        restore_read_token(client, request_arguments(&client->request));
    } else {
        restore_track(client);
    }
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

static void restore_count_save(const struct client *client, struct imapstate_span token)
{
    restore_log_token(client, token, "saved", "");
    client->clients->counters.saves++;
}

void restore_savestate(struct client *client)
{
    const struct service *service = client->clients->service;
    struct imapstate_span tag = request_tag(&client->request);
    if (!client_view(client, false).has_state) {
        client_say(client, &tag, "BAD " N_("SAVESTATE is not offered."));
        return;
    }
    uint64_t left_s = 0;
    struct imapstate_buf token;
    imapstate_buf_init(&token, IMAPSTATE_TOKEN_MAX);
    struct imapstate_token_binding binding = restore_binding(client);
    enum imapstate_answer answer =
        imapstate_server_save(client->session.server, service->keyring, &binding, service->config->seal_format,
                              (uint64_t)time(NULL), service->config->token_lifetime_s, &token, &left_s, NULL);
    if (answer == IMAPSTATE_ANSWER_SAVED)
        restore_count_save(client, imapstate_buf_span(&token));
    restore_put_token(client, tag, answer, imapstate_buf_span(&token), left_s);
    imapstate_buf_done(&token);
}
