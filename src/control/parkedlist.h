/* parkedlist: "show parked": a row for each parked connection, those that have waited longest first.
 *
 *   user, upstream   whose it is, and of which server
 *   server           where it leads; null: it is not connected any more
 *   tls              is it encrypted?
 *   kind             "pristine", or "state": it serves only a token of its state
 *   suspended        is it kept from serving until the user's credentials have been accepted again?
 *   parked_s, age_s  since a session last had it, and since its login */
#ifndef CONTROL_PARKEDLIST_H
#define CONTROL_PARKEDLIST_H

struct reply;
struct controlline;
struct scope;

void parkedlist_show(const struct scope *scope, const struct controlline *line, struct reply *reply);

#endif
