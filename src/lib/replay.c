#include <imapstate/replay.h>

#include <imapstate/command.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "octet.h"
#include "redo.h"
#include "response.h"
#include "words.h"

#define TAG_PREFIX_MAX 16u
#define TAG_SIZE       (TAG_PREFIX_MAX + sizeof("4294967295"))
/* A literal up to this length becomes a quoted string if it can. RFC 7162 section 4 lets servers refuse lines over
 * 8,192 octets; this leaves room. */
#define QUOTED_MAX 1024u

/* More than quoting and tags can make of the longest state. */
#define WIRE_MAX (4 * IMAPSTATE_STATE_MAX)

/* A replayed command: what is on the wire of the redo's step with the same number. */
struct step {
    char tag[TAG_SIZE];
    size_t begin, end; /* octets in wire */
};

struct imapstate_replay {
    struct imapstate_buf wire; /* all commands */
    size_t written;            /* octets of wire that were given out */
    size_t *stops;             /* positions in wire behind a "{n}", ascending; all in the one NOTIFY */
    size_t stop_count, stop_next;
    struct redo redo;
    struct step *steps; /* redo.count of them */
    uint32_t nonsync_max;
};

static bool replay_put_literal(struct imapstate_replay *replay, struct imapstate_span literal)
{
    struct imapstate_buf *wire = &replay->wire;

    if (literal.len <= QUOTED_MAX && imapstate_command_is_quotable(literal))
        return imapstate_command_put_quoted(wire, literal);
    bool is_synchronizing = literal.len > replay->nonsync_max;
    if (!imapstate_buf_printf(wire, "{%zu%s}\r\n", literal.len, is_synchronizing ? "" : "+"))
        return false;
    if (is_synchronizing)
        replay->stops[replay->stop_count++] = wire->len;
    return imapstate_buf_put(wire, literal);
}

static bool replay_put_notify(struct imapstate_replay *replay, struct imapstate_span arguments)
{
    struct imapstate_notify_part part;

    /* A literal takes at least two octets for its announcement. */
    replay->stops = calloc(arguments.len / 2 + 1, sizeof *replay->stops);
    if (!replay->stops)
        return false;
    while (arguments.len > 0) {
        if (imapstate_notify_next(&arguments, &part) != IMAPSTATE_OK || !imapstate_buf_put(&replay->wire, part.text))
            return false;
        if (part.has_literal && !replay_put_literal(replay, part.literal))
            return false;
    }
    return true;
}

static bool replay_put_arguments(struct imapstate_replay *replay, const struct imapstate_storable *storable,
                                 struct imapstate_span value)
{
    if (storable->proof == IMAPSTATE_PROOF_ANSWER)
        return replay_put_notify(replay, value);
    if (storable->proof == IMAPSTATE_PROOF_NAMES || octets_are(value, OCTET_ASTRING))
        return imapstate_buf_put(&replay->wire, value);
    return imapstate_command_put_quoted(&replay->wire, value);
}

static bool replay_put_step(struct imapstate_replay *replay, size_t number, const char *tag_prefix)
{
    struct step *step = &replay->steps[number];
    const struct redo_step *redone = &replay->redo.steps[number];

    snprintf(step->tag, sizeof step->tag, "%s%u", tag_prefix, (unsigned)number + 1);
    step->begin = replay->wire.len;
    if (!imapstate_buf_printf(&replay->wire, "%s %s ", step->tag, redone->storable->command) ||
        !replay_put_arguments(replay, redone->storable, imapstate_buf_span(&redone->left)) ||
        !imapstate_buf_put(&replay->wire, IMAPSTATE_SPAN("\r\n")))
        return false;
    step->end = replay->wire.len;
    return true;
}

struct imapstate_replay *imapstate_replay_new(const struct imapstate_state *state,
                                              struct imapstate_replay_literals literals, const char *tag_prefix)
{
    struct imapstate_replay *replay = calloc(1, sizeof *replay);

