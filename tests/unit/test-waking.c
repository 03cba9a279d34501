/* A parked connection serves again, or shows a sign of life. */
#include "check.h"

#include "scene.h"

#include "settling.h"
#include "waking.h"

#define CHECKED "park { wake_check = \"10s\" time = \"600s\" lifetime = \"6000s\" }\n"

/* One is parked, in state. */
static struct parked *park_one(const char *state)
{
    struct proof_identity identity = parking_identity("ann", "secret");
    struct upstream *upstream = scene_open_attached();
    assert_true(imapstate_buf_put(&upstream->kept.state, imapstate_span_of(state)));
    settling_begin(upstream, 0, false);
    scene_turn();
    struct parked *parked = park_match(&identity, scene.now_ms, NULL);
    assert_non_null(parked);
    return parked;
}

static const struct {
    const char *name, *arrived;
    bool is_at_eof, is_alive;
    const char *alerts;
} rows[] = {
    { "nothing", "", false, true, "" },
    { "its end", "", true, false, "" },
    { "a word", "* OK still here\r\n", false, true, "" },
    { "an alert", "* OK [ALERT] disk\r\n* OK still here\r\n", false, true, "* OK [ALERT] disk\r\n" },
    /* One read does not show both. Its end is told next, and another one takes its place. */
    { "an alert, and its end", "* NO [ALERT] disk\r\n", true, true, "* NO [ALERT] disk\r\n" },
    { "an alert, and BYE", "* NO [ALERT] disk\r\n* BYE\r\n", false, false, "* NO [ALERT] disk\r\n" },
    { "BYE", "* BYE timeout\r\n", false, false, "" },
    { "BAD of nobody knows what", "* BAD\r\n", false, false, "" },
    { "data that nobody asked for", "* 3 EXISTS\r\n", false, false, "" },
    { "a list", "* CAPABILITY X\r\n", false, false, "" },
    { "something is on", "* ENABLED QRESYNC\r\n", false, false, "" },
    { "an answer", "imapstate OK\r\n", false, false, "" },
    { "+", "+ go\r\n", false, false, "" },
    { "text", "hello\r\n", false, false, "" },
    { "half a line", "* OK he", false, false, "" },
    { "LF alone", "* OK hello\n", false, false, "" },
};

TEST(what_has_arrived_while_it_was_parked_is_looked_at_before_it_serves)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct imapstate_buf alerts;
        scene_begin(SCENE_UPSTREAM("tls = \"none\""));
        struct parked *parked = park_one("");
        wire_feed(scene.wire, imapstate_span_of(rows[i].arrived));
        if (rows[i].is_at_eof)
            wire_end(scene.wire);
        imapstate_buf_init(&alerts, 4096);
        struct upstream *upstream = upstreams_wake(&scene.upstreams, parked, &scene_owner, &alerts);
        CHECK_ROW(rows[i].name, (upstream != NULL) == rows[i].is_alive);
        CHECK_SPAN(rows[i].name, imapstate_buf_span(&alerts), imapstate_span_of(rows[i].alerts));
        imapstate_buf_done(&alerts);
        if (!upstream)
            scene_turn();
        CHECK_ROW(rows[i].name, upstream || scene.wire->is_closed);
        assert_string_equal(scene.order, ""); /* nobody has lost what he never had */
        if (upstream && rows[i].is_at_eof) {
            scene_turn();
            assert_string_equal(scene.order, "L");
        } else if (upstream) {
            assert_int_equal(upstream->state, UPSTREAM_ATTACHED);
            assert_true(upstream->is_woken && upstream->is_silent && upstream->has_sent_id);
            assert_int_equal(upstream->kept.parked_at_ms, 0);
            assert_int_equal(upstream->kept.alerts.len, 0);
            assert_non_null(upstream->kept.proof);
            upstream_release(upstream, false);
        }
        scene_end();
    }
}

TEST(a_connection_that_has_been_silent_for_long_is_doubtful_until_an_octet_comes)
{
    for (unsigned is_long = 0; is_long < 2; is_long++) {
        struct imapstate_buf alerts;
        imapstate_buf_init(&alerts, 4096);
        scene_begin(SCENE_UPSTREAM("tls = \"none\"") CHECKED);
        struct parked *parked = park_one("");
        scene_wait(is_long ? 10000 : 9999);
        struct upstream *upstream = upstreams_wake(&scene.upstreams, parked, &scene_owner, &alerts);
        assert_int_equal(upstream->is_doubtful, is_long);
        waking_heard(upstream);
        assert_false(upstream->is_doubtful || upstream->is_silent);
        assert_true(upstream->is_woken);
        upstream_release(upstream, false);
        scene_end();
    }
}

/* Who is woken has little time to show that it lives, until it has; whoever is parked has as much as any other. */
TEST(silence_is_bounded_until_an_octet_has_come_or_nobody_waits_for_one_any_more)
{
    for (unsigned is_heard = 0; is_heard < 2; is_heard++) {
        struct imapstate_buf alerts;
        imapstate_buf_init(&alerts, 4096);
        scene_begin(SCENE_UPSTREAM("tls = \"none\"") "park { wake_timeout = \"7s\" }\n");
        struct upstream *upstream = upstreams_wake(&scene.upstreams, park_one(""), &scene_owner, &alerts);
        assert_int_equal(scene.wire->silence_ms, 7000);
        if (is_heard)
            waking_heard(upstream);
        assert_int_equal(scene.wire->silence_ms, is_heard ? STREAM_SILENCE_MS : 7000);
        settling_begin(upstream, 0, false);
        scene_turn();
        assert_int_equal(scene.wire->silence_ms, STREAM_SILENCE_MS);
        scene_end();
    }
}

