/* race: the tries of one connection at different addresses of its upstream (RFC 8305). The first runner is the leader,
 * whom the owner of the connection knows. When the runner that began last has been silent for RACE_STALL_MS, the next
 * address gets a runner of its own; one whose address has failed goes on with the next. Whoever is ready first takes
 * over the owner, and the others end: so only one of them can ever be given credentials. On one loop. */
#ifndef UPSTREAM_RACE_H
#define UPSTREAM_RACE_H

#include <stdbool.h>

#include "candidates.h"
#include "list.h"

struct upstream;

/* RFC 8305 section 8: "Connection Attempt Delay ... Recommended to be 250 milliseconds". It begins anew with everything
 * that the server does: one that takes connections and does not greet is silent, too. */
#define RACE_STALL_MS 250u

/* At a time: of one race, beside the leader; and of all. */
#define RACE_RIVALS_MAX     7u
#define RACE_ALL_RIVALS_MAX 1024u

struct race {
    struct candidates candidates; /* in the order in which they are tried */
    unsigned known;               /* candidates, without those that were put off */
    unsigned next;                /* the first one that nobody has tried */
    unsigned rival_count;
    struct list runners;     /* by runner->link */
    struct upstream *leader; /* borrowed; NULL: it has ended, or somebody has won */
    unsigned references;
};

/* A part of the runner's opening (opening.h). */
struct runner {
    struct list link;
    struct race *race; /* counted; NULL: it runs for itself, or not at all */
    struct upstream *upstream;
    bool is_rival;
    bool is_out; /* it has nothing left to try; of the leader: it waits for its rivals */
};

/* leader: whose runner is the first one. False: out of memory. */
bool race_begin(struct runner *runner, struct upstream *leader);

/* A rival joins, if there may be one more. */
bool race_join(struct runner *runner, struct upstream *upstream, struct race *race);

/* Accepts one that is in no race. */
void race_leave(struct runner *runner);

/* Is there an address that nobody has tried? */
bool race_goes_on(const struct race *race);

/* Takes it; NULL: there is none. */
const struct candidate *race_take(struct race *race);

/* The n-th, from 0, of those that nobody has tried and that are not dead; NULL: there are not so many. */
const struct candidate *race_left(const struct race *race, unsigned n);

/* Takes that one, and puts candidate in its place. */
struct candidate race_swap(struct race *race, unsigned n, const struct candidate *candidate);

/* It is tried again, behind all others that are not dead, if that has not been so before. */
void race_put_off(struct race *race, const struct candidate *candidate);

/* Is there one that is not dead, and may this one be put off for it? */
bool race_may_pass(const struct race *race, const struct candidate *candidate);

/* Is another one running that is not out? */
bool race_has_others(const struct race *race, const struct runner *runner);

#endif
