#include "deadline.h"

#include "choice.h"
#include "client.h"
#include "greeting.h"
#include "login.h"

/* How long the last octets may take to leave, and the client to hang up after them. */
#define DEADLINE_CLOSING_MS 3000u
/* How long an upstream is waited for that has been asked anew, if clients can be greeted by what it last said. */
#define DEADLINE_GREETING_MS 1000u
/* How long commands that were sent before the client's end of file may take. */
#define DEADLINE_EOF_MS 60000u

/* A session that was accepted without an upstream, and has not needed one yet. */
static bool deadline_is_undecided(const struct client *client)
{
    return !client->upstream && !client->resting && !client->restore && !client->admission;
}

static enum deadline deadline_of_session(const struct client *client, uint64_t *ret_at_ms)
{
    if (deadline_is_undecided(client)) {
        *ret_at_ms = client->choice.due_at_ms;
        return DEADLINE_CHOICE;
    }
    *ret_at_ms = client->active_at_ms + client->service->config->idle_timeout_ms;
    return DEADLINE_IDLE;
}

static enum deadline deadline_before_session(const struct client *client, uint64_t *ret_at_ms)
{
    uint64_t login_at_ms = client->began_at_ms + client->service->config->login_timeout_ms;
    uint64_t greeting_at_ms = client->active_at_ms + DEADLINE_GREETING_MS;
    *ret_at_ms = greeting_at_ms;
    if (client->state == CLIENT_GREETING && greeting_at_ms < login_at_ms && greeting_can_be_said(client))
        return DEADLINE_GREETING;
    bool is_delaying = client->login && client->login->phase == LOGIN_DELAYING;
    *ret_at_ms = is_delaying ? client->login->delayed_until_ms : login_at_ms;
    if (is_delaying && *ret_at_ms < login_at_ms)
        return DEADLINE_DELAY;
    *ret_at_ms = login_at_ms;
    return DEADLINE_LOGIN;
}

enum deadline deadline_next(const struct client *client, uint64_t *ret_at_ms)
{
    uint64_t eof_at_ms = client->active_at_ms + DEADLINE_EOF_MS;
    *ret_at_ms = client->active_at_ms + DEADLINE_CLOSING_MS;
    if (client->state >= CLIENT_CLOSING)
        return DEADLINE_CLOSING;
    enum deadline next = client->state == CLIENT_AUTHENTICATED ? deadline_of_session(client, ret_at_ms)
                                                               : deadline_before_session(client, ret_at_ms);
    if (!client->stream.is_at_eof || *ret_at_ms < eof_at_ms)
        return next;
    *ret_at_ms = eof_at_ms;
    return DEADLINE_EOF;
}
