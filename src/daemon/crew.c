#include "crew.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "inquiry.h"
#include "listener.h"
#include "log.h"
#include "service.h"
#include "worker.h"

struct crew_share {
    struct listener *listeners;
    size_t count;
};

static unsigned crew_size(const struct config *config)
{
    if (config->workers > 0)
        return config->workers;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    return cpus > 0 ? (unsigned)cpus : 1;
}

/* --- sockets --- */

static void crew_complain(const struct config_listener *listener, const struct config_address *address,
                          const char *wrong, FILE *errors)
{
    fprintf(errors, "%s:%u: listener \"%s\": %s: %s\n", listener->place.file, listener->place.line, listener->name,
            address->text, wrong);
}

static bool crew_open_address(struct crew *crew, const struct config *config, const struct config_listener *listener,
                              const struct config_address *address, FILE *errors)
{
    const char *wrong =
        sockets_open(&crew->sockets, &address->endpoint, crew_size(config), (mode_t)listener->unix_mode);
    if (wrong)
        crew_complain(listener, address, wrong, errors);
    return !wrong;
}

static size_t crew_find_paused(const struct crew *crew, const char *name)
{
    size_t i = 0;
    while (i < crew->paused_count && strcmp(crew->paused[i], name) != 0)
        i++;
    return i;
}

static bool crew_accepts(const struct crew *crew, const struct config_listener *listener)
{
    return !crew->is_closed && !crew->is_paused && crew_find_paused(crew, listener->name) == crew->paused_count;
}

static bool crew_open_addresses(struct crew *crew, const struct config *config, FILE *errors)
{
    bool is_whole = true;
    for (size_t i = 0; i < config->listener_count; i++)
        for (size_t j = 0; crew_accepts(crew, &config->listeners[i]) && j < config->listeners[i].address_count; j++)
            is_whole &=
                crew_open_address(crew, config, &config->listeners[i], &config->listeners[i].addresses[j], errors);
    return is_whole;
}

static void crew_close_others(struct crew *crew, const struct config *config)
{
    sockets_begin(&crew->sockets);
    for (size_t i = 0; i < config->listener_count; i++)
        for (size_t j = 0; crew_accepts(crew, &config->listeners[i]) && j < config->listeners[i].address_count; j++)
            sockets_keep(&crew->sockets, &config->listeners[i].addresses[j].endpoint);
    for (size_t i = 0; i < config->http.address_count; i++) /* http.h opens them */
        sockets_keep(&crew->sockets, &config->http.addresses[i].endpoint);
    sockets_close_others(&crew->sockets);
}

/* --- workers --- */

static bool crew_add_worker(struct crew *crew, struct service *service, FILE *errors)
{
    struct worker **more = reallocarray(crew->workers, crew->count + 1, sizeof *more);
    if (more)
        crew->workers = more;
    struct worker *worker = more ? worker_new(crew->count, service, errors) : NULL;
    if (!worker)
        return false;
    worker->home = crew->home;
    if (!inquiries_add(crew->inquiries, worker)) {
        worker_free(worker);
        return false;
    }
    crew->workers[crew->count++] = worker;
    return true;
}

static void crew_remove_last(struct crew *crew)
{
    struct worker *worker = crew->workers[--crew->count];
    inquiries_leave_out(crew->inquiries, worker);
    worker_free(worker);
}

static bool crew_start_more(struct crew *crew, struct service *service, unsigned wanted, FILE *errors)
{
    while (crew->count < wanted) {
        if (!crew_add_worker(crew, service, errors))
            return false;
        if (!worker_start(crew->workers[crew->count - 1])) {
            fprintf(errors, "worker %u cannot be started: %s\n", crew->count - 1, strerror(errno));
            crew_remove_last(crew);
            return false;
        }
    }
    return true;
}

/* --- shares --- */

static void crew_free_shares(struct crew_share *shares, unsigned count)
{
    for (unsigned i = 0; shares && i < count; i++)
        listeners_free(shares[i].listeners, shares[i].count);
    free(shares);
}

static struct crew_share *crew_share(const struct crew *crew, const struct config *config, unsigned active,
                                     FILE *errors)
{
    struct crew_share *shares = calloc(crew->count + 1, sizeof *shares);
    for (unsigned i = 0; shares && i < crew->count; i++)
        if (!listeners_share(config, &crew->sockets, i, active, &shares[i].listeners, &shares[i].count)) {
            int error = errno;
            crew_free_shares(shares, i);
            shares = NULL;
            errno = error;
        }
    if (!shares)
        fprintf(errors, "%s: the listeners cannot be shared among the workers: %s\n", config->path, strerror(errno));
    return shares;
}

/* --- start --- */

bool crew_make(struct crew *crew, struct service *service, FILE *errors)
{
    crew->service = service_ref(service);
    crew->active = crew_size(service->config);
    if (!crew_open_addresses(crew, service->config, errors))
        return false;
    crew_close_others(crew, service->config);
    while (crew->count < crew->active)
        if (!crew_add_worker(crew, service, errors))
            return false;
    struct crew_share *shares = crew_share(crew, service->config, crew->active, errors);
    bool is_listening = shares;
    for (unsigned i = 0; is_listening && i < crew->count; i++)
        is_listening = worker_listen(crew->workers[i], shares[i].listeners, shares[i].count, errors);
    free(shares);
    return is_listening;
}

