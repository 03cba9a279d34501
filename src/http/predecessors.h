/* predecessors: the processes that this one, or one before it, has taken over from, and that drain. Whoever tells what
 * has been counted asks them by their control sockets, which lie beside our own, for theirs.
 *
 * Nothing of it waits: they are asked all at once, and have PREDECESSORS_LIMIT_MS together. One that ends meanwhile, is
 * held up, or says more than there is room for, is silent, and the others are told of. The room is for all of them
 * together: PREDECESSORS_OCTETS_MAX, twice while new answers come in. Main thread only. */
#ifndef HTTP_PREDECESSORS_H
#define HTTP_PREDECESSORS_H

#include "list.h"

struct inheritance;
struct loop;
struct predecessors;
struct standing;

/* More than its own workers have, as the process may wait for one of its own. */
#define PREDECESSORS_LIMIT_MS 3000u
/* Any more are silent. */
#define PREDECESSORS_MAX        8u
#define PREDECESSORS_OCTETS_MAX (UINT32_C(4) << 20)

/* Whoever asks; all zero but for these two. */
struct predecessors_request {
    struct list link;
    void (*answered)(void *asker);
    void *asker;
};

/* NULL: out of memory. loop and standing outlive it. */
struct predecessors *predecessors_new(struct loop *loop, const struct standing *standing);
void predecessors_free(struct predecessors *predecessors); /* nobody is told any more; accepts NULL */

/* answered() is called when predecessors_told() is new; from within if nobody has to be waited for. Who asks while they
 * are being asked gets the same answer. */
void predecessors_ask(struct predecessors *predecessors, struct predecessors_request *request);

/* It does not want to know any more; also if it has been told already, or never has asked. */
void predecessors_withdraw(struct predecessors_request *request);

/* What they have said last; valid until the loop goes on. */
const struct inheritance *predecessors_told(const struct predecessors *predecessors);

#endif
