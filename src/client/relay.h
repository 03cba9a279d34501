/* relay: what passes between an authenticated client and its upstream, both ways. There is one way down and one way up;
 * nothing else writes what the client sent to an upstream. */
#ifndef CLIENT_RELAY_H
#define CLIENT_RELAY_H

#include <imapstate/command.h>
#include <imapstate/frame.h>
#include <imapstate/span.h>
#include <stdbool.h>

#include "pipeline.h"

struct client;
struct upstream;

enum relay_down {
    RELAY_TAKEN,
    RELAY_TAKEN_MESSAGE, /* it may be message data */
    RELAY_OURS,          /* it begins a command that the gateway answers itself, or one that nobody should see */
    RELAY_NOT_YET,       /* something has to come first */
};

/* Takes a piece of the client's input to the upstream. The caller consumes it, or, if it is NOT_YET, frames it again.
 */
enum relay_down relay_down(struct client *client, enum imapstate_frame_result result,
                           const struct imapstate_piece *piece);

/* Can the next piece be taken, whatever it is? */
bool relay_takes_input(const struct client *client);

/* Continues with anything that needs no further octet. False: there is nothing. */
bool relay_go_on(struct client *client);

/* Passes on what the upstream has sent. */
void relay_up(struct client *client);

/* The upstream of an authenticated client is gone. lost has ended, but still exists. */
void relay_upstream_lost(struct client *client, const struct upstream *lost, const char *why);

/* Sends a command of the client's that the gateway has rewritten, with nothing in flight. False if out of memory: the
 * session has ended. */
bool relay_pass(struct client *client, struct imapstate_span tag, const struct imapstate_command *command,
                struct imapstate_span arguments);

/* Even without another octet from the client, is the next move the upstream's? */
bool relay_awaits_upstream(const struct client *client);

/* Asks the upstream, which exists and has nothing in flight, on the gateway's behalf: command takes no arguments.
 * Untagged answers go to the client; answered(client) is called in place of the tagged one. False if out of memory: the
 * session has ended. */
bool relay_ask(struct client *client, struct imapstate_span command, flight_answered *answered);

/* "* OK [STATECMD tag] ..." (P9) */
void relay_announce(struct client *client, struct imapstate_span tag, const struct imapstate_command *command);

#endif
