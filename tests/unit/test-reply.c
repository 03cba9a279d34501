#include "check.h"

#include "reply.h"

#include <string.h>

static char said[1024];
static size_t room;
static unsigned ended, gone_on;

static void put(void *owner, const char *line)
{
    strcat(said, line);
    strcat(said, "\n");
}

static bool has_room(void *owner)
{
    return strlen(said) < room;
}

static void end(void *owner)
{
    ended++;
}

static void go_on(void *waiter)
{
    gone_on++;
}

static struct reply *begin(void)
{
    const struct reply_reader reader = { put, has_room, end, NULL };
    *said = '\0';
    ended = gone_on = 0;
    room = SIZE_MAX;
    struct reply *reply = reply_new(&reader);
    assert_non_null(reply);
    return reply;
}

TEST(an_answer_is_rows_notes_and_one_end)
{
    struct reply *reply = begin();
    reply_put_row(reply, json_pack("{ss sI}", "user", "ann", "age_s", (json_int_t)7));
    reply_put_note(reply, "%d of %d", 1, 2);
    assert_int_equal(ended, 0);
    reply_end(reply, REPLY_DONE, "%s", "done \"so\"\nand so");
    assert_int_equal(ended, 1);
    assert_string_equal(said, "{\"row\":{\"user\":\"ann\",\"age_s\":7}}\n{\"note\":\"1 of 2\"}\n"
                              "{\"done\":\"done \\\"so\\\"\\nand so\"}\n");
}

TEST(an_error_says_whether_the_command_was_wrong)
{
    reply_end(begin(), REPLY_FAILED, "no");
    assert_string_equal(said, "{\"error\":\"no\",\"kind\":\"failed\"}\n");
    reply_end(begin(), REPLY_USAGE, "no");
    assert_string_equal(said, "{\"error\":\"no\",\"kind\":\"usage\"}\n");
}

TEST(words_that_are_not_utf_8_are_said_all_the_same)
{
    reply_end(begin(), REPLY_FAILED, "/tmp/\xe4 is missing");
    assert_string_equal(said, "{\"error\":\"/tmp/? is missing\",\"kind\":\"failed\"}\n");
    reply_end(begin(), REPLY_DONE, "\xc3\xa4");
    assert_string_equal(said, "{\"done\":\"\\u00E4\"}\n");
}

TEST(a_row_that_could_not_be_made_is_missed)
{
    struct reply *reply = begin();
    reply_put_row(reply, NULL);
    assert_string_equal(said, "{\"note\":\"a row is missing: out of memory\"}\n");
    reply_end(reply, REPLY_DONE, "done");
}

TEST(who_gives_rows_waits_for_a_slow_reader)
{
    struct reply *reply = begin();
    assert_true(reply_has_room(reply, go_on, NULL));
    room = 0;
    assert_false(reply_has_room(reply, go_on, NULL));
    reply_drained(reply);
    assert_int_equal(gone_on, 0);
    room = 100;
    reply_drained(reply);
    reply_drained(reply);
    assert_int_equal(gone_on, 1);
    reply_end(reply, REPLY_DONE, "done");
}

TEST(a_reader_who_has_gone_is_told_nothing_and_not_waited_for)
{
    struct reply *reply = begin();
    room = 0;
    assert_false(reply_has_room(reply, go_on, NULL));
    reply_abandon(reply);
    assert_int_equal(gone_on, 1);
    assert_true(reply_is_abandoned(reply));
    assert_true(reply_has_room(reply, go_on, NULL));
    reply_put_row(reply, json_object());
    reply_put_note(reply, "note");
    reply_end(reply, REPLY_DONE, "done");
    assert_string_equal(said, "");
    assert_int_equal(ended, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_rows_notes_and_one_end),
        cmocka_unit_test(an_error_says_whether_the_command_was_wrong),
        cmocka_unit_test(words_that_are_not_utf_8_are_said_all_the_same),
        cmocka_unit_test(a_row_that_could_not_be_made_is_missed),
        cmocka_unit_test(who_gives_rows_waits_for_a_slow_reader),
        cmocka_unit_test(a_reader_who_has_gone_is_told_nothing_and_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
