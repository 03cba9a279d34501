#include "prelude.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
/* Without this uthash ends the process when memory is out. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "alert.h"
#include "id.h"
#include "offers.h"

struct prelude {
    struct prelude *next;             /* another member of the same upstream */
    struct offers *greeting, *offers; /* counted; NULL: none is known */
    struct imapstate_buf id, alerts;
    uint64_t learned_at_ms, ended_at_ms;
    uint32_t round;   /* the last one that has begun */
    bool is_asked;    /* another is under way */
    bool is_outdated; /* the round that is under way asks who is not there any more */
    bool is_doubted;  /* not fresh, however short ago it was learned */
    bool is_silent;   /* the last round that has ended has learned nothing */
    bool is_stalled;  /* whoever asks has no answer yet, and that takes long */
    bool misses_id, hides;
    UT_hash_handle hh; /* of the first member that was asked */
    char *member;      /* within names */
    char names[];      /* the upstream's, a NUL, the member's */
};

static pthread_mutex_t prelude_lock = PTHREAD_MUTEX_INITIALIZER;
static struct prelude *preludes;
static uint32_t last_round; /* of any */

/* Whoever waited for the lock may bring a time from before the list was learned. */
static bool prelude_is_fresh(const struct prelude *prelude, uint64_t now_ms)
{
    return prelude->offers && !prelude->is_doubted && now_ms < prelude->learned_at_ms + PRELUDE_FRESH_MS;
}

static struct prelude *prelude_find(const char *upstream, const char *member)
{
    struct prelude *prelude;
    HASH_FIND_STR(preludes, upstream, prelude);
    while (prelude && strcmp(prelude->member, member) != 0)
        prelude = prelude->next;
    return prelude;
}

static struct prelude *prelude_new(const char *upstream, const char *member)
{
    size_t upstream_size = strlen(upstream) + 1, member_size = strlen(member) + 1;
    struct prelude *prelude = calloc(1, sizeof *prelude + upstream_size + member_size);
    if (!prelude)
        return NULL;
    memcpy(prelude->names, upstream, upstream_size);
    prelude->member = memcpy(prelude->names + upstream_size, member, member_size);
    imapstate_buf_init(&prelude->id, ID_MAX);
    imapstate_buf_init(&prelude->alerts, ALERTS_MAX);
    return prelude;
}

static struct prelude *prelude_need(const char *upstream, const char *member)
{
    struct prelude *prelude = prelude_find(upstream, member), *first;
    if (prelude || !(prelude = prelude_new(upstream, member)))
        return prelude;
    HASH_FIND_STR(preludes, upstream, first);
    if (first) {
        prelude->next = first->next;
        first->next = prelude;
        return prelude;
    }
    HASH_ADD_KEYPTR(hh, preludes, prelude->names, strlen(prelude->names), prelude);
    if (prelude->hh.tbl)
        return prelude;
    free(prelude);
    return NULL;
}

static void prelude_set_offers(struct prelude *prelude, struct imapstate_span greeting, struct imapstate_span names)
{
    offers_unref(prelude->greeting);
    offers_unref(prelude->offers);
    prelude->greeting = offers_new(greeting);
    prelude->offers = offers_new(names);
}

static void prelude_set(struct imapstate_buf *buf, struct imapstate_span value)
{
    imapstate_buf_clear(buf);
    imapstate_buf_put(buf, value);
}

enum prelude_turn prelude_take_turn(const char *upstream, const char *member, uint64_t now_ms, uint32_t *ret_round)
{
    enum prelude_turn turn = PRELUDE_ASKED;
    *ret_round = 0;
    pthread_mutex_lock(&prelude_lock);
    struct prelude *prelude = prelude_need(upstream, member);
    if (prelude) {
        if (prelude_is_fresh(prelude, now_ms))
            turn = PRELUDE_FRESH;
        else if (!prelude->is_asked)
            turn = PRELUDE_ASK;
        if (turn == PRELUDE_ASK) {
            prelude->round = ++last_round;
            prelude->is_asked = true;
            prelude->is_stalled = false;
        }
        *ret_round = prelude->round;
    }
    pthread_mutex_unlock(&prelude_lock);
    return turn;
}

bool prelude_round_has_ended(const char *upstream, const char *member, uint32_t round)
{
    pthread_mutex_lock(&prelude_lock);
    const struct prelude *prelude = prelude_find(upstream, member);
    /* The number goes round as well, but nobody waits that long. */
    bool has_ended = !prelude || !prelude->is_asked || (int32_t)(prelude->round - round) > 0;
    pthread_mutex_unlock(&prelude_lock);
    return has_ended;
}

bool prelude_is_silent(const char *upstream, const char *member)
{
    pthread_mutex_lock(&prelude_lock);
    const struct prelude *prelude = prelude_find(upstream, member);
    bool is_silent = prelude && prelude->is_silent;
    pthread_mutex_unlock(&prelude_lock);
    return is_silent;
}

void prelude_stall(const char *upstream, const char *member)
{
    pthread_mutex_lock(&prelude_lock);
    struct prelude *prelude = prelude_find(upstream, member);
    if (prelude)
        prelude->is_stalled = prelude->is_asked;
    pthread_mutex_unlock(&prelude_lock);
}

bool prelude_is_quiet(const char *upstream, const char *member)
{
    pthread_mutex_lock(&prelude_lock);
    const struct prelude *prelude = prelude_find(upstream, member);
    bool is_quiet = prelude && (prelude->is_silent || prelude->is_stalled);
    pthread_mutex_unlock(&prelude_lock);
    return is_quiet;
}

