#include "check.h"

#include "logquote.h"
#include "revocations.h"

#include <imapstate/token.h>

#include <stdlib.h>
#include <string.h>

#define LINE   "a line must be \"USER SECONDS\""
#define NAME   "a user must be written as in the log, with \\xHH for a space, a quote or a backslash"
#define LENGTH "a user is longer than any token's"
#define TIME   "SECONDS must be a time in seconds since 1970, up to the year 9999"

/* What is wrong with the last text: "LINE: why". */
static char wrong[200];

static struct revocations *read_after(struct imapstate_span text, uint64_t forget_before_s)
{
    struct imapstate_buf buf;
    size_t line;
    const char *why;
    imapstate_buf_init(&buf, REVOCATIONS_TEXT_MAX);
    assert_true(imapstate_buf_put(&buf, text));
    struct revocations *revocations = revocations_read(&buf, forget_before_s, &line, &why);
    assert_int_equal(buf.size, 0);
    assert_true(revocations || line > 0);
    snprintf(wrong, sizeof wrong, "%zu: %s", line, revocations ? "" : why);
    return revocations;
}

static uint64_t second(const struct revocations *revocations, struct imapstate_span user)
{
    return revocations_second(revocations, user);
}

static const struct {
    const char *name;
    struct imapstate_span text, user;
    uint64_t second_s;
    size_t count;
} texts[] = {
    { "an empty text", IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("ann"), 0, 0 },
    { "the user's line", IMAPSTATE_SPAN("ann 7\n"), IMAPSTATE_SPAN("ann"), 7, 1 },
    { "another user's", IMAPSTATE_SPAN("bob 7\n"), IMAPSTATE_SPAN("ann"), 0, 1 },
    { "one that begins like it", IMAPSTATE_SPAN("anna 7\n"), IMAPSTATE_SPAN("ann"), 0, 1 },
    { "that it begins like", IMAPSTATE_SPAN("an 7\n"), IMAPSTATE_SPAN("ann"), 0, 1 },
    { "no line end", IMAPSTATE_SPAN("ann 7"), IMAPSTATE_SPAN("ann"), 7, 1 },
    { "the last that can be", IMAPSTATE_SPAN("ann 253402300799\n"), IMAPSTATE_SPAN("ann"), 253402300799, 1 },
    { "zeros in front", IMAPSTATE_SPAN("ann 00000000000000000000007\n"), IMAPSTATE_SPAN("ann"), 7, 1 },
    { "all users", IMAPSTATE_SPAN("* 7\n"), IMAPSTATE_SPAN("ann"), 7, 0 },
    { "all, and the user later", IMAPSTATE_SPAN("* 7\nann 8\n"), IMAPSTATE_SPAN("ann"), 8, 1 },
    { "all, and the user before", IMAPSTATE_SPAN("ann 6\n* 7\n"), IMAPSTATE_SPAN("ann"), 7, 1 },
    { "all more than once", IMAPSTATE_SPAN("* 6\n* 8\n* 7\n"), IMAPSTATE_SPAN("ann"), 8, 0 },
    { "the user more than once", IMAPSTATE_SPAN("ann 6\nann 8\nbob 9\nann 7\n"), IMAPSTATE_SPAN("ann"), 8, 2 },
    { "many", IMAPSTATE_SPAN("d 1\nb 2\ne 3\na 4\nc 5\n"), IMAPSTATE_SPAN("c"), 5, 5 },
    { "comments and empty lines", IMAPSTATE_SPAN("# ann 9\n\nann 7\n\n#"), IMAPSTATE_SPAN("ann"), 7, 1 },
    { "the line in another case", IMAPSTATE_SPAN("Ann@Example.ORG 7\n"), IMAPSTATE_SPAN("ann@example.org"), 7, 1 },
    { "the user in another case", IMAPSTATE_SPAN("ann 7\n"), IMAPSTATE_SPAN("ANN"), 7, 1 },
    { "cases are one user", IMAPSTATE_SPAN("ann 7\nAnn 8\n"), IMAPSTATE_SPAN("aNN"), 8, 1 },
    { "no letters", IMAPSTATE_SPAN("[@ 7\n"), IMAPSTATE_SPAN("{`"), 0, 1 },
    { "a space", IMAPSTATE_SPAN("ann\\x20smith 7\n"), IMAPSTATE_SPAN("ann smith"), 7, 1 },
    { "a backslash and a quote", IMAPSTATE_SPAN("D\\x5cann\\x22 7\n"), IMAPSTATE_SPAN("d\\ann\""), 7, 1 },
    { "hexadecimal digits of either case", IMAPSTATE_SPAN("\\xc3\\xBC 7\n"), IMAPSTATE_SPAN("\xc3\xbc"), 7, 1 },
    { "UTF-8 as it is", IMAPSTATE_SPAN("\xc3\xbc 7\n"), IMAPSTATE_SPAN("\xc3\xbc"), 7, 1 },
    { "a letter may be written so, too", IMAPSTATE_SPAN("\\x41nn 7\n"), IMAPSTATE_SPAN("ann"), 7, 1 },
    { "a NUL", IMAPSTATE_SPAN("a\\x00b 7\n"), IMAPSTATE_SPAN("a\0b"), 7, 1 },
    { "a user *", IMAPSTATE_SPAN("\\x2a 7\n"), IMAPSTATE_SPAN("*"), 7, 1 },
    { "is not all", IMAPSTATE_SPAN("\\x2a 7\n"), IMAPSTATE_SPAN("ann"), 0, 1 },
    { "** is a user", IMAPSTATE_SPAN("** 7\n"), IMAPSTATE_SPAN("ann"), 0, 1 },
    { "a user #", IMAPSTATE_SPAN("\\x23 7\n"), IMAPSTATE_SPAN("#"), 7, 1 },
    { "no user has nothing of its own", IMAPSTATE_SPAN("ann 7\n"), IMAPSTATE_SPAN(""), 0, 1 },
};

