/* moves: the one place where a state machine's move is allowed or refused.
 *
 * A move that is not in the diagram is a fault of the gateway's. But it may be caused by a peer that speaks at a moment
 * nobody has thought of, so it must not cost more than that peer's connection: the mover leaves the state as it is and
 * breaks the connection's stream (stream_break()), whose end is reported like any other. */
#ifndef IO_MOVES_H
#define IO_MOVES_H

#include <stdbool.h>

#define MOVES_BIT(state) (1u << (state))

struct moves {
    const char *noun;          /* whose states they are, for the log */
    const char *const *names;  /* of the states */
    const unsigned *may_enter; /* by state: the set of those that may follow */
};

/* False, with a line in the log: it is not in the diagram. */
bool moves_allow(const struct moves *moves, unsigned from, unsigned to);

#endif
