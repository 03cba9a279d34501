#include "connecting.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "candidates.h"
#include "capability.h"
#include "config.h"
#include "histogram.h"
#include "list.h"
#include "log.h"
#include "logline.h"
#include "loop.h"
#include "offers.h"
#include "opening.h"
#include "outage.h"
#include "park.h"
#include "prelude.h"
#include "proxy.h"
#include "queue.h"
#include "race.h"
#include "resumption.h"
#include "scout.h"
#include "service.h"
#include "stream.h"
#include "tag.h"
#include "tls.h"
#include "upstream.h"
#include "words.h"

/* Of the reason in a line of log. */
#define CONNECTING_WHY_SIZE 160

/* How often one that waits for a place looks whether that is still worth it. */
#define CONNECTING_LOOK_MS 1000u

/* What the gateway says of itself. */
#define CONNECTING_OWN_ID "(\"name\" \"imapstate\")"

static const struct imapstate_span no_words;

static void connecting_enter(struct upstream *upstream, enum opening_step next)
{
    if (!opening_enter(upstream->opening, next))
        stream_break(&upstream->stream, "unforeseen state");
}

bool connecting_is_failing(const struct upstream *upstream)
{
    return upstream->opening && upstream->opening->step == OPENING_FAILING;
}

/* --- addresses --- */

/* What is left of this try is of no interest; another begins, at the same address or at the next one. */
static void connecting_try_later(struct upstream *upstream, uint64_t after_ms, bool is_next)
{
    if (is_next)
        opening_advance(upstream->opening);
    connecting_enter(upstream, OPENING_FAILING);
    stream_pause(&upstream->stream);
    upstream_set_timer(upstream, after_ms);
}

/* Why nothing was connected, or cannot be. */
static enum upstream_failure connecting_failure(int error)
{
    bool is_ours = error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS || error == EADDRNOTAVAIL;
    return is_ours ? UPSTREAM_FAILED_RESOURCES : UPSTREAM_FAILED_CONNECT;
}

/* The stream has ended. */
static enum upstream_failure connecting_end_failure(const struct upstream *upstream)
{
    if (upstream->state == UPSTREAM_CONNECTING)
        return connecting_failure(upstream->stream.error);
    return upstream->stream.is_securing ? UPSTREAM_FAILED_TLS : UPSTREAM_FAILED_CLOSED;
}

/* Why it has failed last is told by whoever is out last. */
static void connecting_give_up(struct upstream *upstream)
{
    const struct race *race = upstream->opening->runner.race;
    struct upstream *leader = race && race->leader ? race->leader : upstream;
    char why[sizeof upstream->opening->why];
    snprintf(why, sizeof why, "%s", upstream->opening->why);
    if (leader != upstream)
        upstream_die(upstream);
    upstream_lose(leader, why);
}

/* Others go on: a rival ends, and the leader waits for what becomes of them. */
static void connecting_bow_out(struct upstream *upstream)
{
    if (upstream->opening->runner.is_rival) {
        upstream_die(upstream);
        return;
    }
    upstream->opening->runner.is_out = true;
    queue_give_up(&upstream->opening->queued);
    if (upstream->state == UPSTREAM_QUEUED || upstream->state == UPSTREAM_RESOLVING)
        upstream_await_nothing(upstream); /* nothing is connected */
    else
        connecting_try_later(upstream, 0, false);
}

/* Whatever else could be tried, it is not. */
static void connecting_stop(struct upstream *upstream, const char *why)
{
    struct opening *opening = upstream->opening;
    snprintf(opening->why, sizeof opening->why, "%s", why);
    if (race_has_others(opening->runner.race, &opening->runner))
        connecting_bow_out(upstream);
    else
        connecting_give_up(upstream);
}

/* This address did not lead to a usable server: the next one, if there is one. */
static void connecting_fail(struct upstream *upstream, enum upstream_failure failure, const char *why)
{
    struct opening *opening = upstream->opening;
    upstream_count_failure(upstream, failure);
    opening_fail(opening, upstream->owner.mark, failure == UPSTREAM_FAILED_RESOURCES, why, upstream_now_ms(upstream));
    queue_leave(&upstream->kept.stay); /* the next address has places of its own */
    if (opening_goes_on(opening))
        connecting_try_later(upstream, 0, true);
    else if (race_has_others(opening->runner.race, &opening->runner))
        connecting_bow_out(upstream);
    else
        connecting_give_up(upstream);
}

