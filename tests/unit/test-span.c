#include "check.h"

#include <imapstate/span.h>

#include <string.h>

TEST(a_span_of_text_ends_before_its_nul)
{
    assert_int_equal(imapstate_span_of("abc").len, 3);
    assert_int_equal(imapstate_span_of("").len, 0);
    assert_int_equal(imapstate_span_of(NULL).len, 0);
    assert_int_equal(IMAPSTATE_SPAN("a\0b").len, 3);
}

TEST(spans_are_equal_octet_for_octet_or_letter_for_letter)
{
    static const struct {
        const char *name;
        struct imapstate_span a, b;
        bool equal, equal_nocase;
    } rows[] = {
        { "the same", IMAPSTATE_SPAN("abc"), IMAPSTATE_SPAN("abc"), true, true },
        { "another case", IMAPSTATE_SPAN("aBc"), IMAPSTATE_SPAN("AbC"), false, true },
        { "another length", IMAPSTATE_SPAN("abc"), IMAPSTATE_SPAN("ab"), false, false },
        { "another octet behind NUL", IMAPSTATE_SPAN("a\0b"), IMAPSTATE_SPAN("a\0c"), false, false },
        { "both empty", IMAPSTATE_SPAN(""), { NULL, 0 }, true, true },
        { "only letters have cases: @ and `", IMAPSTATE_SPAN("@"), IMAPSTATE_SPAN("`"), false, false },
        { "only letters have cases: [ and {", IMAPSTATE_SPAN("["), IMAPSTATE_SPAN("{"), false, false },
        { "only ASCII has cases", IMAPSTATE_SPAN("\xc4"), IMAPSTATE_SPAN("\xe4"), false, false },
        { "the first and last letters", IMAPSTATE_SPAN("AZ"), IMAPSTATE_SPAN("az"), false, true },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CHECK_ROW(rows[i].name, imapstate_span_equal(rows[i].a, rows[i].b) == rows[i].equal);
        CHECK_ROW(rows[i].name, imapstate_span_equal(rows[i].b, rows[i].a) == rows[i].equal);
        CHECK_ROW(rows[i].name, imapstate_span_equal_nocase(rows[i].a, rows[i].b) == rows[i].equal_nocase);
        CHECK_ROW(rows[i].name, imapstate_span_equal_nocase(rows[i].b, rows[i].a) == rows[i].equal_nocase);
    }
}

