#include "resolver.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
/* Without this uthash ends the process when memory is out. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "log.h"
#include "logline.h"

/* How often the two files are looked at, at most. */
#define RESOLVER_WATCH_MS 100u

struct name {
    char *text;
    struct resolver_family families[RESOLVER_FAMILIES];
    struct resolver_targets *targets; /* owned; NULL: it is a host, or nothing is known of the service yet */
    const char *why;                  /* static; why it has no address */
    uint64_t fresh_until_ms;          /* 0: never */
    uint64_t asked_at_ms;
    uint32_t round; /* questions that have been answered, or given up */
    unsigned turn;  /* lookups: with which address the next begins */
    bool is_wanted, is_asked;
    bool is_out; /* the last question has failed: nobody waits for the next one */
    UT_hash_handle hh;
};

static const char *const watched_paths[] = { "/etc/resolv.conf", "/etc/hosts" };
#define RESOLVER_WATCHED (sizeof watched_paths / sizeof *watched_paths)

static struct {
    pthread_mutex_t lock;
    struct name *names;
    uint32_t era;
    void (*wake)(void *arg);
    void *wake_arg;
    uint64_t watched_at_ms;
    bool is_watched;
    struct stat seen[RESOLVER_WATCHED];
} resolver = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* --- names --- */

static struct name *name_find(const char *text)
{
    struct name *name;
    HASH_FIND_STR(resolver.names, text, name);
    return name;
}

static bool name_is_service(const char *text)
{
    return strncmp(text, RESOLVER_SERVICE, sizeof RESOLVER_SERVICE - 1) == 0;
}

static struct name *name_need(const char *text)
{
    struct name *name = name_find(text);
    if (name || strlen(text) >= RESOLVER_NAME_MAX)
        return name;
    name = calloc(1, sizeof *name);
    char *copy = strdup(text);
    if (name && copy) {
        name->text = copy;
        HASH_ADD_KEYPTR(hh, resolver.names, name->text, strlen(name->text), name);
        if (name->hh.tbl)
            return name;
    }
    free(copy);
    free(name);
    return NULL;
}

static void name_free(struct name *name)
{
    HASH_DEL(resolver.names, name);
    free(name->text);
    free(name->targets);
    free(name);
}

static unsigned name_count(const struct name *name)
{
    unsigned targets = name->targets ? name->targets->count : 0;
    return name->families[RESOLVER_IPV6].count + name->families[RESOLVER_IPV4].count + targets;
}

static void name_want(struct name *name, uint64_t now_ms)
{
    if (name->is_wanted || name->is_asked)
        return;
    name->is_wanted = true;
    name->asked_at_ms = now_ms;
    if (resolver.wake)
        resolver.wake(resolver.wake_arg);
}

/* --- looking up --- */

static bool resolver_is_same_host(const struct address *a, const struct address *b)
{
    return a->family == b->family && memcmp(a->octets, b->octets, sizeof a->octets) == 0;
}

static bool family_has(const struct resolver_family *family, const struct address *address)
{
    for (unsigned i = 0; i < family->count; i++)
        if (resolver_is_same_host(&family->addresses[i], address))
            return true;
    return false;
}

/* The families take turns too (RFC 8305 section 4): where one of them is cut off, all of its addresses are dead. */
static void name_give(const struct name *name, uint16_t port, struct resolver_addresses *ret_addresses)
{
    for (unsigned i = 0; i < RESOLVER_FAMILY_MAX; i++)
        for (size_t j = 0; j < RESOLVER_FAMILIES; j++) {
            const struct resolver_family *family = &name->families[j];
            if (i >= family->count)
                continue;
            struct address *address = &ret_addresses->addresses[ret_addresses->count++];
            *address = family->addresses[(name->turn + i) % family->count];
            address->port = port;
        }
}

/* One of which nothing was ever heard has taken the place of one that was waited for and then forgotten. */
static bool name_is_heard(const struct name *name, const struct resolver_wait *wait)
{
    return wait->is_waiting && name->round > 0 && wait->round != name->round;
}

/* What is known will do: it is fresh, or just the answer that was waited for, or there will be no better one soon. */
static bool name_is_settled(const struct name *name, const struct resolver_wait *wait, uint64_t now_ms)
{
    bool is_fresh = now_ms < name->fresh_until_ms;
    bool is_overdue = now_ms >= name->asked_at_ms + RESOLVER_PATIENCE_MS;
    return is_fresh || name_is_heard(name, wait) || (name_count(name) > 0 && (name->is_out || is_overdue));
}

