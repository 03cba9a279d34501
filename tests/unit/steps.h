/* steps: a state's history as text, for tests. Behind check.h. */
#ifndef TEST_STEPS_H
#define TEST_STEPS_H

#include <imapstate/state.h>

#include <string.h>

static inline enum imapstate_error record(struct imapstate_state *state, char kind, struct imapstate_span value)
{
    switch (kind) {
    case 'E':
        return imapstate_state_enable(state, value);
    case 'L':
        return imapstate_state_language(state, value);
    case 'C':
        return imapstate_state_comparator(state, value);
    default:
        return imapstate_state_notify(state, value);
    }
}

/* Records steps, "|" between: "E QRESYNC|L de|C i;octet|N NONE"; "-L" removes. */
static inline void record_all(struct imapstate_state *state, const char *steps)
{
    static const char kinds[] = "?ELCN";
    while (*steps) {
        size_t len = strcspn(steps, "|");
        if (steps[0] == '-')
            imapstate_state_remove(state, (enum imapstate_entry_kind)(strchr(kinds, steps[1]) - kinds));
        else
            assert_int_equal(record(state, steps[0], (struct imapstate_span){ (const uint8_t *)steps + 2, len - 2 }),
                             IMAPSTATE_OK);
        steps += len + (steps[len] != 0);
    }
}

#endif
