#include "opening.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "alert.h"
#include "capability.h"
#include "deadlist.h"
#include "introduction.h"
#include "log.h"
#include "prelude.h"
#include "proxy.h"
#include "resolver.h"
#include "tag.h"
#include "tls.h"
#include "upstream.h"

/* How long a greeting is waited for before parked connections give way. */
#define OPENING_PATIENCE_MS 1000u

/* An ID response as it comes: what INTRODUCTION_MAX is of its arguments, and a literal is not longer than a quoted
 * string that is all escapes. */
#define OPENING_ANSWER_MAX 65536u

/* Of the reason in a line of log. */
#define OPENING_WHY_SIZE 160

/* What the gateway says of itself. */
#define OPENING_OWN_ID "(\"name\" \"imapstate\")"

/* Where there is no client, the PROXY header is LOCAL. */
static const struct address nobody = { .family = AF_UNIX };

enum opening_step { STEP_GREETING, STEP_CAPABILITY, STEP_STARTTLS, STEP_ID };

/* What is needed only while a connection is being made. */
struct opening {
    enum opening_step step;
    struct resolver_wait wait;
    struct resolver_addresses addresses; /* of a name; else none */
    unsigned at;                         /* the one of them being tried */
    struct endpoint endpoint;            /* being tried; len 0: none yet */
    struct address peer, local;          /* the client's ends, for the PROXY header */
    uint16_t port;
    struct imapstate_buf greeting_names, names;
    struct imapstate_buf answer, id; /* scouting: the ID response as it comes, and its arguments */
    struct imapstate_buf alerts;     /* scouting */
    uint64_t deadline_ms;            /* of this address, or of the name's resolution; 0: that has not begun */
    uint8_t presses; /* how often an address was tried again since a parked connection was given up for it */
    bool is_secure;
    bool is_scouting; /* for the prelude, not for a client */
    bool has_names;   /* scouting: names are what was asked for */
    bool is_answered; /* scouting: the first ID response has begun, no other is heeded */
    bool is_failing;  /* this try is given up as soon as the stream has unwound; the timer begins the next */
    char why[192];
};

bool opening_new(struct upstream *upstream, const struct upstream_ends *ends)
{
    struct opening *opening = calloc(1, sizeof *opening);
    if (!opening)
        return false;
    imapstate_buf_init(&opening->greeting_names, CAPABILITY_LIST_MAX);
    imapstate_buf_init(&opening->names, CAPABILITY_LIST_MAX);
    imapstate_buf_init(&opening->answer, OPENING_ANSWER_MAX);
    imapstate_buf_init(&opening->id, INTRODUCTION_MAX);
    imapstate_buf_init(&opening->alerts, ALERTS_MAX);
    snprintf(opening->why, sizeof opening->why, "no address could be reached");
    opening->peer = ends ? *ends->peer : nobody;
    opening->local = ends ? *ends->local : nobody;
    upstream->opening = opening;
    return true;
}

/* However the scout has ended, whoever waits for it hears so. */
static void opening_report(const struct upstream *upstream, const struct opening *opening)
{
    struct prelude_lesson lesson = {
        .greeting_names = imapstate_buf_span(&opening->greeting_names),
        .id = imapstate_buf_span(&opening->id),
        .alerts = imapstate_buf_span(&opening->alerts),
    };
    if (opening->has_names)
        lesson.names = imapstate_buf_span(&opening->names);
    prelude_end_round(upstream->config->name, &lesson, upstream_now_ms(upstream));
    loop_poke_all();
}

void opening_free(struct upstream *upstream)
{
    struct opening *opening = upstream->opening;
    if (!opening)
        return;
    upstream->opening = NULL;
    if (opening->is_scouting)
        opening_report(upstream, opening);
    imapstate_buf_done(&opening->greeting_names);
    imapstate_buf_done(&opening->names);
    imapstate_buf_done(&opening->answer);
    imapstate_buf_done(&opening->id);
    imapstate_buf_done(&opening->alerts);
    free(opening);
}

/* --- connecting --- */

