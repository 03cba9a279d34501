/* leaving: a session ends: what happens to its upstream, and then to the client. */
#ifndef CLIENT_LEAVING_H
#define CLIENT_LEAVING_H

#include <stdbool.h>

struct client;

/* Behind the barrier, at LOGOUT: begins to make the upstream ready to be parked, so that it is parked already if the
 * client comes back as soon as it has its answer. In the meantime it is client->resting. False: there is nothing to
 * wait for. */
bool leaving_rest_upstream(struct client *client);

/* UNAUTHENTICATE has been answered: the session is over, the connection is not (RFC 8437, P16). */
void leaving_unauthenticate(struct client *client);

/* client_close() was called: lets go of the upstream, logs the one line at the end of a session, and enters CLOSING or
 * DEAD. */
void leaving_carry_out(struct client *client);

/* The end at once: DEAD. */
void leaving_die(struct client *client);

#endif
