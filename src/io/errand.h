/* errand: what another thread wants done in a loop's own thread (loop_send()). */
#ifndef IO_ERRAND_H
#define IO_ERRAND_H

#include <pthread.h>
#include <stdbool.h>

#include "list.h"

struct loop;

struct errand {
    struct list link;
    /* Called once. loop NULL: the loop's thread has ended, and this is any thread, or it never began. The errand may be
     * freed, or sent again, from within. */
    void (*run)(struct errand *errand, struct loop *loop);
};

/* Those that wait for one loop. */
struct errands {
    pthread_mutex_t lock;
    struct list waiting; /* under the lock */
    bool is_over;        /* under the lock */
};

void errands_init(struct errands *errands);
void errands_done(struct errands *errands); /* none waits any more: errands_close() was called */

/* From any thread. False: the loop has ended, and the errand is not run. */
bool errands_add(struct errands *errands, struct errand *errand);

/* Runs those that wait, in the order in which they came; not those that are added in the meantime. */
void errands_run(struct errands *errands, struct loop *loop);

/* No loop runs them any more: what waits is run with NULL, and nothing can be added. */
void errands_close(struct errands *errands);

#endif