TEST(the_latest_second_that_concerns_a_user_counts)
{
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct revocations *revocations = read_after(texts[i].text, 0);
        CHECK_ROW(texts[i].name, revocations != NULL);
        CHECK_ROW(texts[i].name, second(revocations, texts[i].user) == texts[i].second_s);
        CHECK_ROW(texts[i].name, revocations_count(revocations) == texts[i].count);
        revocations_unref(revocations);
    }
}

static const struct {
    const char *name;
    struct imapstate_span text;
    const char *wrong;
} broken[] = {
    { "a user alone", IMAPSTATE_SPAN("ann\n"), "1: " LINE },
    { "no user", IMAPSTATE_SPAN(" 7\n"), "1: " LINE },
    { "a blank line", IMAPSTATE_SPAN(" \n"), "1: " LINE },
    { "in a later line", IMAPSTATE_SPAN("# x\n\nann 7\nbob\n"), "4: " LINE },
    { "no seconds", IMAPSTATE_SPAN("ann \n"), "1: " TIME },
    { "two spaces", IMAPSTATE_SPAN("ann  7\n"), "1: " TIME },
    { "a space behind", IMAPSTATE_SPAN("ann 7 \n"), "1: " TIME },
    { "CRLF", IMAPSTATE_SPAN("ann 7\r\n"), "1: " TIME },
    { "HT", IMAPSTATE_SPAN("ann\t7\n"), "1: " LINE },
    { "no number", IMAPSTATE_SPAN("ann x\n"), "1: " TIME },
    { "a sign", IMAPSTATE_SPAN("ann -7\n"), "1: " TIME },
    { "a fraction", IMAPSTATE_SPAN("ann 7.5\n"), "1: " TIME },
    { "a date", IMAPSTATE_SPAN("ann 2026-11-24T00:00:00Z\n"), "1: " TIME },
    { "milliseconds", IMAPSTATE_SPAN("ann 1795478400000\n"), "1: " TIME },
    { "past the year 9999", IMAPSTATE_SPAN("ann 253402300800\n"), "1: " TIME },
    { "past 64 bits", IMAPSTATE_SPAN("ann 18446744073709551623\n"), "1: " TIME },
    { "all, no number", IMAPSTATE_SPAN("* x\n"), "1: " TIME },
    { "quotes", IMAPSTATE_SPAN("\"ann\" 7\n"), "1: " NAME },
    { "a user with a space", IMAPSTATE_SPAN("ann smith 7\n"), "1: " TIME },
    { "a control", IMAPSTATE_SPAN("a\x01 7\n"), "1: " NAME },
    { "DEL", IMAPSTATE_SPAN("a\x7f 7\n"), "1: " NAME },
    { "a NUL", IMAPSTATE_SPAN("a\0b 7\n"), "1: " NAME },
    { "a backslash at the end", IMAPSTATE_SPAN("a\\ 7\n"), "1: " NAME },
    { "a backslash for itself", IMAPSTATE_SPAN("D\\ann 7\n"), "1: " NAME },
    { "a digit too few", IMAPSTATE_SPAN("a\\x2 7\n"), "1: " NAME },
    { "no digit", IMAPSTATE_SPAN("a\\x2g 7\n"), "1: " NAME },
    { "another letter", IMAPSTATE_SPAN("a\\u20 7\n"), "1: " NAME },
};

