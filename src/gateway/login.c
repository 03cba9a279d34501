#include "login.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

#include "answer.h"
#include "client.h"
#include "introduction.h"
#include "opening.h"
#include "prelude.h"
#include "relay.h"
#include "status.h"

#define LOGIN_ANSWER_MAX (IMAPSTATE_LINE_MAX + PRELUDE_NAMES_MAX)

#define BIT(phase) (1u << (phase))

static const unsigned login_may_enter[LOGIN_THROUGH + 1] = {
    [LOGIN_PROMPTING] = BIT(LOGIN_CONNECTING) | BIT(LOGIN_THROUGH),
    [LOGIN_CONNECTING] = BIT(LOGIN_CONNECTING) | BIT(LOGIN_ANSWERING) | BIT(LOGIN_DELAYING),
    [LOGIN_ANSWERING] = BIT(LOGIN_CONNECTING) | BIT(LOGIN_ASKING) | BIT(LOGIN_DELAYING) | BIT(LOGIN_THROUGH),
    [LOGIN_ASKING] = BIT(LOGIN_THROUGH) | BIT(LOGIN_DELAYING),
    [LOGIN_THROUGH] = BIT(LOGIN_CONNECTING),
};

static void login_enter(struct login *login, enum login_phase next)
{
    assert(login_may_enter[login->phase] & BIT(next));
    login->phase = (uint8_t)next;
}

static struct login *login_new(const struct sasl_mechanism *mechanism, struct imapstate_span tag)
{
    struct login *login = calloc(1, sizeof *login);
    if (!login)
        return NULL;
    login->mechanism = mechanism;
    sasl_identity_init(&login->identity);
    imapstate_buf_init(&login->first_message, SASL_PASSWORD_MAX);
    imapstate_buf_init(&login->tag, IMAPSTATE_LINE_MAX);
    imapstate_buf_init(&login->answer, LOGIN_ANSWER_MAX);
    imapstate_buf_init(&login->names, PRELUDE_NAMES_MAX);
    for (size_t i = 0; i < 2; i++)
        imapstate_buf_init(&login->owed[i], 2 * IMAPSTATE_LINE_MAX);
    if (imapstate_buf_put(&login->tag, tag))
        return login;
    login_free(login);
    return NULL;
}

static void login_forget_owed(struct login *login)
{
    for (size_t i = 0; i < 2; i++)
        imapstate_buf_done(&login->owed[i]);
    login->owed_count = login->owed_next = 0;
}

void login_free(struct login *login)
{
    if (!login)
        return;
    sasl_identity_done(&login->identity);
    imapstate_buf_done(&login->first_message);
    imapstate_buf_done(&login->tag);
    imapstate_buf_done(&login->answer);
    imapstate_buf_done(&login->names);
    login_forget_owed(login);
    free(login);
}

bool login_is_running(const struct login *login)
{
    return login && login->phase != LOGIN_THROUGH;
}

static void login_connect(struct client *client);
static void login_start(struct client *client);

/* --- how it ends --- */

static const char *login_mechanism_name(const struct login *login)
{
    return login->mechanism ? login->mechanism->name : "LOGIN";
}

/* The form is documented in docs/operations.md and matched by fail2ban: it does not change. */
static void login_log_failure(const struct client *client, const char *reason)
{
    char from[ADDRESS_TEXT_MAX], user[256];
    struct imapstate_span name = sasl_identity_user(&client->login->identity);
    log_info("login failed: from=%s port=%u user=%s mechanism=%s upstream=%s reason=%s",
             address_text(&client->peer, from), client->peer.port, log_quote(name, user, sizeof user),
             login_mechanism_name(client->login), client->listener->upstream->name, reason);
}

/* The login ends with a line of our own, at once. */
static void login_end(struct client *client, const char *answer, const char *reason)
{
    struct imapstate_span tag = imapstate_buf_span(&client->login->tag);
    if (reason)
        login_log_failure(client, reason);
    client_say(client, &tag, answer);
    client_login_failed(client);
}

/* The upstream's answer to the login. */
static void login_put_line(struct client *client, struct imapstate_span line)
{
    relay_put_line(
        client, line,
        imapstate_command_find(client->login->mechanism ? IMAPSTATE_SPAN("AUTHENTICATE") : IMAPSTATE_SPAN("LOGIN")));
    stream_flush(&client->stream); /* line may be gone before the next */
}

static void login_drop_upstream(struct client *client)
{
    struct upstream *upstream = client->upstream;
    client->upstream = NULL;
    if (upstream)
        upstream_release(upstream, false);
}

