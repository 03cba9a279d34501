/* deadlist: addresses of upstreams that could not be connected to, remembered for a while and by all workers, so that
 * not every login has to find out again: a silent one costs the whole connect_timeout.
 *
 * Such an address is not given up, only tried last. No session has to find out whether it is alive again: a scout
 * (upstream/scout.h), which no session waits for, tries it first when its time is over. */
#ifndef IO_DEADLIST_H
#define IO_DEADLIST_H

#include <stdbool.h>
#include <stdint.h>

#include "address.h"

/* How many are remembered; the one noted first gives way. */
#define DEADLIST_MAX 128u

/* When a scout tries it again: an address that refuses connections costs hardly any time. */
#define DEADLIST_REFUSED_MS 30000u
#define DEADLIST_SILENT_MS  300000u

void deadlist_note(const struct address *address, bool is_silent, uint64_t now_ms);

/* The address works. */
void deadlist_clear(const struct address *address);

/* Moves the noted ones to the end, and before them the others of their family if there is another family without any:
 * the whole family may be cut off. For a scout, those whose time is over come to the front. Otherwise the order stays.
 * count is at most RESOLVER_ADDRESSES_MAX. */
void deadlist_sort(struct address *addresses, unsigned count, bool is_scouting, uint64_t now_ms);

/* Scouts are to try all of them again. */
void deadlist_expire(void);

#endif