static void opening_complain(struct upstream *upstream, const char *why)
{
    char text[ADDRESS_TEXT_MAX] = "";
    struct address address;
    if (upstream->opening && upstream->opening->endpoint.len > 0 && !upstream->config->is_unix) {
        address_set(&address, &upstream->opening->endpoint.sockaddr.any);
        address_text_with_port(&address, text);
    }
    log_warning("upstream=%s address=%s: %s", upstream->config->name, *text ? text : upstream->config->host, why);
    if (upstream->opening && why != upstream->opening->why)
        snprintf(upstream->opening->why, sizeof upstream->opening->why, "%s", why);
}

/* What is left of this try is of no interest; another begins. */
static void opening_try_later(struct upstream *upstream, uint64_t after_ms)
{
    upstream->opening->is_failing = true;
    stream_pause(&upstream->stream);
    upstream_set_timer(upstream, after_ms);
}

/* A name's address has not been connected to, or was silent for all the time that it had. What hangs up or says
 * something that is of no use costs no time, and may be meant for this one connection. */
static void opening_note_dead(const struct upstream *upstream)
{
    const struct opening *opening = upstream->opening;
    bool is_silent = opening->deadline_ms > 0 && upstream_now_ms(upstream) >= opening->deadline_ms;
    if (opening->at < opening->addresses.count && (is_silent || upstream->state == UPSTREAM_CONNECTING))
        deadlist_note(&opening->addresses.addresses[opening->at], is_silent, upstream_now_ms(upstream));
}

static void opening_has_served(const struct opening *opening)
{
    if (opening->at < opening->addresses.count)
        deadlist_clear(&opening->addresses.addresses[opening->at]);
}

/* This address did not lead to a usable server: the next one, if there is one. */
void opening_fail_address(struct upstream *upstream, const char *why)
{
    if (!upstream->opening) {
        upstream_lose(upstream, why);
        return;
    }
    opening_complain(upstream, why);
    struct opening *opening = upstream->opening;
    opening_note_dead(upstream);
    if (opening->at + 1 >= opening->addresses.count || opening->has_names) {
        upstream_lose(upstream, opening->why);
        return;
    }
    opening->at++;
    opening_try_later(upstream, 0);
}

/* Who only looks takes nobody's place. */
static bool opening_makes_room(const struct upstream *upstream)
{
    return upstream->opening->step == STEP_GREETING && !upstream->opening->is_scouting &&
           park_give_up_oldest(imapstate_span_of(upstream->config->name));
}

void opening_hung_up(struct upstream *upstream, const char *why)
{
    struct opening *opening = upstream->opening;
    uint64_t after_ms;
    bool was_taken = upstream->state != UPSTREAM_CONNECTING && opening->step == STEP_GREETING;
    if (was_taken && (opening_makes_room(upstream) || opening->presses > 0) &&
        park_press(&opening->presses, &after_ms)) {
        log_debug("client=%" PRIx64 " upstream=%s: %s; tried again", upstream->owner.id_number, upstream->config->name,
                  why);
        opening_try_later(upstream, after_ms);
        return;
    }
    opening_fail_address(upstream, why);
}

/* Until the deadline, or until it is time to do something about the silence. */
static void opening_await(struct upstream *upstream)
{
    uint64_t now_ms = upstream_now_ms(upstream), deadline_ms = upstream->opening->deadline_ms;
    uint64_t left_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
    bool is_greeted = upstream->opening->step != STEP_GREETING;
    upstream_set_timer(upstream, is_greeted || left_ms < OPENING_PATIENCE_MS ? left_ms : OPENING_PATIENCE_MS);
}

static void opening_connect(struct upstream *upstream)
{
    struct opening *opening = upstream->opening;
    opening->step = STEP_GREETING;
    opening->is_secure = opening->is_failing = false;
    imapstate_buf_clear(&opening->greeting_names);
    imapstate_buf_clear(&opening->names);
    imapstate_buf_clear(&opening->alerts);
    imapstate_frame_init(&upstream->frame, IMAPSTATE_FRAME_RESPONSES);
    upstream_renew_stream(upstream);
    upstream_enter(upstream, UPSTREAM_CONNECTING);
    opening->deadline_ms = upstream_now_ms(upstream) + upstream->config->connect_timeout_ms;
    opening_await(upstream);
    if (!stream_connect(&upstream->stream, &opening->endpoint.sockaddr.any, opening->endpoint.len))
        opening_fail_address(upstream, strerror(upstream->stream.error));
}

