#include "loop.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

/* Whom loop_poke_all() pokes. */
static pthread_mutex_t loops_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list loops = { &loops, &loops };

/* --- time --- */

uint64_t loop_now_ms(const struct loop *loop)
{
    if (!loop->base)
        return loop->bare_now_ms;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t loop_now_us(const struct loop *loop)
{
    if (!loop->base)
        return loop->bare_now_ms * 1000;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void loop_arm(struct loop *loop)
{
    uint64_t first_ms = agenda_first_ms(&loop->agenda);
    /* That it comes too early now and then costs less than to put it off each time. */
    if (!loop->base || first_ms >= loop->alarm_at_ms)
        return;
    uint64_t now_ms = loop_now_ms(loop), after_ms = first_ms > now_ms ? first_ms - now_ms : 0;
    struct timeval after = { .tv_sec = (time_t)(after_ms / 1000), .tv_usec = (suseconds_t)(after_ms % 1000 * 1000) };
    if (event_add(&loop->alarm_event, &after) == 0)
        loop->alarm_at_ms = first_ms;
}

static void loop_on_alarm(evutil_socket_t fd, short what, void *arg)
{
    struct loop *loop = arg;
    loop->alarm_at_ms = UINT64_MAX;
    agenda_keep(&loop->agenda, loop_now_ms(loop));
    loop_arm(loop);
}

/* --- graves --- */

static void loop_end_buried(struct loop *loop)
{
    while (!list_is_empty(&loop->graves)) {
        struct grave *grave = list_entry(loop->graves.next, struct grave, link);
        list_remove(&grave->link);
        grave->end(grave);
    }
}

static void loop_on_graves(evutil_socket_t fd, short what, void *arg)
{
    struct loop *loop = arg;
    loop_end_buried(loop);
    if (loop->unwound)
        loop->unwound(loop);
}

void loop_unwind(struct loop *loop)
{
    watch_call(&loop->grave_watch);
}

void loop_bury(struct loop *loop, struct grave *grave, void (*end)(struct grave *grave))
{
    grave->end = end;
    list_init(&grave->link);
    list_move(&grave->link, &loop->graves);
    loop_unwind(loop);
}

/* --- names --- */

uint64_t loop_new_id(struct loop *loop)
{
    /* The low octet tells the loop, and of the 256th and those behind it the high ones do too, so that two never give
     * the same. */
    return (uint64_t)(loop->index >> 8) << 48 | ++loop->next_id << 8 | (loop->index & 0xff);
}

/* --- what others tell --- */

void loop_poke(struct loop *loop)
{
    uint64_t one = 1;
    if (!loop->base)
        watch_call(&loop->told_watch);
    else if (write(loop->told_fd, &one, sizeof one) < 0)
        log_error("eventfd: %s", strerror(errno));
}

bool loop_send(struct loop *loop, struct errand *errand)
{
    if (!errands_add(&loop->errands, errand))
        return false;
    loop_poke(loop);
    return true;
}

void loop_poke_all(void)
{
    pthread_mutex_lock(&loops_lock);
    for (struct list *link = loops.next; link != &loops; link = link->next)
        loop_poke(list_entry(link, struct loop, link));
    pthread_mutex_unlock(&loops_lock);
}

static void loop_on_told(evutil_socket_t fd, short what, void *arg)
{
    struct loop *loop = arg;
    uint64_t count;
    while (loop->told_fd >= 0 && read(loop->told_fd, &count, sizeof count) > 0)
        ;
    loop->told(loop);
    errands_run(&loop->errands, loop); /* whoever has sent one, finds done what was told before */
}

/* --- turning --- */

bool loop_run(struct loop *loop)
{
    bool has_run = event_base_dispatch(loop->base) >= 0;
    errands_close(&loop->errands);
    return has_run;
}

void loop_break(struct loop *loop)
{
    event_base_loopbreak(loop->base);
}

bool loop_pass(struct loop *loop, uint64_t now_ms)
{
    loop->bare_now_ms = now_ms;
    bool was_due = agenda_keep(&loop->agenda, now_ms);
    return watches_turn(&loop->watches) || was_due;
}

/* --- life --- */

static struct event_base *loop_new_base(void)
{
    struct event_config *config = event_config_new();
    if (!config)
        return NULL;
    /* Nobody but its own thread touches a loop: no locks. */
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

/* From here on it can be poked. */
static void loop_enlist(struct loop *loop)
{
    pthread_mutex_lock(&loops_lock);
    list_move(&loop->link, &loops);
    pthread_mutex_unlock(&loops_lock);
}

static void loop_prepare(struct loop *loop, unsigned index, loop_callback *told)
{
    *loop = (struct loop){ .index = index, .told = told, .told_fd = -1, .alarm_at_ms = UINT64_MAX };
    list_init(&loop->graves);
    errands_init(&loop->errands);
    list_init(&loop->link);
}

static void loop_begin(struct loop *loop)
{
    watches_init(&loop->watches, loop->base);
    watch_init(&loop->grave_watch, &loop->watches, -1, 0, loop_on_graves, loop);
    watch_init(&loop->told_watch, &loop->watches, loop->told_fd, EV_READ | EV_PERSIST, loop_on_told, loop);
}

void loop_init_bare(struct loop *loop, unsigned index, loop_callback *told)
{
    loop_prepare(loop, index, told);
    loop_begin(loop);
    loop_enlist(loop);
}

bool loop_init(struct loop *loop, unsigned index, loop_callback *told)
{
    loop_prepare(loop, index, told);
    loop->told_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    loop->base = loop_new_base();
    if (loop->told_fd < 0 || !loop->base)
        return false;
    evtimer_assign(&loop->alarm_event, loop->base, loop_on_alarm, loop);
    loop_begin(loop);
    if (!watch_begin(&loop->told_watch))
        return false;
    loop_enlist(loop);
    return true;
}

void loop_done(struct loop *loop)
{
    pthread_mutex_lock(&loops_lock);
    list_remove(&loop->link);
    pthread_mutex_unlock(&loops_lock);
    loop_end_buried(loop);
    errands_close(&loop->errands);
    errands_done(&loop->errands);
    if (loop->base)
        event_base_free(loop->base);
    if (loop->told_fd >= 0)
        close(loop->told_fd);
    pool_done(&loop->pool);
}
