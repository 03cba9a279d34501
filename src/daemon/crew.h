/* crew: all workers that have clients, and the sockets that they accept them on.
 *
 * There are never fewer workers: one that is not wanted any more after a reload accepts nobody, goes on with its
 * sessions, and is there when it is wanted again. */
#ifndef DAEMON_CREW_H
#define DAEMON_CREW_H

#include <stdbool.h>
#include <stdio.h>

#include "sockets.h"

struct inquiries;
struct loop;
struct service;
struct worker;

/* All zero before crew_make(), but for the first three. */
struct crew {
    struct sockets sockets;      /* may have some from elsewhere */
    struct inquiries *inquiries; /* borrowed: each worker is added to it */
    struct loop *home;           /* borrowed: it is poked when a worker has ended */
    struct service *service;     /* counted: what the workers have been told last */
    struct worker **workers;     /* owned array */
    unsigned count;
    unsigned active; /* those that accept */
    bool is_closed;  /* nobody is accepted any more, for good */
    char **paused;   /* owned array of owned names: listeners that accept nobody until they are resumed */
    size_t paused_count;
    bool is_paused; /* all are */
};

/* What a reload is about to do. */
struct crew_change {
    struct service *service; /* borrowed */
    unsigned active;
    struct crew_share *shares; /* owned array, one for each worker: what it will listen on */
    bool is_whole;
};

/* Opens the addresses that are not open yet, and makes as many workers as the configuration wants. False after writing
 * why to errors; then crew_done() is due as well. */
bool crew_make(struct crew *crew, struct service *service, FILE *errors);

/* Starts their threads. False after it has logged why one of them did not start: the others run. */
bool crew_start(struct crew *crew);

/* A reload, part one, by which no session and nobody in a queue is touched: opens addresses and starts workers. False
 * after writing to errors why the crew cannot go over to service; then nothing has changed. An address that cannot be
 * had is named there, and it goes without: ret_change->is_whole is false then. */
bool crew_prepare(struct crew *crew, struct service *service, struct crew_change *ret_change, FILE *errors);

/* Part two: the workers go over to it, and addresses that are not wanted any more are closed. change is used up. */
void crew_follow(struct crew *crew, struct crew_change *change);

/* The listener of this name, or each if it is NULL, accepts nobody: its sockets are closed, and clients refused, so
 * that a balancer finds another gateway. A reload does not change that. False after writing to errors: there is no such
 * listener, or out of memory. */
bool crew_pause(struct crew *crew, const char *name, FILE *errors);

/* The same before crew_make(). False: out of memory. */
bool crew_begin_paused(struct crew *crew, const char *name);

/* Is there a listener that accepts nobody now? */
bool crew_has_paused(const struct crew *crew);

/* The end of that; NULL: for each. False after writing to errors which address cannot be had any more, or that there is
 * no such listener; the others are open. */
bool crew_resume(struct crew *crew, const char *name, FILE *errors);

/* Nobody is accepted any more: the sockets are closed, and each worker drains (worker.h), or stops. */
void crew_drain(struct crew *crew);
void crew_stop(struct crew *crew);

/* Have all threads come to their end? */
bool crew_has_ended(const struct crew *crew);

/* Waits for the end of all. */
void crew_join(struct crew *crew);

/* Their threads have ended, or were never started. */
void crew_done(struct crew *crew);

#endif