bool crew_start(struct crew *crew)
{
    for (unsigned i = 0; i < crew->count; i++)
        if (!worker_start(crew->workers[i])) {
            log_error("worker %u cannot be started: %s", i, strerror(errno));
            return false;
        }
    return true;
}

/* --- reload --- */

bool crew_prepare(struct crew *crew, struct service *service, struct crew_change *ret_change, FILE *errors)
{
    struct crew_change change = { .service = service };
    change.active = crew->is_closed ? crew->active : crew_size(service->config);
    change.is_whole = crew_open_addresses(crew, service->config, errors);
    if (crew_start_more(crew, service, change.active, errors))
        change.shares = crew_share(crew, service->config, change.active, errors);
    if (!change.shares) {
        crew_close_others(crew, crew->service->config);
        return false;
    }
    *ret_change = change;
    return true;
}

void crew_follow(struct crew *crew, struct crew_change *change)
{
    for (unsigned i = 0; i < crew->count; i++)
        worker_tell(crew->workers[i], change->service, change->shares[i].listeners, change->shares[i].count);
    free(change->shares);
    change->shares = NULL;
    crew->active = change->active;
    crew_close_others(crew, change->service->config);
    service_ref(change->service);
    service_unref(crew->service);
    crew->service = change->service;
}

/* --- paused --- */

static bool crew_has_listener(const struct crew *crew, const char *name)
{
    const struct config *config = crew->service->config;
    for (size_t i = 0; i < config->listener_count; i++)
        if (strcmp(config->listeners[i].name, name) == 0)
            return true;
    return false;
}

/* What is open is dealt out anew, and what is not to be open is closed. */
static bool crew_deal(struct crew *crew, FILE *errors)
{
    struct crew_share *shares = crew_share(crew, crew->service->config, crew->active, errors);
    for (unsigned i = 0; shares && i < crew->count; i++)
        worker_tell_listeners(crew->workers[i], shares[i].listeners, shares[i].count);
    crew_close_others(crew, crew->service->config);
    free(shares);
    return shares;
}

static bool crew_add_paused(struct crew *crew, const char *name)
{
    char **more = reallocarray(crew->paused, crew->paused_count + 1, sizeof *more);
    if (more)
        crew->paused = more;
    char *copy = more ? strdup(name) : NULL;
    if (copy)
        crew->paused[crew->paused_count++] = copy;
    return copy;
}

bool crew_begin_paused(struct crew *crew, const char *name)
{
    crew->is_paused |= !name;
    return !name || crew_find_paused(crew, name) < crew->paused_count || crew_add_paused(crew, name);
}

bool crew_has_paused(const struct crew *crew)
{
    const struct config *config = crew->service->config;
    for (size_t i = 0; i < config->listener_count; i++)
        if (!crew_accepts(crew, &config->listeners[i]))
            return true;
    return false;
}

bool crew_pause(struct crew *crew, const char *name, FILE *errors)
{
    if (name && !crew_has_listener(crew, name)) {
        fprintf(errors, "there is no listener \"%s\"\n", name);
        return false;
    }
    if (!crew_begin_paused(crew, name)) {
        fprintf(errors, "%s\n", strerror(ENOMEM));
        return false;
    }
    /* Before they are dealt out: then nobody is given one that is to be closed. */
    crew_close_others(crew, crew->service->config);
    return crew_deal(crew, errors);
}

static void crew_remove_paused(struct crew *crew, size_t index)
{
    free(crew->paused[index]);
    crew->paused[index] = crew->paused[--crew->paused_count];
}

bool crew_resume(struct crew *crew, const char *name, FILE *errors)
{
    if (name && !crew_has_listener(crew, name)) {
        fprintf(errors, "there is no listener \"%s\"\n", name);
        return false;
    }
    if (name && crew->is_paused) {
        fputs("all listeners drain: they are resumed together\n", errors);
        return false;
    }
    if (name && crew_find_paused(crew, name) < crew->paused_count)
        crew_remove_paused(crew, crew_find_paused(crew, name));
    while (!name && crew->paused_count > 0)
        crew_remove_paused(crew, crew->paused_count - 1);
    if (!name)
        crew->is_paused = false;
    bool is_whole = crew_open_addresses(crew, crew->service->config, errors);
    return crew_deal(crew, errors) && is_whole;
}

/* --- the end --- */

static void crew_close(struct crew *crew)
{
    crew->is_closed = true;
    sockets_done(&crew->sockets);
}

void crew_drain(struct crew *crew)
{
    crew_close(crew);
    for (unsigned i = 0; i < crew->count; i++)
        worker_drain(crew->workers[i]);
}

void crew_stop(struct crew *crew)
{
    crew_close(crew);
    for (unsigned i = 0; i < crew->count; i++)
        worker_stop(crew->workers[i]);
}

bool crew_has_ended(const struct crew *crew)
{
    for (unsigned i = 0; i < crew->count; i++)
        if (!worker_has_ended(crew->workers[i]))
            return false;
    return true;
}

void crew_join(struct crew *crew)
{
    for (unsigned i = 0; i < crew->count; i++)
        worker_join(crew->workers[i]);
}

void crew_done(struct crew *crew)
{
    sockets_done(&crew->sockets);
    for (unsigned i = 0; i < crew->count; i++)
        worker_free(crew->workers[i]);
    free(crew->workers);
    while (crew->paused_count > 0)
        crew_remove_paused(crew, crew->paused_count - 1);
    free(crew->paused);
    service_unref(crew->service);
    *crew = (struct crew){ 0 };
}
