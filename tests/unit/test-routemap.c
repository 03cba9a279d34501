#include "check.h"

#include "routemap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has_upstream(void *owner, struct imapstate_span name)
{
    unsigned *asked = owner;
    (*asked)++;
    return imapstate_span_equal(name, IMAPSTATE_SPAN("main")) || imapstate_span_equal(name, IMAPSTATE_SPAN("hosting"));
}

static struct routemap *read_span(struct imapstate_span given, size_t *ret_line, char *ret_wrong)
{
    unsigned asked = 0;
    struct imapstate_buf text;
    imapstate_buf_init(&text, ROUTEMAP_TEXT_MAX);
    assert_true(imapstate_buf_put(&text, given));
    struct routemap *map = routemap_read(&text, has_upstream, &asked, ret_line, ret_wrong);
    assert_int_equal(text.len, 0);
    imapstate_buf_done(&text);
    return map;
}

static struct routemap *read_text(const char *given)
{
    size_t line;
    char wrong[ROUTEMAP_WRONG_MAX];
    struct routemap *map = read_span(imapstate_span_of(given), &line, wrong);
    if (!map)
        fail_msg("%s: line %zu: %s", given, line, wrong);
    return map;
}

static const char text[] = "# users\n"
                           "ann@example.net  main\n"
                           "\n"
                           "   Bob@Example.NET\thosting user=b\\x20b address=192.0.2.7:143 # moved\n"
                           "@example.net main address=[2001:db8::1]:993\n"
                           "j\\xc3\\xbcrgen main user=x#1\r\n"
                           "\\x23odd main\n"
                           "last hosting";

static const struct {
    const char *name, *key, *upstream, *user, *address;
    size_t line; /* 0: it is not there */
} lookups[] = {
    { "a user", "ann@example.net", "main", "", "", 2 },
    { "letters in either case", "ANN@example.net", "main", "", "", 2 },
    { "both options", "bob@example.net", "hosting", "b\\x20b", "192.0.2.7:143", 4 },
    { "a domain", "@EXAMPLE.net", "main", "", "[2001:db8::1]:993", 5 },
    { "octets that were written otherwise", "j\xc3\xbcrgen", "main", "x#1", "", 6 },
    { "but only ASCII is alike", "J\xc3\x9crgen", NULL, NULL, NULL, 0 },
    { "a name that begins as a comment does", "#odd", "main", "", "", 7 },
    { "the last line has no end", "LAST", "hosting", "", "", 8 },
    { "nobody", "carl", NULL, NULL, NULL, 0 },
    { "a part of a name", "ann", NULL, NULL, NULL, 0 },
    { "nothing", "", NULL, NULL, NULL, 0 },
    { "what stands behind a key", "hosting", NULL, NULL, NULL, 0 },
    { "a comment", "#", NULL, NULL, NULL, 0 },
};

TEST(a_line_is_found_by_its_key)
{
    struct routemap *map = read_text(text);
    assert_int_equal(routemap_count(map), 6);
    assert_true(routemap_renames(map));
    for (size_t i = 0; i < ARRAY_LEN(lookups); i++) {
        struct routemap_line line;
        bool is_there = routemap_find(map, imapstate_span_of(lookups[i].key), &line);
        CHECK_ROW(lookups[i].name, is_there == (lookups[i].line > 0));
        if (!is_there)
            continue;
        CHECK_ROW(lookups[i].name, routemap_line_number(map, &line) == lookups[i].line);
        CHECK_SPAN(lookups[i].name, line.upstream, imapstate_span_of(lookups[i].upstream));
        CHECK_SPAN(lookups[i].name, line.user, imapstate_span_of(lookups[i].user));
        CHECK_SPAN(lookups[i].name, line.address, imapstate_span_of(lookups[i].address));
    }
    routemap_unref(map);
}

