#include "login.h"

#include <stdlib.h>

#include "address.h"
#include "admission.h"
#include "alert.h"
#include "capability.h"
#include "catalogue.h"
#include "choice.h"
#include "chorus.h"
#include "client.h"
#include "clientcounters.h"
#include "config.h"
#include "credentials.h"
#include "histogram.h"
#include "log.h"
#include "logline.h"
#include "logmark.h"
#include "logquote.h"
#include "loop.h"
#include "moves.h"
#include "offers.h"
#include "park.h"
#include "request.h"
#include "rewrite.h"
#include "routehttp.h"
#include "routes.h"
#include "routing.h"
#include "sasl.h"
#include "service.h"
#include "serving.h"
#include "session.h"
#include "status.h"
#include "stream.h"
#include "tls.h"
#include "words.h"

#define LOGIN_ANSWER_MAX (IMAPSTATE_LINE_MAX + CAPABILITY_LIST_MAX)

#define BIT(phase) MOVES_BIT(phase)

static const unsigned login_may_enter[LOGIN_PHASE_MAX] = {
    [LOGIN_PROMPTING] = BIT(LOGIN_ROUTING) | BIT(LOGIN_TRYING) | BIT(LOGIN_DELAYING),
    [LOGIN_ROUTING] = BIT(LOGIN_TRYING) | BIT(LOGIN_DELAYING),
    [LOGIN_TRYING] = BIT(LOGIN_DELAYING),
};

static const char *const login_phase_names[LOGIN_PHASE_MAX] = { "PROMPTING", "ROUTING", "TRYING", "DELAYING" };

static const struct moves login_moves = { "login", login_phase_names, login_may_enter };

static void login_enter(struct client *client, enum login_phase next)
{
    if (moves_allow(&login_moves, client->login->phase, next))
        client->login->phase = (uint8_t)next;
    else
        stream_break(&client->stream, "unforeseen state");
}

static struct login *login_new(struct imapstate_span tag)
{
    struct login *login = calloc(1, sizeof *login);
    if (!login)
        return NULL;
    imapstate_buf_init(&login->tag, IMAPSTATE_LINE_MAX);
    imapstate_buf_init(&login->answer, IMAPSTATE_LINE_MAX);
    if (imapstate_buf_put(&login->tag, tag))
        return login;
    login_free(login);
    return NULL;
}

void login_free(struct login *login)
{
    if (!login)
        return;
    routehttp_cancel(login->question);
    imapstate_buf_done(&login->tag);
    imapstate_buf_done(&login->answer);
    free(login);
}

/* False: the session has ended. */
static bool login_begin(struct client *client, const struct sasl_mechanism *mechanism)
{
    client->login = login_new(request_tag(&client->request));
    if (client->login)
        client->login->began_at_us = loop_now_us(client->clients->loop);
    bool is_begun = client->login && client_take_credentials(client, mechanism);
    if (is_begun)
        client_enter(client, CLIENT_LOGGING_IN);
    else
        client_end(client, CLIENT_ENDING_MEMORY, "BYE " N_("Out of memory."));
    return is_begun;
}

/* --- no --- */

static struct login_counters *login_counters(const struct client *client)
{
    return client_counters_upstream(&client->clients->counters, client_home_name(client));
}

/* What the client has called the user, if that is not what he is called where he is at home. */
static void login_put_given(const struct credentials *credentials, struct logline *line)
{
    if (credentials->given.len > 0)
        logline_name(line, "given", imapstate_buf_span(&credentials->given));
}

/* Each login that came to nothing is one line of log. The form is documented in docs/operations.md and matched by
 * fail2ban: it does not change. */