/* Whoever hangs up, on either side, before the credentials are answered: they may have been refused all the same, and
 * the upstream counts that. */
static void login_doubt(struct client *client)
{
    if (client->login->phase == LOGIN_ANSWERING)
        choice_doubt(client);
}

void login_abandon(struct client *client)
{
    if (client->login)
        login_doubt(client);
    login_free(client->login);
    client->login = NULL;
}

static void login_is_unavailable(struct client *client)
{
    login_doubt(client);
    login_drop_upstream(client);
    if (client->login->is_again) {
        choice_login_failed(client, false);
        return;
    }
    login_end(client, "NO [UNAVAILABLE] " N_("The mail server cannot be reached."), "unavailable");
}

static void login_cannot(struct client *client)
{
    login_end(client, "NO [CANNOT] " N_("The mail server does not offer this way to log in."), "cannot");
}

/* "Too many [open, simultaneous] connections": Cyrus says it without a code, Gmail with [ALERT]. Only where the text
 * begins: further on, a server may repeat what the client chose. */
static bool login_has_too_many(const struct status *status)
{
    struct imapstate_span text = status->text;
    return imapstate_span_equal_nocase(relay_word(text, 0), IMAPSTATE_SPAN("Too")) &&
           imapstate_span_equal_nocase(relay_word(text, 1), IMAPSTATE_SPAN("many")) &&
           (imapstate_span_contains_nocase(relay_word(text, 2), IMAPSTATE_SPAN("connections")) ||
            imapstate_span_contains_nocase(relay_word(text, 3), IMAPSTATE_SPAN("connections")));
}

/* Does a NO tell by its code (RFC 9051 section 7.1) or its words that the credentials may still be good? */
static bool login_is_passing(struct imapstate_span line)
{
    static const char *const codes[] = { "UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG", "CONTACTADMIN" };
    struct status status;
    if (!status_parse(line, &status))
        return false;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (status_has_code(&status, codes[i]))
            return true;
    return login_has_too_many(&status);
}

/* RFC 5530 section 3, CONTACTADMIN: of all the reasons that may pass the one that may be a lockout. */
static bool login_sends_to_admin(struct imapstate_span line)
{
    struct status status;
    return status_parse(line, &status) && status_has_code(&status, "CONTACTADMIN");
}

/* Is it the number of connections that the upstream minds? Dovecot: "NO [UNAVAILABLE] Maximum number of connections
 * from user+IP exceeded", Cyrus: "NO Too many open connections", Gmail: "NO [ALERT] Too many simultaneous connections".
 */
static bool login_is_crowded(struct imapstate_span line)
{
    struct status status;
    return imapstate_span_contains_nocase(line, IMAPSTATE_SPAN("connections")) ||
           (status_parse(line, &status) && (status_has_code(&status, "LIMIT") || status_has_code(&status, "INUSE")));
}

/* Is it the connections of the gateway's address that it minds? Cyrus: "NO Too many open connections (20 of 20 from
 * gateway [192.0.2.10], 1 of 5 for ann)". */
static bool login_minds_address(struct imapstate_span line)
{
    struct status status;
    return status_parse(line, &status) && login_has_too_many(&status) &&
           imapstate_span_contains_nocase(status.text, IMAPSTATE_SPAN(" from "));
}

/* All that the user has parked, or else, where that may help, somebody's. Gives how many that were. */
static unsigned login_give_up(const struct client *client, struct imapstate_span line)
{
    struct imapstate_span upstream = imapstate_span_of(client->listener->upstream->name);
    unsigned given_up = park_give_up(upstream, sasl_identity_user(&client->login->identity));
    if (given_up == 0 && login_minds_address(line))
        given_up = park_give_up_oldest(upstream);
    if (given_up > 0)
        client_log(client, LOG_LEVEL_DEBUG, "park: given up %u, the upstream wants fewer connections", given_up);
    return given_up;
}

/* Those that only wait give way to one that works. True: the login is tried again. One that only the client can repeat
 * is refused all the same; its next try finds room. */
static bool login_makes_room(struct client *client, struct imapstate_span line)
{
    struct login *login = client->login;
    uint64_t after_ms;
    /* A challenge that the client has seen cannot be had again. */
    bool may_repeat = !login->mechanism || login->mechanism->passing != SASL_PROVED || !login->was_challenged;
    if (login->is_cancelled || !login_is_crowded(line))
        return false;
    bool is_first = login->presses == 0;
    if (!park_press(&login->presses, &after_ms) || (login_give_up(client, line) == 0 && is_first) || !may_repeat)
        return false;
    login_connect(client);
    if (client->login && client->upstream)
        upstream_set_timer(client->upstream, after_ms);
    return true;
}

