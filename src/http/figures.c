#include "figures.h"

#include <dirent.h>
#include <imapstate/keyring.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "config.h"
#include "log.h"
#include "loop.h"
#include "service.h"
#include "worker.h"

/* What one worker has counted, as it was when it was copied. */
struct shard {
    unsigned index;
    bool is_late;
    struct loop_counters loop;
    struct upstream_counters upstreams;
    struct client_counters clients;
};

struct figures_desk {
    struct inquiries *inquiries; /* borrowed */
    const struct standing *standing;
    struct inquiry *inquiry; /* under way; NULL: none */
    struct list requests;    /* that wait for it */
    struct shard **shards;   /* owned, each and the array: the last that each worker has given */
    size_t shard_count;
};

/* --- shards --- */

static void shard_free(struct shard *shard)
{
    if (!shard)
        return;
    upstream_counters_done(&shard->upstreams);
    client_counters_done(&shard->clients);
    free(shard);
}

static struct shard *shard_copy(const struct worker *worker)
{
    struct shard *shard = calloc(1, sizeof *shard);
    if (!shard)
        return NULL;
    shard->index = worker->loop.index;
    upstream_counters_init(&shard->upstreams);
    client_counters_init(&shard->clients);
    loop_counters_add(&shard->loop, &worker->loop.counters);
    upstream_counters_add(&shard->upstreams, &worker->upstreams.counters);
    client_counters_add(&shard->clients, &worker->clients.counters);
    return shard;
}

static void shard_ask(struct worker *worker, void *slot, const void *argument)
{
    struct shard **shard = slot;
    *shard = shard_copy(worker);
}

static void shard_slot_done(void *slot)
{
    struct shard **shard = slot;
    shard_free(*shard);
}

/* Takes the place of what its worker has given before; it is the desk's from then on. False if out of memory. */
static bool desk_keep(struct figures_desk *desk, struct shard *shard)
{
    for (size_t i = 0; i < desk->shard_count; i++)
        if (desk->shards[i]->index == shard->index) {
            shard_free(desk->shards[i]);
            desk->shards[i] = shard;
            return true;
        }
    struct shard **more = reallocarray(desk->shards, desk->shard_count + 1, sizeof *more);
    if (!more)
        return false;
    desk->shards = more;
    more[desk->shard_count++] = shard;
    return true;
}

static void desk_take_answers(struct figures_desk *desk, const struct inquiry *inquiry)
{
    for (size_t i = 0; i < desk->shard_count; i++)
        desk->shards[i]->is_late = true;
    for (size_t i = 0; i < inquiry_count(inquiry); i++) {
        struct shard **shard = inquiry_slot(inquiry, i);
        if (shard && *shard && desk_keep(desk, *shard))
            *shard = NULL;
    }
}

/* --- what the process is --- */

static uint64_t descriptors_used(void)
{
    uint64_t used = 0;
    DIR *folder = opendir("/proc/self/fd");
    if (!folder)
        return 0;
    while (readdir(folder))
        used++;
    closedir(folder);
    return used > 3 ? used - 3 : 0; /* ".", ".." and the folder itself */
}

static uint64_t resident_octets(void)
{
    unsigned long long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    if (fscanf(file, "%llu %llu", &size, &resident) != 2)
        resident = 0;
    fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t time_us(const struct timeval *time)
{
    return (uint64_t)time->tv_sec * 1000000 + (uint64_t)time->tv_usec;
}

static void figures_look_at_process(struct figures *figures)
{
    struct rlimit limit = { 0 };
    struct rusage usage = { 0 };
    getrlimit(RLIMIT_NOFILE, &limit);
    getrusage(RUSAGE_SELF, &usage);
    figures->descriptors = descriptors_used();
    figures->descriptors_max = limit.rlim_cur;
    figures->cpu_us = time_us(&usage.ru_utime) + time_us(&usage.ru_stime);
    figures->resident_octets = resident_octets();
    figures->log_lost = log_lost();
}

/* --- what it has loaded --- */

static bool certificate_end(const SSL_CTX *context, int64_t *ret_not_after_s)
{
    const X509 *certificate = context ? SSL_CTX_get0_certificate(context) : NULL;
    struct tm utc;
    if (!certificate || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &utc) != 1)
        return false;
    *ret_not_after_s = (int64_t)timegm(&utc);
    return true;
}

static bool figures_add_certificates(struct figures *figures, const struct service *service)
{
    const struct config *config = service->config;
    figures->certificates = calloc(config->listener_count + 1, sizeof *figures->certificates);
    if (!figures->certificates)
        return false;
    for (size_t i = 0; i < config->listener_count; i++) {
        struct figures_certificate *certificate = &figures->certificates[figures->certificate_count];
        certificate->listener = config->listeners[i].name;
        if (certificate_end(service->listener_tls[i], &certificate->not_after_s))
            figures->certificate_count++;
    }
    return true;
}

