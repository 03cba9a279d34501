#include "down.h"

#include "client.h"
#include "moves.h"
#include "pipeline.h"
#include "stream.h"

#define BIT(next) MOVES_BIT(next)

static const unsigned down_may_enter[DOWN_MAX] = {
    [DOWN_BETWEEN] = BIT(DOWN_BETWEEN) | BIT(DOWN_AWAITS_GO) | BIT(DOWN_AWAITS_GO_UNASKED) | BIT(DOWN_SENDING) |
                     BIT(DOWN_IDLE_ASKED),
    [DOWN_AWAITS_GO] = BIT(DOWN_BETWEEN) | BIT(DOWN_SENDING),
    [DOWN_AWAITS_GO_UNASKED] = BIT(DOWN_BETWEEN) | BIT(DOWN_SENDING) | BIT(DOWN_SWALLOWING),
    [DOWN_SENDING] = BIT(DOWN_BETWEEN) | BIT(DOWN_AWAITS_GO) | BIT(DOWN_AWAITS_GO_UNASKED) | BIT(DOWN_SENDING) |
                     BIT(DOWN_SWALLOWING) | BIT(DOWN_SWALLOWED),
    [DOWN_SWALLOWING] = BIT(DOWN_BETWEEN) | BIT(DOWN_SWALLOWED),
    [DOWN_SWALLOWED] = BIT(DOWN_BETWEEN),
    [DOWN_IDLE_ASKED] = BIT(DOWN_BETWEEN) | BIT(DOWN_IDLING),
    [DOWN_IDLING] = BIT(DOWN_BETWEEN),
};

static const char *const down_names[DOWN_MAX] = {
    "BETWEEN", "AWAITS_GO", "AWAITS_GO_UNASKED", "SENDING", "SWALLOWING", "SWALLOWED", "IDLE_ASKED", "IDLING",
};

static const struct moves down_moves = { "way down", down_names, down_may_enter };

void down_enter(struct client *client, enum down next)
{
    if (!moves_allow(&down_moves, client->down, next)) {
        stream_break(&client->stream, "unforeseen state");
        return;
    }
    client->down = (uint8_t)next;
    if (next == DOWN_BETWEEN)
        client->sending = NULL;
}

void down_forget(struct client *client)
{
    down_enter(client, DOWN_BETWEEN);
    pipeline_done(&client->pipeline);
}

bool down_may_resend(const struct client *client)
{
    return client->down != DOWN_SENDING && client->down != DOWN_SWALLOWING && client->down != DOWN_SWALLOWED;
}

bool down_awaits_word(const struct client *client)
{
    return client->down == DOWN_AWAITS_GO || client->down == DOWN_AWAITS_GO_UNASKED || client->down == DOWN_IDLE_ASKED;
}
