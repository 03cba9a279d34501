#include "trial.h"

#include <imapstate/version.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "connection.h"
#include "dialog.h"
#include "exchange.h"
#include "sasl.h"
#include "transcript.h"
#include "words.h"

#define TEXT_MAX  65536u
#define LOGIN_MAX 524288u /* AUTHENTICATE and the message */

/* --- what can go wrong --- */

/* False, with what is wrong, and the server's words of it. */
static bool trial_fail(struct trial *trial, const struct dialog *dialog, const char *what)
{
    imapstate_buf_clear(&trial->error);
    imapstate_buf_clear(&trial->refusal);
    imapstate_buf_printf(&trial->error, "%s", what);
    imapstate_buf_put(&trial->refusal, imapstate_buf_span(&dialog->exchange.refusal));
    return false;
}

/* The same if the dialog itself has failed. */
static bool trial_lost(struct trial *trial, const struct dialog *dialog)
{
    return trial_fail(trial, dialog, dialog_error(dialog));
}

/* The flight, if all of it could be put together. */
static bool trial_fly(struct trial *trial, struct dialog *dialog, bool is_put)
{
    return (is_put && dialog_fly(dialog)) || trial_lost(trial, dialog);
}

/* A flight of one command. */
static bool trial_command(struct trial *trial, struct dialog *dialog, const char *command)
{
    return trial_fly(trial, dialog, exchange_put(&dialog->exchange, imapstate_span_of(command)));
}

/* --- logging in --- */

/* By the list that the server shows before. */
static bool trial_choose_login(struct trial *trial, const struct dialog *dialog)
{
    const char *error = account_write_login(trial->account, &dialog->exchange, trial->target, &trial->login);
    if (error)
        return trial_fail(trial, dialog, error);
    /* Of a message in base64 nobody would see that it holds the secret. */
    return !trial->login.mechanism || transcript_hide(trial->transcript, imapstate_buf_span(&trial->login.text)) ||
           trial_fail(trial, dialog, imapstate_strerror(IMAPSTATE_NO_MEMORY));
}

/* Puts the login into the next flight. Where the server has to ask for the secret first, that is a flight before. */
static bool trial_put_login(struct trial *trial, struct dialog *dialog)
{
    const struct account_login *login = &trial->login;
    struct imapstate_span text = imapstate_buf_span(&login->text);
    struct imapstate_buf command;

    if (!login->mechanism)
        return exchange_put(&dialog->exchange, text) || trial_lost(trial, dialog);
    imapstate_buf_init(&command, LOGIN_MAX);
    bool is_put =
        imapstate_buf_printf(&command, "AUTHENTICATE %s", login->mechanism) &&
        (!login->is_initial || (imapstate_buf_put_byte(&command, ' ') && imapstate_buf_put(&command, text))) &&
        exchange_put(&dialog->exchange, imapstate_buf_span(&command));
    imapstate_buf_done(&command);
    if (login->is_initial || !is_put)
        return is_put || trial_lost(trial, dialog);
    if (!trial_fly(trial, dialog, true))
        return false;
    if (!dialog->exchange.is_asked)
        return trial_fail(trial, dialog, "the server refuses AUTHENTICATE");
    return exchange_put_continuation(&dialog->exchange, text) || trial_lost(trial, dialog);
}

/* Why a token is refused comes as a question, and the tagged NO once that is answered. Behind a password other commands
 * may be on their way; then the server has taken one of them for the answer. */
static bool trial_fail_token(struct trial *trial, struct dialog *dialog)
{
    struct exchange *exchange = &dialog->exchange;
    struct imapstate_buf reason;
    imapstate_buf_init(&reason, TEXT_MAX);
    sasl_decode(imapstate_buf_span(&exchange->question), false, &reason);
    if (exchange->command_count == 1 && exchange_put_continuation(exchange, account_answer_refusal(&trial->login)))
        dialog_fly(dialog);
    trial_fail(trial, dialog, "the login was refused");
    if (reason.len > 0 && imapstate_buf_put_byte(&trial->error, ' '))
        imapstate_buf_put(&trial->error, imapstate_buf_span(&reason));
    imapstate_buf_done(&reason);
    return false;
}

