#include <imapstate/replay.h>

#include <imapstate/command.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "octet.h"
#include "response.h"
#include "words.h"

#define TAG_PREFIX_MAX 16u
#define TAG_SIZE       (TAG_PREFIX_MAX + sizeof("4294967295"))
/* A literal up to this length becomes a quoted string if it can. RFC 7162 section 4 lets servers refuse lines over
 * 8,192 octets; this leaves room. */
#define QUOTED_MAX 1024u

/* More than quoting and tags can make of the longest state. */
#define WIRE_MAX (4 * IMAPSTATE_STATE_MAX)

/* A replayed command. */
struct step {
    const struct imapstate_storable *storable;
    char tag[TAG_SIZE];
    struct imapstate_buf value; /* the entry's. Of ENABLE, names that some ENABLED confirmed are overwritten by SP. */
    size_t begin, end;          /* octets in wire */
    bool is_answered;           /* its tagged answer has come */
    bool is_proven;             /* the untagged data that must come has come; NOTIFY needs none */
};

struct imapstate_replay {
    struct imapstate_buf wire; /* all commands */
    size_t written;            /* octets of wire that were given out */
    size_t *stops;             /* positions in wire behind a "{n}", ascending; all in the one NOTIFY */
    size_t stop_count, stop_next;
    struct step *steps;
    size_t step_count;
    uint32_t nonsync_max;
    const char *reason, *reason_command; /* static; what failed first, NULL before */
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

static bool replay_add_step(struct imapstate_replay *replay, const struct imapstate_entry *entry,
                            const char *tag_prefix)
{
    struct step *step = &replay->steps[replay->step_count++];

    step->storable = imapstate_storable_find(entry->kind);
    step->is_proven = step->storable->proof == IMAPSTATE_PROOF_ANSWER;
    snprintf(step->tag, sizeof step->tag, "%s%u", tag_prefix, (unsigned)replay->step_count);
    imapstate_buf_init(&step->value, entry->value.len);
    step->begin = replay->wire.len;
    if (!imapstate_buf_put(&step->value, entry->value) ||
        !imapstate_buf_printf(&replay->wire, "%s %s ", step->tag, step->storable->command) ||
        !replay_put_arguments(replay, step->storable, entry->value) ||
        !imapstate_buf_put(&replay->wire, IMAPSTATE_SPAN("\r\n")))
        return false;
    step->end = replay->wire.len;
    return true;
}

struct imapstate_replay *imapstate_replay_new(const struct imapstate_state *state,
                                              struct imapstate_replay_literals literals, const char *tag_prefix)
{
    struct imapstate_replay *replay = calloc(1, sizeof *replay);
    struct imapstate_entry entry;

