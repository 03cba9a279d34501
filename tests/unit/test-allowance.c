#include "check.h"

#include <limits.h>
#include <string.h>

#include "allowance.h"

static const uint8_t *key(unsigned number)
{
    static uint8_t keys[2][PROOF_HASH_OCTETS];
    static unsigned turn;
    uint8_t *octets = keys[turn++ % 2];
    memset(octets, 0, PROOF_HASH_OCTETS);
    memcpy(octets, &number, sizeof number);
    return octets;
}

TEST(a_limit_is_known_for_an_hour_since_it_was_last_shown)
{
    struct allowances allowances = { 0 };
    assert_int_equal(allowances_of(&allowances, key(1), 1000), UINT_MAX);
    allowances_cut(&allowances, key(1), 3, 1000);
    assert_int_equal(allowances_of(&allowances, key(1), 1000 + ALLOWANCE_MS - 1), 3);
    assert_int_equal(allowances_of(&allowances, key(2), 1000), UINT_MAX);
    allowances_cut(&allowances, key(1), 5, 2000); /* no more than is known already */
    assert_int_equal(allowances_of(&allowances, key(1), 2000), 3);
    allowances_cut(&allowances, key(1), 1, 3000);
    assert_int_equal(allowances_of(&allowances, key(1), 3000 + ALLOWANCE_MS - 1), 1);
    assert_int_equal(allowances_of(&allowances, key(1), 3000 + ALLOWANCE_MS), UINT_MAX);
    allowances_cut(&allowances, key(1), 4, 3000 + ALLOWANCE_MS); /* what is over does not count */
    assert_int_equal(allowances_of(&allowances, key(1), 3000 + ALLOWANCE_MS), 4);
    allowances_done(&allowances);
    assert_int_equal(allowances_of(&allowances, key(1), 3000), UINT_MAX);
}

TEST(a_press_is_short_and_no_limit)
{
    struct allowances allowances = { 0 };
    assert_false(allowances_is_pressed(&allowances, key(1), 0));
    allowances_press(&allowances, key(1), 1000);
    assert_true(allowances_is_pressed(&allowances, key(1), 1000 + ALLOWANCE_PRESS_MS - 1));
    assert_false(allowances_is_pressed(&allowances, key(1), 1000 + ALLOWANCE_PRESS_MS));
    assert_false(allowances_is_pressed(&allowances, key(2), 1000));
    assert_int_equal(allowances_of(&allowances, key(1), 1000), UINT_MAX);
    assert_int_equal(allowances_sweep(&allowances, 1000), 0);
    allowances_cut(&allowances, key(1), 2, 1100); /* a cut forgets no press, and a press no limit */
    assert_true(allowances_is_pressed(&allowances, key(1), 1100));
    allowances_press(&allowances, key(1), 1200);
    assert_int_equal(allowances_of(&allowances, key(1), 1200), 2);
    assert_int_equal(allowances.count, 1);
    allowances_done(&allowances);
}

TEST(what_is_over_is_forgotten)
{
    struct allowances allowances = { 0 };
    allowances_cut(&allowances, key(1), 1, 1000);
    allowances_cut(&allowances, key(2), 1, 2000);
    allowances_press(&allowances, key(3), 3000);
    allowances_cut(&allowances, key(1), 1, 4000); /* once more: it is the last to go */
    assert_int_equal(allowances_sweep(&allowances, 2000 + ALLOWANCE_MS - 1), 2);
    assert_int_equal(allowances.count, 3);
    assert_int_equal(allowances_sweep(&allowances, 3000 + ALLOWANCE_MS), 1);
    assert_int_equal(allowances.count, 1);
    assert_int_equal(allowances_sweep(&allowances, 4000 + ALLOWANCE_MS), 0);
    assert_int_equal(allowances.count, 0);
}

TEST(of_too_many_the_oldest_is_forgotten)
{
    struct allowances allowances = { 0 };
    for (unsigned i = 0; i < ALLOWANCES_MAX; i++)
        allowances_cut(&allowances, key(i), 1, 1000 + i);
    allowances_cut(&allowances, key(0), 1, 9000);
    assert_int_equal(allowances.count, ALLOWANCES_MAX);
    for (unsigned i = 0; i < 10; i++)
        allowances_cut(&allowances, key(ALLOWANCES_MAX + i), 1, 9001);
    assert_int_equal(allowances.count, ALLOWANCES_MAX);
    assert_int_equal(allowances_of(&allowances, key(0), 9001), 1);
    for (unsigned i = 1; i < 20; i++)
        assert_int_equal(allowances_of(&allowances, key(i), 9001), i <= 10 ? UINT_MAX : 1);
    allowances_done(&allowances);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limit_is_known_for_an_hour_since_it_was_last_shown),
        cmocka_unit_test(a_press_is_short_and_no_limit),
        cmocka_unit_test(what_is_over_is_forgotten),
        cmocka_unit_test(of_too_many_the_oldest_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
