#include "check.h"

#include "lag.h"
#include "loop.h"

static struct loop loop;
static struct lag lag;

static int begin(void **state)
{
    loop_init_bare(&loop, 0, NULL);
    loop_pass(&loop, 5000);
    lag_begin(&lag, &loop);
    return 0;
}

static int end(void **state)
{
    timer_stop(&lag.timer);
    loop_done(&loop);
    return 0;
}

TEST(a_loop_that_is_in_time_has_none)
{
    loop_pass(&loop, 5999);
    assert_int_equal(histogram_count(&loop.counters.lag), 0);
    loop_pass(&loop, 6000);
    assert_int_equal(histogram_count(&loop.counters.lag), 1);
    assert_int_equal(loop.counters.lag.sum_us, 0);
}

TEST(what_is_late_is_noted_by_how_much)
{
    loop_pass(&loop, 6300);
    assert_int_equal(loop.counters.lag.sum_us, 300 * 1000);
}

TEST(it_goes_on_and_what_was_late_is_not_late_again)
{
    loop_pass(&loop, 6300);
    loop_pass(&loop, 7299);
    assert_int_equal(histogram_count(&loop.counters.lag), 1);
    loop_pass(&loop, 7300);
    assert_int_equal(histogram_count(&loop.counters.lag), 2);
    assert_int_equal(loop.counters.lag.sum_us, 300 * 1000);
}

int main(void)
{
#define EACH(sentence) cmocka_unit_test_setup_teardown(sentence, begin, end)
    const struct CMUnitTest tests[] = {
        EACH(a_loop_that_is_in_time_has_none),
        EACH(what_is_late_is_noted_by_how_much),
        EACH(it_goes_on_and_what_was_late_is_not_late_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
