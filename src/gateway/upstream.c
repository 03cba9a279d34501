#include "upstream.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "client.h"
#include "introduction.h"
#include "log.h"
#include "prelude.h"
#include "proxy.h"
#include "relay.h"
#include "tls.h"

/* How long the server may take to answer LOGOUT; nobody waits for it. */
#define UPSTREAM_LEAVING_MS 5000u

enum upstream_step { STEP_GREETING, STEP_CAPABILITY, STEP_STARTTLS, STEP_ID };

/* A name being resolved. The resolver's callback comes even after a cancellation, so it outlives the upstream if need
 * be. */
struct upstream_resolution {
    struct upstream *upstream; /* NULL: nobody waits any more */
    struct evdns_getaddrinfo_request *request;
};

/* What is needed only while a connection is being made. */
struct upstream_opening {
    enum upstream_step step;
    struct evutil_addrinfo *addresses;      /* owned; NULL for a unix socket */
    struct evutil_addrinfo *address;        /* the one being tried */
    struct upstream_resolution *resolution; /* the one under way; freed by its own callback */
    struct imapstate_buf greeting_names, names;
    bool is_secure;
    bool is_failing; /* this address is given up as soon as the stream has unwound */
    char why[192];
};

#define BIT(state) (1u << (state))

static const unsigned upstream_may_enter[UPSTREAM_STATE_MAX] = {
    [UPSTREAM_RESOLVING] = BIT(UPSTREAM_CONNECTING) | BIT(UPSTREAM_DEAD),
    [UPSTREAM_CONNECTING] =
        BIT(UPSTREAM_SECURING) | BIT(UPSTREAM_PREPARING) | BIT(UPSTREAM_CONNECTING) | BIT(UPSTREAM_DEAD),
    [UPSTREAM_SECURING] = BIT(UPSTREAM_PREPARING) | BIT(UPSTREAM_CONNECTING) | BIT(UPSTREAM_DEAD),
    [UPSTREAM_PREPARING] = BIT(UPSTREAM_SECURING) | BIT(UPSTREAM_READY) | BIT(UPSTREAM_CONNECTING) | BIT(UPSTREAM_DEAD),
    [UPSTREAM_READY] = BIT(UPSTREAM_PREPARING) | BIT(UPSTREAM_LOGGING_IN) | BIT(UPSTREAM_LEAVING) | BIT(UPSTREAM_DEAD),
    [UPSTREAM_LOGGING_IN] = BIT(UPSTREAM_ATTACHED) | BIT(UPSTREAM_DEAD),
    [UPSTREAM_ATTACHED] = BIT(UPSTREAM_SETTLING) | BIT(UPSTREAM_LEAVING) | BIT(UPSTREAM_DEAD),
    [UPSTREAM_SETTLING] = BIT(UPSTREAM_DEAD),
    [UPSTREAM_LEAVING] = BIT(UPSTREAM_DEAD),
};

static const char *const upstream_state_names[UPSTREAM_STATE_MAX] = {
    "RESOLVING",  "CONNECTING", "SECURING", "PREPARING", "READY",
    "LOGGING_IN", "ATTACHED",   "SETTLING", "LEAVING",   "DEAD",
};

const char *upstream_state_name(const struct upstream *upstream)
{
    return upstream_state_names[upstream->state];
}

static void upstream_enter(struct upstream *upstream, enum upstream_state next)
{
    assert(upstream_may_enter[upstream->state] & BIT(next));
    log_debug("client=%" PRIx64 " upstream=%s %s -> %s", upstream->client ? upstream->client->id_number : 0,
              upstream->config->name, upstream_state_names[upstream->state], upstream_state_names[next]);
    upstream->state = (uint8_t)next;
    list_move(&upstream->link, &upstream->worker->upstreams[next]);
}

static void upstream_set_timer(struct upstream *upstream, uint64_t after_ms)
{
    struct timeval after = { .tv_sec = (time_t)(after_ms / 1000), .tv_usec = (suseconds_t)(after_ms % 1000 * 1000) };
    evtimer_add(&upstream->timer, &after);
}

