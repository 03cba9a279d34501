/* How far the making of a connection has come: every time is an argument. */
#include "check.h"

#include "naming.h"
#include "parking.h"

#include "log.h"
#include "loop.h"
#include "opening.h"
#include "prelude.h"
#include "pulse.h"
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
    assert_true(race_begin(&opening->runner, NULL));
    return opening;
}

static void end(struct opening *opening)
{
    opening_free(opening);
    park_done();
    resolver_done();
    pulse_done();
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
    const char *why;
    struct opening *opening = begin(BY_ADDRESS);
    assert_int_equal(opening_look_up(opening, NOW, &wait_ms, &why), RESOLVER_KNOWN);
    assert_int_equal(wait_ms, 0);
    assert_true(opening_advance(opening));
    const struct endpoint *endpoint = opening_begin_try(opening, NOW);
    assert_int_equal(endpoint->sockaddr.any.sa_family, AF_INET);
    opening_fail(opening, NULL, false, "Connection refused", NOW);
    assert_string_equal(opening->why, "Connection refused");
    assert_false(opening_goes_on(opening));
    assert_false(opening_advance(opening));
    end(opening);
}

TEST(a_name_is_waited_for_a_second_at_a_time_until_its_time_is_over)
{
    uint64_t wait_ms;
    const char *why;
    struct opening *opening = begin(BY_NAME);
    static const struct {
        uint64_t after_ms, wait_ms;
    } waits[] = { { 0, 1000 }, { 3999, 1000 }, { 4500, 500 }, { 5000, 0 }, { 6000, 0 } };
    for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
        assert_int_equal(opening_look_up(opening, NOW + waits[i].after_ms, &wait_ms, &why), RESOLVER_ASKED);
        assert_int_equal(wait_ms, waits[i].wait_ms);
    }
    naming_answer(1, NOW);
    assert_int_equal(opening_look_up(opening, NOW + 6000, &wait_ms, &why), RESOLVER_KNOWN);
    end(opening);
}

TEST(a_name_without_an_address_tells_why)
{
    uint64_t wait_ms;
    const char *why;
    struct opening *opening = begin(BY_NAME);
    opening_look_up(opening, NOW, &wait_ms, &why);
    naming_answer(0, NOW);
    assert_int_equal(opening_look_up(opening, NOW, &wait_ms, &why), RESOLVER_UNKNOWN);
    assert_string_equal(why, "no such name");
    end(opening);
}

static struct opening *begin_with_addresses(unsigned addresses)
{
    uint64_t wait_ms;
    const char *why;
    struct opening *opening = begin(BY_NAME);
    opening_look_up(opening, NOW, &wait_ms, &why);
    naming_answer(addresses, NOW);
    assert_int_equal(opening_look_up(opening, NOW, &wait_ms, &why), RESOLVER_KNOWN);
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
        assert_true(opening_advance(opening));
        seen |= 1u << last_octet(opening_begin_try(opening, now_ms));
        assert_false(opening_is_late(opening, now_ms + 4999));
        assert_true(opening_is_late(opening, now_ms + 5000));
        opening_fail(opening, NULL, false, "closed", now_ms + 10);
        assert_int_equal(opening_goes_on(opening), tried < 3);
    }
    assert_int_equal(seen, 1u << 1 | 1u << 2 | 1u << 3);
    end(opening);
}

static enum pulse_rank rank_of(const struct opening *opening)
{
    char text[ADDRESS_TEXT_MAX];
    return pulse_read("main", opening_address(opening, text)).rank;
}

/* Nobody else shall have to find it out. What has failed here says nothing about the server. */
TEST(how_it_went_at_an_address_is_remembered)
{
    static const struct {
        const char *name;
        bool is_ours, loses, serves;
        enum pulse_rank rank;
    } ends[] = {
        { "it fails", false, false, false, PULSE_DEAD },
        { "nothing can be connected to from here", true, false, false, PULSE_GOOD },
        { "it fails, and serves later", false, false, true, PULSE_GOOD },
        { "another one is faster", true, true, false, PULSE_SLOW },
    };
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        struct opening *opening = begin_with_addresses(2);
        opening_advance(opening);
        opening_begin_try(opening, NOW);
        opening_fail(opening, NULL, ends[i].is_ours, "what", NOW);
        if (ends[i].loses)
            assert_true(opening_lose(opening, NOW));
        if (ends[i].serves)
            opening_succeed(opening, NOW);
        CHECK_ROW(ends[i].name, rank_of(opening) == ends[i].rank);
        end(opening);
    }
}

