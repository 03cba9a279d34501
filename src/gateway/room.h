/* room: a client finds all places taken, and another worker's silent client makes room for it. */
#ifndef GATEWAY_ROOM_H
#define GATEWAY_ROOM_H

#include <stdbool.h>

#include "client.h"
#include "list.h"

struct room {
    struct list link;        /* in the list of all, under its lock */
    struct clients *clients; /* borrowed */
    unsigned owed; /* atomic: places that others have given to their clients, and for which its own silent ones are to
                    * make room */
};

/* From here on others may ask it, until room_done(), which may also be called without room_open(). */
void room_init(struct room *room, struct clients *clients);
void room_open(struct room *room);
void room_done(struct room *room);

/* Call it when max_clients is reached. If another worker has so many more silent clients that one of those is to make
 * room, that worker is told so; until it has, there is one client too many. False: it is the caller's own turn. */
bool room_ask(struct room *room);

/* From its own thread: makes the room that others have asked for. */
void room_pay(struct room *room);

/* How many clients there may be beyond max_clients, because others have been told to make room. */
unsigned room_owed_in_all(void);

#endif
