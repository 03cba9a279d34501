/* worker: one thread with an event loop of its own, its listening sockets and the sessions that live on it.
 *
 * Everything that a worker holds is touched by its own thread only; others reach it by worker_tell(). */
#ifndef GATEWAY_WORKER_H
#define GATEWAY_WORKER_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>

#include "list.h"
#include "pool.h"
#include "service.h"

#define WORKER_CLIENT_STATES   8
#define WORKER_UPSTREAM_STATES 10

/* An object whose end has come: it is freed when the event loop has unwound, so that nobody up the stack holds it. */
struct grave {
    struct list link;
    void (*end)(struct grave *grave);
};

struct worker {
    struct list told_link; /* in the list of all, under its lock */
    unsigned index;
    pthread_t thread;
    struct event_base *base;
    struct service *service;    /* counted; what new sessions begin with */
    struct listener *listeners; /* owned array */
    size_t listener_count;
    struct pool pool;
    struct list clients[WORKER_CLIENT_STATES]; /* by state; counting and sweeping need no search */
    struct list upstreams[WORKER_UPSTREAM_STATES];
    struct list graves;
    unsigned silent; /* atomic: its clients that have not begun to log in */
    unsigned owed; /* atomic: places that others have given to their clients, and that its silent ones make room for */
    struct event grave_event, told_event, stop_timer;
    int told_fd; /* eventfd */
    pthread_mutex_t told_lock;
    struct service *told_service; /* under told_lock; counted; NULL: nothing new */
    bool told_stop;               /* under told_lock */
    bool is_stopping;
    uint64_t next_id;
};

/* NULL after writing why to errors. The worker takes a reference of its own to service. listeners are moved into the
 * worker. */
struct worker *worker_new(unsigned index, struct service *service, struct listener *listeners, size_t listener_count,
                          FILE *errors);
void worker_free(struct worker *worker);

/* Begins the thread. False: errno tells. worker_join() waits for its end. */
bool worker_start(struct worker *worker);
void worker_join(struct worker *worker);

/* From any thread: new sessions begin with service (a reference of its own is taken); NULL: end in order. */
void worker_tell(struct worker *worker, struct service *service);

/* From any thread: a round of the prelude has ended, or a name's addresses are known. All workers look to those who
 * wait for it. */
void worker_tell_all(void);

/* Where max_clients is reached: another worker has so many more silent clients that one of those is to make room. It is
 * told to; until it has, there is one client more. False: it is the worker's own turn. */
bool worker_ask_for_room(struct worker *worker);

/* How many clients there may be beyond max_clients, as others have been told to make room. */
unsigned worker_owed_in_all(void);

/* Milliseconds on the monotonic clock. */
uint64_t worker_now_ms(void);

/* Buries an object; once only. */
void worker_bury(struct worker *worker, struct grave *grave, void (*end)(struct grave *grave));

/* A name for a session in the log, unique in the process. */
uint64_t worker_new_id(struct worker *worker);

#endif
