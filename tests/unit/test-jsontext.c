#include "check.h"

#include "jsontext.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    struct imapstate_span in;
    size_t size;
    const char *want;
} strings[] = {
    { "plain text", IMAPSTATE_SPAN("ann@example.org"), 64, "\"ann@example.org\"" },
    { "nothing", IMAPSTATE_SPAN(""), 64, "\"\"" },
    { "quotes and backslashes", IMAPSTATE_SPAN("\"a\\"), 64, "\"\\\"a\\\\\"" },
    { "control characters", IMAPSTATE_SPAN("a\r\n\0\x1b\x7f"), 64, "\"a\\u000d\\u000a\\u0000\\u001b\\u007f\"" },
    { "UTF-8", IMAPSTATE_SPAN("\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\xac"), 64, "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\xac\"" },
    { "the ends of UTF-8", IMAPSTATE_SPAN("\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf"), 64,
      "\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\"" },
    { "Latin-1", IMAPSTATE_SPAN("\xe4"), 64, "\"\\ufffd\"" },
    { "a character that is cut off", IMAPSTATE_SPAN("\xe2\x82"), 64, "\"\\ufffd\\ufffd\"" },
    { "a continuation alone", IMAPSTATE_SPAN("\x80x"), 64, "\"\\ufffdx\"" },
    { "too long a form", IMAPSTATE_SPAN("\xc0\xaf\xe0\x9f\xbf\xf0\x8f\xbf\xbf"), 96,
      "\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\"" },
    { "a surrogate", IMAPSTATE_SPAN("\xed\xa0\x80"), 64, "\"\\ufffd\\ufffd\\ufffd\"" },
    { "beyond Unicode", IMAPSTATE_SPAN("\xf4\x90\x80\x80\xf5"), 64, "\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\"" },
    { "what just fits", IMAPSTATE_SPAN("12345678"), 10, "\"12345678\"" },
    { "one more is cut", IMAPSTATE_SPAN("123456789"), 10, "\"12345...\"" },
    { "an escape is never cut in two", IMAPSTATE_SPAN("123\n4"), 10, "\"123...\"" },
    { "nor is a character",
      IMAPSTATE_SPAN("1234\xe2\x82\xac"
                     "5678"),
      10, "\"1234...\"" },
    { "room for the mark only", IMAPSTATE_SPAN("1234567"), JSONTEXT_MIN, "\"...\"" },
};

TEST(any_octets_become_a_string_of_json)
{
    for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
        char *text = malloc(strings[i].size); /* as small as told, for the sanitizer to watch */
        size_t len = jsontext_write(strings[i].in, text, strings[i].size);
        if (len != strlen(strings[i].want) || memcmp(text, strings[i].want, len) != 0)
            fail_msg("row \"%s\": got %.*s", strings[i].name, (int)len, text);
        free(text);
    }
}

/* Whatever the room, it is used up to less than one escape, and what is written is a string. */
TEST(a_string_is_closed_however_little_room_there_is)
{
    struct imapstate_span in = IMAPSTATE_SPAN("a\"\xc3\xa4\xff\\\n and \xe2\x82\xac behind");
    for (size_t size = JSONTEXT_MIN; size < 64; size++) {
        char *text = malloc(size);
        size_t len = jsontext_write(in, text, size);
        assert_in_range(len, 2, size);
        assert_int_equal(text[0], '"');
        assert_int_equal(text[len - 1], '"');
        for (size_t i = 1; i < len - 1; i++) {
            assert_true((unsigned char)text[i] >= 0x20 && text[i] != '"');
            i += text[i] == '\\';
        }
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_octets_become_a_string_of_json),
        cmocka_unit_test(a_string_is_closed_however_little_room_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
