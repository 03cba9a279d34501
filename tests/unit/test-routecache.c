#include "check.h"

#include "address.h"
#include "config.h"
#include "routeanswer.h"
#include "routecache.h"

#include <string.h>

#define NOW     100000u
#define S(text) IMAPSTATE_SPAN(text)

static char url[] = "http://127.0.0.1/a", other_url[] = "http://127.0.0.1/b";
static const struct config_route_http http = { .url = url, .cache_ms = 1000 };

static struct address from(uint8_t last, uint16_t port)
{
    const uint8_t octets[] = { 192, 0, 2, last };
    struct address address;
    address_set_raw(&address, AF_INET, octets, port);
    return address;
}

static void put(struct imapstate_span user, const char *server, struct imapstate_span name, uint64_t now_ms)
{
    struct address client = from(7, 1);
    struct routeanswer answer = { .user_len = name.len };
    snprintf(answer.server, sizeof answer.server, "%s", server);
    memcpy(answer.user, name.at, name.len);
    routecache_put(&http, user, &client, now_ms, &answer);
}

static bool is_known(const struct config_route_http *by, struct imapstate_span user, struct address client,
                     uint64_t now_ms)
{
    struct routeanswer answer;
    return routecache_find(by, user, &client, now_ms, &answer);
}

TEST(an_answer_is_good_for_its_time)
{
    struct address client = from(7, 2); /* from another port: that is no other client */
    struct routeanswer answer;
    assert_false(is_known(&http, S("ann"), client, NOW));
    put(S("ann"), "10.0.0.1:143", S("a\xc3n"), NOW);
    assert_true(routecache_find(&http, S("ann"), &client, NOW + 999, &answer));
    assert_string_equal(answer.server, "10.0.0.1:143");
    assert_string_equal(answer.user, "a\xc3n");
    assert_int_equal(answer.user_len, 3);
    assert_false(is_known(&http, S("ann"), client, NOW + 1000));
    put(S("ann"), "10.0.0.2:143", S(""), NOW + 500); /* the newer one counts, and for its own time */
    assert_true(routecache_find(&http, S("ann"), &client, NOW + 1499, &answer));
    assert_string_equal(answer.server, "10.0.0.2:143");
    assert_int_equal(answer.user_len, 0);
    routecache_forget();
    assert_false(is_known(&http, S("ann"), client, NOW));
}

TEST(an_answer_is_for_who_has_asked)
{
    const struct config_route_http other = { .url = other_url, .cache_ms = 1000 };
    const uint8_t v6[16] = { 192, 0, 2, 7 };
    struct address same_octets;
    address_set_raw(&same_octets, AF_INET6, v6, 1);
    put(S("ann"), "10.0.0.1:143", S(""), NOW);
    assert_true(is_known(&http, S("ann"), from(7, 1), NOW));
    assert_false(is_known(&other, S("ann"), from(7, 1), NOW));
    assert_false(is_known(&http, S("ann"), from(8, 1), NOW));
    assert_false(is_known(&http, S("ann"), same_octets, NOW));
    assert_false(is_known(&http, S("ANN"), from(7, 1), NOW));
    assert_false(is_known(&http, S("an"), from(7, 1), NOW));
    assert_false(is_known(&http, S("ann\0"), from(7, 1), NOW));
    routecache_forget();
}

TEST(what_is_good_for_no_time_is_not_kept)
{
    const struct config_route_http none = { .url = url, .cache_ms = 0 };
    struct address client = from(7, 1);
    struct routeanswer answer = { .server = "10.0.0.1:143" };
    routecache_put(&none, S("ann"), &client, NOW, &answer);
    assert_false(is_known(&none, S("ann"), client, NOW));
    assert_false(is_known(&http, S("ann"), client, 0));
}

TEST(the_oldest_gives_way)
{
    char user[16];
    for (unsigned i = 0; i < ROUTECACHE_MAX; i++) {
        snprintf(user, sizeof user, "u%u", i);
        put(imapstate_span_of(user), "10.0.0.1:143", S(""), NOW);
    }
    put(S("u1"), "10.0.0.1:143", S(""), NOW); /* a newer answer in the place of the one before */
    assert_true(is_known(&http, S("u0"), from(7, 1), NOW));
    put(S("more"), "10.0.0.1:143", S(""), NOW);
    put(S("and more"), "10.0.0.1:143", S(""), NOW);
    assert_false(is_known(&http, S("u0"), from(7, 1), NOW));
    assert_true(is_known(&http, S("u1"), from(7, 1), NOW));
    assert_false(is_known(&http, S("u2"), from(7, 1), NOW));
    assert_true(is_known(&http, S("u3"), from(7, 1), NOW));
    assert_true(is_known(&http, S("more"), from(7, 1), NOW));
    routecache_forget();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_good_for_its_time),
        cmocka_unit_test(an_answer_is_for_who_has_asked),
        cmocka_unit_test(what_is_good_for_no_time_is_not_kept),
        cmocka_unit_test(the_oldest_gives_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
