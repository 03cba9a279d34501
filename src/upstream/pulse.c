#include "pulse.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
/* Without this uthash ends the process when memory is out. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* Of an upstream's name, a NUL and the address; what is longer is cut. */
#define PULSE_KEY_MAX 512u

struct entry {
    UT_hash_handle hh;
    struct pulse pulse;
    uint64_t used_at_ms;
    uint64_t good_at_ms;    /* when somebody could last log in; 0: never */
    uint64_t dead_until_ms; /* 0: it is not dead */
    uint64_t tried_until_ms;
    unsigned lost;     /* since it was last prompt */
    bool is_suspected; /* it has lost, and nothing has come since */
    size_t key_len;
    char key[];
};

static struct {
    pthread_mutex_t lock;
    struct entry *entries; /* the one that is there longest is first */
} pulses = { .lock = PTHREAD_MUTEX_INITIALIZER };

const char *const pulse_rank_names[PULSE_RANK_COUNT] = {
    [PULSE_GOOD] = "good",
    [PULSE_SLOW] = "slow",
    [PULSE_DEAD] = "dead",
};

static size_t pulse_key(const char *upstream, const char *address, char ret_key[PULSE_KEY_MAX])
{
    size_t upstream_len = strnlen(upstream, PULSE_KEY_MAX / 2);
    size_t address_len = strnlen(address, PULSE_KEY_MAX - upstream_len - 1);
    memcpy(ret_key, upstream, upstream_len);
    ret_key[upstream_len] = '\0';
    memcpy(ret_key + upstream_len + 1, address, address_len);
    return upstream_len + 1 + address_len;
}

static struct entry *entry_find(const char *upstream, const char *address)
{
    char key[PULSE_KEY_MAX];
    size_t len = pulse_key(upstream, address, key);
    struct entry *entry;
    HASH_FIND(hh, pulses.entries, key, len, entry);
    return entry;
}

static void entry_free(struct entry *entry)
{
    HASH_DEL(pulses.entries, entry);
    free(entry);
}

/* One that has sessions would lose their number. False: all have. */
static bool pulse_make_room(void)
{
    struct entry *oldest = NULL;
    if (HASH_COUNT(pulses.entries) < PULSE_MAX)
        return true;
    for (struct entry *entry = pulses.entries; entry; entry = entry->hh.next)
        if (entry->pulse.sessions == 0 && (!oldest || entry->used_at_ms < oldest->used_at_ms))
            oldest = entry;
    if (oldest)
        entry_free(oldest);
    return oldest;
}

/* NULL: there is no room, or no memory. */
static struct entry *entry_need(const char *upstream, const char *address)
{
    char key[PULSE_KEY_MAX];
    struct entry *entry = entry_find(upstream, address);
    if (entry || !pulse_make_room())
        return entry;
    size_t len = pulse_key(upstream, address, key);
    entry = calloc(1, sizeof *entry + len);
    if (!entry)
        return NULL;
    memcpy(entry->key, key, len);
    entry->key_len = len;
    HASH_ADD_KEYPTR(hh, pulses.entries, entry->key, entry->key_len, entry);
    if (entry->hh.tbl)
        return entry;
    free(entry);
    return NULL;
}

static void entry_judge(struct entry *entry)
{
    bool is_slow = entry->is_suspected || entry->lost >= PULSE_LOST_MAX;
    entry->pulse.rank = entry->dead_until_ms > 0 ? PULSE_DEAD : is_slow ? PULSE_SLOW : PULSE_GOOD;
}

struct pulse pulse_read(const char *upstream, const char *address)
{
    pthread_mutex_lock(&pulses.lock);
    const struct entry *entry = entry_find(upstream, address);
    struct pulse pulse = entry ? entry->pulse : (struct pulse){ .rank = PULSE_GOOD };
    pthread_mutex_unlock(&pulses.lock);
    return pulse;
}

void pulse_beat(const char *upstream, const char *address, bool is_prompt, uint64_t now_ms)
{
    pthread_mutex_lock(&pulses.lock);
    struct entry *entry = entry_need(upstream, address);
    if (entry) {
        entry->used_at_ms = entry->good_at_ms = now_ms;
        entry->dead_until_ms = entry->tried_until_ms = 0;
        entry->is_suspected = false;
        if (is_prompt)
            entry->lost = 0;
        entry_judge(entry);
    }
    pthread_mutex_unlock(&pulses.lock);
}

void pulse_fail(const char *upstream, const char *address, uint64_t fail_timeout_ms, uint64_t now_ms)
{
    pthread_mutex_lock(&pulses.lock);
    struct entry *entry = entry_need(upstream, address);
    if (entry) {
        entry->used_at_ms = now_ms;
        entry->dead_until_ms = now_ms + fail_timeout_ms;
        entry->tried_until_ms = 0;
        entry_judge(entry);
    }
    pthread_mutex_unlock(&pulses.lock);
}

/* Nobody else tries it? Then the caller does. */
static bool entry_take(struct entry *entry, uint64_t now_ms, uint64_t until_ms)
{
    if (now_ms < entry->tried_until_ms)
        return false;
    entry->tried_until_ms = until_ms;
    return true;
}

bool pulse_lose(const char *upstream, const char *address, uint64_t now_ms, uint64_t until_ms)
{
    bool is_taken = false;
    pthread_mutex_lock(&pulses.lock);
    struct entry *entry = entry_need(upstream, address);
    if (entry) {
        entry->used_at_ms = now_ms;
        entry->lost += !entry->is_suspected && entry->lost < PULSE_LOST_MAX; /* many at once are one silence */
        entry->is_suspected = true;
        is_taken = entry_take(entry, now_ms, until_ms);
        entry_judge(entry);
    }
    pthread_mutex_unlock(&pulses.lock);
    return is_taken;
}

static bool entry_is_due(const struct entry *entry, uint64_t check_ms, uint64_t now_ms)
{
    if (entry->dead_until_ms > 0)
        return now_ms >= entry->dead_until_ms;
    return check_ms > 0 && now_ms >= entry->good_at_ms + check_ms;
}

bool pulse_is_due(const char *upstream, const char *address, uint64_t check_ms, uint64_t now_ms, uint64_t until_ms)
{
    pthread_mutex_lock(&pulses.lock);
    struct entry *entry = entry_need(upstream, address);
    bool is_due = entry && entry_is_due(entry, check_ms, now_ms) && entry_take(entry, now_ms, until_ms);
    pthread_mutex_unlock(&pulses.lock);
    return is_due;
}

void pulse_count(const char *upstream, const char *address, int more)
{
    pthread_mutex_lock(&pulses.lock);
    struct entry *entry = more > 0 ? entry_need(upstream, address) : entry_find(upstream, address);
    if (entry && (more > 0 || entry->pulse.sessions > 0))
        entry->pulse.sessions += (uint64_t)(int64_t)more;
    pthread_mutex_unlock(&pulses.lock);
}

void pulse_expire(void)
{
    pthread_mutex_lock(&pulses.lock);
    for (struct entry *entry = pulses.entries; entry; entry = entry->hh.next) {
        entry->good_at_ms = entry->tried_until_ms = 0;
        if (entry->dead_until_ms > 0)
            entry->dead_until_ms = 1;
    }
    pthread_mutex_unlock(&pulses.lock);
}

void pulse_done(void)
{
    struct entry *entry, *next;
    pthread_mutex_lock(&pulses.lock);
    HASH_ITER(hh, pulses.entries, entry, next)
    entry_free(entry);
    pthread_mutex_unlock(&pulses.lock);
}
