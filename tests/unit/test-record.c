#include "check.h"

#include "record.h"

#include <string.h>

/* "ENABLE's names>ENABLED's names", "|" between; without ">" there was no ENABLED. */
static struct record *record_of(const char *lines)
{
    char text[2048];
    struct record *record = record_new();
    snprintf(text, sizeof text, "%s", lines);
    for (char *rest = text, *line; (line = strsep(&rest, "|")) && *line;) {
        char *said = strchr(line, '>');
        if (said) {
            *said++ = '\0';
            record_hear(record, imapstate_span_of(said));
        }
        assert_true(record_add(record, imapstate_span_of(line)));
    }
    return record;
}

static const struct {
    const char *name, *record, *told, *request;
    enum record_answer answer;
    const char *names;
} rows[] = {
    { "nothing is on record", "", "", "QRESYNC", RECORD_UNKNOWN, "" },
    { "the same", "QRESYNC>QRESYNC", "", "QRESYNC", RECORD_ENABLED, "QRESYNC" },
    { "as the server spelled it", "qresync>QResync", "", "QRESYNC", RECORD_ENABLED, "QResync" },
    { "another one", "QRESYNC>QRESYNC", "", "CONDSTORE", RECORD_UNKNOWN, "" },
    { "one that begins alike", "QRESYNCX>QRESYNCX", "", "QRESYNC", RECORD_UNKNOWN, "" },
    { "one more", "QRESYNC>QRESYNC", "", "QRESYNC UTF8=ACCEPT", RECORD_UNKNOWN, "" },
    { "one less", "QRESYNC UTF8=ACCEPT>QRESYNC UTF8=ACCEPT", "", "QRESYNC", RECORD_UNKNOWN, "" },
    { "in another order, twice, in small letters", "B A>A B", "", "a b A", RECORD_ENABLED, "A B" },
    { "there was no ENABLED", "X", "", "X", RECORD_SILENT, "" },
    { "there was an empty one", "X>", "", "X", RECORD_ENABLED, "" },
    { "the second", "A>A|B>B C", "A>A", "B", RECORD_ENABLED, "B C" },
    { "not in the other order", "A>A|B>B", "B>B", "A", RECORD_UNKNOWN, "" },
    { "not the second as the first", "A>A|B>B", "", "B", RECORD_UNKNOWN, "" },
    { "the first was answered otherwise", "A>A|B>B", "A>A C", "B", RECORD_UNKNOWN, "" },
    { "the first was answered without ENABLED", "A>A|B>B", "A", "B", RECORD_UNKNOWN, "" },
    { "no more is on record", "A>A", "A>A", "B", RECORD_UNKNOWN, "" },
    { "no names", "A>A", "", "", RECORD_UNKNOWN, "" },
    { "two SP", "A B>A B", "", "A  B", RECORD_UNKNOWN, "" },
    { "an SP at the end", "A>A", "", "A ", RECORD_UNKNOWN, "" },
    { "in quotes", "A>A", "", "\"A\"", RECORD_UNKNOWN, "" },
};

TEST(a_session_that_begins_alike_is_answered_alike)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct record *record = record_of(rows[i].record), *told = record_of(rows[i].told);
        struct imapstate_buf names;
        imapstate_buf_init(&names, RECORD_MAX);
        enum record_answer answer =
            record_look_up(record, *rows[i].told ? told : NULL, imapstate_span_of(rows[i].request), &names);
        CHECK_ROW(rows[i].name, answer == rows[i].answer);
        CHECK_SPAN(rows[i].name, imapstate_buf_span(&names), imapstate_span_of(rows[i].names));
        CHECK_ROW(rows[i].name, record_is_empty(record) == !*rows[i].record);
        imapstate_buf_done(&names);
        record_free(record);
        record_free(told);
    }
    assert_true(record_is_empty(NULL));
}

TEST(what_was_heard_belongs_to_one_enable)
{
    struct imapstate_buf names;
    imapstate_buf_init(&names, RECORD_MAX);
    struct record *record = record_new();
    record_hear(record, IMAPSTATE_SPAN("OLD"));
    record_forget_heard(record);
    record_hear(record, IMAPSTATE_SPAN("A"));
    record_hear(record, IMAPSTATE_SPAN("B C\r\n"));
    assert_true(record_add(record, IMAPSTATE_SPAN("A B")));
    assert_true(record_add(record, IMAPSTATE_SPAN("D")));
    assert_int_equal(record_look_up(record, NULL, IMAPSTATE_SPAN("A B"), &names), RECORD_ENABLED);
    CHECK_SPAN("heard in parts", imapstate_buf_span(&names), IMAPSTATE_SPAN("A B C"));
    struct record *told = record_of("A B>A B C");
    assert_int_equal(record_look_up(record, told, IMAPSTATE_SPAN("D"), &names), RECORD_SILENT);
    record_free(told);
    record_free(record);
    imapstate_buf_done(&names);
}

TEST(what_does_not_fit_is_not_added)
{
    char longest[RECORD_MAX + 1];
    struct imapstate_buf names;
    struct record *record = record_new();
    imapstate_buf_init(&names, RECORD_MAX);
    memset(longest, 'X', sizeof longest);
    assert_false(record_add(record, (struct imapstate_span){ (uint8_t *)longest, RECORD_MAX }));
    assert_int_equal(record_look_up(record, NULL, (struct imapstate_span){ (uint8_t *)longest, RECORD_MAX }, &names),
                     RECORD_UNKNOWN);
    record_free(record);
    record = record_new();
    record_hear(record, (struct imapstate_span){ (uint8_t *)longest, sizeof longest });
    assert_false(record_add(record, IMAPSTATE_SPAN("A")));
    record_free(record);
    record = record_new();
    assert_false(record_add(record, (struct imapstate_span){ 0 }));
    record_free(record);
    imapstate_buf_done(&names);
}

