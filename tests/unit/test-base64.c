#include "base64.h"
#include "check.h"

#include <stdlib.h>
#include <string.h>

/* On memory of the exact size, so that a sanitizer sees a read behind the end. */
static bool decode(const char *text, size_t len, uint8_t *octets, size_t size, size_t *ret_len)
{
    uint8_t *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    bool is_decoded = base64_decode((struct imapstate_span){ copy, len }, octets, size, ret_len);
    free(copy);
    return is_decoded;
}

static const struct {
    const char *name, *text;
    int len; /* of the octets, which are 0xfb, 0xff, 0xbf, ...; -1: it is none */
} cases[] = {
    { "nothing", "", 0 },
    { "one octet", "-w", 1 },
    { "two", "-_8", 2 },
    { "three", "-_-_", 3 },
    { "four", "-_-_-w", 4 },
    { "one digit", "-", -1 },
    { "a group and a digit", "-_-_-", -1 },
    { "padded", "-w==", -1 },
    { "bits behind the end", "-x", -1 },
    { "the other alphabet", "+/+/", -1 },
    { "an SP within", "-_ -_", -1 },
    { "a line end behind", "-_-_\n", -1 },
    { "a NUL", "-_\0_", -1 },
    { "0xdf is no underscore", "-\xdf-\xdf", -1 },
    { "nor are other 8-bit octets", "\xc3\xa4-_", -1 },
};

TEST(each_sequence_of_octets_has_one_spelling)
{
    static const uint8_t octets[] = { 0xfb, 0xff, 0xbf, 0xfb };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t got[8];
        size_t len = 99;
        size_t text_len = strcmp(cases[i].name, "a NUL") == 0 ? 4 : strlen(cases[i].text);
        CHECK_ROW(cases[i].name, decode(cases[i].text, text_len, got, sizeof got, &len) == (cases[i].len >= 0));
        if (cases[i].len >= 0)
            CHECK_ROW(cases[i].name, len == (size_t)cases[i].len && memcmp(got, octets, len) == 0);
    }
}

TEST(what_is_larger_than_its_place_is_refused)
{
    for (size_t size = 0; size <= 4; size++) {
        size_t len;
        uint8_t *octets = malloc(size ? size : 1);
        assert_non_null(octets);
        assert_true(decode("-_-_", 4, octets, size, &len) == (size >= 3));
        free(octets);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_sequence_of_octets_has_one_spelling),
        cmocka_unit_test(what_is_larger_than_its_place_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
