#include "rate.h"

struct rate rate_of_refusals = RATE_INITIAL;

/* Guarded by the lock. */
static bool rate_has_room(const struct rate *rate, uint64_t now_ms)
{
    uint64_t at_ms = rate->at_ms[rate->oldest];
    return at_ms == 0 || now_ms >= at_ms + RATE_PERIOD_MS;
}

bool rate_allows(struct rate *rate, uint64_t now_ms, unsigned *ret_left_out)
{
    pthread_mutex_lock(&rate->lock);
    bool has_room = rate_has_room(rate, now_ms);
    if (has_room) {
        rate->at_ms[rate->oldest] = now_ms;
        rate->oldest = (rate->oldest + 1) % RATE_LINES;
        *ret_left_out = rate->left_out;
        rate->left_out = 0;
    } else if (rate->left_out < UINT32_MAX) {
        rate->left_out++;
    }
    pthread_mutex_unlock(&rate->lock);
    return has_room;
}
