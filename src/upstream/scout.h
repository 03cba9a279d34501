/* scout: what a connection of the gateway's own finds out, before anybody logs in, for the round of the prelude that it
 * was sent for. However it ends, the round ends with it, and whoever waits for that is told. */
#ifndef UPSTREAM_SCOUT_H
#define UPSTREAM_SCOUT_H

#include <imapstate/frame.h>
#include <imapstate/span.h>
#include <stdbool.h>

struct loop;
struct scout;

/* upstream: its name; loop: whose time it is. Both outlive the scout. NULL if memory is out: the round has ended, with
 * nothing learned. */
struct scout *scout_new(const char *upstream, const struct loop *loop);

/* The end of the round. Accepts NULL. */
void scout_free(struct scout *scout);

/* Another server is asked from here on: what was learned of the one before counts for nothing. */
void scout_begin_anew(struct scout *scout);

/* What the server has said: a line that may be an alert; the list of its greeting; the whole list. */
void scout_hear_line(struct scout *scout, struct imapstate_span line);
void scout_learn_greeting_names(struct scout *scout, struct imapstate_span names);
void scout_learn_names(struct scout *scout, struct imapstate_span names);

/* It knows what it was sent for: what else it may learn is not worth another try. */
bool scout_has_names(const struct scout *scout);

/* ID was asked: the response is collected whole, with its literals. The first counts. */
void scout_hear_piece(struct scout *scout, const struct imapstate_piece *piece);

#endif
