/* Several addresses are tried beside each other. Every time is the test's. */
#include "check.h"

#include "scene.h"

#include "candidates.h"
#include "opening.h"
#include "race.h"

#include <errno.h>

#define POOL(more)                                                                                                     \
    "upstream \"main\" { address = { \"192.0.2.1:143\", \"192.0.2.2:143\", \"192.0.2.3:143\" } tls = none "            \
    "balance = order connect_timeout = \"5s\" " more " }\n"
#define LISTED "* CAPABILITY IMAP4rev1 ID\r\nimapstate OK done\r\n"

/* In the order in which they were asked for. */
static struct wire *wires[8];
static unsigned wire_count;
static struct upstream *winner;

static void on_upstream(void *owner, enum upstream_event event, struct upstream *upstream, struct imapstate_span words)
{
    if (event == UPSTREAM_PREPARED)
        winner = upstream;
    scene_on_upstream(owner, event, upstream, words);
}

static struct upstream *begin(const char *text)
{
    static const struct upstream_owner owner = { on_upstream, &scene, &scene_mark };
    scene_begin(text);
    wire_count = 0;
    winner = NULL;
    struct upstream *leader = upstreams_open(&scene.upstreams, scene.service, scene.config, &owner, &scene_ends);
    assert_non_null(leader);
    scene_turn();
    wires[wire_count++] = wire_newest();
    return leader;
}

static void pass(uint64_t ms)
{
    scene_wait(ms);
    if (wire_newest() != wires[wire_count - 1])
        wires[wire_count++] = wire_newest();
}

static void accept_at(unsigned at)
{
    wire_accept(wires[at]);
    scene_turn();
}

static void say_at(unsigned at, const char *octets)
{
    wire_feed(wires[at], imapstate_span_of(octets));
    scene_turn();
}

static unsigned last_octet(const struct wire *wire)
{
    return ((const uint8_t *)&((const struct sockaddr_in *)&wire->peer)->sin_addr)[3];
}

static enum pulse_rank rank(unsigned last)
{
    char address[32];
    snprintf(address, sizeof address, "192.0.2.%u:143", last);
    return pulse_read("main", address).rank;
}

static bool nobody_has_credentials_but(unsigned at)
{
    for (unsigned i = 0; i < wire_count; i++)
        if (i != at && memmem(wires[i]->out.at, wires[i]->out.len, "LOGIN", 5))
            return false;
    return true;
}

static void finish(void)
{
    if (winner)
        upstream_release(winner, false);
    scene_end();
}

TEST(a_silent_address_costs_a_quarter_of_a_second_whether_it_accepts_or_not)
{
    for (int accepts = 0; accepts < 2; accepts++) {
        struct upstream *leader = begin(POOL(""));
        if (accepts)
            accept_at(0);
        pass(249);
        assert_int_equal(wire_count, 1);
        pass(1);
        assert_int_equal(wire_count, 2);
        assert_int_equal(last_octet(wires[1]), 2);
        accept_at(1);
        say_at(1, "* OK hello\r\n");
        say_at(1, LISTED);
        assert_non_null(strchr(scene.order, 'P'));
        assert_ptr_not_equal(winner, leader);
        assert_int_equal(winner->state, UPSTREAM_READY);
        assert_ptr_equal(winner->owner.owner, &scene);
        /* The first is left to find out whether it works; and for the next login it comes last. */
        assert_false(wires[0]->is_closed);
        assert_int_equal(rank(1), PULSE_SLOW);
        assert_int_equal(rank(2), PULSE_GOOD);
        pass(5000);
        assert_true(wires[0]->is_closed);
        assert_int_equal(rank(1), PULSE_DEAD);
        finish();
    }
}

TEST(whatever_the_server_does_it_has_its_time_anew)
{
    begin(POOL(""));
    pass(200);
    accept_at(0);
    pass(249);
    say_at(0, "* OK hello\r\n");
    pass(249);
    say_at(0, LISTED);
    assert_int_equal(wire_count, 1);
    assert_string_equal(scene.order, "TTTP");
    assert_int_equal(rank(1), PULSE_GOOD);
    finish();
}

