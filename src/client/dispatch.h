/* dispatch: whose turn it is. Each event, of a client's stream, its upstream, or its timer, is one turn: dropped here
 * if it is of a state that is past; else it is handed to whom it is for, and then all is done that can be done with
 * what has arrived; and at its end octets leave, the timer is set, and a client that has been ended is let go of. */
#ifndef CLIENT_DISPATCH_H
#define CLIENT_DISPATCH_H

#include "client.h"

/* A client that client_init() has made begins on fd, which is taken. */
void dispatch_begin(struct client *client, int fd);

/* Of its upstream, and of client->resting. */
upstream_callback dispatch_on_upstream;

/* GREETING, and a round of some prelude has ended. */
void dispatch_round_ended(struct client *client);

/* The daemon is ending. now: whatever is under way. */
void dispatch_stop(struct client *client, bool now);

/* It has not logged in, and others need its place: DEAD, once it has been told why. */
void dispatch_give_place(struct client *client);

#endif