/* Is the NO one to the credentials? RFC 7628 section 3.2.3: a bearer token is refused by a challenge, whatever is said
 * to that. Any other dialog that was cut short says nothing. */
static bool login_is_judged(const struct login *login)
{
    bool is_bearer = login->mechanism && login->mechanism->passing == SASL_RELAYED;
    return is_bearer || (!login->is_cancelled && !login->is_unanswerable);
}

/* The upstream says no: the client hears it after a while, which an attacker spends waiting. */
static void login_is_refused(struct client *client, struct imapstate_span line)
{
    struct login *login = client->login;
    bool is_passing = login_is_passing(line);
    login_drop_upstream(client);
    if (login_makes_room(client, line))
        return;
    if (!is_passing && login_is_judged(login))
        choice_refuse(client);
    else if (login_sends_to_admin(line))
        choice_doubt(client);
    if (login->is_again) {
        choice_login_failed(client, !is_passing);
        return;
    }
    if (login->is_unanswerable) {
        login_cannot(client);
        return;
    }
    if (login->is_cancelled) {
        login_put_line(client, line);
        client_login_failed(client);
        return;
    }
    login->is_counted = !is_passing;
    login_log_failure(client, is_passing ? "unavailable" : "refused");
    imapstate_buf_clear(&login->answer);
    imapstate_buf_put(&login->answer, line);
    login_enter(login, LOGIN_DELAYING);
    login->wants_line = false;
    login->delayed_until_ms = worker_now_ms() + client->service->config->login_failure_delay_ms;
    client_rearm(client);
}

void login_delay_is_over(struct client *client)
{
    login_put_line(client, imapstate_buf_span(&client->login->answer));
    client_login_failed(client);
}

/* --- the client's messages --- */

static void login_prompt(struct client *client, const char *challenge)
{
    stream_printf(&client->stream, "+ %s\r\n", challenge);
    client->login->wants_line = true;
}

void login_command(struct client *client)
{
    struct imapstate_span rest = request_arguments(&client->request);
    client->login = login_new(NULL, request_tag(&client->request));
    if (!client->login) {
        client_end(client, "out of memory", "BYE " N_("Out of memory."));
        return;
    }
    client_login_began(client);
    struct capability_view view = client_view(client, true);
    struct sasl_identity *identity = &client->login->identity;
    identity->is_certain = true;
    bool is_valid =
        imapstate_command_astring(&rest, &identity->authentication) == IMAPSTATE_OK && rest.len > 0 && *rest.at == ' ';
    if (is_valid) {
        rest.at++, rest.len--;
        is_valid = imapstate_command_astring(&rest, &identity->password) == IMAPSTATE_OK && rest.len == 0;
    }
    if (!is_valid)
        login_end(client, "BAD " N_("LOGIN takes a user name and a password."), NULL);
    else if (!client_may_carry_secrets(client))
        login_end(client, "NO [PRIVACYREQUIRED] " N_("STARTTLS is required first."), "cleartext");
    else if (!capability_may_use_login(&view))
        login_end(client, "NO [CANNOT] " N_("LOGIN is not offered."), NULL);
    else
        login_start(client);
}

/* AUTH=LOGIN asks for the user, then for the password, each as it is. */
static enum sasl_error login_read_login(struct client *client, struct imapstate_span message)
{
    struct login *login = client->login;
    if (memchr(message.at ? message.at : (const uint8_t *)"", 0, message.len))
        return SASL_NUL;
    if (!login->has_user) {
        login->has_user = true;
        login->identity.is_certain = true;
        if (!imapstate_buf_put(&login->identity.authentication, message))
            return SASL_TOO_LONG;
        login_prompt(client, "UGFzc3dvcmQ6");
        return SASL_OK;
    }
    if (!imapstate_buf_put(&login->identity.password, message))
        return SASL_TOO_LONG;
    login_start(client);
    return SASL_OK;
}

static enum sasl_error login_read_first(struct client *client, struct imapstate_span message)
{
    struct login *login = client->login;
    enum sasl_error error = sasl_read_identity(login->mechanism, message, &login->identity);
    if (error != SASL_OK)
        return error;
    if (login->mechanism->passing != SASL_CONVERTED) {
        login->has_first_message = true;
        if (!imapstate_buf_put(&login->first_message, message))
            return SASL_TOO_LONG;
    }
    login_start(client);
    return SASL_OK;
}

