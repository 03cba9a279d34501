#include "check.h"

#include "status.h"

#include <string.h>

static const struct {
    const char *name, *line;
    int word; /* -1: no status response */
    const char *tag, *code, *text;
    bool has_alert;
} cases[] = {
    { "a tagged OK", "a1 OK done.\r\n", STATUS_OK, "a1", "", "done.", false },
    { "in any case", "A.1 no Done.\r\n", STATUS_NO, "A.1", "", "Done.", false },
    { "a tagged BAD", "a BAD what?\r\n", STATUS_BAD, "a", "", "what?", false },
    { "an untagged one", "* OK Still here\r\n", STATUS_OK, "*", "", "Still here", false },
    { "BYE", "* BYE [UNAVAILABLE] later\r\n", STATUS_BYE, "*", "UNAVAILABLE", "later", false },
    { "PREAUTH", "* PREAUTH [CAPABILITY IMAP4rev1] ann\r\n", STATUS_PREAUTH, "*", "CAPABILITY IMAP4rev1", "ann",
      false },
    { "a code without arguments", "a OK [READ-WRITE] Select completed.\r\n", STATUS_OK, "a", "READ-WRITE",
      "Select completed.", false },
    { "ALERT", "* NO [ALERT] The disk is full\r\n", STATUS_NO, "*", "ALERT", "The disk is full", true },
    { "alert, in any case", "* OK [Alert] x\r\n", STATUS_OK, "*", "Alert", "x", true },
    { "what only begins like ALERT", "* OK [ALERTS] x\r\n", STATUS_OK, "*", "ALERTS", "x", false },
    { "a code with a list", "* OK [PERMANENTFLAGS (\\Answered \\*)] Limited\r\n", STATUS_OK, "*",
      "PERMANENTFLAGS (\\Answered \\*)", "Limited", false },
    { "a bracket in quotes", "a NO [BADCHARSET (\"x]y\")] no\r\n", STATUS_NO, "a", "BADCHARSET (\"x]y\")", "no",
      false },
    { "an escaped quote in quotes", "a NO [X \"a\\\"]b\"] no\r\n", STATUS_NO, "a", "X \"a\\\"]b\"", "no", false },
    { "brackets in the code", "a NO [BADURL INBOX/;SECTION=BODY[1]] no\r\n", STATUS_NO, "a",
      "BADURL INBOX/;SECTION=BODY[1]", "no", false },
    { "brackets in the text", "a OK [X] [Y] z]\r\n", STATUS_OK, "a", "X", "[Y] z]", false },
    { "a bracket further on", "a OK done [X]\r\n", STATUS_OK, "a", "", "done [X]", false },
    { "no SP behind the code", "a OK [X]text\r\n", STATUS_OK, "a", "X", "text", false },
    { "a code alone", "a OK [X]\r\n", STATUS_OK, "a", "X", "", false },
    { "a code that does not end", "a OK [X text\r\n", STATUS_OK, "a", "", "", false },
    { "a quote that is none", "a OK [X 5\"] text\r\n", STATUS_OK, "a", "X 5\"", "text", false },
    { "two SP", "a  OK  [ALERT]  text\r\n", STATUS_OK, "a", "ALERT", " text", true },
    { "a backslash at the end of quotes", "a OK [X \"text\\\r\n", STATUS_OK, "a", "", "", false },
    { "no text", "a OK\r\n", STATUS_OK, "a", "", "", false },
    { "no text but SP", "a OK \r\n", STATUS_OK, "a", "", "", false },
    { "LF alone", "a OK done\n", STATUS_OK, "a", "", "done", false },
    { "8-bit octets", "a NO ge\xc3\xa4ndert\r\n", STATUS_NO, "a", "", "ge\xc3\xa4ndert", false },
    { "a literal announced by human text", "* OK [X] {12}\r\n", STATUS_OK, "*", "X", "{12}", false },
    { "a word too long", "a OKAY done\r\n", -1, "", "", "", false },
    { "data", "* FLAGS (\\Seen)\r\n", -1, "", "", "", false },
    { "a number", "* 3 EXISTS\r\n", -1, "", "", "", false },
    { "a continuation", "+ OK\r\n", -1, "", "", "", false },
    { "an empty line", "\r\n", -1, "", "", "", false },
    { "a tag alone", "a\r\n", -1, "", "", "", false },
    { "SP in place of the tag", " OK done\r\n", -1, "", "", "", false },
};

TEST(status_is_taken_apart)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct status status;
        bool is_status = status_parse(imapstate_span_of(cases[i].line), &status);
        CHECK_ROW(cases[i].name, is_status == (cases[i].word >= 0));
        if (!is_status)
            continue;
        CHECK_ROW(cases[i].name, (int)status.word == cases[i].word);
        CHECK_SPAN(cases[i].name, status.tag, imapstate_span_of(cases[i].tag));
        CHECK_SPAN(cases[i].name, status.code, imapstate_span_of(cases[i].code));
        CHECK_SPAN(cases[i].name, status.text, imapstate_span_of(cases[i].text));
        CHECK_ROW(cases[i].name, status.has_alert == cases[i].has_alert);
    }
}

