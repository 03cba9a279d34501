#include "client.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admission.h"
#include "alert.h"
#include "answer.h"
#include "capability.h"
#include "introduction.h"
#include "moves.h"
#include "peers.h"
#include "prelude.h"
#include "proxy.h"
#include "rate.h"
#include "relay.h"
#include "settling.h"
#include "tls.h"
#include "upstreams.h"

/* Octets of more of the reason. */
#define CLIENT_DETAIL_MAX 91u
/* How long the last octets may take to leave, and the client to hang up after them. */
#define CLIENT_CLOSING_MS 3000u
/* How long an upstream is waited for that has been asked anew, if clients can be greeted by what it last said. */
#define CLIENT_PATIENCE_MS 1000u
/* How long commands that were sent before the client's end of file may take. */
#define CLIENT_EOF_MS 60000u

/* What an idle session holds, but for its names and what malloc() and libevent add: docs/design.md, Memory. */
_Static_assert(sizeof(struct client) + sizeof(struct upstream) <= 2048, "an idle pair in clear is to stay below 3 KiB");

/* And what one holds at the most. An introduction is gone before commands are in flight and answers pile up, and an
 * answer that is held (pipeline.h) is never there together with a request, which is no smaller; besides it OpenSSL's
 * buffers, and structures (docs/design.md has the table). */
_Static_assert(2 * POOL_BUFFER_OCTETS                               /* input, one buffer each side */
                       + 2 * (STREAM_OUT_HIGH + POOL_BUFFER_OCTETS) /* output, with what one input adds */
                       + PIPELINE_OCTETS_MAX + REQUEST_MAX + CHOICE_RESEND_MAX + IMAPSTATE_STATE_MAX +
                       COMPRESSION_IDLE_MAX + 4 * CAPABILITY_LIST_MAX <=
                   960 * 1024,
               "a session is to stay below 1 MiB, TLS included");

#define BIT(state) MOVES_BIT(state)

static const unsigned client_may_enter[CLIENT_STATE_MAX] = {
    [CLIENT_PROXYING] = BIT(CLIENT_SECURING) | BIT(CLIENT_GREETING) | BIT(CLIENT_CLOSING) | BIT(CLIENT_DEAD),
    [CLIENT_SECURING] = BIT(CLIENT_GREETING) | BIT(CLIENT_NOT_AUTHENTICATED) | BIT(CLIENT_CLOSING) | BIT(CLIENT_DEAD),
    [CLIENT_GREETING] = BIT(CLIENT_NOT_AUTHENTICATED) | BIT(CLIENT_CLOSING) | BIT(CLIENT_DEAD),
    [CLIENT_NOT_AUTHENTICATED] = BIT(CLIENT_SECURING) | BIT(CLIENT_LOGGING_IN) | BIT(CLIENT_CLOSING) | BIT(CLIENT_DEAD),
    [CLIENT_LOGGING_IN] =
        BIT(CLIENT_NOT_AUTHENTICATED) | BIT(CLIENT_AUTHENTICATED) | BIT(CLIENT_CLOSING) | BIT(CLIENT_DEAD),
    [CLIENT_AUTHENTICATED] = BIT(CLIENT_NOT_AUTHENTICATED) | BIT(CLIENT_CLOSING) | BIT(CLIENT_DEAD),
    [CLIENT_CLOSING] = BIT(CLIENT_DEAD),
};

static const char *const client_state_names[CLIENT_STATE_MAX] = {
    "PROXYING", "SECURING", "GREETING", "NOT_AUTHENTICATED", "LOGGING_IN", "AUTHENTICATED", "CLOSING", "DEAD",
};

static const struct moves client_moves = { "client", client_state_names, client_may_enter };

bool client_may_be_newcomer(const struct config_listener *listener, const struct address *peer)
{
    return !networks_hold(&listener->trusted_networks, peer) && !networks_hold(&listener->id_trusted_networks, peer);
}

static bool client_is_newcomer(const struct client *client, const struct address *peer)
{
    return client->state <= CLIENT_NOT_AUTHENTICATED && client_may_be_newcomer(client->listener, peer);
}

static void client_count_silent(struct client *client, int more)
{
    __atomic_add_fetch(&client->clients->silent, (unsigned)more, __ATOMIC_RELAXED);
}

void client_enter(struct client *client, enum client_state next)
{
    if (!moves_allow(&client_moves, client->state, next)) {
        stream_break(&client->stream, "unforeseen state");
        return;
    }
    client_log(client, LOG_LEVEL_DEBUG, "%s -> %s", client_state_names[client->state], client_state_names[next]);
    client_count_silent(client, (int)(next <= CLIENT_NOT_AUTHENTICATED) - (client->state <= CLIENT_NOT_AUTHENTICATED));
    client->state = (uint8_t)next;
    peers_set_newcomer(&client->place, client_is_newcomer(client, &client->place.address));
    list_move(&client->link, &client->clients->by_state[next]);
    client_rearm(client);
}

/* --- words --- */

