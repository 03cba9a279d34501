#include "check.h"
#include "sasl.h"
#include "views.h"

#include <stdlib.h>
#include <string.h>

/* Each differs from the first in one member. */
static const struct {
    const char *name;
    struct capability_view options;
} options[] = {
    { "before login", { .is_before_login = true, .may_login = true } },
    { "after it", { .is_before_login = false, .may_login = true } },
    { "STARTTLS", { .is_before_login = true, .offers_starttls = true, .may_login = true } },
    { "no login", { .is_before_login = true } },
    { "STATE", { .is_before_login = true, .may_login = true, .has_state = true } },
    { "LANGUAGE", { .is_before_login = true, .may_login = true, .has_language = true } },
    { "XIMAPPROXY", { .is_before_login = true, .may_login = true, .has_ximapproxy = true } },
    { "COMPRESS after login", { .is_before_login = false, .may_login = true, .has_compress = true } },
    { "mechanisms", { .is_before_login = true, .may_login = true, .mechanisms = SASL_BIT(SASL_PLAIN) } },
    { "all mechanisms", { .is_before_login = true, .may_login = true, .mechanisms = SASL_BITS } },
    { "but what is hidden",
      { .is_before_login = true, .may_login = true, .hides_proofs = true, .mechanisms = SASL_BITS } },
};

#define NAMES "IMAP4rev1 ID AUTH=PLAIN AUTH=CRAM-MD5 X-FOO"

/* What is shown is what the list is rewritten to, whatever is remembered. */
static struct offers *check_show(struct views *views, struct offers *of, size_t row)
{
    struct imapstate_buf want;
    imapstate_buf_init(&want, CAPABILITY_LIST_MAX);
    assert_true(capability_rewrite(offers_names(of), &options[row].options, &want));
    struct offers *shown = views_show(views, of, &options[row].options);
    CHECK_SPAN(options[row].name, offers_names(shown), imapstate_buf_span(&want));
    imapstate_buf_done(&want);
    return shown;
}

TEST(each_sees_what_its_options_are_and_twice_the_same_object)
{
    struct views views = { 0 };
    struct offers *of = offers_new(IMAPSTATE_SPAN(NAMES));
    for (unsigned turn = 0; turn < 2; turn++)
        for (size_t i = 0; i < ARRAY_LEN(options); i++) {
            struct offers *shown = check_show(&views, of, i), *again = check_show(&views, of, i);
            CHECK_ROW(options[i].name, shown == again);
            offers_unref(shown);
            offers_unref(again);
        }
    offers_unref(of);
    views_done(&views);
}

TEST(a_list_that_came_before_is_the_same_object)
{
    struct views views = { 0 };
    struct offers *first = views_take(&views, IMAPSTATE_SPAN(NAMES));
    struct offers *shown = check_show(&views, first, 0), *second = views_take(&views, IMAPSTATE_SPAN(NAMES));
    assert_ptr_equal(second, first);
    /* Another connection has said it, in the same words. */
    struct offers *elsewhere = offers_new(IMAPSTATE_SPAN(NAMES)),
                  *same = views_show(&views, elsewhere, &options[0].options);
    assert_ptr_equal(same, shown);
    struct offers *other = views_take(&views, IMAPSTATE_SPAN(NAMES " MORE"));
    assert_ptr_not_equal(other, first);
    CHECK_SPAN("another", offers_names(other), IMAPSTATE_SPAN(NAMES " MORE"));
    assert_null(views_take(&views, IMAPSTATE_SPAN("")));
    offers_unref(first);
    offers_unref(second);
    offers_unref(shown);
    offers_unref(elsewhere);
    offers_unref(same);
    offers_unref(other);
    views_done(&views);
}

TEST(more_than_are_remembered_are_shown_all_the_same)
{
    struct views views = { 0 };
    for (unsigned turn = 0; turn < 3 * VIEWS_MAX; turn++) {
        char names[64];
        snprintf(names, sizeof names, NAMES " N%u", turn);
        struct offers *of = views_take(&views, imapstate_span_of(names));
        offers_unref(check_show(&views, of, turn % ARRAY_LEN(options)));
        offers_unref(of);
    }
    views_done(&views);
    views_done(&views); /* does no harm */
}

TEST(what_does_not_fit_is_not_shown)
{
    struct views views = { 0 };
    uint8_t *names = malloc(CAPABILITY_LIST_MAX);
    assert_non_null(names);
    memset(names, 'x', CAPABILITY_LIST_MAX);
    struct offers *of = offers_new((struct imapstate_span){ names, CAPABILITY_LIST_MAX });
    assert_non_null(of);
    assert_null(views_show(&views, of, &options[0].options)); /* LITERAL+ comes to it */
    struct offers *nothing = views_show(&views, NULL, &options[0].options);
    CHECK_SPAN("no list", offers_names(nothing), IMAPSTATE_SPAN("LITERAL+ LOGINDISABLED"));
    offers_unref(nothing);
    offers_unref(of);
    views_done(&views);
    free(names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_sees_what_its_options_are_and_twice_the_same_object),
        cmocka_unit_test(a_list_that_came_before_is_the_same_object),
        cmocka_unit_test(more_than_are_remembered_are_shown_all_the_same),
        cmocka_unit_test(what_does_not_fit_is_not_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
