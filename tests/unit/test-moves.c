#include "check.h"

#include "moves.h"

enum { IDLE, BUSY, OVER };

static const char *const names[] = { "IDLE", "BUSY", "OVER" };
static const unsigned may_enter[] = {
    [IDLE] = MOVES_BIT(BUSY) | MOVES_BIT(OVER),
    [BUSY] = MOVES_BIT(IDLE),
    [OVER] = 0,
};
static const struct moves moves = { "thing", names, may_enter };

TEST(a_move_that_is_drawn_is_allowed)
{
    assert_true(moves_allow(&moves, IDLE, BUSY));
    assert_true(moves_allow(&moves, IDLE, OVER));
    assert_true(moves_allow(&moves, BUSY, IDLE));
}

TEST(any_other_is_refused_and_ends_nothing)
{
    for (unsigned to = IDLE; to <= OVER; to++)
        assert_false(moves_allow(&moves, OVER, to));
    assert_false(moves_allow(&moves, IDLE, IDLE));
    assert_false(moves_allow(&moves, BUSY, OVER));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_move_that_is_drawn_is_allowed),
        cmocka_unit_test(any_other_is_refused_and_ends_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