static void opening_try(struct upstream *upstream)
{
    struct opening *opening = upstream->opening;
    if (opening->addresses.count > 0)
        opening->endpoint.len =
            address_get(&opening->addresses.addresses[opening->at], &opening->endpoint.sockaddr.storage);
    opening_connect(upstream);
}

static void opening_wait_for_addresses(struct upstream *upstream, uint64_t now_ms)
{
    uint64_t deadline_ms = upstream->opening->deadline_ms;
    if (now_ms >= deadline_ms) {
        opening_fail_address(upstream, "name resolution timed out");
        return;
    }
    uint64_t left_ms = deadline_ms - now_ms;
    upstream_set_timer(upstream, left_ms < RESOLVER_PATIENCE_MS ? left_ms : RESOLVER_PATIENCE_MS);
}

static void opening_resolve(struct upstream *upstream)
{
    struct opening *opening = upstream->opening;
    uint64_t now_ms = upstream_now_ms(upstream);
    if (opening->deadline_ms == 0)
        opening->deadline_ms = now_ms + upstream->config->connect_timeout_ms;
    opening->wait.is_scouting = opening->is_scouting;
    resolver_watch(now_ms);
    switch (resolver_look_up(upstream->config->host, opening->port, &opening->wait, now_ms, &opening->addresses)) {
    case RESOLVER_KNOWN:
        deadlist_sort(opening->addresses.addresses, opening->addresses.count, opening->is_scouting, now_ms);
        opening_try(upstream);
        break;
    case RESOLVER_ASKED:
        opening_wait_for_addresses(upstream, now_ms);
        break;
    case RESOLVER_UNKNOWN:
        opening_fail_address(upstream, opening->addresses.why);
        break;
    }
}

/* Begins, and again whenever there may be news of the name's addresses. */
static void opening_begin(struct upstream *upstream)
{
    const struct config_upstream *config = upstream->config;
    struct opening *opening = upstream->opening;
    if (endpoint_from_host(config->host, config->port, config->is_unix, &opening->endpoint, &opening->port))
        opening_try(upstream);
    else
        opening_resolve(upstream);
}

/* --- preparing --- */

/* The scout has seen what there is to see. */
static void opening_return(struct upstream *upstream)
{
    opening_has_served(upstream->opening);
    opening_free(upstream);
    upstream_enter(upstream, UPSTREAM_READY);
    upstream_take_leave(upstream);
}

/* Told once for each upstream, not at each login. */
static void opening_check_id(const struct upstream *upstream)
{
    bool is_wanted = upstream->config->send_client_address == CONFIG_CLIENT_ADDRESS_ID;
    if (is_wanted && prelude_misses_id(upstream->config->name, upstream->before_login.id))
        log_warning("upstream=%s: send_client_address = \"id\" has no effect, as the server does not offer ID",
                    upstream->config->name);
}

static void opening_finish(struct upstream *upstream)
{
    opening_check_id(upstream);
    opening_has_served(upstream->opening);
    opening_free(upstream);
    timer_stop(&upstream->timer);
    upstream_enter(upstream, UPSTREAM_READY);
    upstream_tell(upstream, UPSTREAM_PREPARED, (struct imapstate_span){ 0 });
}

static void opening_say(struct upstream *upstream, enum opening_step step, const char *command)
{
    upstream->opening->step = step;
    if (step == STEP_CAPABILITY)
        imapstate_buf_clear(&upstream->opening->names);
    stream_printf(&upstream->stream, UPSTREAM_TAG " %s\r\n", command);
    stream_flush(&upstream->stream);
}

