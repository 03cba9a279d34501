#include "check.h"

#include "way.h"

#include <pthread.h>

enum { L = WAY_BIT(WAY_LOGIN), P = WAY_BIT(WAY_PLAIN), A = WAY_BIT(WAY_AUTH_LOGIN) };

#define ALL "SASL-IR AUTH=PLAIN AUTH=LOGIN"

static const struct {
    const char *name, *offers;
    enum way own;
    const char *password, *authorization;
    uint8_t worked, broken, refused;
    enum way want;
} rows[] = {
    { "LOGIN as the client chose", ALL, WAY_LOGIN, "secret", "", 0, 0, 0, WAY_LOGIN },
    { "PLAIN as the client chose", ALL, WAY_PLAIN, "secret", "", 0, 0, 0, WAY_PLAIN },
    { "PLAIN that has to wait, as the client chose", "AUTH=PLAIN", WAY_PLAIN, "secret", "", 0, 0, 0, WAY_PLAIN },
    { "the mechanism LOGIN as the client chose", ALL, WAY_AUTH_LOGIN, "secret", "", 0, 0, 0, WAY_AUTH_LOGIN },
    { "8-bit octets by LOGIN, as the client chose", ALL, WAY_LOGIN, "\xc3\xbc", "", 0, 0, 0, WAY_LOGIN },
    { "the client's own way, whatever else has worked", ALL, WAY_PLAIN, "secret", "", L, 0, 0, WAY_PLAIN },

    { "LOGIN is disabled", ALL " LOGINDISABLED", WAY_LOGIN, "secret", "", 0, 0, 0, WAY_PLAIN },
    { "LOGIN is disabled, and there is only its mechanism", "AUTH=LOGIN LOGINDISABLED", WAY_LOGIN, "secret", "", 0, 0,
      0, WAY_AUTH_LOGIN },
    { "no PLAIN", "AUTH=LOGIN SASL-IR", WAY_PLAIN, "secret", "", 0, 0, 0, WAY_LOGIN },
    { "no mechanism LOGIN: PLAIN with an initial response is as quick as LOGIN", "AUTH=PLAIN SASL-IR", WAY_AUTH_LOGIN,
      "secret", "", 0, 0, 0, WAY_PLAIN },
    { "LOGIN is quicker than PLAIN that has to wait", "AUTH=PLAIN", WAY_AUTH_LOGIN, "secret", "", 0, 0, 0, WAY_LOGIN },
    { "but not with a literal", "AUTH=PLAIN", WAY_AUTH_LOGIN, "\xc3\xbc", "", 0, 0, 0, WAY_PLAIN },
    { "nor with a backslash", "AUTH=PLAIN", WAY_AUTH_LOGIN, "a\\b", "", 0, 0, 0, WAY_PLAIN },
    { "the one that has worked is better", "AUTH=PLAIN SASL-IR", WAY_AUTH_LOGIN, "secret", "", L, 0, 0, WAY_LOGIN },
    { "if it is there still", "AUTH=PLAIN SASL-IR LOGINDISABLED", WAY_AUTH_LOGIN, "secret", "", L, 0, 0, WAY_PLAIN },
    { "no way", "AUTH=CRAM-MD5 LOGINDISABLED", WAY_LOGIN, "secret", "", 0, 0, 0, WAY_NONE },

    { "an authorization identity needs PLAIN", ALL, WAY_PLAIN, "secret", "bob", L, 0, 0, WAY_PLAIN },
    { "be it broken", ALL, WAY_PLAIN, "secret", "bob", L, P, 0, WAY_PLAIN },
    { "and is not dropped", "AUTH=LOGIN", WAY_PLAIN, "secret", "bob", 0, 0, 0, WAY_NONE },
    { "nor where PLAIN has refused it", ALL, WAY_PLAIN, "secret", "bob", 0, 0, P, WAY_NONE },

    { "PLAIN is broken", ALL, WAY_PLAIN, "secret", "", L, P, 0, WAY_LOGIN },
    { "LOGIN is broken", ALL, WAY_LOGIN, "secret", "", P, L, 0, WAY_PLAIN },
    { "both but one", ALL, WAY_LOGIN, "secret", "", A, L | P, 0, WAY_AUTH_LOGIN },
    { "broken, but there is nothing else", "", WAY_LOGIN, "secret", "", P, L, 0, WAY_LOGIN },

    { "PLAIN has refused", ALL, WAY_PLAIN, "secret", "", 0, 0, P, WAY_LOGIN },
    { "LOGIN has refused", ALL, WAY_LOGIN, "secret", "", 0, 0, L, WAY_PLAIN },
    { "the mechanism LOGIN has refused", ALL, WAY_AUTH_LOGIN, "secret", "", 0, 0, A, WAY_PLAIN },
    { "the only one has refused", "", WAY_LOGIN, "secret", "", 0, 0, L, WAY_NONE },
};

