/* How far the making of a connection has come: every time is an argument. */
#include "check.h"

#include "naming.h"
#include "parking.h"

#include "deadlist.h"
#include "log.h"
#include "loop.h"
#include "opening.h"
#include "prelude.h"
#include "resolver.h"
#include "scout.h"

#include <signal.h>
#include <sodium.h>

#define NOW        1000000u
#define BY_ADDRESS "upstream \"main\" { address = \"192.0.2.1:143\" tls = \"none\" connect_timeout = \"5s\" }\n"
#define BY_NAME    "upstream \"main\" { address = \"mail.example:143\" tls = \"starttls\" connect_timeout = \"5s\" }\n"

static struct service *service;

static struct opening *begin(const char *text)
{
    service = parking_service(text);
    park_configure(service->config);
    struct opening *opening = opening_new(&service->config->upstreams[0], NULL);
    assert_non_null(opening);
    return opening;
}

static void end(struct opening *opening)
{
    opening_free(opening);
    park_done();
    resolver_done();
    deadlist_expire();
    service_unref(service);
}

/* --- steps --- */

static const struct {
    enum opening_step from;
    bool may_enter[OPENING_STEP_MAX]; /* GREETING CAPABILITY STARTTLS ID FAILING */
} moves[] = {
    { OPENING_GREETING, { true, true, true, true, true } },
    { OPENING_CAPABILITY, { false, false, true, true, true } },
    { OPENING_STARTTLS, { false, true, false, false, true } },
    { OPENING_ID, { false, false, false, false, false } },
    { OPENING_FAILING, { true, false, false, false, false } },
};

TEST(a_step_leads_only_to_those_that_the_diagram_has)
{
    struct opening *opening = begin(BY_ADDRESS);
    assert_int_equal(opening->step, OPENING_GREETING);
    for (size_t i = 0; i < ARRAY_LEN(moves); i++)
        for (enum opening_step next = 0; next < OPENING_STEP_MAX; next++) {
            opening->step = (uint8_t)moves[i].from;
            assert_int_equal(opening_enter(opening, next), moves[i].may_enter[next]);
            assert_int_equal(opening->step, moves[i].may_enter[next] ? next : moves[i].from);
        }
    end(opening);
}

/* --- where to --- */

TEST(an_address_needs_no_looking_up)
{
    uint64_t wait_ms = 1;
    struct opening *opening = begin(BY_ADDRESS);
    assert_int_equal(opening_look_up(opening, NOW, &wait_ms), RESOLVER_KNOWN);
    assert_int_equal(wait_ms, 0);
    const struct endpoint *endpoint = opening_begin_try(opening, NOW);
    assert_int_equal(endpoint->sockaddr.any.sa_family, AF_INET);
    /* There is no other. */
    assert_false(opening_fail(opening, NULL, true, "Connection refused", NOW));
    assert_string_equal(opening->why, "Connection refused");
    end(opening);
}

TEST(a_name_is_waited_for_a_second_at_a_time_until_its_time_is_over)
{
    uint64_t wait_ms;
    struct opening *opening = begin(BY_NAME);
    static const struct {
        uint64_t after_ms, wait_ms;
    } waits[] = { { 0, 1000 }, { 3999, 1000 }, { 4500, 500 }, { 5000, 0 }, { 6000, 0 } };
    for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
        assert_int_equal(opening_look_up(opening, NOW + waits[i].after_ms, &wait_ms), RESOLVER_ASKED);
        assert_int_equal(wait_ms, waits[i].wait_ms);
    }
    naming_answer(1, NOW);
    assert_int_equal(opening_look_up(opening, NOW + 6000, &wait_ms), RESOLVER_KNOWN);
    end(opening);
}

TEST(a_name_without_an_address_tells_why)
{
    uint64_t wait_ms;
    struct opening *opening = begin(BY_NAME);
    opening_look_up(opening, NOW, &wait_ms);
    naming_answer(0, NOW);
    assert_int_equal(opening_look_up(opening, NOW, &wait_ms), RESOLVER_UNKNOWN);
    assert_string_equal(opening->addresses.why, "no such name");
    end(opening);
}

