#include "check.h"

#include "outage.h"

TEST(an_upstream_is_down_until_it_is_up)
{
    assert_false(outage_is("main", NULL));
    assert_true(outage_begin("main", NULL, OUTAGE_DOWN));
    assert_true(outage_is("main", NULL));
    assert_false(outage_is("other", NULL));
    assert_false(outage_is("mai", NULL));
    outage_end("other", NULL);
    assert_true(outage_is("main", NULL));
    outage_end("main", NULL);
    assert_false(outage_is("main", NULL));
}

TEST(twice_down_is_down_and_once_up_is_up)
{
    assert_true(outage_begin("main", NULL, OUTAGE_DOWN));
    assert_true(outage_begin("main", NULL, OUTAGE_DOWN));
    assert_true(outage_begin("other", NULL, OUTAGE_DOWN));
    outage_end("main", NULL);
    assert_false(outage_is("main", NULL));
    assert_true(outage_is("other", NULL));
    outage_done();
    assert_false(outage_is("other", NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_upstream_is_down_until_it_is_up),
        cmocka_unit_test(twice_down_is_down_and_once_up_is_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