/* A message of the client's that the upstream is not asking for yet. */
static void login_read_message(struct client *client, struct imapstate_span line, bool is_initial)
{
    struct imapstate_buf message;
    imapstate_buf_init(&message, SASL_PASSWORD_MAX);
    enum sasl_error error = sasl_decode(line, is_initial, &message);
    if (error == SASL_OK)
        error = client->login->mechanism->id == SASL_LOGIN ? login_read_login(client, imapstate_buf_span(&message))
                                                           : login_read_first(client, imapstate_buf_span(&message));
    imapstate_buf_done(&message);
    if (error != SASL_OK && client->state == CLIENT_LOGGING_IN) {
        char answer[96];
        snprintf(answer, sizeof answer, "BAD %s", sasl_strerror(error));
        login_end(client, answer, NULL);
    }
}

/* Does the upstream, as far as is known, take the mechanism, in one form or another? */
static bool login_is_possible(const struct client *client, const struct sasl_mechanism *mechanism)
{
    struct imapstate_buf names;
    struct capabilities offers = { 0 };
    imapstate_buf_init(&names, PRELUDE_NAMES_MAX);
    bool is_known = prelude_names(client->listener->upstream->name, worker_now_ms(), &names, NULL);
    capability_parse(imapstate_buf_span(&names), &offers);
    imapstate_buf_done(&names);
    return !is_known || mechanism->passing == SASL_CONVERTED || (offers.mechanisms & SASL_BIT(mechanism->id));
}

static void login_begin_mechanism(struct client *client, struct imapstate_span initial)
{
    const struct sasl_mechanism *mechanism = client->login->mechanism;
    if (initial.len > 0)
        login_read_message(client, initial, true);
    else if (mechanism->id == SASL_LOGIN)
        login_prompt(client, "VXNlcm5hbWU6");
    else if (mechanism->is_client_first)
        login_prompt(client, "");
    else
        login_connect(client);
}

void login_authenticate(struct client *client)
{
    struct imapstate_span arguments = request_arguments(&client->request), tag = request_tag(&client->request);
    struct imapstate_span name = relay_word(arguments, 0), initial = relay_word(arguments, 1);
    const struct sasl_mechanism *mechanism = sasl_find(name);
    /* A space and nothing behind it counts for nothing: mutt (by GSASL) sends that where it has no message, and Dovecot
     * overlooks it. */
    size_t used = name.len + (arguments.len > name.len ? 1 : 0) + initial.len;
    if (name.len == 0 || used != arguments.len || (initial.len > 0 && mechanism && !mechanism->is_client_first)) {
        client_say(client, &tag,
                   "BAD " N_("AUTHENTICATE takes a mechanism and, where the client speaks first, its message."));
        return;
    }
    bool is_offered = mechanism && (client->listener->auth_mechanisms & SASL_BIT(mechanism->id));
    if (!is_offered || !login_is_possible(client, mechanism)) {
        client_say(client, &tag, "NO [CANNOT] " N_("Mechanism is not offered."));
        return;
    }
    client->login = login_new(mechanism, tag);
    if (!client->login) {
        client_end(client, "out of memory", "BYE " N_("Out of memory."));
        return;
    }
    client_login_began(client);
    if (client_may_carry_secrets(client))
        login_begin_mechanism(client, initial);
    else
        login_end(client, "NO [PRIVACYREQUIRED] " N_("STARTTLS is required first."), "cleartext");
}

static void login_forward_line(struct client *client, struct imapstate_span line)
{
    stream_put(&client->upstream->stream, line);
    stream_put(&client->upstream->stream, IMAPSTATE_SPAN("\r\n"));
    upstream_await(client->upstream);
}

/* "*" ends the dialog; the upstream's answer ends the login. */
static void login_cancel(struct client *client)
{
    client->login->is_cancelled = true;
    login_forward_line(client, IMAPSTATE_SPAN("*"));
}

/* A message of a mechanism that is relayed. CRAM-MD5 is the one whose identity stands in its only message: what cannot
 * be read as one does not go on, since the upstream might read it otherwise. */
static void login_relay_message(struct client *client, struct imapstate_span line)
{
    struct login *login = client->login;
    enum sasl_error error = SASL_OK;
    if (!login->mechanism->is_client_first && login->identity.authentication.len == 0) {
        struct imapstate_buf message;
        imapstate_buf_init(&message, SASL_PASSWORD_MAX);
        error = sasl_decode(line, false, &message);
        if (error == SASL_OK)
            error = sasl_read_identity(login->mechanism, imapstate_buf_span(&message), &login->identity);
        imapstate_buf_done(&message);
    }
    if (error == SASL_OK)
        login_forward_line(client, line);
    else
        login_cancel(client);
}

