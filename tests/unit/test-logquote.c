#include "check.h"

#include "logquote.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    struct imapstate_span in;
    size_t size;
    const char *want;
} quotes[] = {
    { "plain text stays", IMAPSTATE_SPAN("ann@example.org"), 64, "ann@example.org" },
    { "nothing stays nothing", IMAPSTATE_SPAN(""), 64, "" },
    { "a space would end the field", IMAPSTATE_SPAN("a b"), 64, "a\\x20b" },
    { "a line end would begin a forged line", IMAPSTATE_SPAN("a\r\nlogin"), 64, "a\\x0d\\x0alogin" },
    { "quotes and backslashes", IMAPSTATE_SPAN("\"\\"), 64, "\\x22\\x5c" },
    { "NUL, DEL and UTF-8", IMAPSTATE_SPAN("\0\x7f\xc3\xa4"), 64, "\\x00\\x7f\\xc3\\xa4" },
    { "what just fits is whole", IMAPSTATE_SPAN("12345678"), 9, "12345678" },
    { "one more is cut", IMAPSTATE_SPAN("123456789"), 9, "12345..." },
    { "an escape is never cut in two", IMAPSTATE_SPAN("123\n\n"), 9, "123..." },
    { "an escape that just fits", IMAPSTATE_SPAN("1234\n"), 9, "1234\\x0a" },
    { "cut at an escape", IMAPSTATE_SPAN("\n\n\n"), 9, "\\x0a..." },
    { "room for the mark only", IMAPSTATE_SPAN("12345"), 4, "..." },
    { "no room for the mark", IMAPSTATE_SPAN("12345"), 3, "12" },
    { "no room at all", IMAPSTATE_SPAN("12345"), 1, "" },
};

TEST(text_from_outside_is_quoted)
{
    for (size_t i = 0; i < ARRAY_LEN(quotes); i++) {
        char *text = malloc(quotes[i].size); /* as small as told, for the sanitizer to watch */
        const char *got = log_quote(quotes[i].in, text, quotes[i].size);
        CHECK_ROW(quotes[i].name, got == text);
        if (strcmp(got, quotes[i].want) != 0)
            fail_msg("row \"%s\": got \"%s\"", quotes[i].name, got);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_from_outside_is_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
