#include "check.h"

#include "rate.h"

TEST(ten_lines_fit_into_any_second_and_the_next_says_how_many_did_not)
{
    struct rate rate = RATE_INITIAL;
    unsigned left_out = 7;

    for (uint64_t i = 0; i < RATE_LINES; i++) {
        assert_true(rate_allows(&rate, 5000 + 50 * i, &left_out));
        assert_int_equal(left_out, 0);
    }
    for (unsigned i = 0; i < 3; i++)
        assert_false(rate_allows(&rate, 5999, &left_out));
    assert_true(rate_allows(&rate, 6000, &left_out));
    assert_int_equal(left_out, 3);
    /* The first is a second old, the second is not. */
    assert_false(rate_allows(&rate, 6049, &left_out));
    assert_true(rate_allows(&rate, 6050, &left_out));
    assert_int_equal(left_out, 1);
}

TEST(after_a_pause_all_have_room_again)
{
    struct rate rate = RATE_INITIAL;
    unsigned left_out;

    for (uint64_t second = 5; second < 9; second++) {
        for (unsigned i = 0; i < RATE_LINES; i++)
            assert_true(rate_allows(&rate, second * 1000, &left_out));
        assert_false(rate_allows(&rate, second * 1000, &left_out));
    }
    assert_true(rate_allows(&rate, 9000, &left_out));
    assert_int_equal(left_out, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_lines_fit_into_any_second_and_the_next_says_how_many_did_not),
        cmocka_unit_test(after_a_pause_all_have_room_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
