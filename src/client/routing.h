/* routing: which upstream a login is for, and what its user is called there. It is decided when the credentials are
 * whole, and before anything is made of them: whose parked connections, proofs and tokens they are about.
 *
 * Who decides for another user to act for decides by that user: it is his mail. */
#ifndef CLIENT_ROUTING_H
#define CLIENT_ROUTING_H

struct client;

enum routing_result {
    ROUTING_FOUND,       /* client->home is known, and the credentials have the names that go there */
    ROUTING_NOBODY,      /* no route leads anywhere: there is no such user */
    ROUTING_UNAVAILABLE, /* nobody knows just now; it has been logged */
    ROUTING_WAITING,     /* somebody is being asked: clients->on_routed follows, never from within the call */
};

/* client->login and client->credentials are there. */
enum routing_result routing_begin(struct client *client);

#endif
