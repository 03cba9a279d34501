#include "check.h"

#include "asking.h"

#define LIST "IMAP4rev1 AUTH=PLAIN"

static unsigned rows_in(const char *said)
{
    unsigned count = 0;
    for (; (said = strstr(said, "{\"row\":")); said++)
        count++;
    return count;
}

TEST(each_client_has_a_row)
{
    struct asking asking;
    asking_begin(&asking, RIG_CONFIG);
    struct rig *rig = &asking.one.rig;
    assert_non_null(rig_log_in(rig, rig_greet(rig, LIST), "ann", LIST));
    rig_pass(rig, 125000);
    rig_greet(rig, LIST);
    const char *said = ask_for(&asking, "[\"show\",\"clients\"]");
    assert_int_equal(rows_in(said), 2);
    assert_non_null(strstr(said, "\"user\":\"ann\",\"state\":\"authenticated\",\"from\":\"127.0.0.2:"));
    assert_non_null(strstr(said, "\"listener\":\"plain\",\"upstream\":\"main\""));
    assert_non_null(strstr(said, "\"tls\":null,\"age_s\":125,\"idle_s\":125,\"restored\":null"));
    assert_non_null(strstr(said, "\"user\":null,\"state\":\"not authenticated\""));
    assert_non_null(strstr(said, "{\"done\":\"2 clients\"}\n"));
    asking_end(&asking);
}

TEST(filters_leave_rows_out)
{
    static const struct {
        const char *line;
        unsigned rows;
    } rows[] = {
        { "[\"show\",\"clients\",\"--user\",\"ANN\"]", 1 },         { "[\"show\",\"clients\",\"--user=bob\"]", 0 },
        { "[\"show\",\"clients\",\"--upstream\",\"main\"]", 2 },    { "[\"show\",\"clients\",\"--upstream=x\"]", 0 },
        { "[\"show\",\"clients\",\"--address=198.51.100.1\"]", 0 },
    };
    struct asking asking;
    asking_begin(&asking, RIG_CONFIG);
    struct rig *rig = &asking.one.rig;
    assert_non_null(rig_log_in(rig, rig_greet(rig, LIST), "ann", LIST));
    rig_greet(rig, LIST);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_ROW(rows[i].line, rows_in(ask_for(&asking, rows[i].line)) == rows[i].rows);
    asking_end(&asking);
}

TEST(an_address_that_is_none_is_wrong)
{
    struct asking asking;
    asking_begin(&asking, RIG_CONFIG);
    const char *said = ask_for(&asking, "[\"show\",\"clients\",\"--address\",\"here\"]");
    assert_string_equal(said, "{\"error\":\"--address wants an IP address, or \\\"unix\\\"\",\"kind\":\"usage\"}\n");
    asking_end(&asking);
}

TEST(a_reader_who_is_slow_is_waited_for)
{
    struct asking asking;
    asking_begin(&asking, "max_unauthenticated_per_address = 0\n" RIG_CONFIG);
    struct rig *rig = &asking.one.rig;
    for (unsigned i = 0; i < 600; i++)
        rig_greet(rig, LIST);
    asking.room = 0;
    struct reply *reply = asking_obey(&asking, "[\"show\",\"clients\"]");
    asking_pass(&asking);
    unsigned first = rows_in(asking.said);
    assert_true(first > 0 && first < 600);
    asking_pass(&asking);
    assert_int_equal(rows_in(asking.said), first);
    assert_int_equal(asking.ended, 0);
    *asking.said = '\0';
    asking.room = SIZE_MAX;
    reply_drained(reply);
    asking_pass(&asking);
    assert_int_equal(first + rows_in(asking.said), 600); /* each once: their ids only rise */
    assert_int_equal(asking.ended, 1);
    asking_end(&asking);
}

TEST(a_worker_that_does_not_answer_makes_the_list_incomplete)
{
    struct asking asking;
    asking_begin(&asking, RIG_CONFIG);
    asking_obey(&asking, "[\"show\",\"clients\"]");
    loop_pass(&asking.home, asking.one.rig.now_ms);
    loop_pass(&asking.home, asking.one.rig.now_ms + INQUIRY_LIMIT_MS);
    assert_non_null(strstr(asking.said, "\"error\":\"not all workers have answered in time"));
    asking_end(&asking);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_client_has_a_row),
        cmocka_unit_test(filters_leave_rows_out),
        cmocka_unit_test(an_address_that_is_none_is_wrong),
        cmocka_unit_test(a_reader_who_is_slow_is_waited_for),
        cmocka_unit_test(a_worker_that_does_not_answer_makes_the_list_incomplete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
