/* orders: what an operator's commands (control.h) can have the daemon do. */
#ifndef DAEMON_ORDERS_H
#define DAEMON_ORDERS_H

#include "actions.h"

struct daemon;

struct control_actions orders_actions(struct daemon *daemon);

#endif