/* False: there is something to wait for. */
static bool name_settle(struct name *name, struct resolver_wait *wait, uint64_t now_ms)
{
    if (wait->is_peeking)
        return true;
    if (now_ms >= name->fresh_until_ms && !name_is_heard(name, wait))
        name_want(name, now_ms);
    if (name_is_settled(name, wait, now_ms))
        return true;
    if (!wait->is_waiting)
        wait->round = name->round;
    wait->is_waiting = true;
    return false;
}

static enum resolver_result name_look_up(struct name *name, uint16_t port, struct resolver_wait *wait, uint64_t now_ms,
                                         struct resolver_addresses *ret_addresses)
{
    if (!name_settle(name, wait, now_ms))
        return RESOLVER_ASKED;
    name_give(name, port, ret_addresses);
    name->turn += !wait->is_scouting;
    ret_addresses->why = name->why;
    return ret_addresses->count > 0 ? RESOLVER_KNOWN : RESOLVER_UNKNOWN;
}

enum resolver_result resolver_look_up(const char *text, uint16_t port, struct resolver_wait *wait, uint64_t now_ms,
                                      struct resolver_addresses *ret_addresses)
{
    enum resolver_result result = RESOLVER_UNKNOWN;
    ret_addresses->count = 0;
    ret_addresses->why = "out of memory";
    pthread_mutex_lock(&resolver.lock);
    struct name *name = name_need(text);
    if (name)
        result = name_look_up(name, port, wait, now_ms, ret_addresses);
    pthread_mutex_unlock(&resolver.lock);
    return result;
}

static enum resolver_result service_look_up(struct name *name, struct resolver_wait *wait, uint64_t now_ms,
                                            struct resolver_targets *ret_targets, const char **ret_why)
{
    if (!name_settle(name, wait, now_ms))
        return RESOLVER_ASKED;
    *ret_why = name->why;
    if (name_count(name) == 0)
        return RESOLVER_UNKNOWN;
    *ret_targets = *name->targets;
    return RESOLVER_KNOWN;
}

enum resolver_result resolver_look_up_service(const char *service, struct resolver_wait *wait, uint64_t now_ms,
                                              struct resolver_targets *ret_targets, const char **ret_why)
{
    enum resolver_result result = RESOLVER_UNKNOWN;
    ret_targets->count = 0;
    *ret_why = "out of memory";
    pthread_mutex_lock(&resolver.lock);
    struct name *name = name_need(service);
    if (name)
        result = service_look_up(name, wait, now_ms, ret_targets, ret_why);
    pthread_mutex_unlock(&resolver.lock);
    return result;
}

static void name_refresh(struct name *name, uint64_t now_ms)
{
    if (name && now_ms >= name->fresh_until_ms)
        name_want(name, now_ms);
}

void resolver_refresh(const char *text, uint64_t now_ms)
{
    pthread_mutex_lock(&resolver.lock);
    struct name *name = name_find(text);
    name_refresh(name, now_ms);
    for (unsigned i = 0; name && name->targets && i < name->targets->count; i++)
        name_refresh(name_need(name->targets->at[i].host), now_ms);
    pthread_mutex_unlock(&resolver.lock);
}

/* A name of which nothing is known may. */
static bool name_leads_to(const struct name *name, const struct address *address)
{
    if (!name)
        return true;
    const struct resolver_family *ipv6 = &name->families[RESOLVER_IPV6], *ipv4 = &name->families[RESOLVER_IPV4];
    const struct resolver_family *own = address->family == AF_INET6 ? ipv6 : ipv4;
    /* A mapped IPv4 address has come as one of IPv6. */
    return own->finding == RESOLVER_FAILED || own->has_more || family_has(ipv4, address) || family_has(ipv6, address);
}

static bool service_leads_to(const struct name *name, const struct address *address)
{
    const struct resolver_targets *targets = name ? name->targets : NULL;
    bool leads = !targets || targets->has_more;
    for (unsigned i = 0; !leads && i < targets->count; i++)
        leads = targets->at[i].port == address->port && name_leads_to(name_find(targets->at[i].host), address);
    return leads;
}

bool resolver_leads_to(const char *text, const struct address *address)
{
    pthread_mutex_lock(&resolver.lock);
    const struct name *name = name_find(text);
    bool leads = name_is_service(text) ? service_leads_to(name, address) : name_leads_to(name, address);
    pthread_mutex_unlock(&resolver.lock);
    return leads;
}