TEST(a_broken_line_is_told_with_its_number)
{
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        struct revocations *revocations = read_after(broken[i].text, 0);
        CHECK_ROW(broken[i].name, revocations == NULL);
        CHECK_SPAN(broken[i].name, imapstate_span_of(wrong), imapstate_span_of(broken[i].wrong));
        /* Also where the line is too old to count. */
        CHECK_ROW(broken[i].name, read_after(broken[i].text, UINT64_MAX) == NULL);
    }
}

TEST(a_text_that_is_cut_is_read_up_to_there_or_broken)
{
    static const char text[] = "# x\nann 17\n* 5\nb\\x20b 1795478400\n";
    for (size_t len = 0; len < sizeof text; len++) {
        struct revocations *revocations = read_after((struct imapstate_span){ (const uint8_t *)text, len }, 0);
        if (!revocations)
            continue;
        uint64_t ann_s = second(revocations, IMAPSTATE_SPAN("ann"));
        assert_true(ann_s == 0 || ann_s == 1 || ann_s == 17);
        revocations_unref(revocations);
    }
}

TEST(a_name_may_be_as_long_as_a_token)
{
    static char name[IMAPSTATE_TOKEN_MAX + 1], line[sizeof name + 10];
    memset(name, 'a', sizeof name);
    for (size_t len = IMAPSTATE_TOKEN_MAX; len <= sizeof name; len++) {
        bool may_be = len == IMAPSTATE_TOKEN_MAX;
        snprintf(line, sizeof line, "%.*s 7\n* 3\n", (int)len, name);
        struct revocations *revocations = read_after(imapstate_span_of(line), 0);
        assert_true((revocations != NULL) == may_be);
        if (may_be)
            assert_int_equal(second(revocations, (struct imapstate_span){ (const uint8_t *)name, len }), 7);
        else
            assert_string_equal(wrong, "1: " LENGTH);
        /* A longer user has no line. */
        if (may_be)
            assert_int_equal(second(revocations, (struct imapstate_span){ (const uint8_t *)name, len + 1 }), 3);
        revocations_unref(revocations);
    }
}

TEST(what_no_token_outlives_is_forgotten)
{
    static const char text[] = "ann 99\nbob 100\n* 98\ncid 7\nann 50\n";
    struct revocations *revocations = read_after(imapstate_span_of(text), 100);
    assert_int_equal(revocations_count(revocations), 1);
    assert_int_equal(second(revocations, IMAPSTATE_SPAN("ann")), 0);
    assert_int_equal(second(revocations, IMAPSTATE_SPAN("bob")), 100);
    revocations_unref(revocations);
    revocations = read_after(imapstate_span_of(text), 98);
    assert_int_equal(second(revocations, IMAPSTATE_SPAN("ann")), 99);
    assert_int_equal(second(revocations, IMAPSTATE_SPAN("cid")), 98);
    revocations_unref(revocations);
}

