/* outage: upstreams, and members of upstreams, that the operator has taken out of service. No connection to one is
 * opened and none is parked there; sessions that have one go on. By their names, over reloads, until they are up again
 * or the process ends. For any thread. */
#ifndef UPSTREAM_OUTAGE_H
#define UPSTREAM_OUTAGE_H

#include <stdbool.h>

/* Which of the two words the operator has used; what happens is the same. */
enum outage_kind { OUTAGE_NONE, OUTAGE_DOWN, OUTAGE_DRAINING };
extern const char *const outage_names[]; /* "up", "down", "draining" */

/* member: its text; NULL: the whole upstream. False: out of memory; nothing has changed. */
bool outage_begin(const char *upstream, const char *member, enum outage_kind kind);
void outage_end(const char *upstream, const char *member);

/* Of the member, or else of the upstream as a whole. */
enum outage_kind outage_of(const char *upstream, const char *member);

/* Is the member, or the upstream as a whole, out of service? With member NULL: the upstream as a whole. */
bool outage_is(const char *upstream, const char *member);

void outage_done(void);

#endif
