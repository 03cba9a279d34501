#include "check.h"

#include <imapstate/error.h>

#include <string.h>

/* What programs that were built against an older library have in them: the place is the number, which stays. New ones
 * come at the end, here too. final: whenever it is tried again, a token that gave this error will give it (P5). */
static const struct {
    const char *name;
    bool is_final;
} errors[] = {
    { "OK", false },
    { "NO_MEMORY", false },
    { "LINE_TOO_LONG", true },
    { "LITERAL_TOO_LARGE", true },
    { "LITERAL_MISPLACED", true },
    { "BARE_CR", true },
    { "BARE_LF", true },
    { "NUL", true },
    { "QUOTED_OPEN", true },
    { "SYNTAX", true },
    { "STATE_TOO_LARGE", true },
    { "STATE_INVALID", true },
    { "TOKEN_MALFORMED", true },
    { "TOKEN_VERSION", true },
    { "TOKEN_KEY_UNKNOWN", true },
    { "TOKEN_FORGED", true },
    { "TOKEN_EXPIRED", true },
    { "TOKEN_OTHER_USER", true },
    { "TOKEN_OTHER_UPSTREAM", true },
    { "TOKEN_OTHER_FINGERPRINT", true },
    { "KEY_NONE", false },
    { "KEY_DUPLICATE", true },
    { "KEY_MALFORMED", true },
    { "NOT_YET_VALID", true },
    { "TOKEN_REVOKED", true },
    { "UNSUPPORTED", false },
    { "NOT_PRISTINE", true },
};

static const char *const names[] = {
#define X(name, number, lasts, text) [number] = #name,
    IMAPSTATE_ERRORS(X)
#undef X
};

TEST(errors_keep_their_numbers)
{
    assert_int_equal(ARRAY_LEN(names), ARRAY_LEN(errors));
    for (size_t i = 0; i < ARRAY_LEN(errors); i++)
        assert_string_equal(names[i], errors[i].name);
}

TEST(every_error_has_words_of_its_own)
{
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        const char *words = imapstate_strerror((enum imapstate_error)i);
        CHECK_ROW(names[i], words[0] != '\0' && strcmp(words, "unknown error") != 0);
        for (size_t k = 0; k < i; k++)
            CHECK_ROW(names[i], strcmp(words, imapstate_strerror((enum imapstate_error)k)) != 0);
    }
    assert_string_equal(imapstate_strerror((enum imapstate_error)9999), "unknown error");
}

TEST(only_what_passes_is_not_final)
{
    for (size_t i = 0; i < ARRAY_LEN(errors); i++)
        CHECK_ROW(errors[i].name, imapstate_error_is_final((enum imapstate_error)i) == errors[i].is_final);
    assert_false(imapstate_error_is_final((enum imapstate_error)9999));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_keep_their_numbers),
        cmocka_unit_test(every_error_has_words_of_its_own),
        cmocka_unit_test(only_what_passes_is_not_final),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
