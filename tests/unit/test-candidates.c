/* Which addresses an upstream has, and which is tried first. */
#include "check.h"

#include "parking.h"

#include "candidates.h"
#include "log.h"
#include "outage.h"
#include "pulse.h"
#include "resolver.h"

#include <signal.h>
#include <sodium.h>
#include <stdlib.h>

#define NOW   1000000u
#define USERS 3000u

static struct service *service;
static const struct config_upstream *upstream;

static void begin(const char *settings)
{
    char text[512];
    snprintf(text, sizeof text, "upstream \"main\" { tls = \"none\" %s }\n", settings);
    service = parking_service(text);
    upstream = &service->config->upstreams[0];
}

static void end(void)
{
    resolver_done();
    pulse_done();
    outage_done();
    service_unref(service);
}

/* --- what a name server would say --- */

static struct resolver_answer *take(const char *want, uint32_t *ret_era)
{
    char name[RESOLVER_NAME_MAX];
    *ret_era = resolver_era();
    assert_true(resolver_take_wanted(*ret_era, name));
    assert_string_equal(name, want);
    struct resolver_answer *answer = calloc(1, sizeof *answer);
    answer->why = "no such name";
    answer->families[RESOLVER_IPV6].finding = answer->families[RESOLVER_IPV4].finding = RESOLVER_NONE;
    return answer;
}

/* 192.0.2.FIRST and on; the same as 2001:db8::FIRST, with is_both. */
static void answer_host(const char *name, unsigned first, unsigned count, bool is_both)
{
    uint32_t era;
    struct resolver_answer *answer = take(name, &era);
    for (size_t i = 0; i < RESOLVER_FAMILIES; i++) {
        struct resolver_family *family = &answer->families[i];
        if (i == RESOLVER_IPV6 && !is_both)
            continue;
        family->finding = count > 0 ? RESOLVER_FOUND : RESOLVER_NONE;
        family->ttl_s = 60;
        for (unsigned at = first; at < first + count; at++) {
            struct address address = { .family = AF_INET, .octets = { 192, 0, 2, (uint8_t)at } };
            if (i == RESOLVER_IPV6)
                address =
                    (struct address){ .family = AF_INET6, .octets = { 0x20, 0x01, 0x0d, 0xb8, [15] = (uint8_t)at } };
            resolver_add(family, &address);
        }
    }
    resolver_learn(name, era, answer, NOW);
    free(answer);
}

static void answer_service(const char *name, const struct resolver_target *targets, unsigned count)
{
    uint32_t era;
    struct resolver_answer *answer = take(name, &era);
    answer->targets = calloc(1, sizeof *answer->targets);
    answer->targets->finding = count > 0 ? RESOLVER_FOUND : RESOLVER_NONE;
    answer->targets->ttl_s = 60;
    for (unsigned i = 0; i < count; i++)
        resolver_add_target(answer->targets, &targets[i]);
    resolver_learn(name, era, answer, NOW);
    free(answer->targets);
    free(answer);
}

/* --- what comes of it --- */

static char said[256];

/* "1 2/143 u", the last octet of each, with its port if that is not 143; u: the unix socket. */
static const char *order_for(const char *user)
{
    struct candidates_wait wait = { 0 };
    struct candidates candidates;
    uint64_t wait_ms;
    size_t len = 0;
    said[0] = '\0';
    enum resolver_result result = candidates_look_up(upstream, NULL, &wait, NOW, &candidates, &wait_ms);
    if (result != RESOLVER_KNOWN)
        return result == RESOLVER_ASKED ? "asked" : candidates.why;
    candidates_sort(&candidates, upstream, imapstate_span_of(user));
    for (unsigned i = 0; i < candidates.count; i++) {
        const struct address *address = &candidates.at[i].address;
        bool is_v6 = address->family == AF_INET6, is_odd = address->port != 143 && address->family != AF_UNIX;
        len += (size_t)snprintf(said + len, sizeof said - len, i > 0 ? " " : "");
        if (address->family == AF_UNIX)
            len += (size_t)snprintf(said + len, sizeof said - len, "u");
        else
            len +=
                (size_t)snprintf(said + len, sizeof said - len, is_v6 ? ":%u" : "%u", address->octets[is_v6 ? 15 : 3]);
        if (is_odd)
            len += (size_t)snprintf(said + len, sizeof said - len, "/%u", address->port);
    }
    candidates_done(&candidates);
    return said;
}

