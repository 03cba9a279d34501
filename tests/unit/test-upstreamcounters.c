/* What is counted of connections to servers, and where. */
#include "check.h"

#include "naming.h"
#include "scene.h"

#include "connecting.h"
#include "settling.h"
#include "waking.h"

#include <errno.h>

#define PLAIN    "tls = \"none\" connect_timeout = \"5s\" answer_timeout = \"7s\""
#define STARTTLS "tls = \"starttls\" tls_verify = false connect_timeout = \"5s\""
#define GREETED  "* OK hello\r\n* CAPABILITY IMAP4rev1\r\nimapstate OK done\r\n"
#define ADDRESS  "192.0.2.1:143"
#define BY_NAME  "upstream \"main\" { address = \"mail.example:143\" tls = \"none\" connect_timeout = \"5s\" }\n"

static struct upstream_place *place_at(const char *address)
{
    return upstream_counters_place(&scene.upstreams.counters, "main", address);
}

static void begin(const char *settings)
{
    char text[256];
    snprintf(text, sizeof text, "upstream \"main\" { address = \"" ADDRESS "\" %s }\n", settings);
    scene_begin(text);
}

/* That failure, once, and no other. */
static bool has_failed_once(const struct upstream_place *place, enum upstream_failure failure)
{
    for (unsigned i = 0; i < UPSTREAM_FAILURE_COUNT; i++)
        if (place->failures[i] != (i == failure))
            return false;
    return place->bad_at_ms == scene.now_ms;
}

static const struct {
    const char *name, *settings, *says;
    bool hangs_up, is_silent;
    enum upstream_failure failure;
} failures[] = {
    { "BYE for a greeting", PLAIN, "* BYE full\r\n", .failure = UPSTREAM_FAILED_BYE },
    { "BYE after it", PLAIN, "* OK hello\r\n* BYE full\r\n", .failure = UPSTREAM_FAILED_BYE },
    { "no greeting", PLAIN, "", .is_silent = true, .failure = UPSTREAM_FAILED_TIMEOUT },
    { "it hangs up", PLAIN, "", .hangs_up = true, .failure = UPSTREAM_FAILED_CLOSED },
    { "another protocol", PLAIN, "220 smtp.example\r\n", .failure = UPSTREAM_FAILED_PROTOCOL },
    { "PREAUTH", PLAIN, "* PREAUTH hello\r\n", .failure = UPSTREAM_FAILED_PROTOCOL },
    { "it speaks unasked", PLAIN, GREETED "* OK and\r\n", .failure = UPSTREAM_FAILED_PROTOCOL },
    { "no STARTTLS", STARTTLS, GREETED, .failure = UPSTREAM_FAILED_STARTTLS },
    { "STARTTLS is refused", STARTTLS, "* OK [CAPABILITY STARTTLS] hello\r\nimapstate NO\r\n",
      .failure = UPSTREAM_FAILED_STARTTLS },
    { "no TLS behind STARTTLS", STARTTLS, "* OK [CAPABILITY STARTTLS] hello\r\nimapstate OK\r\n", .hangs_up = true,
      .failure = UPSTREAM_FAILED_TLS },
    { "it ends before the login", PLAIN, GREETED, .hangs_up = true, .failure = UPSTREAM_FAILED_LOST },
};

TEST(a_failure_is_counted_at_its_address_by_its_reason)
{
    for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
        begin(failures[i].settings);
        scene_open();
        scene_accept();
        for (const char *line = failures[i].says; *line; line = strchr(line, '\n') + 1) {
            char one[128];
            snprintf(one, sizeof one, "%.*s", (int)(strchr(line, '\n') + 1 - line), line);
            scene_say(one);
        }
        if (failures[i].hangs_up)
            wire_end(scene.wire);
        scene_turn();
        if (failures[i].is_silent)
            for (unsigned seconds = 0; seconds < 5; seconds++)
                scene_wait(1000);
        CHECK_ROW(failures[i].name, has_failed_once(place_at(ADDRESS), failures[i].failure));
        CHECK_ROW(failures[i].name, strchr(scene.order, 'L'));
        CHECK_ROW(failures[i].name, place_at(ADDRESS)->now[UPSTREAM_OPENING] == 0);
        scene_end();
    }
}

