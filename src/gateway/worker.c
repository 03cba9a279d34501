#include "worker.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "listener.h"
#include "peers.h"
#include "upstream.h"

static_assert(WORKER_CLIENT_STATES == CLIENT_STATE_MAX, "a list for each state of a client");
static_assert(WORKER_UPSTREAM_STATES == UPSTREAM_STATE_MAX, "a list for each state of an upstream");

/* Whom worker_tell_all() tells. */
static pthread_mutex_t workers_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list workers = { &workers, &workers };

/* How many more than max_clients there can be for a moment, while workers' silent clients make room for those of
 * others. */
#define WORKER_OWED_MAX 64u
static unsigned owed_in_all; /* atomic: the sum of their owed */

uint64_t worker_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t worker_new_id(struct worker *worker)
{
    /* The low octet tells the worker, so that two never give the same. */
    return ++worker->next_id << 8 | (worker->index & 0xff);
}

/* --- graves --- */

static void worker_end_buried(struct worker *worker)
{
    while (!list_is_empty(&worker->graves)) {
        struct grave *grave = list_entry(worker->graves.next, struct grave, link);
        list_remove(&grave->link);
        grave->end(grave);
    }
}

static void worker_break_if_empty(struct worker *worker)
{
    if (!worker->is_stopping)
        return;
    for (size_t i = 0; i < CLIENT_STATE_MAX; i++)
        if (!list_is_empty(&worker->clients[i]))
            return;
    for (size_t i = 0; i < UPSTREAM_STATE_MAX; i++)
        if (!list_is_empty(&worker->upstreams[i]))
            return;
    event_base_loopbreak(worker->base);
}

static void worker_on_graves(evutil_socket_t fd, short what, void *arg)
{
    struct worker *worker = arg;
    worker_end_buried(worker);
    worker_break_if_empty(worker);
}

void worker_bury(struct worker *worker, struct grave *grave, void (*end)(struct grave *grave))
{
    grave->end = end;
    list_init(&grave->link);
    list_move(&grave->link, &worker->graves);
    event_active(&worker->grave_event, EV_TIMEOUT, 1);
}

/* --- the end --- */

static void worker_stop_clients(struct worker *worker, bool now)
{
    for (size_t state = 0; state < CLIENT_DEAD; state++)
        list_each_safe(link, &worker->clients[state]) client_stop(list_entry(link, struct client, link), now);
}

static void worker_on_stop_timer(evutil_socket_t fd, short what, void *arg)
{
    struct worker *worker = arg;
    worker_stop_clients(worker, true);
    for (size_t state = 0; state < UPSTREAM_DEAD; state++)
        list_each_safe(link, &worker->upstreams[state]) upstream_abandon(list_entry(link, struct upstream, link));
    event_active(&worker->grave_event, EV_TIMEOUT, 1);
}

static void worker_stop(struct worker *worker)
{
    if (worker->is_stopping)
        return;
    worker->is_stopping = true;
    for (size_t i = 0; i < worker->listener_count; i++)
        listener_done(&worker->listeners[i]);
    uint64_t after_ms = worker->service->config->shutdown_timeout_ms;
    struct timeval after = { .tv_sec = (time_t)(after_ms / 1000), .tv_usec = (suseconds_t)(after_ms % 1000 * 1000) };
    evtimer_add(&worker->stop_timer, &after);
    worker_stop_clients(worker, false);
    /* A scout has nobody who would end it. */
    for (size_t state = 0; state < UPSTREAM_READY; state++)
        list_each_safe(link, &worker->upstreams[state]) upstream_abandon(list_entry(link, struct upstream, link));
    event_active(&worker->grave_event, EV_TIMEOUT, 1);
}

/* --- what others tell --- */

static void worker_poke(const struct worker *worker)
{
    uint64_t one = 1;
    if (write(worker->told_fd, &one, sizeof one) < 0)
        log_error("eventfd: %s", strerror(errno));
}

void worker_tell_all(void)
{
    pthread_mutex_lock(&workers_lock);
    for (const struct list *link = workers.next; link != &workers; link = link->next)
        worker_poke(list_entry(link, struct worker, told_link));
    pthread_mutex_unlock(&workers_lock);
}

unsigned worker_owed_in_all(void)
{
    return __atomic_load_n(&owed_in_all, __ATOMIC_RELAXED);
}

static unsigned worker_to_spare(const struct worker *worker)
{
    unsigned silent = __atomic_load_n(&worker->silent, __ATOMIC_RELAXED);
    unsigned owed = __atomic_load_n(&worker->owed, __ATOMIC_RELAXED);
    return silent > owed ? silent - owed : 0;
}

bool worker_ask_for_room(struct worker *worker)
{
    struct worker *richest = worker;
    unsigned own = worker_to_spare(worker), most = own;
    pthread_mutex_lock(&workers_lock);
    for (struct list *link = workers.next; link != &workers; link = link->next) {
        struct worker *other = list_entry(link, struct worker, told_link);
        if (worker_to_spare(other) > most) {
            richest = other;
            most = worker_to_spare(other);
        }
    }
    /* Not for a small difference: its own clients give way at once. */
    bool is_asked = richest != worker && most / 2 >= own && worker_owed_in_all() < WORKER_OWED_MAX;
    if (is_asked) {
        __atomic_add_fetch(&owed_in_all, 1, __ATOMIC_RELAXED);
        __atomic_add_fetch(&richest->owed, 1, __ATOMIC_RELAXED);
        worker_poke(richest);
    }
    pthread_mutex_unlock(&workers_lock);
    return is_asked;
}