static void upstream_close_opening(struct upstream *upstream)
{
    struct upstream_opening *opening = upstream->opening;
    if (!opening)
        return;
    upstream->opening = NULL;
    if (opening->resolution) {
        opening->resolution->upstream = NULL;
        if (opening->resolution->request)
            evdns_getaddrinfo_cancel(opening->resolution->request);
    }
    if (opening->addresses)
        evutil_freeaddrinfo(opening->addresses);
    imapstate_buf_done(&opening->greeting_names);
    imapstate_buf_done(&opening->names);
    free(opening);
}

static void upstream_end(struct grave *grave)
{
    struct upstream *upstream = list_entry(grave, struct upstream, grave);
    stream_done(&upstream->stream);
    service_unref(upstream->service);
    park_proof_unref(upstream->proof);
    imapstate_buf_done(&upstream->names);
    imapstate_buf_done(&upstream->resting);
    imapstate_buf_done(&upstream->alerts);
    list_remove(&upstream->link);
    free(upstream);
}

static void upstream_die(struct upstream *upstream)
{
    if (upstream->state == UPSTREAM_DEAD)
        return;
    upstream_enter(upstream, UPSTREAM_DEAD);
    upstream->client = NULL;
    evtimer_del(&upstream->timer);
    upstream_close_opening(upstream);
    stream_pause(&upstream->stream);
    worker_bury(upstream->worker, &upstream->grave, upstream_end);
}

/* The connection is of no more use to the client, which is told. */
static void upstream_lose(struct upstream *upstream, const char *why)
{
    struct client *client = upstream->client;
    char words[192];
    snprintf(words, sizeof words, "%s", why);
    upstream_die(upstream);
    if (client)
        client_upstream_lost(client, words);
}

/* --- connecting --- */

static void upstream_on_stream(void *owner, enum stream_event event);
static void upstream_on_timer(evutil_socket_t fd, short what, void *arg);
static void upstream_try_next(struct upstream *upstream);

static void upstream_complain(struct upstream *upstream, const char *why)
{
    char text[ADDRESS_TEXT_MAX] = "";
    struct address address;
    if (upstream->opening && upstream->opening->address) {
        address_set(&address, upstream->opening->address->ai_addr);
        address_text_with_port(&address, text);
    }
    log_warning("upstream=%s address=%s: %s", upstream->config->name, *text ? text : upstream->config->host, why);
    if (upstream->opening && why != upstream->opening->why)
        snprintf(upstream->opening->why, sizeof upstream->opening->why, "%s", why);
}

/* This address did not lead to a usable server: the next one, if there is one. */
static void upstream_fail_address(struct upstream *upstream, const char *why)
{
    if (!upstream->opening) {
        upstream_lose(upstream, why);
        return;
    }
    upstream_complain(upstream, why);
    struct evutil_addrinfo *next = upstream->opening->address ? upstream->opening->address->ai_next : NULL;
    if (!next || upstream->state == UPSTREAM_RESOLVING) {
        upstream_lose(upstream, upstream->opening->why);
        return;
    }
    upstream->opening->address = next;
    upstream->opening->is_failing = true;
    stream_pause(&upstream->stream);
    upstream_set_timer(upstream, 0);
}

static void upstream_connect_to(struct upstream *upstream, const struct sockaddr *address, socklen_t len)
{
    struct upstream_opening *opening = upstream->opening;
    opening->step = STEP_GREETING;
    opening->is_secure = opening->is_failing = false;
    imapstate_buf_clear(&opening->greeting_names);
    imapstate_buf_clear(&opening->names);
    imapstate_frame_init(&upstream->frame, IMAPSTATE_FRAME_RESPONSES);
    stream_done(&upstream->stream);
    stream_init(&upstream->stream, upstream->worker->base, &upstream->worker->pool, -1, upstream_on_stream, upstream);
    upstream_enter(upstream, UPSTREAM_CONNECTING);
    upstream_set_timer(upstream, upstream->config->connect_timeout_ms);
    if (!stream_connect(&upstream->stream, address, len))
        upstream_fail_address(upstream, strerror(upstream->stream.error));
}