    assert(strlen(tag_prefix) <= TAG_PREFIX_MAX);
    if (!replay)
        return NULL;
    imapstate_buf_init(&replay->wire, WIRE_MAX);
    replay->nonsync_max = literals.nonsync_max;
    bool has_memory = imapstate_redo_init(&replay->redo, state);
    replay->steps = calloc(replay->redo.count + 1, sizeof *replay->steps);
    has_memory = has_memory && replay->steps;
    for (size_t i = 0; has_memory && i < replay->redo.count; i++)
        has_memory = replay_put_step(replay, i, tag_prefix);
    if (has_memory)
        return replay;
    imapstate_replay_free(replay);
    return NULL;
}

void imapstate_replay_free(struct imapstate_replay *replay)
{
    if (!replay)
        return;
    imapstate_redo_done(&replay->redo);
    imapstate_buf_done(&replay->wire);
    free(replay->steps);
    free(replay->stops);
    free(replay);
}

static bool replay_is_waiting(const struct imapstate_replay *replay)
{
    return replay->stop_next < replay->stop_count && replay->written == replay->stops[replay->stop_next];
}

struct imapstate_span imapstate_replay_output(struct imapstate_replay *replay)
{
    if (replay_is_waiting(replay) || replay->written == replay->wire.len)
        return (struct imapstate_span){ 0 };
    size_t end = replay->stop_next < replay->stop_count ? replay->stops[replay->stop_next] : replay->wire.len;
    struct imapstate_span output = { replay->wire.at + replay->written, end - replay->written };
    replay->written = end;
    return output;
}

static bool replay_is_in_flight(const struct imapstate_replay *replay, size_t number)
{
    return replay->steps[number].begin < replay->written && !replay->redo.steps[number].is_answered;
}

/* The first step of a kind that is in flight, or NULL. */
static struct redo_step *replay_in_flight(struct imapstate_replay *replay, enum imapstate_entry_kind kind)
{
    for (size_t i = 0; i < replay->redo.count; i++)
        if (replay->redo.steps[i].storable->kind == kind && replay_is_in_flight(replay, i))
            return &replay->redo.steps[i];
    return NULL;
}

static void step_prove_choice(struct redo_step *step, struct imapstate_span arguments)
{
    struct imapstate_buf chosen;
    imapstate_buf_init(&chosen, step->left.len); /* a longer one is another */
    if (imapstate_storable_choice(step->storable, arguments, &chosen) != IMAPSTATE_OK)
        imapstate_buf_clear(&chosen);
    imapstate_redo_chose(step, imapstate_buf_span(&chosen));
    imapstate_buf_done(&chosen);
}

/* Does the untagged response of this name answer a step? What it proves, it proves. */
static bool replay_prove(struct imapstate_replay *replay, struct imapstate_span name, struct imapstate_span arguments)
{
    const struct imapstate_storable *storable = imapstate_storable_of_response(name);
    struct redo_step *step = storable ? replay_in_flight(replay, storable->kind) : NULL;
    if (step && storable->proof == IMAPSTATE_PROOF_NAMES)
        imapstate_redo_names_are_on(&replay->redo, arguments);
    else if (step)
        step_prove_choice(step, arguments);
    return step;
}

/* RFC 9585: the client knows of none of these commands. in is what follows OK, NO or BAD. */
static bool replay_is_named(const struct imapstate_replay *replay, struct imapstate_span in)
{
    for (size_t i = 0; i < replay->redo.count; i++)
        if (imapstate_response_code_names(in, imapstate_span_of(replay->steps[i].tag)))
            return true;
    return false;
}

static enum imapstate_replay_answer replay_untagged(struct imapstate_replay *replay, struct imapstate_span in)
{
    struct imapstate_span word = words_next(&in);
    bool is_status = word_is(word, "OK") || word_is(word, "NO") || word_is(word, "BAD");