static void worker_pay(struct worker *worker)
{
    while (__atomic_load_n(&worker->owed, __ATOMIC_RELAXED) > 0) {
        /* One that has left by itself has made room. */
        if (peers_count() > worker->service->config->max_clients)
            client_make_room(worker);
        __atomic_sub_fetch(&worker->owed, 1, __ATOMIC_RELAXED);
        __atomic_sub_fetch(&owed_in_all, 1, __ATOMIC_RELAXED);
    }
}

static void worker_enlist(struct worker *worker)
{
    pthread_mutex_lock(&workers_lock);
    list_move(&worker->told_link, &workers);
    pthread_mutex_unlock(&workers_lock);
}

static void worker_strike(struct worker *worker)
{
    pthread_mutex_lock(&workers_lock);
    list_remove(&worker->told_link);
    pthread_mutex_unlock(&workers_lock);
}

static void worker_on_told(evutil_socket_t fd, short what, void *arg)
{
    struct worker *worker = arg;
    uint64_t count;
    while (read(worker->told_fd, &count, sizeof count) > 0)
        ;
    pthread_mutex_lock(&worker->told_lock);
    struct service *service = worker->told_service;
    bool is_stop = worker->told_stop;
    worker->told_service = NULL;
    pthread_mutex_unlock(&worker->told_lock);
    if (service) {
        service_unref(worker->service);
        worker->service = service;
    }
    worker_pay(worker);
    list_each_safe(link, &worker->clients[CLIENT_GREETING]) client_round_ended(list_entry(link, struct client, link));
    list_each_safe(link, &worker->upstreams[UPSTREAM_RESOLVING])
        upstream_set_timer(list_entry(link, struct upstream, link), 0);
    if (is_stop)
        worker_stop(worker);
}

void worker_tell(struct worker *worker, struct service *service)
{
    struct service *before = NULL;
    pthread_mutex_lock(&worker->told_lock);
    if (service) {
        before = worker->told_service;
        worker->told_service = service_ref(service);
    } else {
        worker->told_stop = true;
    }
    pthread_mutex_unlock(&worker->told_lock);
    service_unref(before);
    worker_poke(worker);
}

/* --- life --- */

static struct event_base *worker_new_base(void)
{
    struct event_config *config = event_config_new();
    if (!config)
        return NULL;
    /* Nobody but its own thread touches a loop: no locks. */
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

static bool worker_start_listeners(struct worker *worker)
{
    for (size_t i = 0; i < worker->listener_count; i++)
        if (!listener_start(&worker->listeners[i], worker))
            return false;
    return true;
}

struct worker *worker_new(unsigned index, struct service *service, struct listener *listeners, size_t listener_count,
                          FILE *errors)
{
    struct worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return NULL;
    worker->index = index;
    worker->service = service_ref(service);
    worker->listener_count = listener_count;
    worker->told_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_mutex_init(&worker->told_lock, NULL);
    list_init(&worker->graves);
    list_init(&worker->told_link);
    for (size_t i = 0; i < CLIENT_STATE_MAX; i++)
        list_init(&worker->clients[i]);
    for (size_t i = 0; i < UPSTREAM_STATE_MAX; i++)
        list_init(&worker->upstreams[i]);
    worker->listeners = calloc(listener_count + 1, sizeof *listeners);
    worker->base = worker_new_base();
    if (worker->listeners && worker->base && worker->told_fd >= 0) {
        for (size_t i = 0; i < listener_count; i++)
            worker->listeners[i] = listeners[i];
        event_assign(&worker->told_event, worker->base, worker->told_fd, EV_READ | EV_PERSIST, worker_on_told, worker);
        event_assign(&worker->grave_event, worker->base, -1, 0, worker_on_graves, worker);
        evtimer_assign(&worker->stop_timer, worker->base, worker_on_stop_timer, worker);
        if (event_add(&worker->told_event, NULL) == 0 && worker_start_listeners(worker)) {
            worker_enlist(worker);
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
    worker_strike(worker);
    worker_end_buried(worker);
    for (size_t i = 0; worker->listeners && i < worker->listener_count; i++)
        listener_done(&worker->listeners[i]);
    free(worker->listeners);
    if (worker->base)
        event_base_free(worker->base);
    if (worker->told_fd >= 0)
        close(worker->told_fd);
    pthread_mutex_destroy(&worker->told_lock);
    pool_done(&worker->pool);
    service_unref(worker->told_service);
    service_unref(worker->service);
    free(worker);
}

static void *worker_run(void *arg)
{
    struct worker *worker = arg;
    if (event_base_dispatch(worker->base) < 0)
        log_error("worker %u: event loop failed", worker->index);
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
