#include "dispatch.h"

#include <stdio.h>
#include <string.h>

#include "admission.h"
#include "catalogue.h"
#include "choice.h"
#include "deadline.h"
#include "greeting.h"
#include "leaving.h"
#include "login.h"
#include "logmark.h"
#include "own.h"
#include "relay.h"
#include "restore.h"
#include "stream.h"
#include "timer.h"
#include "tls.h"

/* Octets of commands before login, in all. */
#define DISPATCH_BEFORE_LOGIN_MAX 65536u

/* Of the reason why a handshake has failed, in a line of log. */
#define DISPATCH_WORDS_SIZE 160u

/* --- the client's input --- */

/* The answer that a client waits for, if the input is the first line of a command: BAD, before the end. */
static void dispatch_answer_bad_line(struct client *client)
{
    bool is_command =
        client->down == DOWN_BETWEEN && client->request.phase == REQUEST_NONE && !login_wants_line(client);
    struct imapstate_command_line line;
    imapstate_command_parse(stream_input(&client->stream), &line);
    if (is_command && line.tag.len > 0 && client_may_speak(client))
        client_say(client, &line.tag, own_to_frame_error(imapstate_frame_error(&client->frame)));
}

static void dispatch_bad_frame(struct client *client)
{
    client->session.is_uncertain = true; /* never to be parked */
    dispatch_answer_bad_line(client);
    client_set_detail(client, imapstate_strerror(imapstate_frame_error(&client->frame)));
    client_end(client, CLIENT_ENDING_FRAMING, "BYE " N_("Command cannot be read with certainty."));
}

/* False: there is too much of it, and the client ends. */
static bool dispatch_count_before_login(struct client *client, size_t octets)
{
    if (client->state == CLIENT_AUTHENTICATED)
        return true;
    client->unauthenticated_octets += (uint32_t)octets;
    if (client->unauthenticated_octets <= DISPATCH_BEFORE_LOGIN_MAX)
        return true;
    client_end(client, CLIENT_ENDING_INPUT_BEFORE_LOGIN, "BYE " N_("Too much input before login."));
    return false;
}

/* What can be done without looking at the next octets. True: something has been. */
static bool dispatch_go_on(struct client *client)
{
    switch (client->state) {
    case CLIENT_NOT_AUTHENTICATED:
        return own_go_on(client);
    case CLIENT_LOGGING_IN:
        return login_go_on(client);
    case CLIENT_AUTHENTICATED:
        return client->request.phase == REQUEST_NONE ? relay_go_on(client) : own_go_on(client);
    default:
        return false;
    }
}

/* May the next octets be looked at? */
static bool dispatch_takes_input(const struct client *client)
{
    switch (client->state) {
    case CLIENT_NOT_AUTHENTICATED:
        return own_takes_input(client);
    case CLIENT_LOGGING_IN:
        return login_wants_line(client);
    case CLIENT_AUTHENTICATED:
        return client->request.phase == REQUEST_NONE ? relay_takes_input(client) : own_takes_input(client);
    default:
        return false;
    }
}

/* A line of a dialog, and DONE, is no command. */
static bool dispatch_expects_continuation(const struct client *client)
{
    return client->state == CLIENT_LOGGING_IN ||
           (client->down == DOWN_IDLING && imapstate_frame_is_between(&client->frame));
}

static enum relay_down dispatch_take(struct client *client, enum imapstate_frame_result result,
                                     const struct imapstate_piece *piece)
{
    bool is_login = client->state == CLIENT_LOGGING_IN;
    bool may_be_relayed = client->state == CLIENT_AUTHENTICATED && client->request.phase == REQUEST_NONE;
    enum relay_down taken = may_be_relayed ? relay_down(client, result, piece) : RELAY_OURS;
    if (is_login)
        login_take_line(client, piece);
    else if (taken == RELAY_OURS)
        own_take(client, piece);
    return taken;
}

static void dispatch_consume(struct client *client, enum relay_down taken, size_t octets)
{
    if (taken == RELAY_OURS)
        stream_consume_wiping(&client->stream, octets);
    else if (taken == RELAY_TAKEN_MESSAGE)
        stream_consume_message(&client->stream, octets);
    else
        stream_consume(&client->stream, octets);
}

