/* deadlist: addresses of upstreams that could not be connected to, remembered for a while and by all workers, so that
 * not every login finds that out anew: one that is silent costs it the whole connect_timeout.
 *
 * Such an address is not given up, only tried last. A session has no reason to find out whether it lives again: a scout
 * (upstream/scout.h), which no session waits for, tries it first when its time is over. */
#ifndef IO_DEADLIST_H
#define IO_DEADLIST_H

#include <stdbool.h>
#include <stdint.h>

#include "address.h"

/* How many are remembered; the one that was noted first gives way. */
#define DEADLIST_MAX 128u

/* When a scout tries it again: one that answers that it will not serve costs hardly any time. */
#define DEADLIST_REFUSED_MS 30000u
#define DEADLIST_SILENT_MS  300000u

void deadlist_note(const struct address *address, bool is_silent, uint64_t now_ms);

/* It has served. */
void deadlist_clear(const struct address *address);

/* Brings those that are noted to the end, and before them the others of their family if there is another without: that
 * family may be cut off as a whole. For a scout those whose time is over come to the front. Otherwise the order stays.
 * count is RESOLVER_ADDRESSES_MAX at most. */
void deadlist_sort(struct address *addresses, unsigned count, bool is_scouting, uint64_t now_ms);

/* A scout is to try all of them again. */
void deadlist_expire(void);

#endif
