/* worker: one thread with an event loop of its own, its listeners and the sessions that live on it.
 *
 * Only a worker's own thread touches what it holds; others reach it with worker_tell() and the like. It ends when it
 * was told to, or when it drains (drain.h), and nobody is left. */
#ifndef GATEWAY_WORKER_H
#define GATEWAY_WORKER_H

#include <pthread.h>
#include <stdio.h>

#include "client.h"
#include "drain.h"
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
    struct drain drain;
    struct loop *home; /* borrowed: it is poked when the thread has come to its end; NULL: nobody wants to know */
    bool has_ended;    /* atomic */
    pthread_mutex_t told_lock;
    struct service *told_service;         /* under told_lock, as all of this; counted; NULL: nothing new */
    struct revocations *told_revocations; /* of told_service */
    struct listener *told_listeners;      /* owned array; of told_service, if that is not NULL */
    size_t told_listener_count;
    bool told_listening, told_drain, told_stop;
};

/* NULL after writing why to errors. The worker takes its own references to service and to its revocations. */
struct worker *worker_new(unsigned index, struct service *service, FILE *errors);
void worker_free(struct worker *worker);

/* Before its thread is started: listeners of service's configuration. The array is taken in any case. False after
 * writing why to errors. */
bool worker_listen(struct worker *worker, struct listener *listeners, size_t count, FILE *errors);

/* Starts the thread. False: see errno. worker_join() waits for its end. */
bool worker_start(struct worker *worker);
void worker_join(struct worker *worker);

/* From any thread: has its thread come to its end? */
bool worker_has_ended(const struct worker *worker);

/* From any thread: new sessions begin with service (it takes its own references to it and to its revocations), and come
 * by these listeners, and by no others any more. The array is taken. */
void worker_tell(struct worker *worker, struct service *service, struct listener *listeners, size_t listener_count);

/* From any thread: clients come by these listeners, of the same configuration, and by no others any more. */
void worker_tell_listeners(struct worker *worker, struct listener *listeners, size_t listener_count);

/* From any thread: the sessions come to their end by and by; it has been told that nobody is accepted any more. */
void worker_drain(struct worker *worker);

/* From any thread: shut down in an orderly way. */
void worker_stop(struct worker *worker);

#endif
