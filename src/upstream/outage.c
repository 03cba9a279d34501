#include "outage.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "list.h"

struct outage {
    struct list link;
    char upstream[];
};

static pthread_rwlock_t outages_lock = PTHREAD_RWLOCK_INITIALIZER;
static struct list outages = { &outages, &outages };

static struct outage *outage_find(const char *upstream)
{
    list_each_safe(link, &outages)
    {
        struct outage *outage = list_entry(link, struct outage, link);
        if (strcmp(outage->upstream, upstream) == 0)
            return outage;
    }
    return NULL;
}

bool outage_is(const char *upstream)
{
    pthread_rwlock_rdlock(&outages_lock);
    bool is = outage_find(upstream);
    pthread_rwlock_unlock(&outages_lock);
    return is;
}

bool outage_begin(const char *upstream)
{
    size_t size = strlen(upstream) + 1;
    struct outage *outage = malloc(sizeof *outage + size);
    if (!outage)
        return false;
    memcpy(outage->upstream, upstream, size);
    list_init(&outage->link);
    pthread_rwlock_wrlock(&outages_lock);
    bool is_new = !outage_find(upstream);
    if (is_new)
        list_move(&outage->link, &outages);
    pthread_rwlock_unlock(&outages_lock);
    if (!is_new)
        free(outage);
    return true;
}

static void outage_remove(struct outage *outage)
{
    if (outage)
        list_remove(&outage->link);
    free(outage);
}

void outage_end(const char *upstream)
{
    pthread_rwlock_wrlock(&outages_lock);
    outage_remove(outage_find(upstream));
    pthread_rwlock_unlock(&outages_lock);
}

void outage_done(void)
{
    pthread_rwlock_wrlock(&outages_lock);
    list_each_safe(link, &outages) outage_remove(list_entry(link, struct outage, link));
    pthread_rwlock_unlock(&outages_lock);
}