static const struct {
    const char *name;
    struct imapstate_span text;
    size_t line;
    const char *wrong;
} wrongs[] = {
    { "a key alone", IMAPSTATE_SPAN("a main\nb\n"), 2, "a line must be \"KEY UPSTREAM" },
    { "a comment in place of the upstream", IMAPSTATE_SPAN("b # main\n"), 1, "a line must be" },
    { "another upstream", IMAPSTATE_SPAN("a main\n\nb other\n"), 3, "there is no upstream \"other\"" },
    { "another option", IMAPSTATE_SPAN("a main port=3\n"), 1, "user=NAME and address=HOST:PORT" },
    { "the same option twice", IMAPSTATE_SPAN("a main user=b user=c\n"), 1, "once each" },
    { "an empty one", IMAPSTATE_SPAN("a main user=\n"), 1, "once each" },
    { "the same key twice", IMAPSTATE_SPAN("#\na main\nb main\nA hosting\n"), 4, "in line 2 already" },
    { "the same key, written otherwise", IMAPSTATE_SPAN("a main\n\\x61 main\n"), 2, "in line 1 already" },
    { "a quote in a key", IMAPSTATE_SPAN("a\"b main\n"), 1, "a key must be written" },
    { "a backslash in a key", IMAPSTATE_SPAN("a\\b main\n"), 1, "a key must be written" },
    { "a line end in a key", IMAPSTATE_SPAN("a\\x0ab main\n"), 1, "a key contains a line end" },
    { "a NUL", IMAPSTATE_SPAN("a\0b main\n"), 1, "a key must be written" },
    { "a name that nobody can have", IMAPSTATE_SPAN("a main user=b\\x00c\n"), 1, "user= contains a NUL" },
    { "a name that is not written so", IMAPSTATE_SPAN("a main user=\"b\"\n"), 1, "user= must be written" },
    { "an address that is none", IMAPSTATE_SPAN("a main address=[::1:143\n"), 1, "address=: " },
    { "its port", IMAPSTATE_SPAN("a main address=mx:99999\n"), 1, "its port is not" },
    { "a CR within a line", IMAPSTATE_SPAN("a main\ruser=b\n"), 1, "a CR within a line" },
};

TEST(what_is_wrong_is_told_with_its_line)
{
    for (size_t i = 0; i < ARRAY_LEN(wrongs); i++) {
        size_t line = 0;
        char wrong[ROUTEMAP_WRONG_MAX];
        struct routemap *map = read_span(wrongs[i].text, &line, wrong);
        CHECK_ROW(wrongs[i].name, map == NULL);
        CHECK_ROW(wrongs[i].name, line == wrongs[i].line);
        if (!strstr(wrong, wrongs[i].wrong))
            fail_msg("%s: %s", wrongs[i].name, wrong);
    }
}

TEST(a_key_has_a_limit_and_is_not_cut)
{
    char line[ROUTEMAP_KEY_MAX + 16], wrong[ROUTEMAP_WRONG_MAX];
    size_t number;
    struct routemap_line found;
    memset(line, 'a', sizeof line);
    snprintf(line + ROUTEMAP_KEY_MAX, sizeof line - ROUTEMAP_KEY_MAX, " main\n");
    struct routemap *map = read_text(line);
    assert_true(routemap_find(map, (struct imapstate_span){ (const uint8_t *)line, ROUTEMAP_KEY_MAX }, &found));
    routemap_unref(map);
    snprintf(line + ROUTEMAP_KEY_MAX, sizeof line - ROUTEMAP_KEY_MAX, "a main\n");
    assert_null(read_span(imapstate_span_of(line), &number, wrong));
    assert_non_null(strstr(wrong, "longer than"));
}

/* Enough that slots are shared: each is found, and nothing else. */
TEST(many_lines_are_all_found)
{
    enum { LINES = 20000 };
    size_t size = LINES * 40, len = 0;
    char *many = malloc(size), name[40];
    for (unsigned i = 0; i < LINES; i++)
        len += (size_t)snprintf(many + len, size - len, "user%u@example.net %s\n", i, i % 2 ? "main" : "hosting");
    struct routemap *map = read_text(many);
    assert_int_equal(routemap_count(map), LINES);
    assert_false(routemap_renames(map));
    for (unsigned i = 0; i < LINES; i += 7) {
        struct routemap_line line;
        snprintf(name, sizeof name, "USER%u@example.net", i);
        assert_true(routemap_find(map, imapstate_span_of(name), &line));
        assert_int_equal(routemap_line_number(map, &line), i + 1);
        CHECK_SPAN(name, line.upstream, imapstate_span_of(i % 2 ? "main" : "hosting"));
        snprintf(name, sizeof name, "user%u@example.org", i);
        assert_false(routemap_find(map, imapstate_span_of(name), &line));
    }
    routemap_unref(map);
    free(many);
}

TEST(a_map_that_is_not_there_has_no_lines)
{
    struct routemap_line line;
    assert_false(routemap_find(NULL, IMAPSTATE_SPAN("ann"), &line));
    assert_int_equal(routemap_count(NULL), 0);
    assert_false(routemap_renames(NULL));
    routemap_unref(routemap_ref(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_found_by_its_key),           cmocka_unit_test(what_is_wrong_is_told_with_its_line),
        cmocka_unit_test(a_key_has_a_limit_and_is_not_cut),     cmocka_unit_test(many_lines_are_all_found),
        cmocka_unit_test(a_map_that_is_not_there_has_no_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