static void opening_secure(struct upstream *upstream)
{
    if (!stream_is_drained(&upstream->stream)) {
        /* What is left of a PROXY header would be lost. */
        opening_fail_address(upstream, "the server does not accept the PROXY header");
        return;
    }
    const struct config_upstream *config = upstream->config;
    SSL *ssl =
        tls_peer(service_upstream_tls(upstream->service, config), *config->tls_name ? config->tls_name : config->host);
    if (!ssl) {
        opening_fail_address(upstream, "out of memory");
        return;
    }
    upstream_enter(upstream, UPSTREAM_SECURING);
    stream_secure(&upstream->stream, ssl);
}

/* The list before login is known: what now? */
static void opening_has_names(struct upstream *upstream, struct imapstate_span names)
{
    capability_parse(names, &upstream->before_login);
    if (upstream->config->tls == CONFIG_TLS_STARTTLS && !upstream->opening->is_secure) {
        if (upstream->before_login.starttls)
            opening_say(upstream, STEP_STARTTLS, "STARTTLS");
        else
            opening_fail_address(upstream, "the server offers no STARTTLS");
        return;
    }
    upstream->opening->has_names = upstream->opening->is_scouting;
    if (!upstream->opening->is_scouting)
        opening_finish(upstream);
    else if (upstream->before_login.id)
        opening_say(upstream, STEP_ID, "ID " OPENING_OWN_ID);
    else
        opening_return(upstream);
}

static bool opening_is_preliminary(const struct upstream *upstream)
{
    return upstream->config->tls == CONFIG_TLS_STARTTLS && !upstream->opening->is_secure;
}

static void opening_greeted(struct upstream *upstream, struct imapstate_span line)
{
    struct opening *opening = upstream->opening;
    struct imapstate_span names;
    if (!capability_find(line, &names)) {
        opening_say(upstream, STEP_CAPABILITY, "CAPABILITY");
        return;
    }
    if (opening_is_preliminary(upstream)) {
        opening_has_names(upstream, names);
        return;
    }
    imapstate_buf_put(&opening->greeting_names, names);
    struct imapstate_buf known;
    imapstate_buf_init(&known, CAPABILITY_LIST_MAX);
    if (opening->is_scouting ||
        !prelude_names_for_greeting(upstream->config->name, names, upstream_now_ms(upstream), &known))
        opening_say(upstream, STEP_CAPABILITY, "CAPABILITY");
    else
        opening_has_names(upstream, imapstate_buf_span(&known));
    imapstate_buf_done(&known);
}

/* Why, in the server's own words, as far as they can stand in a line of log. */
static void opening_quote_bye(const char *head, struct imapstate_span line, char ret_why[OPENING_WHY_SIZE])
{
    int len = snprintf(ret_why, OPENING_WHY_SIZE, "%s:", head);
    line = imapstate_span_without_line_end(line);
    for (size_t at = strlen("* BYE"); at < line.len && len + 1 < OPENING_WHY_SIZE; at++)
        ret_why[len++] = line.at[at] >= 0x20 && line.at[at] < 0x7f ? (char)line.at[at] : '?';
    ret_why[len] = '\0';
}

static void opening_is_turned_away(struct upstream *upstream, struct imapstate_span line)
{
    char why[OPENING_WHY_SIZE];
    opening_quote_bye("the server greets with BYE", line, why);
    opening_hung_up(upstream, why);
}

static void opening_is_hung_up_on(struct upstream *upstream, struct imapstate_span line)
{
    char why[OPENING_WHY_SIZE];
    opening_quote_bye("the server says BYE", line, why);
    opening_fail_address(upstream, why);
}

static void opening_hear_greeting(struct upstream *upstream, struct imapstate_span line)
{
    if (upstream_line_begins(line, "* OK"))
        opening_greeted(upstream, line);
    else if (upstream_line_begins(line, "* PREAUTH"))
        /* Somebody is logged in already, and STARTTLS is not possible any more: an attacker's way to have us go on in
         * clear. */
        opening_fail_address(upstream, "the server greets with PREAUTH");
    else if (upstream_line_begins(line, "* BYE"))
        opening_is_turned_away(upstream, line);
    else
        opening_fail_address(upstream, "the server's greeting is not IMAP");
}

