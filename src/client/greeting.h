/* greeting: from accept to the greeting: PROXY header, TLS, and the list of capabilities that is told with it. */
#ifndef CLIENT_GREETING_H
#define CLIENT_GREETING_H

#include <stdbool.h>

struct client;

/* Begins, behind the PROXY header if there is one. */
void greeting_start(struct client *client);

/* PROXYING: more of the header may be there. */
void greeting_read_proxy_header(struct client *client);

/* TLS begins, and has begun. */
void greeting_secure(struct client *client);
void greeting_secured(struct client *client);

/* GREETING: a list is waited for. A round of some prelude has ended: it may be this one's. */
void greeting_round_ended(struct client *client);

/* Is there an older list to greet with? */
bool greeting_can_be_said(const struct client *client);
void greeting_say(struct client *client);

#endif
