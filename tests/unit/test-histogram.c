#include "check.h"

#include "histogram.h"

TEST(its_bounds_ascend)
{
    for (unsigned i = 1; i < HISTOGRAM_BOUNDS; i++)
        assert_true(histogram_bounds_us[i - 1] < histogram_bounds_us[i]);
}

TEST(a_value_counts_below_the_first_bound_that_it_does_not_exceed)
{
    struct histogram histogram = { 0 };
    for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++) {
        histogram_note(&histogram, histogram_bounds_us[i]);
        assert_true(histogram.buckets[i] == 1 + (i > 0));
        histogram_note(&histogram, histogram_bounds_us[i] + 1);
        assert_int_equal(histogram.buckets[i + 1], 1);
    }
    assert_int_equal(histogram_count(&histogram), 2 * HISTOGRAM_BOUNDS);
}

TEST(the_longest_is_not_lost)
{
    struct histogram histogram = { 0 };
    histogram_note(&histogram, 3600 * UINT64_C(1000000));
    assert_int_equal(histogram.buckets[HISTOGRAM_BOUNDS], 1);
    assert_true(histogram.sum_us == 3600 * UINT64_C(1000000));
}

TEST(two_are_summed_bound_by_bound)
{
    struct histogram one = { 0 }, two = { 0 };
    histogram_note(&one, 0);
    histogram_note(&two, 0);
    histogram_note(&two, 20 * 1000);
    histogram_add(&one, &two);
    assert_int_equal(one.buckets[0], 2);
    assert_int_equal(histogram_count(&one), 3);
    assert_int_equal(one.sum_us, 20 * 1000);
}

static void note_times(struct histogram *histogram, uint64_t us, unsigned times)
{
    while (times-- > 0)
        histogram_note(histogram, us);
}

TEST(an_empty_one_has_no_quantile)
{
    struct histogram histogram = { 0 };
    uint64_t us = 7;
    assert_false(histogram_quantile(&histogram, 0.5, &us));
    assert_int_equal(us, 7);
}

/* 80 up to 1 ms, 10 from 50 to 100 ms, 10 above all. */
TEST(a_quantile_lies_between_the_bounds_of_its_values)
{
    struct histogram histogram = { 0 };
    note_times(&histogram, 500, 80);
    note_times(&histogram, 70 * 1000, 10);
    note_times(&histogram, 3600 * UINT64_C(1000000), 10);
    static const struct {
        const char *name;
        double share;
        uint64_t want_us;
    } cases[] = {
        { "the least", 0.01, 12 },
        { "in the middle of the first ones", 0.4, 500 },
        { "the last of the first ones", 0.8, 1000 },
        { "in the middle of the second ones", 0.85, 75 * 1000 },
        { "the last of the second ones", 0.9, 100 * 1000 },
        { "those above all", 0.95, 30 * 1000000 },
        { "all", 1, 30 * 1000000 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t us = 0;
        CHECK_ROW(cases[i].name, histogram_quantile(&histogram, cases[i].share, &us));
        CHECK_ROW(cases[i].name, us + 1 >= cases[i].want_us && us <= cases[i].want_us + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_bounds_ascend),
        cmocka_unit_test(a_value_counts_below_the_first_bound_that_it_does_not_exceed),
        cmocka_unit_test(the_longest_is_not_lost),
        cmocka_unit_test(two_are_summed_bound_by_bound),
        cmocka_unit_test(an_empty_one_has_no_quantile),
        cmocka_unit_test(a_quantile_lies_between_the_bounds_of_its_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
