/* steps: a state's history as text, for tests. Behind check.h. */
#ifndef TEST_STEPS_H
#define TEST_STEPS_H

#include <imapstate/state.h>

#include <string.h>

static inline enum imapstate_entry_kind kind_of(char letter)
{
    static const char kinds[] = "?ELCN";
    return (enum imapstate_entry_kind)(strchr(kinds, letter) - kinds);
}

/* Records steps, "|" between: "E QRESYNC|L de|C i;octet|N NONE"; "-L" removes. */
static inline void record_all(struct imapstate_state *state, const char *steps)
{
    while (*steps) {
        size_t len = strcspn(steps, "|");
        enum imapstate_entry_kind kind = kind_of(steps[*steps == '-']);
        if (*steps == '-')
            imapstate_state_remove(state, kind);
        else
            assert_int_equal(
                imapstate_state_record(state, kind, (struct imapstate_span){ (const uint8_t *)steps + 2, len - 2 }),
                IMAPSTATE_OK);
        steps += len + (steps[len] != 0);
    }
}

#endif