/* The same, but a server that has hung up is tried again if a parked connection can give way. */
static void connecting_hung_up(struct upstream *upstream, enum upstream_failure failure, const char *why)
{
    uint64_t after_ms;
    if (upstream->state == UPSTREAM_CONNECTING || !opening_tries_again(upstream->opening, &after_ms)) {
        connecting_fail(upstream, failure, why);
        return;
    }
    upstream_count_failure(upstream, failure);
    upstream_log(upstream, LOG_LEVEL_DEBUG, "%s; tried again", why);
    connecting_try_later(upstream, after_ms, false);
}

static void connecting_await(struct upstream *upstream)
{
    upstream_set_timer(upstream, opening_patience_ms(upstream->opening, upstream_now_ms(upstream)));
}

/* What cannot be seen when the configuration is read: a name has an address that is ours. True: this was it. */
static bool connecting_leads_back(struct upstream *upstream, const struct endpoint *endpoint)
{
    char why[CONNECTING_WHY_SIZE];
    const struct config_listener *listener = config_find_listener(upstream->service->config, endpoint);
    if (!listener)
        return false;
    snprintf(why, sizeof why, "it leads to listener \"%s\", and so back to this gateway", listener->name);
    connecting_fail(upstream, UPSTREAM_FAILED_CONNECT, why);
    return true;
}

static void connecting_connect(struct upstream *upstream)
{
    const struct endpoint *endpoint = opening_begin_try(upstream->opening, upstream_now_ms(upstream));
    upstream->opening->began_at_us = loop_now_us(upstream->upstreams->loop);
    connecting_enter(upstream, OPENING_GREETING);
    imapstate_frame_init(&upstream->frame, IMAPSTATE_FRAME_RESPONSES);
    upstream_enter(upstream, UPSTREAM_CONNECTING);
    connecting_await(upstream);
    if (connecting_leads_back(upstream, endpoint))
        return;
    if (!stream_connect(&upstream->stream, &endpoint->sockaddr.any, endpoint->len))
        connecting_fail(upstream, connecting_failure(upstream->stream.error), strerror(upstream->stream.error));
}

/* --- places --- */

static void connecting_wait(struct upstream *upstream)
{
    uint64_t left_ms = queue_left_ms(&upstream->opening->queued, upstream_now_ms(upstream));
    park_make_room(upstream->opening->queued.queue);
    upstream_set_timer(upstream, left_ms < CONNECTING_LOOK_MS ? left_ms : CONNECTING_LOOK_MS);
}

/* What the gateway wants to know for itself waits for nobody, and is not counted. Nobody waits while another address
 * that works has a place. */
static enum queue_answer connecting_ask_for_place(struct upstream *upstream, const char *address)
{
    struct opening *opening = upstream->opening;
    if (opening->is_looking || upstream->kept.stay.queue)
        return QUEUE_ADMITTED;
    opening->queued.desk = &upstream->upstreams->desk;
    opening->queued.owner = upstream;
    struct queue_wait *wait = opening_may_pass(opening) ? NULL : &opening->queued;
    return queue_enter(upstream->config, address, opening->lane, &upstream->kept.stay, wait, upstream_now_ms(upstream));
}

static void connecting_try(struct upstream *upstream)
{
    char text[ADDRESS_TEXT_MAX];
    const char *address = opening_address(upstream->opening, text);
    enum queue_answer answer = connecting_ask_for_place(upstream, address);
    while (answer == QUEUE_IS_FULL) {
        opening_pass(upstream->opening);
        address = opening_address(upstream->opening, text);
        answer = connecting_ask_for_place(upstream, address);
    }
    upstream->member = upstream->opening->candidate.member;
    upstream_set_place(upstream, address);
    upstream_renew_stream(upstream);
    switch (answer) {
    case QUEUE_ADMITTED:
        connecting_connect(upstream);
        break;
    case QUEUE_WAITS:
        upstream_enter(upstream, UPSTREAM_QUEUED);
        connecting_wait(upstream);
        break;
    case QUEUE_IS_FULL:
    case QUEUE_NO_MEMORY:
        upstream_count_failure(upstream, UPSTREAM_FAILED_RESOURCES);
        connecting_stop(upstream, "out of memory");
        break;
    }
}