static void login_log_failure(const struct client *client, enum login_result reason)
{
    const struct credentials *credentials = client->credentials;
    struct imapstate_span acting = sasl_identity_acting(&credentials->identity);
    struct logline line;
    char from[ADDRESS_TEXT_MAX];
    if (!logmark_is_on(&client->mark, LOG_LEVEL_INFO))
        return;
    log_begin(&line, LOG_LEVEL_INFO);
    logmark_put(&client->mark, &line);
    logline_event(&line, "login failed");
    logline_gap(&line, ": ");
    logline_words(&line, "from", address_text(&client->peer, from));
    logline_number(&line, "port", client->peer.port);
    logline_name(&line, "user", sasl_identity_user(&credentials->identity));
    if (acting.len > 0)
        logline_name(&line, "auth", acting);
    logline_words(&line, "mechanism", credentials_name(credentials));
    logline_words(&line, "upstream", client_home_name(client));
    logline_words(&line, "reason", login_result_names[reason]);
    login_put_given(credentials, &line);
    log_end(&line);
}

static void login_count_failure(struct client *client, enum login_result reason)
{
    client->login_failures += reason >= LOGIN_REFUSED && reason <= LOGIN_CANCELLED;
    login_counters(client)->results[reason]++;
    login_log_failure(client, reason);
}

void login_is_abandoned(struct client *client)
{
    if (client->login->phase != LOGIN_DELAYING)
        login_count_failure(client, LOGIN_ABANDONED);
}

static void login_is_over(struct client *client)
{
    login_free(client->login);
    client->login = NULL;
}

static void login_has_failed(struct client *client)
{
    login_is_over(client);
    client_forget_credentials(client);
    client_enter(client, CLIENT_NOT_AUTHENTICATED);
    if (client->login_failures >= client->service->config->max_login_failures)
        client_end(client, CLIENT_ENDING_LOGIN_FAILURES, "BYE " N_("Too many failed logins."));
}

/* A line of our own, at once. */
static void login_end(struct client *client, const char *answer, enum login_result reason)
{
    struct imapstate_span tag = imapstate_buf_span(&client->login->tag);
    login_count_failure(client, reason);
    client_say(client, &tag, answer);
    login_has_failed(client);
}

static void login_cannot(struct client *client)
{
    login_end(client, "NO [CANNOT] " N_("The mail server does not offer this way to log in."), LOGIN_CANNOT);
}

/* The upstream's answer to the login. False: the client has been ended, and the login is gone. */
static bool login_put_line(struct client *client, struct imapstate_span line)
{
    const struct imapstate_command *command = imapstate_command_find(
        client->credentials->mechanism ? IMAPSTATE_SPAN("AUTHENTICATE") : IMAPSTATE_SPAN("LOGIN"));
    bool is_put = rewrite_put_line(client, line, command);
    stream_flush(&client->stream); /* line may be gone before the next */
    return is_put;
}

/* It was a no. */
static void login_fail_with(struct client *client, struct imapstate_span answer)
{
    if (login_put_line(client, answer))
        login_has_failed(client);
}

/* The client hears the upstream's answer after a while, which an attacker spends waiting. */
static void login_delay(struct client *client, struct imapstate_span answer, enum login_result reason)
{
    struct login *login = client->login;
    login_count_failure(client, reason);
    if (!imapstate_buf_put(&login->answer, answer)) {
        client_end(client, CLIENT_ENDING_MEMORY, "BYE " N_("Out of memory."));
        return;
    }
    login->delayed_until_ms = client_now_ms(client) + client->service->config->login_failure_delay_ms;
    login_enter(client, LOGIN_DELAYING);
}

void login_delay_is_over(struct client *client)
{
    login_fail_with(client, imapstate_buf_span(&client->login->answer));
}

/* The upstream has seen credentials and answered them by a challenge. A bearer token's refusal is one (RFC 7628 section
 * 3.2.3), and so is that of a SCRAM proof (RFC 5802 section 5.1, "e="). */
static bool login_was_judged(const struct client *client)
{
    return credentials_passing(client->credentials) == SASL_RELAYED || client->login->has_answered;
}