TEST(a_connection_that_is_refused_is_counted_and_so_is_what_we_are_short_of)
{
    static const int errors[] = { ECONNREFUSED, EHOSTUNREACH, ENOBUFS };
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        begin(PLAIN);
        scene_open();
        wire_refuse(scene.wire, errors[i]);
        scene_turn();
        assert_true(has_failed_once(place_at(ADDRESS),
                                    errors[i] == ENOBUFS ? UPSTREAM_FAILED_RESOURCES : UPSTREAM_FAILED_CONNECT));
        scene_end();
    }
}

TEST(each_address_of_a_name_has_its_own_row_and_a_name_without_one_as_well)
{
    scene_begin(BY_NAME);
    scene_open();
    naming_answer(2, scene.now_ms);
    upstreams_told(&scene.upstreams);
    scene_turn();
    wire_refuse(scene.wire, ECONNREFUSED);
    scene_turn();
    assert_int_equal(scene.upstreams.counters.places.count, 2);
    scene_accept();
    scene_say("* BYE\r\n");
    assert_int_equal(scene.upstreams.counters.places.count, 2);
    for (const struct row *row = scene.upstreams.counters.places.first; row; row = row->hh.next)
        assert_string_equal(upstream_place_upstream((const struct upstream_place *)row), "main");
    scene_end();
    scene_begin(BY_NAME);
    scene_open();
    naming_answer(0, scene.now_ms);
    upstreams_told(&scene.upstreams);
    scene_turn();
    assert_true(has_failed_once(place_at("mail.example"), UPSTREAM_FAILED_NAME));
    scene_end();
}

TEST(connections_are_counted_by_how_far_they_are)
{
    begin(PLAIN);
    struct upstream *upstream = scene_open();
    const uint64_t *now = place_at(ADDRESS)->now;
    assert_int_equal(now[UPSTREAM_OPENING], 1);
    scene_accept();
    scene_say(GREETED);
    assert_int_equal(now[UPSTREAM_OPENING], 1);
    upstream_log_in(upstream);
    assert_int_equal(now[UPSTREAM_OPENING], 0);
    assert_int_equal(now[UPSTREAM_IN_LOGIN], 1);
    upstream_attach(upstream);
    assert_int_equal(now[UPSTREAM_IN_SESSION], 1);
    upstream_release(upstream, true);
    assert_int_equal(now[UPSTREAM_LEAVES], 1);
    wire_end(scene.wire);
    scene_turn();
    for (unsigned i = 0; i < UPSTREAM_STAGE_COUNT; i++)
        assert_int_equal(now[i], 0);
    assert_int_equal(place_at(ADDRESS)->sessions, 1);
    assert_true(place_at(ADDRESS)->bad_at_ms == 0);
    scene_end();
}

TEST(how_long_it_takes_until_somebody_can_log_in_is_counted_once)
{
    begin(PLAIN);
    struct upstream *upstream = scene_open();
    scene_wait(40);
    scene_accept();
    scene_wait(30);
    scene_say(GREETED);
    const struct upstream_place *place = place_at(ADDRESS);
    assert_int_equal(histogram_count(&place->connect), 1);
    assert_int_equal(place->connect.sum_us, 70 * 1000);
    assert_true(place->good_at_ms == scene.now_ms);
    connecting_send_id(upstream, IMAPSTATE_SPAN("NIL"));
    scene_say("imapstate OK\r\n");
    assert_int_equal(upstream->state, UPSTREAM_READY);
    assert_int_equal(histogram_count(&place->connect), 1);
    upstream_release(upstream, false);
    scene_end();
}

TEST(a_server_that_says_bye_is_not_lost_and_one_that_does_not_answer_is_told_apart)
{
    for (unsigned says_bye = 0; says_bye < 2; says_bye++)
        for (unsigned is_silent = 0; is_silent < 2; is_silent++) {
            begin(PLAIN);
            struct upstream *upstream = scene_open_attached();
            upstream->has_said_bye = says_bye;
            if (is_silent) {
                upstream_await(upstream);
                scene_wait(7000);
            } else {
                wire_end(scene.wire);
                scene_turn();
            }
            const struct upstream_place *place = place_at(ADDRESS);
            assert_int_equal(place->failures[UPSTREAM_FAILED_ANSWER], is_silent && !says_bye);
            assert_int_equal(place->failures[UPSTREAM_FAILED_LOST], !is_silent && !says_bye);
            scene_end();
        }
}

