#include "history.h"

#include <assert.h>
#include <imapstate/span.h>

#define SUMS (sizeof(struct history_sums) / sizeof(uint64_t))
static_assert(sizeof(struct history_sums) == SUMS * sizeof(uint64_t), "there is nothing else in it");

/* As an array. */
union history_numbers {
    struct history_sums sums;
    uint64_t all[SUMS];
};

/* A sum that has become less, which none should, is taken for one that has stood still. */
static struct history_sums history_growth(const struct history_sums *from, const struct history_sums *to)
{
    union history_numbers before = { .sums = *from }, growth = { .sums = *to };
    for (size_t i = 0; i < SUMS; i++)
        growth.all[i] -= before.all[i] < growth.all[i] ? before.all[i] : growth.all[i];
    return growth.sums;
}

/* Points that have passed by, the newest HISTORY_POINTS at most. */
static void history_skip_to(struct history *history, uint64_t count)
{
    if (count - history->count > HISTORY_POINTS)
        history->count = count - HISTORY_POINTS;
    while (history->count < count)
        history->points[history->count++ % HISTORY_POINTS] = (struct history_point){ 0 };
}

void history_note(struct history *history, uint64_t now_ms, const struct history_levels *levels,
                  const struct history_sums *sums)
{
    if (!history->has_begun) {
        history->has_begun = true;
        history->began_at_ms = history->noted_at_ms = now_ms;
        history->noted = *sums;
        return;
    }
    /* To the nearest: a timer is a little late, and not always by as much. */
    uint64_t count = (now_ms - history->began_at_ms + HISTORY_POINT_MS / 2) / HISTORY_POINT_MS;
    if (count <= history->count)
        return; /* too early: what has grown goes to the next one */
    history_skip_to(history, count);
    history->points[(count - 1) % HISTORY_POINTS] = (struct history_point){
        .ms = now_ms - history->noted_at_ms,
        .levels = *levels,
        .sums = history_growth(&history->noted, sums),
    };
    history->noted_at_ms = now_ms;
    history->noted = *sums;
}

size_t history_len(const struct history *history)
{
    return history->count < HISTORY_POINTS ? (size_t)history->count : HISTORY_POINTS;
}

const struct history_point *history_at(const struct history *history, size_t index)
{
    uint64_t first = history->count - history_len(history);
    return &history->points[(first + index) % HISTORY_POINTS];
}

void history_sum(const struct history *history, size_t first, size_t end, struct history_sums *ret_sums,
                 uint64_t *ret_ms)
{
    union history_numbers sum = { .all = { 0 } };
    *ret_ms = 0;
    for (size_t index = first; index < end; index++) {
        const struct history_point *point = history_at(history, index);
        union history_numbers more = { .sums = point->sums };
        for (size_t i = 0; i < SUMS; i++)
            sum.all[i] += more.all[i];
        *ret_ms += point->ms;
    }
    *ret_sums = sum.sums;
}
