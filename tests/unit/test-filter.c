#include "check.h"

#include "controlline.h"
#include "filter.h"

static const struct address v4 = { AF_INET, 143, { 192, 0, 2, 7 } }, other = { AF_INET, 143, { 192, 0, 2, 8 } },
                            v6 = { AF_INET6, 5, { 0x20, 1, 0xd, 0xb8, [15] = 7 } }, local = { AF_UNIX };

static struct filter *filter_of(const char *user, const char *upstream, const char *address)
{
    const struct controlline line = { .user = user, .upstream = upstream, .address = address };
    const char *wrong;
    return filter_new(&line, &wrong);
}

TEST(without_an_option_everything_is_admitted)
{
    struct filter *filter = filter_of(NULL, NULL, NULL);
    assert_true(filter_admits_user(filter, (struct imapstate_span){ 0 }));
    assert_true(filter_admits_upstream(filter, "main"));
    assert_true(filter_admits_address(filter, &v6));
    filter_unref(filter);
}

TEST(a_user_is_admitted_in_any_case_of_the_letters)
{
    struct filter *filter = filter_of("Ann\\x20B", NULL, NULL);
    assert_true(filter_admits_user(filter, IMAPSTATE_SPAN("ann b")));
    assert_false(filter_admits_user(filter, IMAPSTATE_SPAN("ann")));
    assert_false(filter_admits_user(filter, (struct imapstate_span){ 0 }));
    filter_unref(filter);
}

TEST(an_upstream_is_admitted_by_its_name)
{
    struct filter *filter = filter_of(NULL, "main", NULL);
    assert_true(filter_admits_upstream(filter, "main"));
    assert_false(filter_admits_upstream(filter, "Main"));
    filter_unref(filter);
}

TEST(an_address_is_admitted_with_any_port)
{
    static const struct {
        const char *text;
        const struct address *address;
        bool is_admitted;
    } rows[] = {
        { "192.0.2.7", &v4, true },   { "192.0.2.7", &other, false }, { "192.0.2.7", &v6, false },
        { "2001:db8::7", &v6, true }, { "2001:DB8:0::7", &v6, true }, { "::ffff:192.0.2.7", &v4, true },
        { "unix", &local, true },     { "unix", &v4, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct filter *filter = filter_of(NULL, NULL, rows[i].text);
        CHECK_ROW(rows[i].text, filter && filter_admits_address(filter, rows[i].address) == rows[i].is_admitted);
        filter_unref(filter);
    }
}

TEST(what_is_no_address_or_name_is_wrong)
{
    assert_null(filter_of(NULL, NULL, "192.0.2"));
    assert_null(filter_of(NULL, NULL, "192.0.2.7:143"));
    assert_null(filter_of(NULL, NULL, "localhost"));
    assert_null(filter_of("a\\b", NULL, NULL));
}

TEST(it_lives_as_long_as_somebody_has_it)
{
    struct filter *filter = filter_of("ann", "main", "unix");
    filter_unref(filter_ref(filter));
    assert_true(filter_admits_user(filter, IMAPSTATE_SPAN("ANN")));
    filter_unref(filter);
    filter_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_an_option_everything_is_admitted),
        cmocka_unit_test(a_user_is_admitted_in_any_case_of_the_letters),
        cmocka_unit_test(an_upstream_is_admitted_by_its_name),
        cmocka_unit_test(an_address_is_admitted_with_any_port),
        cmocka_unit_test(what_is_no_address_or_name_is_wrong),
        cmocka_unit_test(it_lives_as_long_as_somebody_has_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
