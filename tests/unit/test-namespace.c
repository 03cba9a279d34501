#include "check.h"

#include "catalogue.h"
#include "language.h"
#include "namespace.h"

#include <stdlib.h>
#include <string.h>

static unsigned german(void)
{
    static const struct languages all = { .offered = UINT32_MAX };
    uint8_t language = 0;
    assert_true(language_find(&all, IMAPSTATE_SPAN("DE"), &language));
    return language;
}

#define OTHERS   "\"TRANSLATION\" (\"Andere Ben&APw-tzer/\")"
#define PUBLIC   "\"TRANSLATION\" (\"Gemeinsame Postf&AOQ-cher/\")"
#define PERSONAL "* NAMESPACE ((\"\" \"/\"))"

/* want NULL: nothing is added. */
static const struct {
    const char *name, *line, *want;
} cases[] = {
    { "the draft's example", PERSONAL " ((\"Other Users/\" \"/\")) ((\"Public Folders/\" \"/\"))\r\n",
      PERSONAL " ((\"Other Users/\" \"/\" " OTHERS ")) ((\"Public Folders/\" \"/\" " PUBLIC "))\r\n" },
    { "one class alone", PERSONAL " NIL ((\"Public Folders/\" \"/\"))\r\n",
      PERSONAL " NIL ((\"Public Folders/\" \"/\" " PUBLIC "))\r\n" },
    { "the other class alone", PERSONAL " ((\"Other Users/\" \"/\")) NIL\r\n",
      PERSONAL " ((\"Other Users/\" \"/\" " OTHERS ")) NIL\r\n" },
    { "the user's own is the user's", "* NAMESPACE ((\"Other Users/\" \"/\")) NIL NIL\r\n", NULL },
    { "no personal namespace", "* NAMESPACE NIL ((\"Other Users/\" \"/\")) NIL\r\n",
      "* NAMESPACE NIL ((\"Other Users/\" \"/\" " OTHERS ")) NIL\r\n" },
    { "names in any case", "* namespace nil ((\"Other Users/\" \"/\")) nil\r\n",
      "* namespace nil ((\"Other Users/\" \"/\" " OTHERS ")) nil\r\n" },
    { "no delimiter at the end", PERSONAL " ((\"Other Users\" \"/\")) NIL\r\n",
      PERSONAL " ((\"Other Users\" \"/\" \"TRANSLATION\" (\"Andere Ben&APw-tzer\"))) NIL\r\n" },
    { "another delimiter", PERSONAL " ((\"Other Users.\" \".\")) NIL\r\n",
      PERSONAL " ((\"Other Users.\" \".\" \"TRANSLATION\" (\"Andere Ben&APw-tzer.\"))) NIL\r\n" },
    { "a backslash as delimiter", PERSONAL " ((\"Other Users\\\\\" \"\\\\\")) NIL\r\n",
      PERSONAL " ((\"Other Users\\\\\" \"\\\\\" \"TRANSLATION\" (\"Andere Ben&APw-tzer\\\\\"))) NIL\r\n" },
    { "a flat namespace", PERSONAL " ((\"Other Users\" NIL)) NIL\r\n",
      PERSONAL " ((\"Other Users\" NIL \"TRANSLATION\" (\"Andere Ben&APw-tzer\"))) NIL\r\n" },
    { "some parts of a prefix", PERSONAL " NIL ((\"x/Public Folders/a b/\" \"/\"))\r\n",
      PERSONAL " NIL ((\"x/Public Folders/a b/\" \"/\" \"TRANSLATION\" (\"x/Gemeinsame Postf&AOQ-cher/a b/\")))\r\n" },
    { "empty parts", PERSONAL " NIL ((\"/Public Folders//\" \"/\"))\r\n",
      PERSONAL " NIL ((\"/Public Folders//\" \"/\" \"TRANSLATION\" (\"/Gemeinsame Postf&AOQ-cher//\")))\r\n" },
    { "several of a class", PERSONAL " NIL ((\"a/\" \"/\")(\"Public Folders/\" \"/\")(\"b/\" \"/\"))\r\n",
      PERSONAL " NIL ((\"a/\" \"/\")(\"Public Folders/\" \"/\" " PUBLIC ")(\"b/\" \"/\"))\r\n" },
    { "other extensions stay", PERSONAL " NIL ((\"Public Folders/\" \"/\" \"X-PARAM\" (\"a\" \"b\")))\r\n",
      PERSONAL " NIL ((\"Public Folders/\" \"/\" \"X-PARAM\" (\"a\" \"b\") " PUBLIC "))\r\n" },
    { "a translation of the upstream's", PERSONAL " NIL ((\"Public Folders/\" \"/\" \"TRANSLATION\" (\"x/\")))\r\n",
      NULL },
    { "in any case", PERSONAL " NIL ((\"Public Folders/\" \"/\" \"translation\" (\"x/\")))\r\n", NULL },
    { "behind another extension",
      PERSONAL " NIL ((\"Public Folders/\" \"/\" \"X\" (\"y\") \"TRANSLATION\" (\"x/\")))\r\n", NULL },
    { "beside one that has none",
      PERSONAL " ((\"Other Users/\" \"/\" \"TRANSLATION\" (\"x/\"))) ((\"Public Folders/\" \"/\"))\r\n",
      PERSONAL " ((\"Other Users/\" \"/\" \"TRANSLATION\" (\"x/\"))) ((\"Public Folders/\" \"/\" " PUBLIC "))\r\n" },
    { "the same prefix twice", PERSONAL " NIL ((\"Public Folders/\" \"/\")(\"Public Folders/\" \"/\"))\r\n",
      PERSONAL " NIL ((\"Public Folders/\" \"/\" " PUBLIC ")(\"Public Folders/\" \"/\"))\r\n" },
    { "a translation that another has from the upstream, behind it",
      PERSONAL " NIL ((\"Public Folders/\" \"/\")(\"x/\" \"/\" " PUBLIC "))\r\n", NULL },
    { "a translation that is another's prefix",
      PERSONAL " NIL ((\"Gemeinsame Postf&AOQ-cher/\" \"/\")(\"Public Folders/\" \"/\"))\r\n", NULL },
    { "the same in both classes", PERSONAL " ((\"Public Folders/\" \"/\")) ((\"Public Folders/\" \"/\"))\r\n",
      PERSONAL " ((\"Public Folders/\" \"/\" " PUBLIC ")) ((\"Public Folders/\" \"/\" " PUBLIC "))\r\n" },
    { "words that nobody has translated", PERSONAL " ((\"~\" \"/\")) ((\"#public/\" \"/\"))\r\n", NULL },
    { "an empty prefix", PERSONAL " NIL ((\"\" \".\"))\r\n", NULL },
    { "a letter in modified UTF-7", PERSONAL " NIL ((\"Public &AOQ-/\" \"/\"))\r\n", NULL },
    { "nothing but the user's own", PERSONAL " NIL NIL\r\n", NULL },
    { "a delimiter within the translation", PERSONAL " ((\"Users\" \"B\")) NIL\r\n", NULL },
    { "a literal", PERSONAL " NIL (({15}\r\n", NULL },
    { "a literal further on", PERSONAL " NIL ((\"Public Folders/\" {1}\r\n", NULL },
    { "an atom as prefix", PERSONAL " NIL ((Public \"/\"))\r\n", NULL },
    { "a delimiter of two octets", PERSONAL " NIL ((\"Public Folders/\" \"//\"))\r\n", NULL },
    { "no delimiter", PERSONAL " NIL ((\"Public Folders/\"))\r\n", NULL },
    { "an extension without values", PERSONAL " NIL ((\"Public Folders/\" \"/\" \"X\" ()))\r\n", NULL },
    { "a class of none", PERSONAL " () ((\"Public Folders/\" \"/\"))\r\n", NULL },
    { "two classes only", PERSONAL " ((\"Other Users/\" \"/\"))\r\n", NULL },
    { "a fourth class", PERSONAL " NIL ((\"Public Folders/\" \"/\")) NIL\r\n", NULL },
    { "SP at the end", PERSONAL " NIL ((\"Public Folders/\" \"/\")) \r\n", NULL },
    { "two SP", PERSONAL "  NIL ((\"Public Folders/\" \"/\"))\r\n", NULL },
    { "another response", "* NAMESPACES NIL NIL ((\"Public Folders/\" \"/\"))\r\n", NULL },
};

