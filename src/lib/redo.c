#include "redo.h"

#include <stdlib.h>
#include <string.h>

#include "words.h"

static bool redo_add_step(struct redo *redo, const struct imapstate_entry *entry)
{
    struct redo_step *step = &redo->steps[redo->count++];
    step->storable = imapstate_storable_find(entry->kind);
    step->is_proven = step->storable->proof == IMAPSTATE_PROOF_ANSWER;
    imapstate_buf_init(&step->left, entry->value.len);
    return imapstate_buf_put(&step->left, entry->value);
}

bool imapstate_redo_init(struct redo *redo, const struct imapstate_state *state)
{
    struct imapstate_entry entry;
    *redo = (struct redo){ .steps = calloc(imapstate_state_count(state) + 1, sizeof *redo->steps) };
    bool has_memory = redo->steps != NULL;
    for (size_t i = 0; has_memory && imapstate_state_at(state, i, &entry); i++)
        has_memory = redo_add_step(redo, &entry);
    return has_memory;
}

void imapstate_redo_done(struct redo *redo)
{
    for (size_t i = 0; i < redo->count; i++)
        imapstate_buf_done(&redo->steps[i].left);
    free(redo->steps);
    *redo = (struct redo){ 0 };
}

/* Overwrites name among the step's names by SP. */
static void step_confirm(struct redo_step *step, struct imapstate_span name)
{
    struct imapstate_span left = imapstate_buf_span(&step->left);
    struct imapstate_span word;
    while (imapstate_enable_next(&left, &word))
        if (imapstate_span_equal_nocase(word, name))
            memset(step->left.at + (word.at - step->left.at), ' ', word.len);
}

static bool is_blank(struct imapstate_span value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.at[i] != ' ')
            return false;
    return true;
}

/* Servers differ in which ENABLED names what: some repeat what was on before, some name only what is new. So each one
 * counts for all ENABLEs. */
void imapstate_redo_names_are_on(struct redo *redo, struct imapstate_span names)
{
    for (size_t i = 0; i < redo->count; i++) {
        struct redo_step *step = &redo->steps[i];
        if (step->storable->proof != IMAPSTATE_PROOF_NAMES)
            continue;
        struct imapstate_span left = names, name;
        while (imapstate_enable_next(&left, &name)) {
            step_confirm(step, name);
            /* RFC 7162 section 3.2.3: whether or not the server says so. */
            if (word_is(name, "QRESYNC"))
                step_confirm(step, IMAPSTATE_SPAN("CONDSTORE"));
        }
        step->is_proven = is_blank(imapstate_buf_span(&step->left));
    }
}

void imapstate_redo_chose(struct redo_step *step, struct imapstate_span value)
{
    step->is_proven = imapstate_span_equal_nocase(value, imapstate_buf_span(&step->left));
}

void imapstate_redo_fail(struct redo *redo, const char *command, const char *fault)
{
    if (redo->fault)
        return;
    redo->fault = fault;
    redo->fault_command = command;
}

void imapstate_redo_overflowed(struct redo *redo)
{
    for (size_t i = 0; i < redo->count; i++) {
        const struct redo_step *step = &redo->steps[i];
        if (step->storable->kind == IMAPSTATE_ENTRY_NOTIFY && !word_is(imapstate_buf_span(&step->left), "NONE"))
            imapstate_redo_fail(redo, step->storable->command, "the server has too many notifications");
    }
}

void imapstate_redo_completed(struct redo *redo, struct redo_step *step, const char *fault)
{
    step->is_answered = true;
    if (fault)
        imapstate_redo_fail(redo, step->storable->command, fault);
}

/* The first step that has not proved itself, or NULL. */
static const struct redo_step *redo_unproven(const struct redo *redo)
{
    for (size_t i = 0; i < redo->count; i++)
        if (!redo->steps[i].is_proven)
            return &redo->steps[i];
    return NULL;
}

enum redo_status imapstate_redo_status(const struct redo *redo)
{
    for (size_t i = 0; i < redo->count; i++)
        if (!redo->steps[i].is_answered)
            return REDO_RUNNING;
    return redo->fault || redo_unproven(redo) ? REDO_FAILED : REDO_DONE;
}

const char *imapstate_redo_reason(const struct redo *redo, const char **ret_command)
{
    const struct redo_step *unproven = redo_unproven(redo);
    *ret_command = "";
    if (redo->fault) {
        *ret_command = redo->fault_command;
        return redo->fault;
    }
    if (!unproven)
        return "nothing failed";
    *ret_command = unproven->storable->command;
    return unproven->storable->proof == IMAPSTATE_PROOF_NAMES ? "not everything was enabled" : "not chosen again";
}
