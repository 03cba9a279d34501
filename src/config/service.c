#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "pemfile.h"
#include "revoking.h"
#include "routemap.h"
#include "site.h"
#include "tls.h"

/* What a token may outlive the lifetime that was configured, and a day for clocks and for the time that a revocation
 * takes to reach all gateways: a token is saved with its expiry rounded up by a day at most. */
#define REVOCATION_SLACK_S (2u * 86400u)

/* Neither a start nor a reload waits for whoever may write into a FIFO. -1: errno. */
static int service_open(const char *path)
{
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

/* Reads a file whole, and closes fd. False after complaining. */
static bool service_read_file(int fd, const char *path, struct imapstate_buf *ret_text, FILE *errors)
{
    struct stat status;
    if (fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode)) {
        fprintf(errors, "%s: a FIFO, which each reload would read anew\n", path);
        close(fd);
        return false;
    }
    uint8_t part[4096];
    ssize_t got;
    bool fits = true;
    while (fits && (got = read(fd, part, sizeof part)) > 0)
        fits = imapstate_buf_put(ret_text, (struct imapstate_span){ part, (size_t)got });
    sodium_memzero(part, sizeof part);
    if (!fits)
        fprintf(errors, "%s: larger than %zu octets\n", path, ret_text->max);
    else if (got < 0)
        fprintf(errors, "%s: %s\n", path, strerror(errno));
    close(fd);
    return fits && got == 0;
}

/* -1 after complaining. */
static int service_open_keys(const char *path, FILE *errors)
{
    struct stat status;
    int fd = service_open(path);
    if (fd < 0)
        fprintf(errors, "%s: %s\n", path, strerror(errno));
    else if (fstat(fd, &status) == 0 && (status.st_mode & 077) != 0)
        fprintf(errors, "%s: warning: users other than its owner may read this file\n", path);
    return fd;
}

static bool service_read_keys(struct service *service, FILE *errors)
{
    const char *path = service->config->keys_file;
    struct imapstate_buf text;
    imapstate_buf_init(&text, IMAPSTATE_KEYRING_TEXT_MAX);
    int fd = service_open_keys(path, errors);
    bool is_read = fd >= 0 && service_read_file(fd, path, &text, errors);
    if (is_read) {
        size_t line = 0;
        enum imapstate_error error = imapstate_keyring_read(service->keyring, imapstate_buf_span(&text), &line);
        struct imapstate_key key;
        if (error != IMAPSTATE_OK)
            fprintf(errors, "%s:%zu: %s\n", path, line, imapstate_strerror(error));
        else if (!imapstate_keyring_sealing(service->keyring, (uint64_t)time(NULL), &key))
            fprintf(errors, "%s: warning: %s: SAVESTATE is answered NO until one does\n", path,
                    imapstate_strerror(IMAPSTATE_KEY_NONE));
        is_read = error == IMAPSTATE_OK;
    }
    imapstate_buf_done(&text);
    return is_read;
}

/* False after complaining. A file that is not there, or none, has nothing in it. */
static bool service_read_revocations_text(const char *path, struct imapstate_buf *ret_text, FILE *errors)
{
    int fd = *path ? service_open(path) : -1;
    if (fd >= 0)
        return service_read_file(fd, path, ret_text, errors);
    bool is_missing = *path && errno == ENOENT;
    if (is_missing)
        fprintf(errors, "%s: warning: it is not there: no token is revoked\n", path);
    else if (*path)
        fprintf(errors, "%s: %s\n", path, strerror(errno));
    return is_missing || !*path;
}

static bool service_read_revocations(struct service *service, FILE *errors)
{
    const char *path = service->config->revocations_file, *wrong;
    size_t line;
    struct imapstate_buf text;
    imapstate_buf_init(&text, REVOCATIONS_TEXT_MAX);
    if (service_read_revocations_text(path, &text, errors)) {
        uint64_t now_s = (uint64_t)time(NULL), life_s = CONFIG_TOKEN_LIFETIME_MAX_S + REVOCATION_SLACK_S;
        service->revocations = revocations_read(&text, now_s > life_s ? now_s - life_s : 0, &line, &wrong);
        if (!service->revocations && line > 0)
            fprintf(errors, "%s:%zu: %s\n", path, line, wrong);
        else if (!service->revocations)
            fprintf(errors, "%s: %s\n", service->config->path, wrong);
    }
    imapstate_buf_done(&text);
    if (service->revocations)
        service->revocations = revoking_lay_over(service->revocations);
    return service->revocations;
}

/* --- routes --- */

static void service_add_routed(struct service *service, const struct config_upstream *upstream)
{
    for (size_t i = 0; i < service->routed_count; i++)
        if (service->routed[i] == upstream)
            return;
    service->routed[service->routed_count++] = upstream;
}

