#include "check.h"

#include <stdlib.h>

#include "history.h"

#define BEGIN UINT64_C(12345678)

static struct history *history;
static struct history_levels levels;
static struct history_sums sums;

static int begin(void **state)
{
    history = calloc(1, sizeof *history);
    levels = (struct history_levels){ 0 };
    sums = (struct history_sums){ 0 };
    return history ? 0 : -1;
}

static int end(void **state)
{
    free(history);
    return 0;
}

static void note_at(uint64_t ms)
{
    history_note(history, BEGIN + ms, &levels, &sums);
}

/* Logins that were added in a point; -1: nothing is known of it. */
static int64_t logins_in(size_t index)
{
    const struct history_point *point = history_at(history, index);
    return point->ms ? (int64_t)point->sums.logins[LOGIN_ACCEPTED] : -1;
}

TEST(before_there_is_a_point_it_has_none)
{
    assert_int_equal(history_len(history), 0);
    note_at(0);
    assert_int_equal(history_len(history), 0);
}

TEST(what_was_before_the_beginning_is_in_no_point)
{
    sums.logins[LOGIN_ACCEPTED] = 1000;
    note_at(0);
    sums.logins[LOGIN_ACCEPTED] = 1007;
    levels.sessions = 5;
    note_at(10000);
    assert_int_equal(history_len(history), 1);
    assert_int_equal(logins_in(0), 7);
    assert_int_equal(history_at(history, 0)->levels.sessions, 5);
    assert_int_equal(history_at(history, 0)->ms, 10000);
}

TEST(each_sum_grows_by_itself)
{
    note_at(0);
    sums.takes[CHOICE_FOUND_WARM] = 3;
    sums.octets_out = 4;
    histogram_note(&sums.login[HISTORY_PARKED], 1500);
    note_at(10000);
    histogram_note(&sums.lag, 9);
    note_at(20000);
    const struct history_sums *first = &history_at(history, 0)->sums, *second = &history_at(history, 1)->sums;
    assert_int_equal(first->takes[CHOICE_FOUND_WARM], 3);
    assert_int_equal(first->octets_out, 4);
    assert_int_equal(histogram_count(&first->login[HISTORY_PARKED]), 1);
    assert_int_equal(first->login[HISTORY_PARKED].sum_us, 1500);
    assert_int_equal(histogram_count(&first->lag), 0);
    assert_int_equal(second->octets_out, 0);
    assert_int_equal(histogram_count(&second->login[HISTORY_PARKED]), 0);
    assert_int_equal(second->lag.sum_us, 9);
}

/* A timer that fires a little late, and mostly less so than the first time. */
TEST(late_times_leave_no_gap)
{
    for (uint64_t i = 0; i <= 100; i++)
        note_at(i * 10000 + (i + 6) % 7 * 600);
    assert_int_equal(history_len(history), 100);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(logins_in(i), 0);
}

TEST(a_time_too_early_loses_nothing)
{
    note_at(0);
    note_at(10000);
    sums.logins[LOGIN_ACCEPTED] = 2;
    note_at(12000);
    assert_int_equal(history_len(history), 1);
    sums.logins[LOGIN_ACCEPTED] = 5;
    note_at(20000);
    assert_int_equal(logins_in(1), 5);
    assert_int_equal(history_at(history, 1)->ms, 10000);
}

TEST(of_times_that_were_missed_nothing_is_known)
{
    note_at(0);
    note_at(10000);
    sums.logins[LOGIN_ACCEPTED] = 8;
    note_at(50000);
    assert_int_equal(history_len(history), 5);
    const int64_t want[] = { 0, -1, -1, -1, 8 };
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        assert_int_equal(logins_in(i), want[i]);
    assert_int_equal(history_at(history, 4)->ms, 40000);
}

TEST(only_the_last_hour_is_kept)
{
    note_at(0);
    for (uint64_t i = 1; i <= 3 * HISTORY_POINTS + 5; i++) {
        sums.logins[LOGIN_ACCEPTED] += i;
        note_at(i * 10000);
    }
    assert_int_equal(history_len(history), HISTORY_POINTS);
    for (size_t i = 0; i < HISTORY_POINTS; i++)
        assert_int_equal(logins_in(i), 2 * HISTORY_POINTS + 6 + i);
}

TEST(more_than_an_hour_that_was_missed_leaves_nothing_of_before)
{
    const uint64_t slept[] = { HISTORY_POINTS, HISTORY_POINTS + 1, 10 * HISTORY_POINTS + 3, UINT64_C(1) << 40 };
    for (size_t row = 0; row < ARRAY_LEN(slept); row++) {
        *history = (struct history){ 0 };
        sums = (struct history_sums){ 0 };
        note_at(0);
        sums.logins[LOGIN_ACCEPTED] = 1;
        note_at(10000);
        sums.logins[LOGIN_ACCEPTED] = 4;
        note_at(10000 + slept[row] * 10000);
        assert_int_equal(history_len(history), HISTORY_POINTS);
        for (size_t i = 0; i + 1 < HISTORY_POINTS; i++)
            assert_int_equal(logins_in(i), -1);
        assert_int_equal(logins_in(HISTORY_POINTS - 1), 3);
    }
}

TEST(a_sum_that_has_become_less_counts_nothing)
{
    sums.logins[LOGIN_ACCEPTED] = 100;
    note_at(0);
    sums.logins[LOGIN_ACCEPTED] = 90;
    note_at(10000);
    sums.logins[LOGIN_ACCEPTED] = 93;
    note_at(20000);
    assert_int_equal(logins_in(0), 0);
    assert_int_equal(logins_in(1), 3);
}

TEST(points_are_summed_with_the_time_that_they_are_about)
{
    note_at(0);
    for (uint64_t i = 1; i <= 6; i++) {
        sums.logins[LOGIN_REFUSED] += i;
        histogram_note(&sums.login[HISTORY_UPSTREAM], 2000);
        if (i != 3)
            note_at(i * 10000);
    }
    struct history_sums some;
    uint64_t ms;
    history_sum(history, 0, 6, &some, &ms);
    assert_int_equal(some.logins[LOGIN_REFUSED], 21);
    assert_int_equal(some.login[HISTORY_UPSTREAM].sum_us, 12000);
    assert_int_equal(ms, 60000);
    history_sum(history, 4, 6, &some, &ms);
    assert_int_equal(some.logins[LOGIN_REFUSED], 11);
    assert_int_equal(ms, 20000);
    history_sum(history, 2, 2, &some, &ms);
    assert_int_equal(some.logins[LOGIN_REFUSED], 0);
    assert_int_equal(ms, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(before_there_is_a_point_it_has_none, begin, end),
        cmocka_unit_test_setup_teardown(what_was_before_the_beginning_is_in_no_point, begin, end),
        cmocka_unit_test_setup_teardown(each_sum_grows_by_itself, begin, end),
        cmocka_unit_test_setup_teardown(late_times_leave_no_gap, begin, end),
        cmocka_unit_test_setup_teardown(a_time_too_early_loses_nothing, begin, end),
        cmocka_unit_test_setup_teardown(of_times_that_were_missed_nothing_is_known, begin, end),
        cmocka_unit_test_setup_teardown(only_the_last_hour_is_kept, begin, end),
        cmocka_unit_test_setup_teardown(more_than_an_hour_that_was_missed_leaves_nothing_of_before, begin, end),
        cmocka_unit_test_setup_teardown(a_sum_that_has_become_less_counts_nothing, begin, end),
        cmocka_unit_test_setup_teardown(points_are_summed_with_the_time_that_they_are_about, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
