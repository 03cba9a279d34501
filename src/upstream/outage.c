#include "outage.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "list.h"

struct outage {
    struct list link;
    enum outage_kind kind;
    char *member; /* within names; NULL: the whole upstream */
    char names[]; /* the upstream's, a NUL, the member's */
};

const char *const outage_names[] = { [OUTAGE_NONE] = "up", [OUTAGE_DOWN] = "down", [OUTAGE_DRAINING] = "draining" };

static pthread_rwlock_t outages_lock = PTHREAD_RWLOCK_INITIALIZER;
static struct list outages = { &outages, &outages };

static bool outage_is_of(const struct outage *outage, const char *upstream, const char *member)
{
    bool is_member = member && outage->member ? strcmp(member, outage->member) == 0 : !member && !outage->member;
    return is_member && strcmp(outage->names, upstream) == 0;
}

static struct outage *outage_find(const char *upstream, const char *member)
{
    list_each_safe(link, &outages)
    {
        struct outage *outage = list_entry(link, struct outage, link);
        if (outage_is_of(outage, upstream, member))
            return outage;
    }
    return NULL;
}

enum outage_kind outage_of(const char *upstream, const char *member)
{
    pthread_rwlock_rdlock(&outages_lock);
    const struct outage *whole = outage_find(upstream, NULL), *own = member ? outage_find(upstream, member) : NULL;
    enum outage_kind kind = whole ? whole->kind : own ? own->kind : OUTAGE_NONE;
    pthread_rwlock_unlock(&outages_lock);
    return kind;
}

bool outage_is(const char *upstream, const char *member)
{
    return outage_of(upstream, member) != OUTAGE_NONE;
}

static struct outage *outage_new(const char *upstream, const char *member)
{
    size_t upstream_size = strlen(upstream) + 1, member_size = member ? strlen(member) + 1 : 0;
    struct outage *outage = calloc(1, sizeof *outage + upstream_size + member_size);
    if (!outage)
        return NULL;
    memcpy(outage->names, upstream, upstream_size);
    if (member)
        outage->member = memcpy(outage->names + upstream_size, member, member_size);
    list_init(&outage->link);
    return outage;
}

bool outage_begin(const char *upstream, const char *member, enum outage_kind kind)
{
    struct outage *outage = outage_new(upstream, member);
    if (!outage)
        return false;
    pthread_rwlock_wrlock(&outages_lock);
    struct outage *known = outage_find(upstream, member);
    if (!known)
        list_move(&outage->link, &outages);
    (known ? known : outage)->kind = kind;
    pthread_rwlock_unlock(&outages_lock);
    if (known)
        free(outage);
    return true;
}

static void outage_remove(struct outage *outage)
{
    if (outage)
        list_remove(&outage->link);
    free(outage);
}

void outage_end(const char *upstream, const char *member)
{
    pthread_rwlock_wrlock(&outages_lock);
    outage_remove(outage_find(upstream, member));
    pthread_rwlock_unlock(&outages_lock);
}

void outage_done(void)
{
    pthread_rwlock_wrlock(&outages_lock);
    list_each_safe(link, &outages) outage_remove(list_entry(link, struct outage, link));
    pthread_rwlock_unlock(&outages_lock);
}
