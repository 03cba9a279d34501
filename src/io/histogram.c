#include "histogram.h"

#define MS UINT64_C(1000)
#define S  (1000 * MS)

/* From a parked connection on the same host to the longest connect_timeout that anybody would wait for. */
const uint64_t histogram_bounds_us[HISTOGRAM_BOUNDS] = {
    MS, 2 * MS, 5 * MS, 10 * MS, 25 * MS, 50 * MS, 100 * MS, 250 * MS, 500 * MS, S, 5 * S / 2, 5 * S, 10 * S, 30 * S,
};

void histogram_note(struct histogram *histogram, uint64_t us)
{
    unsigned at = 0;
    while (at < HISTOGRAM_BOUNDS && us > histogram_bounds_us[at])
        at++;
    histogram->buckets[at]++;
    histogram->sum_us += us;
}

void histogram_add(struct histogram *into, const struct histogram *from)
{
    for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++)
        into->buckets[i] += from->buckets[i];
    into->sum_us += from->sum_us;
}

uint64_t histogram_count(const struct histogram *histogram)
{
    uint64_t count = 0;
    for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++)
        count += histogram->buckets[i];
    return count;
}

bool histogram_quantile(const struct histogram *histogram, double share, uint64_t *ret_us)
{
    double rank = share * (double)histogram_count(histogram), below = 0;
    if (rank <= 0)
        return false;
    uint64_t low = 0;
    for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++) {
        double here = (double)histogram->buckets[i];
        uint64_t high = histogram_bounds_us[i];
        if (here > 0 && below + here >= rank) {
            *ret_us = low + (uint64_t)((double)(high - low) * (rank - below) / here);
            return true;
        }
        below += here;
        low = high;
    }
    *ret_us = low;
    return true;
}