/* It has its place. */
static void connecting_go(struct upstream *upstream)
{
    const struct queue_wait *queued = &upstream->opening->queued;
    uint64_t waited_ms = upstream_now_ms(upstream) - queued->since_ms;
    upstream->queued_ms += (uint32_t)waited_ms; /* each address may have made it wait, up to queue_timeout */
    histogram_note(&upstream->place->queued, waited_ms * 1000);
    upstream_log(upstream, LOG_LEVEL_DEBUG, "has waited %" PRIu64 " ms for a place", waited_ms);
    connecting_connect(upstream);
}

void connecting_is_called(struct upstream *upstream)
{
    if (queue_take_called(&upstream->opening->queued, &upstream->kept.stay))
        connecting_go(upstream);
}

/* Where others wait, none is free: nobody is passed by. */
static bool connecting_has_place_at(struct upstream *upstream, const struct candidate *candidate)
{
    char text[ADDRESS_TEXT_MAX];
    return !outage_is(upstream->config->name, candidate->member->text) &&
           queue_enter(upstream->config, candidate_text(candidate, text), upstream->opening->lane, &upstream->kept.stay,
                       NULL, upstream_now_ms(upstream)) == QUEUE_ADMITTED;
}

/* Nobody waits at one address while another has a place. True: it has gone there. */
static bool connecting_goes_elsewhere(struct upstream *upstream)
{
    struct opening *opening = upstream->opening;
    const struct candidate *other;
    unsigned n = 0;
    while ((other = opening_other(opening, n)) && !connecting_has_place_at(upstream, other))
        n++;
    if (!other)
        return false;
    char text[ADDRESS_TEXT_MAX];
    queue_give_up(&opening->queued);
    opening_change_to(opening, n);
    upstream->member = opening->candidate.member;
    upstream_set_place(upstream, opening_address(opening, text));
    connecting_go(upstream);
    return true;
}

static void connecting_waited_in_vain(struct upstream *upstream)
{
    static const char why[] = "no place in queue_timeout (max_logins, max_sessions)";
    upstream->place->queue_timeouts++;
    opening_complain(upstream->opening, upstream->owner.mark, why);
    connecting_stop(upstream, why);
}

/* QUEUED: the time is over, or there may be news. */
static void connecting_wait_on(struct upstream *upstream)
{
    connecting_is_called(upstream);
    if (upstream->state != UPSTREAM_QUEUED || connecting_goes_elsewhere(upstream))
        return;
    if (outage_is(upstream->config->name, upstream->member->text))
        connecting_stop(upstream, "the operator has taken it down");
    else if (queue_left_ms(&upstream->opening->queued, upstream_now_ms(upstream)) == 0)
        connecting_waited_in_vain(upstream);
    else
        connecting_wait(upstream);
}

/* RESOLVING: at first, and again whenever there may be news of the addresses of names. */
static void connecting_look_up(struct upstream *upstream)
{
    uint64_t wait_ms;
    const char *why;
    if (opening_advance(upstream->opening)) { /* it was told where to */
        connecting_try(upstream);
        return;
    }
    if (outage_is(upstream->config->name, NULL)) {
        upstream_lose(upstream, "the operator has taken it down");
        return;
    }
    switch (opening_look_up(upstream->opening, upstream_now_ms(upstream), &wait_ms, &why)) {
    case RESOLVER_KNOWN:
        opening_advance(upstream->opening);
        connecting_try(upstream);
        break;
    case RESOLVER_ASKED:
        if (wait_ms > 0)
            upstream_set_timer(upstream, wait_ms);
        else
            connecting_fail(upstream, UPSTREAM_FAILED_NAME, "name resolution timed out");
        break;
    case RESOLVER_UNKNOWN:
        connecting_fail(upstream, UPSTREAM_FAILED_NAME, why);
        break;
    }
}

void connecting_put_off(struct upstream *upstream, uint64_t after_ms)
{
    upstream_set_timer(upstream, after_ms);
}

void connecting_look_again(struct upstream *upstream)
{
    if (upstream->opening->wait.began_at_ms > 0)
        upstream_set_timer(upstream, 0);
}

/* --- several at a time --- */