/* In words of our own, and so much later than after login_failure_delay. */
static void login_refuse(struct client *client, uint64_t later_ms)
{
    struct imapstate_buf line;
    imapstate_buf_init(&line, LOGIN_ANSWER_MAX);
    imapstate_buf_put(&line, imapstate_buf_span(&client->login->tag));
    imapstate_buf_put(&line, IMAPSTATE_SPAN(" NO [AUTHENTICATIONFAILED] Authentication failed.\r\n"));
    login_delay(client, imapstate_buf_span(&line), LOGIN_REFUSED);
    client->login->delayed_until_ms += later_ms;
    imapstate_buf_done(&line);
}

/* Where route_http was not asked, as its answer is kept, whoever is refused waits as if it had been: only who is there
 * is kept. */
static uint64_t login_asking_ms(const struct client *client)
{
    return client->service->config->route_http.is_on && !client->login->was_asked ? client->clients->asking_ms : 0;
}

/* What the upstream says to "*" is for whoever has cancelled. Here the client has not. */
static void login_is_refused_unheard(struct client *client, struct imapstate_span answer)
{
    if (imapstate_span_equal_nocase(words_at(answer, 1), IMAPSTATE_SPAN("BAD")))
        login_refuse(client, 0);
    else
        login_delay(client, answer, LOGIN_REFUSED);
}

/* "*" was the client's, or ours, when a server wanted more than a password. */
static void login_is_cancelled(struct client *client, struct imapstate_span answer)
{
    const struct login *login = client->login;
    if (credentials_passing(client->credentials) == SASL_CONVERTED) {
        login_cannot(client);
    } else if (login->is_malformed) {
        /* What the upstream says to "*" is for whoever has cancelled. */
        login_end(client, "NO " N_("The message does not belong to this mechanism."), LOGIN_MALFORMED);
    } else if (login->is_overtaken) {
        login_is_refused_unheard(client, answer);
    } else if (login_was_judged(client)) {
        login_delay(client, answer, LOGIN_REFUSED);
    } else {
        login_count_failure(client, LOGIN_CANCELLED);
        login_fail_with(client, answer);
    }
}

/* Nobody shall be told by the words, nor by how long it takes, whether a user has a route: an upstream's plain no is
 * put into the words in which those are refused who have none. */
static void login_is_refused(struct client *client, struct imapstate_span answer)
{
    struct status status;
    bool is_routed = !client->listener->upstream;
    bool is_plain =
        status_parse(answer, &status) && (status.code.len == 0 || status_has_code(&status, "AUTHENTICATIONFAILED"));
    if (is_routed)
        client->clients->refusal_ms = client_now_ms(client) - client->login->routed_at_ms;
    if (is_routed && is_plain)
        login_refuse(client, login_asking_ms(client));
    else
        login_delay(client, answer, LOGIN_REFUSED);
}

static void login_not_admitted(struct client *client, enum admission_failure failure, struct imapstate_span answer,
                               const char *unavailable)
{
    switch (failure) {
    case ADMISSION_REFUSED:
        login_is_refused(client, answer);
        break;
    case ADMISSION_UNAVAILABLE:
        if (answer.len > 0)
            login_delay(client, answer, LOGIN_UNAVAILABLE);
        else
            login_end(client, unavailable, LOGIN_UNAVAILABLE);
        break;
    case ADMISSION_NOT_OFFERED:
        login_cannot(client);
        break;
    case ADMISSION_CANCELLED:
        login_is_cancelled(client, answer);
        break;
    }
}

/* --- yes --- */

/* offers: the upstream's. False: the session has ended. */
static bool login_begin_session(struct client *client, struct offers *offers)
{
    const struct sasl_identity *identity = &client->credentials->identity;
    char acting[LOGLINE_NAME_MAX + 1];
    struct offers *shown = offers ? client_show(client, offers) : NULL;
    bool is_begun = shown && session_begin(&client->session, sasl_identity_user(identity), identity->is_certain, offers,
                                           shown, client->service->config->epoch);
    offers_unref(shown);
    is_begun = is_begun &&
               session_begin_acting(&client->session, log_quote(sasl_identity_acting(identity), acting, sizeof acting));
    if (!is_begun)
        client_end(client, CLIENT_ENDING_MEMORY, "BYE " N_("Out of memory."));
    return is_begun;
}

