/* What is left to do until a connection can be parked. The server's answers are cut at every octet. */
#include "check.h"

#include "scene.h"

#include "pipeline.h"
#include "settling.h"

#define UNSELECT "imapstate-2 UNSELECT\r\n"
#define EXAMINE  "imapstate-4 EXAMINE imapstate-no-such-mailbox\r\nimapstate-8 CHECK\r\n"
#define NOTIFY   "imapstate-16 NOTIFY NONE\r\n"
#define NOOP     "imapstate-32 NOOP\r\n"
#define DONE     "DONE\r\n"

static const struct {
    const char *name;
    unsigned chores;
    const char *hears, *says;
    bool is_parked;
    const char *alerts;
} rows[] = {
    { "a mailbox is left", SETTLING_UNSELECT, UNSELECT, "imapstate-2 OK\r\n", true, "" },
    { "... with all that goes with it", SETTLING_UNSELECT, UNSELECT,
      "* OK [CLOSED] it\r\n* 3 EXISTS\r\n* 1 FETCH (X {4}\r\n\r\na\n)\r\n* FLAGS ()\r\nimapstate-2 OK\r\n", true, "" },
    { "... which is refused", SETTLING_UNSELECT, UNSELECT, "imapstate-2 NO\r\n", false, "" },
    { "... which the server does not know", SETTLING_UNSELECT, UNSELECT, "imapstate-2 BAD\r\n", false, "" },
    { "a mailbox is left by one that is not there", SETTLING_EXAMINE | SETTLING_CHECK, EXAMINE,
      "imapstate-4 NO none\r\nimapstate-8 NO none\r\n", true, "" },
    { "... which is there", SETTLING_EXAMINE | SETTLING_CHECK, EXAMINE, "imapstate-4 OK\r\nimapstate-8 NO\r\n", false,
      "" },
    { "... which leaves things as they are", SETTLING_EXAMINE | SETTLING_CHECK, EXAMINE,
      "imapstate-4 BAD\r\nimapstate-8 NO\r\n", false, "" },
    { "... and is selected all the same", SETTLING_EXAMINE | SETTLING_CHECK, EXAMINE,
      "imapstate-4 NO\r\nimapstate-8 OK\r\n", false, "" },
    { "... which nobody can tell", SETTLING_EXAMINE | SETTLING_CHECK, EXAMINE, "imapstate-4 NO\r\nimapstate-8 BAD\r\n",
      false, "" },
    { "... answered the other way round", SETTLING_EXAMINE | SETTLING_CHECK, EXAMINE,
      "imapstate-8 NO\r\nimapstate-4 NO\r\n", false, "" },
    { "NOTIFY is silenced", SETTLING_NOTIFY_NONE, NOTIFY, "* STATUS x (MESSAGES 1)\r\nimapstate-16 OK\r\n", false, "" },
    { "NOTIFY is silenced at once", SETTLING_NOTIFY_NONE, NOTIFY, "imapstate-16 OK\r\n", true, "" },
    { "... which is refused", SETTLING_NOTIFY_NONE, NOTIFY, "imapstate-16 NO\r\n", false, "" },
    { "all of it", SETTLING_UNSELECT | SETTLING_NOTIFY_NONE | SETTLING_NOOP, UNSELECT NOTIFY NOOP,
      "imapstate-2 OK\r\nimapstate-16 OK\r\nimapstate-32 OK\r\n", true, "" },
    { "IDLE is ended", SETTLING_DONE | SETTLING_NOOP, DONE NOOP, "a7 OK\r\nimapstate-32 OK\r\n", true, "" },
    { "... the server had ended it by itself", SETTLING_DONE | SETTLING_NOOP, DONE NOOP,
      "a7 OK\r\nDONE BAD what\r\nimapstate-32 OK\r\n", false, "" },
    { "... which fails", SETTLING_DONE | SETTLING_NOOP, DONE NOOP, "a7 NO\r\nimapstate-32 OK\r\n", false, "" },
    { "an alert, for the next session", SETTLING_NOOP, NOOP, "* NO [ALERT] disk\r\nimapstate-32 OK [ALERT] full\r\n",
      true, "* NO [ALERT] disk\r\n* OK [ALERT] full\r\n" },
    { "the same alert twice", SETTLING_NOOP, NOOP, "* NO [ALERT] disk\r\n* NO [ALERT] disk\r\nimapstate-32 OK\r\n",
      true, "* NO [ALERT] disk\r\n" },
    { "BYE", SETTLING_NOOP, NOOP, "* BYE\r\nimapstate-32 OK\r\n", false, "" },
    { "BAD of nobody knows what", SETTLING_NOOP, NOOP, "* BAD\r\nimapstate-32 OK\r\n", false, "" },
    { "an answer to somebody else", SETTLING_NOOP, NOOP, "a1 OK\r\nimapstate-32 OK\r\n", false, "" },
    { "something is on that nobody has asked for", SETTLING_NOOP, NOOP, "* ENABLED QRESYNC\r\nimapstate-32 OK\r\n",
      false, "" },
    { "a line that ends in LF alone", SETTLING_NOOP, NOOP, "* OK hello\nimapstate-32 OK\r\n", false, "" },
    { "text that is no response", SETTLING_NOOP, NOOP, "hello there\r\nimapstate-32 OK\r\n", false, "" },
};

