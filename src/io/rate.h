/* rate: log lines that anybody can cause, as many as they like: ten in any second are written, and the rest are
 * counted. Shared by all workers. */
#ifndef IO_RATE_H
#define IO_RATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define RATE_LINES     10u
#define RATE_PERIOD_MS 1000u

struct rate {
    pthread_mutex_t lock;
    uint64_t at_ms[RATE_LINES]; /* of the last lines, a ring; 0: none yet */
    unsigned oldest;            /* in the ring */
    unsigned left_out;          /* since the last line */
};

#define RATE_INITIAL                                                                                                   \
    {                                                                                                                  \
        .lock = PTHREAD_MUTEX_INITIALIZER                                                                              \
    }

/* For refused connections. */
extern struct rate rate_of_refusals;

/* May a line be written now? If so, ret_left_out is how many were left out since the last one. */
bool rate_allows(struct rate *rate, uint64_t now_ms, unsigned *ret_left_out);

#endif