static void login_count_success(const struct client *client, enum login_result result, uint64_t took_us)
{
    struct login_counters *counters = login_counters(client);
    counters->results[result]++;
    counters->finds[CHOICE_FOUND_NONE] += result == LOGIN_ACCEPTED;
    histogram_note(result == LOGIN_PARKED ? &counters->parked : &counters->accepted, took_us);
}

/* Of the client, if it has shown one; a resumed session has it from when it began. What is in it is the CA's word, but
 * in the client's letters. */
static void login_put_certificate(const SSL *ssl, struct logline *line)
{
    char subject[LOGLINE_NAME_MAX + 1], fingerprint[TLS_FINGERPRINT_SIZE];
    if (!tls_certificate_of_peer(ssl, subject, sizeof subject, fingerprint))
        return;
    logline_name(line, "certificate", imapstate_span_of(subject));
    logline_words(line, "fingerprint", fingerprint);
}

static void login_log_success(const struct client *client, enum login_result result)
{
    const SSL *ssl = client->stream.ssl;
    uint32_t queued_ms = result == LOGIN_ACCEPTED ? client->upstream->queued_ms : 0;
    struct logline line;
    if (!client_begin_line(client, LOG_LEVEL_INFO, &line))
        return;
    logline_event(&line, "login");
    logline_gap(&line, ": ");
    logline_words(&line, "mechanism", credentials_name(client->credentials));
    logline_words(&line, "tls", ssl ? SSL_get_version(ssl) : "none");
    if (ssl)
        logline_words(&line, "cipher", SSL_get_cipher_name(ssl));
    if (ssl)
        login_put_certificate(ssl, &line);
    logline_words(&line, "accepted_by", result == LOGIN_PARKED ? "parked" : "upstream");
    serving_put(&client->serving, &line);
    logline_seconds(&line, "login_time", client->serving.login_ms);
    if (queued_ms > 0)
        logline_seconds(&line, "queue_time", queued_ms);
    login_put_given(client->credentials, &line);
    log_end(&line);
}

/* The credentials are kept until they are not needed any more. */
static void login_is_through(struct client *client, enum login_result result)
{
    uint64_t took_us = loop_now_us(client->clients->loop) - client->login->began_at_us;
    client->serving.login_ms = took_us / 1000 < UINT32_MAX ? (uint32_t)(took_us / 1000) : UINT32_MAX;
    login_count_success(client, result, took_us);
    login_is_over(client);
    client->login_failures = 0;
    client->active_at_ms = client_now_ms(client);
    client_enter(client, CLIENT_AUTHENTICATED);
    client_heed_offers(client);
    login_log_success(client, result);
}

/* RFC 9051 section 7.1: what the upstream would have said to this login, as far as it is known. */
static void login_tell_known(struct client *client)
{
    struct imapstate_buf alerts;
    imapstate_buf_init(&alerts, 2 * ALERTS_MAX);
    chorus_alerts(client->home, &alerts);
    park_alerts(client->choice.proof, &alerts);
    client_tell_alerts(client, imapstate_buf_span(&alerts));
    imapstate_buf_done(&alerts);
}

/* Without the upstream: a parked connection will do, whose offers these are. */
static void login_accept(struct client *client, struct offers *offers)
{
    if (!login_begin_session(client, offers))
        return;
    login_tell_known(client);
    if (client->listener->imapproxy_compat)
        client_say(client, NULL, "OK [XPROXYREUSE] " N_("IMAP connection reused by imapstate."));
    stream_put(&client->stream, imapstate_buf_span(&client->login->tag));
    stream_put(&client->stream, IMAPSTATE_SPAN(" OK [CAPABILITY "));
    stream_put(&client->stream, offers_names(client->session.shown));
    stream_printf(&client->stream, "] %s\r\n", client_text(client, N_("Logged in.")));
    login_is_through(client, LOGIN_PARKED);
}

