/* clients: those of one loop (struct clients, client.h): how they come, and what concerns them all. */
#ifndef CLIENT_CLIENTS_H
#define CLIENT_CLIENTS_H

#include <stdbool.h>

struct address;
struct clients;
struct config_listener;
struct peers_place;
struct service;
struct upstreams;

/* Takes a reference of its own to service. */
void clients_init(struct clients *clients, struct upstreams *upstreams, struct service *service);
void clients_done(struct clients *clients); /* when they are gone */
bool clients_are_gone(const struct clients *clients);

/* Takes fd, which was accepted on listener, of clients->service; the connection has been counted by peers_add(). False
 * if memory is out: fd is closed. */
bool clients_accept(struct clients *clients, const struct config_listener *listener, int fd,
                    const struct peers_place *place, const struct address *local);

/* The next ones begin with service, a reference to which is taken over. */
void clients_begin_with(struct clients *clients, struct service *service);

/* A round of some prelude has ended (loop_poke_all()): those in GREETING look whether it is theirs. */
void clients_round_ended(struct clients *clients);

/* The one that has gone longest without logging in gives its place away: first of those that have not begun to, then of
 * those that let their own login wait. Never one that waits for an upstream's word. False: there is none. */
bool clients_make_room(struct clients *clients);

/* The daemon is ending. now: whatever is under way. */
void clients_stop(struct clients *clients, bool now);

#endif
