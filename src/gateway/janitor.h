/* janitor: the thread that looks after parked connections: it ends what has waited too long and shows signs of life. It
 * is a worker without clients. It also asks for the addresses of names, which all workers wait for (dns.h). */
#ifndef GATEWAY_JANITOR_H
#define GATEWAY_JANITOR_H

#include "worker.h"

struct janitor {
    struct worker *worker;
    struct event *tick;
    struct dns *dns;
};

/* False after writing why to errors. */
bool janitor_start(struct janitor *janitor, struct service *service, FILE *errors);

/* Ends the thread and waits for that. What was never started may be stopped. */
void janitor_stop(struct janitor *janitor);

#endif
