#include "queue.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "config.h"
#include "loop.h"
#include "peers.h"

struct queue_lane {
    struct list waiting; /* the first to come is first */
    unsigned logins;     /* under way */
};

struct queue {
    struct list link;
    unsigned max_sessions, max_logins; /* 0: no limit */
    uint64_t timeout_ms;
    unsigned sessions, logins, waiting;
    struct queue_lane lanes[QUEUE_LANES];
    char *upstream, *address; /* owned */
};

/* Everything in here is guarded by the lock. */
static struct {
    pthread_mutex_t lock;
    const struct config *config; /* borrowed; NULL before there is one */
    struct list all;
    uint64_t last_number;
} queues = { .lock = PTHREAD_MUTEX_INITIALIZER, .all = { &queues.all, &queues.all } };

/* --- lanes --- */

static uint8_t lane_key[crypto_shorthash_KEYBYTES];

static void lane_make_key(void)
{
    randombytes_buf(lane_key, sizeof lane_key);
}

static uint8_t lane_of(const void *octets, size_t len)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    uint8_t hash[crypto_shorthash_BYTES];
    pthread_once(&once, lane_make_key);
    crypto_shorthash(hash, octets, len, lane_key);
    return hash[0] % QUEUE_LANES;
}

uint8_t queue_lane_of_address(const struct address *address)
{
    struct address network = peers_network(address);
    return lane_of(&network, sizeof network);
}

uint8_t queue_lane_of_user(struct imapstate_span user)
{
    return lane_of(user.at, user.len);
}

/* --- life --- */

static struct queue *queue_find(const char *upstream, const char *address)
{
    list_each_safe(link, &queues.all)
    {
        struct queue *queue = list_entry(link, struct queue, link);
        if (strcmp(queue->address, address) == 0 && strcmp(queue->upstream, upstream) == 0)
            return queue;
    }
    return NULL;
}

static void queue_limit(struct queue *queue, const struct config_upstream *upstream)
{
    queue->max_sessions = upstream->max_sessions;
    queue->max_logins = upstream->max_logins;
    queue->timeout_ms = upstream->queue_timeout_ms;
}

/* Of that name, in the configuration in force. NULL: there is none. */
static const struct config_upstream *queue_config(const char *upstream)
{
    for (size_t i = 0; queues.config && i < queues.config->upstream_count; i++)
        if (strcmp(queues.config->upstreams[i].name, upstream) == 0)
            return &queues.config->upstreams[i];
    return NULL;
}

static void queue_free(struct queue *queue)
{
    list_remove(&queue->link);
    free(queue->upstream);
    free(queue->address);
    free(queue);
}

static struct queue *queue_new(const struct config_upstream *upstream, const char *address)
{
    struct queue *queue = calloc(1, sizeof *queue);
    if (!queue)
        return NULL;
    list_init(&queue->link);
    for (unsigned i = 0; i < QUEUE_LANES; i++)
        list_init(&queue->lanes[i].waiting);
    queue->upstream = strdup(upstream->name);
    queue->address = strdup(address);
    if (!queue->upstream || !queue->address) {
        queue_free(queue);
        return NULL;
    }
    const struct config_upstream *current = queue_config(upstream->name);
    queue_limit(queue, current ? current : upstream);
    list_move(&queue->link, &queues.all);
    return queue;
}

static void queue_end_if_unused(struct queue *queue)
{
    if (queue->sessions == 0 && queue->waiting == 0)
        queue_free(queue);
}

/* --- places --- */

static bool queue_has_sessions(const struct queue *queue)
{
    return queue->max_sessions == 0 || queue->sessions < queue->max_sessions;
}

static bool queue_has_logins(const struct queue *queue)
{
    return queue->max_logins == 0 || queue->logins < queue->max_logins;
}

static void queue_take_places(struct queue *queue, uint8_t lane)
{
    queue->sessions++;
    queue->logins++;
    queue->lanes[lane].logins++;
}

static void queue_give_back_login(struct queue *queue, uint8_t lane)
{
    queue->logins--;
    queue->lanes[lane].logins--;
}

/* --- whose turn it is --- */

static struct queue_wait *lane_first(const struct queue_lane *lane)
{
    return list_is_empty(&lane->waiting) ? NULL : list_entry(lane->waiting.next, struct queue_wait, link);
}

static bool lane_goes_before(const struct queue_lane *a, const struct queue_lane *b)
{
    return a->logins != b->logins ? a->logins < b->logins : lane_first(a)->number < lane_first(b)->number;
}

/* Somebody waits. */
static struct queue_wait *queue_first(const struct queue *queue)
{
    const struct queue_lane *first = NULL;
    for (unsigned i = 0; i < QUEUE_LANES; i++)
        if (lane_first(&queue->lanes[i]) && (!first || lane_goes_before(&queue->lanes[i], first)))
            first = &queue->lanes[i];
    return lane_first(first);
}

static void queue_call(struct queue *queue, struct queue_wait *wait)
{
    queue->waiting--;
    queue_take_places(queue, wait->lane);
    wait->is_called = true;
    list_move(&wait->link, &wait->desk->called);
    loop_poke(wait->desk->loop);
}

/* Places have become free, or there are more of them. */
static void queue_move_up(struct queue *queue)
{
    while (queue->waiting > 0 && queue_has_sessions(queue) && queue_has_logins(queue))
        queue_call(queue, queue_first(queue));
}

/* --- coming and going --- */

