/* How connections come about, and who hears what happens to them. */
#include "check.h"

#include "scene.h"

#include "capability.h"

#include <errno.h>

#define PLAIN SCENE_UPSTREAM("tls = \"none\"")

/* --- events of a past state --- */

#define BIT(event) (1u << (event))
#define ENDS       (BIT(STREAM_EOF) | BIT(STREAM_CLOSED))
#define TALK       (BIT(STREAM_INPUT) | BIT(STREAM_DRAINED) | ENDS)

static const unsigned heeded[UPSTREAM_STATE_MAX] = {
    [UPSTREAM_CONNECTING] = BIT(STREAM_CONNECTED) | ENDS,
    [UPSTREAM_SECURING] = BIT(STREAM_SECURE) | ENDS,
    [UPSTREAM_PREPARING] = TALK,
    [UPSTREAM_READY] = TALK,
    [UPSTREAM_LOGGING_IN] = TALK,
    [UPSTREAM_ATTACHED] = TALK,
    [UPSTREAM_SETTLING] = TALK,
    [UPSTREAM_LEAVING] = BIT(STREAM_INPUT) | ENDS,
};

TEST(an_event_that_was_on_its_way_when_the_state_changed_is_dropped)
{
    for (enum upstream_state state = 0; state < UPSTREAM_STATE_MAX; state++)
        for (enum stream_event event = 0; event <= STREAM_CLOSED; event++) {
            if (heeded[state] & BIT(event))
                continue;
            scene_begin(PLAIN);
            struct upstream *upstream = upstream_new(&scene.upstreams, scene.service, scene.config, state);
            upstream->owner = scene_owner;
            upstream->stream.callback(upstream, event);
            assert_int_equal(upstream->state, state);
            assert_string_equal(scene.order, "");
            upstream->state = UPSTREAM_READY;
            upstream_die(upstream);
            scene_end();
        }
}

TEST(an_end_in_whatever_state_is_the_end)
{
    for (enum upstream_state state = UPSTREAM_READY; state < UPSTREAM_DEAD; state++)
        for (enum stream_event event = STREAM_EOF; event <= STREAM_CLOSED; event++) {
            if (event == STREAM_GARBLED)
                continue;
            scene_begin(PLAIN);
            struct upstream *upstream = upstream_new(&scene.upstreams, scene.service, scene.config, state);
            upstream->owner = scene_owner;
            upstream->stream.callback(upstream, event);
            bool is_awaited = state != UPSTREAM_SETTLING && state != UPSTREAM_LEAVING;
            assert_string_equal(scene.order, is_awaited ? "L" : state == UPSTREAM_SETTLING ? "R" : "");
            scene_turn();
            assert_true(upstreams_are_gone(&scene.upstreams));
            scene_end();
        }
}

/* --- what the owner hears --- */

TEST(input_is_the_owners_to_read_from_the_login_on)
{
    scene_begin(PLAIN);
    struct upstream *upstream = scene_open_ready("IMAP4rev1");
    upstream_log_in(upstream);
    scene_say("imapstate OK\r\n");
    assert_string_equal(scene.order, "H");
    CHECK_SPAN("input", stream_input(&upstream->stream), IMAPSTATE_SPAN("imapstate OK\r\n"));
    upstream_attach(upstream);
    scene_say("* 1 EXISTS\r\n");
    assert_string_equal(scene.order, "HH");
    wire_end(scene.wire);
    scene_turn();
    assert_string_equal(scene.order, "HHL");
    scene_end();
}

TEST(what_a_server_says_before_it_is_asked_ends_the_connection)
{
    scene_begin(PLAIN);
    scene_open_ready("IMAP4rev1");
    scene_say("* OK hello\r\n");
    assert_string_equal(scene.order, "L");
    assert_string_equal(scene.why, "the server speaks unasked before login");
    scene_end();
}

