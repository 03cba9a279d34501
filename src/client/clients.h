/* clients: the clients of one loop (struct clients, client.h): how they arrive, and what concerns all of them. */
#ifndef CLIENT_CLIENTS_H
#define CLIENT_CLIENTS_H

#include <stdbool.h>
#include <stddef.h>

struct address;
struct clients;
struct config_listener;
struct peers_place;
struct revocations;
struct service;
struct upstreams;

/* Takes its own references to service and to its revocations. */
void clients_init(struct clients *clients, struct upstreams *upstreams, struct service *service);
void clients_done(struct clients *clients); /* call it when they are gone */
bool clients_are_gone(const struct clients *clients);

/* Takes fd, which was accepted on listener, of clients->service; peers_add() has counted the connection. False if out
 * of memory: fd is closed. */
bool clients_accept(struct clients *clients, const struct config_listener *listener, int fd,
                    const struct peers_place *place, const struct address *local);

/* New clients begin with service; revocations, which are those of service, apply to all. References to both are taken
 * over. */
void clients_begin_with(struct clients *clients, struct service *service, struct revocations *revocations);

/* These revocations apply to all clients, unless newer ones do already. The reference is taken over. */
void clients_heed(struct clients *clients, struct revocations *revocations);

/* A round of some prelude has ended (loop_poke_all()): those in GREETING check whether it is theirs. */
void clients_round_ended(struct clients *clients);

/* The one that has gone longest without logging in gives up its place: first one that has not begun to, then one that
 * lets its own login wait. Never one that waits for an upstream's answer. False: there is none. */
bool clients_make_room(struct clients *clients);

size_t clients_count(const struct clients *clients);

/* As many as that get their BYE, if there are so many who are in the middle of nothing: first those who have not logged
 * in, then the oldest sessions. */
void clients_drain(struct clients *clients, size_t count);

/* The daemon is ending. now: even if something is under way. */
void clients_stop(struct clients *clients, bool now);

#endif
