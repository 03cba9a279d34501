/* asking: commands of the control socket, carried out on a rig (rig.h) that stands for a worker, their answers in
 * memory. Behind check.h. */
#ifndef TEST_ASKING_H
#define TEST_ASKING_H

#include <stdlib.h>
#include <string.h>

#include "actions.h"
#include "commands.h"
#include "inquiry.h"
#include "reply.h"
#include "rig.h"
#include "scope.h"
#include "worker.h"

/* A worker of whom only what a rig has is looked at. */
union asking_worker {
    struct worker worker;
    struct {
        pthread_t thread;
        struct rig rig;
    };
};
_Static_assert(offsetof(struct worker, loop) == offsetof(union asking_worker, rig.loop) &&
                   offsetof(struct worker, upstreams) == offsetof(union asking_worker, rig.upstreams) &&
                   offsetof(struct worker, clients) == offsetof(union asking_worker, rig.clients),
               "what a rig has comes first in a worker, in the same order");

struct asking {
    union asking_worker one;
    struct loop home;
    struct inquiries inquiries;
    struct control_actions actions;
    struct scope scope;
    char said[262144]; /* all lines of the last reply, each with its LF */
    size_t room;       /* octets after which the reader has none; SIZE_MAX */
    unsigned ended;
};

static void asking_on_told(struct loop *loop)
{
}

static struct service *asking_service(void *owner)
{
    return ((struct asking *)owner)->one.rig.service;
}

static void asking_put(void *owner, const char *line)
{
    struct asking *asking = owner;
    assert_true(strlen(asking->said) + strlen(line) + 2 < sizeof asking->said);
    strcat(asking->said, line);
    strcat(asking->said, "\n");
}

static bool asking_has_room(void *owner)
{
    const struct asking *asking = owner;
    return strlen(asking->said) < asking->room;
}

static void asking_ended(void *owner)
{
    ((struct asking *)owner)->ended++;
}

static inline void asking_begin(struct asking *asking, const char *config)
{
    *asking = (struct asking){ .room = SIZE_MAX };
    rig_begin(&asking->one.rig, config);
    loop_init_bare(&asking->home, 254, asking_on_told);
    inquiries_init(&asking->inquiries, &asking->home);
    assert_true(inquiries_add(&asking->inquiries, &asking->one.worker));
    asking->actions = (struct control_actions){ .owner = asking, .service = asking_service };
    asking->scope = (struct scope){ &asking->home, &asking->inquiries, &asking->actions };
}

/* Carries out what has been asked for, as far as it goes. */
static inline void asking_pass(struct asking *asking)
{
    for (int i = 0; i < 8; i++) {
        rig_pass(&asking->one.rig, 0);
        loop_pass(&asking->home, asking->one.rig.now_ms);
    }
}

static inline void asking_end(struct asking *asking)
{
    asking_pass(asking); /* what is late still holds what it was asked about */
    rig_end(&asking->one.rig);
    inquiries_done(&asking->inquiries);
    loop_done(&asking->home);
}

/* The command is under way. */
static inline struct reply *asking_obey(struct asking *asking, const char *line)
{
    const struct reply_reader reader = { asking_put, asking_has_room, asking_ended, asking };
    struct reply *reply = reply_new(&reader);
    assert_non_null(reply);
    *asking->said = '\0';
    asking->ended = 0;
    commands_obey(&asking->scope, imapstate_span_of(line), reply);
    return reply;
}

/* All that was answered. */
static inline const char *ask_for(struct asking *asking, const char *line)
{
    asking_obey(asking, line);
    asking_pass(asking);
    assert_int_equal(asking->ended, 1);
    return asking->said;
}

#endif
