/* watch: watches one descriptor: when it can be read or written, or when somebody asks for it, the callback is called
 * from the event loop.
 *
 * Watches without an event base, for tests, take the place of libevent's events: their owner says which descriptors are
 * ready, and runs their turns. */
#ifndef IO_WATCH_H
#define IO_WATCH_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>

#include "list.h"

/* All watches of one loop. */
struct watches {
    struct event_base *base; /* borrowed; NULL: bare */
    struct list wanted;      /* bare: those that have begun */
    struct list called;      /* bare: whose callbacks are to be called, in this order */
    /* Bare: can fd be read, or written (EV_READ, EV_WRITE)? NULL: never. */
    bool (*is_ready)(int fd, short what);
};

struct watch {
    struct watches *watches; /* borrowed */
    union {
        struct event event;
        struct {
            struct list wanted_link, called_link;
            event_callback_fn callback;
            void *owner;
            int fd;
            short what;
        } bare;
    };
};

void watches_init(struct watches *watches, struct event_base *base);

/* what is EV_READ or EV_WRITE, for once, or with EV_PERSIST until it is stopped. fd -1: only watch_call() calls it. May
 * be called again only when it has been stopped. */
void watch_init(struct watch *watch, struct watches *watches, int fd, short what, event_callback_fn callback,
                void *owner);

/* False: out of memory. */
bool watch_begin(struct watch *watch);
void watch_stop(struct watch *watch); /* a call that was asked for is not made either */

/* Its callback is called when the loop has unwound, whether it has begun or not. */
void watch_call(struct watch *watch);

/* Bare: makes the calls for all that are ready, and those that these ask for. False: there was nothing to call. */
bool watches_turn(struct watches *watches);

#endif