/* A line of the map leads there. */
static bool service_takes_line(void *owner, struct imapstate_span name)
{
    struct service *service = owner;
    const struct config_upstream *upstream = config_find_upstream(service->config, name);
    if (upstream)
        service_add_routed(service, upstream);
    return upstream;
}

/* False after complaining. */
static bool service_read_map(struct service *service, FILE *errors)
{
    const char *path = service->config->route_map;
    char wrong[ROUTEMAP_WRONG_MAX];
    size_t line;
    struct imapstate_buf text;
    int fd = service_open(path);
    if (fd < 0) {
        fprintf(errors, "%s: %s\n", path, strerror(errno));
        return false;
    }
    imapstate_buf_init(&text, ROUTEMAP_TEXT_MAX);
    if (service_read_file(fd, path, &text, errors)) {
        service->map = routemap_read(&text, service_takes_line, service, &line, wrong);
        if (!service->map && line > 0)
            fprintf(errors, "%s:%zu: %s\n", path, line, wrong);
        else if (!service->map)
            fprintf(errors, "%s: %s\n", path, wrong);
    }
    imapstate_buf_done(&text);
    service->map_renames = routemap_renames(service->map);
    return service->map;
}

static bool service_read_routes(struct service *service, FILE *errors)
{
    const struct config *config = service->config;
    bool is_read = !*config->route_map || service_read_map(service, errors);
    for (size_t i = 0; i < config->route_count; i++)
        service_add_routed(service, config->routes[i].upstream);
    if (config->route_http.is_on)
        service_add_routed(service, config->route_http.upstream);
    if (config->route_default)
        service_add_routed(service, config->route_default);
    return is_read;
}

/* That whoever logs in from now on is led by. */
static pthread_mutex_t map_lock = PTHREAD_MUTEX_INITIALIZER;
static struct routemap *map_in_force; /* counted; NULL: none */

struct routemap *service_routemap(const struct service *service)
{
    pthread_mutex_lock(&map_lock);
    bool is_own = service->map || !*service->config->route_map;
    struct routemap *map = routemap_ref(is_own ? service->map : map_in_force);
    pthread_mutex_unlock(&map_lock);
    return map;
}

/* Takes it from there; workers may have the service already. */
static void service_put_map_in_force(struct routemap **map)
{
    pthread_mutex_lock(&map_lock);
    struct routemap *before = map_in_force;
    map_in_force = *map;
    *map = NULL;
    pthread_mutex_unlock(&map_lock);
    routemap_unref(before);
}

struct service_reach service_upstreams_of(const struct service *service, const struct config_listener *listener)
{
    return listener->upstream ? (struct service_reach){ &listener->upstream, 1 }
                              : (struct service_reach){ service->routed, service->routed_count };
}

/* --- all of it --- */

static bool service_make_key(struct service *service, const struct service *previous)
{
    service->has_ephemeral_key = true;
    struct imapstate_key key;
    if (previous && previous->has_ephemeral_key && imapstate_keyring_at(previous->keyring, 0, &key))
        return imapstate_keyring_add(service->keyring, key.id, key.seals_from_s, key.octets) == IMAPSTATE_OK;
    uint8_t octets[IMAPSTATE_KEY_OCTETS];
    randombytes_buf(octets, sizeof octets);
    enum imapstate_error error = imapstate_keyring_add(service->keyring, randombytes_random(), 0, octets);
    sodium_memzero(octets, sizeof octets);
    return error == IMAPSTATE_OK;
}

/* what: the option, and file its value, which is explained as kind; file is "" if the trouble is not in a file. why:
 * what is known already, or NULL. */
static void service_complain_of_tls(const struct config_place *place, const char *what, const char *file,
                                    enum pemfile_kind kind, const char *why, FILE *errors)
{
    char words[256];
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    if (why || !*file || !pemfile_explain(file, kind, words, sizeof words))
        snprintf(words, sizeof words, "%s", why ? why : reason ? reason : "unknown error");
    fprintf(errors, "%s:%u: %s%s%s: %s\n", place->file, place->line, what, *file ? " " : "", file, words);
    ERR_clear_error();
}

struct listener_loading {
    const struct config_listener *listener;
    FILE *errors;
};

/* It is served all the same: clients that look will say so, and without it nobody could log in. */
static void service_warn_of_time(void *arg, size_t at, const SSL_CTX *context)
{
    const struct listener_loading *loading = arg;
    const struct config_place *place = &loading->listener->place;
    char words[64];
    if (pemfile_is_untimely(context, words, sizeof words))
        fprintf(loading->errors, "%s:%u: warning: tls_cert_file %s: the certificate %s\n", place->file, place->line,
                loading->listener->tls_cert_files.at[at], words);
}

