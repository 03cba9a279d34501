/* histogram: how often something took how long. Written by one thread, as plain numbers; another reads a copy.
 *
 * All zero is an empty one. Its bounds are the same for all, so that histograms can be summed. */
#ifndef IO_HISTOGRAM_H
#define IO_HISTOGRAM_H

#include <stdbool.h>
#include <stdint.h>

#define HISTOGRAM_BOUNDS 14u

/* Ascending. A value that is equal to a bound counts below it. */
extern const uint64_t histogram_bounds_us[HISTOGRAM_BOUNDS];

struct histogram {
    uint64_t buckets[HISTOGRAM_BOUNDS + 1]; /* the values up to each bound and above the one before; the last: above
                                             * all */
    uint64_t sum_us;
};

void histogram_note(struct histogram *histogram, uint64_t us);
void histogram_add(struct histogram *into, const struct histogram *from);
uint64_t histogram_count(const struct histogram *histogram);

/* The value that a share of all, above 0 and up to 1, does not exceed, as near as the bounds tell: between two of them
 * all values are taken for equally likely, and those above the last for as large as that. False: there is none. */
bool histogram_quantile(const struct histogram *histogram, double share, uint64_t *ret_us);

#endif