/* --- renewal --- */

static void resolver_renew_locked(uint64_t now_ms)
{
    resolver.era++;
    for (struct name *name = resolver.names; name; name = name->hh.next) {
        name->fresh_until_ms = 0;
        name->is_asked = name->is_wanted = name->is_out = false;
        name_want(name, now_ms);
    }
}

void resolver_renew(uint64_t now_ms)
{
    pthread_mutex_lock(&resolver.lock);
    resolver_renew_locked(now_ms);
    pthread_mutex_unlock(&resolver.lock);
}

static bool resolver_is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static bool resolver_sees_change(void)
{
    bool has_changed = false;
    for (size_t i = 0; i < RESOLVER_WATCHED; i++) {
        struct stat now;
        if (stat(watched_paths[i], &now) < 0)
            memset(&now, 0, sizeof now);
        has_changed |= !resolver_is_same_file(&now, &resolver.seen[i]);
        resolver.seen[i] = now;
    }
    return has_changed;
}

void resolver_watch(uint64_t now_ms)
{
    pthread_mutex_lock(&resolver.lock);
    if (!resolver.is_watched || now_ms >= resolver.watched_at_ms + RESOLVER_WATCH_MS) {
        bool has_changed = resolver_sees_change();
        if (has_changed && resolver.is_watched)
            resolver_renew_locked(now_ms);
        resolver.is_watched = true;
        resolver.watched_at_ms = now_ms;
    }
    pthread_mutex_unlock(&resolver.lock);
}

static bool name_is_target(const char *text)
{
    for (const struct name *name = resolver.names; name; name = name->hh.next)
        for (unsigned i = 0; name->targets && i < name->targets->count; i++)
            if (strcmp(name->targets->at[i].host, text) == 0)
                return true;
    return false;
}

void resolver_configure(bool (*is_wanted)(const void *arg, const char *name), const void *arg)
{
    struct name *name, *next;
    pthread_mutex_lock(&resolver.lock);
    HASH_ITER(hh, resolver.names, name, next)
    if (name_is_service(name->text) && !is_wanted(arg, name->text))
        name_free(name);
    HASH_ITER(hh, resolver.names, name, next)
    if (!name_is_service(name->text) && !name_is_target(name->text) && !is_wanted(arg, name->text))
        name_free(name);
    pthread_mutex_unlock(&resolver.lock);
}

void resolver_done(void)
{
    struct name *name, *next;
    pthread_mutex_lock(&resolver.lock);
    HASH_ITER(hh, resolver.names, name, next)
    name_free(name);
    resolver.is_watched = false;
    pthread_mutex_unlock(&resolver.lock);
}

/* --- the asker's --- */

void resolver_set_asker(void (*wake)(void *arg), void *arg)
{
    pthread_mutex_lock(&resolver.lock);
    resolver.wake = wake;
    resolver.wake_arg = arg;
    pthread_mutex_unlock(&resolver.lock);
}

uint32_t resolver_era(void)
{
    pthread_mutex_lock(&resolver.lock);
    uint32_t era = resolver.era;
    pthread_mutex_unlock(&resolver.lock);
    return era;
}

bool resolver_take_wanted(uint32_t era, char ret_name[RESOLVER_NAME_MAX])
{
    pthread_mutex_lock(&resolver.lock);
    /* Who asks has the name servers of its era. What it took in a later one would be given up when it notices, and
     * count as asked for ever. */
    struct name *name = era == resolver.era ? resolver.names : NULL;
    while (name && !name->is_wanted)
        name = name->hh.next;
    if (name) {
        name->is_wanted = false;
        name->is_asked = true;
        memcpy(ret_name, name->text, strlen(name->text) + 1);
    }
    pthread_mutex_unlock(&resolver.lock);
    return name != NULL;
}

void resolver_add(struct resolver_family *family, const struct address *address)
{
    if (family_has(family, address))
        return;
    if (family->count == RESOLVER_FAMILY_MAX)
        family->has_more = true;
    else
        family->addresses[family->count++] = *address;
}

