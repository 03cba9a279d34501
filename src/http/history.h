/* history: the last hour, as the charts of the status page show it: a point for each ten seconds, kept in memory of a
 * fixed size. The time is an argument, on one clock that does not jump. */
#ifndef HTTP_HISTORY_H
#define HTTP_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clientcounters.h"
#include "histogram.h"

#define HISTORY_POINT_MS UINT64_C(10000)
#define HISTORY_POINTS   360u

/* Logins that were accepted: by a parked connection, and by the upstream. */
enum history_way { HISTORY_PARKED, HISTORY_UPSTREAM, HISTORY_WAY_COUNT };

/* What only grows. Nothing in it but uint64_t. */
struct history_sums {
    uint64_t logins[LOGIN_RESULT_COUNT];
    uint64_t takes[CHOICE_FIND_COUNT];
    uint64_t octets_in, octets_out; /* from clients, to them */
    struct histogram login[HISTORY_WAY_COUNT];
    struct histogram lag;
};

/* What goes up and down. */
struct history_levels {
    uint64_t sessions, parked;
};

struct history_point {
    uint64_t ms;                  /* how long it is about; 0: nothing is known of it */
    struct history_levels levels; /* at its end */
    struct history_sums sums;     /* what was added meanwhile */
};

/* All zero: nothing is known yet. */
struct history {
    bool has_begun;
    uint64_t began_at_ms, noted_at_ms;
    uint64_t count; /* of points since it began, those of which nothing is known among them */
    struct history_sums noted;
    struct history_point points[HISTORY_POINTS]; /* point n is in [n % HISTORY_POINTS] */
};

/* To be called each HISTORY_POINT_MS. The first time only tells from where the sums grow. Where a time was missed,
 * nothing is known of the points in between, and the next one is about all that time. */
void history_note(struct history *history, uint64_t now_ms, const struct history_levels *levels,
                  const struct history_sums *sums);

/* Of how many points of the last hour it can tell, from 0 to HISTORY_POINTS. */
size_t history_len(const struct history *history);

/* index 0: the oldest one. */
const struct history_point *history_at(const struct history *history, size_t index);

/* The sums of all points from first to before end, and how long they are about. */
void history_sum(const struct history *history, size_t first, size_t end, struct history_sums *ret_sums,
                 uint64_t *ret_ms);

#endif
