#include "crew.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "listener.h"
#include "log.h"
#include "service.h"
#include "worker.h"

static unsigned crew_size(const struct config *config)
{
    if (config->workers > 0)
        return config->workers;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    return cpus > 0 ? (unsigned)cpus : 1;
}

bool crew_make(struct crew *crew, struct service *service, FILE *errors)
{
    struct listener *listeners = NULL;
    unsigned count = crew_size(service->config);
    size_t per_worker = 0;
    if (!listener_open_all(service->config, count, &listeners, &per_worker, errors))
        return false;
    crew->workers = calloc(count, sizeof *crew->workers);
    for (unsigned i = 0; crew->workers && i < count; i++) {
        crew->workers[i] = worker_new(i, service, &listeners[i * per_worker], per_worker, errors);
        if (!crew->workers[i])
            break;
        crew->count++;
    }
    free(listeners);
    return crew->count == count;
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

void crew_tell(struct crew *crew, struct service *service)
{
    for (unsigned i = 0; i < crew->count; i++)
        worker_tell(crew->workers[i], service);
}

void crew_join(struct crew *crew)
{
    for (unsigned i = 0; i < crew->count; i++)
        worker_join(crew->workers[i]);
}

void crew_done(struct crew *crew)
{
    for (unsigned i = 0; i < crew->count; i++)
        worker_free(crew->workers[i]);
    free(crew->workers);
    *crew = (struct crew){ 0 };
}
