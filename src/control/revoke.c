#include "revoke.h"

#include <imapstate/token.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "actions.h"
#include "clients.h"
#include "config.h"
#include "controlline.h"
#include "inquiry.h"
#include "log.h"
#include "logquote.h"
#include "park.h"
#include "reply.h"
#include "revocations.h"
#include "revoking.h"
#include "scope.h"
#include "service.h"
#include "username.h"
#include "worker.h"

/* Whose. A name may take four octets of text for each of its own. */
struct whose {
    struct imapstate_buf name; /* its octets */
    struct imapstate_span user;
    bool is_all;
    char text[4 * IMAPSTATE_TOKEN_MAX + 1]; /* for people */
};

/* NULL for everybody. */
static const struct imapstate_span *whose_user(const struct whose *whose)
{
    return whose->is_all ? NULL : &whose->user;
}

static void whose_free(struct whose *whose)
{
    if (whose)
        imapstate_buf_done(&whose->name);
    free(whose);
}

/* NULL, or what is wrong. */
static const char *whose_read(struct whose *whose, const struct controlline *line)
{
    imapstate_buf_init(&whose->name, IMAPSTATE_TOKEN_MAX);
    whose->is_all = line->is_all;
    if (line->is_all == (line->word_count == 2))
        return "it wants either a user or --all";
    if (!line->is_all && !username_read(line->words[1], &whose->name))
        return "a user's name is too long, or has a backslash that is not written \\x5c";
    whose->user = imapstate_buf_span(&whose->name);
    if (whose->is_all)
        snprintf(whose->text, sizeof whose->text, "everybody");
    else
        log_quote(whose->user, whose->text, sizeof whose->text);
    return NULL;
}

/* NULL after it has ended the answer. */
static struct whose *whose_new(const struct controlline *line, struct reply *reply)
{
    struct whose *whose = calloc(1, sizeof *whose);
    const char *wrong = whose ? whose_read(whose, line) : "out of memory";
    if (!wrong)
        return whose;
    reply_end(reply, whose ? REPLY_USAGE : REPLY_FAILED, "%s", wrong);
    whose_free(whose);
    return NULL;
}

/* --- forget --- */

static unsigned forget_now(const struct whose *whose, unsigned *ret_voided)
{
    unsigned ended = park_forget(whose_user(whose), ret_voided);
    log_info("control: forget %s: %u parked connections ended, %u proofs voided", whose->text, ended, *ret_voided);
    return ended;
}

void forget_command(const struct scope *scope, const struct controlline *line, struct reply *reply)
{
    struct whose *whose = whose_new(line, reply);
    unsigned voided;
    if (!whose)
        return;
    unsigned ended = forget_now(whose, &voided);
    reply_end(reply, REPLY_DONE, "%u parked ended, %u proofs voided", ended, voided);
    whose_free(whose);
}

/* --- revoke --- */

struct revoking {
    struct reply *reply;
    struct whose *whose; /* owned */
    bool is_unwritten;   /* the file could not be written */
    uint64_t second_s;
};

static void revoke_ask(struct worker *worker, void *slot, const void *argument)
{
    struct revocations *revocations = *(struct revocations *const *)argument;
    clients_heed(&worker->clients, revocations_ref(revocations));
}

static void revoke_argument_done(void *argument)
{
    revocations_unref(*(struct revocations **)argument);
    free(argument);
}

static void revoke_answered(const struct inquiry *inquiry, void *asker)
{
    struct revoking *revoking = asker;
    unsigned voided, ended = forget_now(revoking->whose, &voided);
    if (inquiry_missing(inquiry) > 0)
        reply_end(revoking->reply, REPLY_FAILED, "not all workers have heard of it in time; they will");
    else if (revoking->is_unwritten)
        reply_end(revoking->reply, REPLY_FAILED,
                  "revoked, but not written: it is held in memory, and lost when this process ends");
    else
        reply_end(revoking->reply, REPLY_DONE,
                  "tokens of %s saved until now are revoked; %u parked ended, %u proofs voided", revoking->whose->text,
                  ended, voided);
    whose_free(revoking->whose);
    free(revoking);
}

static const struct question revoke_question = {
    .ask = revoke_ask,
    .answered = revoke_answered,
    .argument_done = revoke_argument_done,
    .limit_ms = INQUIRY_LIMIT_MS,
};

/* Says where it is kept. */
static void revoke_write(struct revoking *revoking, const struct config *config, bool has_successor)
{
    const char *path = config->revocations_file;
    if (config->seal_format == 1)
        reply_put_note(revoking->reply, "tokens of format 1 (seal_format) are good again a second from now");
    if (has_successor)
        return; /* it writes the file, once */
    if (!*path) {
        reply_put_note(revoking->reply, "there is no revocations_file: it is held in memory until this process ends");
        return;
    }
    const char *wrong = revoking_write(path, whose_user(revoking->whose), revoking->second_s);
    revoking->is_unwritten = wrong;
    if (wrong) {
        log_error("control: revoke %s: %s: %s", revoking->whose->text, path, wrong);
        reply_put_note(revoking->reply, "%s: %s", path, wrong);
    }
}

/* NULL: out of memory, and nothing was revoked. */
static struct revocations **revoke_begin(struct revoking *revoking)
{
    struct revocations **argument = malloc(sizeof *argument);
    if (argument)
        *argument = revoking_revoke(whose_user(revoking->whose), (uint64_t)time(NULL), &revoking->second_s);
    if (argument && *argument) {
        revoking_keep(revocations_ref(*argument));
        return argument;
    }
    free(argument);
    return NULL;
}

void revoke_command(const struct scope *scope, const struct controlline *line, struct reply *reply)
{
    struct whose *whose = whose_new(line, reply);
    struct revoking *revoking = whose ? calloc(1, sizeof *revoking) : NULL;
    if (!whose)
        return;
    if (revoking)
        *revoking = (struct revoking){ .reply = reply, .whose = whose };
    struct revocations **argument = revoking ? revoke_begin(revoking) : NULL;
    if (!argument) {
        reply_end(reply, REPLY_FAILED, "out of memory: nothing was revoked");
        whose_free(whose);
        free(revoking);
        return;
    }
    log_info("control: revoke %s: tokens saved before %llu", whose->text, (unsigned long long)revoking->second_s);
    const struct control_actions *actions = scope->actions;
    bool has_successor = actions->has_successor && actions->has_successor(actions->owner);
    revoke_write(revoking, actions->service(actions->owner)->config, has_successor);
    if (inquiry_begin(scope->inquiries, &revoke_question, argument, revoking))
        return;
    reply_end(reply, REPLY_FAILED, "the workers cannot be told now");
    whose_free(whose);
    free(revoking);
}