    assert(strlen(tag_prefix) <= TAG_PREFIX_MAX);
    if (!replay)
        return NULL;
    imapstate_buf_init(&replay->wire, WIRE_MAX);
    replay->nonsync_max = literals.nonsync_max;
    replay->steps = calloc(imapstate_state_count(state) + 1, sizeof *replay->steps);
    bool has_memory = replay->steps != NULL;
    for (size_t i = 0; has_memory && imapstate_state_at(state, i, &entry); i++)
        has_memory = replay_add_step(replay, &entry, tag_prefix);
    if (has_memory)
        return replay;
    imapstate_replay_free(replay);
    return NULL;
}

void imapstate_replay_free(struct imapstate_replay *replay)
{
    if (!replay)
        return;
    for (size_t i = 0; i < replay->step_count; i++)
        imapstate_buf_done(&replay->steps[i].value);
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

static void replay_fail(struct imapstate_replay *replay, const char *command, const char *reason)
{
    if (replay->reason)
        return;
    replay->reason = reason;
    replay->reason_command = command;
}

static bool step_is_in_flight(const struct imapstate_replay *replay, const struct step *step)
{
    return step->begin < replay->written && !step->is_answered;
}

/* The first step of a kind that is in flight, or NULL. */
static struct step *replay_in_flight(struct imapstate_replay *replay, enum imapstate_entry_kind kind)
{
    for (size_t i = 0; i < replay->step_count; i++)
        if (replay->steps[i].storable->kind == kind && step_is_in_flight(replay, &replay->steps[i]))
            return &replay->steps[i];
    return NULL;
}

/* Overwrites name among the step's names by SP. */
static void step_confirm(struct step *step, struct imapstate_span name)
{
    struct imapstate_span left = imapstate_buf_span(&step->value);
    struct imapstate_span word;
    while (imapstate_enable_next(&left, &word))
        if (imapstate_span_equal_nocase(word, name))
            memset(step->value.at + (word.at - step->value.at), ' ', word.len);
}

static bool is_blank(struct imapstate_span value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.at[i] != ' ')
            return false;
    return true;
}

/* Servers differ in which ENABLED names what: some repeat what was on before, some name only what is new. So each one
 * counts for all ENABLEs of the replay. */
static void replay_prove_enable(struct imapstate_replay *replay, struct imapstate_span names)
{
    for (size_t i = 0; i < replay->step_count; i++) {
        struct step *step = &replay->steps[i];
        if (step->storable->proof != IMAPSTATE_PROOF_NAMES)
            continue;
        struct imapstate_span left = names, name;
        while (imapstate_enable_next(&left, &name)) {
            step_confirm(step, name);
            /* RFC 7162 section 3.2.3: whether or not the server says so. */
            if (word_is(name, "QRESYNC"))
                step_confirm(step, IMAPSTATE_SPAN("CONDSTORE"));
        }
        step->is_proven = is_blank(imapstate_buf_span(&step->value));
    }
}

static void step_prove_choice(struct step *step, struct imapstate_span arguments)
{
    struct imapstate_buf chosen;
    imapstate_buf_init(&chosen, step->value.len); /* a longer one is another */
    step->is_proven = imapstate_storable_choice(step->storable, arguments, &chosen) == IMAPSTATE_OK &&
                      imapstate_span_equal_nocase(imapstate_buf_span(&chosen), imapstate_buf_span(&step->value));
    imapstate_buf_done(&chosen);
}

/* Does the untagged response of this name answer a step? What it proves, it proves. */
static bool replay_prove(struct imapstate_replay *replay, struct imapstate_span name, struct imapstate_span arguments)
{
    const struct imapstate_storable *storable = imapstate_storable_of_response(name);
    struct step *step = storable ? replay_in_flight(replay, storable->kind) : NULL;
    if (step && storable->proof == IMAPSTATE_PROOF_NAMES)
        replay_prove_enable(replay, arguments);
    else if (step)
        step_prove_choice(step, arguments);
    return step;
}

/* RFC 9585: the client knows of none of these commands. in is what follows OK, NO or BAD. */
static bool replay_is_named(const struct imapstate_replay *replay, struct imapstate_span in)
{
    for (size_t i = 0; i < replay->step_count; i++)
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
        replay_fail(replay, "", "the server asked for octets that nothing announced");
}

static void replay_check_status(struct imapstate_replay *replay, const struct step *step, struct imapstate_span status)
{
    const char *command = step->storable->command;
    if (word_is(status, "NO"))
        replay_fail(replay, command, "refused with NO");
    else if (word_is(status, "BAD"))
        replay_fail(replay, command, "refused with BAD");
    else if (!word_is(status, "OK"))
        replay_fail(replay, command, "answered with neither OK, NO nor BAD");
    else if (replay->written < step->end)
        replay_fail(replay, command, "answered before its literal was sent");
}

static enum imapstate_replay_answer replay_tagged(struct imapstate_replay *replay, struct imapstate_span tag,
                                                  struct imapstate_span in)
{
    struct step *step = NULL;
    for (size_t i = 0; i < replay->step_count && !step; i++)
        if (step_is_in_flight(replay, &replay->steps[i]) &&
            imapstate_span_equal(tag, imapstate_span_of(replay->steps[i].tag)))
            step = &replay->steps[i];
    if (!step) {
        replay_fail(replay, "", "an answer came that belongs to no command");
        return IMAPSTATE_REPLAY_HIDE;
    }
    replay_check_status(replay, step, words_next(&in));
    step->is_answered = true;
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

/* The first step that has not proved itself, or NULL. */
static const struct step *replay_unproven(const struct imapstate_replay *replay)
{
    for (size_t i = 0; i < replay->step_count; i++)
        if (!replay->steps[i].is_proven)
            return &replay->steps[i];
    return NULL;
}

enum imapstate_replay_status imapstate_replay_status(const struct imapstate_replay *replay)
{
    for (size_t i = 0; i < replay->step_count; i++)
        if (!replay->steps[i].is_answered)
            return IMAPSTATE_REPLAY_RUNNING;
    return replay->reason || replay_unproven(replay) ? IMAPSTATE_REPLAY_FAILED : IMAPSTATE_REPLAY_RESTORED;
}

const char *imapstate_replay_reason(const struct imapstate_replay *replay, const char **ret_command)
{
    const struct step *unproven = replay_unproven(replay);

    *ret_command = "";
    if (replay->reason) {
        *ret_command = replay->reason_command;
        return replay->reason;
    }
    if (!unproven)
        return "nothing failed";
    *ret_command = unproven->storable->command;
    return unproven->storable->proof == IMAPSTATE_PROOF_NAMES ? "not everything was enabled" : "not chosen again";
}
