/* greeting: from accept to the greeting: PROXY header, TLS, and the capability list in the greeting. */
#ifndef CLIENT_GREETING_H
#define CLIENT_GREETING_H

#include <stdbool.h>

struct client;

/* Begins, after the PROXY header if there is one. */
void greeting_start(struct client *client);

/* PROXYING: more of the header may have arrived. */
void greeting_read_proxy_header(struct client *client);

/* TLS begins, and has begun. */
void greeting_secure(struct client *client);
void greeting_secured(struct client *client);

/* GREETING: it waits for a list. A round of some prelude has ended, which may be the one. */
void greeting_round_ended(struct client *client);

/* Is there an older list to greet with? */
bool greeting_can_be_said(const struct client *client);
void greeting_say(struct client *client);

#endif