/* A rival has no owner; what is logged of it is the leader's session's. */
static struct upstream *connecting_make_rival(struct upstream *upstream)
{
    struct race *race = upstream->opening->runner.race;
    struct upstream *rival = upstream_new(upstream->upstreams, upstream->service, upstream->config, UPSTREAM_RESOLVING);
    if (!rival)
        return NULL;
    rival->opening = opening_new(upstream->config, NULL);
    if (!rival->opening || !race_join(&rival->opening->runner, rival, race)) {
        upstream_die(rival);
        return NULL;
    }
    rival->owner.mark = race->leader->owner.mark;
    rival->opening->is_looking = upstream->opening->is_looking;
    rival->opening->lane = upstream->opening->lane;
    rival->opening->peer = upstream->opening->peer;
    rival->opening->local = upstream->opening->local;
    return rival;
}

/* A scout's address is put off instead: what it learns has to be from one server. */
static void connecting_overtake(struct upstream *upstream)
{
    if (!opening_goes_on(upstream->opening))
        return;
    if (upstream->opening->scout) {
        opening_puts_off(upstream->opening, upstream_now_ms(upstream));
        connecting_try_later(upstream, 0, true);
        return;
    }
    struct upstream *rival = connecting_make_rival(upstream);
    if (!rival)
        return;
    upstream_log(upstream, LOG_LEVEL_DEBUG, "silent; another address is tried beside it");
    opening_advance(rival->opening);
    connecting_try(rival);
}

/* Somebody has won. A server that was silent is left to find out whether it works, by one at a time; what has been
 * greeted says LOGOUT. */
static void connecting_let_go(struct upstream *upstream)
{
    struct opening *opening = upstream->opening;
    bool is_running = !opening->runner.is_out && !connecting_is_failing(upstream);
    bool goes_on = is_running && opening->has_stalled && opening_lose(opening, upstream_now_ms(upstream));
    race_leave(&opening->runner);
    upstream_disown(upstream);
    queue_leave(&upstream->kept.stay); /* nobody logs in on it */
    if (goes_on) {
        opening->is_looking = true;
    } else if (is_running && upstream->state == UPSTREAM_PREPARING && opening->step != OPENING_GREETING) {
        opening_free(opening);
        upstream->opening = NULL;
        upstream_take_leave(upstream);
    } else {
        upstream_die(upstream);
    }
}

/* It is ready: it works for the leader's owner from here on, and nobody else does. */
static void connecting_win(struct upstream *upstream)
{
    struct race *race = upstream->opening->runner.race;
    if (!race)
        return;
    if (race->leader != upstream) {
        upstream->owner = race->leader->owner;
        upstream_disown(race->leader);
    }
    race->leader = NULL;
    list_each_safe(link, &race->runners)
    {
        struct runner *runner = list_entry(link, struct runner, link);
        if (runner->upstream != upstream)
            connecting_let_go(runner->upstream);
    }
    race_leave(&upstream->opening->runner);
}

void connecting_abandon(struct upstream *upstream)
{
    struct race *race = upstream->opening ? upstream->opening->runner.race : NULL;
    if (!race || race->leader != upstream)
        return;
    race->leader = NULL;
    list_each_safe(link, &race->runners)
    {
        struct runner *runner = list_entry(link, struct runner, link);
        if (runner->upstream != upstream)
            upstream_die(runner->upstream);
    }
}

static void connecting_on_silence(struct upstream *upstream)
{
    struct opening *opening = upstream->opening;
    uint64_t now_ms = upstream_now_ms(upstream);
    if (opening->runner.is_out) {
        upstream_renew_stream(upstream);
    } else if (connecting_is_failing(upstream)) {
        connecting_try(upstream);
    } else if (opening_is_late(opening, now_ms)) {
        connecting_fail(upstream, UPSTREAM_FAILED_TIMEOUT, "timed out");
    } else {
        if (opening_wants_room(opening, now_ms))
            opening_makes_room(opening);
        if (opening_stalls(opening, now_ms))
            connecting_overtake(upstream);
        if (!connecting_is_failing(upstream))
            connecting_await(upstream);
    }
}

void connecting_on_timer(struct upstream *upstream)
{
    if (upstream->state == UPSTREAM_RESOLVING)
        connecting_look_up(upstream);
    else if (upstream->state == UPSTREAM_QUEUED)
        connecting_wait_on(upstream);
    else
        connecting_on_silence(upstream);
}

