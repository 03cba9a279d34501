/* janitor: the thread that looks after parked connections: it ends those that have waited too long, and checks that the
 * others are alive. It is a worker without clients. It also resolves the names that all workers wait for (dns.h). */
#ifndef GATEWAY_JANITOR_H
#define GATEWAY_JANITOR_H

#include "worker.h"

/* Of its loop. */
#define JANITOR_INDEX 255u

struct janitor {
    struct worker *worker;
    struct event *tick;
    struct dns *dns;
};

/* False after writing why to errors. */
bool janitor_start(struct janitor *janitor, struct service *service, FILE *errors);

/* Ends the thread and waits for its end. A janitor that was never started may be stopped. */
void janitor_stop(struct janitor *janitor);

#endif