/* How many of the users come first to each, by last octet. */
static void count_first(unsigned ret_counts[256])
{
    char user[16];
    memset(ret_counts, 0, 256 * sizeof *ret_counts);
    for (unsigned i = 0; i < USERS; i++) {
        snprintf(user, sizeof user, "user%u", i);
        ret_counts[strtoul(order_for(user), NULL, 10)]++;
    }
}

#define THREE "address = { \"192.0.2.1:143\", \"192.0.2.2:143\", \"192.0.2.3:143\" }"

TEST(members_are_in_order_where_that_is_asked_for)
{
    begin("balance = order address = { \"192.0.2.9:143\", \"unix:/run/x\", \"192.0.2.1:1143\" }");
    assert_string_equal(order_for("ann"), "9 u 1/1143");
    assert_string_equal(order_for(""), "9 u 1/1143");
    pulse_fail("main", "192.0.2.9:143", 30000, NOW);
    assert_string_equal(order_for("ann"), "u 1/1143 9");
    pulse_lose("main", "/run/x", NOW, NOW);
    assert_string_equal(order_for("ann"), "1/1143 u 9");
    /* All fail: nobody is refused without a try. */
    pulse_fail("main", "/run/x", 30000, NOW);
    pulse_fail("main", "192.0.2.1:1143", 30000, NOW);
    assert_string_equal(order_for("ann"), "9 u 1/1143");
    end();
}

TEST(a_user_comes_to_the_same_address_every_time_and_in_any_case)
{
    begin(THREE);
    char first[32];
    for (unsigned i = 0; i < 100; i++) {
        char user[32], upper[32];
        snprintf(user, sizeof user, "user%u@example.org", i);
        snprintf(upper, sizeof upper, "USER%u@Example.org", i);
        snprintf(first, sizeof first, "%s", order_for(user));
        assert_string_equal(order_for(user), first);
        assert_string_equal(order_for(upper), first);
    }
    end();
}

TEST(users_are_spread_evenly_and_only_those_of_an_address_that_fails_move)
{
    unsigned before[256], now[256];
    char user[16];
    static char firsts[USERS];
    begin(THREE);
    count_first(before);
    for (unsigned i = 1; i <= 3; i++)
        assert_in_range(before[i], USERS / 3 * 9 / 10, USERS / 3 * 11 / 10);
    for (unsigned i = 0; i < USERS; i++) {
        snprintf(user, sizeof user, "user%u", i);
        firsts[i] = order_for(user)[0];
    }
    pulse_fail("main", "192.0.2.2:143", 30000, NOW);
    for (unsigned i = 0; i < USERS; i++) {
        snprintf(user, sizeof user, "user%u", i);
        char first = order_for(user)[0];
        assert_true(first == firsts[i] || (firsts[i] == '2' && first != '2'));
    }
    count_first(now);
    assert_int_equal(now[2], 0);
    /* Those who have to move do not all move to the same one. */
    assert_in_range(now[1] - before[1], before[2] * 4 / 10, before[2] * 6 / 10);
    end();
}

TEST(a_member_that_is_set_down_or_drains_is_left_out_and_only_its_users_move)
{
    static const enum outage_kind kinds[] = { OUTAGE_DOWN, OUTAGE_DRAINING };
    unsigned before[256], now[256];
    begin(THREE);
    count_first(before);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        outage_begin("main", "192.0.2.2:143", kinds[i]);
        count_first(now);
        assert_int_equal(now[2], 0);
        assert_true(now[1] >= before[1] && now[3] >= before[3]);
        outage_end("main", "192.0.2.2:143");
    }
    for (unsigned i = 1; i <= 3; i++) {
        char member[32];
        snprintf(member, sizeof member, "192.0.2.%u:143", i);
        outage_begin("main", member, OUTAGE_DOWN);
    }
    assert_string_equal(order_for("ann"), "the operator has taken it down");
    end();
}

