/* kick: "kick USER" and "kick #CLIENT": ends sessions, with a BYE where the client can be sent one. */
#ifndef CONTROL_KICK_H
#define CONTROL_KICK_H

struct reply;
struct controlline;
struct scope;

void kick(const struct scope *scope, const struct controlline *line, struct reply *reply);

#endif