static bool connecting_open(struct upstream *upstream, struct scout *scout)
{
    upstream->opening = opening_new(upstream->config, scout);
    if (!upstream->opening || !race_begin(&upstream->opening->runner, upstream))
        return false;
    upstream_set_timer(upstream, 0);
    return true;
}

bool connecting_begin(struct upstream *upstream, const struct upstream_ends *ends)
{
    if (!connecting_open(upstream, NULL))
        return false;
    upstream->opening->is_looking = !ends;
    if (ends) {
        upstream->opening->peer = *ends->peer;
        upstream->opening->local = *ends->local;
        upstream->opening->lane = ends->lane;
        imapstate_buf_put(&upstream->opening->user, ends->user);
    }
    return true;
}

bool connecting_begin_scout(struct upstream *upstream, const struct config_member *member, struct scout *scout)
{
    if (!connecting_open(upstream, scout))
        return false;
    upstream->opening->only = member;
    return true;
}

bool connecting_begin_check(struct upstream *upstream, const struct candidate *candidate)
{
    struct candidate *copy = malloc(sizeof *copy);
    if (!copy || !connecting_open(upstream, NULL)) {
        free(copy);
        return false;
    }
    *copy = *candidate;
    upstream->opening->is_looking = true;
    upstream->opening->runner.race->candidates = (struct candidates){ copy, 1, NULL };
    return true;
}

/* --- prepared --- */

static void connecting_warn_of_id(const struct config_upstream *config)
{
    struct logline line;
    if (!log_is_on(LOG_LEVEL_WARNING))
        return;
    log_begin(&line, LOG_LEVEL_WARNING);
    logline_words(&line, "upstream", config->name);
    logline_gap(&line, ": ");
    log_end_with(&line, "send_client_address = \"id\" has no effect, as the server does not offer ID");
}

/* Told once for each member, not at each login; once for all the addresses that only routes lead to, which may be
 * many. */
static void connecting_check_id(const struct upstream *upstream)
{
    const struct config_upstream *config = upstream->config;
    const struct config_member *member = config->base ? &config->base->members[0] : upstream->member;
    bool is_wanted = config->send_client_address == CONFIG_CLIENT_ADDRESS_ID;
    if (is_wanted && prelude_misses_id(config->name, member->text, upstream->before_login.id))
        connecting_warn_of_id(config);
}

/* Behind what has come to an end here, is there an answer to a command that was never given? The next one would be
 * taken to be answered by it: that is the login. */
static bool connecting_is_ahead(const struct upstream *upstream)
{
    struct imapstate_span in = stream_input(&upstream->stream);
    while (in.len > 0 && *in.at == '*') {
        const uint8_t *lf = memchr(in.at, '\n', in.len);
        size_t len = lf ? (size_t)(lf + 1 - in.at) : in.len;
        in = (struct imapstate_span){ in.at + len, in.len - len };
    }
    return in.len > 0;
}

static void connecting_count_success(struct upstream *upstream)
{
    uint64_t began_at_us = upstream->opening->began_at_us;
    if (began_at_us == 0) /* it was ready before it has sent an ID */
        return;
    struct upstream_place *place = upstream_have_place(upstream);
    histogram_note(&place->connect, loop_now_us(upstream->upstreams->loop) - began_at_us);
    place->good_at_ms = upstream_now_ms(upstream);
}

static void connecting_finish(struct upstream *upstream)
{
    bool is_scouting = upstream->opening->scout;
    if (connecting_is_ahead(upstream)) {
        connecting_fail(upstream, UPSTREAM_FAILED_PROTOCOL, "the server answers what was not asked");
        return;
    }
    if (!is_scouting)
        connecting_check_id(upstream);
    opening_succeed(upstream->opening, upstream_now_ms(upstream));
    connecting_count_success(upstream);
    connecting_win(upstream);
    opening_free(upstream->opening);
    upstream->opening = NULL;
    upstream_await_nothing(upstream);
    upstream_enter(upstream, UPSTREAM_READY);
    if (!upstream->owner.callback) /* it has seen what there is to see */
        upstream_take_leave(upstream);
    else
        upstream_tell(upstream, UPSTREAM_PREPARED, no_words);
}

