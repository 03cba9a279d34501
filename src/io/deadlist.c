#include "deadlist.h"

#include <pthread.h>
#include <string.h>

#include "resolver.h"

struct dead {
    struct address address;
    uint64_t until_ms;
};

/* The one that was noted first is first. */
static struct {
    pthread_mutex_t lock;
    unsigned count;
    struct dead dead[DEADLIST_MAX];
} deadlist = { .lock = PTHREAD_MUTEX_INITIALIZER };

static struct dead *deadlist_find(const struct address *address)
{
    for (unsigned i = 0; i < deadlist.count; i++)
        if (memcmp(&deadlist.dead[i].address, address, sizeof *address) == 0)
            return &deadlist.dead[i];
    return NULL;
}

static void deadlist_remove(struct dead *dead)
{
    size_t behind = (size_t)(&deadlist.dead[deadlist.count] - dead) - 1;
    memmove(dead, dead + 1, behind * sizeof *dead);
    deadlist.count--;
}

void deadlist_note(const struct address *address, bool is_silent, uint64_t now_ms)
{
    pthread_mutex_lock(&deadlist.lock);
    struct dead *dead = deadlist_find(address);
    if (dead)
        deadlist_remove(dead);
    else if (deadlist.count == DEADLIST_MAX)
        deadlist_remove(&deadlist.dead[0]);
    deadlist.dead[deadlist.count++] =
        (struct dead){ *address, now_ms + (is_silent ? DEADLIST_SILENT_MS : DEADLIST_REFUSED_MS) };
    pthread_mutex_unlock(&deadlist.lock);
}

void deadlist_clear(const struct address *address)
{
    pthread_mutex_lock(&deadlist.lock);
    struct dead *dead = deadlist_find(address);
    if (dead)
        deadlist_remove(dead);
    pthread_mutex_unlock(&deadlist.lock);
}

enum deadlist_rank { RANK_DUE, RANK_ALIVE, RANK_SUSPECT, RANK_DEAD, RANKS };

static enum deadlist_rank deadlist_rank(const struct address *address, bool is_family_suspect, bool is_scouting,
                                        uint64_t now_ms)
{
    const struct dead *dead = deadlist_find(address);
    if (!dead)
        return is_family_suspect ? RANK_SUSPECT : RANK_ALIVE;
    return is_scouting && now_ms >= dead->until_ms ? RANK_DUE : RANK_DEAD;
}

static bool deadlist_has_of(const struct address *addresses, unsigned count, int family)
{
    for (unsigned i = 0; i < count; i++)
        if (addresses[i].family == family && deadlist_find(&addresses[i]))
            return true;
    return false;
}

static void deadlist_sort_locked(struct address *addresses, unsigned count, bool is_scouting, uint64_t now_ms)
{
    struct address sorted[RANKS][RESOLVER_ADDRESSES_MAX];
    unsigned counts[RANKS] = { 0 }, done = 0;
    bool is_ipv4_suspect = deadlist_has_of(addresses, count, AF_INET);
    bool is_ipv6_suspect = deadlist_has_of(addresses, count, AF_INET6);
    for (unsigned i = 0; i < count; i++) {
        bool is_suspect = addresses[i].family == AF_INET ? is_ipv4_suspect : is_ipv6_suspect;
        enum deadlist_rank rank = deadlist_rank(&addresses[i], is_suspect, is_scouting, now_ms);
        sorted[rank][counts[rank]++] = addresses[i];
    }
    for (unsigned rank = 0; rank < RANKS; done += counts[rank++])
        memcpy(&addresses[done], sorted[rank], counts[rank] * sizeof *addresses);
}

void deadlist_sort(struct address *addresses, unsigned count, bool is_scouting, uint64_t now_ms)
{
    pthread_mutex_lock(&deadlist.lock);
    if (deadlist.count > 0)
        deadlist_sort_locked(addresses, count, is_scouting, now_ms);
    pthread_mutex_unlock(&deadlist.lock);
}

void deadlist_expire(void)
{
    pthread_mutex_lock(&deadlist.lock);
    for (unsigned i = 0; i < deadlist.count; i++)
        deadlist.dead[i].until_ms = 0;
    pthread_mutex_unlock(&deadlist.lock);
}
