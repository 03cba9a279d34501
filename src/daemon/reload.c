#include "reload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config.h"
#include "crew.h"
#include "daemon.h"
#include "http.h"
#include "loading.h"
#include "log.h"
#include "loop.h"
#include "park.h"
#include "prelude.h"
#include "process.h"
#include "pulse.h"
#include "queue.h"
#include "resolver.h"
#include "routecache.h"
#include "service.h"
#include "settled.h"
#include "worker.h"

static bool reload_has_member(const struct config *config, const struct config_upstream *upstream,
                              const struct config_member *member)
{
    for (size_t i = 0; i < config->upstream_count; i++)
        if (strcmp(config->upstreams[i].name, upstream->name) == 0 &&
            config_has_member(&config->upstreams[i], upstream, member))
            return true;
    return false;
}

/* What was learned of a member is not true of the one that has its names now, or will have them after another reload.
 */
static void reload_forget_members(const struct config_upstream *upstream, const struct config *now)
{
    for (size_t i = 0; i < upstream->member_count; i++)
        if (!reload_has_member(now, upstream, &upstream->members[i]))
            prelude_forget(upstream->name, upstream->members[i].text);
}

static void reload_forget_moved(const struct config *before, const struct config *now)
{
    for (size_t i = 0; i < before->upstream_count; i++)
        reload_forget_members(&before->upstreams[i], now);
}

static bool reload_upstream_has_name(const struct config_upstream *upstream, const char *name)
{
    for (size_t i = 0; i < upstream->member_count; i++)
        if (!upstream->members[i].is_unix && strcmp(upstream->members[i].host, name) == 0)
            return true;
    return false;
}

static bool reload_has_name(const void *arg, const char *name)
{
    const struct config *config = arg;
    for (size_t i = 0; i < config->upstream_count; i++)
        if (reload_upstream_has_name(&config->upstreams[i], name))
            return true;
    return false;
}

/* --- its answer --- */

struct reload {
    reload_callback *answered;
    void *asker;
    char *words; /* owned */
    bool is_whole;
};

static void reload_answer(void *owner)
{
    struct reload *reload = owner;
    reload->answered(reload->asker, reload->is_whole, reload->words ? reload->words : "out of memory");
    free(reload->words);
    free(reload);
}

/* --- going over --- */

static void reload_take(struct daemon *daemon, struct service *service, struct crew_change *change)
{
    log_open(service->config->log_to, service->config->log_format, service->config->log_level);
    process_raise_descriptors(service->config);
    crew_follow(&daemon->crew, change);
    worker_tell(daemon->janitor.worker, service, NULL, 0);
    service_forget_revocations(service);
    park_configure(service->config);
    routecache_forget();
    queue_configure(service->config);
    resolver_configure(reload_has_name, service->config);
    reload_forget_moved(daemon->service->config, service->config);
    service_unref(daemon->service);
    daemon->service = service;
    daemon->standing.service = service;
    daemon->standing.reloaded_s = time(NULL);
}

static const char reload_whole[] = "reloaded: configuration, keys and certificates";
static const char reload_partly[] = "reloaded, all but what is named above";
static const char reload_failed[] = "reload failed; the configuration, keys and certificates stay as they were";

/* What came of it, in one line; what there is to say in detail goes to messages. */
static const char *reload_try(struct daemon *daemon, FILE *messages)
{
    struct crew_change change;
    struct service *service = loading_read(daemon->config_path, daemon->service, messages);
    if (!service)
        return reload_failed;
    if (!crew_prepare(&daemon->crew, service, &change, messages)) {
        service_unref(service);
        return reload_failed;
    }
    config_name_kept(service->config, daemon->started, messages);
    bool is_whole = change.is_whole;
    reload_take(daemon, service, &change);
    if (!daemon->is_draining) /* where it is asked no longer depends on this process alone */
        is_whole &= http_follow(daemon->http, service->config, &daemon->crew.sockets, messages);
    return is_whole ? reload_whole : reload_partly;
}

static void reload_count(struct daemon *daemon, const char *result)
{
    struct standing *standing = &daemon->standing;
    bool is_whole = result == reload_whole, is_partly = result == reload_partly;
    standing->reloads[is_whole ? STANDING_RELOAD_TAKEN : is_partly ? STANDING_RELOAD_PARTLY : STANDING_RELOAD_FAILED]++;
    standing->has_failed = !is_whole;
    if (is_whole || is_partly)
        standing->is_listening = is_whole && !crew_has_paused(&daemon->crew);
}

static void reload_log(const char *result, char *details)
{
    loading_log(details);
    if (result == reload_whole)
        log_info("%s", result);
    else
        log_error("%s", result);
}

void reload(struct daemon *daemon, reload_callback *answered, void *asker)
{
    /* Whatever becomes of the configuration, who has changed something about names or hosts says so by this. */
    pulse_expire();
    resolver_renew(loop_now_ms(&daemon->janitor.worker->loop));
    struct reload *reload = calloc(1, sizeof *reload);
    char *details = NULL;
    size_t len = 0;
    FILE *messages = reload ? open_memstream(&details, &len) : NULL;
    if (!messages) {
        free(reload);
        log_error("reload failed: %s", strerror(ENOMEM));
        answered(asker, false, "reload failed: out of memory");
        return;
    }
    *reload = (struct reload){ .answered = answered, .asker = asker };
    const char *result = reload_try(daemon, messages);
    reload_count(daemon, result);
    fclose(messages);
    reload->is_whole = result == reload_whole;
    if (!details || asprintf(&reload->words, "%s%s\n", details, result) < 0)
        reload->words = NULL;
    reload_log(result, details);
    free(details);
    settled_wait(&daemon->inquiries, reload_answer, reload);
}
