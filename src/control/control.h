/* control: lets an operator look into the running daemon and steer it, by commands on a unix socket (controlsocket.h,
 * controlline.h, reply.h). It lives on the main thread's loop and holds no worker up. */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdio.h>

#include "controlpeer.h"
#include "controlsocket.h"
#include "scope.h"

struct config;
struct control_actions;
struct inquiries;
struct loop;

/* So many connections at a time; a further one is told so. */
#define CONTROL_PEERS_MAX 32u

struct control {
    struct loop *loop; /* borrowed: the main thread's */
    struct controlsocket socket;
    struct controlpeers peers;
    struct scope scope;
    struct event accept_event, resume_event;
    bool is_accepting;
};

void control_init(struct control *control);

/* Opens the socket that config has, if any; controlsocket.h has what a predecessor changes. Before privileges are
 * dropped. False after writing why not. */
bool control_open(struct control *control, const struct config *config, bool has_predecessor, FILE *errors);

/* From here on commands are carried out. inquiries and actions are borrowed. False: out of memory. */
bool control_start(struct control *control, struct loop *loop, struct inquiries *inquiries,
                   const struct control_actions *actions);

/* Closes everything; before inquiries_done(), which ends the commands that are under way. May be called at any time. */
void control_done(struct control *control);

#endif
