#include "watch.h"

void watches_init(struct watches *watches, struct event_base *base)
{
    *watches = (struct watches){ .base = base };
    list_init(&watches->wanted);
    list_init(&watches->called);
}

void watch_init(struct watch *watch, struct watches *watches, int fd, short what, event_callback_fn callback,
                void *owner)
{
    watch->watches = watches;
    if (watches->base) {
        event_assign(&watch->event, watches->base, fd, what, callback, owner);
        return;
    }
    list_init(&watch->bare.wanted_link);
    list_init(&watch->bare.called_link);
    watch->bare.callback = callback;
    watch->bare.owner = owner;
    watch->bare.fd = fd;
    watch->bare.what = what;
}

bool watch_begin(struct watch *watch)
{
    if (watch->watches->base)
        return event_add(&watch->event, NULL) == 0;
    list_move(&watch->bare.wanted_link, &watch->watches->wanted);
    return true;
}

void watch_stop(struct watch *watch)
{
    if (watch->watches->base) {
        event_del(&watch->event);
        return;
    }
    list_remove(&watch->bare.wanted_link);
    list_remove(&watch->bare.called_link);
}

void watch_call(struct watch *watch)
{
    if (watch->watches->base)
        event_active(&watch->event, EV_READ, 1);
    else if (list_is_empty(&watch->bare.called_link))
        list_move(&watch->bare.called_link, &watch->watches->called);
}

/* --- bare --- */

static void watches_call_ready(struct watches *watches)
{
    list_each_safe(link, &watches->wanted)
    {
        struct watch *watch = list_entry(link, struct watch, bare.wanted_link);
        if (watches->is_ready && watches->is_ready(watch->bare.fd, watch->bare.what & (EV_READ | EV_WRITE)))
            watch_call(watch);
    }
}

bool watches_turn(struct watches *watches)
{
    watches_call_ready(watches);
    bool has_called = !list_is_empty(&watches->called);
    while (!list_is_empty(&watches->called)) {
        struct watch *watch = list_entry(watches->called.next, struct watch, bare.called_link);
        list_remove(&watch->bare.called_link);
        if (!(watch->bare.what & EV_PERSIST))
            list_remove(&watch->bare.wanted_link);
        watch->bare.callback(watch->bare.fd, watch->bare.what, watch->bare.owner);
    }
    return has_called;
}
