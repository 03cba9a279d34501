#include "check.h"

#include "resolver.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define NAME "mail.example.org"

static struct resolver_addresses found;
static unsigned wakes;

static void wake(void *arg)
{
    wakes++;
}

/* 192.0.2.LAST, or 2001:db8::LAST. */
static struct address host(int family, uint8_t last)
{
    uint8_t octets[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = last };
    struct address address;
    if (family == AF_INET)
        memcpy(octets, (uint8_t[]){ 192, 0, 2, last }, 4);
    address_set_raw(&address, family, octets, 0);
    return address;
}

/* IPv4: hosts is the last octets, "" none, NULL: failed. */
static struct resolver_answer answer(const char *hosts, uint32_t ttl_s)
{
    struct resolver_answer said = { .why = "why not" };
    said.families[RESOLVER_IPV6].finding = hosts ? RESOLVER_NONE : RESOLVER_FAILED;
    struct resolver_family *ipv4 = &said.families[RESOLVER_IPV4];
    ipv4->finding = !hosts ? RESOLVER_FAILED : *hosts ? RESOLVER_FOUND : RESOLVER_NONE;
    ipv4->ttl_s = ttl_s;
    for (; hosts && *hosts; hosts++) {
        struct address address = host(AF_INET, (uint8_t)*hosts);
        resolver_add(ipv4, &address);
    }
    return said;
}

static enum resolver_result look_up(struct resolver_wait *wait, uint64_t now_ms)
{
    return resolver_look_up(NAME, 143, wait, now_ms, &found);
}

static enum resolver_result look_up_anew(uint64_t now_ms)
{
    struct resolver_wait wait = { 0 };
    return look_up(&wait, now_ms);
}

/* What is wanted, or "". */
static const char *take(uint32_t *ret_era)
{
    static char name[RESOLVER_NAME_MAX];
    *ret_era = resolver_era();
    return resolver_take_wanted(*ret_era, name) ? name : "";
}

static bool say(const struct resolver_answer *said, uint64_t now_ms)
{
    uint32_t era;
    assert_string_equal(take(&era), NAME);
    return resolver_learn(NAME, era, said, now_ms);
}

/* The first of those that were found, by its last octet. */
static char first(void)
{
    assert_true(found.count > 0);
    assert_int_equal(found.addresses[0].port, 143);
    return (char)found.addresses[0].octets[found.addresses[0].family == AF_INET ? 3 : 15];
}

static void known(const char *hosts, uint32_t ttl_s, uint64_t now_ms)
{
    struct resolver_answer said = answer(hosts, ttl_s);
    resolver_done();
    assert_int_equal(look_up_anew(now_ms), RESOLVER_ASKED);
    say(&said, now_ms);
}

TEST(one_asks_all_hear)
{
    struct resolver_wait waits[3] = { 0 };
    struct resolver_answer said = answer("a", 60);
    uint32_t era;
    resolver_done();
    resolver_set_asker(wake, NULL);
    wakes = 0;
    for (size_t i = 0; i < ARRAY_LEN(waits); i++)
        assert_int_equal(look_up(&waits[i], 1000), RESOLVER_ASKED);
    assert_int_equal(wakes, 1);
    assert_string_equal(take(&era), NAME);
    assert_string_equal(take(&era), "");
    assert_int_equal(look_up(&waits[0], 1500), RESOLVER_ASKED);
    resolver_learn(NAME, era, &said, 1600);
    for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
        assert_int_equal(look_up(&waits[i], 1700), RESOLVER_KNOWN);
        assert_int_equal(first(), 'a');
    }
    assert_string_equal(take(&era), "");
    resolver_set_asker(NULL, NULL);
    resolver_done();
}

TEST(an_answer_is_kept_for_its_ttl)
{
    uint32_t era;
    known("a", 5, 1000);
    assert_int_equal(look_up_anew(5999), RESOLVER_KNOWN);
    assert_string_equal(take(&era), "");
    assert_int_equal(look_up_anew(6000), RESOLVER_ASKED);
    assert_string_equal(take(&era), NAME);
    resolver_done();
}