static bool knows_namespace(const struct record *record, const char *told_lines, const char *line)
{
    struct record *told = record_of(told_lines);
    struct imapstate_buf found;
    imapstate_buf_init(&found, RECORD_MAX);
    bool is_known = record_namespace(record, *told_lines ? told : NULL, &found);
    if (is_known)
        CHECK_SPAN(told_lines, imapstate_buf_span(&found), imapstate_span_of(line));
    imapstate_buf_done(&found);
    record_free(told);
    return is_known;
}

TEST(a_namespace_is_on_record_for_the_state_that_it_was_answered_in)
{
    struct record *record = record_of("A>A");
    assert_false(knows_namespace(record, "A>A", ""));
    record_add_namespace(record); /* there was no response */
    assert_false(knows_namespace(record, "A>A", ""));
    record_hear_namespace(record, IMAPSTATE_SPAN("* NAMESPACE 0\r\n"));
    record_hear_namespace(record, IMAPSTATE_SPAN("* NAMESPACE 1\r\n"));
    assert_false(knows_namespace(record, "A>A", "")); /* nor an OK so far */
    record_add_namespace(record);
    assert_true(knows_namespace(record, "A>A", "* NAMESPACE 1\r\n"));
    assert_false(knows_namespace(record, "", ""));
    assert_false(knows_namespace(record, "B>B", ""));
    assert_true(record_add(record, IMAPSTATE_SPAN("B")));
    assert_true(knows_namespace(record, "A>A", "* NAMESPACE 1\r\n"));
    assert_false(knows_namespace(record, "A>A|B", ""));
    assert_false(record_namespace(NULL, NULL, NULL));
    record_free(record);
}

TEST(a_namespace_is_of_the_state_in_which_it_came)
{
    struct record *record = record_of("");
    record_hear_namespace(record, IMAPSTATE_SPAN("* NAMESPACE 1\r\n"));
    assert_true(record_add(record, IMAPSTATE_SPAN("A"))); /* which was answered before it */
    record_add_namespace(record);
    assert_true(knows_namespace(record, "", "* NAMESPACE 1\r\n"));
    assert_false(knows_namespace(record, "A", ""));
    record_free(record);
}

TEST(what_was_heard_for_a_namespace_that_was_refused_is_not_the_next_ones)
{
    struct record *record = record_of("");
    record_hear_namespace(record, IMAPSTATE_SPAN("* NAMESPACE 1\r\n"));
    record_forget_heard_namespace(record);
    record_add_namespace(record);
    assert_false(knows_namespace(record, "", ""));
    record_free(record);
}

TEST(a_later_namespace_in_the_same_state_takes_its_place)
{
    struct record *record = record_of("");
    record_hear_namespace(record, IMAPSTATE_SPAN("* NAMESPACE 1\r\n"));
    record_add_namespace(record);
    record_hear_namespace(record, IMAPSTATE_SPAN("* NAMESPACE 2\r\n"));
    record_add_namespace(record);
    assert_true(knows_namespace(record, "", "* NAMESPACE 2\r\n"));
    assert_true(record_add(record, IMAPSTATE_SPAN("A")));
    record_hear_namespace(record, IMAPSTATE_SPAN("* NAMESPACE 3\r\n"));
    record_add_namespace(record);
    assert_true(knows_namespace(record, "", "* NAMESPACE 2\r\n"));
    assert_false(knows_namespace(record, "A", ""));
    record_free(record);
}

TEST(a_copy_is_the_same)
{
    struct record *record = record_of("A>A|B");
    record_hear_namespace(record, IMAPSTATE_SPAN("* NAMESPACE 1\r\n"));
    record_add_namespace(record);
    struct record *copy = record_copy(record), *told = record_of("A>A"), *all = record_of("A>A|B");
    struct imapstate_span asked = IMAPSTATE_SPAN("B"), other = IMAPSTATE_SPAN("C");
    assert_true(record_begins_alike(record, copy));
    assert_false(record_begins_alike(copy, told));
    record_free(record);
    assert_true(record_knows(copy, told, &asked));
    assert_false(record_knows(copy, told, &other));
    assert_false(record_knows(copy, told, NULL));
    assert_true(record_knows(copy, all, NULL));
    assert_true(knows_namespace(copy, "A>A|B", "* NAMESPACE 1\r\n"));
    record_free(copy);
    record_free(told);
    record_free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_that_begins_alike_is_answered_alike),
        cmocka_unit_test(what_was_heard_belongs_to_one_enable),
        cmocka_unit_test(what_does_not_fit_is_not_added),
        cmocka_unit_test(a_namespace_is_on_record_for_the_state_that_it_was_answered_in),
        cmocka_unit_test(a_namespace_is_of_the_state_in_which_it_came),
        cmocka_unit_test(what_was_heard_for_a_namespace_that_was_refused_is_not_the_next_ones),
        cmocka_unit_test(a_later_namespace_in_the_same_state_takes_its_place),
        cmocka_unit_test(a_copy_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
