/* figures: all that the daemon has counted, as one sum over its workers, and what else there is to know of it: for
 * those who write it down in one form or another.
 *
 * Each worker copies what it has counted in its own thread, which costs it as much as there are listeners, upstreams
 * and their addresses, however many clients there are. A worker that does not answer in time counts with what it has
 * said last, so that no sum ever falls. All in the main thread. */
#ifndef HTTP_FIGURES_H
#define HTTP_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "clientcounters.h"
#include "histogram.h"
#include "inquiry.h"
#include "list.h"
#include "loopcounters.h"
#include "park.h"
#include "upstreamcounters.h"

struct controlsocket;
struct service;
struct figures_desk;

enum standing_reload { STANDING_RELOAD_TAKEN, STANDING_RELOAD_PARTLY, STANDING_RELOAD_FAILED, STANDING_RELOAD_COUNT };

/* What only the daemon can know of itself; it keeps this up to date. */
struct standing {
    struct service *service; /* borrowed: the newest */
    const char *version;     /* static */
    time_t started_s;
    time_t reloaded_s; /* when the configuration was last taken over; at first: the start */
    uint64_t reloads[STANDING_RELOAD_COUNT];
    bool has_failed;                     /* the last reload, in whole or in part */
    bool is_listening;                   /* all that is configured is open */
    const bool *is_draining;             /* borrowed: nobody is accepted any more */
    const struct controlsocket *control; /* borrowed: where predecessors' are beside; NULL: nowhere */
};

struct figures_worker {
    unsigned index; /* as in the log; the janitor's is 255 */
    struct histogram lag;
    bool is_late; /* it has not answered this time */
};

struct figures_certificate {
    const char *listener; /* of standing->service */
    int64_t not_after_s;  /* since 1970 */
};

/* Valid during the call that it is passed to. */
struct figures {
    const struct standing *standing;
    uint64_t now_ms; /* on the clock of the loops: for what counters say about times */
    struct loop_counters loops;
    struct upstream_counters upstreams;
    struct client_counters clients;
    struct park_counters park;
    struct figures_worker *workers;
    size_t worker_count, late_count;
    struct figures_certificate *certificates;
    size_t certificate_count;
    uint64_t log_lost;
    uint64_t descriptors, descriptors_max; /* descriptors 0: nobody knows */
    uint64_t cpu_us, resident_octets;
    uint32_t sealing_key; /* its id */
    bool has_sealing_key;
};

/* figures NULL: memory is out, or the workers cannot be asked now. Never from within figures_ask(). */
typedef void figures_callback(void *asker, const struct figures *figures);

/* Whoever asks; all zero but for these two. */
struct figures_request {
    struct list link;
    figures_callback *answered;
    void *asker;
};

/* NULL: out of memory. inquiries and standing outlive it. */
struct figures_desk *figures_desk_new(struct inquiries *inquiries, const struct standing *standing);
void figures_desk_free(struct figures_desk *desk); /* nobody is told any more; accepts NULL */

/* Whoever asks while the workers are being asked gets the same answer. False: it cannot be done now, and answered() is
 * not called. */
bool figures_ask(struct figures_desk *desk, struct figures_request *request);

/* It does not want to know any more; also if it has been told already. */
void figures_withdraw(struct figures_request *request);

#endif
