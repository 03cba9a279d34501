/* routelist: "route USER": where a user's mail is, a row for each listener. Nobody is asked, and nothing is opened.
 *
 *   listener  through which one the user comes
 *   upstream  where to; null: nowhere, the user is refused
 *   address   its address, if the route names one; else null
 *   user      what the user is called there; null with route_http, whose answer may say so
 *   rule      "listener", "route_map", "route", "route_http", "route_default" or "none"
 *   matched   of route_map: "user" or "domain"; else null
 *   by        where the rule stands: FILE:LINE; of route_http who would be asked, without the path of its URL, as that
 *             may have a secret; null: there is no rule, or it is the default */
#ifndef CONTROL_ROUTELIST_H
#define CONTROL_ROUTELIST_H

struct controlline;
struct reply;
struct scope;

void routelist_show(const struct scope *scope, const struct controlline *line, struct reply *reply);

#endif
