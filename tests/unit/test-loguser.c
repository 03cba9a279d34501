#include "check.h"

#include "loguser.h"

#include <stdlib.h>
#include <string.h>

#define ANN IMAPSTATE_SPAN("ann")

TEST(who_is_on_the_list_is_found_in_any_case)
{
    assert_int_equal(loguser_generation(), 0);
    assert_false(loguser_has(ANN));
    assert_true(loguser_add(ANN));
    assert_true(loguser_has(ANN));
    assert_true(loguser_has(IMAPSTATE_SPAN("ANN")));
    assert_false(loguser_has(IMAPSTATE_SPAN("an")));
    assert_false(loguser_has(IMAPSTATE_SPAN("anna")));
    assert_false(loguser_has(IMAPSTATE_SPAN("")));
    assert_true(loguser_remove(IMAPSTATE_SPAN("Ann")));
    assert_false(loguser_has(ANN));
    assert_false(loguser_remove(ANN));
}

TEST(the_generation_changes_with_the_list_alone)
{
    uint32_t before = loguser_generation();
    loguser_add(ANN);
    assert_int_not_equal(loguser_generation(), before);
    before = loguser_generation();
    assert_true(loguser_add(ANN));
    assert_false(loguser_remove(IMAPSTATE_SPAN("bob")));
    assert_int_equal(loguser_generation(), before);
    loguser_remove_all();
    assert_int_not_equal(loguser_generation(), before);
    before = loguser_generation();
    loguser_remove_all();
    assert_int_equal(loguser_generation(), before);
}

TEST(the_list_is_bounded_in_names_and_in_their_length)
{
    uint8_t name[LOGUSER_NAME_MAX + 1];
    memset(name, 'x', sizeof name);
    assert_false(loguser_add(IMAPSTATE_SPAN("")));
    assert_false(loguser_add((struct imapstate_span){ name, LOGUSER_NAME_MAX + 1 }));
    for (size_t i = 0; i < LOGUSER_MAX; i++)
        assert_true(loguser_add((struct imapstate_span){ name, LOGUSER_NAME_MAX - i }));
    assert_false(loguser_add(ANN));
    assert_true(loguser_add((struct imapstate_span){ name, LOGUSER_NAME_MAX })); /* is there */
    assert_true(loguser_remove((struct imapstate_span){ name, LOGUSER_NAME_MAX }));
    assert_true(loguser_add(ANN));
    assert_true(loguser_has((struct imapstate_span){ name, LOGUSER_NAME_MAX - 31 }));
    loguser_remove_all();
    assert_false(loguser_has(ANN));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_on_the_list_is_found_in_any_case),
        cmocka_unit_test(the_generation_changes_with_the_list_alone),
        cmocka_unit_test(the_list_is_bounded_in_names_and_in_their_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
