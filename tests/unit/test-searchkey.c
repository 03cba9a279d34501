#include "check.h"

#include "searchkey.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *line;
    bool awaits;
} rows[] = {
    { "SUBJECT {5}\r\n", true },
    { "subject {5+}\n", true },
    { "CHARSET UTF-8 SUBJECT {5}\r\n", true },
    { "RETURN (ALL COUNT) UNDELETED CHARSET UTF-8 (OR FROM {5}\r\n", true },
    { " (OR TO {5}\r\n", true },
    { ") NOT KEYWORD x HEADER X-Y {5}\r\n", true },
    { "1:*,7 UID 5 SINCE 1-Feb-1994 BODY {5}\r\n", true },
    { "SUBJECT \"FROM x\" TEXT {5}\r\n", true },
    { "SUBJECT \"\" TEXT {5}\r\n", true },
    /* what a key looks for is no key */
    { "FROM SUBJECT {6}\r\n", false },
    { "CHARSET SUBJECT {6}\r\n", false },
    { "KEYWORD SUBJECT {6}\r\n", false },
    { "HEADER SUBJECT x {6}\r\n", false },
    { "FROM \"x\" {6}\r\n", false },
    /* no string of a key's */
    { "{6}\r\n", false },
    { " {6}\r\n", false },
    { "SEEN {6}\r\n", false },
    { "NOT {6}\r\n", false },
    { "HEADER {6}\r\n", false },
    { "1:5 {6}\r\n", false },
    { "SUBJECT{6}\r\n", false },
    { "SUBJECT x{6}\r\n", false },
    { "SUBJECT ({6}\r\n", false },
    { "SUBJECT ( {6}\r\n", false },
    { "(SUBJECT) {6}\r\n", false },
    /* words that are no strings */
    { "UID {6}\r\n", false },
    { "KEYWORD {6}\r\n", false },
    { "SINCE {6}\r\n", false },
    { "CHARSET {6}\r\n", false },
    /* keys that are not known here may have strings of their own */
    { "X-GM-RAW SUBJECT {6}\r\n", false },
    { "FUZZY SUBJECT {6}\r\n", false },
    { "MODSEQ 5 SUBJECT {6}\r\n", false },
    { "ANNOTATION /comment value SUBJECT {6}\r\n", false },
    /* servers could disagree */
    { "\"FROM\" SUBJECT {6}\r\n", false },
    { "\"SUBJECT\" {6}\r\n", false },
    { "FROM \"a\\\" SUBJECT {6}\r\n", false },
    { "FROM \"a\"b SUBJECT {6}\r\n", false },
    { "FROM a\"b SUBJECT {6}\r\n", false },
    { "FROM \"a SUBJECT {6}\r\n", false },
    { "FROM {1} SUBJECT {6}\r\n", false },
    { "FROM a\\b SUBJECT {6}\r\n", false },
    { "", false },
};

static bool awaits(const char *line, size_t len)
{
    uint8_t *copy = malloc(len); /* of its own, so that a look behind its end is seen */
    memcpy(copy, line, len);
    bool got = searchkey_awaits_string((struct imapstate_span){ copy, len });
    free(copy);
    return got;
}

TEST(what_a_key_looks_for_is_told_from_a_key)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CHECK_ROW(rows[i].line, awaits(rows[i].line, strlen(rows[i].line)) == rows[i].awaits);
        for (size_t len = 0; len < strlen(rows[i].line); len++)
            awaits(rows[i].line, len);
    }
}

static const struct {
    const char *line, *left; /* NULL: it is not there */
} charsets[] = {
    { "(DATE) UTF-8 ALL", "ALL" },
    { "(REVERSE DATE SUBJECT) UTF-8 SUBJECT {5}\r\n", "SUBJECT {5}\r\n" },
    { "RETURN (COUNT) (DATE) UTF-8 ALL", "ALL" },
    { "REFERENCES UTF-8 ALL", "ALL" },
    { "(DATE)UTF-8 ALL", NULL },
    { "(DATE) ALL", NULL },
    { "((DATE)) UTF-8 ALL", NULL },
    { "(DATE \"x) y\") UTF-8 ALL", NULL },
    { "(DATE", NULL },
    { "(DATE) \"UTF-8\" ALL", NULL },
    { "RETURN COUNT (DATE) UTF-8 ALL", NULL },
    { "REFERENCES {5}\r\n", NULL },
    { "", NULL },
};

TEST(what_comes_before_the_keys_of_sort_and_thread_is_taken_off)
{
    for (size_t i = 0; i < ARRAY_LEN(charsets); i++)
        for (size_t len = strlen(charsets[i].line), whole = len; len <= whole; len--) {
            uint8_t *copy = malloc(len);
            memcpy(copy, charsets[i].line, len);
            struct imapstate_span in = { copy, len };
            bool is_there = searchkey_take_charset(&in);
            if (len == whole)
                CHECK_ROW(
                    charsets[i].line,
                    is_there == (charsets[i].left != NULL) &&
                        imapstate_span_equal(in, imapstate_span_of(is_there ? charsets[i].left : charsets[i].line)));
            free(copy);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_key_looks_for_is_told_from_a_key),
        cmocka_unit_test(what_comes_before_the_keys_of_sort_and_thread_is_taken_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