void client_log(const struct client *client, enum log_level level, const char *format, ...)
{
    if (!log_is_on(level))
        return;
    char from[ADDRESS_TEXT_MAX], user[256] = "-", words[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    if (client->session.user.len > 0)
        log_quote(imapstate_buf_span(&client->session.user), user, sizeof user);
    log_write(level, "client=%" PRIx64 " from=%s user=%s%s upstream=%s %s", client->id_number,
              address_text_with_port(&client->peer, from), user, client->session.acting ? client->session.acting : "",
              client->listener->upstream->name, words);
}

const char *client_text(const struct client *client, const char *msgid)
{
    return catalogue_text(client->language, msgid);
}

static void client_put(struct client *client, const char *octets, size_t len)
{
    stream_put(&client->stream, (struct imapstate_span){ (const uint8_t *)octets, len });
}

/* Where the human text of an answer begins: behind its status and, if it has one, its response code. */
static const char *client_find_text(const char *answer)
{
    const char *text = strchr(answer, ' ') + 1;
    return *text == '[' ? strstr(text, "] ") + 2 : text;
}

void client_say(struct client *client, const struct imapstate_span *tag, const char *answer)
{
    const char *msgid = client_find_text(answer), *text = client_text(client, msgid);
    stream_put(&client->stream, tag ? *tag : IMAPSTATE_SPAN("*"));
    stream_put(&client->stream, IMAPSTATE_SPAN(" "));
    client_put(client, answer, (size_t)(msgid - answer));
    client_put(client, text, strlen(text));
    stream_put(&client->stream, IMAPSTATE_SPAN("\r\n"));
}

void client_say_names(struct client *client, const struct imapstate_buf *names)
{
    stream_put(&client->stream, IMAPSTATE_SPAN("* CAPABILITY "));
    stream_put(&client->stream, imapstate_buf_span(names));
    stream_put(&client->stream, IMAPSTATE_SPAN("\r\n"));
}

bool client_may_speak(const struct client *client)
{
    return !client->upstream || imapstate_frame_is_between(&client->upstream->frame);
}

void client_set_detail(struct client *client, const char *detail)
{
    free(client->detail);
    client->detail = strndup(detail, CLIENT_DETAIL_MAX); /* without memory it is missing */
}

static const char *client_restored(const struct client *client)
{
    static const char *const words[] = { "no", "cold", "warm" };
    return words[client->session.restored];
}

/* The one line by which a session ends. */
static void client_log_end(struct client *client, const char *reason)
{
    if (client->is_unlogged)
        return;
    uint64_t age_ms = client_now_ms(client) - client->began_at_ms;
    const struct compression *compression = client->stream.compression;
    char unpacked[80] = "";
    if (compression)
        snprintf(unpacked, sizeof unpacked, " unpacked_in=%" PRIu64 " unpacked_out=%" PRIu64,
                 compression_octets_in(compression), compression_octets_out(compression));
    client_log(client, LOG_LEVEL_INFO,
               "closing: %s%s%s (restored=%s in=%" PRIu64 " out=%" PRIu64 " age=%" PRIu64 ".%03" PRIu64 "s%s)", reason,
               client->detail ? ": " : "", client->detail ? client->detail : "", client_restored(client),
               client->stream.in_octets, client->stream.out_octets, age_ms / 1000, age_ms % 1000, unpacked);
}

/* --- what the upstream says besides --- */

static void client_tell_alert(struct client *client, struct imapstate_span line)
{
    if (!client->credentials || alerts_add(&client->told, line) ||
        !alerts_have(imapstate_buf_span(&client->told), line))
        stream_put(&client->stream, line);
}

void client_tell_alerts(struct client *client, struct imapstate_span alerts)
{
    struct imapstate_span line;
    while (alerts_next(&alerts, &line))
        client_tell_alert(client, line);
}

void client_hear_alert(struct client *client, struct imapstate_span line)
{
    struct imapstate_buf alert;
    imapstate_buf_init(&alert, IMAPSTATE_LINE_MAX);
    if (alerts_add(&alert, line))
        client_tell_alert(client, imapstate_buf_span(&alert));
    imapstate_buf_done(&alert);
}

/* --- credentials --- */

bool client_take_credentials(struct client *client, const struct sasl_mechanism *mechanism)
{
    client->credentials = malloc(sizeof *client->credentials);
    if (client->credentials)
        credentials_init(client->credentials, mechanism);
    return client->credentials;
}

void client_forget_credentials(struct client *client)
{
    if (client->credentials)
        credentials_done(client->credentials);
    free(client->credentials);
    client->credentials = NULL;
    imapstate_buf_done(&client->told);
    imapstate_buf_init(&client->told, ALERTS_MAX);
}

/* --- the end --- */

static void client_bury(struct grave *grave)
{
    struct client *client = list_entry(grave, struct client, grave);
    stream_done(&client->stream);
    request_done(&client->request);
    pipeline_done(&client->pipeline);
    session_done(&client->session);
    login_free(client->login);
    admission_free(client->admission);
    client_forget_credentials(client);
    restore_free(client->restore);
    choice_done(client);
    introduction_free(client->introduction);
    service_unref(client->service);
    list_remove(&client->link);
    free(client->detail);
    free(client);
}

static void client_die(struct client *client)
{
    if (client->state == CLIENT_DEAD)
        return;
    client_enter(client, CLIENT_DEAD);
    peers_remove(&client->place);
    timer_stop(&client->timer);
    stream_pause(&client->stream);
    loop_bury(client->clients->loop, &client->grave, client_bury);
}

/* The chores that are left before the upstream can serve another session; false if it cannot. */
static bool client_may_park(struct client *client, struct upstream *upstream, unsigned *ret_chores)
{
    struct session *session = &client->session;
    bool is_compat = client->listener->imapproxy_compat;
    imapstate_buf_clear(&upstream->kept.state);
    if (!upstream->kept.proof || upstream->kept.names.len == 0 || upstream->has_said_bye ||
        upstream->stream.is_at_eof || client->clients->loop->is_stopping || session->is_in_doubt)
        return false;
    /* With imapproxy_compat the next session takes the connection as it is; but what NOTIFY sends nobody would ask for.
     */
    if (is_compat ? session_is_notified(session) || session->is_uncertain
                  : !session_is_parkable(session, &upstream->kept.state))
        return false;
    *ret_chores = session_is_notified(session) ? SETTLING_NOTIFY_NONE : 0;
    if (session->has_selected)
        *ret_chores |= session->offers.unselect ? SETTLING_UNSELECT : SETTLING_EXAMINE | SETTLING_CHECK;
    /* Courier ends a connection at the tenth mistake in a row, whosever the nine before were. And if a server has ended
     * IDLE by itself, what it says to DONE may still be on its way. */
    bool needs_good_end = *ret_chores & SETTLING_CHECK;
    if (needs_good_end || (*ret_chores == 0 && (session->was_refused || session->has_said_done)))
        *ret_chores |= SETTLING_NOOP;
    upstream->may_fail_unselect = session->selected == SESSION_SELECTED_NO;
    return true;
}

/* RFC 9051 section 6.3.13: an IDLE that goes on can only be ended. If the server has just ended it by itself, what it
 * says to DONE comes before the answer to another command. */
static unsigned client_end_idling(struct client *client, struct upstream *upstream, bool has_other_chores)
{
    const struct flight *idle = client->pipeline.first;
    upstream->idle = pipeline_take(&client->pipeline, (struct imapstate_span){ idle->tag, idle->tag_len });
    return has_other_chores ? SETTLING_DONE : SETTLING_DONE | SETTLING_NOOP;
}

/* Lets go of the upstream and of all that was only for it. */
static void client_leave_upstream(struct client *client, bool may_park)
{
    bool is_at_rest = client->state == CLIENT_AUTHENTICATED && !client->restore && !client->admission;
    bool is_clean = is_at_rest && relay_is_quiet(client);
    bool is_idling = is_at_rest && relay_is_idling(client);
    struct upstream *upstream = client->upstream;
    unsigned chores = 0;
    client->upstream = NULL;
    if (client->resting)
        upstream_disown(client->resting);
    client->resting = NULL;
    if (upstream && (is_clean || is_idling) && may_park && client_may_park(client, upstream, &chores)) {
        if (is_idling)
            chores |= client_end_idling(client, upstream, chores != 0);
        settling_begin(upstream, chores, false);
    } else if (upstream) {
        upstream_release(upstream, is_clean);
    }
    choice_done(client);
    restore_free(client->restore);
    client->restore = NULL;
    login_free(client->login);
    client->login = NULL;
    admission_free(client->admission);
    client->admission = NULL;
    client_forget_credentials(client);
    pipeline_done(&client->pipeline);
    relay_forget(client);
}

bool client_rest_upstream(struct client *client)
{
    struct upstream *upstream = client->upstream;
    unsigned chores = 0;
    if (!upstream || !client_may_park(client, upstream, &chores) || chores == 0)
        return false;
    client->upstream = NULL;
    client->resting = upstream;
    settling_begin(upstream, chores, true);
    return true;
}

static void client_upstream_rested(struct client *client)
{
    client->resting = NULL;
    client_go_on(client);
}

void client_close(struct client *client, const char *reason)
{
    if (client->state >= CLIENT_CLOSING)
        return;
    stream_flush(&client->stream);
    if (client->state == CLIENT_LOGGING_IN)
        login_is_abandoned(client);
    client_leave_upstream(client, true);
    client_log_end(client, reason);
    /* In the middle of a TLS handshake nothing can be said that the client would understand. */
    if (client->stream.is_closed || client->stream.is_securing) {
        client_die(client);
        return;
    }
    client_enter(client, CLIENT_CLOSING);
    stream_consume_wiping(&client->stream, stream_input(&client->stream).len);
    stream_resume(&client->stream);
    if (stream_is_drained(&client->stream))
        stream_shutdown(&client->stream);
    else
        client->stream.wants_drained = true;
    if (client->stream.is_at_eof && stream_is_drained(&client->stream))
        client_die(client);
}

void client_distrust_upstream(struct client *client, const char *detail)
{
    client->session.is_uncertain = true;
    client_set_detail(client, detail);
    client_end(client, "answer that cannot be matched",
               "BYE [UNAVAILABLE] " N_("The mail server's answer makes no sense."));
}

void client_end(struct client *client, const char *reason, const char *bye)
{
    if (client->state >= CLIENT_CLOSING)
        return;
    if (client->state > CLIENT_SECURING && client_may_speak(client))
        client_say(client, NULL, bye);
    client_close(client, reason);
}

/* What a PROXY header or an ID says comes after the greeting or before it: client_end() knows. Strangers can bring it
 * about as often as they like. */
static void client_refuse(struct client *client)
{
    unsigned more = 0;
    char detail[32];
    client->is_unlogged = !rate_allows(&rate_of_refusals, client_now_ms(client), &more);
    snprintf(detail, sizeof detail, "and %u more", more);
    if (more > 0)
        client_set_detail(client, detail);
    client_end(client, "too many connections from this address",
               "BYE [UNAVAILABLE] " N_("Too many connections from this address."));
}

/* --- making room --- */

static struct client *client_first(struct list *state)
{
    return list_is_empty(state) ? NULL : list_entry(state->next, struct client, link);
}

/* Each list is in the order in which its state was entered. */
static struct client *client_oldest_newcomer(struct clients *clients)
{
    struct client *oldest = NULL;
    for (unsigned state = CLIENT_PROXYING; state <= CLIENT_NOT_AUTHENTICATED; state++) {
        struct client *first = client_first(&clients->by_state[state]);
        if (first && (!oldest || first->began_at_ms < oldest->began_at_ms))
            oldest = first;
    }
    return oldest;
}

/* A dialog that was begun and left alone is as silent as no login at all. */
static struct client *client_oldest_in_dialog(struct clients *clients)
{
    list_each_safe(link, &clients->by_state[CLIENT_LOGGING_IN])
    {
        struct client *client = list_entry(link, struct client, link);
        if (login_wants_line(client))
            return client;
    }
    return NULL;
}

bool clients_make_room(struct clients *clients)
{
    struct client *oldest = client_oldest_newcomer(clients);
    if (!oldest)
        oldest = client_oldest_in_dialog(clients);
    if (!oldest)
        return false;
    client_end(oldest, "gives its place to another client",
               "BYE [UNAVAILABLE] " N_("Too many connections; clients that have not logged in make room for others."));
    client_die(oldest); /* its place is needed now */
    return true;
}

/* --- time --- */

static void client_say_greeting(struct client *client);

/* A session that was accepted without an upstream, and has not needed one yet. */
static bool client_is_undecided(const struct client *client)
{
    return client->state == CLIENT_AUTHENTICATED && !client->upstream && !client->resting && !client->restore &&
           !client->admission;
}

/* It waits for a list, but there is an older one. */
static bool client_can_be_greeted(const struct client *client)
{
    if (client->state != CLIENT_GREETING)
        return false;
    struct imapstate_buf names;
    imapstate_buf_init(&names, CAPABILITY_LIST_MAX);
    bool is_known = prelude_names(client->listener->upstream->name, &names);
    imapstate_buf_done(&names);
    return is_known;
}

static uint64_t client_login_deadline_ms(const struct client *client)
{
    return client->began_at_ms + client->service->config->login_timeout_ms;
}

static uint64_t client_state_deadline_ms(const struct client *client)
{
    const struct config *config = client->service->config;
    if (client->state == CLIENT_CLOSING)
        return client->active_at_ms + CLIENT_CLOSING_MS;
    if (client_is_undecided(client))
        return client->choice.accepted_at_ms + CHOICE_DELAY_MS;
    if (client->state == CLIENT_AUTHENTICATED)
        return client->active_at_ms + config->idle_timeout_ms;
    uint64_t login_at_ms = client_login_deadline_ms(client);
    if (client_can_be_greeted(client) && client->active_at_ms + CLIENT_PATIENCE_MS < login_at_ms)
        return client->active_at_ms + CLIENT_PATIENCE_MS;
    if (client->login && client->login->phase == LOGIN_DELAYING && client->login->delayed_until_ms < login_at_ms)
        return client->login->delayed_until_ms;
    return login_at_ms;
}

static uint64_t client_eof_deadline_ms(const struct client *client)
{
    return client->stream.is_at_eof ? client->active_at_ms + CLIENT_EOF_MS : UINT64_MAX;
}

static uint64_t client_deadline_ms(const struct client *client)
{
    uint64_t state_at_ms = client_state_deadline_ms(client), eof_at_ms = client_eof_deadline_ms(client);
    return eof_at_ms < state_at_ms ? eof_at_ms : state_at_ms;
}

void client_rearm(struct client *client)
{
    if (client->state == CLIENT_DEAD)
        return;
    if (client->state == CLIENT_CLOSING)
        client->active_at_ms = client_now_ms(client);
    uint64_t now_ms = client_now_ms(client), at_ms = client_deadline_ms(client);
    timer_set(&client->timer, at_ms > now_ms ? at_ms - now_ms : 0);
}

/* RFC 9051 section 5.4. The configuration allows no less than 30 minutes. */
static void client_end_idle(struct client *client)
{
    uint64_t idle_minutes = client->service->config->idle_timeout_ms / 60000;
    char bye[256] = "BYE ";
    size_t at = strlen(bye);
    snprintf(
        bye + at, sizeof bye - at,
        catalogue_plural(client->language,
                         /* TRANSLATORS: the farewell to a client that has been silent for the number of minutes. */
                         P_("Autologout; idle for %lu minute.", "Autologout; idle for %lu minutes."), idle_minutes),
        (unsigned long)idle_minutes);
    client_end(client, "idle timeout", bye);
}

static void client_on_timer(void *owner)
{
    struct client *client = owner;
    if (client_deadline_ms(client) > client_now_ms(client)) {
        client_rearm(client);
        return;
    }
    if (client->state < CLIENT_CLOSING && client_eof_deadline_ms(client) <= client_now_ms(client)) {
        client_close(client, "client disconnected");
        return;
    }
    switch (client->state) {
    case CLIENT_CLOSING:
        client_die(client);
        break;
    case CLIENT_AUTHENTICATED:
        if (client_is_undecided(client)) {
            choice_make(client);
            client_rearm(client);
            client_go_on(client);
            break;
        }
        client_end_idle(client);
        break;
    case CLIENT_GREETING:
        if (client_can_be_greeted(client) && client_now_ms(client) < client_login_deadline_ms(client)) {
            client_say_greeting(client);
            break;
        }
        /* fall through */
    case CLIENT_LOGGING_IN:
        if (client->login && client->login->phase == LOGIN_DELAYING &&
            client->login->delayed_until_ms <= client_now_ms(client)) {
            login_delay_is_over(client);
            client_go_on(client);
            break;
        }
        /* fall through */
    default:
        client_end(client, "login timeout", "BYE " N_("Autologout; no login in time."));
    }
}

/* --- what the listener and the upstream allow --- */

bool client_may_carry_secrets(const struct client *client)
{
    return client->stream.ssl || client->listener->tls != CONFIG_TLS_STARTTLS || !client->listener->require_tls;
}

struct capability_view client_view(const struct client *client, bool is_before_login)
{
    bool is_certain = client->credentials ? client->credentials->identity.is_certain : client->session.is_certain;
    return (struct capability_view){
        .is_before_login = is_before_login,
        .offers_starttls = client->listener->tls == CONFIG_TLS_STARTTLS && !client->stream.ssl,
        .may_login = client_may_carry_secrets(client),
        /* With imapproxy's kind of reuse a session begins in whatever state the connection is in. */
        .has_state =
            client_may_carry_secrets(client) && !client->listener->imapproxy_compat && (is_before_login || is_certain),
        /* Clients of imapproxy's kind of reuse take the language of the session before for theirs. */
        .has_language = client->service->config->languages.offered != 0 && !client->listener->imapproxy_compat,
        .has_ximapproxy = client->listener->imapproxy_compat,
        .has_compress = client->listener->compress,
        .mechanisms = client->listener->auth_mechanisms,
    };
}

void client_heed_offers(struct client *client)
{
    if (client->session.offers.language)
        client->language = LANGUAGE_DEFAULT;
}

bool client_is_translated(const struct client *client)
{
    return client->language != LANGUAGE_DEFAULT && !client->session.offers.language;
}

struct capabilities client_offers(const struct client *client)
{
    if (client->state == CLIENT_AUTHENTICATED)
        return client->session.offers;
    struct imapstate_buf names;
    struct capabilities offers = { 0 };
    imapstate_buf_init(&names, CAPABILITY_LIST_MAX);
    if (prelude_names(client->listener->upstream->name, &names))
        capability_parse(imapstate_buf_span(&names), &offers);
    imapstate_buf_done(&names);
    return offers;
}

bool client_has_language(const struct client *client)
{
    return client_view(client, true).has_language && !client_offers(client).language;
}

bool client_names(const struct client *client, struct imapstate_buf *ret_names)
{
    struct imapstate_buf names;
    imapstate_buf_init(&names, CAPABILITY_LIST_MAX);
    struct capability_view view = client_view(client, true);
    /* Without a single word from the upstream there is still IMAP to be spoken, be it only to hear that it is not
     * there. */
    if (!prelude_names(client->listener->upstream->name, &names))
        imapstate_buf_put(&names, IMAPSTATE_SPAN("IMAP4rev1"));
    bool fits = capability_rewrite(imapstate_buf_span(&names), &view, ret_names);
    imapstate_buf_done(&names);
    return fits;
}

bool client_introduction(const struct client *client, const struct upstream *upstream,
                         struct imapstate_buf *ret_arguments)
{
    if (!upstream->before_login.id || upstream->is_introduced)
        return false;
    bool is_passed_on = upstream->config->send_client_address == CONFIG_CLIENT_ADDRESS_ID;
    if (!is_passed_on && !client->introduction)
        return false;
    return introduction_write(client->introduction, is_passed_on ? &client->peer : NULL, &client->local, ret_arguments);
}

/* --- who it is --- */

/* From here on it comes from this address, and is counted so. A host that speaks for many is not limited itself. */
static bool client_move(struct client *client, const struct address *peer, const struct address *local)
{
    const struct config *config = client->service->config;
    bool is_host = networks_hold(&client->listener->id_trusted_networks, peer);
    struct peers_place place = { *peer, client_is_newcomer(client, peer) };
    struct peers_limits limits = {
        .max_per_address = is_host ? 0 : config->max_clients_per_address,
        .max_newcomers_per_address = config->max_unauthenticated_per_address,
    };
    if (peers_move(&client->place, &place, &limits) != PEERS_OK)
        return false;
    client->peer = *peer;
    client->local = *local;
    return true;
}

static bool client_has_other_address(const struct client *client)
{
    return client->introduction && client->introduction->peer.family != AF_UNSPEC;
}

/* Before login only, and by the connection's own address, be it a PROXY header's. */
static bool client_is_trusted(const struct client *client)
{
    const struct address *peer = client_has_other_address(client) ? &client->introduction->peer : &client->peer;
    return client->state == CLIENT_NOT_AUTHENTICATED && networks_hold(&client->listener->id_trusted_networks, peer);
}

/* What a trusted client has said of its user's address is believed as a PROXY header is. The last word counts; an ID
 * that says nothing of it leaves it as it is. */
static void client_heed_introduction(struct client *client, struct introduction *said)
{
    const struct introduction *before = client->introduction;
    said->peer = client_has_other_address(client) ? before->peer : client->peer;
    said->local = client_has_other_address(client) ? before->local : client->local;
    const struct address *local = said->destination.family == AF_UNSPEC ? &said->local : &said->destination;
    bool is_moved = said->source.family != AF_UNSPEC;
    if (!is_moved && !client_has_other_address(client))
        said->peer = said->local = (struct address){ .family = AF_UNSPEC };
    if (is_moved)
        client_log(client, LOG_LEVEL_DEBUG, "ID tells whom it speaks for");
    if (is_moved && !client_move(client, &said->source, local))
        client_refuse(client);
    else if (said->is_looping)
        client_end(client, "x-proxy-ttl is used up", "BYE [UNAVAILABLE] " N_("The mail server cannot be reached."));
}

bool client_introduce(struct client *client, struct imapstate_span arguments)
{
    struct introduction *said = introduction_new();
    enum imapstate_error error =
        said ? introduction_read(arguments, client_is_trusted(client), said) : IMAPSTATE_NO_MEMORY;
    if (error != IMAPSTATE_OK) {
        if (said && said->wrong)
            client_log(client, LOG_LEVEL_WARNING, "%s cannot be read in the ID of a trusted client", said->wrong);
        introduction_free(said);
        return false;
    }
    client_heed_introduction(client, said);
    introduction_free(client->introduction);
    client->introduction = said;
    return true;
}

/* Whoever said it need not be who is there from here on: TLS begins, or UNAUTHENTICATE was said. False: memory is out,
 * and the client has been ended. */
static bool client_forget_introduction(struct client *client)
{
    const struct introduction *said = client->introduction;
    bool is_itself = !client_has_other_address(client) || client_move(client, &said->peer, &said->local);
    introduction_free(client->introduction);
    client->introduction = NULL;
    if (!is_itself)
        client_close(client, "out of memory");
    return is_itself;
}

/* --- greeting --- */

static void client_say_greeting(struct client *client)
{
    struct imapstate_buf names;
    imapstate_buf_init(&names, CAPABILITY_LIST_MAX);
    if (client_names(client, &names)) {
        stream_put(&client->stream, IMAPSTATE_SPAN("* OK [CAPABILITY "));
        stream_put(&client->stream, imapstate_buf_span(&names));
        stream_printf(&client->stream, "] %s\r\n", client_text(client, N_("imapstate ready.")));
    } else {
        client_say(client, NULL, "OK " N_("imapstate ready."));
    }
    imapstate_buf_done(&names);
    client_enter(client, CLIENT_NOT_AUTHENTICATED);
    client_go_on(client);
}

static void client_round_ended(struct client *client)
{
    if (prelude_round_has_ended(client->listener->upstream->name, client->round))
        client_say_greeting(client);
}

/* Whoever finds that the list is old asks, and all others wait for that. */
static void client_greet(struct client *client)
{
    const struct config_upstream *upstream = client->listener->upstream;
    enum prelude_turn turn = prelude_take_turn(upstream->name, client_now_ms(client), &client->round);
    client_enter(client, CLIENT_GREETING);
    if (turn == PRELUDE_FRESH) {
        client_say_greeting(client);
        return;
    }
    if (turn == PRELUDE_ASK)
        upstreams_scout(client->clients->upstreams, client->service, upstream);
    client_round_ended(client);
}

void client_secure(struct client *client)
{
    /* RFC 5255 section 3.1, RFC 9051 section 6.2.1: whoever was there before TLS must not speak for who is now. */
    client->language = LANGUAGE_DEFAULT;
    if (!client_forget_introduction(client))
        return;
    client_enter(client, CLIENT_SECURING);
    SSL *ssl = tls_accept(service_listener_tls(client->service, client->listener));
    if (ssl)
        stream_secure(&client->stream, ssl);
    else
        client_close(client, "out of memory");
}

static void client_begin(struct client *client)
{
    if (client->listener->tls == CONFIG_TLS_IMPLICIT)
        client_secure(client);
    else
        client_greet(client);
}

static void client_read_proxy_header(struct client *client)
{
    size_t octets = 0;
    switch (proxy_read(stream_input(&client->stream), &octets, &client->peer, &client->local)) {
    case PROXY_MORE:
        /* What is behind the header may be a TLS handshake, which OpenSSL reads from the socket itself. */
        client->stream.read_max = (uint32_t)proxy_octets_wanted(stream_input(&client->stream));
        return;
    case PROXY_BAD:
        client_close(client, "PROXY header missing or damaged");
        return;
    case PROXY_LOCAL: /* the proxy itself, to see whether we live */
        break;
    case PROXY_OK:
        /* What counts from here on is the client's own address, not the proxy's. */
        if (!client_move(client, &client->peer, &client->local)) {
            client_refuse(client);
            return;
        }
    }
    client->stream.read_max = 0;
    stream_consume(&client->stream, octets);
    client_begin(client);
}

static void client_secured(struct client *client)
{
    imapstate_frame_init(&client->frame, IMAPSTATE_FRAME_COMMANDS);
    if (client->listener->tls == CONFIG_TLS_IMPLICIT) {
        client_greet(client);
        return;
    }
    client_enter(client, CLIENT_NOT_AUTHENTICATED);
    client_go_on(client);
}

static bool client_step(struct client *client)
{
    switch (client->state) {
    case CLIENT_NOT_AUTHENTICATED:
        return answer_step(client);
    case CLIENT_LOGGING_IN:
        return login_step(client);
    case CLIENT_AUTHENTICATED:
        return client->request.phase == REQUEST_NONE ? relay_down_step(client) : answer_step(client);
    default:
        return false;
    }
}

/* After the client's end of file: is there still something that will be answered without another octet from it? */
static bool client_has_business(const struct client *client)
{
    /* Commands that have arrived may wait until it has read the answers to those before. */
    if (client->stream.is_over_high && stream_input(&client->stream).len > 0)
        return true;
    if (client->state == CLIENT_LOGGING_IN)
        return !login_wants_line(client);
    if (client->state == CLIENT_GREETING || client->restore || client->request.phase >= REQUEST_COMPLETE ||
        client->admission)
        return true;
    return client->pipeline.count > 0 && relay_awaits_upstream(client);
}

/* Clients exist that write a command in two pieces (GNU mailutils, Horde): the second comes when the first is
 * acknowledged, and the kernel would let 40 ms pass. */
static void client_hurry(struct client *client)
{
    if (stream_input(&client->stream).len > 0 || !imapstate_frame_is_between(&client->frame))
        stream_acknowledge(&client->stream);
}

static void client_stop(struct client *client, bool now)
{
    if (client->state == CLIENT_CLOSING) {
        if (now)
            client_die(client);
        return;
    }
    bool is_resting = client->state != CLIENT_AUTHENTICATED || client->way == RELAY_IDLING ||
                      (relay_is_quiet(client) && !client->restore && stream_input(&client->stream).len == 0);
    if (now || is_resting)
        client_end(client, "shutdown", "BYE " N_("imapstate is shutting down."));
}

static void client_settle(struct client *client)
{
    if (client->upstream)
        stream_flush(&client->upstream->stream);
    stream_flush(&client->stream);
    if (client->state >= CLIENT_CLOSING)
        return;
    if (client->stream.is_at_eof && !client_has_business(client))
        client_close(client, "client disconnected");
    else if (client->clients->loop->is_stopping)
        client_stop(client, false);
    else if (!client->upstream || !client->upstream->stream.is_over_high)
        stream_resume(&client->stream);
    else
        stream_pause(&client->stream);
    client_hurry(client);
}

void client_go_on(struct client *client)
{
    while (client->state < CLIENT_CLOSING && client_step(client))
        ;
    client_settle(client);
}

void client_unauthenticate(struct client *client)
{
    stream_flush(&client->stream); /* the OK is still the session's */
    client_log_end(client, "unauthenticated");
    stream_count_anew(&client->stream);
    bool is_certain = stream_end_compression(&client->stream); /* RFC 8437 section 4.1: unlike TLS, it ends too */
    client_leave_upstream(client, false); /* P16: the connection has been somebody's, and is nobody's now */
    session_done(&client->session);
    if (!client_forget_introduction(client))
        return;
    client->language = LANGUAGE_DEFAULT;
    client->unauthenticated_octets = 0;
    client->login_failures = 0;
    client->began_at_ms = client_now_ms(client);
    client_enter(client, CLIENT_NOT_AUTHENTICATED);
    if (!is_certain)
        client_end(client, "UNAUTHENTICATE without a flush", "BYE " N_("Compressed data cannot be read."));
}

/* --- upstream --- */

static void client_upstream_ready(struct client *client)
{
    if (client->admission)
        admission_upstream_ready(client);
    client_go_on(client);
}

static void client_upstream_lost(struct client *client, const char *why)
{
    const struct upstream *lost = client->upstream;
    client->upstream = NULL;
    if (client->admission)
        admission_upstream_lost(client, lost, why);
    else if (client->state == CLIENT_AUTHENTICATED)
        relay_upstream_lost(client, lost, why);
    client_go_on(client);
}

static void client_on_upstream(void *owner, enum upstream_event event, struct upstream *upstream,
                               struct imapstate_span words)
{
    struct client *client = owner;
    switch (event) {
    case UPSTREAM_PREPARED:
        client_upstream_ready(client);
        break;
    case UPSTREAM_TOLD:
        admission_hear_alert(client, words);
        admission_hear_bye(client, words);
        break;
    case UPSTREAM_HEARD:
        relay_up(client);
        break;
    case UPSTREAM_DRAINED:
        client_go_on(client);
        break;
    case UPSTREAM_RESTED:
        client_upstream_rested(client);
        break;
    case UPSTREAM_LOST:
        client_upstream_lost(client, (const char *)words.at);
        break;
    }
}

struct upstream_owner client_as_owner(struct client *client)
{
    return (struct upstream_owner){ client_on_upstream, client, client->id_number };
}

/* --- the stream --- */

static void client_on_input(struct client *client)
{
    client->active_at_ms = client_now_ms(client);
    switch (client->state) {
    case CLIENT_PROXYING:
        client_read_proxy_header(client);
        break;
    default:
        client_go_on(client);
    }
}

static void client_on_drained(struct client *client)
{
    if (client->upstream && client->upstream->state >= UPSTREAM_LOGGING_IN)
        relay_up(client);
    else
        client_go_on(client);
}

/* What was on its way when the connection was given up ends here: CLOSING waits for its last octets to leave and for
 * the client to hang up, and nothing else is of interest any more. */
static void client_on_stream_closing(struct client *client, enum stream_event event)
{
    switch (event) {
    case STREAM_INPUT:
        stream_consume_wiping(&client->stream, stream_input(&client->stream).len);
        break;
    case STREAM_DRAINED:
        stream_shutdown(&client->stream);
        if (client->stream.is_at_eof)
            client_die(client);
        break;
    case STREAM_EOF:
        /* Half a close: it may still be reading. */
        if (stream_is_drained(&client->stream))
            client_die(client);
        break;
    case STREAM_CLOSED:
        client_die(client);
        break;
    case STREAM_CONNECTED:
    case STREAM_SECURE:
    case STREAM_GARBLED:
        break;
    }
}

static void client_on_stream(void *owner, enum stream_event event)
{
    struct client *client = owner;
    if (client->state == CLIENT_DEAD)
        return;
    if (client->state == CLIENT_CLOSING) {
        client_on_stream_closing(client, event);
        return;
    }
    switch (event) {
    case STREAM_CONNECTED:
        break;
    case STREAM_SECURE:
        client_secured(client);
        break;
    case STREAM_INPUT:
        client_on_input(client);
        break;
    case STREAM_DRAINED:
        client_on_drained(client);
        break;
    case STREAM_EOF:
        client_rearm(client); /* there is less time now */
        if (client->state <= CLIENT_SECURING)
            client_close(client, "client disconnected");
        else
            client_go_on(client);
        break;
    case STREAM_GARBLED:
        /* Deflate has no checksum: what came before may have been damaged as well. */
        client->session.is_uncertain = true;
        client_set_detail(client, stream_failure(&client->stream));
        client_end(client, "input that cannot be unpacked", "BYE " N_("Compressed data cannot be read."));
        break;
    case STREAM_CLOSED:
        client_set_detail(client, stream_failure(&client->stream));
        client_close(client, client->state == CLIENT_SECURING ? "TLS handshake failed" : "client lost");
        break;
    }
}

bool client_open(struct clients *clients, const struct config_listener *listener, int fd,
                 const struct peers_place *place, const struct address *local)
{
    struct client *client = calloc(1, sizeof *client);
    if (!client) {
        close(fd);
        return false;
    }
    client->clients = clients;
    client->service = service_ref(clients->service);
    client->listener = listener;
    client->place = *place;
    client->peer = place->address;
    client->local = *local;
    client->id_number = loop_new_id(clients->loop);
    client->began_at_ms = client->active_at_ms = client_now_ms(client);
    stream_init(&client->stream, clients->loop, fd, client_on_stream, client);
    imapstate_frame_init(&client->frame, IMAPSTATE_FRAME_COMMANDS);
    request_init(&client->request);
    session_init(&client->session);
    choice_init(&client->choice);
    imapstate_buf_init(&client->told, ALERTS_MAX);
    timer_init(&client->timer, clients->loop, client_on_timer, client);
    list_init(&client->link);
    list_move(&client->link, &clients->by_state[CLIENT_PROXYING]);
    client_count_silent(client, 1);
    client_rearm(client);
    stream_start(&client->stream);
    if (listener->accept_proxy)
        client_read_proxy_header(client);
    else
        client_begin(client);
    return true;
}

/* --- all of them --- */

void clients_init(struct clients *clients, struct upstreams *upstreams, struct service *service)
{
    *clients = (struct clients){ .loop = upstreams->loop, .upstreams = upstreams, .service = service_ref(service) };
    for (size_t state = 0; state < CLIENT_STATE_MAX; state++)
        list_init(&clients->by_state[state]);
}

void clients_done(struct clients *clients)
{
    service_unref(clients->service);
}

bool clients_are_gone(const struct clients *clients)
{
    for (size_t state = 0; state < CLIENT_STATE_MAX; state++)
        if (!list_is_empty(&clients->by_state[state]))
            return false;
    return true;
}

void clients_begin_with(struct clients *clients, struct service *service)
{
    service_unref(clients->service);
    clients->service = service;
}

void clients_round_ended(struct clients *clients)
{
    list_each_safe(link, &clients->by_state[CLIENT_GREETING]) client_round_ended(list_entry(link, struct client, link));
}

void clients_stop(struct clients *clients, bool now)
{
    for (size_t state = 0; state < CLIENT_DEAD; state++)
        list_each_safe(link, &clients->by_state[state]) client_stop(list_entry(link, struct client, link), now);
}
