/* down: the way down, from a client to its upstream: what the client's next octets are, and what has to come first.
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
#ifndef CLIENT_DOWN_H
#define CLIENT_DOWN_H

#include <stdbool.h>

struct client;

enum down {
    DOWN_BETWEEN,
    DOWN_AWAITS_GO,
    DOWN_AWAITS_GO_UNASKED,
    DOWN_SENDING,
    DOWN_SWALLOWING,
    DOWN_SWALLOWED,
    DOWN_IDLE_ASKED, /* RFC 9051 section 6.3.13: after IDLE nothing goes up until its "+" ... */
    DOWN_IDLING,     /* ... and then only DONE */
    DOWN_MAX,
};

/* The one mover. */
void down_enter(struct client *client, enum down next);

/* The upstream has been let go of: nothing is in flight any more. */
void down_forget(struct client *client);

/* Does everything that has gone up consist of whole lines, so that it can be sent again to another upstream? */
bool down_may_resend(const struct client *client);

/* Must nothing follow until the upstream has answered what has gone up? */
bool down_awaits_word(const struct client *client);

#endif
