#include "orders.h"

#include <stddef.h>
#include <string.h>

#include "reply.h"
#include "daemon.h"
#include "reload.h"
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
    upgrade_begin(&daemon->upgrade, &daemon->crew.sockets, daemon->service, orders_on_answered, reply);
}

struct control_actions orders_actions(struct daemon *daemon)
{
    return (struct control_actions){
        .owner = daemon, .service = orders_service, .reload = orders_reload, .upgrade = orders_upgrade
    };
}