static bool trial_is_logged_in(struct trial *trial, struct dialog *dialog)
{
    switch (exchange_status(&dialog->exchange, 0)) {
    case EXCHANGE_OK:
        return true;
    case EXCHANGE_PENDING:
        return trial_fail_token(trial, dialog);
    default:
        return trial_fail(trial, dialog, "the login was refused");
    }
}

/* --- the parts of a session --- */

static enum trial_offer offer_of(const struct dialog *dialog)
{
    if (dialog->exchange.names.len == 0)
        return TRIAL_NO_LIST;
    return exchange_offers(&dialog->exchange, "STATE") ? TRIAL_OFFER_YES : TRIAL_OFFER_NO;
}

/* Connects, up to where one can log in. */
static bool trial_begin(struct trial *trial, struct dialog *dialog)
{
    if (!dialog_begin(dialog, trial->target, trial->transcript))
        return trial_lost(trial, dialog);
    trial->in_greeting = offer_of(dialog);
    if (trial->target->tls == CONNECTION_STARTTLS && !dialog_start_tls(dialog))
        return trial_lost(trial, dialog);
    trial->protocol = connection_protocol(&dialog->connection);
    return true;
}

/* What a client that knows nothing of the server does before and behind it as well. */
static bool trial_log_in(struct trial *trial, struct dialog *dialog)
{
    if (dialog->exchange.names.len == 0 && !trial_command(trial, dialog, "CAPABILITY"))
        return false;
    trial->before_login = offer_of(dialog);
    if (trial->login.text.len == 0 && !trial_choose_login(trial, dialog))
        return false;
    imapstate_buf_clear(&dialog->exchange.names);
    if (!trial_put_login(trial, dialog) || !trial_fly(trial, dialog, true) || !trial_is_logged_in(trial, dialog))
        return false;
    trial->with_login = offer_of(dialog);
    if (!trial_command(trial, dialog, "CAPABILITY"))
        return false;
    trial->after_login = offer_of(dialog);
    return true;
}

/* The set-up of a client that is glad of every extension. Every server that has LANGUAGE knows i-default (RFC 5255
 * section 3). FlagChange is not asked for, as it can switch CONDSTORE on by the way. */
static void trial_choose_set_up(struct trial *trial, const struct dialog *dialog)
{
    const char *enable = exchange_offers(&dialog->exchange, "QRESYNC")     ? "ENABLE CONDSTORE QRESYNC"
                         : exchange_offers(&dialog->exchange, "CONDSTORE") ? "ENABLE CONDSTORE"
                                                                           : NULL;
    const struct {
        const char *capability, *command;
    } commands[] = {
        { "ID", "ID (\"name\" \"imapstatectl\" \"version\" \"" IMAPSTATE_VERSION_TEXT "\")" },
        { "ENABLE", enable },
        { "NAMESPACE", "NAMESPACE" },
        { "LANGUAGE", "LANGUAGE i-default" },
        { "NOTIFY", "NOTIFY SET (selected (MessageNew MessageExpunge)) (personal (MailboxName SubscriptionChange))" },
    };
    trial->set_up_count = 0;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (commands[i].command && exchange_offers(&dialog->exchange, commands[i].capability))
            trial->set_up[trial->set_up_count++] = commands[i].command;
}

static bool trial_want_set_up(struct trial *trial, struct dialog *dialog)
{
    for (size_t i = 0; i < trial->set_up_count; i++)
        if (imapstate_visit_want(dialog->exchange.visit, imapstate_span_of(trial->set_up[i])) != IMAPSTATE_OK)
            return trial_fail(trial, dialog, imapstate_strerror(IMAPSTATE_NO_MEMORY));
    return true;
}

/* A flight for each command, as clients do. One that is refused is no matter. */
static bool trial_set_up(struct trial *trial, struct dialog *dialog)
{
    for (size_t i = 0; i < trial->set_up_count; i++)
        if (!trial_command(trial, dialog, trial->set_up[i]))
            return false;
    return true;
}

