/* waking: what the first lines tell that come on a connection which was parked. Until then another one may take its
 * place (choice.h). */
#ifndef CLIENT_WAKING_H
#define CLIENT_WAKING_H

#include <imapstate/span.h>
#include <stdbool.h>

struct client;
struct upstream;

/* Of an ID or a NOOP of the gateway's that goes ahead of the session's commands. A command of the client's with this
 * tag waits until that is answered. */
#define WAKING_TAG "imapstate-wake"

/* Says it. arguments begin with the command's name. */
void waking_say(struct upstream *upstream, struct imapstate_span command);

enum waking {
    WAKING_MORE,    /* what has come so far may become any of the others */
    WAKING_OWN,     /* a line that is about what was said ahead: it tells nothing of the session's commands */
    WAKING_FIT,     /* the connection serves the session */
    WAKING_EXPIRED, /* BYE, and another connection may take its place */
    WAKING_UNFIT,   /* an answer that no working connection gives, and another one is to take its place */
};

/* Looks at the line that begins the upstream's input, which is not empty. */
enum waking waking_read(struct client *client, const struct upstream *upstream);

/* Is the line, which is whole or has at least its words, about what was said ahead? */
bool waking_is_own(const struct upstream *upstream, struct imapstate_span line);

#endif