static bool target_is_equal(const struct resolver_target *a, const struct resolver_target *b)
{
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

static bool targets_have(const struct resolver_targets *targets, const struct resolver_target *target)
{
    for (unsigned i = 0; i < targets->count; i++)
        if (target_is_equal(&targets->at[i], target))
            return true;
    return false;
}

void resolver_add_target(struct resolver_targets *targets, const struct resolver_target *target)
{
    if (targets_have(targets, target))
        return;
    if (targets->count == RESOLVER_TARGETS_MAX)
        targets->has_more = true;
    else
        targets->at[targets->count++] = *target;
}

static bool targets_lose(const struct resolver_targets *before, const struct resolver_targets *now)
{
    for (unsigned i = 0; i < before->count && !now->has_more; i++)
        if (!targets_have(now, &before->at[i]))
            return true;
    return false;
}

/* Without memory for an answer what was known stays. */
static bool name_take_targets(struct name *name, const struct resolver_targets *targets)
{
    if (targets->finding == RESOLVER_FAILED)
        return false;
    struct resolver_targets *copy = malloc(sizeof *copy);
    if (!copy)
        return false;
    *copy = *targets;
    bool loses = name->targets && targets_lose(name->targets, copy);
    free(name->targets);
    name->targets = copy;
    return loses;
}

static bool family_loses(const struct resolver_family *before, const struct resolver_family *now)
{
    for (unsigned i = 0; i < before->count && !now->has_more; i++)
        if (!family_has(now, &before->addresses[i]))
            return true;
    return false;
}

/* What one family has failed to tell stays as it was. */
static bool name_take(struct name *name, const struct resolver_answer *answer)
{
    bool loses = answer->targets && name_take_targets(name, answer->targets);
    for (size_t i = 0; i < RESOLVER_FAMILIES; i++) {
        if (answer->families[i].finding == RESOLVER_FAILED)
            continue;
        loses |= family_loses(&name->families[i], &answer->families[i]);
        name->families[i] = answer->families[i];
    }
    return loses;
}

static uint64_t resolver_lifetime_ms(const struct resolver_answer *answer)
{
    uint64_t least_s = answer->targets ? answer->targets->ttl_s : RESOLVER_TTL_FOREVER;
    for (size_t i = 0; i < RESOLVER_FAMILIES; i++) {
        const struct resolver_family *family = &answer->families[i];
        if (family->finding == RESOLVER_FOUND && family->ttl_s < least_s)
            least_s = family->ttl_s;
    }
    if (least_s != RESOLVER_TTL_FOREVER && least_s > RESOLVER_TTL_MAX_S)
        least_s = RESOLVER_TTL_MAX_S;
    return least_s * 1000;
}

static void name_say(const struct name *name, bool was_out)
{
    struct logline line;
    bool is_worse = name->is_out && !was_out && name_count(name) > 0, is_better = was_out && !name->is_out;
    enum log_level level = is_worse ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO;
    if (!(is_worse || is_better) || !log_is_on(level))
        return;
    log_begin(&line, level);
    logline_event(&line, "resolver");
    logline_gap(&line, ": ");
    logline_words(&line, "name", name->text);
    logline_gap(&line, ": ");
    if (is_worse)
        log_end_with(&line, "%s; the addresses that were known last go on being used", name->why);
    else
        log_end_with(&line, "there are answers again");
}

static bool name_learn(struct name *name, const struct resolver_answer *answer, uint64_t now_ms)
{
    enum resolver_finding ipv6 = answer->families[RESOLVER_IPV6].finding,
                          ipv4 = answer->families[RESOLVER_IPV4].finding;
    enum resolver_finding targets = answer->targets ? answer->targets->finding : RESOLVER_NONE;
    bool is_found = ipv6 == RESOLVER_FOUND || ipv4 == RESOLVER_FOUND || targets == RESOLVER_FOUND;
    bool was_out = name->is_out;
    bool loses = name_take(name, answer);
    name->round++;
    name->is_asked = false;
    name->why = answer->why;
    name->is_out = !is_found && (ipv6 == RESOLVER_FAILED || ipv4 == RESOLVER_FAILED || targets == RESOLVER_FAILED);
    name->fresh_until_ms = now_ms + (is_found ? resolver_lifetime_ms(answer) : RESOLVER_RETRY_MS);
    name_say(name, was_out);
    return loses;
}

bool resolver_learn(const char *text, uint32_t era, const struct resolver_answer *answer, uint64_t now_ms)
{
    bool loses = false;
    pthread_mutex_lock(&resolver.lock);
    struct name *name = name_find(text);
    if (name && era == resolver.era && name->is_asked) {
        /* As long as nothing was known of a service's host, anything may have been its. */
        bool is_news = name->round == 0 && name_is_target(text);
        loses = name_learn(name, answer, now_ms) || is_news;
    }
    pthread_mutex_unlock(&resolver.lock);
    return loses;
}
