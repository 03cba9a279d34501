/* lag: how late a loop is: once a second a timer notes in the loop's counters by how much it fires too late, because
 * something held the loop up, or because the process did not get the CPU. Kept to the loop's clock, whose ticks are of
 * a few milliseconds. */
#ifndef IO_LAG_H
#define IO_LAG_H

#include <stdint.h>

#include "timer.h"

struct loop;

struct lag {
    struct timer timer;
    uint64_t due_ms;
};

/* From here on, as long as the loop runs. lag lives as long as the loop. */
void lag_begin(struct lag *lag, struct loop *loop);

#endif
