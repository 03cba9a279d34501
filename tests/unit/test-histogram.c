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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_bounds_ascend),
        cmocka_unit_test(a_value_counts_below_the_first_bound_that_it_does_not_exceed),
        cmocka_unit_test(the_longest_is_not_lost),
        cmocka_unit_test(two_are_summed_bound_by_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