static void check_case(size_t i, struct imapstate_span line, bool is_whole)
{
    struct imapstate_buf got;
    imapstate_buf_init(&got, NAMESPACE_LINE_MAX);
    assert_true(imapstate_buf_put(&got, IMAPSTATE_SPAN("before")));
    bool is_translated = namespace_translate(line, german(), false, &got);
    CHECK_ROW(cases[i].name, is_translated == (is_whole && cases[i].want));
    CHECK_ROW(cases[i].name, is_translated || got.len == 6);
    imapstate_buf_drop(&got, 6);
    if (is_translated)
        CHECK_SPAN(cases[i].name, imapstate_buf_span(&got), imapstate_span_of(cases[i].want));
    imapstate_buf_done(&got);
}

TEST(prefixes_of_others_gain_translations)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check_case(i, imapstate_span_of(cases[i].line), true);
}

/* The line lies at the end of its memory, so that a step too far is seen by the address sanitizer. */
TEST(line_that_is_cut_short_is_left_alone)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t cut = 0; cut + 1 < strlen(cases[i].line); cut++) {
            uint8_t *copy = test_malloc(cut + 1);
            memcpy(copy + 1, cases[i].line, cut);
            check_case(i, (struct imapstate_span){ copy + 1, cut }, false);
            test_free(copy);
        }
    }
}