static void queue_add(struct queue *queue, uint8_t lane, struct queue_wait *wait, uint64_t now_ms)
{
    list_init(&wait->link);
    list_move(&wait->link, &queue->lanes[lane].waiting);
    wait->queue = queue;
    wait->lane = lane;
    wait->number = ++queues.last_number;
    wait->is_called = false;
    wait->since_ms = now_ms;
    queue->waiting++;
}

/* Where a place is free nobody waits. */
static enum queue_answer queue_enter_locked(struct queue *queue, uint8_t lane, struct queue_stay *stay,
                                            struct queue_wait *wait, uint64_t now_ms)
{
    bool has_room = queue_has_sessions(queue) && queue_has_logins(queue);
    if (has_room) {
        queue_take_places(queue, lane);
        *stay = (struct queue_stay){ .queue = queue, .lane = lane, .is_login = true };
    } else if (wait) {
        queue_add(queue, lane, wait, now_ms);
    }
    return has_room ? QUEUE_ADMITTED : wait ? QUEUE_WAITS : QUEUE_IS_FULL;
}

enum queue_answer queue_enter(const struct config_upstream *upstream, const char *address, uint8_t lane,
                              struct queue_stay *stay, struct queue_wait *wait, uint64_t now_ms)
{
    enum queue_answer answer = QUEUE_NO_MEMORY;
    pthread_mutex_lock(&queues.lock);
    struct queue *queue = queue_find(upstream->name, address);
    if (!queue)
        queue = queue_new(upstream, address);
    if (queue)
        answer = queue_enter_locked(queue, lane, stay, wait, now_ms);
    pthread_mutex_unlock(&queues.lock);
    return answer;
}

struct queue_wait *queue_next_called(struct queue_desk *desk)
{
    struct queue_wait *wait = NULL;
    pthread_mutex_lock(&queues.lock);
    if (!list_is_empty(&desk->called))
        wait = list_entry(desk->called.next, struct queue_wait, link);
    pthread_mutex_unlock(&queues.lock);
    return wait;
}

bool queue_take_called(struct queue_wait *wait, struct queue_stay *stay)
{
    pthread_mutex_lock(&queues.lock);
    bool is_called = wait->is_called;
    if (is_called) {
        list_remove(&wait->link);
        *stay = (struct queue_stay){ .queue = wait->queue, .lane = wait->lane, .is_login = true };
        wait->queue = NULL;
        wait->is_called = false;
    }
    pthread_mutex_unlock(&queues.lock);
    return is_called;
}

static void queue_go(struct queue *queue, uint8_t lane, bool is_login)
{
    queue->sessions--;
    if (is_login)
        queue_give_back_login(queue, lane);
    queue_move_up(queue);
    queue_end_if_unused(queue);
}

void queue_give_up(struct queue_wait *wait)
{
    if (!wait->queue) /* only its own thread sets it */
        return;
    pthread_mutex_lock(&queues.lock);
    list_remove(&wait->link);
    if (wait->is_called) {
        queue_go(wait->queue, wait->lane, true);
    } else {
        wait->queue->waiting--;
        queue_end_if_unused(wait->queue);
    }
    wait->queue = NULL;
    wait->is_called = false;
    pthread_mutex_unlock(&queues.lock);
}

uint64_t queue_left_ms(const struct queue_wait *wait, uint64_t now_ms)
{
    pthread_mutex_lock(&queues.lock);
    uint64_t until_ms = wait->since_ms + wait->queue->timeout_ms;
    pthread_mutex_unlock(&queues.lock);
    return until_ms > now_ms ? until_ms - now_ms : 0;
}

void queue_end_login(struct queue_stay *stay)
{
    if (!stay->is_login)
        return;
    stay->is_login = false;
    pthread_mutex_lock(&queues.lock);
    queue_give_back_login(stay->queue, stay->lane);
    queue_move_up(stay->queue);
    pthread_mutex_unlock(&queues.lock);
}

void queue_leave(struct queue_stay *stay)
{
    if (!stay->queue)
        return;
    pthread_mutex_lock(&queues.lock);
    queue_go(stay->queue, stay->lane, stay->is_login);
    pthread_mutex_unlock(&queues.lock);
    *stay = (struct queue_stay){ 0 };
}

/* --- for others --- */

bool queue_is_short(const struct queue *queue)
{
    if (!queue)
        return false;
    pthread_mutex_lock(&queues.lock);
    bool is_short = queue->waiting > 0 && !queue_has_sessions(queue) && queue_has_logins(queue);
    pthread_mutex_unlock(&queues.lock);
    return is_short;
}

unsigned queue_waiting(const char *upstream, const char *address)
{
    pthread_mutex_lock(&queues.lock);
    const struct queue *queue = queue_find(upstream, address);
    unsigned waiting = queue ? queue->waiting : 0;
    pthread_mutex_unlock(&queues.lock);
    return waiting;
}

void queue_configure(const struct config *config)
{
    pthread_mutex_lock(&queues.lock);
    queues.config = config;
    list_each_safe(link, &queues.all)
    {
        struct queue *queue = list_entry(link, struct queue, link);
        const struct config_upstream *upstream = queue_config(queue->upstream);
        if (upstream)
            queue_limit(queue, upstream);
        queue_move_up(queue);
    }
    pthread_mutex_unlock(&queues.lock);
    loop_poke_all(); /* their time may be another, too */
}

void queue_done(void)
{
    pthread_mutex_lock(&queues.lock);
    queues.config = NULL;
    pthread_mutex_unlock(&queues.lock);
}

void queue_desk_init(struct queue_desk *desk, struct loop *loop)
{
    desk->loop = loop;
    list_init(&desk->called);
}
