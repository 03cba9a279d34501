#include "orders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "counterlist.h"
#include "crew.h"
#include "daemon.h"
#include "figures.h"
#include "log.h"
#include "reload.h"
#include "reply.h"
#include "settled.h"
#include "takeover.h"
#include "upgrade.h"

static struct service *orders_service(void *owner)
{
    return ((struct daemon *)owner)->service;
}

/* Words are lines; the last one sums them up. */
static void orders_on_answered(void *asker, bool is_done, const char *words)
{
    size_t len = strlen(words);
    while (len > 0 && words[len - 1] == '\n')
        len--;
    reply_end(asker, is_done ? REPLY_DONE : REPLY_FAILED, "%.*s", (int)len, words);
}

static void orders_reload(void *owner, struct reply *reply)
{
    struct daemon *daemon = owner;
    takeover_pass_reload(&daemon->takeover);
    reload(daemon, orders_on_answered, reply);
}

static void orders_upgrade(void *owner, struct reply *reply)
{
    struct daemon *daemon = owner;
    upgrade_begin(&daemon->upgrade, &daemon->crew, daemon->service, orders_on_answered, reply);
}

static void orders_show_counters(void *owner, bool is_all, struct reply *reply)
{
    struct daemon *daemon = owner;
    if (!daemon->desk)
        daemon->desk = figures_desk_new(&daemon->inquiries, &daemon->standing);
    counterlist_show(daemon->desk, is_all, reply);
}

static bool orders_is_under_way(void *owner)
{
    return upgrade_is_under_way(&((const struct daemon *)owner)->upgrade);
}

static bool orders_has_successor(void *owner)
{
    const struct upgrade *upgrade = &((const struct daemon *)owner)->upgrade;
    return upgrade->fd >= 0 && upgrade->has_taken_over;
}

static bool orders_is_paused(void *owner, const char *listener)
{
    const struct crew *crew = &((const struct daemon *)owner)->crew;
    bool is_paused = crew->is_paused || crew->is_closed;
    for (size_t i = 0; i < crew->paused_count && !is_paused; i++)
        is_paused = strcmp(crew->paused[i], listener) == 0;
    return is_paused;
}

struct pausing {
    struct reply *reply;
    char words[]; /* what is done */
};

static void orders_on_paused(void *owner)
{
    struct pausing *pausing = owner;
    reply_end(pausing->reply, REPLY_DONE, "%s", pausing->words);
    free(pausing);
}

/* Answers when the workers have let go of what is closed: its address can be had again then. */
static void orders_wait_for_pause(struct daemon *daemon, const char *listener, const char *what, struct reply *reply)
{
    const char *which = listener ? listener : "all listeners:";
    size_t size = strlen(which) + strlen(what) + 2;
    struct pausing *pausing = malloc(sizeof *pausing + size);
    if (!pausing) {
        reply_end(reply, REPLY_DONE, "%s %s", which, what);
        return;
    }
    pausing->reply = reply;
    snprintf(pausing->words, size, "%s %s", which, what);
    settled_wait(&daemon->inquiries, orders_on_paused, pausing);
}

/* Calls pause, which is crew_pause() or crew_resume(). */
static void orders_pause(struct daemon *daemon, const char *listener, struct reply *reply, const char *what,
                         bool (*pause)(struct crew *crew, const char *name, FILE *errors))
{
    char *words = NULL;
    size_t len = 0;
    FILE *errors = open_memstream(&words, &len);
    bool is_done = errors && pause(&daemon->crew, listener, errors);
    if (errors)
        fclose(errors);
    if (is_done)
        daemon->standing.is_listening = !crew_has_paused(&daemon->crew);
    log_info("control: %s%s %s", listener ? "listener=" : "all listeners", listener ? listener : "",
             is_done ? what : "cannot do that");
    if (is_done)
        orders_wait_for_pause(daemon, listener, what, reply);
    else
        reply_end(reply, REPLY_FAILED, "%.*s", (int)strcspn(words ? words : "out of memory", "\n"),
                  words ? words : "out of memory");
    free(words);
}

static void orders_drain(void *owner, const char *listener, struct reply *reply)
{
    orders_pause(owner, listener, reply, "accepting nobody", crew_pause);
}

static void orders_resume(void *owner, const char *listener, struct reply *reply)
{
    struct daemon *daemon = owner;
    if (daemon->is_draining)
        reply_end(reply, REPLY_FAILED, "this process drains, for good");
    else
        orders_pause(daemon, listener, reply, "accepting clients", crew_resume);
}

struct control_actions orders_actions(struct daemon *daemon)
{
    return (struct control_actions){ .owner = daemon,
                                     .service = orders_service,
                                     .reload = orders_reload,
                                     .upgrade = orders_upgrade,
                                     .is_under_way = orders_is_under_way,
                                     .has_successor = orders_has_successor,
                                     .is_paused = orders_is_paused,
                                     .show_counters = orders_show_counters,
                                     .drain = orders_drain,
                                     .resume = orders_resume };
}
