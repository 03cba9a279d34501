#include "check.h"

#include "username.h"

#include <string.h>

static const struct {
    const char *name;
    struct imapstate_span octets;
    const char *text;
} rows[] = {
    { "plain", IMAPSTATE_SPAN("ann@example.org"), "ann@example.org" },
    { "a space and a quote", IMAPSTATE_SPAN("a \"b"), "a\\x20\\x22b" },
    { "a backslash", IMAPSTATE_SPAN("a\\b"), "a\\x5cb" },
    { "UTF-8", IMAPSTATE_SPAN("j\xc3\xbcrg"), "j\\xc3\\xbcrg" },
    { "an escape sequence", IMAPSTATE_SPAN("\x1b[2J"), "\\x1b[2J" },
    { "a NUL", IMAPSTATE_SPAN("a\0b"), "a\\x00b" },
};

TEST(what_is_shown_can_be_written)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        json_t *shown = username_show(rows[i].octets);
        struct imapstate_buf name;
        imapstate_buf_init(&name, USERNAME_MAX);
        CHECK_ROW(rows[i].name, strcmp(json_string_value(shown), rows[i].text) == 0);
        CHECK_ROW(rows[i].name, username_read(json_string_value(shown), &name));
        CHECK_SPAN(rows[i].name, imapstate_buf_span(&name), rows[i].octets);
        imapstate_buf_done(&name);
        json_decref(shown);
    }
}

TEST(nobody_has_no_name)
{
    json_t *shown = username_show((struct imapstate_span){ 0 });
    assert_true(json_is_null(shown));
    json_decref(shown);
}

TEST(a_name_may_be_written_in_other_ways)
{
    struct imapstate_buf name;
    imapstate_buf_init(&name, USERNAME_MAX);
    assert_true(username_read("j\xc3\xbcrg \\x5C\\x5c\\x4a", &name));
    CHECK_SPAN("octets as they are", imapstate_buf_span(&name), IMAPSTATE_SPAN("j\xc3\xbcrg \\\\J"));
    imapstate_buf_done(&name);
}

TEST(a_backslash_stands_for_nothing_else)
{
    static const char *const wrong[] = {
        "\\", "a\\", "\\x", "\\x1", "\\xg0", "\\x0g", "\\\\", "\\n", "\\X20", "\\x-1"
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct imapstate_buf name;
        imapstate_buf_init(&name, USERNAME_MAX);
        CHECK_ROW(wrong[i], !username_read(wrong[i], &name));
        imapstate_buf_done(&name);
    }
}

TEST(a_name_that_is_too_long_is_refused)
{
    struct imapstate_buf name;
    imapstate_buf_init(&name, 3);
    assert_true(username_read("\\x20b\\x20", &name));
    imapstate_buf_clear(&name);
    assert_false(username_read("abcd", &name));
    imapstate_buf_done(&name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_shown_can_be_written),        cmocka_unit_test(nobody_has_no_name),
        cmocka_unit_test(a_name_may_be_written_in_other_ways), cmocka_unit_test(a_backslash_stands_for_nothing_else),
        cmocka_unit_test(a_name_that_is_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
