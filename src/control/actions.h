/* actions: what only the daemon as a whole can do, and whoever commands it over the control socket can ask for.
 *
 * The daemon fills in the functions; all are called in the main thread, and each is given an answer (reply.h), which
 * it ends by reply_end(), at once or later, in the main thread too. While it is under way other commands go on. NULL:
 * the daemon cannot do it, and whoever asks is told so. */
#ifndef CONTROL_ACTIONS_H
#define CONTROL_ACTIONS_H

#include <stdbool.h>

struct reply;
struct service;

struct control_actions {
    void *owner; /* the first argument of each */

    /* The newest, borrowed for the moment. Never NULL. */
    struct service *(*service)(void *owner);

    /* Is another process taking over just now? */
    bool (*is_under_way)(void *owner);

    /* Is there another process that has taken over, which hears of each revocation too? */
    bool (*has_successor)(void *owner);

    /* Does the listener of this name accept nobody until it is resumed? */
    bool (*is_paused)(void *owner, const char *listener);

    /* A row for each: name and value; is_all: buckets of histograms as well. */
    void (*show_counters)(void *owner, bool is_all, struct reply *reply);

    /* The configuration is read anew, with all that belongs to it. The words say what was taken, and what was not. */
    void (*reload)(void *owner, struct reply *reply);

    /* A new process takes over; ended when it accepts, or has failed. */
    void (*upgrade)(void *owner, struct reply *reply);

    /* The listener of this name, or all if it is NULL, accepts nobody until it is resumed. */
    void (*drain)(void *owner, const char *listener, struct reply *reply);
    void (*resume)(void *owner, const char *listener, struct reply *reply);
};

#endif