TEST(a_needle_is_found_wherever_it_is)
{
    static const struct {
        const char *name;
        struct imapstate_span haystack, needle;
        bool want;
    } rows[] = {
        { "at the begin", IMAPSTATE_SPAN("abcdef"), IMAPSTATE_SPAN("ABC"), true },
        { "in the middle", IMAPSTATE_SPAN("abcdef"), IMAPSTATE_SPAN("CdE"), true },
        { "at the end", IMAPSTATE_SPAN("abcdef"), IMAPSTATE_SPAN("ef"), true },
        { "behind a false begin", IMAPSTATE_SPAN("aab"), IMAPSTATE_SPAN("ab"), true },
        { "behind NUL", IMAPSTATE_SPAN("\0ab"), IMAPSTATE_SPAN("ab"), true },
        { "cut off", IMAPSTATE_SPAN("abcde"), IMAPSTATE_SPAN("def"), false },
        { "too long", IMAPSTATE_SPAN("ab"), IMAPSTATE_SPAN("abc"), false },
        { "empty in something", IMAPSTATE_SPAN("ab"), IMAPSTATE_SPAN(""), true },
        { "empty in nothing", { NULL, 0 }, IMAPSTATE_SPAN(""), true },
        { "something in nothing", { NULL, 0 }, IMAPSTATE_SPAN("a"), false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_ROW(rows[i].name, imapstate_span_contains_nocase(rows[i].haystack, rows[i].needle) == rows[i].want);
}

TEST(one_line_end_is_taken_off_a_line)
{
    static const struct {
        const char *name;
        struct imapstate_span line, want;
    } rows[] = {
        { "CRLF", IMAPSTATE_SPAN("a\r\n"), IMAPSTATE_SPAN("a") },
        { "LF alone", IMAPSTATE_SPAN("a\n"), IMAPSTATE_SPAN("a") },
        { "CR alone is no end", IMAPSTATE_SPAN("a\r"), IMAPSTATE_SPAN("a\r") },
        { "only one", IMAPSTATE_SPAN("a\n\n"), IMAPSTATE_SPAN("a\n") },
        { "nothing but the end", IMAPSTATE_SPAN("\r\n"), IMAPSTATE_SPAN("") },
        { "nothing", IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_ROW(rows[i].name, imapstate_span_equal(imapstate_span_without_line_end(rows[i].line), rows[i].want));
}

TEST(a_buffer_holds_what_was_put_up_to_its_limit)
{
    struct imapstate_buf buf;
    imapstate_buf_init(&buf, 1000);
    assert_null(buf.at);
    for (size_t i = 0; i < 1000; i++) {
        assert_true(imapstate_buf_put_byte(&buf, (uint8_t)i));
        assert_true(buf.len == i + 1 && buf.len <= buf.size && buf.size <= buf.max);
    }
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(buf.at[i], (uint8_t)i);
    assert_false(imapstate_buf_put_byte(&buf, 0));
    assert_false(imapstate_buf_printf(&buf, "x"));
    assert_true(imapstate_buf_put(&buf, (struct imapstate_span){ NULL, 0 }));
    assert_int_equal(buf.len, 1000);
    imapstate_buf_done(&buf);
}

TEST(what_does_not_fit_is_not_put_in_part)
{
    struct imapstate_buf buf;
    imapstate_buf_init(&buf, 5);
    assert_true(imapstate_buf_put(&buf, IMAPSTATE_SPAN("abc")));
    assert_false(imapstate_buf_put(&buf, IMAPSTATE_SPAN("def")));
    assert_false(imapstate_buf_printf(&buf, "%d", 123));
    assert_true(imapstate_buf_printf(&buf, "%d", 45));
    CHECK_SPAN("full", imapstate_buf_span(&buf), IMAPSTATE_SPAN("abc45"));
    /* The sum of the two lengths would wrap. */
    assert_false(imapstate_buf_put(&buf, (struct imapstate_span){ buf.at, SIZE_MAX }));
    imapstate_buf_done(&buf);
}

TEST(a_buffer_of_no_limit_grows_and_one_of_limit_zero_does_not)
{
    struct imapstate_buf buf;
    imapstate_buf_init(&buf, SIZE_MAX);
    for (size_t i = 0; i < 3000; i++)
        assert_true(imapstate_buf_put(&buf, IMAPSTATE_SPAN("0123456789")));
    assert_int_equal(buf.len, 30000);
    assert_memory_equal(buf.at + 29990, "0123456789", 10);
    imapstate_buf_done(&buf);
    imapstate_buf_init(&buf, 0);
    assert_false(imapstate_buf_put_byte(&buf, 'a'));
    assert_true(imapstate_buf_printf(&buf, "%s", ""));
    imapstate_buf_done(&buf);
}

TEST(octets_that_are_dropped_or_cleared_are_wiped)
{
    static const uint8_t zeros[6];
    struct imapstate_buf buf;
    imapstate_buf_init(&buf, 100);
    assert_true(imapstate_buf_put(&buf, IMAPSTATE_SPAN("secret")));
    imapstate_buf_drop(&buf, 0);
    imapstate_buf_drop(&buf, 2);
    CHECK_SPAN("the rest", imapstate_buf_span(&buf), IMAPSTATE_SPAN("cret"));
    assert_memory_equal(buf.at + 4, zeros, 2);
    imapstate_buf_clear(&buf);
    assert_int_equal(buf.len, 0);
    assert_memory_equal(buf.at, zeros, 6);
    assert_true(imapstate_buf_put(&buf, IMAPSTATE_SPAN("x")));
    imapstate_buf_drop(&buf, 1);
    assert_int_equal(buf.len, 0);
    imapstate_buf_done(&buf);
}

TEST(a_buffer_that_is_done_may_be_used_again)
{
    struct imapstate_buf buf = { .max = 3 };
    imapstate_buf_clear(&buf);
    imapstate_buf_drop(&buf, 0);
    imapstate_buf_done(&buf);
    assert_true(imapstate_buf_put(&buf, IMAPSTATE_SPAN("abc")));
    imapstate_buf_done(&buf);
    assert_true(buf.at == NULL && buf.len == 0 && buf.size == 0 && buf.max == 3);
    assert_false(imapstate_buf_put(&buf, IMAPSTATE_SPAN("abcd")));
    assert_true(imapstate_buf_put(&buf, IMAPSTATE_SPAN("abc")));
    imapstate_buf_done(&buf);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_span_of_text_ends_before_its_nul),
        cmocka_unit_test(spans_are_equal_octet_for_octet_or_letter_for_letter),
        cmocka_unit_test(a_needle_is_found_wherever_it_is),
        cmocka_unit_test(one_line_end_is_taken_off_a_line),
        cmocka_unit_test(a_buffer_holds_what_was_put_up_to_its_limit),
        cmocka_unit_test(what_does_not_fit_is_not_put_in_part),
        cmocka_unit_test(a_buffer_of_no_limit_grows_and_one_of_limit_zero_does_not),
        cmocka_unit_test(octets_that_are_dropped_or_cleared_are_wiped),
        cmocka_unit_test(a_buffer_that_is_done_may_be_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