/* files: of the fault, by enum tls_wrong, those that it may concern. */
static void service_complain_of_fault(const struct config_place *place, const struct tls_fault *fault,
                                      const char *cert_file, const char *key_file, const char *ca_file, FILE *errors)
{
    const struct {
        const char *file;
        enum pemfile_kind kind;
        const char *why;
    } parts[] = {
        [TLS_WRONG_CONTEXT] = { "" },
        [TLS_WRONG_POLICY] = { "" },
        [TLS_WRONG_CERTIFICATE] = { cert_file, PEMFILE_CERTIFICATES },
        [TLS_WRONG_KEY] = { key_file, PEMFILE_KEY },
        [TLS_WRONG_PAIR] = { key_file, PEMFILE_KEY, "it is not the key of the certificate in tls_cert_file" },
        [TLS_WRONG_CA] = { ca_file, PEMFILE_CERTIFICATES },
    };
    service_complain_of_tls(place, fault->option, parts[fault->what].file, parts[fault->what].kind,
                            parts[fault->what].why, errors);
}

static SSL_CTX *service_load_listener(struct service *service, const struct config_listener *listener, FILE *errors)
{
    static const enum tls_client_certificate client_certificates[] = {
        [CONFIG_CLIENT_CERTIFICATE_NONE] = TLS_CLIENT_CERTIFICATE_NONE,
        [CONFIG_CLIENT_CERTIFICATE_OPTIONAL] = TLS_CLIENT_CERTIFICATE_OPTIONAL,
        [CONFIG_CLIENT_CERTIFICATE_REQUIRED] = TLS_CLIENT_CERTIFICATE_REQUIRED,
    };
    struct listener_loading loading = { listener, errors };
    const struct tls_own own = {
        .name = listener->name,
        .policy = &listener->tls_policy,
        .cert_files = (const char *const *)listener->tls_cert_files.at,
        .key_files = (const char *const *)listener->tls_key_files.at,
        .count = listener->tls_cert_files.count,
        .client_certificate = client_certificates[listener->tls_client_certificate],
        .client_ca_file = listener->tls_client_ca_file,
        .tickets = &service->tickets,
        .on_loaded = service_warn_of_time,
        .arg = &loading,
    };
    struct tls_fault fault;
    SSL_CTX *context = tls_own_context(&own, &fault);
    if (!context)
        service_complain_of_fault(&listener->place, &fault, own.cert_files[fault.at], own.key_files[fault.at],
                                  own.client_ca_file, errors);
    return context;
}

static SSL_CTX *service_load_upstream(const struct config_upstream *upstream, FILE *errors)
{
    const struct tls_peering peering = {
        .policy = &upstream->tls_policy,
        .is_verified = upstream->tls_verify,
        .ca_file = upstream->tls_ca_file,
        .pins = &upstream->tls_pins,
        .cert_file = upstream->tls_cert_file,
        .key_file = upstream->tls_key_file,
        .is_resumed = true,
    };
    struct tls_fault fault;
    SSL_CTX *context = tls_peer_context(&peering, &fault);
    if (!context)
        service_complain_of_fault(&upstream->place, &fault, peering.cert_file, peering.key_file, peering.ca_file,
                                  errors);
    return context;
}

static bool service_load_tls(struct service *service, FILE *errors)
{
    const struct config *config = service->config;
    bool is_loaded = true;
    for (size_t i = 0; i < config->listener_count; i++)
        if (config->listeners[i].tls != CONFIG_TLS_NONE)
            is_loaded &= !!(service->listener_tls[i] = service_load_listener(service, &config->listeners[i], errors));
    for (size_t i = 0; i < config->upstream_count; i++)
        if (config->upstreams[i].tls != CONFIG_TLS_NONE)
            is_loaded &= !!(service->upstream_tls[i] = service_load_upstream(&config->upstreams[i], errors));
    return is_loaded;
}

/* That of the same server by the same name, or a new one. */
static struct ways *service_find_ways(const struct service *previous, const struct config_upstream *upstream)
{
    for (size_t i = 0; previous && i < previous->config->upstream_count; i++)
        if (strcmp(previous->config->upstreams[i].name, upstream->name) == 0 &&
            config_is_same_server(&previous->config->upstreams[i], upstream))
            return ways_ref(previous->upstream_ways[i]);
    return ways_new();
}

static bool service_has_ways(struct service *service, const struct service *previous)
{
    const struct config *config = service->config;
    bool has_all = service->upstream_ways;
    for (size_t i = 0; has_all && i < config->upstream_count; i++)
        has_all = (service->upstream_ways[i] = service_find_ways(previous, &config->upstreams[i]));
    return has_all;
}

