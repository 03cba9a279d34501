/* routehttp: whoever knows where a user's mail is, is asked over HTTP (route_http).
 *
 * A worker has up to ROUTEHTTP_MAX questions under way; others wait for their turn. Each has route_http's timeout,
 * which begins when it is put. No redirection is followed. */
#ifndef UPSTREAM_ROUTEHTTP_H
#define UPSTREAM_ROUTEHTTP_H

#include <imapstate/span.h>
#include <stdint.h>

#include "list.h"
#include "routeanswer.h"

/* Under way at a time, of one worker. */
#define ROUTEHTTP_MAX 32u

struct address;
struct config_route_http;
struct loop;
struct question;

/* Those of one loop. */
struct routehttp {
    struct loop *loop;   /* borrowed */
    struct list waiting; /* for their turn */
    unsigned asked;      /* under way */
};

void routehttp_init(struct routehttp *routehttp, struct loop *loop);

/* OK: answer has it. REFUSED: there is no such user. LATER, WRONG: nobody knows just now; answer->why says why. answer
 * is borrowed for the call. */
typedef void routehttp_callback(void *owner, enum routeanswer_result result, const struct routeanswer *answer);

/* callback is called once, never from within this call, unless it is cancelled before. http is borrowed until then.
 * NULL: out of memory, or no name that can be asked for. */
struct question *routehttp_ask(struct routehttp *routehttp, const struct config_route_http *http,
                               struct imapstate_span user, const struct address *client, routehttp_callback *callback,
                               void *owner);
void routehttp_cancel(struct question *question); /* accepts NULL */

#endif
