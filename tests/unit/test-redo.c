#include "check.h"
#include "steps.h"

#include "redo.h"

#include <string.h>

/* "|" between: "0 OK", "0 refused": the command with this number is completed, with OK or a fault; "+ NAMES": these are
 * on; "1=de": that one has chosen this; "! fault": something else went wrong. */
static void redo_run(struct redo *redo, const char *steps)
{
    static char texts[8][64];
    size_t count = 0;
    while (*steps) {
        size_t len = strcspn(steps, "|");
        char *text = texts[count++];
        snprintf(text, sizeof texts[0], "%.*s", (int)len, steps);
        if (*text == '+')
            imapstate_redo_names_are_on(redo, imapstate_span_of(text + 2));
        else if (*text == '!')
            imapstate_redo_fail(redo, "", text + 2);
        else if (text[1] == '=')
            imapstate_redo_chose(&redo->steps[*text - '0'], imapstate_span_of(text + 2));
        else
            imapstate_redo_completed(redo, &redo->steps[*text - '0'], strcmp(text + 2, "OK") == 0 ? NULL : text + 2);
        steps += len + (steps[len] != 0);
    }
}

static const struct {
    const char *name, *state, *steps;
    enum redo_status status;
    const char *command, *reason;
} redos[] = {
    { "nothing is to be done", "", "", REDO_DONE, "", "nothing failed" },
    { "a command is missing", "E X|N NONE", "0 OK|+ X", REDO_RUNNING, "", "nothing failed" },
    { "all are on", "E X Y|L de|C i;octet|N NONE", "+ y x|0 OK|1=DE|1 OK|2=i;octet|2 OK|3 OK", REDO_DONE, "",
      "nothing failed" },
    { "names come one by one", "E X Y", "+ X|+ Y|0 OK", REDO_DONE, "", "nothing failed" },
    { "names for all ENABLEs", "E X|N NONE|E Y", "+ X Y|0 OK|1 OK|2 OK", REDO_DONE, "", "nothing failed" },
    { "RFC 7162: QRESYNC brings CONDSTORE", "E CONDSTORE QRESYNC", "+ QRESYNC|0 OK", REDO_DONE, "", "nothing failed" },
    { "but not the other way round", "E QRESYNC", "+ CONDSTORE|0 OK", REDO_FAILED, "ENABLE",
      "not everything was enabled" },
    { "a name that is part of another", "E XY", "+ X|0 OK", REDO_FAILED, "ENABLE", "not everything was enabled" },
    { "another choice", "L de", "0=fr|0 OK", REDO_FAILED, "LANGUAGE", "not chosen again" },
    { "no choice", "C i;octet", "0 OK", REDO_FAILED, "COMPARATOR", "not chosen again" },
    { "a choice that is taken back", "L de", "0=de|0=fr|0 OK", REDO_FAILED, "LANGUAGE", "not chosen again" },
    { "refused", "N NONE", "0 refused", REDO_FAILED, "NOTIFY", "refused" },
    { "the first fault counts", "N NONE|L de", "! odd|0 refused|1=de|1 OK", REDO_FAILED, "", "odd" },
    { "and before what is not proven", "E X|N NONE", "0 OK|1 refused", REDO_FAILED, "NOTIFY", "refused" },
};

TEST(a_command_that_is_run_again_proves_itself)
{
    for (size_t i = 0; i < ARRAY_LEN(redos); i++) {
        struct imapstate_state *state = imapstate_state_new(IMAPSTATE_STATE_MAX);
        struct redo redo;
        const char *command;
        record_all(state, redos[i].state);
        assert_true(imapstate_redo_init(&redo, state));
        imapstate_state_free(state); /* the redo has copies */
        redo_run(&redo, redos[i].steps);
        CHECK_ROW(redos[i].name, imapstate_redo_status(&redo) == redos[i].status);
        if (redos[i].status != REDO_RUNNING) {
            CHECK_SPAN(redos[i].name, imapstate_span_of(imapstate_redo_reason(&redo, &command)),
                       imapstate_span_of(redos[i].reason));
            CHECK_SPAN(redos[i].name, imapstate_span_of(command), imapstate_span_of(redos[i].command));
        }
        imapstate_redo_done(&redo);
    }
}

TEST(one_that_is_done_may_be_done_again)
{
    struct redo redo = { 0 };
    imapstate_redo_done(&redo);
    imapstate_redo_done(&redo);
    assert_int_equal(imapstate_redo_status(&redo), REDO_DONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_that_is_run_again_proves_itself),
        cmocka_unit_test(one_that_is_done_may_be_done_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
