#include "check.h"

#include "pulse.h"

#include <stdio.h>

#define NOW   1000000u
#define UNTIL (NOW + 5000u)

static enum pulse_rank rank(const char *address)
{
    return pulse_read("main", address).rank;
}

TEST(an_address_that_nobody_knows_is_good)
{
    assert_int_equal(rank("a"), PULSE_GOOD);
    assert_int_equal(pulse_read("main", "a").sessions, 0);
}

TEST(one_that_fails_is_dead_until_somebody_can_log_in_however_long_that_takes)
{
    pulse_fail("main", "a", 30000, NOW);
    assert_int_equal(rank("a"), PULSE_DEAD);
    assert_int_equal(rank("b"), PULSE_GOOD);
    assert_int_equal(pulse_read("other", "a").rank, PULSE_GOOD);
    pulse_beat("main", "a", false, NOW + 90000);
    assert_int_equal(rank("a"), PULSE_GOOD);
    pulse_done();
}

TEST(a_dead_one_is_tried_after_its_time_by_one_at_a_time)
{
    pulse_fail("main", "a", 30000, NOW);
    assert_false(pulse_is_due("main", "a", 1000, NOW + 29999, NOW + 40000));
    assert_true(pulse_is_due("main", "a", 1000, NOW + 30000, NOW + 40000));
    assert_false(pulse_is_due("main", "a", 1000, NOW + 30001, NOW + 40001));
    /* Whoever tried it has told nothing in the time that it had. */
    assert_true(pulse_is_due("main", "a", 1000, NOW + 40000, NOW + 50000));
    pulse_fail("main", "a", 30000, NOW + 40001);
    assert_false(pulse_is_due("main", "a", 1000, NOW + 70000, NOW + 80000));
    assert_true(pulse_is_due("main", "a", 0, NOW + 70001, NOW + 80000));
    pulse_done();
}

TEST(one_that_works_is_tried_when_nobody_has_proved_it_for_a_while)
{
    assert_true(pulse_is_due("main", "a", 10000, NOW, UNTIL));
    pulse_beat("main", "a", true, NOW);
    assert_false(pulse_is_due("main", "a", 10000, NOW + 9999, UNTIL + 9999));
    assert_true(pulse_is_due("main", "a", 10000, NOW + 10000, UNTIL + 10000));
    pulse_beat("main", "a", true, NOW + 10001);
    assert_false(pulse_is_due("main", "a", 0, NOW + 900000, NOW + 900001));
    pulse_done();
}

TEST(one_that_has_lost_comes_behind_until_it_is_ready_after_all)
{
    assert_true(pulse_lose("main", "a", NOW, UNTIL));
    assert_int_equal(rank("a"), PULSE_SLOW);
    for (unsigned i = 1; i <= PULSE_LOST_MAX; i++)
        assert_false(pulse_lose("main", "a", NOW + 1, UNTIL)); /* somebody is finding out, and it is one silence */
    pulse_beat("main", "a", false, NOW + 2);
    assert_int_equal(rank("a"), PULSE_GOOD);
    pulse_done();
}

TEST(one_that_loses_again_and_again_is_slow_until_it_is_prompt)
{
    for (unsigned lost = 1; lost <= PULSE_LOST_MAX; lost++) {
        assert_true(pulse_lose("main", "a", NOW + lost, UNTIL));
        pulse_beat("main", "a", false, NOW + lost);
        assert_int_equal(rank("a"), lost < PULSE_LOST_MAX ? PULSE_GOOD : PULSE_SLOW);
    }
    pulse_beat("main", "a", false, NOW + 100);
    assert_int_equal(rank("a"), PULSE_SLOW);
    pulse_beat("main", "a", true, NOW + 101);
    assert_int_equal(rank("a"), PULSE_GOOD);
    pulse_lose("main", "a", NOW + 102, UNTIL);
    pulse_beat("main", "a", false, NOW + 103);
    assert_int_equal(rank("a"), PULSE_GOOD);
    pulse_done();
}

TEST(sessions_are_counted_and_none_below_nothing)
{
    pulse_count("main", "a", -1);
    assert_int_equal(pulse_read("main", "a").sessions, 0);
    pulse_count("main", "a", 1);
    pulse_count("main", "a", 1);
    pulse_count("main", "b", 1);
    pulse_count("main", "a", -1);
    assert_int_equal(pulse_read("main", "a").sessions, 1);
    assert_int_equal(pulse_read("main", "b").sessions, 1);
    pulse_done();
}

TEST(when_all_expire_each_is_due_and_the_dead_stay_dead)
{
    pulse_fail("main", "a", 30000, NOW);
    pulse_beat("main", "b", true, NOW);
    pulse_expire();
    assert_int_equal(rank("a"), PULSE_DEAD);
    assert_true(pulse_is_due("main", "a", 0, NOW + 1, UNTIL));
    assert_true(pulse_is_due("main", "b", 10000, NOW + 1, UNTIL));
    pulse_done();
}

TEST(the_one_that_was_used_longest_ago_gives_way_unless_it_has_sessions)
{
    char address[16];
    pulse_fail("main", "first", 30000, NOW);
    pulse_count("main", "first", 1);
    pulse_fail("main", "second", 30000, NOW + 1);
    for (unsigned i = 0; i < PULSE_MAX - 2; i++) {
        snprintf(address, sizeof address, "%u", i);
        pulse_fail("main", address, 30000, NOW + 2 + i);
    }
    assert_int_equal(rank("second"), PULSE_DEAD);
    pulse_fail("main", "one more", 30000, NOW + PULSE_MAX);
    assert_int_equal(rank("first"), PULSE_DEAD);
    assert_int_equal(rank("second"), PULSE_GOOD);
    assert_int_equal(rank("0"), PULSE_DEAD);
    pulse_done();
    assert_int_equal(rank("first"), PULSE_GOOD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_that_nobody_knows_is_good),
        cmocka_unit_test(one_that_fails_is_dead_until_somebody_can_log_in_however_long_that_takes),
        cmocka_unit_test(a_dead_one_is_tried_after_its_time_by_one_at_a_time),
        cmocka_unit_test(one_that_works_is_tried_when_nobody_has_proved_it_for_a_while),
        cmocka_unit_test(one_that_has_lost_comes_behind_until_it_is_ready_after_all),
        cmocka_unit_test(one_that_loses_again_and_again_is_slow_until_it_is_prompt),
        cmocka_unit_test(sessions_are_counted_and_none_below_nothing),
        cmocka_unit_test(when_all_expire_each_is_due_and_the_dead_stay_dead),
        cmocka_unit_test(the_one_that_was_used_longest_ago_gives_way_unless_it_has_sessions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
