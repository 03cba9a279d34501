#include "prelude.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
/* Without this uthash ends the process when memory is out. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct prelude {
    char *upstream;
    struct imapstate_buf greeting_names, names, id;
    uint64_t learned_at_ms;
    bool misses_id;
    UT_hash_handle hh;
};

static pthread_mutex_t prelude_lock = PTHREAD_MUTEX_INITIALIZER;
static struct prelude *preludes;

/* Whoever waited for the lock may bring a time from before the list was learned. */
static bool prelude_is_fresh(const struct prelude *prelude, uint64_t now_ms)
{
    return now_ms < prelude->learned_at_ms + PRELUDE_FRESH_MS;
}

static struct prelude *prelude_find(const char *upstream)
{
    struct prelude *prelude;
    HASH_FIND_STR(preludes, upstream, prelude);
    return prelude;
}

static struct prelude *prelude_need(const char *upstream)
{
    struct prelude *prelude = prelude_find(upstream);
    if (prelude)
        return prelude;
    prelude = calloc(1, sizeof *prelude);
    char *name = strdup(upstream);
    if (!prelude || !name) {
        free(prelude);
        free(name);
        return NULL;
    }
    prelude->upstream = name;
    imapstate_buf_init(&prelude->greeting_names, PRELUDE_NAMES_MAX);
    imapstate_buf_init(&prelude->names, PRELUDE_NAMES_MAX);
    imapstate_buf_init(&prelude->id, PRELUDE_ANSWER_MAX);
    HASH_ADD_KEYPTR(hh, preludes, prelude->upstream, strlen(prelude->upstream), prelude);
    if (prelude->hh.tbl)
        return prelude;
    free(name);
    free(prelude);
    return NULL;
}

static void prelude_set(struct imapstate_buf *buf, struct imapstate_span value)
{
    imapstate_buf_clear(buf);
    imapstate_buf_put(buf, value);
}

bool prelude_names(const char *upstream, uint64_t now_ms, struct imapstate_buf *ret_names, bool *ret_fresh)
{
    pthread_mutex_lock(&prelude_lock);
    const struct prelude *prelude = prelude_find(upstream);
    bool is_known =
        prelude && prelude->names.len > 0 && imapstate_buf_put(ret_names, imapstate_buf_span(&prelude->names));
    if (ret_fresh)
        *ret_fresh = is_known && prelude_is_fresh(prelude, now_ms);
    pthread_mutex_unlock(&prelude_lock);
    return is_known;
}

bool prelude_names_for_greeting(const char *upstream, struct imapstate_span greeting_names, uint64_t now_ms,
                                struct imapstate_buf *ret_names)
{
    pthread_mutex_lock(&prelude_lock);
    const struct prelude *prelude = prelude_find(upstream);
    bool is_known = prelude && greeting_names.len > 0 && prelude->names.len > 0 && prelude_is_fresh(prelude, now_ms) &&
                    imapstate_span_equal(imapstate_buf_span(&prelude->greeting_names), greeting_names) &&
                    imapstate_buf_put(ret_names, imapstate_buf_span(&prelude->names));
    pthread_mutex_unlock(&prelude_lock);
    return is_known;
}

void prelude_learn_names(const char *upstream, struct imapstate_span greeting_names, struct imapstate_span names,
                         uint64_t now_ms)
{
    pthread_mutex_lock(&prelude_lock);
    struct prelude *prelude = prelude_need(upstream);
    if (prelude) {
        prelude_set(&prelude->greeting_names, greeting_names);
        prelude_set(&prelude->names, names);
        prelude->learned_at_ms = now_ms;
    }
    pthread_mutex_unlock(&prelude_lock);
}

bool prelude_id(const char *upstream, struct imapstate_buf *ret_line)
{
    pthread_mutex_lock(&prelude_lock);
    const struct prelude *prelude = prelude_find(upstream);
    bool is_known = prelude && prelude->id.len > 0 && imapstate_buf_put(ret_line, imapstate_buf_span(&prelude->id));
    pthread_mutex_unlock(&prelude_lock);
    return is_known;
}

void prelude_learn_id(const char *upstream, struct imapstate_span line)
{
    /* Of an answer with literals this would be the beginning only. */
    if (line.len >= 3 && line.at[line.len - 3] == '}')
        return;
    pthread_mutex_lock(&prelude_lock);
    struct prelude *prelude = prelude_need(upstream);
    if (prelude)
        prelude_set(&prelude->id, line);
    pthread_mutex_unlock(&prelude_lock);
}

bool prelude_misses_id(const char *upstream, bool has_id)
{
    bool is_news = false;
    pthread_mutex_lock(&prelude_lock);
    struct prelude *prelude = prelude_need(upstream);
    if (prelude) {
        is_news = !has_id && !prelude->misses_id;
        prelude->misses_id = !has_id;
    }
    pthread_mutex_unlock(&prelude_lock);
    return is_news;
}

void prelude_done(void)
{
    struct prelude *prelude, *next;
    HASH_ITER(hh, preludes, prelude, next)
    {
        HASH_DEL(preludes, prelude);
        imapstate_buf_done(&prelude->greeting_names);
        imapstate_buf_done(&prelude->names);
        imapstate_buf_done(&prelude->id);
        free(prelude->upstream);
        free(prelude);
    }
}