/* Has the server been asked as the scout asks it? Behind a PROXY header it may have another answer for each client. */
static bool opening_is_comparable(const struct upstream *upstream)
{
    return !upstream->opening->is_scouting && !opening_is_preliminary(upstream) &&
           upstream->config->send_client_address != CONFIG_CLIENT_ADDRESS_PROXY_V2;
}

static void opening_hear_tagged(struct upstream *upstream, bool is_ok)
{
    struct opening *opening = upstream->opening;
    switch (opening->step) {
    case STEP_CAPABILITY:
        if (!is_ok || opening->names.len == 0) {
            opening_fail_address(upstream, "the server does not answer CAPABILITY");
            return;
        }
        if (opening_is_comparable(upstream))
            prelude_compare(upstream->config->name, imapstate_buf_span(&opening->names));
        opening_has_names(upstream, imapstate_buf_span(&opening->names));
        return;
    case STEP_STARTTLS:
        if (!is_ok)
            opening_fail_address(upstream, "the server refuses STARTTLS");
        else if (stream_input(&upstream->stream).len > 0)
            /* Written by whoever sits between us and the server, to be taken for the server's own under TLS. */
            opening_fail_address(upstream, "unencrypted octets after the answer to STARTTLS");
        else
            opening_secure(upstream);
        return;
    case STEP_ID:
        if (opening->is_scouting)
            opening_return(upstream);
        else
            opening_finish(upstream);
        return;
    case STEP_GREETING:
        return;
    }
}

/* What the server has to say to whoever connects, for the client whose login this is, or for all who are let in without
 * it; and what it says as it hangs up. Not what came in clear where TLS is to come: who knows whose words they are? */
static void opening_heed(struct upstream *upstream, struct imapstate_span line)
{
    if (opening_is_preliminary(upstream))
        return;
    if (upstream->opening->is_scouting)
        alerts_add(&upstream->opening->alerts, line);
    else
        upstream_tell(upstream, UPSTREAM_TOLD, line);
}

static void opening_hear(struct upstream *upstream, struct imapstate_span line)
{
    struct opening *opening = upstream->opening;
    struct imapstate_span names;
    opening_heed(upstream, line);
    if (opening->step == STEP_GREETING)
        opening_hear_greeting(upstream, line);
    else if (upstream_line_begins(line, UPSTREAM_TAG " OK"))
        opening_hear_tagged(upstream, true);
    else if (upstream_line_begins(line, UPSTREAM_TAG))
        opening_hear_tagged(upstream, false);
    else if (upstream_line_begins(line, "* BYE"))
        opening_is_hung_up_on(upstream, line);
    else if (opening->step == STEP_CAPABILITY && capability_find(line, &names) && opening->names.len == 0)
        imapstate_buf_put(&opening->names, names);
    else if (*line.at != '*')
        opening_fail_address(upstream, "the server answers what was not asked");
}

/* Is the stream still where this pass over its input began? */
static bool opening_is_going_on(const struct upstream *upstream, const SSL *ssl)
{
    return upstream->opening && !upstream->opening->is_failing && upstream->stream.ssl == ssl &&
           upstream->state == UPSTREAM_PREPARING;
}

/* Scouting: the ID response is collected whole, with its literals. The first counts. */
static void opening_collect(struct opening *opening, const struct imapstate_piece *piece)
{
    if (piece->begins && (opening->is_answered || !upstream_line_begins(piece->octets, "* ID")))
        return;
    if (!piece->begins && opening->answer.len == 0)
        return;
    opening->is_answered = true;
    bool fits = imapstate_buf_put(&opening->answer, piece->octets);
    if (fits && piece->ends)
        introduction_read_answer(imapstate_buf_span(&opening->answer), &opening->id);
    if (!fits || piece->ends)
        imapstate_buf_clear(&opening->answer);
}

static void opening_hear_piece(struct upstream *upstream, const struct imapstate_piece *piece, bool is_line)
{
    if (upstream->opening->is_scouting && upstream->opening->step == STEP_ID)
        opening_collect(upstream->opening, piece);
    if (is_line && piece->begins)
        opening_hear(upstream, piece->octets);
}