static void trial_measure(struct trial *trial, enum trial_session session, const struct dialog *dialog)
{
    trial->measures[session] = (struct trial_measure){ .round_trips = dialog->flights,
                                                       .connect_us = dialog->greeted_us - dialog->began_us,
                                                       .then_us = dialog->answered_us - dialog->greeted_us };
}

/* The server may well close before it answers. */
static void trial_end(struct dialog *dialog)
{
    if (exchange_put(&dialog->exchange, IMAPSTATE_SPAN("LOGOUT")))
        dialog_fly(dialog);
}

/* The first useful command. */
#define WORK "EXAMINE INBOX"

static bool trial_work(struct trial *trial, struct dialog *dialog, enum trial_session session)
{
    if (!trial_command(trial, dialog, WORK))
        return false;
    if (exchange_status(&dialog->exchange, 0) != EXCHANGE_OK)
        return trial_fail(trial, dialog, WORK " was refused");
    trial_measure(trial, session, dialog);
    return true;
}

/* --- the sessions --- */

static enum trial_result trial_not_restored(struct trial *trial, const struct dialog *dialog, const char *what)
{
    trial_fail(trial, dialog, what);
    return TRIAL_NOT_RESTORED;
}

static enum trial_result trial_save(struct trial *trial, struct dialog *dialog)
{
    if (!trial_fly(trial, dialog, exchange_put_state(&dialog->exchange)))
        return TRIAL_FAILED;
    if (exchange_status(&dialog->exchange, 0) != EXCHANGE_OK)
        return trial_not_restored(trial, dialog, "STATE was refused");
    if (!trial_set_up(trial, dialog) ||
        !trial_fly(trial, dialog, exchange_put_savestate(&dialog->exchange, (uint64_t)time(NULL))))
        return TRIAL_FAILED;
    if (exchange_status(&dialog->exchange, 0) != EXCHANGE_OK)
        return trial_not_restored(trial, dialog, "SAVESTATE was refused");
    trial_measure(trial, TRIAL_SAVING, dialog);
    if (!imapstate_visit_keep(dialog->exchange.visit, &trial->kept) || trial->kept.len == 0)
        return trial_not_restored(trial, dialog, "SAVESTATE gave no token");
    return TRIAL_RESTORED;
}

/* The first session, in the course of which it shows whether there is more to be done. */
static enum trial_result trial_first(struct trial *trial, struct dialog *dialog)
{
    if (!trial_begin(trial, dialog) || !trial_log_in(trial, dialog))
        return TRIAL_FAILED;
    trial_choose_set_up(trial, dialog);
    if (trial->after_login != TRIAL_OFFER_YES) {
        if (!trial_set_up(trial, dialog) || !trial_work(trial, dialog, TRIAL_WITHOUT))
            return TRIAL_FAILED;
        trial_end(dialog);
        return TRIAL_NO_STATE;
    }
    if (!trial_want_set_up(trial, dialog))
        return TRIAL_FAILED;
    enum trial_result result = trial_save(trial, dialog);
    if (result != TRIAL_FAILED)
        trial_end(dialog);
    return result;
}

static void put_name(struct imapstate_buf *names, struct imapstate_span command)
{
    struct imapstate_span name = words_next(&command);
    imapstate_buf_printf(names, "%s%.*s", names->len > 0 ? ", " : "", (int)name.len, (const char *)name.at);
}

/* What was restored, and what is left to be sent. */
static void trial_sort_set_up(struct trial *trial, const struct dialog *dialog)
{
    struct imapstate_span left = { 0 };
    size_t at = 0;
    bool has_left = imapstate_visit_next(dialog->exchange.visit, &at, &left);
    for (size_t i = 0; i < trial->set_up_count; i++) {
        struct imapstate_span command = imapstate_span_of(trial->set_up[i]);
        bool is_left = has_left && imapstate_span_equal(left, command);
        put_name(is_left ? &trial->not_stored : &trial->restored, command);
        if (is_left)
            has_left = imapstate_visit_next(dialog->exchange.visit, &at, &left);
    }
}