static struct opening *begin_with_addresses(unsigned addresses)
{
    uint64_t wait_ms;
    struct opening *opening = begin(BY_NAME);
    opening_look_up(opening, NOW, &wait_ms);
    naming_answer(addresses, NOW);
    assert_int_equal(opening_look_up(opening, NOW, &wait_ms), RESOLVER_KNOWN);
    return opening;
}

static unsigned last_octet(const struct endpoint *endpoint)
{
    struct address address;
    address_set(&address, &endpoint->sockaddr.any);
    assert_int_equal(address.port, 143);
    return address.octets[3];
}

TEST(each_address_is_tried_once_with_a_time_of_its_own)
{
    struct opening *opening = begin_with_addresses(3);
    unsigned seen = 0;
    for (unsigned tried = 1; tried <= 3; tried++) {
        uint64_t now_ms = NOW + 4000u * tried;
        seen |= 1u << last_octet(opening_begin_try(opening, now_ms));
        assert_false(opening_is_late(opening, now_ms + 4999));
        assert_true(opening_is_late(opening, now_ms + 5000));
        assert_int_equal(opening_fail(opening, NULL, false, "closed", now_ms + 10), tried < 3);
    }
    assert_int_equal(seen, 1u << 1 | 1u << 2 | 1u << 3);
    end(opening);
}

/* What is tried last by the next is what did not connect, or was silent to the end; hanging up costs no time. */
TEST(an_address_that_costs_time_is_remembered)
{
    static const struct {
        const char *name;
        bool was_connecting, serves_later;
        uint64_t after_ms;
        bool is_dead;
    } ends[] = {
        { "it refuses", true, false, 1, true },
        { "it does not accept", true, false, 5000, true },
        { "it accepts and says nothing", false, false, 5000, true },
        { "it hangs up", false, false, 4999, false },
        { "it refuses, and serves later", true, true, 1, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        struct opening *opening = begin_with_addresses(2);
        opening_begin_try(opening, NOW);
        struct address tried = opening->addresses.addresses[0];
        opening_fail(opening, NULL, ends[i].was_connecting, "what", NOW + ends[i].after_ms);
        if (ends[i].serves_later) {
            opening->at = 0;
            opening_succeed(opening);
        }
        struct address both[2] = { tried, opening->addresses.addresses[1] };
        deadlist_sort(both, 2, false, NOW + ends[i].after_ms);
        CHECK_ROW(ends[i].name, (memcmp(&both[1], &tried, sizeof tried) == 0) == ends[i].is_dead);
        deadlist_clear(&tried);
        end(opening);
    }
}

/* --- time --- */

TEST(silence_is_looked_at_each_second_until_there_is_a_greeting)
{
    struct opening *opening = begin(BY_ADDRESS);
    static const struct {
        uint64_t after_ms, silent_ms, greeted_ms;
    } waits[] = { { 0, 1000, 5000 }, { 4000, 1000, 1000 }, { 4001, 999, 999 }, { 5000, 0, 0 }, { 9000, 0, 0 } };
    opening_begin_try(opening, NOW);
    for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
        opening->step = OPENING_GREETING;
        assert_int_equal(opening_patience_ms(opening, NOW + waits[i].after_ms), waits[i].silent_ms);
        opening->step = OPENING_CAPABILITY;
        assert_int_equal(opening_patience_ms(opening, NOW + waits[i].after_ms), waits[i].greeted_ms);
    }
    end(opening);
}

/* --- no room --- */

static void park_one(void)
{
    int peer;
    struct proof_identity identity = parking_identity("ann", "secret");
    struct proof *proof = park_prove(&identity, NOW);
    park_put(parking_connection(service, proof, "", NOW, &peer), NOW);
    park_proof_unref(proof);
    close(peer);
}

