#include "controlpeer.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlline.h"
#include "log.h"
#include "reply.h"

struct controlpeer {
    struct list link; /* in peers->list */
    struct controlpeers *peers;
    struct bufferevent *stream; /* owned, and its descriptor */
    struct reply *reply;        /* borrowed: of the command that is being carried out; NULL: none is */
    bool is_in_turn;            /* its lines are being read, further up the stack */
    bool is_at_eof, has_broken;
};

static void controlpeer_free(struct controlpeer *peer)
{
    list_remove(&peer->link);
    peer->peers->count--;
    if (peer->reply)
        reply_abandon(peer->reply);
    bufferevent_free(peer->stream);
    free(peer);
}

static size_t controlpeer_queued(const struct controlpeer *peer)
{
    return evbuffer_get_length(bufferevent_get_output(peer->stream));
}

/* --- what it is answered --- */

static void controlpeer_put(void *owner, const char *line)
{
    struct controlpeer *peer = owner;
    struct evbuffer *out = bufferevent_get_output(peer->stream);
    if (evbuffer_add(out, line, strlen(line)) < 0 || evbuffer_add(out, "\n", 1) < 0)
        peer->has_broken = true; /* a line that is cut is no answer */
}

static bool controlpeer_has_room(void *owner)
{
    return controlpeer_queued(owner) < CONTROLPEER_ROOM;
}

static void controlpeer_turn(struct controlpeer *peer);

static void controlpeer_ended(void *owner)
{
    struct controlpeer *peer = owner;
    peer->reply = NULL;
    if (!peer->is_in_turn)
        controlpeer_turn(peer);
}

/* --- what it sends --- */

static void controlpeer_obey(struct controlpeer *peer, const char *line, size_t len)
{
    const struct reply_reader reader = { controlpeer_put, controlpeer_has_room, controlpeer_ended, peer };
    peer->reply = reply_new(&reader);
    if (peer->reply)
        peer->peers->obey(peer->peers->owner, (struct imapstate_span){ (const uint8_t *)line, len }, peer->reply);
    else
        peer->has_broken = true;
}

/* Nobody knows where the next one would begin. */
static void controlpeer_refuse(struct controlpeer *peer)
{
    controlpeer_put(peer, "{\"error\":\"the line is too long\",\"kind\":\"usage\"}");
    evbuffer_drain(bufferevent_get_input(peer->stream), SIZE_MAX);
    peer->is_at_eof = true;
}

/* False: there is no further line yet. */
static bool controlpeer_take_line(struct controlpeer *peer)
{
    struct evbuffer *in = bufferevent_get_input(peer->stream);
    size_t len;
    char *line = evbuffer_readln(in, &len, EVBUFFER_EOL_LF);
    if (line)
        controlpeer_obey(peer, line, len);
    else if (evbuffer_get_length(in) > CONTROLLINE_MAX)
        controlpeer_refuse(peer);
    bool is_taken = line;
    free(line);
    return is_taken;
}

/* A line that is cut by the end is none. */
static void controlpeer_turn(struct controlpeer *peer)
{
    peer->is_in_turn = true;
    while (!peer->reply && !peer->has_broken && controlpeer_has_room(peer) && controlpeer_take_line(peer))
        ;
    peer->is_in_turn = false;
    bool is_waiting = !peer->reply && !peer->is_at_eof && controlpeer_has_room(peer);
    if (is_waiting)
        bufferevent_enable(peer->stream, EV_READ);
    else
        bufferevent_disable(peer->stream, EV_READ);
    if (peer->has_broken || (peer->is_at_eof && !peer->reply && controlpeer_queued(peer) == 0))
        controlpeer_free(peer);
}

/* --- events --- */

static void controlpeer_on_read(struct bufferevent *stream, void *arg)
{
    controlpeer_turn(arg);
}

/* Less is queued than there is room for. */
static void controlpeer_on_written(struct bufferevent *stream, void *arg)
{
    struct controlpeer *peer = arg;
    if (peer->reply)
        reply_drained(peer->reply);
    else
        controlpeer_turn(peer);
}

static void controlpeer_on_event(struct bufferevent *stream, short what, void *arg)
{
    struct controlpeer *peer = arg;
    if ((what & BEV_EVENT_EOF) && (what & BEV_EVENT_READING)) {
        peer->is_at_eof = true; /* it may still read */
        controlpeer_turn(peer);
        return;
    }
    log_debug("control: connection closed: %s", what & BEV_EVENT_TIMEOUT ? "it has been silent" : strerror(errno));
    controlpeer_free(peer);
}

/* --- life --- */

void controlpeer_begin(struct controlpeers *peers, int fd)
{
    static const struct timeval patience = { .tv_sec = CONTROLPEER_PATIENCE_S };
    struct controlpeer *peer = calloc(1, sizeof *peer);
    struct bufferevent *stream = peer ? bufferevent_socket_new(peers->base, fd, BEV_OPT_CLOSE_ON_FREE) : NULL;
    if (!stream) {
        free(peer);
        close(fd);
        return;
    }
    peer->peers = peers;
    peer->stream = stream;
    list_init(&peer->link);
    list_move(&peer->link, &peers->list);
    peers->count++;
    bufferevent_setcb(stream, controlpeer_on_read, controlpeer_on_written, controlpeer_on_event, peer);
    bufferevent_setwatermark(stream, EV_READ, 0, CONTROLLINE_MAX + 1);
    bufferevent_setwatermark(stream, EV_WRITE, CONTROLPEER_ROOM / 2, 0);
    bufferevent_set_timeouts(stream, &patience, &patience);
    bufferevent_enable(stream, EV_READ | EV_WRITE);
}

void controlpeers_init(struct controlpeers *peers, struct event_base *base,
                       void (*obey)(void *owner, struct imapstate_span line, struct reply *reply), void *owner)
{
    *peers = (struct controlpeers){ .base = base, .obey = obey, .owner = owner };
    list_init(&peers->list);
}

/* The answer to the command that has made the process end may still be queued. */
static void controlpeer_flush(struct controlpeer *peer)
{
    struct evbuffer *out = bufferevent_get_output(peer->stream);
    evbuffer_unfreeze(out, 1);
    evbuffer_write(out, bufferevent_getfd(peer->stream));
}

void controlpeers_done(struct controlpeers *peers)
{
    list_each_safe(link, &peers->list)
    {
        struct controlpeer *peer = list_entry(link, struct controlpeer, link);
        controlpeer_flush(peer);
        controlpeer_free(peer);
    }
}