TEST(the_hash_is_the_same_in_every_release)
{
    /* A fleet whose gateways lead a user to different servers, for the time of an upgrade, would lose its caches. */
    begin(THREE);
    assert_string_equal(order_for("ann"), "3 1 2");
    assert_string_equal(order_for("carol@example.org"), "1 2 3");
    end();
}

TEST(whoever_has_the_fewest_sessions_comes_first)
{
    begin("balance = least-sessions " THREE);
    pulse_count("main", "192.0.2.1:143", 1);
    pulse_count("main", "192.0.2.1:143", 1);
    pulse_count("main", "192.0.2.3:143", 1);
    assert_string_equal(order_for("ann"), "2 3 1");
    pulse_fail("main", "192.0.2.2:143", 30000, NOW);
    assert_string_equal(order_for("ann"), "3 1 2");
    end();
}

TEST(so_it_is_where_nobody_knows_the_user)
{
    unsigned firsts[256] = { 0 };
    begin(THREE);
    for (unsigned i = 0; i < 60; i++)
        firsts[strtoul(order_for(""), NULL, 10)]++;
    assert_true(firsts[1] > 0 && firsts[2] > 0 && firsts[3] > 0);
    pulse_count("main", "192.0.2.1:143", 1);
    pulse_count("main", "192.0.2.2:143", 1);
    assert_int_equal(order_for("")[0], '3');
    end();
}

/* --- names --- */

TEST(the_families_of_a_name_alternate_and_each_is_by_the_user)
{
    unsigned firsts[256] = { 0 };
    char user[16];
    begin("address = mail.example");
    order_for("ann");
    answer_host("mail.example", 1, 3, true);
    for (unsigned i = 0; i < 300; i++) {
        snprintf(user, sizeof user, "user%u", i);
        const char *order = order_for(user);
        for (unsigned at = 0, field = 0; at < 6; at++) {
            assert_int_equal(order[field] == ':', at % 2 == 0);
            field += (unsigned)strcspn(order + field, " ") + 1;
        }
        firsts[order[1] - '0']++;
    }
    for (unsigned i = 1; i <= 3; i++)
        assert_in_range(firsts[i], 70, 130);
    end();
}

TEST(addresses_of_a_name_take_turns_where_the_order_is_asked_for)
{
    begin("balance = order address = { mail.example, \"192.0.2.9:143\" }");
    order_for("");
    answer_host("mail.example", 1, 3, false);
    char orders[3][32];
    for (size_t i = 0; i < 3; i++)
        snprintf(orders[i], sizeof orders[i], "%s", order_for("ann"));
    assert_string_equal(orders[0], "1 2 3 9");
    assert_string_equal(orders[1], "2 3 1 9");
    assert_string_equal(orders[2], "3 1 2 9");
    end();
}

TEST(an_address_that_two_names_have_is_one)
{
    begin("balance = order address = { \"a.example\", \"b.example\", \"192.0.2.2:143\", \"a.example:1143\" }");
    order_for("");
    answer_host("a.example", 1, 2, false);
    answer_host("b.example", 2, 2, false);
    assert_string_equal(order_for(""), "1 2 3 2/1143 1/1143");
    end();
}

TEST(more_than_can_be_kept_are_left_out)
{
    struct candidates_wait wait = { 0 };
    struct candidates candidates;
    uint64_t wait_ms;
    begin("address = { a.example, b.example, c.example, d.example, e.example }");
    order_for("");
    for (char i = 0; i < 5; i++)
        answer_host((char[]){ (char)('a' + i), '.', 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0 }, 1u + 32u * (unsigned)i, 32,
                    false);
    candidates_look_up(upstream, NULL, &wait, NOW, &candidates, &wait_ms);
    assert_int_equal(candidates.count, CANDIDATES_MAX);
    candidates_done(&candidates);
    end();
}

