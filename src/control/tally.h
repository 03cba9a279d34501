/* tally: how many clients and connections to servers there are, by the sections of the configuration, as all workers
 * count them. */
#ifndef CONTROL_TALLY_H
#define CONTROL_TALLY_H

#include <stdbool.h>
#include <stddef.h>

#include "client.h"
#include "upstream.h"

struct inquiries;
struct service;

struct tally_listener {
    unsigned clients[CLIENT_STATE_MAX];
};

struct tally_upstream {
    unsigned connections[UPSTREAM_STATE_MAX];
};

/* What belongs to a section that is there no more is in no row. */
struct tally {
    struct service *service;          /* counted: of whose configuration */
    struct tally_listener *listeners; /* owned; one for each, in its order */
    struct tally_upstream *upstreams; /* likewise */
    size_t missing;                   /* how many workers have not answered in time */
};

/* Once: what was counted, valid during the call; NULL: memory was out. */
typedef void tally_counted(const struct tally *tally, void *asker);

/* Counts by the sections of service. False: it cannot be done now; counted is not called. */
bool tally_take(struct inquiries *inquiries, struct service *service, tally_counted *counted, void *asker);

#endif
