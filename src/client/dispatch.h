/* dispatch: whose turn it is. Each event of a client's stream, its upstream or its timer is one turn. An event that
 * belongs to a past state is dropped here. Any other is handed to the noun that it is for, and then everything is done
 * that can be done with what has arrived. At the end of the turn octets leave, the timer is set, and a client that has
 * been ended is let go of. */
#ifndef CLIENT_DISPATCH_H
#define CLIENT_DISPATCH_H

#include "client.h"

/* Starts a client that client_init() has made, on fd, which is taken. */
void dispatch_begin(struct client *client, int fd);

/* The callback of its upstream, and of client->resting. */
upstream_callback dispatch_on_upstream;

/* GREETING, and a round of some prelude has ended. */
/* Somebody who was asked has said where its login is to go. */
void dispatch_routed(struct client *client, enum routing_result result);

void dispatch_round_ended(struct client *client);

/* The daemon is ending. now: even if something is under way. */
void dispatch_stop(struct client *client, bool now);

/* It is to leave, if it is in the middle of nothing; false: it is not. */
bool dispatch_drain(struct client *client);

/* The operator ends it, whatever is under way. */
void dispatch_kick(struct client *client);

/* It has not logged in, and others need its place: DEAD, after it has been told why. */
void dispatch_give_place(struct client *client);

#endif