TEST(the_least_ttl_of_both_families_counts)
{
    struct resolver_answer said = answer("a", 60);
    struct address ipv6 = host(AF_INET6, 'b');
    resolver_done();
    look_up_anew(1000);
    said.families[RESOLVER_IPV6] = (struct resolver_family){ .finding = RESOLVER_FOUND, .ttl_s = 2 };
    resolver_add(&said.families[RESOLVER_IPV6], &ipv6);
    say(&said, 1000);
    assert_int_equal(look_up_anew(2999), RESOLVER_KNOWN);
    assert_int_equal(found.count, 2);
    assert_int_equal(first(), 'b');
    assert_int_equal(look_up_anew(3000), RESOLVER_ASKED);
    resolver_done();
}

TEST(with_a_ttl_of_0_who_waited_hears_the_answer_and_the_next_asks_again)
{
    struct resolver_wait wait = { 0 };
    struct resolver_answer said = answer("a", 0);
    uint32_t era;
    resolver_done();
    assert_int_equal(look_up(&wait, 1000), RESOLVER_ASKED);
    say(&said, 1100);
    assert_int_equal(look_up(&wait, 9000), RESOLVER_KNOWN);
    assert_string_equal(take(&era), "");
    assert_int_equal(look_up_anew(1100), RESOLVER_ASKED);
    assert_string_equal(take(&era), NAME);
    resolver_done();
}

TEST(a_huge_ttl_is_cut_but_not_what_the_hosts_file_says)
{
    known("a", 0x7fffffff, 1000);
    assert_int_equal(look_up_anew(1000 + RESOLVER_TTL_MAX_S * 1000 - 1), RESOLVER_KNOWN);
    assert_int_equal(look_up_anew(1000 + RESOLVER_TTL_MAX_S * 1000), RESOLVER_ASKED);
    known("a", RESOLVER_TTL_FOREVER, 1000);
    assert_int_equal(look_up_anew(1000 + 1000ull * RESOLVER_TTL_MAX_S * 1000), RESOLVER_KNOWN);
    resolver_done();
}

TEST(in_an_outage_the_last_known_addresses_go_on_being_used_and_nobody_waits)
{
    struct resolver_answer failure = answer(NULL, 0), said = answer("b", 5);
    struct resolver_wait wait = { 0 };
    known("a", 5, 1000);
    assert_int_equal(look_up(&wait, 6000), RESOLVER_ASKED);
    say(&failure, 6500);
    assert_int_equal(look_up(&wait, 6500), RESOLVER_KNOWN);
    for (uint64_t now_ms = 6500; now_ms < 7200000; now_ms += 100000) {
        uint32_t era;
        assert_int_equal(look_up_anew(now_ms), RESOLVER_KNOWN);
        assert_int_equal(first(), 'a');
        if (*take(&era))
            resolver_learn(NAME, era, &failure, now_ms);
    }
    assert_int_equal(look_up_anew(7300000), RESOLVER_KNOWN);
    say(&said, 7300000);
    assert_int_equal(look_up_anew(7300000), RESOLVER_KNOWN);
    assert_int_equal(first(), 'b');
    resolver_done();
}

TEST(a_failure_is_asked_about_again_after_a_while)
{
    struct resolver_answer failure = answer(NULL, 0);
    uint32_t era;
    known("a", 5, 1000);
    look_up_anew(6000);
    say(&failure, 6500);
    assert_int_equal(look_up_anew(6500 + RESOLVER_RETRY_MS - 1), RESOLVER_KNOWN);
    assert_string_equal(take(&era), "");
    assert_int_equal(look_up_anew(6500 + RESOLVER_RETRY_MS), RESOLVER_KNOWN);
    assert_string_equal(take(&era), NAME);
    resolver_done();
}