/* --- parked --- */

static struct park_counters park_counted(void)
{
    struct park_counters counters;
    park_counters_init(&counters);
    park_count_into(&counters);
    return counters;
}

static void check_dead(unsigned count)
{
    struct park_counters counters = park_counted();
    const struct park_row *row = (struct park_row *)rows_have(&counters.upstreams, IMAPSTATE_SPAN("main"));
    assert_int_equal(row->ends[PARK_END_DEAD], count);
    assert_int_equal(row->parked, park_count());
    park_counters_done(&counters);
}

static struct parked *park_one(void)
{
    struct proof_identity identity = parking_identity("ann", "secret");
    settling_begin(scene_open_attached(), 0, false);
    scene_turn();
    struct parked *parked = park_match(&identity, scene.now_ms, NULL);
    assert_non_null(parked);
    return parked;
}

TEST(a_parked_connection_that_serves_again_is_a_session_of_another_kind)
{
    struct imapstate_buf alerts;
    begin(PLAIN);
    struct parked *parked = park_one();
    assert_int_equal(scene.upstreams.counters.parked, 1);
    imapstate_buf_init(&alerts, 4096);
    struct upstream *upstream = upstreams_wake(&scene.upstreams, parked, &scene_owner, &alerts);
    const struct upstream_place *place = upstream->place;
    assert_int_equal(place->woken_sessions, 1);
    assert_int_equal(place->now[UPSTREAM_IN_SESSION], 1);
    waking_heard(upstream);
    upstream->is_woken = false;
    upstream_release(upstream, false);
    assert_int_equal(place->now[UPSTREAM_IN_SESSION], 0);
    check_dead(0);
    scene_end();
}

TEST(a_parked_connection_that_is_dead_is_counted_once_however_that_is_found)
{
    for (unsigned how = 0; how < 4; how++) {
        struct imapstate_buf alerts;
        begin(PLAIN);
        struct parked *parked = park_one();
        imapstate_buf_init(&alerts, 4096);
        if (how < 2)
            wire_feed(scene.wire, IMAPSTATE_SPAN("* BYE\r\n"));
        upstreams_wake(&scene.upstreams, parked, how % 2 ? &scene_owner : NULL, how % 2 ? &alerts : NULL);
        if (how >= 2)
            wire_end(scene.wire);
        scene_turn();
        assert_true(upstreams_are_gone(&scene.upstreams));
        check_dead(1);
        /* That says nothing about the server, nor of a session. */
        assert_int_equal(scene.upstreams.counters.unparked[UPSTREAM_UNPARKED_FAILED], 0);
        assert_int_equal(place_at(ADDRESS)->failures[UPSTREAM_FAILED_LOST], 0);
        scene_end();
    }
}

TEST(a_sign_of_life_parks_it_again_and_is_not_counted_as_parked)
{
    begin(PLAIN);
    assert_non_null(upstreams_wake(&scene.upstreams, park_one(), NULL, NULL));
    imapstate_buf_clear(&scene.wire->out);
    scene_say("imapstate-32 OK\r\n");
    assert_int_equal(park_count(), 1);
    assert_int_equal(scene.upstreams.counters.parked, 1);
    check_dead(0);
    scene_end();
}

TEST(what_the_server_refuses_on_the_way_to_the_park_is_counted)
{
    for (unsigned is_stopping = 0; is_stopping < 2; is_stopping++) {
        begin(PLAIN);
        settling_begin(scene_open_attached(), SETTLING_NOOP, false);
        scene.loop.is_stopping = is_stopping;
        scene_say("imapstate-32 NO\r\n");
        assert_int_equal(scene.upstreams.counters.unparked[UPSTREAM_UNPARKED_FAILED], !is_stopping);
        assert_int_equal(scene.upstreams.counters.unparked[UPSTREAM_UNPARKED_STOP], is_stopping);
        assert_int_equal(scene.upstreams.counters.parked, 0);
        scene_end();
    }
}

