#include "check.h"
#include "response.h"

#include <string.h>

static const struct {
    const char *name, *text;
    const char *code; /* NULL: there is none */
    const char *rest;
} cases[] = {
    { "a name alone", "[ALERT] The disk is full", "ALERT", "The disk is full" },
    { "arguments", "[UIDNEXT 5] x", "UIDNEXT 5", "x" },
    { "no text", "[READ-WRITE]", "READ-WRITE", "" },
    { "no SP behind", "[READ-WRITE]x", "READ-WRITE", "x" },
    { "one SP is the code's", "[ALERT]  x", "ALERT", " x" },
    { "no code", "Hello [ALERT] x", NULL, "" },
    { "nothing", "", NULL, "" },
    { "empty", "[] x", "", "x" },
    { "without an end", "[ALERT x", NULL, "" },
    { "] in a quoted string", "[INPROGRESS (\"A]1\" 3 10)] x", "INPROGRESS (\"A]1\" 3 10)", "x" },
    { "an escaped quote in one", "[X \"a\\\"]b\"] x", "X \"a\\\"]b\"", "x" },
    { "a backslash outside of one", "[PERMANENTFLAGS (\\Seen \\*)] x", "PERMANENTFLAGS (\\Seen \\*)", "x" },
    { "a quote that is none", "[X 5\"] x", "X 5\"", "x" },
    { "a bracket of its own that stays open", "[CAPABILITY X[ ID] x [y]", "CAPABILITY X[ ID", "x [y]" },
    { "and one more behind", "[CAPABILITY X[ ID] x] y", "CAPABILITY X[ ID", "x] y" },
    { "in the last word", "[CAPABILITY X[] x", "CAPABILITY X[", "x" },
    { "brackets of its own", "[REFERRAL imap://[2001:db8::1]/] x", "REFERRAL imap://[2001:db8::1]/", "x" },
    { "] in a tag, where none may be", "[STATECMD A]1] x", "STATECMD A", "1] x" },
    { "] in a flag, where none may be", "[PERMANENTFLAGS (a]b)] x", "PERMANENTFLAGS (a", "b)] x" },
    { "[ in the text", "[ALERT] [x] y", "ALERT", "[x] y" },
};

TEST(a_code_ends_at_its_bracket)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct imapstate_span text = imapstate_span_of(cases[i].text), code;
        bool is_taken = imapstate_response_take_code(&text, &code);
        CHECK_ROW(cases[i].name, is_taken == (cases[i].code != NULL));
        CHECK_SPAN(cases[i].name, text, imapstate_span_of(is_taken ? cases[i].rest : cases[i].text));
        if (is_taken)
            CHECK_SPAN(cases[i].name, code, imapstate_span_of(cases[i].code));
    }
}

TEST(a_code_without_any_bracket_behind_it_is_none)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (size_t len = 0; len < strcspn(cases[i].text, "]"); len++) {
            struct imapstate_span text = { (const uint8_t *)cases[i].text, len }, code;
            CHECK_ROW(cases[i].name, !imapstate_response_take_code(&text, &code) && text.len == len);
        }
}

TEST(the_name_of_a_code_is_its_first_word)
{
    static const struct {
        const char *text, *name, *arguments; /* NULL: it is not its name */
    } rows[] = {
        { "[CAPABILITY IMAP4rev1 X] y", "CAPABILITY", "IMAP4rev1 X" },
        { "[capability IMAP4rev1]", "CAPABILITY", "IMAP4rev1" },
        { "[CAPABILITY] y", "CAPABILITY", "" },
        { "[CAPABILITY ] y", "CAPABILITY", "" },
        { "[CAPABILITY X", "CAPABILITY", NULL },
        { "[CAPABILITYS X] y", "CAPABILITY", NULL },
        { "[CAP X] y", "CAPABILITY", NULL },
        { "[X CAPABILITY] y", "CAPABILITY", NULL },
        { "[STATECMD \"]\" x] y", "STATECMD", "\"]\" x" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct imapstate_span arguments, text = imapstate_span_of(rows[i].text);
        bool has_code = imapstate_response_has_code(text, rows[i].name, &arguments);
        CHECK_ROW(rows[i].text, has_code == (rows[i].arguments != NULL));
        CHECK_ROW(rows[i].text, imapstate_response_has_code(text, rows[i].name, NULL) == has_code);
        if (has_code)
            CHECK_SPAN(rows[i].text, arguments, imapstate_span_of(rows[i].arguments));
    }
}

TEST(a_code_names_a_tag_bare_or_in_quotes)
{
    static const struct {
        const char *text, *tag;
        bool want;
    } rows[] = {
        { "[INPROGRESS (\"A1\" 3 10)] x", "A1", true },
        { "[STATECMD A1] x", "A1", true },
        { "[STATECMD A12] x", "A1", false },
        { "[STATECMD xA1] x", "A1", false },
        { "[STATECMD a1] x", "A1", false },
        { "[INPROGRESS (\"A]1\" 3 10)] x", "A]1", true },
        { "[INPROGRESS (\"A1\" 3", "A1", false },
        { "INPROGRESS A1", "A1", false },
        { "[X] A1", "A1", false },
        { "", "A1", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_ROW(rows[i].text, imapstate_response_code_names(imapstate_span_of(rows[i].text),
                                                              imapstate_span_of(rows[i].tag)) == rows[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_code_ends_at_its_bracket),
        cmocka_unit_test(a_code_without_any_bracket_behind_it_is_none),
        cmocka_unit_test(the_name_of_a_code_is_its_first_word),
        cmocka_unit_test(a_code_names_a_tag_bare_or_in_quotes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