/* --- what goes ahead --- */

static const struct {
    const char *name, *line;
    bool is_own;
} lines[] = {
    { "its answer", "imapstate-wake OK\r\n", true },
    { "its refusal", "imapstate-wake BAD what\r\n", true },
    { "what ID is answered", "* ID (\"name\" \"X\")\r\n", true },
    { "... in other letters", "* id NIL\r\n", true },
    { "another tag that begins so", "imapstate-waker OK\r\n", false },
    { "the same in other letters", "IMAPSTATE-WAKE OK\r\n", false },
    { "another word that begins so", "* IDLE\r\n", false },
    { "anything else", "* OK hello\r\n", false },
    { "as much of a line as has come", "* I", false },
};

TEST(what_was_said_ahead_is_told_from_all_else)
{
    struct imapstate_buf alerts;
    imapstate_buf_init(&alerts, 4096);
    scene_begin(SCENE_UPSTREAM("tls = \"none\""));
    struct upstream *upstream = upstreams_wake(&scene.upstreams, park_one(""), &scene_owner, &alerts);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        CHECK_ROW(lines[i].name, !waking_is_own(upstream, imapstate_span_of(lines[i].line)));
    waking_say(upstream, IMAPSTATE_SPAN("ID (\"name\" \"ann\")"));
    stream_flush(&upstream->stream);
    assert_true(scene_hears("imapstate-wake ID (\"name\" \"ann\")\r\n"));
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        CHECK_ROW(lines[i].name, waking_is_own(upstream, imapstate_span_of(lines[i].line)) == lines[i].is_own);
    upstream_release(upstream, false);
    scene_end();
}

/* --- a sign of life --- */

static const struct {
    const char *name, *says;
    bool lives;
    const char *alerts;
} signs[] = {
    { "OK", "imapstate-32 OK\r\n", true, "" },
    { "OK, with data", "* 3 EXISTS\r\nimapstate-32 OK\r\n", true, "" },
    { "an alert", "* OK [ALERT] disk\r\nimapstate-32 OK\r\n", true, "* OK [ALERT] disk\r\n" },
    { "NO", "imapstate-32 NO\r\n", false, "" },
    { "BYE", "* BYE timeout\r\n", false, "" },
    { "silence", "", false, "" },
};

TEST(a_connection_that_shows_a_sign_of_life_is_as_old_as_before)
{
    for (size_t i = 0; i < ARRAY_LEN(signs); i++)
        for (size_t cut = 0; cut <= strlen(signs[i].says); cut++) {
            scene_begin(SCENE_UPSTREAM("tls = \"none\" answer_timeout = \"7s\""));
            struct parked *parked = park_one("a state");
            uint64_t parked_at_ms = scene.now_ms;
            scene_wait(30000);
            assert_non_null(upstreams_wake(&scene.upstreams, parked, NULL, NULL));
            scene_turn();
            assert_true(scene_hears("imapstate-32 NOOP\r\n"));
            scene_say_some(signs[i].says, cut);
            if (!scene.wire->is_closed)
                scene_say(signs[i].says + cut);
            if (!*signs[i].says)
                scene_wait(7000);
            CHECK_ROW(signs[i].name, park_count() == signs[i].lives);
            CHECK_ROW(signs[i].name, scene.wire->is_closed != signs[i].lives);
            struct proof_identity identity = parking_identity("ann", "secret");
            parked = park_match(&identity, scene.now_ms, NULL);
            if (parked) {
                assert_int_equal(parked->kept.parked_at_ms, parked_at_ms);
                assert_int_equal(parked->used_at_ms, scene.now_ms);
                assert_true(parked_is(parked, PARK_STATE, IMAPSTATE_SPAN("a state")));
                CHECK_SPAN(signs[i].name, imapstate_buf_span(&parked->kept.alerts), imapstate_span_of(signs[i].alerts));
            }
            parked_free(parked);
            scene_end();
        }
}

TEST(a_session_makes_a_connection_young_again)
{
    struct imapstate_buf alerts;
    imapstate_buf_init(&alerts, 4096);
    scene_begin(SCENE_UPSTREAM("tls = \"none\""));
    struct parked *parked = park_one("");
    uint64_t born_at_ms = parked->kept.born_at_ms;
    scene_wait(30000);
    struct upstream *upstream = upstreams_wake(&scene.upstreams, parked, &scene_owner, &alerts);
    scene_wait(1000);
    settling_begin(upstream, 0, false);
    struct proof_identity identity = parking_identity("ann", "secret");
    parked = park_match(&identity, scene.now_ms, NULL);
    assert_int_equal(parked->kept.parked_at_ms, scene.now_ms);
    assert_int_equal(parked->kept.born_at_ms, born_at_ms);
    parked_free(parked);
    scene_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_arrived_while_it_was_parked_is_looked_at_before_it_serves),
        cmocka_unit_test(a_connection_that_has_been_silent_for_long_is_doubtful_until_an_octet_comes),
        cmocka_unit_test(silence_is_bounded_until_an_octet_has_come_or_nobody_waits_for_one_any_more),
        cmocka_unit_test(what_was_said_ahead_is_told_from_all_else),
        cmocka_unit_test(a_connection_that_shows_a_sign_of_life_is_as_old_as_before),
        cmocka_unit_test(a_session_makes_a_connection_young_again),
    };
    return SCENE_RUN(tests);
}
