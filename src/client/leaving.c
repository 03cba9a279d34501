#include "leaving.h"

#include <stdlib.h>

#include "admission.h"
#include "catalogue.h"
#include "choice.h"
#include "client.h"
#include "compression.h"
#include "down.h"
#include "id.h"
#include "list.h"
#include "log.h"
#include "login.h"
#include "logline.h"
#include "logmark.h"
#include "loop.h"
#include "offers.h"
#include "origin.h"
#include "peers.h"
#include "pipeline.h"
#include "request.h"
#include "restore.h"
#include "service.h"
#include "serving.h"
#include "session.h"
#include "settling.h"
#include "stream.h"
#include "timer.h"
#include "upstream.h"

static const char *leaving_restored(const struct client *client)
{
    static const char *const words[] = { "no", "cold", "warm" };
    return words[client->session.restored];
}

static void leaving_put_sums(const struct client *client, struct logline *line)
{
    const struct compression *compression = client->stream.compression;
    logline_gap(line, " (");
    logline_words(line, "restored", leaving_restored(client));
    logline_number(line, "in", client->stream.in_octets);
    logline_number(line, "out", client->stream.out_octets);
    logline_seconds(line, "age", client_now_ms(client) - client->began_at_ms);
    if (compression) {
        logline_number(line, "unpacked_in", compression_octets_in(compression));
        logline_number(line, "unpacked_out", compression_octets_out(compression));
    }
    serving_put(&client->serving, line);
    if (client->session.user.len > 0)
        logline_seconds(line, "login_time", client->serving.login_ms);
    logline_gap_bare(line, ")");
}

/* The one line by which a session ends. */
static void leaving_log(const struct client *client, enum client_ending reason)
{
    struct logline line;
    client->clients->counters.endings[reason]++;
    if (client->is_unlogged)
        return;
    if (!client_begin_line(client, LOG_LEVEL_INFO, &line))
        return;
    logline_event(&line, "closing");
    logline_gap_bare(&line, ": ");
    logline_words(&line, "reason", client_ending_words[reason]);
    if (client->detail) {
        logline_gap_bare(&line, ": ");
        logline_words(&line, "detail", client->detail);
    }
    leaving_put_sums(client, &line);
    log_end(&line);
}

static void leaving_bury(struct grave *grave)
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
    serving_done(&client->serving);
    id_free(client->id);
    service_unref(client->service);
    list_remove(&client->link);
    free(client->detail);
    free(client);
}

void leaving_die(struct client *client)
{
    if (client->state == CLIENT_DEAD)
        return;
    client_enter(client, CLIENT_DEAD);
    peers_remove(&client->place);
    timer_stop(&client->timer);
    stream_pause(&client->stream);
    loop_bury(client->clients->loop, &client->grave, leaving_bury);
}

/* Whatever its state is. UPSTREAM_UNPARKED_COUNT: there is no reason against it. */
static enum upstream_unparked leaving_obstacle(const struct client *client, const struct upstream *upstream)
{
    if (client->service->config->park.per_user == 0)
        return UPSTREAM_UNPARKED_OFF;
    if (!upstream->kept.proof || !upstream->kept.offers)
        return UPSTREAM_UNPARKED_PROOF;
    if (upstream->has_said_bye || upstream->stream.is_at_eof)
        return UPSTREAM_UNPARKED_ENDED;
    if (client->clients->loop->is_stopping)
        return UPSTREAM_UNPARKED_STOP;
    return client->session.is_in_doubt ? UPSTREAM_UNPARKED_DOUBT : UPSTREAM_UNPARKED_COUNT;
}

/* The chores that are left before the upstream can serve another session; false if it cannot, and why. */
static bool leaving_may_park(struct client *client, struct upstream *upstream, unsigned *ret_chores,
                             enum upstream_unparked *ret_why)
{
    struct session *session = &client->session;
    bool is_compat = client->listener->imapproxy_compat;
    imapstate_buf_clear(&upstream->kept.state);
    *ret_why = leaving_obstacle(client, upstream);
    if (*ret_why != UPSTREAM_UNPARKED_COUNT)
        return false;
    *ret_why = session->is_uncertain ? UPSTREAM_UNPARKED_DOUBT : UPSTREAM_UNPARKED_STATE;
    /* With imapproxy_compat the next session takes the connection as it is; but what NOTIFY sends nobody would ask for.
     */
    if (is_compat ? session_is_notified(session) || session->is_uncertain
                  : !session_is_parkable(session, &upstream->kept.state))
        return false;
    *ret_chores = session_is_notified(session) ? SETTLING_NOTIFY_NONE : 0;
    if (session->has_selected)
        *ret_chores |= offers_known(session->offers)->unselect ? SETTLING_UNSELECT : SETTLING_EXAMINE | SETTLING_CHECK;
    /* Courier ends a connection at the tenth mistake in a row, whosever the nine before were. And if a server has ended
     * IDLE by itself, what it says to DONE may still be on its way. */
    bool needs_good_end = *ret_chores & SETTLING_CHECK;
    if (needs_good_end || (*ret_chores == 0 && (session->was_refused || session->has_said_done)))
        *ret_chores |= SETTLING_NOOP;
    if (!upstream->kept.record)
        upstream->kept.record = session_take_record(session);
    upstream->may_fail_unselect = session_selected(session) == IMAPSTATE_SELECTED_NO;
    return true;
}