static struct upstream *begin(size_t row, bool is_awaited)
{
    scene_begin(SCENE_UPSTREAM("tls = \"none\" answer_timeout = \"7s\""));
    struct upstream *upstream = scene_open_attached();
    if (rows[row].chores & SETTLING_DONE) {
        struct pipeline pipeline = { 0 };
        assert_non_null(pipeline_push(&pipeline, imapstate_command_find(IMAPSTATE_SPAN("IDLE")), IMAPSTATE_SPAN("a7")));
        upstream->idle = pipeline_take(&pipeline, IMAPSTATE_SPAN("a7"));
    }
    settling_begin(upstream, rows[row].chores, is_awaited);
    CHECK_ROW(rows[row].name, scene_hears(rows[row].hears));
    return upstream;
}

/* It is parked, or it has ended: nothing in between. */
static void check_parked(size_t row, bool is_parked)
{
    assert_true(upstreams_are_gone(&scene.upstreams));
    CHECK_ROW(rows[row].name, park_count() == is_parked);
    CHECK_ROW(rows[row].name, scene.wire->is_closed != is_parked);
    CHECK_ROW(rows[row].name, scene_hears(""));
}

static void check_alerts(size_t row)
{
    struct proof_identity identity = parking_identity("ann", "secret");
    struct parked *parked = park_match(&identity, scene.now_ms, NULL);
    assert_non_null(parked);
    CHECK_SPAN(rows[row].name, imapstate_buf_span(&parked->kept.alerts), imapstate_span_of(rows[row].alerts));
    CHECK_SPAN(rows[row].name, offers_names(parked->kept.offers), IMAPSTATE_SPAN("IMAP4rev1"));
    assert_int_equal(parked->kept.parked_at_ms, scene.now_ms);
    assert_int_equal(parked->used_at_ms, scene.now_ms);
    park_put(parked, scene.now_ms);
}

TEST(a_connection_is_parked_as_what_its_chores_have_left_it)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t cut = 0; cut <= strlen(rows[i].says); cut++)
            for (unsigned is_awaited = 0; is_awaited < 2; is_awaited++) {
                begin(i, is_awaited);
                scene.wire->piece = cut % 3;
                if (cut > 0)
                    scene_say_some(rows[i].says, cut);
                if (!scene.wire->is_closed)
                    scene_say(rows[i].says + cut);
                check_parked(i, rows[i].is_parked);
                assert_string_equal(scene.order, is_awaited ? "R" : "");
                if (rows[i].is_parked)
                    check_alerts(i);
                scene_end();
            }
}

TEST(whoever_hangs_up_or_falls_silent_before_the_last_answer_is_not_parked)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t cut = 0; cut < strlen(rows[i].says); cut++)
            for (unsigned is_silent = 0; is_silent < 2; is_silent++) {
                begin(i, true);
                if (cut > 0)
                    scene_say_some(rows[i].says, cut);
                if (is_silent)
                    scene_wait(7000);
                else if (!scene.wire->is_closed)
                    wire_end(scene.wire);
                scene_turn();
                check_parked(i, false);
                assert_string_equal(scene.order, "R");
                scene_end();
            }
}