TEST(a_name_server_that_dallies_is_not_waited_for_where_there_are_addresses)
{
    struct resolver_wait wait = { 0 };
    known("a", 5, 1000);
    assert_int_equal(look_up(&wait, 6000), RESOLVER_ASKED);
    assert_int_equal(look_up(&wait, 6000 + RESOLVER_PATIENCE_MS - 1), RESOLVER_ASKED);
    assert_int_equal(look_up(&wait, 6000 + RESOLVER_PATIENCE_MS), RESOLVER_KNOWN);
    assert_int_equal(first(), 'a');
    resolver_done();
}

TEST(without_addresses_it_is_waited_for_and_its_failure_is_told)
{
    struct resolver_wait wait = { 0 };
    struct resolver_answer failure = answer(NULL, 0);
    uint32_t era;
    resolver_done();
    assert_int_equal(look_up(&wait, 1000), RESOLVER_ASKED);
    assert_int_equal(look_up(&wait, 50000), RESOLVER_ASKED);
    say(&failure, 50000);
    assert_int_equal(look_up(&wait, 50000), RESOLVER_UNKNOWN);
    assert_string_equal(found.why, "why not");
    assert_int_equal(look_up_anew(50000 + RESOLVER_RETRY_MS - 1), RESOLVER_UNKNOWN);
    assert_string_equal(take(&era), "");
    assert_int_equal(look_up_anew(50000 + RESOLVER_RETRY_MS), RESOLVER_ASKED);
    assert_string_equal(take(&era), NAME);
    resolver_done();
}

TEST(a_name_that_ceases_to_exist_has_no_addresses_any_more_and_may_come_back)
{
    struct resolver_answer none = answer("", 0), said = answer("b", 5);
    struct resolver_wait wait = { 0 };
    known("a", 5, 1000);
    assert_int_equal(look_up(&wait, 6000), RESOLVER_ASKED);
    assert_true(say(&none, 6000));
    assert_int_equal(look_up(&wait, 6000), RESOLVER_UNKNOWN);
    assert_int_equal(look_up_anew(6000 + RESOLVER_RETRY_MS), RESOLVER_ASKED);
    assert_false(say(&said, 8000));
    assert_int_equal(look_up_anew(8000), RESOLVER_KNOWN);
    assert_int_equal(first(), 'b');
    resolver_done();
}

TEST(a_family_that_fails_keeps_what_was_known_of_it)
{
    struct resolver_answer both = answer("a", 5), one = answer("a", 5);
    struct address ipv6 = host(AF_INET6, 'b');
    resolver_done();
    look_up_anew(1000);
    both.families[RESOLVER_IPV6] = (struct resolver_family){ .finding = RESOLVER_FOUND, .ttl_s = 5 };
    resolver_add(&both.families[RESOLVER_IPV6], &ipv6);
    say(&both, 1000);
    look_up_anew(6000);
    one.families[RESOLVER_IPV6].finding = RESOLVER_FAILED;
    assert_false(say(&one, 6000));
    assert_int_equal(look_up_anew(6000), RESOLVER_KNOWN);
    assert_int_equal(found.count, 2);
    assert_true(resolver_leads_to(NAME, &ipv6));
    look_up_anew(11000);
    one.families[RESOLVER_IPV6].finding = RESOLVER_NONE;
    assert_true(say(&one, 11000));
    assert_false(resolver_leads_to(NAME, &ipv6));
    resolver_done();
}

TEST(addresses_take_turns)
{
    static const char *const orders[] = { "abc", "bca", "cab", "abc" };
    known("abc", 60, 1000);
    for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
        assert_int_equal(look_up_anew(1000), RESOLVER_KNOWN);
        assert_int_equal(found.count, 3);
        for (size_t j = 0; j < 3; j++)
            CHECK_ROW(orders[i], found.addresses[j].octets[3] == orders[i][j]);
    }
    resolver_done();
}