TEST(all_are_tried_beside_each_other_and_the_first_that_is_ready_is_had)
{
    struct upstream *leader = begin(POOL(""));
    pass(250);
    pass(250);
    assert_int_equal(wire_count, 3);
    pass(250);
    assert_int_equal(wire_count, 3); /* there are no more */
    for (unsigned i = 0; i < 3; i++)
        accept_at(i);
    say_at(2, "* OK hello\r\n");
    say_at(1, "* OK hello\r\n");
    say_at(0, "* OK hello\r\n" LISTED);
    assert_ptr_equal(winner, leader);
    upstream_log_in(winner);
    stream_put(&winner->stream, IMAPSTATE_SPAN("a1 LOGIN ann secret\r\n"));
    stream_flush(&winner->stream);
    scene_turn();
    say_at(1, LISTED);
    say_at(2, LISTED);
    assert_true(nobody_has_credentials_but(0));
    finish();
}

/* One that was not silent has no blame. */
TEST(who_was_greeted_and_is_not_needed_says_logout)
{
    begin(POOL(""));
    pass(250);
    accept_at(1);
    say_at(1, "* OK hello\r\n");
    accept_at(0);
    say_at(0, "* OK hello\r\n" LISTED);
    assert_non_null(winner);
    assert_non_null(memmem(wires[1]->out.at, wires[1]->out.len, "LOGOUT\r\n", 8));
    assert_int_equal(rank(2), PULSE_GOOD);
    wire_end(wires[1]);
    scene_turn();
    assert_true(wires[1]->is_closed);
    finish();
}

TEST(a_refusal_costs_nothing)
{
    begin(POOL(""));
    wire_refuse(wires[0], ECONNREFUSED);
    pass(0);
    assert_int_equal(wire_count, 2);
    assert_int_equal(last_octet(wires[1]), 2);
    accept_at(1);
    say_at(1, "* OK hello\r\n" LISTED);
    assert_string_equal(scene.order, "TTTP");
    assert_int_equal(rank(1), PULSE_DEAD);
    finish();
}

TEST(the_leader_that_has_nothing_left_to_try_waits_for_its_rivals)
{
    for (int wins = 0; wins < 2; wins++) {
        begin(POOL(""));
        pass(250);
        pass(250);
        wire_refuse(wires[0], ECONNREFUSED);
        scene_turn();
        wire_refuse(wires[1], ECONNREFUSED);
        scene_turn();
        assert_string_equal(scene.order, "");
        accept_at(2);
        if (wins) {
            say_at(2, "* OK hello\r\n" LISTED);
            assert_non_null(winner);
        } else {
            say_at(2, "* BYE no\r\n");
            assert_string_equal(scene.order, "TL");
            assert_string_equal(scene.why, "the server greets with BYE: no");
        }
        finish();
    }
}

TEST(when_the_owner_lets_go_all_of_them_end)
{
    struct upstream *leader = begin(POOL(""));
    pass(250);
    accept_at(1);
    say_at(1, "* OK hello\r\n");
    upstream_release(leader, false);
    scene_turn();
    assert_true(wires[0]->is_closed && wires[1]->is_closed);
    assert_string_equal(scene.order, "T");
    assert_int_equal(rank(1), PULSE_GOOD);
    finish();
}

TEST(only_one_at_a_time_finds_out_about_a_silent_address)
{
    begin(POOL(""));
    pass(250);
    accept_at(1);
    say_at(1, "* OK hello\r\n" LISTED);
    upstream_release(winner, false);
    struct wire *first = wires[0];

    /* All others are dead: it is tried again, by a login, and loses again. */
    pulse_fail("main", "192.0.2.2:143", 60000, scene.now_ms);
    pulse_fail("main", "192.0.2.3:143", 60000, scene.now_ms);
    winner = NULL;
    static const struct upstream_owner owner = { on_upstream, &scene, &scene_mark };
    upstreams_open(&scene.upstreams, scene.service, scene.config, &owner, &scene_ends);
    pass(0);
    struct wire *second = wire_newest();
    assert_int_equal(last_octet(second), 1);
    pass(250);
    accept_at(wire_count - 1);
    say_at(wire_count - 1, "* OK hello\r\n" LISTED);
    assert_non_null(winner);
    assert_false(first->is_closed);
    assert_true(second->is_closed);
    finish();
}

