#include "check.h"

#include <string.h>

#include "loopcounters.h"

/* Whatever is added to the struct is to be summed: all of it is made of these. */
TEST(each_number_is_summed)
{
    struct loop_counters one, two;
    uint64_t numbers[sizeof one / sizeof(uint64_t)];
    assert_int_equal(sizeof one % sizeof(uint64_t), 0);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        numbers[i] = i + 1;
    memcpy(&one, numbers, sizeof one);
    memcpy(&two, numbers, sizeof two);
    loop_counters_add(&one, &two);
    memcpy(numbers, &one, sizeof one);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        assert_int_equal(numbers[i], 2 * (i + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(each_number_is_summed) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