static void connecting_say(struct upstream *upstream, enum opening_step step, const char *command)
{
    connecting_enter(upstream, step);
    if (step == OPENING_CAPABILITY)
        imapstate_buf_clear(&upstream->opening->names);
    stream_printf(&upstream->stream, UPSTREAM_TAG " %s\r\n", command);
    stream_flush(&upstream->stream);
}

static void connecting_secure(struct upstream *upstream)
{
    if (!stream_is_drained(&upstream->stream)) {
        /* What is left of a PROXY header would be lost. */
        connecting_fail(upstream, UPSTREAM_FAILED_PROTOCOL, "the server does not accept the PROXY header");
        return;
    }
    char place[ADDRESS_TEXT_MAX];
    SSL *ssl = tls_peer(service_upstream_tls(upstream->service, upstream->config), upstream->member->tls_name,
                        opening_address(upstream->opening, place));
    if (!ssl) {
        connecting_fail(upstream, UPSTREAM_FAILED_RESOURCES, "out of memory");
        return;
    }
    upstream_enter(upstream, UPSTREAM_SECURING);
    stream_secure(&upstream->stream, ssl);
}

/* The list before login is known: what now? */
static void connecting_has_names(struct upstream *upstream, struct imapstate_span names)
{
    struct scout *scout = upstream->opening->scout;
    capability_parse(names, &upstream->before_login);
    if (opening_is_preliminary(upstream->opening)) {
        if (upstream->before_login.starttls)
            connecting_say(upstream, OPENING_STARTTLS, "STARTTLS");
        else
            connecting_fail(upstream, UPSTREAM_FAILED_STARTTLS, "the server offers no STARTTLS");
        return;
    }
    if (scout)
        scout_learn_names(scout, names);
    if (scout && upstream->before_login.id)
        connecting_say(upstream, OPENING_ID, "ID " CONNECTING_OWN_ID);
    else
        connecting_finish(upstream);
}

/* --- the greeting --- */

static void connecting_greeted(struct upstream *upstream, struct imapstate_span line)
{
    struct scout *scout = upstream->opening->scout;
    struct imapstate_span names = { 0 };
    struct offers *known = NULL;
    bool has_names = capability_find(line, &names);
    if (has_names && opening_is_preliminary(upstream->opening)) {
        connecting_has_names(upstream, names);
    } else if (scout || !has_names ||
               !(known = prelude_offers_for_greeting(upstream->config->name, upstream->member->text, names,
                                                     upstream_now_ms(upstream)))) {
        if (scout)
            scout_learn_greeting_names(scout, names);
        connecting_say(upstream, OPENING_CAPABILITY, "CAPABILITY");
    } else {
        connecting_has_names(upstream, offers_names(known));
    }
    offers_unref(known);
}

/* Why, in the server's own words, as far as they can stand in a line of log. */
static void connecting_quote_bye(const char *head, struct imapstate_span line, char ret_why[CONNECTING_WHY_SIZE])
{
    int len = snprintf(ret_why, CONNECTING_WHY_SIZE, "%s:", head);
    line = imapstate_span_without_line_end(line);
    for (size_t at = strlen("* BYE"); at < line.len && len + 1 < CONNECTING_WHY_SIZE; at++)
        ret_why[len++] = line.at[at] >= 0x20 && line.at[at] < 0x7f ? (char)line.at[at] : '?';
    ret_why[len] = '\0';
}

static void connecting_is_turned_away(struct upstream *upstream, struct imapstate_span line)
{
    char why[CONNECTING_WHY_SIZE];
    connecting_quote_bye("the server greets with BYE", line, why);
    connecting_hung_up(upstream, UPSTREAM_FAILED_BYE, why);
}

static void connecting_is_hung_up_on(struct upstream *upstream, struct imapstate_span line)
{
    char why[CONNECTING_WHY_SIZE];
    connecting_quote_bye("the server says BYE", line, why);
    connecting_fail(upstream, UPSTREAM_FAILED_BYE, why);
}

/* Does a line begin with these two words, whatever stands behind them? */
static bool connecting_is(struct imapstate_span line, const char *tag, const char *word)
{
    return word_is(words_at(line, 0), tag) && word_is(words_at(line, 1), word);
}

