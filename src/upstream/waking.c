#include "waking.h"

#include <sys/socket.h>

#include "address.h"
#include "log.h"
#include "park.h"
#include "settling.h"
#include "stream.h"
#include "tag.h"
#include "upstream.h"
#include "words.h"

/* What has arrived on a parked connection. Nothing was asked, so there is little that can be taken without doubt. */
static bool waking_look(struct upstream *upstream)
{
    bool is_open = stream_read_now(&upstream->stream);
    for (;;) {
        struct imapstate_span in = stream_input(&upstream->stream);
        struct imapstate_piece piece;
        if (in.len == 0)
            return is_open;
        if (imapstate_frame_next(&upstream->frame, in, &piece) != IMAPSTATE_FRAME_LINE ||
            !settling_hear_untagged(upstream, &piece, false))
            return false;
        stream_consume(&upstream->stream, piece.octets.len);
    }
}

static void waking_find_place(struct upstream *upstream, const struct address *server)
{
    char text[ADDRESS_TEXT_MAX];
    bool is_known = server->family == AF_INET || server->family == AF_INET6;
    upstream_set_place(upstream, is_known ? address_text_with_port(server, text) : upstream->member->host);
}

static void waking_take(struct upstream *upstream, struct parked *parked)
{
    stream_adopt(&upstream->stream, parked->fd, parked->ssl);
    upstream->member = parked->member;
    waking_find_place(upstream, &parked->server);
    upstream->kept = kept_take(&parked->kept);
    parked->fd = -1;
    parked->ssl = NULL;
    parked_free(parked);
}

static void waking_begin_session(struct upstream *upstream, const struct upstream_owner *owner)
{
    upstream->owner = *owner;
    upstream_have_place(upstream)->woken_sessions++;
}

bool waking_begin(struct upstream *upstream, struct parked *parked, const struct upstream_owner *owner,
                  struct imapstate_buf *ret_alerts)
{
    const struct config_park *park = &upstream->service->config->park;
    upstream->is_woken = upstream->is_silent = upstream->has_sent_id = true;
    upstream->is_doubtful = upstream_now_ms(upstream) >= parked->used_at_ms + park->wake_check_ms;
    stream_bound_silence(parked->fd, park->wake_timeout_ms);
    waking_take(upstream, parked);
    bool is_alive = waking_look(upstream);
    /* What an alert says is the user's to know, even if the connection that brought it is of no use any more. */
    if (owner) {
        imapstate_buf_put(ret_alerts, imapstate_buf_span(&upstream->kept.alerts));
        imapstate_buf_done(&upstream->kept.alerts);
        upstream->kept.parked_at_ms = 0;
    }
    if (!is_alive) {
        if (owner) /* else upstream_die() counts it */
            park_count_end(upstream->config->name, PARK_END_DEAD);
        log_debug("park: found dead, or in doubt");
        return false;
    }
    imapstate_frame_take_bare_lf(&upstream->frame);
    if (owner)
        waking_begin_session(upstream, owner);
    else
        settling_show_life(upstream);
    stream_start(&upstream->stream);
    return true;
}

void waking_heard(struct upstream *upstream)
{
    upstream->is_silent = upstream->is_doubtful = false;
    stream_bound_silence(upstream->stream.fd, STREAM_SILENCE_MS);
}

/* --- what goes ahead --- */

void waking_say(struct upstream *upstream, struct imapstate_span command)
{
    stream_put(&upstream->stream, IMAPSTATE_SPAN(WAKING_TAG " "));
    stream_put(&upstream->stream, command);
    stream_put(&upstream->stream, IMAPSTATE_SPAN("\r\n"));
    upstream->is_asked_ahead = true;
}

bool waking_is_own(const struct upstream *upstream, struct imapstate_span line)
{
    if (!upstream->is_asked_ahead)
        return false;
    if (*line.at == '*')
        return word_is(words_at(line, 1), "ID");
    return imapstate_span_equal(words_at(line, 0), IMAPSTATE_SPAN(WAKING_TAG));
}
