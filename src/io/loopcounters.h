/* loop_counters: what a loop's streams have carried, and how late its timers were. They only grow. The loop's own
 * thread writes them; another one gets a copy that was made there. */
#ifndef IO_LOOPCOUNTERS_H
#define IO_LOOPCOUNTERS_H

#include <stdbool.h>
#include <stdint.h>

#include "histogram.h"
#include "tlspolicy.h"

enum loop_side {
    LOOP_ACCEPTED, /* connections that others have made to us */
    LOOP_MADE,     /* connections that we have made, parked ones that serve again among them */
    LOOP_SIDE_COUNT,
};

struct loop_octets {
    uint64_t in, out; /* without TLS; compressed as they pass */
};

struct loop_counters {
    struct loop_octets octets[LOOP_SIDE_COUNT];
    uint64_t handshakes[LOOP_SIDE_COUNT][TLS_VERSION_COUNT][2]; /* [1]: by resumption of a session */
    uint64_t handshakes_failed[LOOP_SIDE_COUNT];                /* begun, and never done */
    struct histogram lag;                                       /* lag.h */
};

void loop_counters_add(struct loop_counters *into, const struct loop_counters *from);

#endif
