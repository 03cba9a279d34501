#include "reload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "crew.h"
#include "daemon.h"
#include "deadlist.h"
#include "loading.h"
#include "log.h"
#include "loop.h"
#include "park.h"
#include "prelude.h"
#include "process.h"
#include "resolver.h"
#include "service.h"
#include "worker.h"

static bool reload_has_server(const struct config *config, const struct config_upstream *upstream)
{
    for (size_t i = 0; i < config->upstream_count; i++)
        if (strcmp(config->upstreams[i].name, upstream->name) == 0 &&
            config_is_same_server(&config->upstreams[i], upstream))
            return true;
    return false;
}

/* What was learned of an upstream is not true of the one that has its name now, or will have it after another reload.
 */
static void reload_forget_moved(const struct config *before, const struct config *now)
{
    for (size_t i = 0; i < before->upstream_count; i++)
        if (!reload_has_server(now, &before->upstreams[i]))
            prelude_forget(before->upstreams[i].name);
}

static bool reload_has_name(const void *arg, const char *name)
{
    const struct config *config = arg;
    for (size_t i = 0; i < config->upstream_count; i++)
        if (!config->upstreams[i].is_unix && strcmp(config->upstreams[i].host, name) == 0)
            return true;
    return false;
}

void reload(struct daemon *daemon)
{
    /* Whatever becomes of the configuration, who has changed something about names or hosts says so by this. */
    deadlist_expire();
    resolver_renew(loop_now_ms(&daemon->janitor.worker->loop));
    char *text = NULL;
    size_t len = 0;
    FILE *messages = open_memstream(&text, &len);
    if (!messages) {
        log_error("reload failed: %s", strerror(errno));
        return;
    }
    struct service *service = loading_read(daemon->config_path, daemon->service, messages);
    /* Listening sockets are opened once, as root perhaps, and workers started. */
    bool can_follow = service && config_can_follow(service->config, daemon->started, messages);
    fclose(messages);
    loading_log(text);
    free(text);
    if (!can_follow) {
        log_error(service ? "reload refused: listeners, their addresses and workers change only with a restart"
                          : "reload failed; the configuration, keys and certificates stay as they were");
        service_unref(service);
        return;
    }
    log_open(service->config->log_to, service->config->log_level);
    process_raise_descriptors(service->config);
    crew_tell(&daemon->crew, service);
    worker_tell(daemon->janitor.worker, service);
    service_forget_revocations(service);
    park_configure(service->config);
    resolver_configure(reload_has_name, service->config);
    reload_forget_moved(daemon->service->config, service->config);
    service_unref(daemon->service);
    daemon->service = service;
    log_info("reloaded: configuration, keys and certificates");
}
