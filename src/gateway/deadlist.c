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

/* 0 is tried first. */
static unsigned deadlist_rank(const struct address *address, bool is_scouting, uint64_t now_ms)
{
    const struct dead *dead = deadlist_find(address);
    if (!dead)
        return 1;
    return is_scouting && now_ms >= dead->until_ms ? 0 : 2;
}

void deadlist_sort(struct address *addresses, unsigned count, bool is_scouting, uint64_t now_ms)
{
    struct address sorted[RESOLVER_ADDRESSES_MAX];
    unsigned done = 0;
    pthread_mutex_lock(&deadlist.lock);
    for (unsigned rank = 0; rank <= 2 && deadlist.count > 0; rank++)
        for (unsigned i = 0; i < count; i++)
            if (deadlist_rank(&addresses[i], is_scouting, now_ms) == rank)
                sorted[done++] = addresses[i];
    pthread_mutex_unlock(&deadlist.lock);
    if (done > 0)
        memcpy(addresses, sorted, done * sizeof *sorted);
}

void deadlist_expire(void)
{
    pthread_mutex_lock(&deadlist.lock);
    for (unsigned i = 0; i < deadlist.count; i++)
        deadlist.dead[i].until_ms = 0;
    pthread_mutex_unlock(&deadlist.lock);
}