static void login_read_line(struct client *client, struct imapstate_span line)
{
    struct login *login = client->login;
    login->wants_line = false;
    /* RFC 9051 section 6.2.2: "*" cancels, and is answered BAD. */
    bool is_cancel = imapstate_span_equal(line, IMAPSTATE_SPAN("*"));
    if (is_cancel && login->phase == LOGIN_PROMPTING) {
        login_end(client, "BAD " N_("Authentication cancelled."), NULL);
    } else if (is_cancel) {
        login_cancel(client);
    } else if (login->phase == LOGIN_PROMPTING) {
        login_read_message(client, line, false);
    } else {
        login_relay_message(client, line);
    }
}

bool login_step(struct client *client)
{
    if (!client->login->wants_line)
        return false;
    struct imapstate_frame before = client->frame;
    struct imapstate_piece piece;
    imapstate_frame_expect_continuation(&client->frame);
    switch (imapstate_frame_next(&client->frame, stream_input(&client->stream), &piece)) {
    case IMAPSTATE_FRAME_LINE:
        break;
    case IMAPSTATE_FRAME_BAD:
        answer_bad_frame(client);
        return false;
    default:
        client->frame = before;
        return false;
    }
    if (!answer_count_before_login(client, piece.octets.len))
        return false;
    size_t line_end = piece.is_bare_lf ? 1 : 2;
    login_read_line(client, (struct imapstate_span){ piece.octets.at, piece.octets.len - line_end });
    if (client->state < CLIENT_CLOSING)
        stream_consume_wiping(&client->stream, piece.octets.len);
    return true;
}

/* --- to the upstream --- */

static void login_connect(struct client *client)
{
    login_enter(client->login, LOGIN_CONNECTING);
    client->login->was_waiting = client->upstream;
    if (!client->upstream) {
        client->upstream = upstream_open(client, client->listener->upstream);
        if (!client->upstream)
            login_is_unavailable(client);
    } else if (client->upstream->state == UPSTREAM_READY) {
        login_upstream_ready(client);
    }
}

/* A login for another user, where the upstream would pass over that and have the session be the one's whose password it
 * is: parked connections and tokens would be kept for the wrong user (P12). */
static bool login_is_for_another(const struct client *client)
{
    const struct sasl_identity *identity = &client->login->identity;
    return client->listener->upstream->authorization_identity == CONFIG_AUTHORIZATION_REFUSE &&
           identity->authentication.len > 0 && identity->authorization.len > 0;
}

/* The credentials are known: a parked connection may do, or the upstream is asked. */
static void login_start(struct client *client)
{
    if (login_is_for_another(client)) {
        login_cannot(client);
        return;
    }
    if (!choice_accept(client)) {
        login_connect(client);
        return;
    }
    login_enter(client->login, LOGIN_THROUGH);
    client_logged_in(client);
}

static struct imapstate_span login_tag(const struct login *login)
{
    return login->is_again ? IMAPSTATE_SPAN(UPSTREAM_TAG) : imapstate_buf_span(&login->tag);
}

static void login_put_command(struct client *client, const char *command)
{
    struct stream *stream = &client->upstream->stream;
    stream_put(stream, login_tag(client->login));
    stream_put(stream, IMAPSTATE_SPAN(" "));
    stream_put(stream, imapstate_span_of(command));
}

static struct imapstate_buf *login_owe(struct login *login)
{
    return &login->owed[login->owed_count++];
}

/* Appends SP and a string to the command, on *to or, behind a "+", on what is owed next; *to follows. CR, LF and 8-bit
 * octets travel only as a literal. */
static bool login_put_string(struct client *client, struct imapstate_buf **to, struct imapstate_span value)
{
    bool fits = imapstate_buf_put_byte(*to, ' ');
    if (imapstate_command_is_quotable(value))
        return fits && imapstate_command_put_quoted(*to, value);
    bool is_synchronizing = value.len > capability_nonsync_max(&client->upstream->before_login);
    fits = fits && imapstate_buf_printf(*to, "{%zu%s}\r\n", value.len, is_synchronizing ? "" : "+");
    if (is_synchronizing)
        *to = login_owe(client->login);
    return fits && imapstate_buf_put(*to, value);
}

static bool login_send_login(struct client *client)
{
    struct imapstate_buf first, *to = &first;
    const struct sasl_identity *identity = &client->login->identity;
    imapstate_buf_init(&first, 2 * IMAPSTATE_LINE_MAX);
    bool fits = login_put_string(client, &to, imapstate_buf_span(&identity->authentication)) &&
                login_put_string(client, &to, imapstate_buf_span(&identity->password)) &&
                imapstate_buf_put(to, IMAPSTATE_SPAN("\r\n"));
    if (fits) {
        login_put_command(client, "LOGIN");
        stream_put(&client->upstream->stream, imapstate_buf_span(&first));
    }
    imapstate_buf_done(&first);
    return fits;
}