static enum trial_result trial_check_restore(struct trial *trial, struct dialog *dialog)
{
    switch (imapstate_visit_status(dialog->exchange.visit)) {
    case IMAPSTATE_VISIT_RESTORED:
        trial_sort_set_up(trial, dialog);
        trial_measure(trial, TRIAL_RESTORING, dialog);
        return TRIAL_RESTORED;
    case IMAPSTATE_VISIT_REFUSED:
        return trial_not_restored(trial, dialog, "STATE with the token was refused");
    default:
        return trial_not_restored(trial, dialog, "STATE with the token was answered OK, but nothing was restored");
    }
}

static bool trial_recall(struct trial *trial, struct dialog *dialog)
{
    enum imapstate_error error = imapstate_visit_recall(dialog->exchange.visit, imapstate_buf_span(&trial->kept));
    return error == IMAPSTATE_OK || trial_fail(trial, dialog, imapstate_strerror(error));
}

/* The second session: login, STATE and the first useful command in one write. But behind a token, whose refusal is a
 * question, nothing is pipelined (P11). */
static enum trial_result trial_second(struct trial *trial, struct dialog *dialog)
{
    bool has_token = trial->account->has_token;
    if (!trial_begin(trial, dialog) || !trial_want_set_up(trial, dialog) || !trial_recall(trial, dialog) ||
        !trial_put_login(trial, dialog))
        return TRIAL_FAILED;
    if (has_token && (!trial_fly(trial, dialog, true) || !trial_is_logged_in(trial, dialog)))
        return TRIAL_FAILED;
    bool is_put = exchange_put_state(&dialog->exchange) && exchange_put(&dialog->exchange, IMAPSTATE_SPAN(WORK));
    if (!trial_fly(trial, dialog, is_put) || (!has_token && !trial_is_logged_in(trial, dialog)))
        return TRIAL_FAILED;
    enum trial_result result = trial_check_restore(trial, dialog);
    if (result == TRIAL_RESTORED && exchange_status(&dialog->exchange, has_token ? 1 : 2) != EXCHANGE_OK) {
        trial_fail(trial, dialog, WORK " was refused");
        return TRIAL_FAILED;
    }
    trial_end(dialog);
    return result;
}

/* The third: as if there were no STATE. */
static enum trial_result trial_third(struct trial *trial, struct dialog *dialog)
{
    if (!trial_begin(trial, dialog) || !trial_log_in(trial, dialog) || !trial_set_up(trial, dialog) ||
        !trial_work(trial, dialog, TRIAL_WITHOUT))
        return TRIAL_FAILED;
    trial_end(dialog);
    return TRIAL_RESTORED;
}

enum trial_result trial_run(struct trial *trial, const struct connection_target *target, const struct account *account,
                            struct transcript *transcript)
{
    const struct {
        const char *title;
        enum trial_result (*run)(struct trial *trial, struct dialog *dialog);
    } sessions[] = { { "The first session", trial_first },
                     { account->has_token ? "The second session: login, then STATE and " WORK " in one write"
                                          : "The second session: login, STATE and " WORK " in one write",
                       trial_second },
                     { "The third session: the same, without STATE", trial_third } };
    enum trial_result result = TRIAL_RESTORED;
    struct dialog dialog;

    *trial = (struct trial){ .target = target, .account = account, .transcript = transcript, .protocol = "" };
    struct imapstate_buf *bufs[] = { &trial->restored, &trial->not_stored, &trial->error, &trial->refusal };
    for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++)
        imapstate_buf_init(bufs[i], TEXT_MAX);
    account_login_init(&trial->login);
    imapstate_buf_init(&trial->kept, IMAPSTATE_VISIT_KEPT_MAX);
    for (size_t i = 0; i < sizeof sessions / sizeof sessions[0] && result == TRIAL_RESTORED; i++) {
        transcript_title(transcript, sessions[i].title);
        result = sessions[i].run(trial, &dialog);
        dialog_done(&dialog);
    }
    return result;
}

void trial_done(struct trial *trial)
{
    account_login_done(&trial->login);
    imapstate_buf_done(&trial->kept);
    imapstate_buf_done(&trial->restored);
    imapstate_buf_done(&trial->not_stored);
    imapstate_buf_done(&trial->error);
    imapstate_buf_done(&trial->refusal);
}
