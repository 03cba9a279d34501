#include "check.h"
#include "octet.h"

#include <string.h>

/* RFC 9051 section 9, word for word:
 *   atom-specials = "(" / ")" / "{" / SP / CTL / list-wildcards / quoted-specials / resp-specials
 *   list-wildcards = "%" / "*"; quoted-specials = DQUOTE / "\"; resp-specials = "]"
 *   ATOM-CHAR = <any CHAR except atom-specials>; ASTRING-CHAR = ATOM-CHAR / resp-specials
 *   list-char = ATOM-CHAR / list-wildcards / resp-specials; tag = 1*<any ASTRING-CHAR except "+"> */
static bool is_one_of(unsigned octet, const char *octets)
{
    return memchr(octets, (int)octet, strlen(octets));
}

TEST(each_octet_is_in_the_sets_that_the_grammar_has_it_in)
{
    for (unsigned octet = 0; octet < 256; octet++) {
        bool is_char = octet >= 0x01 && octet <= 0x7f, is_ctl = octet <= 0x1f || octet == 0x7f;
        bool is_atom = is_char && !is_ctl && !is_one_of(octet, "(){ %*\"\\]");
        bool is_astring = is_atom || octet == ']';
        CHECK_ROW("ATOM-CHAR", octet_is((uint8_t)octet, OCTET_ATOM) == is_atom);
        CHECK_ROW("ASTRING-CHAR", octet_is((uint8_t)octet, OCTET_ASTRING) == is_astring);
        CHECK_ROW("tag", octet_is((uint8_t)octet, OCTET_TAG) == (is_astring && octet != '+'));
        CHECK_ROW("list-char", octet_is((uint8_t)octet, OCTET_LIST) == (is_astring || octet == '%' || octet == '*'));
    }
}

TEST(a_word_is_of_a_set_as_a_whole)
{
    static const struct {
        struct imapstate_span value;
        bool is_atom, is_astring, is_tag, is_list;
    } rows[] = {
        { IMAPSTATE_SPAN(""), false, false, false, false },
        { IMAPSTATE_SPAN("A1"), true, true, true, true },
        { IMAPSTATE_SPAN("a b"), false, false, false, false },
        { IMAPSTATE_SPAN("a]"), false, true, true, true },
        { IMAPSTATE_SPAN("+"), true, true, false, true },
        { IMAPSTATE_SPAN("INBOX.%"), false, false, false, true },
        { IMAPSTATE_SPAN("a\0b"), false, false, false, false },
        { IMAPSTATE_SPAN("\xc3\xa4"), false, false, false, false },
        { IMAPSTATE_SPAN("{"), false, false, false, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CHECK_ROW("atom", octets_are(rows[i].value, OCTET_ATOM) == rows[i].is_atom);
        CHECK_ROW("astring", octets_are(rows[i].value, OCTET_ASTRING) == rows[i].is_astring);
        CHECK_ROW("tag", octets_are(rows[i].value, OCTET_TAG) == rows[i].is_tag);
        CHECK_ROW("list", octets_are(rows[i].value, OCTET_LIST) == rows[i].is_list);
    }
}

TEST(what_is_taken_ends_where_the_set_does)
{
    struct imapstate_span in = IMAPSTATE_SPAN("A]1+ x");
    CHECK_SPAN("tag", octets_take(&in, OCTET_TAG), IMAPSTATE_SPAN("A]1"));
    CHECK_SPAN("behind it", in, IMAPSTATE_SPAN("+ x"));
    CHECK_SPAN("none", octets_take(&in, OCTET_TAG), IMAPSTATE_SPAN(""));
    CHECK_SPAN("nothing is taken then", in, IMAPSTATE_SPAN("+ x"));
    in = (struct imapstate_span){ NULL, 0 };
    CHECK_SPAN("nothing", octets_take(&in, OCTET_ATOM), IMAPSTATE_SPAN(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_octet_is_in_the_sets_that_the_grammar_has_it_in),
        cmocka_unit_test(a_word_is_of_a_set_as_a_whole),
        cmocka_unit_test(what_is_taken_ends_where_the_set_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