TEST(an_answer_that_takes_long_is_waited_for)
{
    begin(0, true);
    scene_wait(6999);
    assert_string_equal(scene.order, "");
    scene_say("imapstate-2 OK\r\n");
    check_parked(0, true);
    scene_end();
}

/* What is behind the last answer shows on what the next session would come. */
TEST(what_comes_behind_the_last_answer_counts)
{
    static const struct {
        const char *name, *behind;
        bool is_parked;
    } ends[] = {
        { "nothing", "", true },
        { "data", "* 3 EXISTS\r\n", true },
        { "half a line", "* 3 EXI", false },
        { "half a literal", "* 1 FETCH (X {5}\r\nab", false },
        { "an answer once more", "imapstate-2 OK\r\n", false },
        { "BYE", "* BYE\r\n", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        char all[128];
        begin(0, false);
        snprintf(all, sizeof all, "imapstate-2 OK\r\n%s", ends[i].behind);
        scene_say(all);
        CHECK_ROW(ends[i].name, park_count() == ends[i].is_parked);
        CHECK_ROW(ends[i].name, scene.wire->is_closed != ends[i].is_parked);
        scene_end();
    }
}

TEST(with_nothing_to_do_it_is_parked_at_once)
{
    for (unsigned is_awaited = 0; is_awaited < 2; is_awaited++) {
        scene_begin(SCENE_UPSTREAM("tls = \"none\""));
        struct upstream *upstream = scene_open_attached();
        assert_true(imapstate_buf_put(&upstream->kept.state, IMAPSTATE_SPAN("a state")));
        settling_begin(upstream, 0, is_awaited);
        assert_string_equal(scene.order, is_awaited ? "R" : "");
        scene_turn();
        assert_int_equal(park_count(), 1);
        struct proof_identity identity = parking_identity("ann", "secret");
        struct parked *parked = park_match(&identity, scene.now_ms, NULL);
        assert_true(parked_is(parked, PARK_STATE, IMAPSTATE_SPAN("a state")));
        park_put(parked, scene.now_ms);
        scene_end();
    }
}

TEST(a_mailbox_that_may_not_be_selected_any_more_may_be_left_twice)
{
    static const char *const answers[] = { "imapstate-2 NO\r\n", "imapstate-2 BAD\r\n", "imapstate-2 OK\r\n" };
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct upstream *upstream = begin(0, false);
        upstream->may_fail_unselect = true;
        scene_say(answers[i]);
        check_parked(0, true);
        scene_end();
    }
}

TEST(whoever_does_not_wait_any_more_hears_nothing)
{
    struct upstream *upstream = begin(0, true);
    upstream_disown(upstream);
    scene_say("imapstate-2 OK\r\n");
    check_parked(0, true);
    assert_string_equal(scene.order, "");
    scene_end();
}

/* Octets that are in the buffers belong to nobody: such a connection is not given away. */
TEST(what_cannot_be_written_is_not_parked)
{
    scene_begin(SCENE_UPSTREAM("tls = \"none\""));
    struct upstream *upstream = scene_open_attached();
    scene.wire->room = 0;
    stream_put(&upstream->stream, IMAPSTATE_SPAN("a1 NOOP\r\n"));
    stream_flush(&upstream->stream);
    settling_begin(upstream, 0, false);
    scene_turn();
    assert_int_equal(park_count(), 0);
    assert_true(scene.wire->is_closed);
    scene_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_is_parked_as_what_its_chores_have_left_it),
        cmocka_unit_test(whoever_hangs_up_or_falls_silent_before_the_last_answer_is_not_parked),
        cmocka_unit_test(an_answer_that_takes_long_is_waited_for),
        cmocka_unit_test(what_comes_behind_the_last_answer_counts),
        cmocka_unit_test(with_nothing_to_do_it_is_parked_at_once),
        cmocka_unit_test(a_mailbox_that_may_not_be_selected_any_more_may_be_left_twice),
        cmocka_unit_test(whoever_does_not_wait_any_more_hears_nothing),
        cmocka_unit_test(what_cannot_be_written_is_not_parked),
    };
    return SCENE_RUN(tests);
}
