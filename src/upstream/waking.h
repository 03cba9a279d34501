/* waking: a parked connection serves again, or is asked for a sign of life. Until something has come that shows that it
 * works, another one may take its place (is_woken). Until an octet has come nobody knows whether it is alive:
 * is_silent, is_doubtful (upstream.h). */
#ifndef UPSTREAM_WAKING_H
#define UPSTREAM_WAKING_H

#include <imapstate/span.h>
#include <stdbool.h>

#include "tag.h"

struct parked;
struct upstream;
struct upstream_owner;

/* Takes over parked for owner, with upstream ATTACHED, or, with owner NULL, to show a sign of life, SETTLING. It looks
 * at what has arrived in the meantime. False: that shows that the connection is no longer of use, and the caller ends
 * it. In any case alerts for the owner's user are appended to ret_alerts, which is NULL if owner is. */
bool waking_begin(struct upstream *upstream, struct parked *parked, const struct upstream_owner *owner,
                  struct imapstate_buf *ret_alerts);

/* An octet has come. */
void waking_heard(struct upstream *upstream);

/* The tag of an ID or a NOOP of the gateway's that goes ahead of the session's commands. A client's command with this
 * tag waits until that is answered. */
#define WAKING_TAG UPSTREAM_TAG "-wake"

/* Sends it. command: its name and its arguments. */
void waking_say(struct upstream *upstream, struct imapstate_span command);

/* Is the line, which is complete or has at least its words, about what was said ahead? */
bool waking_is_own(const struct upstream *upstream, struct imapstate_span line);

#endif
