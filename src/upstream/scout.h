/* scout: what a connection of the gateway's own finds out, before anybody logs in, for its round of the prelude.
 * However it ends, the round ends with it, and those who wait for that are told. */
#ifndef UPSTREAM_SCOUT_H
#define UPSTREAM_SCOUT_H

#include <imapstate/frame.h>
#include <imapstate/span.h>
#include <stdbool.h>

struct loop;
struct scout;

/* upstream: its name; member: its text; loop: the one whose clock it uses. All outlive the scout. NULL if out of
 * memory: the round has ended, with nothing learned. */
struct scout *scout_new(const char *upstream, const char *member, const struct loop *loop);

/* The end of the round. Accepts NULL. */
void scout_free(struct scout *scout);

/* There is no answer yet, and that takes long. Those who wait may go on without. */
void scout_stalls(struct scout *scout);

/* From here on another server is asked: what was learned from the one before counts for nothing. */
void scout_begin_anew(struct scout *scout);

/* What the server has said: a line that may be an alert; the list in its greeting; the whole list. */
void scout_hear_line(struct scout *scout, struct imapstate_span line);
void scout_learn_greeting_names(struct scout *scout, struct imapstate_span names);
void scout_learn_names(struct scout *scout, struct imapstate_span names);

/* Does it know what it was sent for? Then anything else it may learn is not worth another try. */
bool scout_has_names(const struct scout *scout);

/* ID was sent: the response is collected whole, with its literals. The first one counts. */
void scout_hear_piece(struct scout *scout, const struct imapstate_piece *piece);

#endif
