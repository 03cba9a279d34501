#include "kick.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "controlline.h"
#include "dispatch.h"
#include "inquiry.h"
#include "list.h"
#include "log.h"
#include "logquote.h"
#include "reply.h"
#include "scope.h"
#include "username.h"
#include "worker.h"

struct kick {
    uint64_t id;               /* 0: by user */
    struct imapstate_buf user; /* its octets */
};

struct kick_asker {
    struct reply *reply;
    char words[CONTROLLINE_MAX + 1]; /* as it was asked for */
};

/* --- in the workers' threads --- */

static bool kick_is_about(const struct kick *wanted, const struct client *client)
{
    if (wanted->id)
        return client->mark.client == wanted->id;
    return imapstate_span_equal_nocase(imapstate_buf_span(&wanted->user), imapstate_buf_span(&client->session.user));
}

static void kick_ask(struct worker *worker, void *slot, const void *argument)
{
    unsigned *count = slot;
    for (unsigned state = 0; state < CLIENT_CLOSING; state++)
        list_each_safe(link, &worker->clients.by_state[state])
        {
            struct client *client = list_entry(link, struct client, link);
            if (!kick_is_about(argument, client))
                continue;
            dispatch_kick(client);
            ++*count;
        }
}

/* --- in the main thread --- */

static void kick_answered(const struct inquiry *inquiry, void *asker)
{
    struct kick_asker *for_whom = asker;
    unsigned sum = 0;
    for (size_t i = 0; i < inquiry_count(inquiry); i++) {
        const unsigned *count = inquiry_slot(inquiry, i);
        sum += count ? *count : 0;
    }
    log_info("control: kick %s: %u sessions ended", for_whom->words, sum);
    if (inquiry_missing(inquiry) > 0)
        reply_end(for_whom->reply, REPLY_FAILED, "%u ended; not all workers have answered in time", sum);
    else if (sum == 0)
        reply_end(for_whom->reply, REPLY_FAILED, "there is no session of %s", for_whom->words);
    else
        reply_end(for_whom->reply, REPLY_DONE, "%u %s of %s ended", sum, sum == 1 ? "session" : "sessions",
                  for_whom->words);
    free(for_whom);
}

static void kick_done(void *argument)
{
    struct kick *wanted = argument;
    imapstate_buf_done(&wanted->user);
    free(wanted);
}

static const struct question kick_question = {
    .ask = kick_ask,
    .answered = kick_answered,
    .argument_done = kick_done,
    .slot_octets = sizeof(unsigned),
    .limit_ms = INQUIRY_LIMIT_MS,
};

/* NULL, or what is wrong. */
static const char *kick_read(struct kick *wanted, const char *word)
{
    char *end;
    if (*word != '#')
        return username_read(word, &wanted->user) ? NULL : "a backslash in a user's name must be written \\x5c";
    bool has_digits = strspn(word + 1, "0123456789abcdefABCDEF") == strlen(word + 1) && strlen(word + 1) <= 16;
    wanted->id = has_digits ? strtoull(word + 1, &end, 16) : 0;
    return wanted->id ? NULL : "#CLIENT wants an id as \"show clients\" has it";
}

void kick(const struct scope *scope, const struct controlline *line, struct reply *reply)
{
    struct kick *wanted = calloc(1, sizeof *wanted);
    struct kick_asker *asker = calloc(1, sizeof *asker);
    const char *wrong = "out of memory";
    if (wanted && asker) {
        imapstate_buf_init(&wanted->user, USERNAME_MAX);
        wrong = kick_read(wanted, line->words[1]);
    }
    if (wrong) {
        reply_end(reply, wanted && asker ? REPLY_USAGE : REPLY_FAILED, "%s", wrong);
        free(asker);
        if (wanted)
            kick_done(wanted);
        return;
    }
    asker->reply = reply;
    if (wanted->id)
        snprintf(asker->words, sizeof asker->words, "%s", line->words[1]);
    else
        log_quote(imapstate_buf_span(&wanted->user), asker->words, sizeof asker->words);
    if (inquiry_begin(scope->inquiries, &kick_question, wanted, asker))
        return;
    reply_end(reply, REPLY_FAILED, "the workers cannot be asked now");
    free(asker);
}