    if (word_is(word, "CAPABILITY"))
        return IMAPSTATE_REPLAY_HOLD;
    if (is_status && imapstate_response_has_code(in, "CAPABILITY", NULL))
        return IMAPSTATE_REPLAY_HOLD;
    if (is_status && replay_is_named(replay, in))
        return IMAPSTATE_REPLAY_HIDE;
    if (is_status && imapstate_response_has_code(in, "NOTIFICATIONOVERFLOW", NULL))
        imapstate_redo_overflowed(&replay->redo);
    if (replay_prove(replay, word, in))
        return IMAPSTATE_REPLAY_HIDE;
    /* RFC 5255 section 3.4: a language may translate the namespaces. */
    if (word_is(word, "NAMESPACE") && replay_in_flight(replay, IMAPSTATE_ENTRY_LANGUAGE))
        return IMAPSTATE_REPLAY_HIDE;
    return IMAPSTATE_REPLAY_PASS;
}

static void replay_continuation(struct imapstate_replay *replay)
{
    if (replay_is_waiting(replay))
        replay->stop_next++;
    else
        imapstate_redo_fail(&replay->redo, "", "the server asked for octets that nothing announced");
}

/* NULL: none. */
static const char *step_fault(const struct imapstate_replay *replay, const struct step *step,
                              struct imapstate_span status)
{
    if (word_is(status, "NO"))
        return "refused with NO";
    if (word_is(status, "BAD"))
        return "refused with BAD";
    if (!word_is(status, "OK"))
        return "answered with neither OK, NO nor BAD";
    return replay->written < step->end ? "answered before its literal was sent" : NULL;
}

/* The number of the step in flight with this tag. False: there is none. */
static bool replay_find(const struct imapstate_replay *replay, struct imapstate_span tag, size_t *ret_number)
{
    for (size_t i = 0; i < replay->redo.count; i++)
        if (replay_is_in_flight(replay, i) && imapstate_span_equal(tag, imapstate_span_of(replay->steps[i].tag))) {
            *ret_number = i;
            return true;
        }
    return false;
}

static enum imapstate_replay_answer replay_tagged(struct imapstate_replay *replay, struct imapstate_span tag,
                                                  struct imapstate_span in)
{
    size_t number;
    if (!replay_find(replay, tag, &number)) {
        imapstate_redo_fail(&replay->redo, "", "an answer came that belongs to no command");
        return IMAPSTATE_REPLAY_HIDE;
    }
    const struct step *step = &replay->steps[number];
    imapstate_redo_completed(&replay->redo, &replay->redo.steps[number], step_fault(replay, step, words_next(&in)));
    if (replay->written < step->end) {
        /* The literal was refused: what is left of this command must not be sent (RFC 9051 section 4.3). */
        replay->written = step->end;
        replay->stop_next = replay->stop_count;
    }
    if (imapstate_response_has_code(in, "ALERT", NULL))
        return IMAPSTATE_REPLAY_ALERT;
    return imapstate_response_has_code(in, "CAPABILITY", NULL) ? IMAPSTATE_REPLAY_HOLD : IMAPSTATE_REPLAY_HIDE;
}

enum imapstate_replay_answer imapstate_replay_answer(struct imapstate_replay *replay, struct imapstate_span line)
{
    struct imapstate_span in = imapstate_span_without_line_end(line);
    struct imapstate_span first = words_first(&in);

    if (word_is(first, "*"))
        return replay_untagged(replay, in);
    if (!word_is(first, "+"))
        return replay_tagged(replay, first, in);
    replay_continuation(replay);
    return IMAPSTATE_REPLAY_HIDE;
}

enum imapstate_replay_status imapstate_replay_status(const struct imapstate_replay *replay)
{
    switch (imapstate_redo_status(&replay->redo)) {
    case REDO_RUNNING:
        return IMAPSTATE_REPLAY_RUNNING;
    case REDO_DONE:
        return IMAPSTATE_REPLAY_RESTORED;
    case REDO_FAILED:
        break;
    }
    return IMAPSTATE_REPLAY_FAILED;
}

const char *imapstate_replay_reason(const struct imapstate_replay *replay, const char **ret_command)
{
    return imapstate_redo_reason(&replay->redo, ret_command);
}
