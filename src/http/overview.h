/* overview: what the status page shows, as JSON: how it stands now, what has been since the start, and the last hour.
 *
 * docs/operations.md has its shape. No user's name and no client's address is in it. */
#ifndef HTTP_OVERVIEW_H
#define HTTP_OVERVIEW_H

#include <stdbool.h>
#include <stdint.h>

struct evbuffer;
struct figures;
struct history;
struct history_levels;
struct history_sums;
struct inheritance;

struct overview {
    const struct figures *figures;
    const struct history *history;
    const struct inheritance *inheritance; /* NULL: of none */
    int64_t now_s;                         /* since 1970 */
};

/* Appends the whole. False if out of memory: then there may be a part of it. */
bool overview_write(const struct overview *overview, struct evbuffer *ret_text);

/* What the history keeps of the figures. */
void overview_levels(const struct figures *figures, struct history_levels *ret_levels);
void overview_sums(const struct figures *figures, struct history_sums *ret_sums);

#endif
