/* outage: upstreams that the operator has taken down. No connection to one is opened and none is parked there; sessions
 * that have one go on. By their names, over reloads, until they are up again or the process ends. For any thread. */
#ifndef UPSTREAM_OUTAGE_H
#define UPSTREAM_OUTAGE_H

#include <stdbool.h>

/* False: out of memory; nothing has changed. */
bool outage_begin(const char *upstream);
void outage_end(const char *upstream);

bool outage_is(const char *upstream);

void outage_done(void);

#endif