/* The tagged OK, with the list that came otherwise (P1). False: the client has been ended. */
static bool login_answer_with_offers(struct client *client, struct imapstate_span line, struct offers *offers)
{
    struct imapstate_span status = words_at(line, 1);
    const uint8_t *text = status.at + status.len, *end = line.at + line.len;
    struct imapstate_buf answer;
    imapstate_buf_init(&answer, LOGIN_ANSWER_MAX);
    /* As it came, a word of it might end the code. */
    struct offers *shown = client_show(client, offers);
    const struct imapstate_span parts[] = {
        { line.at, (size_t)(text - line.at) },
        IMAPSTATE_SPAN(" [CAPABILITY "),
        offers_names(shown),
        *text == ' ' ? IMAPSTATE_SPAN("]") : IMAPSTATE_SPAN("] "),
        { text, (size_t)(end - text) },
    };
    bool has_code = *text == ' ' && text[1] == '['; /* of its own */
    if (has_code)
        client_say_offers(client, shown);
    bool fits = !has_code;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        fits = fits && imapstate_buf_put(&answer, parts[i]);
    bool is_put = login_put_line(client, fits ? imapstate_buf_span(&answer) : line);
    offers_unref(shown);
    imapstate_buf_done(&answer);
    return is_put;
}

static void login_admitted(struct client *client, struct imapstate_span answer, struct offers *offers)
{
    struct imapstate_span told;
    bool is_put = capability_find(answer, &told) ? login_put_line(client, answer)
                                                 : login_answer_with_offers(client, answer, offers);
    if (is_put && login_begin_session(client, offers))
        login_is_through(client, LOGIN_ACCEPTED);
}

/* --- a challenge --- */

/* P11: a bearer token is refused by a challenge, of which a client that has sent its next command already could not
 * know. That command would be taken for the answer, and may hold a token (P15). An empty challenge refuses nothing. */
static void login_look_ahead(struct client *client, struct imapstate_span line)
{
    struct login *login = client->login;
    login->is_ahead = false;
    if (credentials_passing(client->credentials) != SASL_RELAYED || words_at(line, 1).len == 0)
        return;
    /* It may still lie in the socket. */
    if (!client->stream.is_paused)
        stream_read_now(&client->stream);
    login->is_ahead = stream_input(&client->stream).len > 0;
}

static bool login_is_overtaken(const struct client *client)
{
    return client->login && client->login->is_ahead && !sasl_may_answer_refusal(stream_input(&client->stream));
}

static bool login_challenged(struct client *client, struct imapstate_span line)
{
    struct login *login = client->login;
    if (credentials_passing(client->credentials) == SASL_CONVERTED)
        return false;
    login_look_ahead(client, line);
    login->is_overtaken = login_is_overtaken(client);
    return !login->is_overtaken;
}

static const struct admission_asker login_asker = { login_challenged, login_admitted, login_not_admitted };

/* --- the credentials are known --- */

/* A login for another user, where the upstream may pass over that and have the session be the one's whose password it
 * is: parked connections and tokens would be kept for the wrong user (P12). One's own name in another case is taken for
 * oneself, and the session is that of the name that the password goes with; but what SCRAM says is proved as it is. */
static bool login_is_for_another(const struct client *client)
{
    struct credentials *credentials = client->credentials;
    struct sasl_identity *identity = &credentials->identity;
    if (sasl_identity_acting(identity).len == 0 || routes_pass_authorization(client->service, client->listener))
        return false;
    if (credentials_passing(credentials) != SASL_CONVERTED ||
        !imapstate_span_equal_nocase(imapstate_buf_span(&identity->authorization),
                                     imapstate_buf_span(&identity->authentication)))
        return true;
    imapstate_buf_done(&identity->authorization);
    return false;
}

static void login_is_acting(struct client *client)
{
    client_log(client, LOG_LEVEL_INFO,
               "a login for another user is refused; authorization_identity = \"pass\" would pass it on");
    login_end(client, "NO [CANNOT] " N_("Acting for another user is not allowed here (authorization_identity)."),
              LOGIN_ACTING);
}