static void figures_find_key(struct figures *figures, const struct service *service)
{
    struct imapstate_key key;
    figures->has_sealing_key = imapstate_keyring_sealing(service->keyring, (uint64_t)time(NULL), &key);
    if (figures->has_sealing_key)
        figures->sealing_key = key.id;
}

/* --- sums --- */

static bool figures_add_shards(struct figures *figures, const struct figures_desk *desk)
{
    figures->workers = calloc(desk->shard_count + 1, sizeof *figures->workers);
    if (!figures->workers)
        return false;
    for (size_t i = 0; i < desk->shard_count; i++) {
        const struct shard *shard = desk->shards[i];
        loop_counters_add(&figures->loops, &shard->loop);
        upstream_counters_add(&figures->upstreams, &shard->upstreams);
        client_counters_add(&figures->clients, &shard->clients);
        figures->workers[figures->worker_count++] =
            (struct figures_worker){ .index = shard->index, .lag = shard->loop.lag, .is_late = shard->is_late };
        figures->late_count += shard->is_late;
    }
    return true;
}

static void figures_done(struct figures *figures)
{
    upstream_counters_done(&figures->upstreams);
    client_counters_done(&figures->clients);
    park_counters_done(&figures->park);
    free(figures->workers);
    free(figures->certificates);
}

/* What is configured has a row, be it that nothing has happened there yet. */
static void figures_name_all(struct figures *figures, const struct config *config)
{
    for (size_t i = 0; i < config->listener_count; i++)
        client_counters_listener(&figures->clients, config->listeners[i].name);
    for (size_t i = 0; i < config->upstream_count; i++)
        client_counters_upstream(&figures->clients, config->upstreams[i].name);
}

static bool figures_make(struct figures *figures, const struct figures_desk *desk)
{
    const struct standing *standing = desk->standing;
    *figures = (struct figures){ .standing = standing, .now_ms = loop_now_ms(desk->inquiries->loop) };
    upstream_counters_init(&figures->upstreams);
    client_counters_init(&figures->clients);
    park_counters_init(&figures->park);
    figures_name_all(figures, standing->service->config);
    park_count_into(&figures->park);
    figures_look_at_process(figures);
    figures_find_key(figures, standing->service);
    return figures_add_shards(figures, desk) && figures_add_certificates(figures, standing->service);
}

/* --- asking --- */

static void desk_answer(struct figures_desk *desk)
{
    struct figures figures;
    bool is_made = figures_make(&figures, desk);
    /* Who asks anew in the meantime asks the workers anew. */
    struct list waiting;
    list_init(&waiting);
    list_each_safe(link, &desk->requests) list_move(link, &waiting);
    while (!list_is_empty(&waiting)) {
        struct figures_request *request = list_entry(waiting.next, struct figures_request, link);
        list_remove(&request->link);
        request->answered(request->asker, is_made ? &figures : NULL);
    }
    figures_done(&figures);
}

static void desk_on_answered(const struct inquiry *inquiry, void *asker)
{
    struct figures_desk *desk = asker;
    desk->inquiry = NULL;
    desk_take_answers(desk, inquiry);
    desk_answer(desk);
}

static const struct question desk_question = {
    .ask = shard_ask,
    .answered = desk_on_answered,
    .slot_done = shard_slot_done,
    .slot_octets = sizeof(struct shard *),
    .limit_ms = INQUIRY_LIMIT_MS,
};

bool figures_ask(struct figures_desk *desk, struct figures_request *request)
{
    if (!desk->inquiry)
        desk->inquiry = inquiry_begin(desk->inquiries, &desk_question, NULL, desk);
    if (!desk->inquiry)
        return false;
    list_init(&request->link);
    list_move(&request->link, &desk->requests);
    return true;
}

void figures_withdraw(struct figures_request *request)
{
    if (request->link.next)
        list_remove(&request->link);
}

/* --- life --- */

struct figures_desk *figures_desk_new(struct inquiries *inquiries, const struct standing *standing)
{
    struct figures_desk *desk = calloc(1, sizeof *desk);
    if (!desk)
        return NULL;
    *desk = (struct figures_desk){ .inquiries = inquiries, .standing = standing };
    list_init(&desk->requests);
    return desk;
}

void figures_desk_free(struct figures_desk *desk)
{
    if (!desk)
        return;
    if (desk->inquiry)
        inquiry_abandon(desk->inquiry);
    list_each_safe(link, &desk->requests) list_remove(link);
    for (size_t i = 0; i < desk->shard_count; i++)
        shard_free(desk->shards[i]);
    free(desk->shards);
    free(desk);
}