/* The one place where a client's input is framed. False: there is nothing to take now. */
static bool dispatch_piece(struct client *client)
{
    struct imapstate_frame before = client->frame;
    struct imapstate_piece piece;
    if (dispatch_expects_continuation(client))
        imapstate_frame_expect_continuation(&client->frame);
    enum imapstate_frame_result result = imapstate_frame_next(&client->frame, stream_input(&client->stream), &piece);
    if (result == IMAPSTATE_FRAME_BAD) {
        dispatch_bad_frame(client);
        return false;
    }
    if (result != IMAPSTATE_FRAME_LINE && result != IMAPSTATE_FRAME_LITERAL) {
        /* Whether a line is DONE or a command is decided when it is there: the upstream may end IDLE by itself. What
         * has been searched stays searched. */
        imapstate_frame_expect_command(&client->frame);
        return false;
    }
    if (!dispatch_count_before_login(client, piece.octets.len))
        return false;
    enum relay_down taken = dispatch_take(client, result, &piece);
    if (taken == RELAY_NOT_YET) {
        client->frame = before;
        return false;
    }
    if (client_is_ending(client))
        return false;
    dispatch_consume(client, taken, piece.octets.len);
    return true;
}

static bool dispatch_step(struct client *client)
{
    return dispatch_go_on(client) || (dispatch_takes_input(client) && dispatch_piece(client));
}

/* --- a turn --- */

/* After the client's end of file: is there still something that will be answered without another octet from it? */
static bool dispatch_has_business(const struct client *client)
{
    /* Nothing has begun for it. Whoever has gone, holds up nobody. */
    if (client->upstream && client->upstream->state == UPSTREAM_QUEUED)
        return false;
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

static bool dispatch_is_abandoned(const struct client *client)
{
    return client->stream.is_at_eof && !dispatch_has_business(client);
}

static bool dispatch_may_stop(const struct client *client)
{
    return client->state != CLIENT_AUTHENTICATED || client->down == DOWN_IDLING ||
           (client_is_at_rest(client) && stream_input(&client->stream).len == 0);
}

static const char dispatch_bye[] = "BYE " N_("imapstate is shutting down.");

static void dispatch_say_stop(struct client *client)
{
    client_end(client, CLIENT_ENDING_SHUTDOWN, dispatch_bye);
}

/* Clients exist that write a command in two pieces (GNU mailutils, Horde): the second comes when the first is
 * acknowledged, and the kernel would let 40 ms pass. */
static void dispatch_hurry(struct client *client)
{
    if (stream_input(&client->stream).len > 0 || !imapstate_frame_is_between(&client->frame))
        stream_acknowledge(&client->stream);
}

/* Neither side is read from while what it says cannot go on. */
static void dispatch_read_on(struct client *client)
{
    struct upstream *upstream = client->upstream;
    if (upstream && upstream->stream.is_over_high)
        stream_pause(&client->stream);
    else
        stream_resume(&client->stream);
    if (!upstream || upstream->state < UPSTREAM_LOGGING_IN)
        return;
    if (client->stream.is_over_high)
        stream_pause(&upstream->stream);
    else
        stream_resume(&upstream->stream);
}

static void dispatch_set_timer(struct client *client)
{
    uint64_t at_ms, now_ms = client_now_ms(client);
    deadline_next(client, &at_ms);
    if (at_ms >= timer_due_ms(&client->timer))
        return; /* when it fires, it is set anew */
    uint64_t after_ms = at_ms > now_ms ? at_ms - now_ms : 0;
    timer_set(&client->timer, after_ms);
}

/* What one event brings about may be the next, within its turn: only the outermost ends it. */
static bool dispatch_begin_turn(struct client *client)
{
    bool is_outermost = !client->is_in_turn;
    client->is_in_turn = true;
    if (logmark_is_stale(&client->mark))
        client_mark_user(client);
    return is_outermost;
}

static void dispatch_end_turn(struct client *client, bool is_outermost)
{
    if (!is_outermost)
        return;
    while (!client_is_ending(client) && dispatch_step(client))
        ;
    if (client->upstream)
        stream_flush(&client->upstream->stream);
    stream_flush(&client->stream);
    if (!client_is_ending(client) && dispatch_is_abandoned(client))
        client_close(client, CLIENT_ENDING_DISCONNECTED);
    if (!client_is_ending(client) && client->clients->loop->is_stopping && dispatch_may_stop(client))
        dispatch_say_stop(client);
    if (client->state < CLIENT_CLOSING && client_is_ending(client))
        leaving_carry_out(client);
    if (client->state == CLIENT_DEAD)
        return;
    if (client->state < CLIENT_CLOSING) {
        dispatch_read_on(client);
        dispatch_hurry(client);
    }
    dispatch_set_timer(client);
    client->is_in_turn = false;
}

/* --- time --- */

/* RFC 9051 section 5.4. The configuration allows no less than 30 minutes. */
static void dispatch_end_idle(struct client *client)
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
    client_end(client, CLIENT_ENDING_IDLE, bye);
}

