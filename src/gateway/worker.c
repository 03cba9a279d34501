#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clients.h"
#include "crash.h"
#include "list.h"
#include "listener.h"
#include "log.h"
#include "revocations.h"
#include "upstreams.h"

static void worker_take_listeners(struct worker *worker, struct listener *listeners, size_t count)
{
    listeners_free(worker->listeners, worker->listener_count);
    worker->listeners = listeners;
    worker->listener_count = count;
}

/* --- the end --- */

static void worker_on_stop_timer(void *owner)
{
    struct worker *worker = owner;
    clients_stop(&worker->clients, true);
    upstreams_abandon(&worker->upstreams);
    loop_unwind(&worker->loop);
}

static void worker_begin_stop(struct worker *worker)
{
    if (worker->loop.is_stopping)
        return;
    worker->loop.is_stopping = true;
    drain_done(&worker->drain);
    worker_take_listeners(worker, NULL, 0);
    timer_set(&worker->stop_timer, worker->clients.service->config->shutdown_timeout_ms);
    clients_stop(&worker->clients, false);
    upstreams_abandon_scouts(&worker->upstreams);
    loop_unwind(&worker->loop);
}

static void worker_on_drained(void *owner)
{
    worker_begin_stop(owner);
}

static void worker_on_unwound(struct loop *loop)
{
    struct worker *worker = list_entry(loop, struct worker, loop);
    bool is_alone = clients_are_gone(&worker->clients);
    if (worker->drain.is_on && is_alone)
        worker_begin_stop(worker);
    if (loop->is_stopping && is_alone && upstreams_are_gone(&worker->upstreams))
        loop_break(loop);
}

/* --- what others tell --- */

/* The sockets are the same, as far as they are still wanted: who waits in their queues is not lost. */
static void worker_go_over(struct worker *worker, struct listener *listeners, size_t count)
{
    const struct config *config = worker->clients.service->config;
    worker_take_listeners(worker, listeners, count);
    for (size_t i = 0; i < count; i++)
        if (!listener_start(&listeners[i], &worker->room))
            log_error("worker %u: listener \"%s\" cannot be watched: %s", worker->loop.index,
                      config->listeners[listeners[i].index].name, strerror(errno));
}

static void worker_begin_drain(struct worker *worker)
{
    if (worker->loop.is_stopping || worker->drain.is_on)
        return;
    worker_take_listeners(worker, NULL, 0);
    drain_begin(&worker->drain, &worker->clients, worker_on_drained, worker);
    loop_unwind(&worker->loop);
}

static void worker_on_told(struct loop *loop)
{
    struct worker *worker = list_entry(loop, struct worker, loop);
    pthread_mutex_lock(&worker->told_lock);
    struct service *service = worker->told_service;
    struct revocations *revocations = worker->told_revocations;
    struct listener *listeners = worker->told_listeners;
    size_t listener_count = worker->told_listener_count;
    bool is_listening = worker->told_listening, is_drain = worker->told_drain, is_stop = worker->told_stop;
    worker->told_service = NULL;
    worker->told_revocations = NULL;
    worker->told_listeners = NULL;
    worker->told_listener_count = 0;
    worker->told_listening = false;
    pthread_mutex_unlock(&worker->told_lock);
    if (service)
        clients_begin_with(&worker->clients, service, revocations);
    if (is_listening)
        worker_go_over(worker, listeners, listener_count);
    room_pay(&worker->room);
    clients_round_ended(&worker->clients);
    upstreams_told(&worker->upstreams);
    if (is_drain)
        worker_begin_drain(worker);
    if (is_stop)
        worker_begin_stop(worker);
}

