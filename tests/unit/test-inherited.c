/* What a process that drains says of itself. */
#include "check.h"

#include "inherited.h"

#include <string.h>

static struct inherited inherited;
static size_t octets_left;

static int begin(void **state)
{
    octets_left = 4096;
    return inherited_init(&inherited, "old-812") ? 0 : 1;
}

static int end(void **state)
{
    inherited_done(&inherited);
    return 0;
}

static enum inherited_end say(const char *line)
{
    return inherited_read(&inherited, line, strlen(line), &octets_left);
}

TEST(each_figure_gets_the_label_first)
{
    assert_int_equal(say("{\"row\":{\"name\":\"imapstate_workers\",\"value\":\"3\"}}"), INHERITED_GOES_ON);
    assert_int_equal(say("{\"row\":{\"name\":\"imapstate_cpu_seconds_total\",\"value\":\"12.500000\"}}"),
                     INHERITED_GOES_ON);
    assert_int_equal(say("{\"row\":{\"name\":\"imapstate_x{a=\\\"}, \\\\\\\\ \\\\\\\" b=\\\",c=\\\"d\\\"}\","
                         "\"value\":\"7\"}}"),
                     INHERITED_GOES_ON);
    assert_int_equal(say("{\"note\":\"by the way\"}"), INHERITED_GOES_ON);
    assert_int_equal(say("{\"done\":\"since the start\"}"), INHERITED_WHOLE);
    assert_int_equal(inherited.count, 3);
    assert_string_equal(inherited.samples[0].text, "imapstate_workers{process=\"old-812\"} 3");
    assert_string_equal(inherited.samples[1].text, "imapstate_cpu_seconds_total{process=\"old-812\"} 12.500000");
    assert_string_equal(inherited.samples[2].text, "imapstate_x{process=\"old-812\",a=\"}, \\\\ \\\" b=\",c=\"d\"} 7");
}

TEST(figures_are_whole_even_if_a_worker_was_late)
{
    assert_int_equal(say("{\"row\":{\"name\":\"imapstate_workers\",\"value\":\"3\"}}"), INHERITED_GOES_ON);
    assert_int_equal(say("{\"error\":\"some figures are old\",\"kind\":\"failed\"}"), INHERITED_WHOLE);
}

TEST(an_answer_without_figures_is_useless)
{
    assert_int_equal(say("{\"error\":\"this daemon cannot do that\",\"kind\":\"failed\"}"), INHERITED_USELESS);
    assert_int_equal(say("{\"done\":\"since the start\"}"), INHERITED_USELESS);
}

TEST(what_is_no_figure_is_refused)
{
    static const char *const lines[] = {
        "",
        "[]",
        "{}",
        "{\"row\":3}",
        "{\"row\":{\"name\":\"imapstate_x\"}}",
        "\xff",
        "{\"row\":{\"name\":\"x\",\"value\":\"1\"}}",
        "{\"row\":{\"name\":\"imapstate_x\",\"value\":\"\"}}",
        "{\"row\":{\"name\":\"imapstate_x\",\"value\":\"1 2\"}}",
        "{\"row\":{\"name\":\"imapstate_x\",\"value\":\"1\\n# EOF\"}}",
        "{\"row\":{\"name\":\"imapstate_x\",\"value\":\"1.2.3\"}}",
        "{\"row\":{\"name\":\"imapstate_x\",\"value\":\"1.\"}}",
        "{\"row\":{\"name\":\"imapstate_x y\",\"value\":\"1\"}}",
        "{\"row\":{\"name\":\"imapstate_x{\",\"value\":\"1\"}}",
        "{\"row\":{\"name\":\"imapstate_x{}\",\"value\":\"1\"}}",
        "{\"row\":{\"name\":\"imapstate_x{a=\\\"b\\\"\",\"value\":\"1\"}}",
        "{\"row\":{\"name\":\"imapstate_x{a=\\\"b\\\",}\",\"value\":\"1\"}}",
        "{\"row\":{\"name\":\"imapstate_x{a=\\\"b\\\\\",\"value\":\"1\"}}",
        "{\"row\":{\"name\":\"imapstate_x{a=\\\"b\\\\c\\\"}\",\"value\":\"1\"}}",
        "{\"row\":{\"name\":\"imapstate_x{a=\\\"b\\\"} 1\",\"value\":\"1\"}}",
        "{\"row\":{\"name\":\"imapstate_x{a=\\\"b\\n\\\"}\",\"value\":\"1\"}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        CHECK_ROW(lines[i], say(lines[i]) == INHERITED_USELESS);
    assert_int_equal(inherited.count, 0);
}

TEST(there_is_only_so_much_room)
{
    size_t count = 0;
    while (count < 1000 && say("{\"row\":{\"name\":\"imapstate_workers\",\"value\":\"3\"}}") == INHERITED_GOES_ON)
        count++;
    assert_in_range(count, 10, 100);
    assert_int_equal(inherited.count, count);
}

TEST(a_process_has_a_name_that_needs_no_quoting)
{
    struct inherited other;
    assert_false(inherited_init(&other, ""));
    assert_false(inherited_init(&other, "old-\"812"));
    assert_false(inherited_init(&other, "old-81281281281281281281281281281281"));
}

TEST(sums_are_by_name_and_label)
{
    say("{\"row\":{\"name\":\"imapstate_clients{listener=\\\"a\\\",state=\\\"authenticated\\\"}\",\"value\":\"3\"}}");
    say("{\"row\":{\"name\":\"imapstate_clients{listener=\\\"b\\\",state=\\\"closing\\\"}\",\"value\":\"4\"}}");
    say("{\"row\":{\"name\":\"imapstate_clients_accepted_total{listener=\\\"b\\\"}\",\"value\":\"50\"}}");
    assert_int_equal(inherited_sum(&inherited, "imapstate_clients", NULL), 7);
    assert_int_equal(inherited_sum(&inherited, "imapstate_clients", "state=\"authenticated\""), 3);
    assert_int_equal(inherited_sum(&inherited, "imapstate_client", NULL), 0);
}

int main(void)
{
#define EACH(sentence) cmocka_unit_test_setup_teardown(sentence, begin, end)
    const struct CMUnitTest tests[] = {
        EACH(each_figure_gets_the_label_first),     EACH(figures_are_whole_even_if_a_worker_was_late),
        EACH(an_answer_without_figures_is_useless), EACH(what_is_no_figure_is_refused),
        EACH(there_is_only_so_much_room),           EACH(a_process_has_a_name_that_needs_no_quoting),
        EACH(sums_are_by_name_and_label),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