TEST(a_name_that_nobody_answers_for_holds_up_the_others_only_briefly)
{
    struct candidates_wait wait = { 0 };
    struct candidates candidates;
    uint64_t wait_ms;
    begin("balance = order address = { \"mail.example\", \"192.0.2.9:143\" }");
    assert_int_equal(candidates_look_up(upstream, NULL, &wait, NOW, &candidates, &wait_ms), RESOLVER_ASKED);
    assert_int_equal(wait_ms, CANDIDATES_PATIENCE_MS);
    assert_int_equal(candidates_look_up(upstream, NULL, &wait, NOW + 249, &candidates, &wait_ms), RESOLVER_ASKED);
    assert_int_equal(wait_ms, 1);
    assert_int_equal(candidates_look_up(upstream, NULL, &wait, NOW + 250, &candidates, &wait_ms), RESOLVER_KNOWN);
    assert_int_equal(candidates.count, 1);
    candidates_done(&candidates);
    end();
}

TEST(a_member_alone_is_looked_up_alone)
{
    struct candidates_wait wait = { 0 };
    struct candidates candidates;
    uint64_t wait_ms;
    begin("balance = order address = { \"mail.example\", \"192.0.2.9:143\" }");
    assert_int_equal(candidates_look_up(upstream, &upstream->members[1], &wait, NOW, &candidates, &wait_ms),
                     RESOLVER_KNOWN);
    assert_int_equal(candidates.count, 1);
    assert_ptr_equal(candidates.at[0].member, &upstream->members[1]);
    candidates_done(&candidates);
    end();
}

/* --- services --- */

#define SERVICE "srv:_imaps._tcp.example"

TEST(a_service_leads_to_its_hosts_by_priority_and_then_by_weight)
{
    static const struct resolver_target targets[] = {
        { "light.example", 993, 10, 1 },
        { "backup.example", 1993, 20, 50 },
        { "heavy.example", 143, 10, 3 },
    };
    unsigned counts[256];
    for (int by_order = 0; by_order < 2; by_order++) {
        begin(by_order ? "balance = order address = \"" SERVICE "\"" : "address = \"" SERVICE "\"");
        assert_string_equal(order_for("ann"), "asked");
        answer_service(SERVICE, targets, ARRAY_LEN(targets));
        assert_string_equal(order_for("ann"), "asked");
        answer_host("light.example", 1, 1, false);
        answer_host("backup.example", 2, 1, false);
        answer_host("heavy.example", 3, 1, false);
        const char *order = order_for("ann");
        assert_true(strcmp(order, "1/993 3 2/1993") == 0 || strcmp(order, "3 1/993 2/1993") == 0);
        count_first(counts);
        assert_int_equal(counts[2], 0);
        assert_in_range(counts[1], USERS / 4 * 8 / 10, USERS / 4 * 12 / 10);
        pulse_fail("main", "192.0.2.1:993", 30000, NOW);
        pulse_fail("main", "192.0.2.3:143", 30000, NOW);
        assert_int_equal(order_for("ann")[0], '2');
        end();
    }
}

TEST(a_target_without_weight_has_a_small_chance_beside_others_and_an_equal_one_among_its_like)
{
    static const struct resolver_target mixed[] = { { "a.example", 143, 0, 0 }, { "b.example", 143, 0, 100 } },
                                        alike[] = { { "a.example", 143, 0, 0 }, { "b.example", 143, 0, 0 } };
    unsigned counts[256];
    for (int i = 0; i < 2; i++) {
        begin("address = \"" SERVICE "\"");
        order_for("");
        answer_service(SERVICE, i ? alike : mixed, 2);
        order_for("");
        answer_host("a.example", 1, 1, false);
        answer_host("b.example", 2, 1, false);
        count_first(counts);
        if (i)
            assert_in_range(counts[1], USERS * 45 / 100, USERS * 55 / 100);
        else
            assert_true(counts[1] < USERS / 100);
        end();
    }
}

TEST(a_service_that_is_not_offered_tells_so)
{
    begin("address = \"" SERVICE "\"");
    order_for("");
    answer_service(SERVICE, NULL, 0);
    assert_string_equal(order_for(""), "no such name");
    end();
}

