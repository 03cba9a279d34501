#include "check.h"

#include "outage.h"

TEST(an_upstream_is_down_until_it_is_up)
{
    assert_false(outage_is("main"));
    assert_true(outage_begin("main"));
    assert_true(outage_is("main"));
    assert_false(outage_is("other"));
    assert_false(outage_is("mai"));
    outage_end("other");
    assert_true(outage_is("main"));
    outage_end("main");
    assert_false(outage_is("main"));
}

TEST(twice_down_is_down_and_once_up_is_up)
{
    assert_true(outage_begin("main"));
    assert_true(outage_begin("main"));
    assert_true(outage_begin("other"));
    outage_end("main");
    assert_false(outage_is("main"));
    assert_true(outage_is("other"));
    outage_done();
    assert_false(outage_is("other"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_upstream_is_down_until_it_is_up),
        cmocka_unit_test(twice_down_is_down_and_once_up_is_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
