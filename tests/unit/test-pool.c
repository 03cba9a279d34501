#include "check.h"

#include "pool.h"

#include <string.h>

TEST(a_buffer_that_came_back_is_lent_again)
{
    struct pool pool = { 0 };
    uint8_t *first = pool_take(&pool), *second = pool_take(&pool);
    assert_non_null(first);
    assert_non_null(second);
    assert_ptr_not_equal(first, second);
    pool_give(&pool, first);
    assert_ptr_equal(pool_take(&pool), first);
    pool_give(&pool, second);
    pool_give(&pool, first);
    assert_int_equal(pool.kept_count, 2);
    pool_done(&pool);
    assert_int_equal(pool.kept_count, 0);
}

TEST(a_buffer_has_room_for_the_longest_line_and_one_octet)
{
    struct pool pool = { 0 };
    uint8_t *buffer = pool_take(&pool);
    memset(buffer, 'x', IMAPSTATE_LINE_MAX + 1); /* the sanitizer watches */
    assert_int_equal(POOL_BUFFER_OCTETS, IMAPSTATE_LINE_MAX + 1);
    pool_give(&pool, buffer);
    pool_done(&pool);
}

TEST(no_more_are_kept_than_told)
{
    static uint8_t *buffers[POOL_KEPT_MAX + 8];
    struct pool pool = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(buffers); i++)
        assert_non_null(buffers[i] = pool_take(&pool));
    for (size_t i = 0; i < ARRAY_LEN(buffers); i++)
        pool_give(&pool, buffers[i]);
    assert_int_equal(pool.kept_count, POOL_KEPT_MAX);
    pool_give(&pool, NULL);
    assert_int_equal(pool.kept_count, POOL_KEPT_MAX);
    pool_done(&pool);
}

TEST(nothing_is_kept_of_nothing)
{
    struct pool pool = { 0 };
    pool_give(&pool, NULL);
    assert_int_equal(pool.kept_count, 0);
    pool_done(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_that_came_back_is_lent_again),
        cmocka_unit_test(a_buffer_has_room_for_the_longest_line_and_one_octet),
        cmocka_unit_test(no_more_are_kept_than_told),
        cmocka_unit_test(nothing_is_kept_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