/* RFC 9051 section 6.3.13: an IDLE that goes on can only be ended. If the server has just ended it by itself, what it
 * says to DONE comes before the answer to another command. */
static unsigned leaving_end_idling(struct client *client, struct upstream *upstream, bool has_other_chores)
{
    const struct flight *idle = client->pipeline.first;
    upstream->idle = pipeline_take(&client->pipeline, (struct imapstate_span){ idle->tag, idle->tag_len });
    return has_other_chores ? SETTLING_DONE : SETTLING_DONE | SETTLING_NOOP;
}

/* With whose it was, although nobody may have proved that. */
static void leaving_count_unparked(const struct client *client, struct upstream *upstream, enum upstream_unparked why)
{
    upstream->upstreams->counters.unparked[why]++;
    client_log(client, LOG_LEVEL_DEBUG, "park: not parked: %s", upstream_unparked_names[why]);
}

/* The session's connection is parked, or ends: whichever it is, it is counted. */
static void leaving_part(struct client *client, struct upstream *upstream, bool is_clean, bool is_idling)
{
    unsigned chores = 0;
    enum upstream_unparked why = UPSTREAM_UNPARKED_BUSY;
    bool is_session = upstream->state == UPSTREAM_ATTACHED;
    if ((is_clean || is_idling) && leaving_may_park(client, upstream, &chores, &why)) {
        if (is_idling)
            chores |= leaving_end_idling(client, upstream, chores != 0);
        settling_begin(upstream, chores, false);
        return;
    }
    if (is_session)
        leaving_count_unparked(client, upstream, why);
    upstream_release(upstream, is_clean);
}

/* Lets go of the upstream and of all that was only for it. */
static void leaving_let_go(struct client *client, bool may_park)
{
    bool is_clean = client->state == CLIENT_AUTHENTICATED && client_is_at_rest(client);
    bool is_idling = client->state == CLIENT_AUTHENTICATED && client_is_idling(client);
    struct upstream *upstream = client->upstream;
    client->upstream = NULL;
    if (client->resting)
        upstream_disown(client->resting);
    client->resting = NULL;
    if (upstream && may_park) {
        leaving_part(client, upstream, is_clean, is_idling);
    } else if (upstream) {
        leaving_count_unparked(client, upstream, UPSTREAM_UNPARKED_NOBODY);
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
    down_forget(client);
}

bool leaving_rest_upstream(struct client *client)
{
    struct upstream *upstream = client->upstream;
    unsigned chores = 0;
    enum upstream_unparked why;
    if (!upstream || !leaving_may_park(client, upstream, &chores, &why) || chores == 0)
        return false;
    client->upstream = NULL;
    client->resting = upstream;
    settling_begin(upstream, chores, true);
    return true;
}

/* In this order: what was said for the client leaves, the upstream hears its end, and only then the client its own. */
void leaving_carry_out(struct client *client)
{
    stream_flush(&client->stream);
    if (client->state == CLIENT_LOGGING_IN)
        login_is_abandoned(client);
    leaving_let_go(client, true);
    leaving_log(client, client->ending);
    /* In the middle of a TLS handshake nothing can be said that the client would understand. */
    if (client->stream.is_closed || client->stream.is_securing) {
        leaving_die(client);
        return;
    }
    client_enter(client, CLIENT_CLOSING);
    client->active_at_ms = client_now_ms(client);
    stream_consume_wiping(&client->stream, stream_input(&client->stream).len);
    stream_resume(&client->stream);
    if (stream_is_drained(&client->stream))
        stream_shutdown(&client->stream);
    else
        client->stream.wants_drained = true;
    if (client->stream.is_at_eof && stream_is_drained(&client->stream))
        leaving_die(client);
}

void leaving_unauthenticate(struct client *client)
{
    stream_flush(&client->stream); /* the OK is still the session's */
    leaving_log(client, CLIENT_ENDING_UNAUTHENTICATED);
    stream_count_anew(&client->stream);
    bool is_certain = stream_end_compression(&client->stream); /* RFC 8437 section 4.1: unlike TLS, it ends too */
    leaving_let_go(client, false); /* P16: the connection has been somebody's, and is nobody's now */
    session_done(&client->session);
    serving_done(&client->serving);
    logmark_renew(&client->mark, loop_new_id(client->clients->loop));
    if (!origin_forget(client))
        return;
    client->language = LANGUAGE_DEFAULT;
    client->unauthenticated_octets = 0;
    client->login_failures = 0;
    client->began_at_ms = client_now_ms(client);
    client_enter(client, CLIENT_NOT_AUTHENTICATED);
    if (!is_certain)
        client_end(client, CLIENT_ENDING_FLUSH, "BYE " N_("Compressed data cannot be read."));
}