static void dispatch_time_is_up(struct client *client, enum deadline what)
{
    switch (what) {
    case DEADLINE_CLOSING:
        leaving_die(client);
        break;
    case DEADLINE_EOF:
        client_close(client, CLIENT_ENDING_DISCONNECTED);
        break;
    case DEADLINE_GREETING:
        greeting_say(client);
        break;
    case DEADLINE_LOGIN:
        client_end(client, CLIENT_ENDING_LOGIN_TIMEOUT, "BYE " N_("Autologout; no login in time."));
        break;
    case DEADLINE_DELAY:
        login_delay_is_over(client);
        break;
    case DEADLINE_CHOICE:
        restore_make_upstream(client, NULL);
        break;
    case DEADLINE_IDLE:
        dispatch_end_idle(client);
        break;
    }
}

static void dispatch_on_timer(void *owner)
{
    struct client *client = owner;
    uint64_t at_ms;
    enum deadline next = deadline_next(client, &at_ms);
    bool is_outermost = dispatch_begin_turn(client);
    if (at_ms <= client_now_ms(client))
        dispatch_time_is_up(client, next);
    dispatch_end_turn(client, is_outermost);
}

/* --- the client's stream --- */

static void dispatch_input(struct client *client)
{
    client->active_at_ms = client_now_ms(client);
    if (client->state == CLIENT_PROXYING)
        greeting_read_proxy_header(client);
}

static bool dispatch_has_session(const struct client *client)
{
    return client->upstream && client->upstream->state >= UPSTREAM_LOGGING_IN;
}

/* What was on its way when the connection was given up ends here: CLOSING waits for its last octets to leave and for
 * the client to hang up, and nothing else is of interest any more. */
static void dispatch_closing(struct client *client, enum stream_event event)
{
    switch (event) {
    case STREAM_INPUT:
        stream_consume_wiping(&client->stream, stream_input(&client->stream).len);
        break;
    case STREAM_DRAINED:
        stream_shutdown(&client->stream);
        if (client->stream.is_at_eof)
            leaving_die(client);
        break;
    case STREAM_EOF:
        /* Half a close: it may still be reading. */
        if (stream_is_drained(&client->stream))
            leaving_die(client);
        break;
    case STREAM_CLOSED:
        leaving_die(client);
        break;
    case STREAM_CONNECTED:
    case STREAM_SECURE:
    case STREAM_GARBLED:
        break;
    }
}

/* Whose certificate was refused is told more than that it was. */
static void dispatch_tell_failure(struct client *client)
{
    const struct stream *stream = &client->stream;
    const char *refused = client->state == CLIENT_SECURING ? tls_verify_failure(stream->ssl) : NULL;
    char words[DISPATCH_WORDS_SIZE];
    snprintf(words, sizeof words, "%s%s", refused ? "certificate refused: " : "",
             refused ? refused : stream_failure(stream));
    client_set_detail(client, words);
}

static void dispatch_open(struct client *client, enum stream_event event)
{
    switch (event) {
    case STREAM_CONNECTED:
    case STREAM_EOF: /* there is less time now */
        break;
    case STREAM_SECURE:
        greeting_secured(client);
        break;
    case STREAM_INPUT:
        dispatch_input(client);
        break;
    case STREAM_DRAINED:
        if (dispatch_has_session(client))
            relay_up(client);
        break;
    case STREAM_GARBLED:
        /* Deflate has no checksum: what came before may have been damaged as well. */
        client->session.is_uncertain = true;
        client_set_detail(client, stream_failure(&client->stream));
        client_end(client, CLIENT_ENDING_PACKING, "BYE " N_("Compressed data cannot be read."));
        break;
    case STREAM_CLOSED:
        dispatch_tell_failure(client);
        client_close(client, client->state == CLIENT_SECURING ? CLIENT_ENDING_TLS : CLIENT_ENDING_LOST);
        break;
    }
}