static void connecting_hear_greeting(struct upstream *upstream, struct imapstate_span line)
{
    if (connecting_is(line, "*", "OK"))
        connecting_greeted(upstream, line);
    else if (connecting_is(line, "*", "PREAUTH"))
        /* Somebody is logged in already, and STARTTLS is not possible any more: an attacker's way to have us go on in
         * clear. */
        connecting_fail(upstream, UPSTREAM_FAILED_PROTOCOL, "the server greets with PREAUTH");
    else if (connecting_is(line, "*", "BYE"))
        connecting_is_turned_away(upstream, line);
    else
        connecting_fail(upstream, UPSTREAM_FAILED_PROTOCOL, "the server's greeting is not IMAP");
}

/* --- answers --- */

/* Has the server been asked as the scout asks it? Behind a PROXY header it may have another answer for each client. */
static bool connecting_is_comparable(const struct upstream *upstream)
{
    return !upstream->opening->scout && !opening_is_preliminary(upstream->opening) &&
           upstream->config->send_client_address != CONFIG_CLIENT_ADDRESS_PROXY_V2;
}

static void connecting_hear_capability(struct upstream *upstream, bool is_ok)
{
    struct imapstate_span names = imapstate_buf_span(&upstream->opening->names);
    if (!is_ok || names.len == 0) {
        connecting_fail(upstream, UPSTREAM_FAILED_PROTOCOL, "the server does not answer CAPABILITY");
        return;
    }
    if (connecting_is_comparable(upstream))
        prelude_compare(upstream->config->name, upstream->member->text, names);
    connecting_has_names(upstream, names);
}

static void connecting_hear_starttls(struct upstream *upstream, bool is_ok)
{
    if (!is_ok)
        connecting_fail(upstream, UPSTREAM_FAILED_STARTTLS, "the server refuses STARTTLS");
    else if (stream_input(&upstream->stream).len > 0)
        /* Written by whoever sits between us and the server, to be taken for the server's own under TLS. */
        connecting_fail(upstream, UPSTREAM_FAILED_STARTTLS, "unencrypted octets after the answer to STARTTLS");
    else
        connecting_secure(upstream);
}

static void connecting_hear_tagged(struct upstream *upstream, bool is_ok)
{
    switch ((enum opening_step)upstream->opening->step) {
    case OPENING_CAPABILITY:
        connecting_hear_capability(upstream, is_ok);
        break;
    case OPENING_STARTTLS:
        connecting_hear_starttls(upstream, is_ok);
        break;
    case OPENING_ID:
        connecting_finish(upstream);
        break;
    default:
        break;
    }
}

/* What the server has to say to whoever connects, for the client whose login this is, or for all who are let in without
 * it; and what it says as it hangs up. Not what came in clear where TLS is to come: who knows whose words they are? */
static void connecting_heed(struct upstream *upstream, struct imapstate_span line)
{
    if (opening_is_preliminary(upstream->opening))
        return;
    struct race *race = upstream->opening->runner.race;
    if (upstream->opening->scout)
        scout_hear_line(upstream->opening->scout, line);
    else
        upstream_tell(race && race->leader ? race->leader : upstream, UPSTREAM_TOLD, line);
}

static void connecting_hear(struct upstream *upstream, struct imapstate_span line)
{
    struct opening *opening = upstream->opening;
    struct imapstate_span names;
    if (opening->step == OPENING_GREETING)
        connecting_hear_greeting(upstream, line);
    else if (word_is(words_at(line, 0), UPSTREAM_TAG))
        connecting_hear_tagged(upstream, connecting_is(line, UPSTREAM_TAG, "OK"));
    else if (connecting_is(line, "*", "BYE"))
        connecting_is_hung_up_on(upstream, line);
    else if (opening->step == OPENING_CAPABILITY && capability_find(line, &names) && opening->names.len == 0)
        imapstate_buf_put(&opening->names, names);
    else if (*line.at != '*')
        connecting_fail(upstream, UPSTREAM_FAILED_PROTOCOL, "the server answers what was not asked");
}

static void connecting_hear_piece(struct upstream *upstream, const struct imapstate_piece *piece, bool is_line)
{
    struct opening *opening = upstream->opening;
    if (opening->scout && opening->step == OPENING_ID)
        scout_hear_piece(opening->scout, piece);
    if (!is_line || !piece->begins)
        return;
    connecting_heed(upstream, piece->octets);
    if (upstream->opening == opening) /* whoever was told may have let go of it */
        connecting_hear(upstream, piece->octets);
}