static void upstream_try_next(struct upstream *upstream)
{
    struct evutil_addrinfo *address = upstream->opening->address;
    upstream_connect_to(upstream, address->ai_addr, (socklen_t)address->ai_addrlen);
}

static void upstream_resolved(int error, struct evutil_addrinfo *addresses, void *arg)
{
    struct upstream_resolution *resolution = arg;
    struct upstream *upstream = resolution->upstream;
    free(resolution);
    if (!upstream) {
        if (addresses)
            evutil_freeaddrinfo(addresses);
        return;
    }
    upstream->opening->resolution = NULL;
    if (error || !addresses) {
        upstream_fail_address(upstream, error ? evutil_gai_strerror(error) : "name has no address");
        return;
    }
    upstream->opening->addresses = upstream->opening->address = addresses;
    upstream_try_next(upstream);
}

static void upstream_resolve(struct upstream *upstream)
{
    struct evutil_addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP };
    struct upstream_resolution *resolution = calloc(1, sizeof *resolution);
    if (!resolution) {
        upstream_fail_address(upstream, "out of memory");
        return;
    }
    resolution->upstream = upstream;
    upstream->opening->resolution = resolution;
    upstream_set_timer(upstream, upstream->config->connect_timeout_ms);
    struct evdns_getaddrinfo_request *request = evdns_getaddrinfo(
        upstream->worker->dns, upstream->config->host, upstream->config->port, &hints, upstream_resolved, resolution);
    /* NULL: it was answered from within the call, as numeric addresses are, and resolution is gone. */
    if (request)
        resolution->request = request;
}

static void upstream_begin(struct upstream *upstream)
{
    if (!upstream->config->is_unix) {
        upstream_resolve(upstream);
        return;
    }
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof address.sun_path, "%s", upstream->config->host);
    upstream_connect_to(upstream, (const struct sockaddr *)&address, sizeof address);
}

static void upstream_on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct upstream *upstream = arg;
    switch (upstream->state) {
    case UPSTREAM_RESOLVING:
        if (!upstream->opening->resolution)
            upstream_begin(upstream);
        else
            upstream_fail_address(upstream, "name resolution timed out");
        break;
    case UPSTREAM_CONNECTING:
    case UPSTREAM_SECURING:
    case UPSTREAM_PREPARING:
        if (upstream->opening && upstream->opening->is_failing)
            upstream_try_next(upstream);
        else
            upstream_fail_address(upstream, "timed out");
        break;
    case UPSTREAM_SETTLING:
    case UPSTREAM_LEAVING:
        upstream_die(upstream);
        break;
    default:
        upstream_lose(upstream, "answer timed out");
    }
}

static struct upstream *upstream_new(struct worker *worker, struct service *service,
                                     const struct config_upstream *config, enum upstream_state state)
{
    struct upstream *upstream = calloc(1, sizeof *upstream);
    if (!upstream)
        return NULL;
    upstream->worker = worker;
    upstream->service = service_ref(service);
    upstream->config = config;
    upstream->state = (uint8_t)state;
    upstream->born_at_ms = worker_now_ms();
    imapstate_frame_init(&upstream->frame, IMAPSTATE_FRAME_RESPONSES);
    imapstate_buf_init(&upstream->names, PRELUDE_NAMES_MAX);
    imapstate_buf_init(&upstream->resting, IMAPSTATE_STATE_MAX);
    imapstate_buf_init(&upstream->alerts, PARK_ALERTS_MAX);
    stream_init(&upstream->stream, worker->base, &worker->pool, -1, upstream_on_stream, upstream);
    evtimer_assign(&upstream->timer, worker->base, upstream_on_timer, upstream);
    list_init(&upstream->link);
    list_move(&upstream->link, &worker->upstreams[state]);
    return upstream;
}

