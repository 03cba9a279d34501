/* daemon: the gateway's beginning, its signals and its end. */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <stdbool.h>

#include "crew.h"
#include "janitor.h"

struct daemon {
    const char *config_path; /* borrowed */
    struct service *service; /* counted: the newest */
    struct config *started;  /* counted: what it was started with */
    struct event_base *base; /* of the main thread, for signals */
    struct crew crew;
    struct janitor janitor;
};

/* Reads the configuration at config_path. False after it has told on the standard error why it cannot be used. With
 * is_test everything is told there, else what is left to say is logged. All zero before, but for the path. */
bool daemon_begin(struct daemon *daemon, bool is_test);

/* From then on until a signal ends it; the exit status. */
int daemon_run(struct daemon *daemon);

void daemon_end(struct daemon *daemon);

#endif
