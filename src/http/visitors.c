#include "visitors.h"

#include <event2/bufferevent.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "loop.h"

/* How often it is looked who is still there. */
#define VISITORS_LOOK_MS  1000u
#define VISITORS_RETRY_MS 50u /* while somebody waits to be accepted */

/* 0: it is none. */
static ino_t visitor_inode(int fd)
{
    struct stat found;
    return fd >= 0 && fstat(fd, &found) == 0 && S_ISSOCK(found.st_mode) ? found.st_ino : 0;
}

static void visitor_know(struct visitor *visitor)
{
    if (!visitor->bufferevent)
        return;
    visitor->fd = (int)bufferevent_getfd(visitor->bufferevent);
    visitor->inode = visitor_inode(visitor->fd);
    bufferevent_decref(visitor->bufferevent);
    visitor->bufferevent = NULL;
}

static bool visitor_is_there(const struct visitor *visitor)
{
    return visitor->inode != 0 && visitor_inode(visitor->fd) == visitor->inode;
}

/* libevent reads the end of file, and closes. */
static void visitor_tell(struct visitor *visitor)
{
    shutdown(visitor->fd, SHUT_RDWR);
    visitor->is_told = true;
}

static void visitors_count(struct visitors *visitors)
{
    size_t kept = 0;
    for (size_t i = 0; i < visitors->count; i++) {
        visitor_know(&visitors->all[i]);
        if (visitor_is_there(&visitors->all[i]))
            visitors->all[kept++] = visitors->all[i];
    }
    visitors->count = kept;
}

static void visitors_end_late(struct visitors *visitors)
{
    uint64_t now_ms = loop_now_ms(visitors->loop);
    for (size_t i = 0; i < visitors->count; i++)
        if (!visitors->all[i].is_told && now_ms >= visitors->all[i].until_ms)
            visitor_tell(&visitors->all[i]);
}

/* At most one for each look, so that those who have just come get their turn. */
static void visitors_end_oldest(struct visitors *visitors)
{
    size_t at = 0;
    while (at < visitors->count && visitors->all[at].is_told)
        at++;
    if (at < visitors->count)
        visitor_tell(&visitors->all[at]);
}

static void visitors_open_gate(struct visitors *visitors, bool is_open)
{
    if (visitors->is_closed == !is_open)
        return;
    visitors->is_closed = !is_open;
    visitors->gate(visitors->owner, is_open);
}

static void visitors_on_timer(void *owner)
{
    struct visitors *visitors = owner;
    visitors_count(visitors);
    visitors_end_late(visitors);
    if (visitors->count == VISITORS_MAX)
        visitors_end_oldest(visitors);
    else
        visitors_open_gate(visitors, true);
    if (visitors->count > 0)
        timer_set(&visitors->timer, visitors->is_closed ? VISITORS_RETRY_MS : VISITORS_LOOK_MS);
}

void visitors_add(struct visitors *visitors, struct bufferevent *bufferevent)
{
    if (visitors->count == VISITORS_MAX) /* never, as the gate is closed before */
        return;
    bufferevent_incref(bufferevent);
    visitors->all[visitors->count++] = (struct visitor){
        .bufferevent = bufferevent,
        .fd = -1,
        .until_ms = loop_now_ms(visitors->loop) + VISITORS_TIME_MS,
    };
    if (visitors->count == VISITORS_MAX)
        visitors_open_gate(visitors, false);
    timer_set(&visitors->timer, 0); /* then its descriptor is known */
}

void visitors_pause(struct visitors *visitors)
{
    visitors_open_gate(visitors, false);
    timer_set(&visitors->timer, VISITORS_RETRY_MS);
}

void visitors_init(struct visitors *visitors, struct loop *loop, visitors_gate *gate, void *owner)
{
    *visitors = (struct visitors){ .loop = loop, .gate = gate, .owner = owner };
    timer_init(&visitors->timer, loop, visitors_on_timer, visitors);
}

void visitors_done(struct visitors *visitors)
{
    timer_stop(&visitors->timer);
    for (size_t i = 0; i < visitors->count; i++)
        visitor_know(&visitors->all[i]);
    visitors->count = 0;
}
