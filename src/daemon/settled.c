#include "settled.h"

#include <stdlib.h>

#include "inquiry.h"

struct settled {
    void (*settled)(void *owner);
    void *owner;
};

static void settled_ask(struct worker *worker, void *slot, const void *argument)
{
}

static void settled_on_answered(const struct inquiry *inquiry, void *asker)
{
    struct settled waiting = *(struct settled *)asker;
    free(asker);
    waiting.settled(waiting.owner);
}

/* A worker that can be asked has done what it was told before (loop.h). */
static const struct question settled_question = {
    .ask = settled_ask,
    .answered = settled_on_answered,
    .limit_ms = INQUIRY_LIMIT_MS,
};

void settled_wait(struct inquiries *inquiries, void (*settled)(void *owner), void *owner)
{
    struct settled *waiting = malloc(sizeof *waiting);
    if (waiting)
        *waiting = (struct settled){ settled, owner };
    if (waiting && inquiry_begin(inquiries, &settled_question, NULL, waiting))
        return;
    free(waiting);
    settled(owner);
}
