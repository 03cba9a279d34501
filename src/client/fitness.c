#include "fitness.h"

#include "choice.h"
#include "client.h"
#include "relay.h"
#include "status.h"
#include "stream.h"
#include "waking.h"
#include "words.h"

/* As far as it is there. */
static bool fitness_may_begin(struct imapstate_span line, struct imapstate_span prefix)
{
    size_t len = line.len < prefix.len ? line.len : prefix.len;
    return imapstate_span_equal_nocase((struct imapstate_span){ line.at, len },
                                       (struct imapstate_span){ prefix.at, len });
}

/* The session's first command, if it is one that every server must take from everybody: if such a one cannot be
 * carried out, that is no fault of the client's. */
static const struct flight *fitness_first(const struct client *client)
{
    const struct flight *first = client->pipeline.first;
    bool is_plain = first && !first->is_ours && first->command->repeatable &&
                    first->command->stored == IMAPSTATE_ENTRY_NONE && first->command->id != IMAPSTATE_COMMAND_ID;
    return is_plain ? first : NULL;
}

/* Is it a line that has to be there as a whole before it can be told what it is? */
static bool fitness_needs_line(const struct client *client, const struct upstream *upstream, struct imapstate_span in)
{
    const struct flight *first = fitness_first(client);
    return fitness_may_begin(in, IMAPSTATE_SPAN("* BYE")) ||
           (upstream->is_asked_ahead && (fitness_may_begin(in, IMAPSTATE_SPAN("* ID ")) ||
                                         fitness_may_begin(in, IMAPSTATE_SPAN(WAKING_TAG " ")))) ||
           (first && fitness_may_begin(in, (struct imapstate_span){ first->tag, first->tag_len }));
}

/* Some servers tell only in answer to the first command that a session has expired. Not if it is an ALERT, which is the
 * user's to know. */
static enum fitness fitness_judge(struct client *client, const struct upstream *upstream, const struct status *status)
{
    const struct flight *first = fitness_first(client);
    if (status->word == STATUS_BYE && *status->tag.at == '*')
        return !status->has_alert && (client->restore || choice_may_replace(client, upstream)) ? FITNESS_EXPIRED
                                                                                               : FITNESS_FIT;
    bool is_first = first && imapstate_span_equal(status->tag, (struct imapstate_span){ first->tag, first->tag_len });
    return is_first && status_doubts_connection(status) && choice_doubt(client) ? FITNESS_UNFIT : FITNESS_FIT;
}

enum fitness fitness_read(struct client *client, const struct upstream *upstream)
{
    struct imapstate_span in = stream_input(&upstream->stream);
    if (!fitness_needs_line(client, upstream, in))
        return FITNESS_FIT;
    const uint8_t *lf = memchr(in.at, '\n', in.len);
    if (!lf)
        return stream_is_full(&upstream->stream) ? FITNESS_FIT : FITNESS_MORE;
    struct imapstate_span line = { in.at, (size_t)(lf + 1 - in.at) };
    struct status status;
    if (waking_is_own(upstream, line))
        return FITNESS_OWN;
    return status_parse(line, &status) ? fitness_judge(client, upstream, &status) : FITNESS_FIT;
}