/* All that can be known before the upstream is asked is known. */
static void login_ask(struct client *client)
{
    struct offers *offers;
    client_mark_user(client);
    client->login->routed_at_ms = client_now_ms(client);
    if (choice_accept(client, &offers)) {
        login_accept(client, offers);
    } else {
        login_enter(client, LOGIN_TRYING);
        admission_begin(client, imapstate_buf_span(&client->login->tag), &login_asker);
    }
}

void login_is_routed(struct client *client, enum routing_result result)
{
    if (client->login->was_asked && result != ROUTING_UNAVAILABLE)
        client->clients->asking_ms = client_now_ms(client) - client->login->routed_at_ms;
    switch (result) {
    case ROUTING_FOUND:
        login_ask(client);
        break;
    case ROUTING_NOBODY:
        login_refuse(client, login_asking_ms(client) + client->clients->refusal_ms);
        break;
    case ROUTING_UNAVAILABLE:
        login_end(client, "NO [UNAVAILABLE] " N_("Nobody knows at the moment where this user's mail is."),
                  LOGIN_UNAVAILABLE);
        break;
    case ROUTING_WAITING:
        client->login->routed_at_ms = client_now_ms(client);
        client->login->was_asked = true;
        login_enter(client, LOGIN_ROUTING);
        break;
    }
}

static void login_try(struct client *client)
{
    client_mark_user(client);
    if (login_is_for_another(client))
        login_is_acting(client);
    else
        login_is_routed(client, routing_begin(client));
}

/* --- LOGIN --- */

static bool login_read_arguments(struct imapstate_span arguments, struct sasl_identity *identity)
{
    return imapstate_command_login_string(&arguments, &identity->authentication) == IMAPSTATE_OK &&
           imapstate_command_login_string(&arguments, &identity->password) == IMAPSTATE_OK &&
           words_behind_blanks(arguments).len == 0;
}

static void login_is_in_clear(struct client *client)
{
    login_end(client, "NO [PRIVACYREQUIRED] " N_("STARTTLS is required first."), LOGIN_CLEARTEXT);
}

void login_command(struct client *client)
{
    if (!login_begin(client, NULL))
        return;
    struct capability_view view = client_view(client, true);
    struct sasl_identity *identity = &client->credentials->identity;
    identity->is_certain = true;
    if (!login_read_arguments(request_arguments(&client->request), identity))
        login_end(client, "BAD " N_("LOGIN takes a user name and a password."), LOGIN_MALFORMED);
    else if (!client_may_carry_secrets(client))
        login_is_in_clear(client);
    else if (!capability_may_use_login(&view))
        login_end(client, "NO [CANNOT] " N_("LOGIN is not offered."), LOGIN_CANNOT);
    else
        login_try(client);
}

/* --- AUTHENTICATE --- */

/* Does the upstream, as far as is known, take the mechanism, in one form or another? */
static bool login_is_possible(const struct client *client, const struct sasl_mechanism *mechanism)
{
    struct service_reach reach = service_upstreams_of(client->service, client->listener);
    struct offers *offers = chorus_offers(&reach);
    bool is_known = offers;
    uint32_t mechanisms = offers_known(offers)->mechanisms;
    offers_unref(offers);
    return !is_known || mechanism->passing == SASL_CONVERTED || (mechanisms & SASL_BIT(mechanism->id));
}

static void login_prompt(struct client *client, const char *challenge)
{
    stream_printf(&client->stream, "+ %s\r\n", challenge);
}

/* A message that the upstream is not asking for yet. One that cannot be read is a failed login to Dovecot, Cyrus and
 * Courier, so that the next dialog of a client with its user is the same as after a wrong password. */