struct upstream *upstream_open(struct client *client, const struct config_upstream *config)
{
    struct upstream_opening *opening = calloc(1, sizeof *opening);
    struct upstream *upstream =
        opening ? upstream_new(client->worker, client->service, config, UPSTREAM_RESOLVING) : NULL;
    if (!upstream) {
        free(opening);
        return NULL;
    }
    imapstate_buf_init(&opening->greeting_names, PRELUDE_NAMES_MAX);
    imapstate_buf_init(&opening->names, PRELUDE_NAMES_MAX);
    snprintf(opening->why, sizeof opening->why, "no address could be reached");
    upstream->opening = opening;
    upstream->client = client;
    /* A turn later, so that the caller has what it asked for before it hears of it. */
    upstream_set_timer(upstream, 0);
    return upstream;
}

/* --- preparing --- */

static void upstream_become_ready(struct upstream *upstream)
{
    upstream_close_opening(upstream);
    evtimer_del(&upstream->timer);
    upstream_enter(upstream, UPSTREAM_READY);
    client_upstream_ready(upstream->client);
}

static void upstream_say(struct upstream *upstream, enum upstream_step step, const char *command)
{
    upstream->opening->step = step;
    imapstate_buf_clear(&upstream->opening->names);
    stream_printf(&upstream->stream, UPSTREAM_TAG " %s\r\n", command);
    stream_flush(&upstream->stream);
}

static void upstream_secure(struct upstream *upstream)
{
    SSL *ssl = tls_connect(service_upstream_tls(upstream->service, upstream->config), upstream->config);
    if (!ssl) {
        upstream_fail_address(upstream, "out of memory");
        return;
    }
    upstream_enter(upstream, UPSTREAM_SECURING);
    stream_secure(&upstream->stream, ssl);
}

/* The list before login is known: what now? */
static void upstream_has_names(struct upstream *upstream, struct imapstate_span names)
{
    capability_parse(names, &upstream->before_login);
    if (upstream->config->tls == CONFIG_TLS_STARTTLS && !upstream->opening->is_secure) {
        if (upstream->before_login.starttls)
            upstream_say(upstream, STEP_STARTTLS, "STARTTLS");
        else
            upstream_fail_address(upstream, "the server offers no STARTTLS");
        return;
    }
    upstream_become_ready(upstream);
}

static bool upstream_is_preliminary(const struct upstream *upstream)
{
    return upstream->config->tls == CONFIG_TLS_STARTTLS && !upstream->opening->is_secure;
}

static void upstream_greeted(struct upstream *upstream, struct imapstate_span line)
{
    struct upstream_opening *opening = upstream->opening;
    struct imapstate_span names;
    if (!capability_find(line, &names)) {
        upstream_say(upstream, STEP_CAPABILITY, "CAPABILITY");
        return;
    }
    if (upstream_is_preliminary(upstream)) {
        upstream_has_names(upstream, names);
        return;
    }
    imapstate_buf_put(&opening->greeting_names, names);
    struct imapstate_buf known;
    imapstate_buf_init(&known, PRELUDE_NAMES_MAX);
    if (!prelude_names_for_greeting(upstream->config->name, names, worker_now_ms(), &known))
        upstream_say(upstream, STEP_CAPABILITY, "CAPABILITY");
    else
        upstream_has_names(upstream, imapstate_buf_span(&known));
    imapstate_buf_done(&known);
}

static bool upstream_line_begins(struct imapstate_span line, const char *words)
{
    struct imapstate_span want = imapstate_span_of(words);
    return line.len > want.len && imapstate_span_equal_nocase((struct imapstate_span){ line.at, want.len }, want) &&
           (line.at[want.len] == ' ' || line.at[want.len] == '\r');
}

static void upstream_hear_greeting(struct upstream *upstream, struct imapstate_span line)
{
    if (upstream_line_begins(line, "* OK"))
        upstream_greeted(upstream, line);
    else if (upstream_line_begins(line, "* PREAUTH"))
        /* Somebody is logged in already, and STARTTLS is not possible any more: an attacker's way to have us go on in
         * clear. */
        upstream_fail_address(upstream, "the server greets with PREAUTH");
    else if (upstream_line_begins(line, "* BYE"))
        upstream_fail_address(upstream, "the server greets with BYE");
    else
        upstream_fail_address(upstream, "the server's greeting is none of IMAP");
}