TEST(a_check_tries_what_it_is_time_to_try_and_nobody_waits_for_it)
{
    scene_begin(POOL("check_interval = \"10s\" fail_timeout = \"30s\""));
    pulse_beat("main", "192.0.2.1:143", true, scene.now_ms);
    pulse_fail("main", "192.0.2.3:143", 30000, scene.now_ms);
    upstreams_check(&scene.upstreams, scene.service, scene.config);
    scene_turn();
    assert_int_equal(wires_count(), 1);
    assert_int_equal(last_octet(scene.wire), 2);
    upstreams_check(&scene.upstreams, scene.service, scene.config);
    scene_turn();
    assert_int_equal(wires_count(), 1);
    scene_accept();
    scene_say("* OK hello\r\n" LISTED);
    assert_non_null(memmem(scene.wire->out.at, scene.wire->out.len, "LOGOUT\r\n", 8));
    wire_end(scene.wire);
    scene_turn();
    assert_int_equal(wires_count(), 0);
    scene_wait(30000);
    upstreams_check(&scene.upstreams, scene.service, scene.config);
    scene_turn();
    assert_int_equal(wires_count(), 3);
    scene_end();
}

TEST(the_only_address_is_never_checked)
{
    scene_begin(SCENE_UPSTREAM("tls = none"));
    pulse_fail("main", "192.0.2.1:143", 30000, scene.now_ms);
    scene_wait(60000);
    upstreams_check(&scene.upstreams, scene.service, scene.config);
    scene_turn();
    assert_int_equal(wires_count(), 0);
    scene_end();
}

static struct runner runners[RACE_RIVALS_MAX + 1];

/* The test's own bounds: how many sockets there are at a time, of one login and of all. */
TEST(rivals_are_bounded_for_each_and_in_all)
{
    struct runner leader = { 0 };
    struct upstream *nobody = NULL;
    assert_true(race_begin(&leader, nobody));
    for (unsigned i = 0; i < RACE_RIVALS_MAX; i++)
        assert_true(race_join(&runners[i], nobody, leader.race));
    assert_false(race_join(&runners[RACE_RIVALS_MAX], nobody, leader.race));
    race_leave(&runners[0]);
    assert_true(race_join(&runners[RACE_RIVALS_MAX], nobody, leader.race));
    for (unsigned i = 0; i <= RACE_RIVALS_MAX; i++)
        race_leave(&runners[i]);
    race_leave(&leader);

    enum { RACES = RACE_ALL_RIVALS_MAX / RACE_RIVALS_MAX + 1 };
    static struct runner leaders[RACES], rivals[RACES][RACE_RIVALS_MAX];
    unsigned joined = 0;
    for (unsigned i = 0; i < RACES; i++) {
        assert_true(race_begin(&leaders[i], nobody));
        for (unsigned j = 0; j < RACE_RIVALS_MAX; j++)
            joined += race_join(&rivals[i][j], nobody, leaders[i].race);
    }
    assert_int_equal(joined, RACE_ALL_RIVALS_MAX);
    for (unsigned i = 0; i < RACES; i++) {
        for (unsigned j = 0; j < RACE_RIVALS_MAX; j++)
            race_leave(&rivals[i][j]);
        race_leave(&leaders[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_silent_address_costs_a_quarter_of_a_second_whether_it_accepts_or_not),
        cmocka_unit_test(whatever_the_server_does_it_has_its_time_anew),
        cmocka_unit_test(all_are_tried_beside_each_other_and_the_first_that_is_ready_is_had),
        cmocka_unit_test(who_was_greeted_and_is_not_needed_says_logout),
        cmocka_unit_test(a_refusal_costs_nothing),
        cmocka_unit_test(the_leader_that_has_nothing_left_to_try_waits_for_its_rivals),
        cmocka_unit_test(when_the_owner_lets_go_all_of_them_end),
        cmocka_unit_test(only_one_at_a_time_finds_out_about_a_silent_address),
        cmocka_unit_test(a_check_tries_what_it_is_time_to_try_and_nobody_waits_for_it),
        cmocka_unit_test(the_only_address_is_never_checked),
        cmocka_unit_test(rivals_are_bounded_for_each_and_in_all),
    };
    return SCENE_RUN(tests);
}