TEST(a_parked_connection_gives_way_only_before_the_greeting)
{
    struct opening *opening = begin(BY_ADDRESS);
    park_one();
    for (enum opening_step step = OPENING_CAPABILITY; step < OPENING_STEP_MAX; step++) {
        uint64_t after_ms;
        opening->step = (uint8_t)step;
        assert_false(opening_makes_room(opening));
        assert_false(opening_tries_again(opening, &after_ms));
    }
    assert_int_equal(park_count(), 1);
    opening->step = OPENING_GREETING;
    assert_true(opening_makes_room(opening));
    assert_int_equal(park_count(), 0);
    assert_false(opening_makes_room(opening));
    end(opening);
}

/* The server counts a connection until it has seen its end: that takes a few tries. */
TEST(once_one_has_given_way_the_server_is_asked_again_a_few_times)
{
    uint64_t after_ms, before_ms = 0;
    struct opening *opening = begin(BY_ADDRESS);
    assert_false(opening_tries_again(opening, &after_ms));
    park_one();
    for (unsigned tries = 0; tries < 3; tries++) {
        assert_true(opening_tries_again(opening, &after_ms));
        assert_true(after_ms > before_ms);
        before_ms = after_ms;
        /* Greeted in between, it may hang up for other reasons. */
        opening->step = OPENING_CAPABILITY;
        assert_false(opening_tries_again(opening, &after_ms));
        opening->step = OPENING_GREETING;
    }
    assert_false(opening_tries_again(opening, &after_ms));
    end(opening);
}

/* --- scouts --- */

TEST(a_scout_takes_nobodys_place_and_is_content_with_names)
{
    struct loop loop;
    uint32_t round;
    loop_init_bare(&loop, 0, NULL);
    struct opening *of_client = begin(BY_ADDRESS), *opening;
    prelude_take_turn("main", NOW, &round);
    struct scout *scout = scout_new("main", &loop);
    opening = opening_new(&service->config->upstreams[0], scout);
    opening->addresses.count = 2;
    for (uint8_t i = 0; i < 2; i++)
        opening->addresses.addresses[i] = (struct address){ AF_INET, 143, { 192, 0, 2, i } };
    park_one();
    assert_false(opening_makes_room(opening));
    assert_int_equal(park_count(), 1);
    opening_begin_try(opening, NOW);
    assert_true(opening_fail(opening, NULL, true, "what", NOW));
    opening_begin_try(opening, NOW);
    opening->at = 0;
    scout_learn_names(scout, IMAPSTATE_SPAN("IMAP4rev1"));
    assert_false(opening_fail(opening, NULL, false, "what", NOW));
    assert_false(prelude_round_has_ended("main", round));
    deadlist_clear(&opening->addresses.addresses[0]);
    opening_free(opening);
    assert_true(prelude_round_has_ended("main", round));
    end(of_client);
    prelude_done();
    loop_done(&loop);
}

TEST(until_tls_is_there_nothing_is_certain_where_it_is_to_come)
{
    struct opening *opening = begin(BY_NAME);
    assert_true(opening_is_preliminary(opening));
    opening->is_secure = true;
    assert_false(opening_is_preliminary(opening));
    opening_begin_try(opening, NOW);
    assert_true(opening_is_preliminary(opening));
    end(opening);
    opening = begin(BY_ADDRESS);
    assert_false(opening_is_preliminary(opening));
    end(opening);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_leads_only_to_those_that_the_diagram_has),
        cmocka_unit_test(an_address_needs_no_looking_up),
        cmocka_unit_test(a_name_is_waited_for_a_second_at_a_time_until_its_time_is_over),
        cmocka_unit_test(a_name_without_an_address_tells_why),
        cmocka_unit_test(each_address_is_tried_once_with_a_time_of_its_own),
        cmocka_unit_test(an_address_that_costs_time_is_remembered),
        cmocka_unit_test(silence_is_looked_at_each_second_until_there_is_a_greeting),
        cmocka_unit_test(a_parked_connection_gives_way_only_before_the_greeting),
        cmocka_unit_test(once_one_has_given_way_the_server_is_asked_again_a_few_times),
        cmocka_unit_test(a_scout_takes_nobodys_place_and_is_content_with_names),
        cmocka_unit_test(until_tls_is_there_nothing_is_certain_where_it_is_to_come),
    };
    signal(SIGPIPE, SIG_IGN);
    log_open(LOG_TO_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