static void upstream_hear_tagged(struct upstream *upstream, bool is_ok)
{
    struct upstream_opening *opening = upstream->opening;
    switch (opening->step) {
    case STEP_CAPABILITY:
        if (!is_ok || opening->names.len == 0) {
            upstream_fail_address(upstream, "the server does not answer CAPABILITY");
            return;
        }
        if (!upstream_is_preliminary(upstream))
            prelude_learn_names(upstream->config->name, imapstate_buf_span(&opening->greeting_names),
                                imapstate_buf_span(&opening->names), worker_now_ms());
        upstream_has_names(upstream, imapstate_buf_span(&opening->names));
        return;
    case STEP_STARTTLS:
        if (!is_ok)
            upstream_fail_address(upstream, "the server refuses STARTTLS");
        else if (stream_input(&upstream->stream).len > 0)
            /* Written by whoever sits between us and the server, to be taken for the server's own under TLS. */
            upstream_fail_address(upstream, "octets in clear behind the answer to STARTTLS");
        else
            upstream_secure(upstream);
        return;
    case STEP_ID:
        upstream_become_ready(upstream);
        return;
    case STEP_GREETING:
        return;
    }
}

static void upstream_hear(struct upstream *upstream, struct imapstate_span line)
{
    struct upstream_opening *opening = upstream->opening;
    struct imapstate_span names;
    if (opening->step == STEP_GREETING)
        upstream_hear_greeting(upstream, line);
    else if (upstream_line_begins(line, UPSTREAM_TAG " OK"))
        upstream_hear_tagged(upstream, true);
    else if (upstream_line_begins(line, UPSTREAM_TAG))
        upstream_hear_tagged(upstream, false);
    else if (upstream_line_begins(line, "* BYE"))
        upstream_fail_address(upstream, "the server says BYE");
    else if (opening->step == STEP_CAPABILITY && capability_find(line, &names) && opening->names.len == 0)
        imapstate_buf_put(&opening->names, names);
    else if (opening->step == STEP_ID && upstream_line_begins(line, "* ID"))
        prelude_learn_id(upstream->config->name, line);
    else if (*line.at != '*')
        upstream_fail_address(upstream, "the server answers what was not asked");
}

/* Is the stream still where this pass over its input began? */
static bool upstream_is_opening(const struct upstream *upstream, const SSL *ssl)
{
    return upstream->opening && !upstream->opening->is_failing && upstream->stream.ssl == ssl &&
           upstream->state == UPSTREAM_PREPARING;
}

static void upstream_prepare(struct upstream *upstream)
{
    SSL *ssl = upstream->stream.ssl;
    while (upstream_is_opening(upstream, ssl)) {
        struct imapstate_piece piece;
        enum imapstate_frame_result result =
            imapstate_frame_next(&upstream->frame, stream_input(&upstream->stream), &piece);
        if (result == IMAPSTATE_FRAME_MORE && !stream_is_full(&upstream->stream))
            return;
        if (result != IMAPSTATE_FRAME_LINE && result != IMAPSTATE_FRAME_LITERAL) {
            upstream_fail_address(upstream, imapstate_strerror(imapstate_frame_error(&upstream->frame)));
            return;
        }
        stream_consume(&upstream->stream, piece.octets.len);
        if (result == IMAPSTATE_FRAME_LINE && piece.begins)
            upstream_hear(upstream, piece.octets);
    }
}

void upstream_introduce(struct upstream *upstream, struct imapstate_span arguments)
{
    struct upstream_opening *opening = calloc(1, sizeof *opening);
    if (!opening) {
        upstream_lose(upstream, "out of memory");
        return;
    }
    imapstate_buf_init(&opening->greeting_names, PRELUDE_NAMES_MAX);
    imapstate_buf_init(&opening->names, PRELUDE_NAMES_MAX);
    opening->is_secure = true;
    opening->step = STEP_ID;
    upstream->opening = opening;
    upstream->is_introduced = true;
    upstream_enter(upstream, UPSTREAM_PREPARING);
    upstream_set_timer(upstream, upstream->config->answer_timeout_ms);
    stream_put(&upstream->stream, IMAPSTATE_SPAN(UPSTREAM_TAG " ID "));
    stream_put(&upstream->stream, arguments);
    stream_put(&upstream->stream, IMAPSTATE_SPAN("\r\n"));
    stream_flush(&upstream->stream);
}