static void dispatch_on_stream(void *owner, enum stream_event event)
{
    struct client *client = owner;
    if (client->state == CLIENT_DEAD)
        return;
    bool is_outermost = dispatch_begin_turn(client);
    if (client->state == CLIENT_CLOSING)
        dispatch_closing(client, event);
    else
        dispatch_open(client, event);
    dispatch_end_turn(client, is_outermost);
}

/* --- its upstream --- */

static void dispatch_lost(struct client *client, const char *why)
{
    const struct upstream *lost = client->upstream;
    client->upstream = NULL;
    if (client->admission)
        admission_upstream_lost(client, lost, why);
    else if (client->state == CLIENT_AUTHENTICATED)
        relay_upstream_lost(client, lost, why);
}

void dispatch_on_upstream(void *owner, enum upstream_event event, struct upstream *upstream,
                          struct imapstate_span words)
{
    struct client *client = owner;
    if (event == UPSTREAM_PREPARED && upstream->owner.owner == client)
        client->upstream = upstream; /* another address may have been faster than that of the one it had */
    if (upstream != client->upstream && upstream != client->resting)
        return; /* it has been let go of */
    bool is_outermost = dispatch_begin_turn(client);
    switch (event) {
    case UPSTREAM_PREPARED:
        if (client->admission)
            admission_upstream_ready(client);
        break;
    case UPSTREAM_TOLD:
        if (client->admission)
            admission_told(client, words);
        break;
    case UPSTREAM_HEARD:
        relay_up(client);
        break;
    case UPSTREAM_DRAINED:
        break;
    case UPSTREAM_RESTED:
        client->resting = NULL;
        break;
    case UPSTREAM_LOST:
        dispatch_lost(client, (const char *)words.at);
        break;
    }
    dispatch_end_turn(client, is_outermost);
}

/* --- what concerns all --- */

void dispatch_begin(struct client *client, int fd)
{
    stream_init(&client->stream, client->clients->loop, fd, dispatch_on_stream, client);
    timer_init(&client->timer, client->clients->loop, dispatch_on_timer, client);
    bool is_outermost = dispatch_begin_turn(client);
    stream_start(&client->stream);
    greeting_start(client);
    dispatch_end_turn(client, is_outermost);
}

void dispatch_routed(struct client *client, enum routing_result result)
{
    bool is_outermost = dispatch_begin_turn(client);
    login_is_routed(client, result);
    dispatch_end_turn(client, is_outermost);
}

void dispatch_round_ended(struct client *client)
{
    bool is_outermost = dispatch_begin_turn(client);
    greeting_round_ended(client);
    dispatch_end_turn(client, is_outermost);
}

void dispatch_stop(struct client *client, bool now)
{
    bool is_outermost = dispatch_begin_turn(client);
    if (client->state == CLIENT_CLOSING && now)
        leaving_die(client);
    else if (now)
        dispatch_say_stop(client);
    dispatch_end_turn(client, is_outermost);
}

bool dispatch_drain(struct client *client)
{
    bool may_leave = client->state != CLIENT_LOGGING_IN && dispatch_may_stop(client);
    bool is_outermost = dispatch_begin_turn(client);
    if (may_leave)
        client_end(client, CLIENT_ENDING_DRAINED, dispatch_bye);
    dispatch_end_turn(client, is_outermost);
    return may_leave;
}

void dispatch_kick(struct client *client)
{
    bool is_outermost = dispatch_begin_turn(client);
    client->session.is_uncertain = true; /* what it did is to end at the server too: it is not parked */
    if (client->state == CLIENT_CLOSING)
        leaving_die(client);
    else
        client_end(client, CLIENT_ENDING_KICKED, "BYE [UNAVAILABLE] " N_("The administrator has ended this session."));
    dispatch_end_turn(client, is_outermost);
}

void dispatch_give_place(struct client *client)
{
    bool is_outermost = dispatch_begin_turn(client);
    client_end(client, CLIENT_ENDING_PLACE,
               "BYE [UNAVAILABLE] " N_("Too many connections; clients that have not logged in make room for others."));
    dispatch_end_turn(client, is_outermost);
    leaving_die(client); /* its place is needed now */
}
