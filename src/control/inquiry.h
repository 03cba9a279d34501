/* inquiry: a question to all workers, which each answers in its own thread, while the main thread goes on.
 *
 * Everything here is called from the main thread, whose loop must not be bare if the workers' loops have threads. A
 * worker is held up only for as long as its ask() takes: what may be long is asked for in parts. */
#ifndef CONTROL_INQUIRY_H
#define CONTROL_INQUIRY_H

#include <stdbool.h>
#include <stddef.h>

#include "list.h"

struct inquiry;
struct loop;
struct worker;

/* Everybody who is asked: workers, and the janitor, which is one too. All zero but for loop: nobody. */
struct inquiries {
    struct loop *loop;       /* borrowed: the main thread's */
    struct worker **workers; /* owned array of borrowed workers */
    size_t worker_count;
    struct list open; /* inquiries that some worker has not dealt with yet */
    size_t open_count;
    bool is_over; /* nothing can be asked any more */
};

/* So many may be open. Only where a worker is stuck they are more than a few. */
#define INQUIRIES_OPEN_MAX 256u

/* What is asked; static. */
struct question {
    /* In each worker's own thread. slot is the worker's alone, and all zero; argument is the same for all, and they
     * only read it. */
    void (*ask)(struct worker *worker, void *slot, const void *argument);
    /* Once, in the main thread, never from within inquiry_begin(): all have answered, or have ended, or the time is
     * over, or everything is (inquiries_done()). The inquiry is only valid during this call. */
    void (*answered)(const struct inquiry *inquiry, void *asker);
    /* In the main thread, when no worker can touch them any more, which may be long after the time is over: they free
     * what argument is, and what each slot owns. NULL: there is nothing to free. */
    void (*argument_done)(void *argument);
    void (*slot_done)(void *slot);
    size_t slot_octets;
    unsigned limit_ms;
};

/* For questions that have no reason for another limit_ms. */
#define INQUIRY_LIMIT_MS 2000u

void inquiries_init(struct inquiries *inquiries, struct loop *loop);

/* When the workers' threads and the loop have ended, or have not begun; before loop_done() of its loop, which takes no
 * errands after this. */
void inquiries_done(struct inquiries *inquiries);

/* From here on it is asked too. False: out of memory. It is left out again before it is freed; it may end before. */
bool inquiries_add(struct inquiries *inquiries, struct worker *worker);
void inquiries_leave_out(struct inquiries *inquiries, const struct worker *worker);

/* Asks everybody. argument is taken in any case. NULL: out of memory, or too many are open, or everything is over;
 * asker is told nothing. The pointer is valid until answered() has been called. */
struct inquiry *inquiry_begin(struct inquiries *inquiries, const struct question *question, void *argument,
                              void *asker);

/* The asker no longer wants to know: answered() is not called. The workers may still be asked. */
void inquiry_abandon(struct inquiry *inquiry);

/* --- within answered() --- */

/* Each worker's part. slot NULL: that worker has not answered. */
size_t inquiry_count(const struct inquiry *inquiry);
void *inquiry_slot(const struct inquiry *inquiry, size_t index);

/* How many did not answer in time. Those that have ended do not count. */
size_t inquiry_missing(const struct inquiry *inquiry);

/* As it was passed to inquiry_begin(). */
const void *inquiry_argument(const struct inquiry *inquiry);

#endif