/* --- in use --- */

void upstream_log_in(struct upstream *upstream)
{
    upstream_enter(upstream, UPSTREAM_LOGGING_IN);
    upstream_await(upstream);
}

void upstream_attach(struct upstream *upstream)
{
    upstream_enter(upstream, UPSTREAM_ATTACHED);
    upstream_await_nothing(upstream);
}

void upstream_await(struct upstream *upstream)
{
    upstream_set_timer(upstream, upstream->config->answer_timeout_ms);
}

void upstream_await_nothing(struct upstream *upstream)
{
    evtimer_del(&upstream->timer);
}

void upstream_release(struct upstream *upstream, bool is_clean)
{
    if (!is_clean || upstream->has_said_bye || upstream->state != UPSTREAM_ATTACHED || upstream->stream.is_at_eof) {
        upstream_die(upstream);
        return;
    }
    upstream_enter(upstream, UPSTREAM_LEAVING);
    upstream->client = NULL;
    upstream_set_timer(upstream, UPSTREAM_LEAVING_MS);
    stream_put(&upstream->stream, IMAPSTATE_SPAN(UPSTREAM_TAG " LOGOUT\r\n"));
    stream_flush(&upstream->stream);
    stream_resume(&upstream->stream);
}

/* --- parked, and back --- */

/* An untagged response outside a session. ALERT is for the user, whoever's session it is (RFC 9051 section 7.1). False:
 * the connection is of no use any more. */
static bool upstream_hear_resting(struct upstream *upstream, const struct imapstate_piece *piece, bool may_have_data)
{
    struct imapstate_span line = piece->octets;
    bool is_status = upstream_line_begins(line, "* OK") || upstream_line_begins(line, "* NO");
    if ((is_status || upstream_line_begins(line, "* BAD")) &&
        imapstate_span_equal_nocase(relay_word(line, 2), IMAPSTATE_SPAN("[ALERT]")))
        return imapstate_buf_put(&upstream->alerts, line);
    return is_status || (may_have_data && !piece->is_text);
}

/* What has arrived on a parked connection. Nothing was asked, so there is little that can be taken without doubt. */
static bool upstream_look(struct upstream *upstream)
{
    if (!stream_read_now(&upstream->stream))
        return false;
    for (;;) {
        struct imapstate_span in = stream_input(&upstream->stream);
        struct imapstate_piece piece;
        if (in.len == 0)
            return true;
        if (imapstate_frame_next(&upstream->frame, in, &piece) != IMAPSTATE_FRAME_LINE ||
            !upstream_hear_resting(upstream, &piece, false))
            return false;
        stream_consume(&upstream->stream, piece.octets.len);
    }
}

static void upstream_take_parked(struct upstream *upstream, struct parked *parked)
{
    stream_adopt(&upstream->stream, parked->fd, parked->ssl);
    upstream->proof = parked->proof;
    upstream->names = parked->names;
    upstream->resting = parked->state;
    upstream->alerts = parked->alerts;
    upstream->born_at_ms = parked->born_at_ms;
    parked->fd = -1;
    parked->ssl = NULL;
    parked->proof = NULL;
    imapstate_buf_init(&parked->names, 0);
    imapstate_buf_init(&parked->state, 0);
    imapstate_buf_init(&parked->alerts, 0);
    parked_free(parked);
}

static void upstream_say_chore(struct upstream *upstream);

struct upstream *upstream_adopt(struct worker *worker, struct client *client, struct parked *parked)
{
    struct upstream *upstream =
        upstream_new(worker, parked->service, parked->config, client ? UPSTREAM_ATTACHED : UPSTREAM_SETTLING);
    if (!upstream) {
        parked_free(parked);
        return NULL;
    }
    uint64_t parked_at_ms = parked->parked_at_ms;
    upstream_take_parked(upstream, parked);
    if (!upstream_look(upstream)) {
        log_debug("park: found dead, or in doubt");
        upstream_die(upstream);
        return NULL;
    }
    upstream->client = client;
    upstream->is_woken = true;
    upstream->is_introduced = true;
    if (client) {
        stream_put(&client->stream, imapstate_buf_span(&upstream->alerts));
        imapstate_buf_done(&upstream->alerts);
    } else {
        upstream->chores = UPSTREAM_CHORE_NOOP;
        upstream->parked_at_ms = parked_at_ms;
        upstream_say_chore(upstream);
    }
    stream_start(&upstream->stream);
    return upstream;
}

