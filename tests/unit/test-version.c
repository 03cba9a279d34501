#include "check.h"

#include <imapstate/version.h>

TEST(the_version_is_that_of_the_project)
{
    char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", IMAPSTATE_VERSION_MAJOR, IMAPSTATE_VERSION_MINOR, IMAPSTATE_VERSION_PATCH);
    assert_string_equal(text, PROJECT_VERSION); /* meson.build's */
    assert_string_equal(IMAPSTATE_VERSION_TEXT, text);
}

TEST(the_library_has_the_version_of_its_headers)
{
    assert_int_equal(imapstate_version(), IMAPSTATE_VERSION);
    assert_string_equal(imapstate_version_text(), IMAPSTATE_VERSION_TEXT);
}

TEST(a_later_version_is_a_greater_number)
{
    assert_int_equal(IMAPSTATE_VERSION >> 16, IMAPSTATE_VERSION_MAJOR);
    assert_true(IMAPSTATE_VERSION_MINOR < 256 && IMAPSTATE_VERSION_PATCH < 256);
    assert_int_equal((IMAPSTATE_VERSION >> 8) % 256, IMAPSTATE_VERSION_MINOR);
    assert_int_equal(IMAPSTATE_VERSION % 256, IMAPSTATE_VERSION_PATCH);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_version_is_that_of_the_project),
        cmocka_unit_test(the_library_has_the_version_of_its_headers),
        cmocka_unit_test(a_later_version_is_a_greater_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