void opening_prepare(struct upstream *upstream)
{
    SSL *ssl = upstream->stream.ssl;
    while (opening_is_going_on(upstream, ssl)) {
        struct imapstate_piece piece;
        enum imapstate_frame_result result =
            imapstate_frame_next(&upstream->frame, stream_input(&upstream->stream), &piece);
        if (result == IMAPSTATE_FRAME_MORE && !stream_is_full(&upstream->stream))
            return;
        if (result != IMAPSTATE_FRAME_LINE && result != IMAPSTATE_FRAME_LITERAL) {
            opening_fail_address(upstream, imapstate_strerror(imapstate_frame_error(&upstream->frame)));
            return;
        }
        stream_consume(&upstream->stream, piece.octets.len);
        opening_hear_piece(upstream, &piece, result == IMAPSTATE_FRAME_LINE);
    }
}

void opening_introduce(struct upstream *upstream, struct imapstate_span arguments)
{
    if (!opening_new(upstream, NULL)) {
        upstream_lose(upstream, "out of memory");
        return;
    }
    upstream->opening->is_secure = true;
    upstream->opening->step = STEP_ID;
    upstream->is_introduced = true;
    upstream_enter(upstream, UPSTREAM_PREPARING);
    upstream_set_timer(upstream, upstream->config->answer_timeout_ms);
    stream_put(&upstream->stream, IMAPSTATE_SPAN(UPSTREAM_TAG " ID "));
    stream_put(&upstream->stream, arguments);
    stream_put(&upstream->stream, IMAPSTATE_SPAN("\r\n"));
    stream_flush(&upstream->stream);
}

void opening_scout(struct upstreams *upstreams, struct service *service, const struct config_upstream *config)
{
    struct upstream *upstream = upstream_open(upstreams, service, config, NULL, NULL);
    if (upstream) {
        upstream->opening->is_scouting = true;
        return;
    }
    prelude_end_round(config->name, &(struct prelude_lesson){ 0 }, loop_now_ms(upstreams->loop));
    loop_poke_all();
}

void opening_connected(struct upstream *upstream)
{
    if (upstream->config->send_client_address == CONFIG_CLIENT_ADDRESS_PROXY_V2) {
        struct imapstate_buf header;
        imapstate_buf_init(&header, PROXY_HEADER_MAX);
        if (proxy_write(&upstream->opening->peer, &upstream->opening->local, &header))
            stream_put(&upstream->stream, imapstate_buf_span(&header));
        imapstate_buf_done(&header);
        stream_flush(&upstream->stream);
    }
    if (upstream->config->tls == CONFIG_TLS_IMPLICIT) {
        opening_secure(upstream);
        return;
    }
    upstream_enter(upstream, UPSTREAM_PREPARING);
    stream_start(&upstream->stream);
}

void opening_secured(struct upstream *upstream)
{
    struct opening *opening = upstream->opening;
    opening->is_secure = true;
    imapstate_frame_init(&upstream->frame, IMAPSTATE_FRAME_RESPONSES);
    upstream_enter(upstream, UPSTREAM_PREPARING);
    /* RFC 9051 section 6.2.1: what was known of the capabilities before TLS is void. */
    if (upstream->config->tls == CONFIG_TLS_STARTTLS)
        opening_say(upstream, STEP_CAPABILITY, "CAPABILITY");
}

bool opening_is_failing(const struct upstream *upstream)
{
    return upstream->opening && upstream->opening->is_failing;
}

static void opening_on_silence(struct upstream *upstream)
{
    if (opening_is_failing(upstream)) {
        opening_try(upstream);
    } else if (upstream_now_ms(upstream) >= upstream->opening->deadline_ms) {
        opening_fail_address(upstream, "timed out");
    } else {
        opening_makes_room(upstream);
        opening_await(upstream);
    }
}

void opening_on_timer(struct upstream *upstream)
{
    if (upstream->state == UPSTREAM_RESOLVING)
        opening_begin(upstream);
    else
        opening_on_silence(upstream);
}
