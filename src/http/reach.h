/* reach: whether an upstream can be reached, as far as connections that were made for sessions, and for the list before
 * login, have shown. Nothing is connected to for the question. */
#ifndef HTTP_REACH_H
#define HTTP_REACH_H

#include <stdint.h>

struct upstream_counters;

enum reach {
    REACH_UNKNOWN, /* nobody has tried yet */
    REACH_GOOD,    /* at one of its addresses the last one who has tried could have logged in */
    REACH_BAD,     /* at none */
};

/* ret_at_ms, which may be NULL: when that was, on the loops' clock; 0 with UNKNOWN. */
enum reach reach_of(const struct upstream_counters *counters, const char *upstream, uint64_t *ret_at_ms);

#endif
