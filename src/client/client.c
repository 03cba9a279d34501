#include "client.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alert.h"
#include "capability.h"
#include "catalogue.h"
#include "chorus.h"
#include "config.h"
#include "credentials.h"
#include "id.h"
#include "log.h"
#include "moves.h"
#include "network.h"
#include "offers.h"
#include "peers.h"
#include "prelude.h"
#include "resend.h"
#include "routes.h"
#include "sasl.h"

/* Octets of more of the reason. */
#define CLIENT_DETAIL_MAX 91u

/* What an idle session holds, but for its names and what malloc() and libevent add: docs/design.md, Memory. Both may
 * grow by what every idle session needs; what only some need, or need for a while, stands behind a pointer, as login,
 * admission, restore and opening do. If it does not fit, the two streams are the first place to look. */
_Static_assert(sizeof(struct client) + sizeof(struct upstream) <= 2048,
               "an idle pair without TLS is to stay below 3 KiB");

/* And what one holds at the most. an ID is gone before commands are in flight and answers pile up, and an
 * answer that is held (pipeline.h) is never there together with a request, which is no smaller; besides it OpenSSL's
 * buffers, and structures (docs/design.md has the table). */
_Static_assert(2 * POOL_BUFFER_OCTETS                               /* input, one buffer each side */
                       + 2 * (STREAM_OUT_HIGH + POOL_BUFFER_OCTETS) /* output, with what one input adds */
                       + PIPELINE_OCTETS_MAX + REQUEST_MAX + RESEND_MAX + IMAPSTATE_STATE_MAX + COMPRESSION_IDLE_MAX +
                       4 * CAPABILITY_LIST_MAX <=
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

static void client_count_silent(struct client *client, int more)
{
    __atomic_add_fetch(&client->clients->silent, (unsigned)more, __ATOMIC_RELAXED);
}

_Static_assert(CLIENT_COUNTED_STATES == CLIENT_DEAD, "of the dead nobody wants to know how many there are");

static void client_count_state(const struct client *client, enum client_state next)
{
    client->row->now[client->state]--;
    if (next < CLIENT_DEAD)
        client->row->now[next]++;
}

void client_init(struct client *client, struct clients *clients, const struct config_listener *listener,
                 const struct peers_place *place, const struct address *local)
{
    client->clients = clients;
    client->service = service_ref(clients->service);
    client->listener = listener;
    client->home = listener->upstream;
    client->place = *place;
    client->peer = place->address;
    client->local = *local;
    client->mark.client = client->mark.session = loop_new_id(clients->loop);
    client->began_at_ms = client->active_at_ms = client_now_ms(client);
    imapstate_frame_init(&client->frame, IMAPSTATE_FRAME_COMMANDS);
    request_init(&client->request);
    session_init(&client->session);
    resend_init(&client->choice.resend);
    imapstate_buf_init(&client->told, ALERTS_MAX);
    list_init(&client->link);
    list_move(&client->link, &client->clients->by_state[CLIENT_PROXYING]);
    client->row = client_counters_listener(&clients->counters, listener->name);
    client->row->accepted++;
    client->row->now[CLIENT_PROXYING]++;
    client_count_silent(client, 1);
}

bool client_may_be_newcomer(const struct config_listener *listener, const struct address *peer)
{
    return !networks_hold(&listener->trusted_networks, peer) && !networks_hold(&listener->id_trusted_networks, peer);
}

bool client_is_newcomer(const struct client *client, const struct address *peer)
{
    return client->state <= CLIENT_NOT_AUTHENTICATED && client_may_be_newcomer(client->listener, peer);
}

void client_enter(struct client *client, enum client_state next)
{
    if (!moves_allow(&client_moves, client->state, next)) {
        stream_break(&client->stream, "unforeseen state");
        return;
    }
    client_log(client, LOG_LEVEL_DEBUG, "%s -> %s", client_state_names[client->state], client_state_names[next]);
    client_count_silent(client, (int)(next <= CLIENT_NOT_AUTHENTICATED) - (client->state <= CLIENT_NOT_AUTHENTICATED));
    client_count_state(client, next);
    client->state = (uint8_t)next;
    if (next == CLIENT_NOT_AUTHENTICATED) /* the next one to log in may be at home elsewhere */
        client->home = client->listener->upstream;
    peers_set_newcomer(&client->place, client_is_newcomer(client, &client->place.address));
    list_move(&client->link, &client->clients->by_state[next]);
}

/* --- words --- */

bool client_begin_line(const struct client *client, enum log_level level, struct logline *line)
{
    const struct session *session = &client->session;
    if (!logmark_is_on(&client->mark, level))
        return false;
    log_begin(line, level);
    logmark_put(&client->mark, line);
    logline_address(line, "from", &client->peer);
    if (session->user.len > 0)
        logline_name(line, "user", imapstate_buf_span(&session->user));
    else
        logline_nothing(line, "user");
    if (session->acting)
        logline_words(line, "auth", session->acting);
    logline_words(line, "upstream", client_home_name(client));
    return true;
}

void client_log(const struct client *client, enum log_level level, const char *format, ...)
{
    struct logline line;
    va_list arguments;
    if (!client_begin_line(client, level, &line))
        return;
    va_start(arguments, format);
    logline_message(&line, format, arguments);
    va_end(arguments);
    log_end(&line);
}

void client_mark_user(struct client *client)
{
    const struct credentials *credentials = client->credentials;
    bool is_in = client->session.user.len > 0 || !credentials;
    logmark_set_user(&client->mark,
                     is_in ? imapstate_buf_span(&client->session.user) : sasl_identity_user(&credentials->identity));
}

const char *client_home_name(const struct client *client)
{
    return client->home ? client->home->name : "-";
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

void client_say_offers(struct client *client, const struct offers *shown)
{
    stream_put(&client->stream, IMAPSTATE_SPAN("* CAPABILITY "));
    stream_put(&client->stream, offers_names(shown));
    stream_put(&client->stream, IMAPSTATE_SPAN("\r\n"));
}

bool client_may_speak(const struct client *client)
{
    return !client->upstream || imapstate_frame_is_between(&client->upstream->frame);
}

void client_set_detail(struct client *client, const char *detail)
{
    if (client_is_ending(client))
        return;
    free(client->detail);
    client->detail = strndup(detail, CLIENT_DETAIL_MAX); /* without memory it is missing */
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

/* --- is something under way? --- */

static bool client_has_only(const struct client *client, unsigned flights)
{
    return client->pipeline.count == flights && client_may_speak(client) && !client->restore && !client->admission &&
           !client->resting && !(client->upstream && client->upstream->is_asked_ahead);
}

bool client_is_at_rest(const struct client *client)
{
    return client->down == DOWN_BETWEEN && client_has_only(client, 0);
}

bool client_is_idling(const struct client *client)
{
    return client->down == DOWN_IDLING && client_has_only(client, 1);
}

/* --- the end --- */

bool client_is_ending(const struct client *client)
{
    return client->ending != CLIENT_ENDING_NONE || client->state >= CLIENT_CLOSING;
}

void client_close(struct client *client, enum client_ending reason)
{
    if (!client_is_ending(client))
        client->ending = (uint8_t)reason;
}

void client_end(struct client *client, enum client_ending reason, const char *bye)
{
    if (!client_is_ending(client) && client->state > CLIENT_SECURING && client_may_speak(client))
        client_say(client, NULL, bye);
    client_close(client, reason);
}

void client_distrust_upstream(struct client *client, const char *detail)
{
    client->session.is_uncertain = true;
    client_set_detail(client, detail);
    client_end(client, CLIENT_ENDING_UPSTREAM_ODD, "BYE [UNAVAILABLE] " N_("The mail server's answer makes no sense."));
}

/* --- what the listener and the upstream allow --- */

bool client_may_carry_secrets(const struct client *client)
{
    return client->stream.ssl || client->listener->tls != CONFIG_TLS_STARTTLS || !client->listener->require_tls;
}

/* Where the client's words come from: its own connection, or the client that a PROXY header tells of; whom it speaks
 * for by ID is further away. */
static bool client_is_local(const struct client *client)
{
    bool speaks_for_another = client->id && client->id->peer.family != AF_UNSPEC;
    return address_is_local(speaks_for_another ? &client->id->peer : &client->peer);
}

/* As long as nobody knows which it is, all of them are to be. */
static bool client_home_is_private(const struct client *client)
{
    const struct config *config = client->service->config;
    bool is_private = true;
    if (client->home)
        return config_is_private(client->home);
    for (size_t i = 0; i < config->upstream_count; i++)
        is_private &= config_is_private(&config->upstreams[i]);
    return is_private;
}

/* A password in clear is as good as a proof where nobody can read it, and can be matched to a parked connection. Where
 * none are parked, a proof is better. */
static bool client_hides_proofs(const struct client *client)
{
    return client->listener->auth_mechanisms == 0 && client->service->config->park.per_user > 0 &&
           (client->stream.ssl || client_is_local(client)) && client_home_is_private(client);
}

uint32_t client_mechanisms(const struct client *client)
{
    return config_mechanisms(client->listener) & routes_mechanisms(client->service, client->listener);
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
        .hides_proofs = client_hides_proofs(client),
        .mechanisms = client_mechanisms(client),
    };
}

void client_heed_offers(struct client *client)
{
    if (offers_known(client->session.offers)->language)
        client->language = LANGUAGE_DEFAULT;
}

bool client_is_translated(const struct client *client)
{
    return client->language != LANGUAGE_DEFAULT && !offers_known(client->session.offers)->language;
}

struct capabilities client_offers(const struct client *client)
{
    if (client->state == CLIENT_AUTHENTICATED)
        return *offers_known(client->session.offers);
    struct service_reach reach = service_upstreams_of(client->service, client->listener);
    struct offers *offers = chorus_offers(&reach);
    struct capabilities known = *offers_known(offers);
    known.id |= !offers;
    offers_unref(offers);
    return known;
}

bool client_has_language(const struct client *client)
{
    return client_view(client, true).has_language && !client_offers(client).language;
}

struct offers *client_show(const struct client *client, struct offers *offers)
{
    struct capability_view view = client_view(client, false);
    return views_show(&client->clients->views, offers, &view);
}

/* Told once for each upstream, not to each client. */
static void client_note_hidden_at(const struct config_upstream *upstream, uint32_t hidden)
{
    char names[SASL_NAMES_MAX];
    struct logline line;
    if (!hidden || !prelude_hides(upstream->name, upstream->members[0].text) || !log_is_on(LOG_LEVEL_INFO))
        return;
    log_begin(&line, LOG_LEVEL_INFO);
    logline_words(&line, "upstream", upstream->name);
    logline_gap(&line, ": ");
    log_end_with(&line,
                 "%s not shown where passwords are safe, as no parked connection serves such a login "
                 "(auth_mechanisms)",
                 sasl_names(hidden, names));
}

static void client_note_hidden(const struct client *client, const struct offers *offers,
                               const struct capability_view *view)
{
    uint32_t hidden = capability_hidden(offers_known(offers), view);
    struct service_reach reach = service_upstreams_of(client->service, client->listener);
    for (size_t i = 0; i < reach.count; i++)
        client_note_hidden_at(reach.at[i], hidden);
}

struct offers *client_show_before_login(const struct client *client)
{
    struct views *views = &client->clients->views;
    struct capability_view view = client_view(client, true);
    struct service_reach reach = service_upstreams_of(client->service, client->listener);
    struct offers *offers = chorus_offers(&reach);
    /* Without a single word from the upstream there is still IMAP to be spoken, be it only to hear that it is not
     * there; and ID, as it may be us whom the upstream leads to, and x-proxy-ttl has to come round. */
    if (!offers)
        offers = views_take(views, IMAPSTATE_SPAN("IMAP4rev1 ID"));
    struct offers *shown = views_show(views, offers, &view);
    client_note_hidden(client, offers, &view);
    offers_unref(offers);
    return shown;
}

struct upstream_owner client_as_owner(struct client *client)
{
    return (struct upstream_owner){ client->clients->on_upstream, client, &client->mark };
}