bool prelude_rests(const char *upstream, const char *member, uint64_t rest_ms, uint64_t now_ms)
{
    pthread_mutex_lock(&prelude_lock);
    const struct prelude *prelude = prelude_find(upstream, member);
    bool rests = prelude && prelude->is_silent && !prelude->is_asked && now_ms < prelude->ended_at_ms + rest_ms;
    pthread_mutex_unlock(&prelude_lock);
    return rests;
}

static void prelude_learn(struct prelude *prelude, const struct prelude_lesson *lesson, uint64_t now_ms)
{
    prelude_set_offers(prelude, lesson->greeting_names, lesson->names);
    prelude_set(&prelude->id, lesson->id);
    prelude_set(&prelude->alerts, lesson->alerts);
    prelude->learned_at_ms = now_ms;
    prelude->is_doubted = false;
}

void prelude_end_round(const char *upstream, const char *member, const struct prelude_lesson *lesson, uint64_t now_ms)
{
    pthread_mutex_lock(&prelude_lock);
    struct prelude *prelude = prelude_find(upstream, member);
    if (prelude) {
        prelude->is_asked = prelude->is_stalled = false;
        prelude->ended_at_ms = now_ms;
        prelude->is_silent = lesson->names.len == 0;
        if (lesson->names.len > 0 && !prelude->is_outdated)
            prelude_learn(prelude, lesson, now_ms);
        prelude->is_outdated = false;
    }
    pthread_mutex_unlock(&prelude_lock);
}

void prelude_forget(const char *upstream, const char *member)
{
    pthread_mutex_lock(&prelude_lock);
    struct prelude *prelude = prelude_find(upstream, member);
    if (prelude) {
        prelude_set_offers(prelude, (struct imapstate_span){ 0 }, (struct imapstate_span){ 0 });
        imapstate_buf_clear(&prelude->id);
        imapstate_buf_clear(&prelude->alerts);
        prelude->is_outdated = prelude->is_asked;
        prelude->misses_id = prelude->hides = prelude->is_silent = false;
    }
    pthread_mutex_unlock(&prelude_lock);
}

struct offers *prelude_offers(const char *upstream, const char *member)
{
    pthread_mutex_lock(&prelude_lock);
    const struct prelude *prelude = prelude_find(upstream, member);
    struct offers *offers = prelude ? offers_ref(prelude->offers) : NULL;
    pthread_mutex_unlock(&prelude_lock);
    return offers;
}

struct offers *prelude_offers_for_greeting(const char *upstream, const char *member,
                                           struct imapstate_span greeting_names, uint64_t now_ms)
{
    pthread_mutex_lock(&prelude_lock);
    const struct prelude *prelude = prelude_find(upstream, member);
    bool is_known = prelude && greeting_names.len > 0 && prelude_is_fresh(prelude, now_ms) &&
                    offers_are(prelude->greeting, greeting_names);
    struct offers *offers = is_known ? offers_ref(prelude->offers) : NULL;
    pthread_mutex_unlock(&prelude_lock);
    return offers;
}

void prelude_compare(const char *upstream, const char *member, struct imapstate_span names)
{
    pthread_mutex_lock(&prelude_lock);
    struct prelude *prelude = prelude_find(upstream, member);
    if (prelude && !offers_are(prelude->offers, names))
        prelude->is_doubted = true;
    pthread_mutex_unlock(&prelude_lock);
}

bool prelude_id(const char *upstream, const char *member, struct imapstate_buf *ret_arguments)
{
    pthread_mutex_lock(&prelude_lock);
    const struct prelude *prelude = prelude_find(upstream, member);
    bool is_known =
        prelude && prelude->id.len > 0 && imapstate_buf_put(ret_arguments, imapstate_buf_span(&prelude->id));
    pthread_mutex_unlock(&prelude_lock);
    return is_known;
}

void prelude_alerts(const char *upstream, const char *member, struct imapstate_buf *ret_alerts)
{
    pthread_mutex_lock(&prelude_lock);
    const struct prelude *prelude = prelude_find(upstream, member);
    if (prelude)
        imapstate_buf_put(ret_alerts, imapstate_buf_span(&prelude->alerts));
    pthread_mutex_unlock(&prelude_lock);
}

bool prelude_misses_id(const char *upstream, const char *member, bool has_id)
{
    bool is_news = false;
    pthread_mutex_lock(&prelude_lock);
    struct prelude *prelude = prelude_need(upstream, member);
    if (prelude) {
        is_news = !has_id && !prelude->misses_id;
        prelude->misses_id = !has_id;
    }
    pthread_mutex_unlock(&prelude_lock);
    return is_news;
}

bool prelude_hides(const char *upstream, const char *member)
{
    pthread_mutex_lock(&prelude_lock);
    struct prelude *prelude = prelude_need(upstream, member);
    bool is_news = prelude && !prelude->hides;
    if (prelude)
        prelude->hides = true;
    pthread_mutex_unlock(&prelude_lock);
    return is_news;
}

static void prelude_free(struct prelude *prelude)
{
    offers_unref(prelude->greeting);
    offers_unref(prelude->offers);
    imapstate_buf_done(&prelude->id);
    imapstate_buf_done(&prelude->alerts);
    free(prelude);
}

void prelude_done(void)
{
    struct prelude *first, *next_first, *next;
    HASH_ITER(hh, preludes, first, next_first)
    {
        HASH_DEL(preludes, first);
        for (struct prelude *prelude = first; prelude; prelude = next) {
            next = prelude->next;
            prelude_free(prelude);
        }
    }
}
