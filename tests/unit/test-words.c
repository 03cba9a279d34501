#include "check.h"
#include "words.h"

#include <string.h>

TEST(words_stand_between_blanks_and_before_the_line_end)
{
    static const struct {
        const char *name;
        struct imapstate_span line;
        const char *words; /* that words_next() finds, "|" behind each */
        const char *at[3]; /* that words_at() finds */
    } rows[] = {
        { "nothing", { NULL, 0 }, "", { "", "", "" } },
        { "a line end", IMAPSTATE_SPAN("\r\n"), "", { "", "", "" } },
        { "one", IMAPSTATE_SPAN("NOOP\r\n"), "NOOP|", { "NOOP", "", "" } },
        { "without an end", IMAPSTATE_SPAN("* OK"), "*|OK|", { "*", "OK", "" } },
        { "LF alone", IMAPSTATE_SPAN("* OK\n x"), "*|OK|", { "*", "OK", "" } },
        { "CR within", IMAPSTATE_SPAN("a\rb c"), "a|", { "a", "", "" } },
        { "two SP", IMAPSTATE_SPAN("*  OK x\r\n"), "*|OK|x|", { "*", "OK", "x" } },
        { "HT", IMAPSTATE_SPAN("a\tNO \t x\r\n"), "a|NO|x|", { "a", "NO", "x" } },
        { "SP before: no tag", IMAPSTATE_SPAN(" * OK\r\n"), "*|OK|", { "", "", "" } },
        { "HT before: no tag", IMAPSTATE_SPAN("\t* OK\r\n"), "*|OK|", { "", "", "" } },
        { "SP at the end", IMAPSTATE_SPAN("a \r\n"), "a|", { "a", "", "" } },
        { "8-bit and controls",
          IMAPSTATE_SPAN("\xc3\xa4\x01 \x7f\r\n"),
          "\xc3\xa4\x01|\x7f|",
          { "\xc3\xa4\x01", "\x7f", "" } },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct imapstate_span rest = rows[i].line, word;
        struct imapstate_buf found;
        imapstate_buf_init(&found, 64);
        while ((word = words_next(&rest)).len > 0)
            assert_true(imapstate_buf_put(&found, word) && imapstate_buf_put_byte(&found, '|'));
        CHECK_SPAN(rows[i].name, imapstate_buf_span(&found), imapstate_span_of(rows[i].words));
        for (unsigned at = 0; at < ARRAY_LEN(rows[i].at); at++)
            CHECK_SPAN(rows[i].name, words_at(rows[i].line, at), imapstate_span_of(rows[i].at[at]));
        imapstate_buf_done(&found);
    }
    assert_int_equal(words_at(IMAPSTATE_SPAN("a\0b c\r\n"), 0).len, 3);
}

TEST(what_is_left_begins_with_the_next_word_or_the_line_end)
{
    struct imapstate_span in = IMAPSTATE_SPAN(" \t one  two\tthree \r\n");
    CHECK_SPAN("the first", words_next(&in), IMAPSTATE_SPAN("one"));
    CHECK_SPAN("behind two SP", in, IMAPSTATE_SPAN("two\tthree \r\n"));
    words_next(&in);
    CHECK_SPAN("behind HT", words_next(&in), IMAPSTATE_SPAN("three"));
    CHECK_SPAN("the line end stays", in, IMAPSTATE_SPAN("\r\n"));
    CHECK_SPAN("and is no word", words_next(&in), IMAPSTATE_SPAN(""));
    in = IMAPSTATE_SPAN("* OK x");
    CHECK_SPAN("a tag", words_first(&in), IMAPSTATE_SPAN("*"));
    CHECK_SPAN("behind it", in, IMAPSTATE_SPAN("OK x"));
    in = IMAPSTATE_SPAN(" OK x");
    CHECK_SPAN("no tag", words_first(&in), IMAPSTATE_SPAN(""));
    CHECK_SPAN("nothing is taken then", in, IMAPSTATE_SPAN(" OK x"));
    in = (struct imapstate_span){ NULL, 0 };
    CHECK_SPAN("nothing", words_first(&in), IMAPSTATE_SPAN(""));
    CHECK_SPAN("nothing", words_behind_blanks(in), IMAPSTATE_SPAN(""));
}

TEST(a_word_is_compared_as_a_whole_and_in_any_case)
{
    static const struct {
        const char *words, *word;
        bool want;
    } rows[] = {
        { "oK", "OK", true },
        { "OKAY", "OK", false },
        { "O", "OK", false },
        { "", "OK", false },
        { "IMAP4rev1 idle", "IDLE", true },
        { "IDLES", "IDLE", false },
        { "A  STATE", "state", true },
        { "A STATE\r\n", "STATE", true },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct imapstate_span words = imapstate_span_of(rows[i].words);
        CHECK_ROW(rows[i].words, words_have(words, imapstate_span_of(rows[i].word)) == rows[i].want);
        if (!memchr(words.at, ' ', words.len) && !words_have(words, IMAPSTATE_SPAN("STATE")))
            CHECK_ROW(rows[i].words, word_is(words, rows[i].word) == rows[i].want);
    }
    assert_true(words_have_end(IMAPSTATE_SPAN("a\r\n")));
    assert_false(words_have_end(IMAPSTATE_SPAN("a\r")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_stand_between_blanks_and_before_the_line_end),
        cmocka_unit_test(what_is_left_begins_with_the_next_word_or_the_line_end),
        cmocka_unit_test(a_word_is_compared_as_a_whole_and_in_any_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
