/* sectionlist: "show upstreams" and "show listeners": a row for each section of the configuration.
 *
 * An upstream: name, address as configured, tls, state ("up", or "down" by the operator), connecting, connected
 * (sessions have them), settling (about to be parked, or to be closed) and parked.
 *
 * A listener: name, addresses (a list), tls, state ("open", or "draining" by the operator), upstream (null: by
 * route), before_login, sessions and closing. */
#ifndef CONTROL_SECTIONLIST_H
#define CONTROL_SECTIONLIST_H

struct reply;
struct controlline;
struct scope;

void sectionlist_show_upstreams(const struct scope *scope, const struct controlline *line, struct reply *reply);
void sectionlist_show_listeners(const struct scope *scope, const struct controlline *line, struct reply *reply);

#endif