/* AUTHENTICATE, its first message with it where the server takes that (RFC 4959), else owed. */
static bool login_send_authenticate(struct client *client, const char *mechanism, const struct imapstate_span *message)
{
    struct stream *stream = &client->upstream->stream;
    struct imapstate_buf line;
    imapstate_buf_init(&line, 2 * IMAPSTATE_LINE_MAX);
    bool is_initial = message && client->upstream->before_login.sasl_ir;
    bool fits =
        !message ||
        ((message->len > 0 || !is_initial ? sasl_encode(*message, &line) : imapstate_buf_put_byte(&line, '=')) &&
         imapstate_buf_put(&line, IMAPSTATE_SPAN("\r\n")));
    if (fits) {
        login_put_command(client, "AUTHENTICATE ");
        stream_put(stream, imapstate_span_of(mechanism));
        if (is_initial) {
            stream_put(stream, IMAPSTATE_SPAN(" "));
            stream_put(stream, imapstate_buf_span(&line));
        } else {
            stream_put(stream, IMAPSTATE_SPAN("\r\n"));
            fits = !message || imapstate_buf_put(login_owe(client->login), imapstate_buf_span(&line));
        }
    }
    imapstate_buf_done(&line);
    return fits;
}

static bool login_send_plain(struct client *client)
{
    struct imapstate_buf message;
    imapstate_buf_init(&message, SASL_PASSWORD_MAX + 2 * SASL_NAME_MAX + 2);
    bool fits = sasl_write_plain(&client->login->identity, &message);
    struct imapstate_span span = imapstate_buf_span(&message);
    fits = fits && login_send_authenticate(client, "PLAIN", &span);
    imapstate_buf_done(&message);
    return fits;
}

/* The mechanism LOGIN: user and password, each behind a "+". */
static bool login_send_mechanism_login(struct client *client)
{
    const struct sasl_identity *identity = &client->login->identity;
    const struct imapstate_buf *values[] = { &identity->authentication, &identity->password };
    bool fits = login_send_authenticate(client, "LOGIN", NULL);
    for (size_t i = 0; fits && i < 2; i++) {
        struct imapstate_buf *owed = login_owe(client->login);
        fits = sasl_encode(imapstate_buf_span(values[i]), owed) && imapstate_buf_put(owed, IMAPSTATE_SPAN("\r\n"));
    }
    return fits;
}

/* A password goes by the best way the upstream offers. PLAIN can say all that there is to say, and takes one round trip
 * with an initial response; without one, LOGIN does, if no string has to wait for a "+". */
static bool login_send_password(struct client *client, bool *ret_fits)
{
    const struct capabilities *offers = &client->upstream->before_login;
    const struct sasl_identity *identity = &client->login->identity;
    bool has_plain = offers->mechanisms & SASL_BIT(SASL_PLAIN);
    bool is_simple = imapstate_command_is_quotable(imapstate_buf_span(&identity->authentication)) &&
                     imapstate_command_is_quotable(imapstate_buf_span(&identity->password));
    bool may_login = !offers->logindisabled && identity->authorization.len == 0;
    if (has_plain && (offers->sasl_ir || !may_login || !is_simple))
        *ret_fits = login_send_plain(client);
    else if (may_login)
        *ret_fits = login_send_login(client);
    else if (identity->authorization.len == 0 && (offers->mechanisms & SASL_BIT(SASL_LOGIN)))
        *ret_fits = login_send_mechanism_login(client);
    else
        return false;
    return true;
}

static bool login_send_mechanism(struct client *client, bool *ret_fits)
{
    struct login *login = client->login;
    if (!(client->upstream->before_login.mechanisms & SASL_BIT(login->mechanism->id)))
        return false;
    struct imapstate_span message = imapstate_buf_span(&login->first_message);
    *ret_fits = login_send_authenticate(client, login->mechanism->name, login->has_first_message ? &message : NULL);
    return true;
}

static void login_send(struct client *client)
{
    struct login *login = client->login;
    bool fits = false;
    login_forget_owed(login);
    login->was_heard = false;
    bool is_converted = !login->mechanism || login->mechanism->passing == SASL_CONVERTED;
    if (!(is_converted ? login_send_password(client, &fits) : login_send_mechanism(client, &fits))) {
        login_drop_upstream(client);
        if (login->is_again)
            choice_login_failed(client, false);
        else
            login_cannot(client);
        return;
    }
    if (!fits) {
        login_is_unavailable(client);
        return;
    }
    login_enter(login, LOGIN_ANSWERING);
    upstream_log_in(client->upstream);
    stream_flush(&client->upstream->stream);
}

