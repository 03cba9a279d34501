/* commands: what can be commanded over the control socket, and with which words and options. imapstatectl(1) has what
 * each does. */
#ifndef CONTROL_COMMANDS_H
#define CONTROL_COMMANDS_H

#include <imapstate/span.h>

struct reply;
struct scope;

/* Carries out a line (controlline.h), and ends the reply, at once or later. scope must exist until then. */
void commands_obey(const struct scope *scope, struct imapstate_span line, struct reply *reply);

#endif
