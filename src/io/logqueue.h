/* logqueue: log lines that wait to be written, in the order in which they came, in a bounded ring. No I/O, no lock.
 *
 * What does not fit is lost and counted, and the loss is a line of its own where the lines are missing. After a loss
 * nothing is accepted until half of the ring is free; otherwise a reader that is merely slow would get lines and losses
 * alternately. */
#ifndef IO_LOGQUEUE_H
#define IO_LOGQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most octets in a line; and in all that wait, with 11 more for each line. */
#define LOGQUEUE_LINE_MAX   4096u
#define LOGQUEUE_OCTETS_MAX (1024u * 1024)

struct logqueue {
    uint8_t *ring;    /* owned; a page of it only costs memory once it was used */
    size_t from, len; /* the used part begins at from, and may wrap around to the start */
    uint64_t lost;    /* since the last line was put */
    uint64_t lost_in_all;
    bool is_shedding;
};

/* What comes next: a line, or how many are missing here. */
struct logqueue_entry {
    uint64_t lost; /* 0: it is a line */
    size_t len;
    uint8_t mark; /* as it was put */
    char line[LOGQUEUE_LINE_MAX];
};

/* False if out of memory. */
bool logqueue_init(struct logqueue *queue);
void logqueue_done(struct logqueue *queue);

/* mark is the caller's. len is at most LOGQUEUE_LINE_MAX; a longer line is cut. A line that does not fit is lost. */
void logqueue_put(struct logqueue *queue, uint8_t mark, const char *line, size_t len);

/* False: nothing waits. */
bool logqueue_take(struct logqueue *queue, struct logqueue_entry *ret_entry);

#endif