/* The line lies at the end of its memory, so that a step too far is seen by the address sanitizer. */
TEST(no_line_is_read_behind_its_end_wherever_it_is_cut)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t cut = 0; cut <= strlen(cases[i].line); cut++) {
            uint8_t *copy = test_malloc(cut + 1);
            struct status status = { .text = { copy + 1, cut } };
            memcpy(copy + 1, cases[i].line, cut);
            struct imapstate_span line = { copy + 1, cut };
            if (status_parse(line, &status))
                CHECK_ROW(cases[i].name, status.text.at >= line.at || status.text.len == 0);
            CHECK_ROW(cases[i].name, status.text.len <= cut);
            test_free(copy);
        }
    }
}

TEST(code_is_known_by_its_name)
{
    struct status status;
    assert_true(status_parse(IMAPSTATE_SPAN("a OK [UIDNEXT 5] x\r\n"), &status));
    assert_true(status_has_code(&status, "UIDNEXT"));
    assert_true(status_has_code(&status, "UIDNEXT 5"));
    assert_false(status_has_code(&status, "UIDNEXT 55"));
    assert_false(status_has_code(&status, "UID"));
    assert_true(status_parse(IMAPSTATE_SPAN("a OK x\r\n"), &status));
    assert_false(status_has_code(&status, "UIDNEXT"));
}

static void what_names_the_servers_troubles_doubts_the_connection(void **unused)
{
    static const struct {
        const char *line;
        bool doubts;
    } rows[] = {
        { "a BAD User is authenticated but not connected.\r\n", true },
        { "a NO [UNAVAILABLE] x\r\n", true },
        { "a no [serverbug] x\r\n", true },
        { "a NO [NONEXISTENT] x\r\n", false },
        { "a NO no such mailbox\r\n", false },
        { "a OK [UNAVAILABLE] x\r\n", false },
        { "* BYE [UNAVAILABLE] x\r\n", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct status status;
        CHECK_ROW(rows[i].line, status_parse(imapstate_span_of(rows[i].line), &status));
        CHECK_ROW(rows[i].line, status_doubts_connection(&status) == rows[i].doubts);
    }
}

static const struct {
    const char *name, *text;
    size_t max;
    const char *want;
} quotes[] = {
    { "words", "Down until 12:00, see https://status.example.org", 100,
      "Down until 12:00, see https://status.example.org" },
    { "nothing", "", 100, "" },
    { "control characters", "a\rb\tc\x1b[2J\x7f", 100, "a?b?c?[2J?" },
    { "those of C1", "a\xc2\x85z\xc2\x9bz", 100, "a??z??z" },
    { "letters", "K\xc3\xb6ln \xe2\x82\xac \xf0\x9f\x98\x80", 100, "K\xc3\xb6ln \xe2\x82\xac \xf0\x9f\x98\x80" },
    { "Latin-1", "K\xf6ln", 100, "K?ln" },
    { "what is no UTF-8", "\xc0\xaf \xed\xa0\x80 \xf4\x90\x80\x80 \x80 \xe0\x80\x80 \xf8", 100, "?? ??? ???? ? ??? ?" },
    { "a character that is cut", "ab\xe2\x82", 100, "ab??" },
    { "too long", "abcdef", 4, "abcd" },
    { "too long, in the middle of a character", "abc\xc3\xb6z", 4, "abc" },
};

TEST(a_text_is_quoted_without_what_could_harm)
{
    for (size_t i = 0; i < ARRAY_LEN(quotes); i++) {
        struct imapstate_buf words;
        imapstate_buf_init(&words, quotes[i].max);
        status_quote(imapstate_span_of(quotes[i].text), &words);
        CHECK_SPAN(quotes[i].name, imapstate_buf_span(&words), imapstate_span_of(quotes[i].want));
        imapstate_buf_done(&words);
    }
    struct imapstate_buf words;
    imapstate_buf_init(&words, 10);
    status_quote(IMAPSTATE_SPAN("a\0b"), &words);
    CHECK_SPAN("NUL", imapstate_buf_span(&words), IMAPSTATE_SPAN("a?b"));
    imapstate_buf_done(&words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_is_taken_apart),
        cmocka_unit_test(no_line_is_read_behind_its_end_wherever_it_is_cut),
        cmocka_unit_test(code_is_known_by_its_name),
        cmocka_unit_test(what_names_the_servers_troubles_doubts_the_connection),
        cmocka_unit_test(a_text_is_quoted_without_what_could_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
