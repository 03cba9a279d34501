#include "reach.h"

#include <stddef.h>
#include <string.h>

#include "upstreamcounters.h"

enum reach reach_of(const struct upstream_counters *counters, const char *upstream, uint64_t *ret_at_ms)
{
    uint64_t good_at_ms = 0, bad_at_ms = 0;
    for (const struct row *row = counters->places.first; row; row = row->hh.next) {
        const struct upstream_place *place = (const struct upstream_place *)row;
        if (strcmp(upstream_place_upstream(place), upstream) != 0)
            continue;
        if (place->good_at_ms > place->bad_at_ms && place->good_at_ms > good_at_ms)
            good_at_ms = place->good_at_ms;
        if (place->bad_at_ms > bad_at_ms)
            bad_at_ms = place->bad_at_ms;
    }
    if (ret_at_ms)
        *ret_at_ms = good_at_ms > 0 ? good_at_ms : bad_at_ms;
    if (good_at_ms > 0)
        return REACH_GOOD;
    return bad_at_ms > 0 ? REACH_BAD : REACH_UNKNOWN;
}