TEST(the_families_alternate_from_ipv6_on)
{
    struct resolver_answer said = answer("abc", 60);
    resolver_done();
    look_up_anew(1000);
    said.families[RESOLVER_IPV6] = (struct resolver_family){ .finding = RESOLVER_FOUND, .ttl_s = 60 };
    for (uint8_t last = 'x'; last <= 'y'; last++) {
        struct address address = host(AF_INET6, last);
        resolver_add(&said.families[RESOLVER_IPV6], &address);
    }
    say(&said, 1000);
    assert_int_equal(look_up_anew(1000), RESOLVER_KNOWN);
    const char want[] = "xaybc";
    assert_int_equal(found.count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(found.addresses[i].octets[found.addresses[i].family == AF_INET ? 3 : 15], want[i]);
    resolver_done();
}

TEST(a_scout_takes_nobodys_turn)
{
    known("ab", 60, 1000);
    look_up_anew(1000);
    for (size_t i = 0; i < 2; i++) {
        struct resolver_wait wait = { .is_scouting = true };
        assert_int_equal(look_up(&wait, 1000), RESOLVER_KNOWN);
        assert_int_equal(first(), 'b');
    }
    look_up_anew(1000);
    assert_int_equal(first(), 'b');
    look_up_anew(1000);
    assert_int_equal(first(), 'a');
    resolver_done();
}

TEST(a_name_loses_an_address_only_by_an_answer_that_names_all)
{
    static const struct {
        const char *before, *now;
        bool has_more, loses;
    } rows[] = {
        { "a", "a", false, false }, { "a", "b", false, true },    { "a", "ab", false, false },
        { "ab", "a", false, true }, { "ab", "ba", false, false }, { "a", "b", true, false },
        { "a", "", false, true },   { "", "a", false, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct resolver_answer said = answer(rows[i].now, 5);
        struct address a = host(AF_INET, 'a');
        said.families[RESOLVER_IPV4].has_more = rows[i].has_more;
        known(rows[i].before, 5, 1000);
        look_up_anew(7000);
        CHECK_ROW(rows[i].now, say(&said, 7000) == rows[i].loses);
        CHECK_ROW(rows[i].now, resolver_leads_to(NAME, &a) == (rows[i].has_more || strchr(rows[i].now, 'a')));
    }
    resolver_done();
}

TEST(of_a_name_that_is_not_known_nothing_can_be_said)
{
    struct address a = host(AF_INET, 'a');
    resolver_done();
    assert_true(resolver_leads_to(NAME, &a));
    look_up_anew(1000);
    assert_true(resolver_leads_to(NAME, &a));
    resolver_done();
}

TEST(the_addresses_of_a_name_are_bounded_and_each_counts_once)
{
    struct resolver_family family = { .finding = RESOLVER_FOUND };
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < RESOLVER_FAMILY_MAX; i++) {
            struct address address = host(AF_INET, (uint8_t)i);
            resolver_add(&family, &address);
        }
    assert_int_equal(family.count, RESOLVER_FAMILY_MAX);
    assert_false(family.has_more);
    struct address one_more = host(AF_INET, 255);
    resolver_add(&family, &one_more);
    assert_int_equal(family.count, RESOLVER_FAMILY_MAX);
    assert_true(family.has_more);
}

TEST(after_a_renewal_all_is_asked_again_and_older_answers_are_not_heard)
{
    struct resolver_answer old = answer("a", 60), said = answer("b", 60);
    struct resolver_wait wait = { 0 };
    uint32_t before, now;
    known("a", 60, 1000);
    resolver_renew(2000);
    assert_int_equal(look_up(&wait, 2000), RESOLVER_ASKED);
    assert_string_equal(take(&before), NAME);
    resolver_renew(2500);
    assert_true(resolver_era() != before);
    assert_false(resolver_learn(NAME, before, &old, 2600));
    assert_int_equal(look_up(&wait, 2600), RESOLVER_ASKED);
    assert_string_equal(take(&now), NAME);
    assert_false(resolver_learn(NAME, before, &old, 2600));
    assert_true(resolver_learn(NAME, now, &said, 2700));
    assert_int_equal(look_up(&wait, 2700), RESOLVER_KNOWN);
    assert_int_equal(first(), 'b');
    resolver_done();
}

/* The asker has looked which era it is, and the names are renewed before it takes any. */
TEST(who_asks_in_an_era_that_is_over_is_given_nothing)
{
    struct resolver_wait wait = { 0 };
    char name[RESOLVER_NAME_MAX];
    uint32_t now;
    resolver_done();
    assert_int_equal(look_up(&wait, 1000), RESOLVER_ASKED);
    uint32_t before = resolver_era();
    resolver_renew(1100);
    assert_false(resolver_take_wanted(before, name));
    assert_string_equal(take(&now), NAME);
    resolver_done();
}

TEST(a_refresh_asks_for_what_is_old_and_known)
{
    uint32_t era;
    resolver_done();
    resolver_refresh(NAME, 1000);
    assert_string_equal(take(&era), "");
    known("a", 5, 1000);
    resolver_refresh(NAME, 5999);
    assert_string_equal(take(&era), "");
    resolver_refresh(NAME, 6000);
    assert_string_equal(take(&era), NAME);
    resolver_done();
}

static bool is_name(const void *arg, const char *name)
{
    return strcmp(arg, name) == 0;
}

TEST(a_reload_forgets_names_that_are_not_configured)
{
    struct resolver_wait wait = { 0 };
    known("a", 60, 1000);
    resolver_look_up("other.example.org", 143, &wait, 1000, &found);
    uint32_t era;
    assert_string_equal(take(&era), "other.example.org");
    struct resolver_answer said = answer("b", 60);
    resolver_learn("other.example.org", era, &said, 1000);
    resolver_configure(is_name, NAME);
    assert_int_equal(look_up_anew(1000), RESOLVER_KNOWN);
    wait = (struct resolver_wait){ 0 };
    assert_int_equal(resolver_look_up("other.example.org", 143, &wait, 1000, &found), RESOLVER_ASKED);
    resolver_done();
}

TEST(an_answer_for_a_name_that_was_forgotten_meanwhile_is_dropped)
{
    struct resolver_answer said = answer("a", 60);
    uint32_t era;
    resolver_done();
    look_up_anew(1000);
    take(&era);
    resolver_done();
    assert_false(resolver_learn(NAME, era, &said, 1000));
    assert_int_equal(look_up_anew(1000), RESOLVER_ASKED);
    assert_false(resolver_learn(NAME, era, &said, 1000));
    assert_int_equal(look_up_anew(1000), RESOLVER_ASKED);
    resolver_done();
}

/* A reload may end it in the middle: what it has of a name is of one that is gone. */
TEST(whoever_waits_for_a_name_that_is_forgotten_waits_for_the_next_answer)
{
    struct resolver_wait wait = { 0 };
    struct resolver_answer said = answer("b", 60);
    uint32_t era;
    known("a", 1, 1000);
    assert_int_equal(look_up(&wait, 3000), RESOLVER_ASKED);
    assert_string_equal(take(&era), NAME);
    resolver_configure(is_name, "other.example.org");
    assert_int_equal(look_up(&wait, 3000), RESOLVER_ASKED);
    say(&said, 3000);
    assert_int_equal(look_up(&wait, 3000), RESOLVER_KNOWN);
    assert_int_equal(first(), 'b');
    resolver_done();
}

TEST(a_name_that_is_too_long_is_not_kept)
{
    char name[RESOLVER_NAME_MAX + 1];
    struct resolver_wait wait = { 0 };
    uint32_t era;
    memset(name, 'a', sizeof name);
    name[RESOLVER_NAME_MAX] = '\0';
    assert_int_equal(resolver_look_up(name, 143, &wait, 1000, &found), RESOLVER_UNKNOWN);
    assert_string_equal(take(&era), "");
    name[RESOLVER_NAME_MAX - 1] = '\0';
    assert_int_equal(resolver_look_up(name, 143, &wait, 1000, &found), RESOLVER_ASKED);
    assert_string_equal(take(&era), name);
    resolver_done();
}

/* For ThreadSanitizer too: all that a worker, the asker and a reload do, at the same time. */
static atomic_bool is_over;

static void *look_up_all_the_time(void *arg)
{
    struct resolver_addresses *own = arg;
    struct address a = host(AF_INET, 'a');
    for (uint64_t now_ms = 1; now_ms < 2000; now_ms++) {
        struct resolver_wait wait = { 0 };
        while (resolver_look_up(NAME, 143, &wait, now_ms, own) == RESOLVER_ASKED)
            sched_yield();
        assert_true(own->count == 1 && own->addresses[0].octets[3] == 'a');
        assert_true(resolver_leads_to(NAME, &a));
        resolver_refresh(NAME, now_ms);
        resolver_watch(now_ms);
        if (now_ms % 100 == 0)
            resolver_renew(now_ms);
    }
    return NULL;
}

static void *answer_all_the_time(void *arg)
{
    struct resolver_answer said = answer("a", 0);
    char name[RESOLVER_NAME_MAX];
    while (!is_over) {
        uint32_t era = resolver_era();
        if (resolver_take_wanted(era, name))
            resolver_learn(name, era, &said, 1);
        else
            sched_yield();
    }
    return NULL;
}

TEST(workers_look_up_while_the_asker_answers)
{
    static struct resolver_addresses own[4];
    pthread_t workers[4], asker;
    resolver_done();
    is_over = false;
    assert_int_equal(pthread_create(&asker, NULL, answer_all_the_time, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(workers); i++)
        assert_int_equal(pthread_create(&workers[i], NULL, look_up_all_the_time, &own[i]), 0);
    for (size_t i = 0; i < ARRAY_LEN(workers); i++)
        pthread_join(workers[i], NULL);
    is_over = true;
    pthread_join(asker, NULL);
    resolver_done();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_asks_all_hear),
        cmocka_unit_test(an_answer_is_kept_for_its_ttl),
        cmocka_unit_test(the_least_ttl_of_both_families_counts),
        cmocka_unit_test(with_a_ttl_of_0_who_waited_hears_the_answer_and_the_next_asks_again),
        cmocka_unit_test(a_huge_ttl_is_cut_but_not_what_the_hosts_file_says),
        cmocka_unit_test(in_an_outage_the_last_known_addresses_go_on_being_used_and_nobody_waits),
        cmocka_unit_test(a_failure_is_asked_about_again_after_a_while),
        cmocka_unit_test(a_name_server_that_dallies_is_not_waited_for_where_there_are_addresses),
        cmocka_unit_test(without_addresses_it_is_waited_for_and_its_failure_is_told),
        cmocka_unit_test(a_name_that_ceases_to_exist_has_no_addresses_any_more_and_may_come_back),
        cmocka_unit_test(a_family_that_fails_keeps_what_was_known_of_it),
        cmocka_unit_test(addresses_take_turns),
        cmocka_unit_test(the_families_alternate_from_ipv6_on),
        cmocka_unit_test(a_scout_takes_nobodys_turn),
        cmocka_unit_test(a_name_loses_an_address_only_by_an_answer_that_names_all),
        cmocka_unit_test(of_a_name_that_is_not_known_nothing_can_be_said),
        cmocka_unit_test(the_addresses_of_a_name_are_bounded_and_each_counts_once),
        cmocka_unit_test(after_a_renewal_all_is_asked_again_and_older_answers_are_not_heard),
        cmocka_unit_test(who_asks_in_an_era_that_is_over_is_given_nothing),
        cmocka_unit_test(a_refresh_asks_for_what_is_old_and_known),
        cmocka_unit_test(a_reload_forgets_names_that_are_not_configured),
        cmocka_unit_test(an_answer_for_a_name_that_was_forgotten_meanwhile_is_dropped),
        cmocka_unit_test(whoever_waits_for_a_name_that_is_forgotten_waits_for_the_next_answer),
        cmocka_unit_test(a_name_that_is_too_long_is_not_kept),
        cmocka_unit_test(workers_look_up_while_the_asker_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