/* The connection becomes a parked one, and this upstream ends. */
static void upstream_park(struct upstream *upstream)
{
    struct parked *parked = parked_new();
    if (parked && stream_give_away(&upstream->stream, &parked->fd, &parked->ssl)) {
        parked->proof = upstream->proof;
        parked->service = service_ref(upstream->service);
        parked->config = upstream->config;
        parked->names = upstream->names;
        parked->state = upstream->resting;
        parked->alerts = upstream->alerts;
        parked->born_at_ms = upstream->born_at_ms;
        parked->parked_at_ms = upstream->parked_at_ms ? upstream->parked_at_ms : worker_now_ms();
        parked->used_at_ms = worker_now_ms();
        upstream->proof = NULL;
        imapstate_buf_init(&upstream->names, 0);
        imapstate_buf_init(&upstream->resting, 0);
        imapstate_buf_init(&upstream->alerts, 0);
        log_debug("park: parked, %s", parked->state.len > 0 ? "in a state" : "pristine");
        park_put(parked, worker_now_ms());
    } else {
        parked_free(parked);
    }
    upstream_die(upstream);
}

static unsigned upstream_chore(const struct upstream *upstream)
{
    return upstream->chores & -upstream->chores;
}

static const char *upstream_chore_command(unsigned chore)
{
    switch (chore) {
    case UPSTREAM_CHORE_UNSELECT:
        return "UNSELECT";
    case UPSTREAM_CHORE_EXAMINE:
        return "EXAMINE INBOX";
    case UPSTREAM_CHORE_CLOSE:
        return "CLOSE";
    case UPSTREAM_CHORE_NOTIFY_NONE:
        return "NOTIFY NONE";
    default:
        return "NOOP";
    }
}

static void upstream_say_chore(struct upstream *upstream)
{
    upstream_await(upstream);
    stream_printf(&upstream->stream, UPSTREAM_TAG " %s\r\n", upstream_chore_command(upstream_chore(upstream)));
    stream_flush(&upstream->stream);
}

/* A chore was answered. False: the connection is not what it would be parked as. */
static bool upstream_finish_chore(struct upstream *upstream, bool is_ok)
{
    unsigned chore = upstream_chore(upstream);
    if (!is_ok && !(chore == UPSTREAM_CHORE_UNSELECT && upstream->may_fail_unselect))
        return false;
    upstream->chores &= (uint8_t)~chore;
    if (upstream->chores)
        upstream_say_chore(upstream);
    return true;
}

/* SETTLING: what the upstream says. False: it is of no use any more. */
static bool upstream_rest(struct upstream *upstream)
{
    while (upstream->state == UPSTREAM_SETTLING && stream_input(&upstream->stream).len > 0) {
        struct imapstate_piece piece;
        enum imapstate_frame_result result =
            imapstate_frame_next(&upstream->frame, stream_input(&upstream->stream), &piece);
        if (result == IMAPSTATE_FRAME_MORE)
            return upstream->chores != 0 && !stream_is_full(&upstream->stream);
        if (result != IMAPSTATE_FRAME_LINE && result != IMAPSTATE_FRAME_LITERAL)
            return false;
        stream_consume(&upstream->stream, piece.octets.len);
        if (result != IMAPSTATE_FRAME_LINE || !piece.begins)
            continue;
        bool is_answer = upstream_line_begins(piece.octets, UPSTREAM_TAG);
        if (is_answer ? !upstream_finish_chore(upstream, upstream_line_begins(piece.octets, UPSTREAM_TAG " OK"))
                      : !upstream_hear_resting(upstream, &piece, true))
            return false;
    }
    if (upstream->chores == 0)
        upstream_park(upstream);
    return true;
}