/* --- sums --- */

TEST(what_two_loops_have_counted_is_summed_by_address)
{
    struct upstream_counters one, two;
    upstream_counters_init(&one);
    upstream_counters_init(&two);
    struct upstream_place *place = upstream_counters_place(&two, "main", ADDRESS);
    place->now[UPSTREAM_IN_SESSION] = 3;
    place->failures[UPSTREAM_FAILED_BYE] = 4;
    place->sessions = 5;
    place->woken_sessions = 6;
    place->good_at_ms = 100;
    histogram_note(&place->connect, 7);
    two.parked = 8;
    two.unparked[UPSTREAM_UNPARKED_BUSY] = 9;
    upstream_counters_add(&one, &two);
    place->good_at_ms = 50; /* the other one knows better */
    upstream_counters_add(&one, &two);
    const struct upstream_place *sum = upstream_counters_place(&one, "main", ADDRESS);
    assert_int_equal(sum->now[UPSTREAM_IN_SESSION], 6);
    assert_int_equal(sum->failures[UPSTREAM_FAILED_BYE], 8);
    assert_int_equal(sum->sessions, 10);
    assert_int_equal(sum->woken_sessions, 12);
    assert_int_equal(sum->good_at_ms, 100);
    assert_int_equal(histogram_count(&sum->connect), 2);
    assert_int_equal(one.parked, 16);
    assert_int_equal(one.unparked[UPSTREAM_UNPARKED_BUSY], 18);
    assert_string_equal(upstream_place_address(sum), ADDRESS);
    upstream_counters_done(&one);
    upstream_counters_done(&two);
}

TEST(a_name_of_any_length_has_two_parts)
{
    struct upstream_counters counters;
    char name[2000];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    upstream_counters_init(&counters);
    const struct upstream_place *place = upstream_counters_place(&counters, name, name);
    assert_true(strlen(upstream_place_upstream(place)) > 100 && strlen(upstream_place_address(place)) > 100);
    assert_string_equal(upstream_place_address(upstream_counters_place(&counters, "main", "")), "");
    assert_string_equal(upstream_place_address(&counters.other_places), "other");
    upstream_counters_done(&counters);
}

TEST(each_reason_has_a_name_of_its_own)
{
    static const struct {
        const char *const *names;
        unsigned count;
    } tables[] = { { upstream_stage_names, UPSTREAM_STAGE_COUNT },
                   { upstream_failure_names, UPSTREAM_FAILURE_COUNT },
                   { upstream_unparked_names, UPSTREAM_UNPARKED_COUNT },
                   { park_end_names, PARK_END_COUNT } };
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        for (unsigned at = 0; at < tables[i].count; at++)
            for (unsigned other = 0; other < at; other++)
                assert_string_not_equal(tables[i].names[at], tables[i].names[other]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_is_counted_at_its_address_by_its_reason),
        cmocka_unit_test(a_connection_that_is_refused_is_counted_and_so_is_what_we_are_short_of),
        cmocka_unit_test(each_address_of_a_name_has_its_own_row_and_a_name_without_one_as_well),
        cmocka_unit_test(connections_are_counted_by_how_far_they_are),
        cmocka_unit_test(how_long_it_takes_until_somebody_can_log_in_is_counted_once),
        cmocka_unit_test(a_server_that_says_bye_is_not_lost_and_one_that_does_not_answer_is_told_apart),
        cmocka_unit_test(a_parked_connection_that_serves_again_is_a_session_of_another_kind),
        cmocka_unit_test(a_parked_connection_that_is_dead_is_counted_once_however_that_is_found),
        cmocka_unit_test(a_sign_of_life_parks_it_again_and_is_not_counted_as_parked),
        cmocka_unit_test(what_the_server_refuses_on_the_way_to_the_park_is_counted),
        cmocka_unit_test(what_two_loops_have_counted_is_summed_by_address),
        cmocka_unit_test(a_name_of_any_length_has_two_parts),
        cmocka_unit_test(each_reason_has_a_name_of_its_own),
    };
    return SCENE_RUN(tests);
}
