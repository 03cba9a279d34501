/* own: the commands that the gateway answers itself, collected whole and behind the barrier (P11). */
#ifndef CLIENT_OWN_H
#define CLIENT_OWN_H

#include <imapstate/frame.h>

struct client;

/* A piece of such a command, which the caller consumes: of a new one, or of the one that is being collected. */
void own_take(struct client *client, const struct imapstate_piece *piece);

/* Is there room for such a piece? */
bool own_takes_input(const struct client *client);

/* Says the "+" that is owed, or carries out what has been collected. False: there is none, or something has to come
 * first. */
bool own_go_on(struct client *client);

/* The answer to a client whose command cannot be framed, in the form that client_say() takes. */
const char *own_to_frame_error(enum imapstate_error error);

#endif
