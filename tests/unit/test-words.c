#include "check.h"
#include "words.h"

TEST(words_stand_between_sp_and_the_line_end)
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
        { "two SP", IMAPSTATE_SPAN("*  OK x\r\n"), "*|OK|x|", { "*", "", "OK" } },
        { "SP before", IMAPSTATE_SPAN(" * OK\r\n"), "*|OK|", { "", "*", "OK" } },
        { "SP at the end", IMAPSTATE_SPAN("a \r\n"), "a|", { "a", "", "" } },
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
    assert_true(word_is(IMAPSTATE_SPAN("oK"), "OK"));
    assert_false(word_is(IMAPSTATE_SPAN("OKAY"), "OK"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_stand_between_sp_and_the_line_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