TEST(the_owner_hears_when_more_can_be_written)
{
    scene_begin(PLAIN);
    struct upstream *upstream = scene_open_attached();
    char some[1024];
    memset(some, 'x', sizeof some);
    scene.wire->room = 0;
    while (stream_has_room(&upstream->stream))
        assert_true(stream_put(&upstream->stream, (struct imapstate_span){ (const uint8_t *)some, sizeof some }));
    stream_flush(&upstream->stream);
    scene_turn();
    assert_string_equal(scene.order, "");
    scene.wire->room = SIZE_MAX;
    scene_turn();
    assert_string_equal(scene.order, "D");
    upstream_release(upstream, false);
    scene_end();
}

TEST(nothing_is_told_from_within_the_call_that_opens)
{
    scene_begin(PLAIN);
    struct upstream *upstream =
        upstreams_open(&scene.upstreams, scene.service, scene.config, &scene_owner, &scene_ends);
    assert_int_equal(upstream->state, UPSTREAM_RESOLVING);
    assert_null(wire_asked());
    upstream_release(upstream, false);
    scene_turn();
    assert_null(wire_asked());
    assert_string_equal(scene.order, "");
    scene_end();
}

/* --- scouts --- */

#define OWN_ID "imapstate ID (\"name\" \"imapstate\")\r\n"

static const struct {
    const char *name, *says, *hears, *names, *id;
    bool is_over; /* without that it would have to hang up */
} scouts[] = {
    { "a server with ID",
      "* OK [CAPABILITY IMAP4rev1] hello\r\n* CAPABILITY IMAP4rev1 ID\r\nimapstate OK\r\n* ID (\"name\" \"X\")\r\n"
      "imapstate OK\r\n",
      "imapstate CAPABILITY\r\n" OWN_ID "imapstate LOGOUT\r\n", "IMAP4rev1 ID", "(\"name\" \"X\")", true },
    { "one without", "* OK hello\r\n* CAPABILITY IMAP4rev1\r\nimapstate OK\r\n",
      "imapstate CAPABILITY\r\nimapstate LOGOUT\r\n", "IMAP4rev1", "", true },
    { "one that refuses ID", "* OK hello\r\n* CAPABILITY IMAP4rev1 ID\r\nimapstate OK\r\nimapstate NO\r\n",
      "imapstate CAPABILITY\r\n" OWN_ID "imapstate LOGOUT\r\n", "IMAP4rev1 ID", "", true },
    { "one that does not answer ID", "* OK hello\r\n* CAPABILITY IMAP4rev1 ID\r\nimapstate OK\r\n",
      "imapstate CAPABILITY\r\n" OWN_ID, "IMAP4rev1 ID", "", false },
    { "one that does not answer", "* OK hello\r\n", "imapstate CAPABILITY\r\n", "", "", false },
    { "one that does not greet", "", "", "", "", false },
    { "another protocol", "220 smtp.example\r\n", "", "", "", true },
};

static void check_learned(size_t row)
{
    struct imapstate_buf id;
    struct offers *offers = prelude_offers("main", SCENE_MEMBER);
    imapstate_buf_init(&id, CAPABILITY_LIST_MAX);
    CHECK_ROW(scouts[row].name, prelude_id("main", SCENE_MEMBER, &id) == (*scouts[row].id != '\0'));
    CHECK_SPAN(scouts[row].name, offers_names(offers), imapstate_span_of(scouts[row].names));
    CHECK_SPAN(scouts[row].name, imapstate_buf_span(&id), imapstate_span_of(scouts[row].id));
    offers_unref(offers);
    imapstate_buf_done(&id);
}

