/* clientlist: "show clients": a row for each client, in parts that the workers give one after the other, so that none
 * is held up for long, and little is held for a reader who is slow.
 *
 *   id        of the connection, as in the log (client=); "kick #ID"
 *   session   as in the log (session=)
 *   user      null before the login
 *   state     "proxying", "securing", "greeting", "not authenticated", "logging in", "authenticated", "idling",
 * "closing" from      the client's address and port listener, upstream   their names server    where its connection to
 * the server leads; null: it has none now tls       the version; null: none age_s, idle_s   since the connection began,
 * and since an octet came from the client restored  "warm", "cold", or null: no state was restored */
#ifndef CONTROL_CLIENTLIST_H
#define CONTROL_CLIENTLIST_H

struct reply;
struct controlline;
struct scope;

void clientlist_show(const struct scope *scope, const struct controlline *line, struct reply *reply);

#endif