/* A user can be taken from the log as it stands there. */
TEST(a_user_is_written_as_in_the_log)
{
    for (unsigned octet = 0; octet < 256; octet++) {
        const uint8_t name[] = { 'a', (uint8_t)octet, 'b' };
        char quoted[32], line[64];
        snprintf(line, sizeof line, "%s 7\n",
                 log_quote((struct imapstate_span){ name, sizeof name }, quoted, sizeof quoted));
        struct revocations *revocations = read_after(imapstate_span_of(line), 0);
        assert_non_null(revocations);
        assert_int_equal(second(revocations, (struct imapstate_span){ name, sizeof name }), 7);
        revocations_unref(revocations);
    }
}

/* In an order that is neither that of their names nor the reverse. */
TEST(each_of_a_million_lines_is_found)
{
    enum { COUNT = 1000000 };
    struct imapstate_buf text;
    size_t line;
    const char *why;
    char user[32];
    imapstate_buf_init(&text, REVOCATIONS_TEXT_MAX);
    for (uint64_t i = 0; i < COUNT; i++)
        assert_true(imapstate_buf_printf(&text, "user%u@example.org %u\n", (unsigned)(i * 7919 % COUNT),
                                         1700000000u + (unsigned)i));
    struct revocations *revocations = revocations_read(&text, 0, &line, &why);
    assert_non_null(revocations);
    assert_int_equal(revocations_count(revocations), COUNT);
    for (uint64_t i = 0; i < COUNT; i++) {
        snprintf(user, sizeof user, "user%u@example.org", (unsigned)(i * 7919 % COUNT));
        if (second(revocations, imapstate_span_of(user)) != 1700000000u + i)
            fail_msg("%s", user);
    }
    assert_int_equal(second(revocations, IMAPSTATE_SPAN("user1000000@example.org")), 0);
    revocations_unref(revocations);
}

TEST(who_has_a_reference_keeps_them)
{
    struct revocations *revocations = read_after(IMAPSTATE_SPAN("ann 7\n"), 0);
    revocations_unref(revocations_ref(revocations));
    assert_int_equal(second(revocations, IMAPSTATE_SPAN("ann")), 7);
    revocations_unref(revocations);
    revocations_unref(NULL);
}

TEST(what_lies_over_others_adds_to_them)
{
    struct imapstate_buf text;
    struct revocations *base = read_after(IMAPSTATE_SPAN("ann 7\nbob 7\n* 3\n"), 0);
    imapstate_buf_init(&text, REVOCATIONS_TEXT_MAX);
    assert_true(imapstate_buf_put(&text, IMAPSTATE_SPAN("ann 5\nbob 9\ncid 4\n")));
    struct revocations *over = revocations_read_over(base, &text);
    assert_non_null(over);
    assert_ptr_equal(revocations_base(over), base);
    assert_ptr_equal(revocations_base(base), base);
    assert_true(revocations_are_newer(over, base));
    assert_false(revocations_are_newer(base, over) || revocations_are_newer(base, base));
    revocations_unref(base);
    assert_int_equal(second(over, IMAPSTATE_SPAN("ann")), 7);
    assert_int_equal(second(over, IMAPSTATE_SPAN("bob")), 9);
    assert_int_equal(second(over, IMAPSTATE_SPAN("cid")), 4);
    assert_int_equal(second(over, IMAPSTATE_SPAN("dan")), 3);
    assert_int_equal(revocations_second_for_all(over), 3);
    revocations_unref(over);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_latest_second_that_concerns_a_user_counts),
        cmocka_unit_test(a_broken_line_is_told_with_its_number),
        cmocka_unit_test(a_text_that_is_cut_is_read_up_to_there_or_broken),
        cmocka_unit_test(a_name_may_be_as_long_as_a_token),
        cmocka_unit_test(what_no_token_outlives_is_forgotten),
        cmocka_unit_test(a_user_is_written_as_in_the_log),
        cmocka_unit_test(each_of_a_million_lines_is_found),
        cmocka_unit_test(who_has_a_reference_keeps_them),
        cmocka_unit_test(what_lies_over_others_adds_to_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
