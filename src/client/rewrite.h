/* rewrite: a line of the upstream's, as the client is to see it: its capability list (P1), and the language of its
 * text. */
#ifndef CLIENT_REWRITE_H
#define CLIENT_REWRITE_H

#include <imapstate/command.h>
#include <imapstate/span.h>
#include <stdbool.h>

struct client;

/* Sends the line, or the front of one that is too long, to the client, with its capability list, if any, rewritten and
 * its text in the client's language. command: the one that it answers, or NULL. False: the list does not fit, and the
 * client ends. */
bool rewrite_put_line(struct client *client, struct imapstate_span line, const struct imapstate_command *command)
    __attribute__((warn_unused_result));

/* The same for an untagged NAMESPACE, a whole line, which is copied. */
void rewrite_put_namespace(struct client *client, struct imapstate_span line);

#endif