/* Is the stream still where this pass over its input began? */
static bool connecting_goes_on(const struct upstream *upstream, const SSL *ssl)
{
    return upstream->opening && !connecting_is_failing(upstream) && upstream->stream.ssl == ssl &&
           upstream->state == UPSTREAM_PREPARING;
}

/* --- the stream --- */

void connecting_heard(struct upstream *upstream)
{
    SSL *ssl = upstream->stream.ssl;
    while (connecting_goes_on(upstream, ssl)) {
        struct imapstate_piece piece;
        enum imapstate_frame_result result =
            imapstate_frame_next(&upstream->frame, stream_input(&upstream->stream), &piece);
        if (result == IMAPSTATE_FRAME_MORE && !stream_is_full(&upstream->stream))
            return;
        if (result != IMAPSTATE_FRAME_LINE && result != IMAPSTATE_FRAME_LITERAL) {
            connecting_fail(upstream, UPSTREAM_FAILED_PROTOCOL,
                            imapstate_strerror(imapstate_frame_error(&upstream->frame)));
            return;
        }
        stream_consume(&upstream->stream, piece.octets.len);
        opening_progress(upstream->opening, upstream_now_ms(upstream));
        connecting_hear_piece(upstream, &piece, result == IMAPSTATE_FRAME_LINE);
    }
}

static void connecting_put_proxy_header(struct upstream *upstream)
{
    struct imapstate_buf header;
    imapstate_buf_init(&header, PROXY_HEADER_MAX);
    if (proxy_write(&upstream->opening->peer, &upstream->opening->local, &header))
        stream_put(&upstream->stream, imapstate_buf_span(&header));
    imapstate_buf_done(&header);
    stream_flush(&upstream->stream);
}

void connecting_connected(struct upstream *upstream)
{
    opening_progress(upstream->opening, upstream_now_ms(upstream));
    if (upstream->config->send_client_address == CONFIG_CLIENT_ADDRESS_PROXY_V2)
        connecting_put_proxy_header(upstream);
    if (upstream->config->tls == CONFIG_TLS_IMPLICIT) {
        connecting_secure(upstream);
        return;
    }
    upstream_enter(upstream, UPSTREAM_PREPARING);
    stream_start(&upstream->stream);
}

void connecting_secured(struct upstream *upstream)
{
    resumption_settle(upstream->stream.ssl);
    upstream->opening->is_secure = true;
    opening_progress(upstream->opening, upstream_now_ms(upstream));
    imapstate_frame_init(&upstream->frame, IMAPSTATE_FRAME_RESPONSES);
    upstream_enter(upstream, UPSTREAM_PREPARING);
    /* RFC 9051 section 6.2.1: what was known of the capabilities before TLS is void. */
    if (upstream->config->tls == CONFIG_TLS_STARTTLS)
        connecting_say(upstream, OPENING_CAPABILITY, "CAPABILITY");
}

void connecting_ended(struct upstream *upstream)
{
    const struct stream *stream = &upstream->stream;
    const char *refused = stream->is_securing ? tls_verify_failure(stream->ssl) : NULL;
    char why[CONNECTING_WHY_SIZE];
    snprintf(why, sizeof why, "%s%s", refused ? "certificate refused: " : "",
             refused ? refused : stream_failure(stream));
    if (refused)
        connecting_fail(upstream, UPSTREAM_FAILED_CERTIFICATE, why);
    else
        connecting_hung_up(upstream, connecting_end_failure(upstream), why);
}

/* --- ID --- */

void connecting_send_id(struct upstream *upstream, struct imapstate_span arguments)
{
    upstream->opening = opening_new(upstream->config, NULL);
    if (!upstream->opening) {
        upstream_count_failure(upstream, UPSTREAM_FAILED_RESOURCES);
        upstream_lose(upstream, "out of memory");
        return;
    }
    upstream->opening->is_secure = true;
    connecting_enter(upstream, OPENING_ID);
    upstream->has_sent_id = true;
    upstream_enter(upstream, UPSTREAM_PREPARING);
    upstream_await(upstream);
    stream_put(&upstream->stream, IMAPSTATE_SPAN(UPSTREAM_TAG " ID "));
    stream_put(&upstream->stream, arguments);
    stream_put(&upstream->stream, IMAPSTATE_SPAN("\r\n"));
    stream_flush(&upstream->stream);
}