TEST(a_service_leads_to_the_ports_and_addresses_of_its_hosts)
{
    static const struct resolver_target one[] = { { "a.example", 993, 0, 0 } },
                                        other[] = { { "b.example", 993, 0, 0 } };
    struct address address = { AF_INET, 993, { 192, 0, 2, 1 } }, elsewhere = { AF_INET, 143, { 192, 0, 2, 1 } };
    begin("address = \"" SERVICE "\"");
    assert_true(resolver_leads_to(SERVICE, &address));
    order_for("");
    answer_service(SERVICE, one, 1);
    assert_true(resolver_leads_to(SERVICE, &address)); /* nobody knows yet */
    order_for("");
    answer_host("a.example", 1, 1, false);
    assert_true(resolver_leads_to(SERVICE, &address));
    assert_false(resolver_leads_to(SERVICE, &elsewhere));
    resolver_renew(NOW);
    uint32_t era = resolver_era();
    char name[RESOLVER_NAME_MAX];
    struct resolver_targets targets = { .finding = RESOLVER_FOUND, .ttl_s = 60 };
    struct resolver_answer answer = { .targets = &targets, .families = { { RESOLVER_NONE }, { RESOLVER_NONE } } };
    resolver_add_target(&targets, &other[0]);
    while (resolver_take_wanted(era, name))
        if (strcmp(name, SERVICE) == 0)
            assert_true(resolver_learn(name, era, &answer, NOW)); /* a target is lost */
    resolver_look_up("b.example", 993, &(struct resolver_wait){ 0 }, NOW, &(struct resolver_addresses){ 0 });
    answer_host("b.example", 7, 1, false);
    assert_false(resolver_leads_to(SERVICE, &address));
    end();
}

static bool is_the_service(const void *arg, const char *name)
{
    return strcmp(name, SERVICE) == 0;
}

TEST(a_reload_keeps_the_hosts_of_a_service_and_no_others)
{
    static const struct resolver_target one[] = { { "a.example", 143, 0, 0 } };
    struct address other = { AF_INET, 143, { 192, 0, 2, 99 } };
    begin("address = { \"" SERVICE "\", \"b.example\" }");
    order_for("");
    answer_service(SERVICE, one, 1);
    answer_host("b.example", 2, 1, false);
    order_for("");
    answer_host("a.example", 1, 1, false);
    assert_false(resolver_leads_to("a.example", &other));
    assert_false(resolver_leads_to("b.example", &other));
    resolver_configure(is_the_service, NULL);
    assert_false(resolver_leads_to("a.example", &other));
    assert_true(resolver_leads_to("b.example", &other)); /* nothing is known of it any more */
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_in_order_where_that_is_asked_for),
        cmocka_unit_test(a_user_comes_to_the_same_address_every_time_and_in_any_case),
        cmocka_unit_test(users_are_spread_evenly_and_only_those_of_an_address_that_fails_move),
        cmocka_unit_test(a_member_that_is_set_down_or_drains_is_left_out_and_only_its_users_move),
        cmocka_unit_test(the_hash_is_the_same_in_every_release),
        cmocka_unit_test(whoever_has_the_fewest_sessions_comes_first),
        cmocka_unit_test(so_it_is_where_nobody_knows_the_user),
        cmocka_unit_test(the_families_of_a_name_alternate_and_each_is_by_the_user),
        cmocka_unit_test(addresses_of_a_name_take_turns_where_the_order_is_asked_for),
        cmocka_unit_test(an_address_that_two_names_have_is_one),
        cmocka_unit_test(more_than_can_be_kept_are_left_out),
        cmocka_unit_test(a_name_that_nobody_answers_for_holds_up_the_others_only_briefly),
        cmocka_unit_test(a_member_alone_is_looked_up_alone),
        cmocka_unit_test(a_service_leads_to_its_hosts_by_priority_and_then_by_weight),
        cmocka_unit_test(a_target_without_weight_has_a_small_chance_beside_others_and_an_equal_one_among_its_like),
        cmocka_unit_test(a_service_that_is_not_offered_tells_so),
        cmocka_unit_test(a_service_leads_to_the_ports_and_addresses_of_its_hosts),
        cmocka_unit_test(a_reload_keeps_the_hosts_of_a_service_and_no_others),
    };
    signal(SIGPIPE, SIG_IGN);
    log_open(LOG_TO_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