static struct sasl_identity identity_of(const char *password, const char *authorization)
{
    struct sasl_identity identity;
    sasl_identity_init(&identity);
    assert_true(imapstate_buf_put(&identity.authentication, IMAPSTATE_SPAN("ann")));
    assert_true(imapstate_buf_put(&identity.password, imapstate_span_of(password)));
    assert_true(imapstate_buf_put(&identity.authorization, imapstate_span_of(authorization)));
    return identity;
}

TEST(a_password_goes_by_the_way_that_the_client_chose_or_one_that_is_known_to_work)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sasl_identity identity = identity_of(rows[i].password, rows[i].authorization);
        struct capabilities offers;
        capability_parse(imapstate_span_of(rows[i].offers), &offers);
        struct way_lore lore = { .worked = rows[i].worked, .broken = rows[i].broken };
        CHECK_ROW(rows[i].name, way_choose(lore, rows[i].own, &identity, &offers, rows[i].refused) == rows[i].want);
        sasl_identity_done(&identity);
    }
}

TEST(what_a_success_shows_is_remembered)
{
    struct ways *ways = ways_new();
    assert_non_null(ways);
    assert_false(ways_lore(ways).has_admitted);
    ways_admit(ways, WAY_NONE, 0);
    assert_true(ways_lore(ways).has_admitted);
    assert_int_equal(ways_lore(ways).worked, 0);
    ways_admit(ways, WAY_LOGIN, P);
    assert_int_equal(ways_lore(ways).worked, L);
    assert_int_equal(ways_lore(ways).broken, P);
    ways_admit(ways, WAY_AUTH_LOGIN, 0);
    assert_int_equal(ways_lore(ways).worked, A);
    assert_int_equal(ways_lore(ways).broken, P);
    ways_admit(ways, WAY_PLAIN, 0); /* it was not the way */
    assert_int_equal(ways_lore(ways).worked, P);
    assert_int_equal(ways_lore(ways).broken, 0);
    ways_unref(ways);
    ways_unref(NULL);
}

static void *admit_plain(void *arg)
{
    for (int i = 0; i < 10000; i++)
        ways_admit(arg, WAY_PLAIN, A);
    ways_unref(arg);
    return NULL;
}

TEST(threads_do_not_lose_what_others_have_learned)
{
    struct ways *ways = ways_new();
    pthread_t thread;
    assert_non_null(ways);
    assert_int_equal(pthread_create(&thread, NULL, admit_plain, ways_ref(ways)), 0);
    for (int i = 0; i < 10000; i++)
        ways_admit(ways, WAY_LOGIN, A);
    pthread_join(thread, NULL);
    assert_int_equal(ways_lore(ways).broken, A);
    ways_unref(ways);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_password_goes_by_the_way_that_the_client_chose_or_one_that_is_known_to_work),
        cmocka_unit_test(what_a_success_shows_is_remembered),
        cmocka_unit_test(threads_do_not_lose_what_others_have_learned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