static void login_read_message(struct client *client, struct imapstate_span line, bool is_initial)
{
    struct credentials *credentials = client->credentials;
    bool was_user = credentials_want_user(credentials);
    enum sasl_error error = credentials_read(credentials, line, is_initial);
    if (error != SASL_OK) {
        char answer[96];
        snprintf(answer, sizeof answer, "NO %s", sasl_strerror(error));
        login_end(client, answer, LOGIN_MALFORMED);
    } else if (was_user) {
        login_prompt(client, "UGFzc3dvcmQ6"); /* Password: */
    } else {
        login_try(client);
    }
}

static void login_begin_mechanism(struct client *client, struct imapstate_span initial)
{
    const struct credentials *credentials = client->credentials;
    if (initial.len > 0 && !credentials->mechanism->is_client_first)
        login_end(client, "NO " N_("The message does not belong to this mechanism."), LOGIN_MALFORMED);
    else if (initial.len > 0)
        login_read_message(client, initial, true);
    else if (credentials_want_user(credentials))
        login_prompt(client, "VXNlcm5hbWU6"); /* Username: */
    else if (credentials->mechanism->is_client_first)
        login_prompt(client, "");
    else
        login_try(client);
}

void login_authenticate(struct client *client)
{
    struct imapstate_span arguments = request_arguments(&client->request), tag = request_tag(&client->request);
    /* Blanks count for nothing, as with Dovecot and Courier: mutt (by GSASL) sends one where it has no message. */
    struct imapstate_span name = words_next(&arguments), initial = words_next(&arguments);
    const struct sasl_mechanism *mechanism = sasl_find(name);
    if (name.len == 0 || words_behind_blanks(arguments).len > 0) {
        client_say(client, &tag,
                   "BAD " N_("AUTHENTICATE takes a mechanism and, where the client speaks first, its message."));
        return;
    }
    bool is_offered = mechanism && (client_mechanisms(client) & SASL_BIT(mechanism->id));
    if (!is_offered || !login_is_possible(client, mechanism))
        client_say(client, &tag, "NO [CANNOT] " N_("Mechanism is not offered."));
    else if (!login_begin(client, mechanism))
        return;
    else if (client_may_carry_secrets(client))
        login_begin_mechanism(client, initial);
    else
        login_is_in_clear(client);
}

/* --- the dialog --- */

/* CRAM-MD5's identity stands in the answer to its challenge: what cannot be read as one does not go on, since the
 * upstream might read it otherwise. */
static bool login_is_readable(struct credentials *credentials, struct imapstate_span line)
{
    bool is_known = credentials->mechanism->is_client_first || credentials->identity.authentication.len > 0;
    return is_known || credentials_read(credentials, line, false) == SASL_OK;
}

/* RFC 9051 section 6.2.2: "*" cancels, and is answered BAD. */
static void login_read_line(struct client *client, struct imapstate_span line)
{
    struct login *login = client->login;
    bool is_cancel = imapstate_span_equal(line, IMAPSTATE_SPAN("*"));
    if (login->phase == LOGIN_PROMPTING) {
        if (is_cancel)
            login_end(client, "BAD " N_("Authentication cancelled."), LOGIN_CANCELLED);
        else
            login_read_message(client, line, false);
        return;
    }
    login->is_ahead = false;
    login->is_malformed = !is_cancel && !login_is_readable(client->credentials, line);
    if (is_cancel || login->is_malformed) {
        admission_withdraw(client);
    } else {
        login->has_answered = true;
        admission_relay(client, line);
    }
}

bool login_wants_line(const struct client *client)
{
    return client->login && (client->login->phase == LOGIN_PROMPTING || admission_wants_line(client->admission));
}

/* A command that has overtaken the challenge is none of the dialog's: that is withdrawn. */
bool login_go_on(struct client *client)
{
    if (!login_wants_line(client) || !login_is_overtaken(client))
        return false;
    client->login->is_overtaken = true;
    admission_withdraw(client);
    return true;
}

void login_take_line(struct client *client, const struct imapstate_piece *piece)
{
    size_t line_end = piece->is_bare_lf ? 1 : 2;
    login_read_line(client, (struct imapstate_span){ piece->octets.at, piece->octets.len - line_end });
}