/* service may be NULL: only the listeners are new. */
static void worker_tell_both(struct worker *worker, struct service *service, struct listener *listeners, size_t count)
{
    struct service *before = NULL;
    struct revocations *revocations_before = NULL;
    pthread_mutex_lock(&worker->told_lock);
    struct listener *listeners_before = worker->told_listeners;
    size_t count_before = worker->told_listener_count;
    if (service) {
        before = worker->told_service;
        revocations_before = worker->told_revocations;
        worker->told_service = service_ref(service);
        worker->told_revocations = revocations_ref(service->revocations);
    }
    worker->told_listeners = listeners;
    worker->told_listener_count = count;
    worker->told_listening = true;
    pthread_mutex_unlock(&worker->told_lock);
    service_unref(before);
    revocations_unref(revocations_before);
    listeners_free(listeners_before, count_before);
    loop_poke(&worker->loop);
}

void worker_tell(struct worker *worker, struct service *service, struct listener *listeners, size_t listener_count)
{
    worker_tell_both(worker, service, listeners, listener_count);
}

void worker_tell_listeners(struct worker *worker, struct listener *listeners, size_t listener_count)
{
    worker_tell_both(worker, NULL, listeners, listener_count);
}

static void worker_tell_flag(struct worker *worker, bool *flag)
{
    pthread_mutex_lock(&worker->told_lock);
    *flag = true;
    pthread_mutex_unlock(&worker->told_lock);
    loop_poke(&worker->loop);
}

void worker_drain(struct worker *worker)
{
    worker_tell_flag(worker, &worker->told_drain);
}

void worker_stop(struct worker *worker)
{
    worker_tell_flag(worker, &worker->told_stop);
}

/* --- life --- */

struct worker *worker_new(unsigned index, struct service *service, FILE *errors)
{
    struct worker *worker = calloc(1, sizeof *worker);
    if (!worker) {
        fprintf(errors, "worker %u: %s\n", index, strerror(errno));
        return NULL;
    }
    pthread_mutex_init(&worker->told_lock, NULL);
    bool has_loop = loop_init(&worker->loop, index, worker_on_told);
    worker->loop.unwound = worker_on_unwound;
    timer_init(&worker->stop_timer, &worker->loop, worker_on_stop_timer, worker);
    lag_begin(&worker->lag, &worker->loop);
    drain_init(&worker->drain, &worker->loop);
    upstreams_init(&worker->upstreams, &worker->loop);
    clients_init(&worker->clients, &worker->upstreams, service);
    room_init(&worker->room, &worker->clients);
    if (has_loop) {
        room_open(&worker->room);
        return worker;
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
    listeners_free(worker->listeners, worker->listener_count);
    listeners_free(worker->told_listeners, worker->told_listener_count);
    loop_done(&worker->loop);
    clients_done(&worker->clients);
    upstreams_done(&worker->upstreams);
    pthread_mutex_destroy(&worker->told_lock);
    service_unref(worker->told_service);
    revocations_unref(worker->told_revocations);
    free(worker);
}

bool worker_listen(struct worker *worker, struct listener *listeners, size_t count, FILE *errors)
{
    worker_take_listeners(worker, listeners, count);
    for (size_t i = 0; i < count; i++)
        if (!listener_start(&listeners[i], &worker->room)) {
            fprintf(errors, "worker %u: %s\n", worker->loop.index, strerror(errno));
            return false;
        }
    return true;
}

static void *worker_run(void *arg)
{
    struct worker *worker = arg;
    crash_begin_thread();
    if (!loop_run(&worker->loop))
        log_error("worker %u: event loop failed", worker->loop.index);
    __atomic_store_n(&worker->has_ended, true, __ATOMIC_RELEASE);
    if (worker->home)
        loop_poke(worker->home);
    crash_end_thread();
    return NULL;
}

bool worker_start(struct worker *worker)
{
    errno = pthread_create(&worker->thread, NULL, worker_run, worker);
    return errno == 0;
}

bool worker_has_ended(const struct worker *worker)
{
    return __atomic_load_n(&worker->has_ended, __ATOMIC_ACQUIRE);
}

void worker_join(struct worker *worker)
{
    pthread_join(worker->thread, NULL);
}