void login_upstream_ready(struct client *client)
{
    if (!client->login || client->login->phase != LOGIN_CONNECTING)
        return;
    struct imapstate_buf arguments;
    imapstate_buf_init(&arguments, INTRODUCTION_MAX);
    if (client_introduction(client, client->upstream, &arguments))
        opening_introduce(client->upstream, imapstate_buf_span(&arguments));
    else
        login_send(client);
    imapstate_buf_done(&arguments);
}

void login_upstream_lost(struct client *client, const struct upstream *lost, const char *why)
{
    struct login *login = client->login;
    client_log(client, LOG_LEVEL_DEBUG, "upstream lost at login: %s", why);
    /* A connection that had been waiting for the login may have been closed by the server at any time. One that is open
     * and does not answer is another matter: nobody waits for that twice. */
    bool is_closed = lost->stream.is_at_eof || lost->stream.is_closed;
    if (login->phase <= LOGIN_ANSWERING && login->was_waiting && !login->was_heard && is_closed) {
        login_connect(client);
        return;
    }
    if (login->phase != LOGIN_DELAYING)
        login_is_unavailable(client);
}

/* --- the upstream's answers --- */

static void login_succeed(struct client *client)
{
    struct login *login = client->login;
    struct imapstate_span names = imapstate_buf_span(&login->names);
    struct capability_view view = client_view(client, false);
    struct imapstate_buf shown;
    imapstate_buf_init(&shown, PRELUDE_NAMES_MAX);
    bool fits = capability_rewrite(names, &view, &shown);
    if (fits && !login->is_again) {
        fits = session_begin(&client->session, sasl_identity_user(&login->identity), login->identity.is_certain,
                             imapstate_buf_span(&shown), client->service->config->epoch);
        capability_parse(names, &client->session.offers);
    }
    login_forget_owed(login);
    if (!fits) {
        client_end(client, "out of memory", "BYE " N_("Out of memory."));
    } else {
        upstream_attach(client->upstream);
        choice_prove(client);
        /* An idle session that cannot be parked needs no copy. */
        if (client->upstream->proof)
            imapstate_buf_put(&client->upstream->names, names);
        login_enter(login, LOGIN_THROUGH);
        if (login->is_again)
            choice_logged_in(client);
        else
            client_logged_in(client);
    }
    imapstate_buf_done(&shown);
}

static void login_keep_names(struct login *login, struct imapstate_span line)
{
    struct imapstate_span names;
    if (!capability_find(line, &names))
        return;
    imapstate_buf_clear(&login->names);
    imapstate_buf_put(&login->names, names);
}

/* The tagged OK, with the list that came otherwise (P1). */
static void login_answer_with_names(struct client *client, struct imapstate_span line)
{
    struct imapstate_span status = relay_word(line, 1);
    const uint8_t *text = status.at + status.len, *end = line.at + line.len;
    struct capability_view view = client_view(client, false);
    struct imapstate_buf shown, answer;
    imapstate_buf_init(&shown, PRELUDE_NAMES_MAX);
    imapstate_buf_init(&answer, LOGIN_ANSWER_MAX);
    /* As it came, a word of it might end the code. */
    capability_rewrite(imapstate_buf_span(&client->login->names), &view, &shown);
    const struct imapstate_span parts[] = {
        { line.at, (size_t)(text - line.at) },
        IMAPSTATE_SPAN(" [CAPABILITY "),
        imapstate_buf_span(&shown),
        *text == ' ' ? IMAPSTATE_SPAN("]") : IMAPSTATE_SPAN("] "),
        { text, (size_t)(end - text) },
    };
    bool has_code = *text == ' ' && text[1] == '['; /* of its own */
    if (has_code)
        client_say_names(client, &shown);
    bool fits = !has_code;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        fits = fits && imapstate_buf_put(&answer, parts[i]);
    login_put_line(client, fits ? imapstate_buf_span(&answer) : line);
    imapstate_buf_done(&shown);
    imapstate_buf_done(&answer);
}

