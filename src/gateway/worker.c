#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clients.h"
#include "list.h"
#include "listener.h"
#include "log.h"
#include "revocations.h"
#include "upstreams.h"

/* --- the end --- */

static void worker_break_if_empty(struct loop *loop)
{
    const struct worker *worker = list_entry(loop, struct worker, loop);
    if (loop->is_stopping && clients_are_gone(&worker->clients) && upstreams_are_gone(&worker->upstreams))
        loop_break(loop);
}

static void worker_on_stop_timer(void *owner)
{
    struct worker *worker = owner;
    clients_stop(&worker->clients, true);
    upstreams_abandon(&worker->upstreams);
    loop_unwind(&worker->loop);
}

static void worker_stop(struct worker *worker)
{
    if (worker->loop.is_stopping)
        return;
    worker->loop.is_stopping = true;
    for (size_t i = 0; i < worker->listener_count; i++)
        listener_done(&worker->listeners[i]);
    timer_set(&worker->stop_timer, worker->clients.service->config->shutdown_timeout_ms);
    clients_stop(&worker->clients, false);
    upstreams_abandon_scouts(&worker->upstreams);
    loop_unwind(&worker->loop);
}

/* --- what others tell --- */

static void worker_on_told(struct loop *loop)
{
    struct worker *worker = list_entry(loop, struct worker, loop);
    pthread_mutex_lock(&worker->told_lock);
    struct service *service = worker->told_service;
    struct revocations *revocations = worker->told_revocations;
    bool is_stop = worker->told_stop;
    worker->told_service = NULL;
    worker->told_revocations = NULL;
    pthread_mutex_unlock(&worker->told_lock);
    if (service)
        clients_begin_with(&worker->clients, service, revocations);
    room_pay(&worker->room);
    clients_round_ended(&worker->clients);
    upstreams_look_up(&worker->upstreams);
    if (is_stop)
        worker_stop(worker);
}

void worker_tell(struct worker *worker, struct service *service)
{
    struct service *before = NULL;
    struct revocations *revocations_before = NULL;
    pthread_mutex_lock(&worker->told_lock);
    if (service) {
        before = worker->told_service;
        worker->told_service = service_ref(service);
        revocations_before = worker->told_revocations;
        worker->told_revocations = revocations_ref(service->revocations);
    } else {
        worker->told_stop = true;
    }
    pthread_mutex_unlock(&worker->told_lock);
    service_unref(before);
    revocations_unref(revocations_before);
    loop_poke(&worker->loop);
}

/* --- life --- */

static bool worker_start_listeners(struct worker *worker)
{
    for (size_t i = 0; i < worker->listener_count; i++)
        if (!listener_start(&worker->listeners[i], &worker->room))
            return false;
    return true;
}

struct worker *worker_new(unsigned index, struct service *service, struct listener *listeners, size_t listener_count,
                          FILE *errors)
{
    struct worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return NULL;
    pthread_mutex_init(&worker->told_lock, NULL);
    bool has_loop = loop_init(&worker->loop, index, worker_on_told);
    worker->loop.unwound = worker_break_if_empty;
    timer_init(&worker->stop_timer, &worker->loop, worker_on_stop_timer, worker);
    lag_begin(&worker->lag, &worker->loop);
    upstreams_init(&worker->upstreams, &worker->loop);
    clients_init(&worker->clients, &worker->upstreams, service);
    room_init(&worker->room, &worker->clients);
    worker->listeners = calloc(listener_count + 1, sizeof *listeners);
    if (worker->listeners && has_loop) {
        worker->listener_count = listener_count;
        for (size_t i = 0; i < listener_count; i++)
            worker->listeners[i] = listeners[i];
        if (worker_start_listeners(worker)) {
            room_open(&worker->room);
            return worker;
        }
    }
    fprintf(errors, "worker %u: %s\n", index, strerror(errno));
    worker_free(worker);
    return NULL;
}

void worker_free(struct worker *worker)
{
    if (!worker)
        return;
    room_done(&worker->room);
    for (size_t i = 0; i < worker->listener_count; i++)
        listener_done(&worker->listeners[i]);
    free(worker->listeners);
    loop_done(&worker->loop);
    clients_done(&worker->clients);
    upstreams_done(&worker->upstreams);
    pthread_mutex_destroy(&worker->told_lock);
    service_unref(worker->told_service);
    revocations_unref(worker->told_revocations);
    free(worker);
}

static void *worker_run(void *arg)
{
    struct worker *worker = arg;
    if (!loop_run(&worker->loop))
        log_error("worker %u: event loop failed", worker->loop.index);
    return NULL;
}

bool worker_start(struct worker *worker)
{
    errno = pthread_create(&worker->thread, NULL, worker_run, worker);
    return errno == 0;
}

void worker_join(struct worker *worker)
{
    pthread_join(worker->thread, NULL);
}
