#include "check.h"

#include "controlline.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *line;
    const char *words; /* with spaces between; NULL: it is wrong */
    const char *user, *upstream, *address;
    bool is_all;
} good[] = {
    { "one word", "[\"reload\"]", "reload" },
    { "space around", " [ \"show\" , \"clients\" ] ", "show clients" },
    { "CRLF", "[\"reload\"]\r", "reload" },
    { "an option in two words", "[\"show\",\"--user\",\"ann\",\"clients\"]", "show clients", "ann" },
    { "an option in one", "[\"show\",\"clients\",\"--user=ann=b\"]", "show clients", "ann=b" },
    { "all options", "[\"x\",\"--upstream\",\"u\",\"--address=::1\",\"--user\",\"--all\",\"--all\"]", "x", "--all", "u",
      "::1", true },
    { "an empty word is a word", "[\"kick\",\"\"]", "kick " },
    { "eight words", "[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\"]", "1 2 3 4 5 6 7 8" },
};

static const struct {
    const char *name, *line, *wrong;
} bad[] = {
    { "nothing", "", "JSON array of words" },
    { "a word", "reload", "JSON array of words" },
    { "a string", "\"reload\"", "JSON array of words" },
    { "an object", "{\"reload\":1}", "a line must be a JSON array of words" },
    { "no word", "[]", "a command is missing" },
    { "only options", "[\"--all\"]", "a command is missing" },
    { "a number", "[\"log\",3]", "each word must be a string" },
    { "a list in it", "[[\"log\"]]", "each word must be a string" },
    { "null", "[null]", "each word must be a string" },
    { "cut", "[\"reload\"", "column" },
    { "more behind it", "[\"reload\"] x", "column" },
    { "a NUL", "[\"a\\u0000b\"]", "column" },
    { "not UTF-8", "[\"\xff\"]", "column" },
    { "no such option", "[\"show\",\"--usr\",\"ann\"]", "there is no option --usr" },
    { "an option cut", "[\"show\",\"--use=ann\"]", "there is no option --use=ann" },
    { "no value", "[\"show\",\"--user\"]", "--user wants a value" },
    { "an empty value", "[\"show\",\"--user=\"]", "--user wants a value" },
    { "a value that is no string", "[\"show\",\"--user\",1]", "--user wants a value" },
    { "twice", "[\"show\",\"--user\",\"a\",\"--user=b\"]", "--user is given twice" },
    { "nine words", "[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]", "too many words" },
};

static bool is_same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

TEST(a_line_is_its_words_and_options)
{
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct controlline line;
        char wrong[CONTROLLINE_WRONG_MAX], words[256] = "";
        CHECK_ROW(good[i].name, controlline_read(imapstate_span_of(good[i].line), &line, wrong));
        for (size_t j = 0; j < line.word_count; j++) {
            strcat(words, j > 0 ? " " : "");
            strcat(words, line.words[j]);
        }
        CHECK_ROW(good[i].name, strcmp(words, good[i].words) == 0);
        CHECK_ROW(good[i].name, is_same(line.user, good[i].user) && is_same(line.upstream, good[i].upstream) &&
                                    is_same(line.address, good[i].address) && line.is_all == good[i].is_all);
        controlline_done(&line);
    }
}

TEST(whatever_else_is_wrong_and_told)
{
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct controlline line;
        char wrong[CONTROLLINE_WRONG_MAX] = "";
        CHECK_ROW(bad[i].name, !controlline_read(imapstate_span_of(bad[i].line), &line, wrong));
        CHECK_ROW(bad[i].name, strstr(wrong, bad[i].wrong));
    }
}

TEST(a_line_that_is_cut_anywhere_is_wrong)
{
    const char *whole = "[\"show\",\"clients\",\"--user\",\"ann\"]";
    for (size_t len = 0; len < strlen(whole); len++) {
        struct controlline line;
        char wrong[CONTROLLINE_WRONG_MAX];
        assert_false(controlline_read((struct imapstate_span){ (const uint8_t *)whole, len }, &line, wrong));
    }
}

TEST(a_line_has_so_many_octets_and_no_more)
{
    char *text = calloc(1, CONTROLLINE_MAX + 3), wrong[CONTROLLINE_WRONG_MAX];
    struct controlline line;
    assert_non_null(text);
    memset(text, ' ', CONTROLLINE_MAX + 1);
    memcpy(text, "[\"x\"]", 5);
    assert_true(controlline_read((struct imapstate_span){ (uint8_t *)text, CONTROLLINE_MAX }, &line, wrong));
    controlline_done(&line);
    assert_false(controlline_read((struct imapstate_span){ (uint8_t *)text, CONTROLLINE_MAX + 1 }, &line, wrong));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_its_words_and_options),
        cmocka_unit_test(whatever_else_is_wrong_and_told),
        cmocka_unit_test(a_line_that_is_cut_anywhere_is_wrong),
        cmocka_unit_test(a_line_has_so_many_octets_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
