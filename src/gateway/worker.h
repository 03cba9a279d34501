/* worker: one thread with an event loop of its own, its listening sockets and the sessions that live on it.
 *
 * Only a worker's own thread touches what it holds; others reach it with worker_tell(). */
#ifndef GATEWAY_WORKER_H
#define GATEWAY_WORKER_H

#include <pthread.h>
#include <stdio.h>

#include "client.h"
#include "lag.h"
#include "loop.h"
#include "room.h"
#include "service.h"
#include "timer.h"
#include "upstream.h"

struct worker {
    pthread_t thread;
    struct loop loop;
    struct upstreams upstreams;
    struct clients clients;
    struct listener *listeners; /* owned array */
    size_t listener_count;
    struct room room;
    struct lag lag;
    struct timer stop_timer;
    pthread_mutex_t told_lock;
    struct service *told_service;         /* under told_lock; counted; NULL: nothing new */
    struct revocations *told_revocations; /* likewise; of told_service */
    bool told_stop;                       /* under told_lock */
};

/* NULL after writing why to errors. The worker takes its own references to service and to its revocations. listeners
 * are moved into the worker. */
struct worker *worker_new(unsigned index, struct service *service, struct listener *listeners, size_t listener_count,
                          FILE *errors);
void worker_free(struct worker *worker);

/* Starts the thread. False: see errno. worker_join() waits for its end. */
bool worker_start(struct worker *worker);
void worker_join(struct worker *worker);

/* From any thread: new sessions begin with service (it takes its own references to it and to its revocations); NULL:
 * shut down in an orderly way. */
void worker_tell(struct worker *worker, struct service *service);

#endif