/* --- time --- */

TEST(silence_is_looked_at_each_second_until_there_is_a_greeting)
{
    struct opening *opening = begin_with_addresses(1);
    opening_advance(opening);
    opening_begin_try(opening, NOW);
    assert_int_equal(opening_patience_ms(opening, NOW), 250);
    assert_true(opening_stalls(opening, NOW + 250));
    assert_int_equal(opening_patience_ms(opening, NOW + 250), 750);
    assert_false(opening_wants_room(opening, NOW + 999));
    assert_true(opening_wants_room(opening, NOW + 1000));
    assert_false(opening_wants_room(opening, NOW + 1000));
    assert_int_equal(opening_patience_ms(opening, NOW + 1000), 1000);
    assert_true(opening_wants_room(opening, NOW + 4500));
    assert_int_equal(opening_patience_ms(opening, NOW + 4500), 500);
    opening->step = OPENING_CAPABILITY;
    assert_false(opening_wants_room(opening, NOW + 4900));
    assert_int_equal(opening_patience_ms(opening, NOW + 2000), 3000);
    assert_int_equal(opening_patience_ms(opening, NOW + 5000), 0);
    assert_int_equal(opening_patience_ms(opening, NOW + 9000), 0);
    end(opening);
}

/* One that takes connections and then says nothing is as silent as one that does not answer. */
TEST(whatever_the_server_does_the_time_of_silence_begins_anew)
{
    struct opening *opening = begin_with_addresses(1);
    opening_advance(opening);
    opening_begin_try(opening, NOW);
    assert_false(opening_stalls(opening, NOW + 249));
    opening_progress(opening, NOW + 200);
    assert_false(opening_stalls(opening, NOW + 449));
    assert_false(opening->has_stalled);
    assert_true(opening_stalls(opening, NOW + 450));
    assert_true(opening->has_stalled);
    /* Once is enough: what is late stays late. */
    opening_progress(opening, NOW + 451);
    assert_false(opening_stalls(opening, NOW + 4000));
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
    prelude_take_turn("main", "192.0.2.1:143", NOW, &round);
    struct scout *scout = scout_new("main", "192.0.2.1:143", &loop);
    opening = opening_new(&service->config->upstreams[0], scout);
    assert_true(race_begin(&opening->runner, NULL));
    struct candidates *candidates = &opening->runner.race->candidates;
    candidates->at = calloc(2, sizeof *candidates->at);
    opening->runner.race->known = candidates->count = 2;
    for (uint8_t i = 0; i < 2; i++)
        candidates->at[i] =
            (struct candidate){ &opening->config->members[0], { AF_INET, 143, { 192, 0, 2, i } }, 0, 0 };
    park_one();
    assert_false(opening_makes_room(opening));
    assert_int_equal(park_count(), 1);
    opening_advance(opening);
    opening_begin_try(opening, NOW);
    /* A silent address comes last, once. */
    assert_true(opening_puts_off(opening, NOW));
    assert_int_equal(candidates->count, 3);
    opening_advance(opening);
    opening_begin_try(opening, NOW);
    opening_fail(opening, NULL, false, "what", NOW);
    assert_true(opening_goes_on(opening));
    scout_learn_names(scout, IMAPSTATE_SPAN("IMAP4rev1"));
    assert_false(opening_goes_on(opening));
    assert_false(opening_puts_off(opening, NOW));
    assert_false(prelude_round_has_ended("main", "192.0.2.1:143", round));
    opening_free(opening);
    assert_true(prelude_round_has_ended("main", "192.0.2.1:143", round));
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
    opening->candidate = (struct candidate){ &opening->config->members[0], { AF_INET, 143, { 192, 0, 2, 1 } }, 0, 0 };
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
        cmocka_unit_test(how_it_went_at_an_address_is_remembered),
        cmocka_unit_test(whatever_the_server_does_the_time_of_silence_begins_anew),
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
