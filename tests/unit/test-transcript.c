#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "transcript.h"

/* What is shown of lines, "C" or "S" before each. Gives memory for free(). */
static char *show(const char *const *secrets, const char *const *lines)
{
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);
    struct transcript transcript;
    assert_non_null(to);
    transcript_init(&transcript, to);
    for (; *secrets; secrets++)
        assert_true(transcript_hide(&transcript, imapstate_span_of(*secrets)));
    for (; *lines; lines++) {
        struct imapstate_span line = imapstate_span_of(*lines + 1);
        assert_true(**lines == 'C' ? transcript_client(&transcript, line) : transcript_server(&transcript, line));
    }
    transcript_done(&transcript);
    assert_int_equal(fclose(to), 0);
    return text;
}

static const struct {
    const char *name;
    const char *secrets[4], *lines[6];
    const char *want;
} rows[] = {
    { "a line is shown without its end",
      { NULL },
      { "CA1 NOOP\r\n", "SA1 OK done\r\n" },
      "C: A1 NOOP\nS: A1 OK done\n" },
    { "an empty line", { NULL }, { "S\r\n", "S" }, "S: \nS: \n" },
    { "a secret wherever it stands",
      { "pw" },
      { "CA1 LOGIN \"ann\" \"pw\"\r\n", "S* OK pw, PW and pwpw\r\n", "Spw" },
      "C: A1 LOGIN \"ann\" \"********\"\nS: * OK ********, PW and ****************\nS: ********\n" },
    { "the longest secret first", { "a", "ab", "abc" }, { "S* OK abcd abx" }, "S: * OK ********d ********x\n" },
    { "in whatever order they were told", { "abc", "a", "ab" }, { "S* OK abcd abx" }, "S: * OK ********d ********x\n" },
    { "a secret twice, and an empty one", { "pw", "", "pw" }, { "S* OK pw" }, "S: * OK ********\n" },
    { "a token that is sent is a secret from then on",
      { NULL },
      { "S* OK TOK", "CA1 STATE TOK\r\n", "S* STATE TOK\r\n", "SA1 OK [X TOK] xTOKx\r\n" },
      "S: * OK TOK\nC: A1 STATE ********\nS: * STATE ********\nS: A1 OK [X ********] x********x\n" },
    { "a token that comes",
      { NULL },
      { "S* SAVESTATE TOK\r\n", "S* OK TOK\r\n" },
      "S: * SAVESTATE ********\nS: * OK ********\n" },
    { "in any case, with blanks, in quotes",
      { NULL },
      { "S* savestate  \"a b\"\r\n", "S* OK \"a b\" a b\r\n" },
      "S: * savestate  ********\nS: * OK ******** a b\n" },
    { "STATE without a token hides nothing",
      { NULL },
      { "CA1 STATE\r\n", "S* STATE \r\n" },
      "C: A1 STATE\nS: * STATE \n" },
    { "STATE elsewhere is a word like any other",
      { NULL },
      { "S* CAPABILITY STATE ID", "S* OK STATE x" },
      "S: * CAPABILITY STATE ID\nS: * OK STATE x\n" },
    { "what could reach a terminal is spelled out",
      { "\x1b]0" },
      { "S* OK \x1b[2J\t\x7f\xc3\xa4\x9b\r\r\n", "S\x1b]0;" },
      "S: * OK \\x1b[2J\\x09\\x7f\\xc3\\xa4\\x9b\\x0d\nS: ********;\n" },
};

TEST(what_is_shown_has_no_secret_and_no_control_character)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *got = show(rows[i].secrets, rows[i].lines);
        CHECK_SPAN(rows[i].name, imapstate_span_of(got), imapstate_span_of(rows[i].want));
        free(got);
    }
}

TEST(octets_with_nul_are_shown_and_hidden_like_others)
{
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);
    struct transcript transcript;
    transcript_init(&transcript, to);
    assert_true(transcript_hide(&transcript, IMAPSTATE_SPAN("a\0b")));
    assert_true(transcript_server(&transcript, IMAPSTATE_SPAN("* OK \0 a\0b a\0\r\n")));
    transcript_literal(&transcript, UINT32_MAX);
    transcript_title(&transcript, "next");
    transcript_done(&transcript);
    fclose(to);
    assert_string_equal(text, "S: * OK \\x00 ******** a\\x00\nS: (4294967295 octets)\n\n--- next\n");
    free(text);
}

TEST(a_token_that_cannot_be_hidden_is_not_shown)
{
    char *text = NULL, line[40];
    size_t len;
    FILE *to = open_memstream(&text, &len);
    struct transcript transcript;
    transcript_init(&transcript, to);
    for (int i = 0; i <= TRANSCRIPT_SECRETS_MAX; i++) {
        snprintf(line, sizeof line, "* SAVESTATE TOKEN%d.\r\n", i);
        assert_true(transcript_server(&transcript, imapstate_span_of(line)) == (i < TRANSCRIPT_SECRETS_MAX));
    }
    transcript_done(&transcript);
    fclose(to);
    assert_null(strstr(text, "TOKEN"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_shown_has_no_secret_and_no_control_character),
        cmocka_unit_test(octets_with_nul_are_shown_and_hidden_like_others),
        cmocka_unit_test(a_token_that_cannot_be_hidden_is_not_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