void upstream_settle(struct upstream *upstream, unsigned chores)
{
    upstream_enter(upstream, UPSTREAM_SETTLING);
    upstream->client = NULL;
    upstream->chores = (uint8_t)chores;
    if (chores == 0) {
        upstream_park(upstream);
        return;
    }
    upstream_say_chore(upstream);
    stream_resume(&upstream->stream);
}

bool upstream_has_written(const struct upstream *upstream)
{
    return upstream->stream.out_octets > 0;
}

void upstream_abandon(struct upstream *upstream)
{
    if (!upstream->client)
        upstream_die(upstream);
}

static void upstream_connected(struct upstream *upstream)
{
    if (upstream->config->send_client_address == CONFIG_CLIENT_ADDRESS_PROXY_V2) {
        struct imapstate_buf header;
        imapstate_buf_init(&header, PROXY_HEADER_MAX);
        if (proxy_write(&upstream->client->peer, &upstream->client->local, &header))
            stream_put(&upstream->stream, imapstate_buf_span(&header));
        imapstate_buf_done(&header);
        stream_flush(&upstream->stream);
    }
    if (upstream->config->tls == CONFIG_TLS_IMPLICIT) {
        upstream_secure(upstream);
        return;
    }
    upstream_enter(upstream, UPSTREAM_PREPARING);
    stream_start(&upstream->stream);
}

static void upstream_secured(struct upstream *upstream)
{
    struct upstream_opening *opening = upstream->opening;
    opening->is_secure = true;
    imapstate_frame_init(&upstream->frame, IMAPSTATE_FRAME_RESPONSES);
    upstream_enter(upstream, UPSTREAM_PREPARING);
    /* RFC 9051 section 6.2.1: what was known of the capabilities before TLS is void. */
    if (upstream->config->tls == CONFIG_TLS_STARTTLS)
        upstream_say(upstream, STEP_CAPABILITY, "CAPABILITY");
}

static void upstream_ended(struct upstream *upstream)
{
    const struct stream *stream = &upstream->stream;
    const char *refused = stream->is_securing ? tls_verify_failure(stream->ssl) : NULL;
    char words[160];
    snprintf(words, sizeof words, "%s%s", refused ? "certificate refused: " : "",
             refused ? refused : stream_failure(stream));
    if (upstream->opening && upstream->state < UPSTREAM_READY)
        upstream_fail_address(upstream, words);
    else if (upstream->state == UPSTREAM_LEAVING || upstream->state == UPSTREAM_SETTLING)
        upstream_die(upstream);
    else
        upstream_lose(upstream, words);
}

static void upstream_heard(struct upstream *upstream)
{
    switch (upstream->state) {
    case UPSTREAM_PREPARING:
        upstream_prepare(upstream);
        break;
    case UPSTREAM_LOGGING_IN:
    case UPSTREAM_ATTACHED:
        relay_up(upstream->client);
        break;
    case UPSTREAM_READY:
        /* Nothing was asked. Whatever it is, it is not a connection to log in on. */
        upstream_lose(upstream, "the server speaks unasked before login");
        break;
    case UPSTREAM_SETTLING:
        if (!upstream_rest(upstream))
            upstream_die(upstream);
        break;
    case UPSTREAM_LEAVING:
        stream_consume(&upstream->stream, stream_input(&upstream->stream).len);
        break;
    default:
        break;
    }
}

static void upstream_on_stream(void *owner, enum stream_event event)
{
    struct upstream *upstream = owner;
    if (upstream->state == UPSTREAM_DEAD || (upstream->opening && upstream->opening->is_failing))
        return;
    switch (event) {
    case STREAM_CONNECTED:
        upstream_connected(upstream);
        break;
    case STREAM_SECURE:
        upstream_secured(upstream);
        break;
    case STREAM_INPUT:
        upstream_heard(upstream);
        break;
    case STREAM_DRAINED:
        if (upstream->client)
            client_go_on(upstream->client);
        break;
    case STREAM_EOF:
    case STREAM_CLOSED:
        upstream_ended(upstream);
        break;
    }
}
