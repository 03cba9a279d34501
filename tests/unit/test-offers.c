#include "check.h"
#include "offers.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *one, *other;
    bool is_same;
} pairs[] = {
    { "itself", "IMAP4rev1 ID", "IMAP4rev1 ID", true },
    { "another order", "IMAP4rev1 ID AUTH=PLAIN", "AUTH=PLAIN IMAP4rev1 ID", true },
    { "another case", "IMAP4rev1 ID", "imap4REV1 Id", true },
    { "spaces and names twice", "IMAP4rev1 ID", "  ID  IMAP4rev1 ID ", true },
    { "one more", "IMAP4rev1 ID", "IMAP4rev1 ID X", false },
    { "a longer one", "IMAP4rev1 ID", "IMAP4rev1 IDX", false },
    { "another mechanism", "IMAP4rev1 AUTH=PLAIN", "IMAP4rev1 AUTH=LOGIN", false },
    { "the same word twice is one", "A A B", "B A", true },
    { "none", "IMAP4rev1", "", false },
    { "none at all", "", "", true },
};

TEST(lists_are_the_same_in_whatever_order_and_case)
{
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        struct imapstate_span one = imapstate_span_of(pairs[i].one), other = imapstate_span_of(pairs[i].other);
        struct offers *first = offers_new(one), *second = offers_new(other);
        CHECK_ROW(pairs[i].name, offers_are(first, other) == pairs[i].is_same);
        CHECK_ROW(pairs[i].name, offers_are(second, one) == pairs[i].is_same);
        offers_unref(first);
        offers_unref(second);
    }
}

TEST(a_list_is_kept_as_it_was_said_and_read_once)
{
    char names[] = "IMAP4rev1  ID literal+ AUTH=PLAIN";
    struct offers *offers = offers_new(imapstate_span_of(names));
    assert_non_null(offers);
    memset(names, 'x', strlen(names)); /* copied */
    CHECK_SPAN("as it was said", offers_names(offers), IMAPSTATE_SPAN("IMAP4rev1  ID literal+ AUTH=PLAIN"));
    assert_true(offers_known(offers)->id && offers_known(offers)->literal_plus && offers_known(offers)->mechanisms);
    assert_false(offers_known(offers)->starttls);
    struct offers *other = offers_ref(offers);
    assert_ptr_equal(other, offers);
    offers_unref(offers);
    assert_true(offers_known(other)->id); /* the other's */
    offers_unref(other);
}

TEST(no_list_has_no_names_and_offers_nothing)
{
    assert_int_equal(offers_names(NULL).len, 0);
    assert_false(offers_known(NULL)->id || offers_known(NULL)->mechanisms);
    assert_null(offers_ref(NULL));
    assert_true(offers_are(NULL, IMAPSTATE_SPAN("")));
    offers_unref(NULL);
}

TEST(a_list_has_a_word_and_not_more_octets_than_may_be)
{
    uint8_t *names = malloc(CAPABILITY_LIST_MAX + 1);
    assert_non_null(names);
    memset(names, 'x', CAPABILITY_LIST_MAX + 1);
    assert_null(offers_new(IMAPSTATE_SPAN("")));
    assert_null(offers_new((struct imapstate_span){ names, CAPABILITY_LIST_MAX + 1 }));
    struct offers *offers = offers_new((struct imapstate_span){ names, CAPABILITY_LIST_MAX });
    assert_int_equal(offers_names(offers).len, CAPABILITY_LIST_MAX);
    offers_unref(offers);
    free(names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_the_same_in_whatever_order_and_case),
        cmocka_unit_test(a_list_is_kept_as_it_was_said_and_read_once),
        cmocka_unit_test(no_list_has_no_names_and_offers_nothing),
        cmocka_unit_test(a_list_has_a_word_and_not_more_octets_than_may_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