/* Answers to the CAPABILITY that we asked ourselves. */
static bool login_hear_names(struct client *client, struct imapstate_span line)
{
    struct login *login = client->login;
    if (*line.at == '*') {
        bool is_list = imapstate_span_equal_nocase(relay_word(line, 1), IMAPSTATE_SPAN("CAPABILITY"));
        if (is_list)
            login_keep_names(login, line);
        return !is_list;
    }
    if (login->names.len == 0 || !imapstate_span_equal(relay_word(line, 0), IMAPSTATE_SPAN(UPSTREAM_TAG))) {
        login_is_unavailable(client);
        return false;
    }
    if (!login->is_again)
        login_answer_with_names(client, imapstate_buf_span(&login->answer));
    login_succeed(client);
    return false;
}

static bool login_hear_status(struct client *client, struct imapstate_span line)
{
    struct login *login = client->login;
    if (!imapstate_span_equal(relay_word(line, 0), login_tag(login))) {
        login_is_unavailable(client);
        return false;
    }
    if (!imapstate_span_equal_nocase(relay_word(line, 1), IMAPSTATE_SPAN("OK"))) {
        login_is_refused(client, line);
        return false;
    }
    struct imapstate_span names;
    bool has_names = capability_find(line, &names);
    login_keep_names(login, line);
    if (login->names.len > 0) {
        if (!login->is_again && has_names)
            login_put_line(client, line);
        else if (!login->is_again)
            login_answer_with_names(client, line);
        login_succeed(client);
        return false;
    }
    imapstate_buf_put(&login->answer, line);
    login_enter(login, LOGIN_ASKING);
    stream_put(&client->upstream->stream, IMAPSTATE_SPAN(UPSTREAM_TAG " CAPABILITY\r\n"));
    stream_flush(&client->upstream->stream);
    upstream_await(client->upstream);
    return false;
}

/* Appends the status response without its [REFERRAL url] (RFC 2221), which would lead the client past the gateway.
 * False if it has none. */
static bool login_cut_referral(struct imapstate_span line, struct imapstate_buf *ret_line)
{
    struct status status;
    if (!status_parse(line, &status) || !status_has_code(&status, "REFERRAL"))
        return false;
    /* In front of the code is its "[". */
    return imapstate_buf_put(ret_line, (struct imapstate_span){ line.at, (size_t)(status.code.at - 1 - line.at) }) &&
           imapstate_buf_put(ret_line, status.text) && imapstate_buf_put(ret_line, IMAPSTATE_SPAN("\r\n"));
}

static bool login_hear_tagged(struct client *client, struct imapstate_span line)
{
    struct imapstate_buf cut;
    imapstate_buf_init(&cut, LOGIN_ANSWER_MAX);
    bool is_passed_on = login_hear_status(client, login_cut_referral(line, &cut) ? imapstate_buf_span(&cut) : line);
    imapstate_buf_done(&cut);
    return is_passed_on;
}

/* "+": what is owed goes up; the challenge of a mechanism that is relayed goes to the client. */
static bool login_hear_challenge(struct client *client)
{
    struct login *login = client->login;
    struct stream *stream = &client->upstream->stream;
    upstream_await(client->upstream);
    if (login->owed_next < login->owed_count) {
        stream_put(stream, imapstate_buf_span(&login->owed[login->owed_next++]));
        stream_flush(stream);
        return false;
    }
    bool is_relayed = login->mechanism && login->mechanism->passing != SASL_CONVERTED && !login->is_again;
    if (is_relayed) {
        login->wants_line = login->was_challenged = true;
        return true;
    }
    /* The server wants more than a password; nobody here can give it. */
    login->is_unanswerable = true;
    stream_put(stream, IMAPSTATE_SPAN("*\r\n"));
    stream_flush(stream);
    return false;
}

bool login_hear(struct client *client, struct imapstate_span line)
{
    struct login *login = client->login;
    login->was_heard = true;
    if (login->phase == LOGIN_ASKING)
        return login_hear_names(client, line);
    if (*line.at == '+')
        return login_hear_challenge(client);
    if (*line.at != '*')
        return login_hear_tagged(client, line);
    if (client->upstream->has_said_bye)
        return false; /* its end follows, and is answered NO [UNAVAILABLE] */
    login_keep_names(login, line);
    /* A list of its own is shown as the code of the tagged OK (P1). */
    return !imapstate_span_equal_nocase(relay_word(line, 1), IMAPSTATE_SPAN("CAPABILITY"));
}

/* --- once more --- */

bool login_again(struct client *client)
{
    struct login *login = client->login;
    bool has_credentials = login && (!login->mechanism || login->mechanism->passing != SASL_PROVED);
    if (!has_credentials)
        return false;
    login->is_again = true;
    login->presses = 0;
    imapstate_buf_clear(&login->names);
    imapstate_buf_clear(&login->answer);
    login_connect(client);
    return true;
}
