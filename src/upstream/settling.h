/* settling: what is left to do before a connection that its session has finished with can be parked, and whether it may
 * be.
 *
 * The chores are a set. All are sent in one write, the lowest first, and answered in that order. So the lowest that is
 * left is the one whose answer is awaited, and when the set is empty the connection is parked. An answer that is not
 * due, or anything that shows the connection to be in another state than its own (kept.state), ends it. A connection
 * that is already parked shows a sign of life in the same way, with NOOP. */
#ifndef UPSTREAM_SETTLING_H
#define UPSTREAM_SETTLING_H

#include <imapstate/frame.h>
#include <stdbool.h>

struct upstream;

enum settling_chore {
    SETTLING_DONE = 1,
    SETTLING_UNSELECT = 2,
    SETTLING_EXAMINE = 4, /* if there is no UNSELECT: an EXAMINE that fails leaves no mailbox selected ... */
    SETTLING_CHECK = 8,   /* ... which the refusal of CHECK proves */
    SETTLING_NOTIFY_NONE = 16,
    SETTLING_NOOP = 32,
};

/* ATTACHED: its owner has finished with it, nothing is in flight (except upstream->idle, if DONE is a chore), and it
 * may be parked once the chores (a set) are done, in the state upstream->kept.state. is_awaited: RESTED tells the owner
 * of the upstream's end, possibly from within this call, unless upstream_disown() is called before. */
void settling_begin(struct upstream *upstream, unsigned chores, bool is_awaited);

/* SETTLING from the beginning: it was parked. */
void settling_show_life(struct upstream *upstream);

/* SETTLING: there is input. */
void settling_heard(struct upstream *upstream);

/* An untagged response outside a session; alerts are kept. False: the connection is no longer of use. may_have_data:
 * something was asked for, so there may be responses other than status responses. */
bool settling_hear_untagged(struct upstream *upstream, const struct imapstate_piece *piece, bool may_have_data);

#endif
