/* daemon: the gateway's beginning, its signals and its end. */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <stdbool.h>

#include "actions.h"
#include "control.h"
#include "crew.h"
#include "figures.h"
#include "inquiry.h"
#include "janitor.h"
#include "loop.h"
#include "takeover.h"
#include "upgrade.h"
#include "watchdog.h"

struct daemon {
    const char *config_path; /* borrowed */
    struct service *service; /* counted: the newest */
    struct config *started;  /* counted: what it was started with */
    struct loop loop;        /* of the main thread, for signals and for whoever looks in */
    bool has_loop;
    struct crew crew;
    struct janitor janitor;
    struct inquiries inquiries;
    struct control_actions actions;
    struct control control;
    struct watchdog watchdog;
    char *program;            /* owned: the file that it was started from */
    struct takeover takeover; /* from whom it has taken over */
    bool has_predecessor;
    struct upgrade upgrade; /* who takes over from it */
    bool owes_reload; /* the last one came when the process that takes over may have read its configuration already */
    bool is_draining; /* nobody is accepted any more, for good */
    struct standing standing;
    struct http *http;         /* owned */
    struct figures_desk *desk; /* owned: for "show counters"; NULL until it is asked for */
};

/* Reads the configuration at config_path. False after it has told on the standard error why it cannot be used. With
 * is_test everything is told there, else what is left to say is logged. All zero before, but for the path. argv, the
 * process's, is borrowed. */
bool daemon_begin(struct daemon *daemon, char *const *argv, bool is_test);

/* From then on until a signal ends it; the exit status. */
int daemon_run(struct daemon *daemon);

void daemon_end(struct daemon *daemon);

#endif
