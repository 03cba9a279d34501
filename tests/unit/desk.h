/* desk: figures of workers without threads, whose turns a test runs, for tests of those who read them. */
#ifndef TEST_DESK_H
#define TEST_DESK_H

#include <stdio.h>

#include "configfile.h"
#include "figures.h"
#include "loop.h"
#include "service.h"
#include "worker.h"

#define DESK_WORKERS 2
#define DESK_CONFIG                                                                                                    \
    "epoch = 7\nlistener \"plain\" { address = \"127.0.0.1:1143\" tls = none }\n"                                      \
    "upstream \"main\" { address = \"127.0.0.1:143\" tls = none }\n"

static struct {
    struct loop home;
    struct inquiries inquiries;
    struct worker workers[DESK_WORKERS];
    struct standing standing;
    struct figures_desk *desk;
    bool is_draining;
} desk;

static inline void desk_on_told(struct loop *loop)
{
}

static inline int desk_begin(void **state)
{
    FILE *nowhere = fopen("/dev/null", "w");
    struct config *config = configfile_parse("desk.conf", DESK_CONFIG, stderr);
    loop_init_bare(&desk.home, 254, desk_on_told);
    inquiries_init(&desk.inquiries, &desk.home);
    desk.is_draining = false;
    desk.standing = (struct standing){
        .service = service_load(config, NULL, nowhere),
        .version = "1.2.3",
        .started_s = 1000,
        .reloaded_s = 2000,
        .is_listening = true,
        .is_draining = &desk.is_draining,
    };
    fclose(nowhere);
    for (unsigned i = 0; i < DESK_WORKERS; i++) {
        struct worker *worker = &desk.workers[i];
        *worker = (struct worker){ 0 };
        loop_init_bare(&worker->loop, i, desk_on_told);
        upstream_counters_init(&worker->upstreams.counters);
        client_counters_init(&worker->clients.counters);
        if (!inquiries_add(&desk.inquiries, worker))
            return 1;
    }
    park_configure(desk.standing.service->config);
    desk.desk = figures_desk_new(&desk.inquiries, &desk.standing);
    return desk.desk && desk.standing.service ? 0 : 1;
}

static inline void desk_turn_worker(unsigned index)
{
    while (loop_pass(&desk.workers[index].loop, desk.home.bare_now_ms))
        ;
}

/* All answer. */
static inline void desk_turn(void)
{
    for (unsigned i = 0; i < DESK_WORKERS; i++)
        desk_turn_worker(i);
    while (loop_pass(&desk.home, desk.home.bare_now_ms))
        ;
}

static inline int desk_end(void **state)
{
    figures_desk_free(desk.desk);
    for (unsigned i = 0; i < DESK_WORKERS; i++) {
        loop_done(&desk.workers[i].loop);
        upstream_counters_done(&desk.workers[i].upstreams.counters);
        client_counters_done(&desk.workers[i].clients.counters);
    }
    inquiries_done(&desk.inquiries);
    loop_done(&desk.home);
    park_done();
    service_unref(desk.standing.service);
    return 0;
}

#endif
