/* serving: the connection that serves a session, or did so last, as the log tells of it: where it leads, under which
 * name the server knows it, and how long the login took. */
#ifndef CLIENT_SERVING_H
#define CLIENT_SERVING_H

#include <imapstate/span.h>
#include <stdint.h>

#include "address.h"
#include "logline.h"

struct client;
struct kept;

struct serving {
    struct address address; /* family AF_UNSPEC: there has been none */
    char *session;     /* owned: x-session-id that the server was told on it, if that is another session's; else NULL */
    uint32_t login_ms; /* from the credentials to the login's answer; once the session has begun */
};

/* The connection, which leads to server (family AF_UNSPEC: nobody knows), serves the client from here on, or is held in
 * reserve for it. */
void serving_note(struct client *client, const struct address *server, const struct kept *kept);

void serving_done(struct serving *serving);

/* Adds address= and upstream_session=, as far as there is anything to tell. */
void serving_put(const struct serving *serving, struct logline *line);

#endif
