#include "loguser.h"

#include <pthread.h>
#include <string.h>

struct loguser {
    uint8_t name[LOGUSER_NAME_MAX];
    uint8_t len;
};

static struct {
    pthread_mutex_t lock;
    struct loguser users[LOGUSER_MAX]; /* under lock */
    size_t count;                      /* under lock */
    uint32_t generation;               /* atomic; written under lock */
} list = { .lock = PTHREAD_MUTEX_INITIALIZER };

static struct imapstate_span loguser_name(const struct loguser *user)
{
    return (struct imapstate_span){ user->name, user->len };
}

/* NULL: not there. Under lock. */
static struct loguser *loguser_find(struct imapstate_span name)
{
    for (size_t i = 0; i < list.count; i++)
        if (imapstate_span_equal_nocase(loguser_name(&list.users[i]), name))
            return &list.users[i];
    return NULL;
}

static void loguser_changed(void)
{
    __atomic_store_n(&list.generation, list.generation + 1, __ATOMIC_RELEASE);
}

uint32_t loguser_generation(void)
{
    return __atomic_load_n(&list.generation, __ATOMIC_ACQUIRE);
}

bool loguser_add(struct imapstate_span user)
{
    if (user.len == 0 || user.len > LOGUSER_NAME_MAX)
        return false;
    pthread_mutex_lock(&list.lock);
    bool is_there = loguser_find(user);
    bool is_added = !is_there && list.count < LOGUSER_MAX;
    if (is_added) {
        struct loguser *added = &list.users[list.count++];
        memcpy(added->name, user.at, user.len);
        added->len = (uint8_t)user.len;
        loguser_changed();
    }
    pthread_mutex_unlock(&list.lock);
    return is_there || is_added;
}

bool loguser_remove(struct imapstate_span user)
{
    pthread_mutex_lock(&list.lock);
    struct loguser *found = loguser_find(user);
    if (found) {
        *found = list.users[--list.count];
        loguser_changed();
    }
    pthread_mutex_unlock(&list.lock);
    return found;
}

void loguser_remove_all(void)
{
    pthread_mutex_lock(&list.lock);
    if (list.count > 0) {
        list.count = 0;
        loguser_changed();
    }
    pthread_mutex_unlock(&list.lock);
}

bool loguser_has(struct imapstate_span user)
{
    pthread_mutex_lock(&list.lock);
    bool has = loguser_find(user);
    pthread_mutex_unlock(&list.lock);
    return has;
}
