/* relay: what passes between an authenticated client and its upstream, both ways. One way down, one way up; nobody else
 * writes what the client sent to an upstream. */
#ifndef CLIENT_RELAY_H
#define CLIENT_RELAY_H

#include <imapstate/command.h>
#include <imapstate/span.h>
#include <stdbool.h>

struct client;
struct upstream;

/* The way down: what the client's next octets are, and what has to come first.
 *
 *   BETWEEN -> AWAITS_GO ---------> SENDING -> BETWEEN       AWAITS_GO: {n}, which the client waits for, too
 *           -> AWAITS_GO_UNASKED -> SENDING                  ..._UNASKED: {n+}, whose octets the client sends anyway
 *                                -> SWALLOWING -> SWALLOWED -> BETWEEN
 *                                                            SWALLOWING: refused; the rest is for nobody
 *                                                            SWALLOWED: all of it; its answer waits until it
 *                                                            can be said
 *           -> SENDING (literals that pass unasked)
 *           -> IDLE_ASKED -> IDLING -> BETWEEN
 *   SENDING may go back to either AWAITS_GO, for the command's next literal, and to SWALLOWING or SWALLOWED if a
 * command whose literals pass unasked was answered before it has such a one. An answer, or the end of the upstream,
 * leads from any of them to BETWEEN. */
enum relay_way {
    RELAY_BETWEEN,
    RELAY_AWAITS_GO,
    RELAY_AWAITS_GO_UNASKED,
    RELAY_SENDING,
    RELAY_SWALLOWING,
    RELAY_SWALLOWED,
    RELAY_IDLE_ASKED, /* RFC 9051 section 6.3.13: behind IDLE nothing goes up until its "+" ... */
    RELAY_IDLING,     /* ... and then only DONE */
    RELAY_WAY_MAX,
};

/* Takes one piece of the client's input further. False: nothing to do, or something has to come first. */
bool relay_down_step(struct client *client);

/* Passes on what the upstream has sent. */
void relay_up(struct client *client);

/* The upstream of an authenticated client is gone. lost has ended, but is still there. */
void relay_upstream_lost(struct client *client, const struct upstream *lost, const char *why);

/* Is nothing in flight, and no command's octets on their way? */
bool relay_is_quiet(const struct client *client);

/* The same, but for an IDLE that has had its "+" and has not been sent DONE. */
bool relay_is_idling(const struct client *client);

/* Sends a command of the client's that the gateway has written anew, with nothing in flight. False if memory is out:
 * the session has ended. */
bool relay_pass(struct client *client, struct imapstate_span tag, const struct imapstate_command *command,
                struct imapstate_span arguments);
/* Nothing is in flight any more: the upstream has been let go of. */
void relay_forget(struct client *client);

/* Is it for the upstream to let what is in flight go on, be there no further octet from the client? */
bool relay_awaits_upstream(const struct client *client);

/* Is all that has gone up there in whole lines, so that another upstream can be sent it again? */
bool relay_may_resend(const struct client *client);

/* Asks the upstream, which is there with nothing in flight, for the gateway: command takes no arguments. Untagged
 * answers go to the client; answer_asked() is called in place of the tagged one. False if memory is out: the session
 * has ended. */
bool relay_ask(struct client *client, struct imapstate_span command);

/* "* OK [STATECMD tag] ..." (P9) */
void relay_announce(struct client *client, struct imapstate_span tag, const struct imapstate_command *command);

#endif