/* By silence, by hanging up, or because the daemon ends: then what it has learned by then is learned. */
TEST(a_round_ends_whatever_becomes_of_its_scout)
{
    enum { SILENCE, HANGING_UP, ENDING, ENDS_MAX };
    for (size_t i = 0; i < ARRAY_LEN(scouts); i++)
        for (size_t cut = 0; cut <= strlen(scouts[i].says); cut++)
            for (unsigned end = 0; end < ENDS_MAX; end++) {
                uint32_t round;
                scene_begin(PLAIN);
                assert_int_equal(prelude_take_turn("main", SCENE_MEMBER, scene.now_ms, &round), PRELUDE_ASK);
                upstreams_scout(&scene.upstreams, scene.service, scene.config, &scene.config->members[0]);
                scene_turn();
                scene_accept();
                scene_say_some(scouts[i].says, cut);
                if (!scene.wire->is_closed)
                    scene_say(scouts[i].says + cut);
                CHECK_ROW(scouts[i].name, scene_hears(scouts[i].hears));
                CHECK_ROW(scouts[i].name, prelude_round_has_ended("main", SCENE_MEMBER, round) == scouts[i].is_over);
                if (end == SILENCE)
                    scene_wait(10000);
                else if (end == HANGING_UP && !scene.wire->is_closed)
                    wire_end(scene.wire);
                else if (end == ENDING)
                    upstreams_abandon_scouts(&scene.upstreams);
                scene_turn();
                CHECK_ROW(scouts[i].name, prelude_round_has_ended("main", SCENE_MEMBER, round));
                check_learned(i);
                scene_end();
            }
}

TEST(a_scout_that_cannot_connect_ends_its_round)
{
    uint32_t round;
    scene_begin(PLAIN);
    assert_int_equal(prelude_take_turn("main", SCENE_MEMBER, scene.now_ms, &round), PRELUDE_ASK);
    upstreams_scout(&scene.upstreams, scene.service, scene.config, &scene.config->members[0]);
    scene_turn();
    wire_refuse(scene.wire, ECONNREFUSED);
    scene_turn();
    assert_true(prelude_round_has_ended("main", SCENE_MEMBER, round));
    scene_end();
}

/* --- the end --- */

TEST(what_is_somebodys_stays_until_he_lets_go)
{
    uint32_t round;
    scene_begin(PLAIN);
    struct upstream *upstream = scene_open_attached();
    prelude_take_turn("main", SCENE_MEMBER, scene.now_ms, &round);
    upstreams_scout(&scene.upstreams, scene.service, scene.config, &scene.config->members[0]);
    scene_turn();
    struct wire *scouting = scene.wire;
    assert_int_equal(wires_count(), 2);
    upstreams_abandon_scouts(&scene.upstreams);
    scene_turn();
    assert_true(scouting->is_closed);
    assert_true(prelude_round_has_ended("main", SCENE_MEMBER, round));
    upstreams_abandon(&scene.upstreams);
    scene_turn();
    assert_int_equal(wires_count(), 1);
    assert_false(upstreams_are_gone(&scene.upstreams));
    upstream_release(upstream, true);
    assert_int_equal(upstream->state, UPSTREAM_LEAVING);
    upstreams_abandon_scouts(&scene.upstreams); /* it has said LOGOUT, and may wait for the answer */
    scene_turn();
    assert_false(upstreams_are_gone(&scene.upstreams));
    upstreams_abandon(&scene.upstreams);
    scene_turn();
    assert_true(upstreams_are_gone(&scene.upstreams));
    scene_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_that_was_on_its_way_when_the_state_changed_is_dropped),
        cmocka_unit_test(an_end_in_whatever_state_is_the_end),
        cmocka_unit_test(input_is_the_owners_to_read_from_the_login_on),
        cmocka_unit_test(what_a_server_says_before_it_is_asked_ends_the_connection),
        cmocka_unit_test(the_owner_hears_when_more_can_be_written),
        cmocka_unit_test(nothing_is_told_from_within_the_call_that_opens),
        cmocka_unit_test(a_round_ends_whatever_becomes_of_its_scout),
        cmocka_unit_test(a_scout_that_cannot_connect_ends_its_round),
        cmocka_unit_test(what_is_somebodys_stays_until_he_lets_go),
    };
    return SCENE_RUN(tests);
}
