/* controlpeer: a connection to the control socket: its lines are carried out one after the other, and what is answered
 * is written as fast as it is read.
 *
 * While a command is carried out no further line is read, and rows are only put while less than CONTROLPEER_ROOM is
 * queued: so a connection that is not read holds little, and stops nobody. One that does not send a whole command, or
 * does not read, for CONTROLPEER_PATIENCE_S is closed. */
#ifndef CONTROL_CONTROLPEER_H
#define CONTROL_CONTROLPEER_H

#include <imapstate/span.h>

#include "list.h"

#define CONTROLPEER_ROOM       65536u
#define CONTROLPEER_PATIENCE_S 60

struct reply;
struct controlpeer;
struct event_base;

/* All of them, and what is done with their lines. */
struct controlpeers {
    struct event_base *base; /* borrowed */
    struct list list;
    unsigned count;
    void (*obey)(void *owner, struct imapstate_span line, struct reply *reply); /* line without its LF */
    void *owner;
};

void controlpeers_init(struct controlpeers *peers, struct event_base *base,
                       void (*obey)(void *owner, struct imapstate_span line, struct reply *reply), void *owner);
void controlpeers_done(struct controlpeers *peers); /* closes all, after what they take at once of what is queued */

/* Takes fd, which does not block. */
void controlpeer_begin(struct controlpeers *peers, int fd);

#endif
