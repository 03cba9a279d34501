/* answer: the commands that the gateway answers itself, collected whole and behind the barrier (P11). */
#ifndef CLIENT_ANSWER_H
#define CLIENT_ANSWER_H

#include <imapstate/frame.h>

struct client;

/* Octets of commands before login, in all. */
#define ANSWER_BEFORE_LOGIN_MAX 65536u

/* Takes a piece of the client's input into the request that is being collected, or answers it. False: nothing to do, or
 * something has to come first. */
bool answer_step(struct client *client);

/* A piece of a command that is ours, from relay.c, which has met its first line. It is consumed. */
void answer_collect(struct client *client, const struct imapstate_piece *piece);

/* The frame has said BAD: the client hears so, and is ended. */
void answer_bad_frame(struct client *client);

/* Octets of input before login are counted; false: there were too many, and the client has been ended. */
bool answer_count_before_login(struct client *client, size_t octets);

/* The upstream has answered what relay_ask() asked for the command that waits. */
void answer_asked(struct client *client);

#endif
