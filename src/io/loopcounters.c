#include "loopcounters.h"

static void loop_counters_add_side(struct loop_counters *into, const struct loop_counters *from, enum loop_side side)
{
    into->octets[side].in += from->octets[side].in;
    into->octets[side].out += from->octets[side].out;
    into->handshakes_failed[side] += from->handshakes_failed[side];
    for (unsigned version = 0; version < TLS_VERSION_COUNT; version++)
        for (unsigned resumed = 0; resumed < 2; resumed++)
            into->handshakes[side][version][resumed] += from->handshakes[side][version][resumed];
}

void loop_counters_add(struct loop_counters *into, const struct loop_counters *from)
{
    loop_counters_add_side(into, from, LOOP_ACCEPTED);
    loop_counters_add_side(into, from, LOOP_MADE);
    histogram_add(&into->lag, &from->lag);
}
