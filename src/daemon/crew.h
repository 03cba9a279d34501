/* crew: all workers that have clients. */
#ifndef DAEMON_CREW_H
#define DAEMON_CREW_H

#include <stdbool.h>
#include <stdio.h>

struct service;
struct worker;

struct crew {
    struct worker **workers; /* owned */
    unsigned count;
};

/* Opens the listeners and makes as many workers as the configuration wants. False after writing why to errors; then
 * crew_done() is due as well. crew is all zero before. */
bool crew_make(struct crew *crew, struct service *service, FILE *errors);

/* Starts their threads. False after it has logged why one of them did not start: the others run. */
bool crew_start(struct crew *crew);

/* As worker_tell(). */
void crew_tell(struct crew *crew, struct service *service);

/* Waits for the end of all. */
void crew_join(struct crew *crew);

/* Their threads have ended, or were never started. */
void crew_done(struct crew *crew);

#endif