TEST(line_that_was_translated_is_not_translated_again)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct imapstate_buf again;
        imapstate_buf_init(&again, NAMESPACE_LINE_MAX);
        if (cases[i].want)
            CHECK_ROW(cases[i].name, !namespace_translate(imapstate_span_of(cases[i].want), german(), false, &again));
        imapstate_buf_done(&again);
    }
}

TEST(names_are_in_utf8_where_the_client_has_asked_for_it)
{
    struct imapstate_buf got;
    imapstate_buf_init(&got, NAMESPACE_LINE_MAX);
    assert_true(namespace_translate(IMAPSTATE_SPAN("* NAMESPACE NIL ((\"Other Users/\" \"/\")) NIL\r\n"), german(),
                                    true, &got));
    CHECK_SPAN(
        "utf8", imapstate_buf_span(&got),
        IMAPSTATE_SPAN("* NAMESPACE NIL ((\"Other Users/\" \"/\" \"TRANSLATION\" (\"Andere Ben\xc3\xbctzer/\"))) "
                       "NIL\r\n"));
    imapstate_buf_done(&got);
}

TEST(nothing_is_added_in_english)
{
    struct imapstate_buf got;
    imapstate_buf_init(&got, NAMESPACE_LINE_MAX);
    for (unsigned language = 0; language < 2; language++)
        assert_false(namespace_translate(imapstate_span_of(cases[0].line), language, false, &got));
    imapstate_buf_done(&got);
}

/* As many descriptors as a line can hold, most of them with one and the same translation. */
TEST(longest_line_keeps_its_translations_apart)
{
    struct imapstate_buf line, got;
    imapstate_buf_init(&line, 65536);
    imapstate_buf_init(&got, NAMESPACE_LINE_MAX);
    bool fits = imapstate_buf_put(&line, IMAPSTATE_SPAN("* NAMESPACE NIL NIL ("));
    while (fits && line.len < 65500)
        fits = imapstate_buf_put(&line, IMAPSTATE_SPAN("(\"Public Folders/\" \"/\")"));
    assert_true(fits && imapstate_buf_put(&line, IMAPSTATE_SPAN(")\r\n")));
    assert_true(namespace_translate(imapstate_buf_span(&line), german(), false, &got));
    assert_int_equal(got.len, line.len + strlen(" " PUBLIC));
    imapstate_buf_done(&line);
    imapstate_buf_done(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prefixes_of_others_gain_translations),
        cmocka_unit_test(line_that_is_cut_short_is_left_alone),
        cmocka_unit_test(line_that_was_translated_is_not_translated_again),
        cmocka_unit_test(names_are_in_utf8_where_the_client_has_asked_for_it),
        cmocka_unit_test(nothing_is_added_in_english),
        cmocka_unit_test(longest_line_keeps_its_translations_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