static bool service_has_tickets(struct service *service, const struct service *previous)
{
    service->ticketring = previous && previous->ticketring ? ticketring_ref(previous->ticketring) : ticketring_new();
    service->tickets = (struct tickets){ service->keyring, service->ticketring };
    return service->ticketring;
}

struct service *service_load(struct config *config, const struct service *previous, FILE *errors)
{
    struct service *service = calloc(1, sizeof *service);
    if (!service) {
        config_unref(config);
        return NULL;
    }
    service->config = config;
    service->references = 1;
    service->listener_tls = calloc(config->listener_count + 1, sizeof(SSL_CTX *));
    service->upstream_tls = calloc(config->upstream_count + 1, sizeof(SSL_CTX *));
    service->upstream_ways = calloc(config->upstream_count + 1, sizeof(struct ways *));
    service->keyring = imapstate_keyring_new();
    service->routed = calloc(config->upstream_count + 1, sizeof *service->routed);
    service->sites = sites_new();
    bool is_loaded = service->listener_tls && service->upstream_tls && service->keyring && service->routed &&
                     service->sites && service_has_ways(service, previous) && service_has_tickets(service, previous);
    if (is_loaded) {
        is_loaded = service_load_tls(service, errors);
        is_loaded &= *config->keys_file ? service_read_keys(service, errors) : service_make_key(service, previous);
        is_loaded &= service_read_revocations(service, errors);
        is_loaded &= service_read_routes(service, errors);
    } else {
        fprintf(errors, "%s: %s\n", config->path, imapstate_strerror(IMAPSTATE_NO_MEMORY));
    }
    if (is_loaded && service->has_ephemeral_key)
        fprintf(errors, "%s: warning: no keys_file: tokens are sealed with a key that ends with this process\n",
                config->path);
    if (is_loaded)
        return service;
    service_unref(service);
    return NULL;
}

bool service_put_ephemeral_key(const struct service *service, struct imapstate_buf *line)
{
    struct imapstate_key key;
    return !service->has_ephemeral_key ||
           (imapstate_keyring_at(service->keyring, 0, &key) && imapstate_keyring_write_key(&key, line));
}

struct service *service_of_ephemeral_key(struct imapstate_span line)
{
    size_t wrong_line;
    struct service *service = calloc(1, sizeof *service);
    if (!service)
        return NULL;
    service->references = 1;
    service->has_ephemeral_key = true;
    service->config = config_new("");
    service->keyring = imapstate_keyring_new();
    if (service->config && service->keyring &&
        imapstate_keyring_read(service->keyring, line, &wrong_line) == IMAPSTATE_OK &&
        imapstate_keyring_count(service->keyring) == 1)
        return service;
    service_unref(service);
    return NULL;
}

struct service *service_ref(struct service *service)
{
    __atomic_add_fetch(&service->references, 1, __ATOMIC_RELAXED);
    return service;
}

void service_unref(struct service *service)
{
    if (!service || __atomic_sub_fetch(&service->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; service->listener_tls && i < service->config->listener_count; i++)
        SSL_CTX_free(service->listener_tls[i]);
    for (size_t i = 0; service->upstream_tls && i < service->config->upstream_count; i++)
        SSL_CTX_free(service->upstream_tls[i]);
    for (size_t i = 0; service->upstream_ways && i < service->config->upstream_count; i++)
        ways_unref(service->upstream_ways[i]);
    free(service->upstream_ways);
    free(service->listener_tls);
    free(service->upstream_tls);
    ticketring_unref(service->ticketring);
    imapstate_keyring_free(service->keyring);
    revocations_unref(service->revocations);
    routemap_unref(service->map);
    sites_free(service->sites);
    free(service->routed);
    config_unref(service->config);
    free(service);
}

void service_forget_revocations(struct service *service)
{
    revoking_keep(service->revocations);
    service->revocations = NULL;
    service_put_map_in_force(&service->map);
}

void service_done(void)
{
    struct routemap *none = NULL;
    service_put_map_in_force(&none);
}

SSL_CTX *service_listener_tls(const struct service *service, const struct config_listener *listener)
{
    return service->listener_tls[listener - service->config->listeners];
}

static size_t service_index(const struct service *service, const struct config_upstream *upstream)
{
    return (size_t)((upstream->base ? upstream->base : upstream) - service->config->upstreams);
}

SSL_CTX *service_upstream_tls(const struct service *service, const struct config_upstream *upstream)
{
    return service->upstream_tls[service_index(service, upstream)];
}

struct ways *service_ways(const struct service *service, const struct config_upstream *upstream)
{
    return service->upstream_ways[service_index(service, upstream)];
}
