/* waking: a parked connection serves again, or is asked for a sign of life. Until something has come that shows that it
 * serves, another one may take its place: is_woken; and until an octet has come nobody knows whether it lives:
 * is_silent, is_doubtful (upstream.h). */
#ifndef UPSTREAM_WAKING_H
#define UPSTREAM_WAKING_H

#include <imapstate/span.h>
#include <stdbool.h>

#include "tag.h"

struct parked;
struct upstream;
struct upstream_owner;

/* Takes parked over for owner, with upstream ATTACHED, or with owner NULL to show a sign of life, SETTLING. What has
 * arrived meanwhile is looked at. False: it shows that the connection is of no use any more, and the caller ends it.
 * Alerts for the owner's user are appended to ret_alerts in any case, too; NULL if owner is. */
bool waking_begin(struct upstream *upstream, struct parked *parked, const struct upstream_owner *owner,
                  struct imapstate_buf *ret_alerts);

/* An octet has come. */
void waking_heard(struct upstream *upstream);

/* Of an ID or a NOOP of the gateway's that goes ahead of the session's commands. A command of the client's with this
 * tag waits until that is answered. */
#define WAKING_TAG UPSTREAM_TAG "-wake"

/* Says it. command: its name and its arguments. */
void waking_say(struct upstream *upstream, struct imapstate_span command);

/* Is the line, which is whole or has at least its words, about what was said ahead? */
bool waking_is_own(const struct upstream *upstream, struct imapstate_span line);

#endif
