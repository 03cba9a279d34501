#include "check.h"

#include "catalogue.h"
#include "language.h"

#include <string.h>

/* Numbers are the catalogue's business: here languages are told by their tags. */
static struct languages offer(const char *tags, const char *preferred)
{
    const struct languages all = { .offered = UINT32_MAX };
    struct languages languages = { 0 };
    char text[128];
    uint8_t language;
    snprintf(text, sizeof text, "%s", tags);
    for (char *rest = text, *tag; (tag = strsep(&rest, " "));) {
        if (!language_find(&all, imapstate_span_of(tag), &language))
            fail_msg("there is no %s", tag);
        languages.offered |= LANGUAGE_BIT(language);
    }
    assert_true(language_find(&languages, imapstate_span_of(preferred), &languages.preferred));
    return languages;
}

#define SOME "i-default EN DE FR"

static const struct {
    const char *name, *arguments;
    enum language_choice want;
    const char *tag;
} choices[] = {
    { "nothing asks for the list", "", LANGUAGE_LISTED, NULL },
    { "a tag", "DE", LANGUAGE_CHOSEN, "DE" },
    { "a tag in any case", "dE", LANGUAGE_CHOSEN, "DE" },
    { "a quoted tag", "\"DE\"", LANGUAGE_CHOSEN, "DE" },
    { "a literal", "{2}\r\nDE", LANGUAGE_CHOSEN, "DE" },
    { "a literal and an atom", "{2+}\r\nXX FR", LANGUAGE_CHOSEN, "FR" },
    { "a longer range is shortened", "de-CH", LANGUAGE_CHOSEN, "DE" },
    { "as often as need be", "de-Latn-CH-1996", LANGUAGE_CHOSEN, "DE" },
    { "with the single letter that introduces what has gone", "de-CH-x-phonebk", LANGUAGE_CHOSEN, "DE" },
    { "the first that matches counts", "XX de-AT FR", LANGUAGE_CHOSEN, "DE" },
    { "a later, better match does not", "fr-CA DE", LANGUAGE_CHOSEN, "FR" },
    { "a range is not lengthened", "D", LANGUAGE_NONE, NULL },
    { "letters are not taken off", "DEU", LANGUAGE_NONE, NULL },
    { "one that is not offered", "ES", LANGUAGE_NONE, NULL },
    { "one that does not exist", "tlh", LANGUAGE_NONE, NULL },
    { "several of them", "ES tlh x-none", LANGUAGE_NONE, NULL },
    { "i-default", "I-DEFAULT", LANGUAGE_CHOSEN, "i-default" },
    { "i-klingon is not i-default", "i-klingon", LANGUAGE_NONE, NULL },
    { "default is the preferred one", "default", LANGUAGE_CHOSEN, "FR" },
    { "default, in any case and place", "XX DEFAULT DE", LANGUAGE_CHOSEN, "FR" },
    { "the wildcard alone is the preferred one", "\"*\"", LANGUAGE_CHOSEN, "FR" },
    { "the wildcard at the end", "XX \"*\"", LANGUAGE_CHOSEN, "FR" },
    { "the wildcard before others is passed over", "\"*\" DE", LANGUAGE_CHOSEN, "DE" },
    { "the wildcard before others that do not match", "\"*\" XX", LANGUAGE_NONE, NULL },
    { "the wildcard behind one that matches", "DE \"*\"", LANGUAGE_CHOSEN, "DE" },
    { "hyphens alone", "---", LANGUAGE_NONE, NULL },
    { "a hyphen at the end", "DE-", LANGUAGE_CHOSEN, "DE" },
    { "an empty range", "\"\"", LANGUAGE_INVALID, NULL },
    { "the wildcard is no atom", "*", LANGUAGE_INVALID, NULL },
    { "a parenthesis", "(DE)", LANGUAGE_INVALID, NULL },
    { "two SP", "DE  FR", LANGUAGE_INVALID, NULL },
    { "SP at the end", "DE ", LANGUAGE_INVALID, NULL },
    { "SP at the front", " DE", LANGUAGE_INVALID, NULL },
    { "no SP", "\"DE\"\"FR\"", LANGUAGE_INVALID, NULL },
    { "a mistake behind a match", "DE (", LANGUAGE_INVALID, NULL },
    { "8-bit octets", "\"d\xc3\xa9\"", LANGUAGE_NONE, NULL },
};

TEST(client_gets_the_first_language_that_matches)
{
    struct languages languages = offer(SOME, "FR");
    for (size_t i = 0; i < ARRAY_LEN(choices); i++) {
        uint8_t language = 0xee;
        enum language_choice choice = language_choose(&languages, imapstate_span_of(choices[i].arguments), &language);
        CHECK_ROW(choices[i].name, choice == choices[i].want);
        if (choice == LANGUAGE_CHOSEN)
            CHECK_ROW(choices[i].name, strcmp(catalogue_tag(language), choices[i].tag) == 0);
    }
}

TEST(range_of_any_length_is_cut_down_but_not_beyond_its_limit)
{
    struct languages languages = offer(SOME, "EN");
    char range[1026] = "de-";
    uint8_t language;
    memset(range + 3, 'x', 1021);
    assert_int_equal(language_choose(&languages, imapstate_span_of(range), &language), LANGUAGE_CHOSEN);
    assert_string_equal(catalogue_tag(language), "DE");
    memset(range + 3, 'x', 1022);
    assert_int_equal(language_choose(&languages, imapstate_span_of(range), &language), LANGUAGE_INVALID);
}

TEST(language_of_a_token_is_found_by_its_very_tag)
{
    struct languages languages = offer(SOME, "EN");
    uint8_t language;
    assert_true(language_find(&languages, IMAPSTATE_SPAN("de"), &language));
    assert_string_equal(catalogue_tag(language), "DE");
    assert_false(language_find(&languages, IMAPSTATE_SPAN("de-CH"), &language));
    assert_false(language_find(&languages, IMAPSTATE_SPAN("ES"), &language));
    assert_false(language_find(&languages, IMAPSTATE_SPAN("default"), &language));
    assert_false(language_find(&languages, IMAPSTATE_SPAN(""), &language));
    struct languages none = { 0 };
    assert_false(language_find(&none, IMAPSTATE_SPAN("i-default"), &language));
}

TEST(list_has_what_is_offered_and_no_more)
{
    struct languages languages = offer("FR i-default DE", "DE");
    struct imapstate_buf list;
    imapstate_buf_init(&list, 64);
    assert_true(language_put_list(&languages, &list));
    CHECK_SPAN("list", imapstate_buf_span(&list), IMAPSTATE_SPAN("i-default DE FR"));
    imapstate_buf_done(&list);
    imapstate_buf_init(&list, 14);
    assert_false(language_put_list(&languages, &list));
    imapstate_buf_done(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_gets_the_first_language_that_matches),
        cmocka_unit_test(range_of_any_length_is_cut_down_but_not_beyond_its_limit),
        cmocka_unit_test(language_of_a_token_is_found_by_its_very_tag),
        cmocka_unit_test(list_has_what_is_offered_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
