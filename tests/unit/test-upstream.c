/* A connection, its states, and what its owner hears. */
#include "check.h"

#include "scene.h"

/* --- states --- */

#define BIT(state) (1u << (state))

/* The diagram of upstream.h. */
static const unsigned may_enter[UPSTREAM_STATE_MAX] = {
    [UPSTREAM_RESOLVING] = BIT(UPSTREAM_QUEUED) | BIT(UPSTREAM_CONNECTING),
    [UPSTREAM_QUEUED] = BIT(UPSTREAM_CONNECTING),
    [UPSTREAM_CONNECTING] =
        BIT(UPSTREAM_QUEUED) | BIT(UPSTREAM_CONNECTING) | BIT(UPSTREAM_SECURING) | BIT(UPSTREAM_PREPARING),
    [UPSTREAM_SECURING] = BIT(UPSTREAM_QUEUED) | BIT(UPSTREAM_CONNECTING) | BIT(UPSTREAM_PREPARING),
    [UPSTREAM_PREPARING] = BIT(UPSTREAM_QUEUED) | BIT(UPSTREAM_CONNECTING) | BIT(UPSTREAM_SECURING) |
                           BIT(UPSTREAM_READY) | BIT(UPSTREAM_LEAVING),
    [UPSTREAM_READY] = BIT(UPSTREAM_PREPARING) | BIT(UPSTREAM_LOGGING_IN) | BIT(UPSTREAM_LEAVING),
    [UPSTREAM_LOGGING_IN] = BIT(UPSTREAM_ATTACHED),
    [UPSTREAM_ATTACHED] = BIT(UPSTREAM_SETTLING) | BIT(UPSTREAM_LEAVING),
};

static struct upstream *begin(enum upstream_state state)
{
    scene_begin(SCENE_UPSTREAM("tls = \"none\""));
    struct upstream *upstream = upstream_new(&scene.upstreams, scene.service, scene.config, state);
    assert_non_null(upstream);
    upstream->owner = scene_owner;
    return upstream;
}

static bool is_in_list(const struct upstream *upstream, enum upstream_state state)
{
    const struct list *list = &scene.upstreams.by_state[state];
    return list->next == &upstream->link && list->previous == &upstream->link;
}

TEST(a_state_leads_only_to_those_that_the_diagram_has)
{
    for (enum upstream_state from = 0; from < UPSTREAM_DEAD; from++)
        for (enum upstream_state to = 0; to < UPSTREAM_DEAD; to++) {
            struct upstream *upstream = begin(from);
            assert_true(is_in_list(upstream, from));
            upstream_enter(upstream, to);
            bool may = may_enter[from] & BIT(to);
            assert_int_equal(upstream->state, may ? to : from);
            assert_true(is_in_list(upstream, may ? to : from));
            upstream_die(upstream);
            scene_end();
        }
}

/* A move that nobody has foreseen may have been brought about by a peer: it costs the connection, not the daemon. */
TEST(a_move_that_is_not_foreseen_ends_the_connection)
{
    scene_begin(SCENE_UPSTREAM("tls = \"none\""));
    struct upstream *upstream = scene_open_ready("IMAP4rev1");
    upstream_enter(upstream, UPSTREAM_SETTLING);
    scene_turn();
    assert_string_equal(scene.order, "L");
    assert_string_equal(scene.why, "unforeseen state");
    assert_true(scene.wire->is_closed);
    scene_end();
}

/* --- its end --- */

TEST(its_end_is_told_once_and_it_is_there_until_the_loop_has_unwound)
{
    for (enum upstream_state state = 0; state < UPSTREAM_DEAD; state++) {
        struct upstream *upstream = begin(state);
        upstream_lose(upstream, "it is of no use");
        assert_int_equal(upstream->state, UPSTREAM_DEAD);
        assert_string_equal(scene.order, state == UPSTREAM_SETTLING ? "RL" : "L");
        assert_string_equal(scene.why, "it is of no use");
        upstream_die(upstream);
        upstream_release(upstream, false);
        upstream_tell(upstream, UPSTREAM_HEARD, (struct imapstate_span){ 0 });
        scene_turn();
        assert_true(upstreams_are_gone(&scene.upstreams));
        assert_int_equal(strlen(scene.order), state == UPSTREAM_SETTLING ? 2 : 1);
        scene_end();
    }
}

TEST(whoever_has_let_go_of_it_hears_nothing_of_its_end)
{
    for (enum upstream_state state = 0; state < UPSTREAM_DEAD; state++)
        for (unsigned is_lost = 0; is_lost < 2; is_lost++) {
            struct upstream *upstream = begin(state);
            upstream_disown(upstream);
            if (is_lost)
                upstream_lose(upstream, "it is of no use");
            else
                upstream_die(upstream);
            assert_string_equal(scene.order, "");
            scene_end();
        }
}

TEST(a_reason_that_is_long_is_cut)
{
    char why[1000];
    struct upstream *upstream = begin(UPSTREAM_ATTACHED);
    memset(why, 'x', sizeof why - 1);
    why[sizeof why - 1] = '\0';
    upstream_lose(upstream, why);
    assert_true(strlen(scene.why) > 100 && strlen(scene.why) < sizeof why - 1);
    scene_end();
}

/* What a client does with it when it is done; how the server then sees its end. */
static const struct {
    const char *name;
    bool is_clean, has_said_bye, is_at_eof, is_attached;
    const char *hears;
} releases[] = {
    { "nothing is in flight", true, false, false, true, "imapstate LOGOUT\r\n" },
    { "something is", false, false, false, true, "" },
    { "it has said BYE", true, true, false, true, "" },
    { "it has hung up", true, false, true, true, "" },
    { "nobody has logged in", true, false, false, false, "" },
};

TEST(a_server_hears_logout_where_it_can_be_told_from_all_else)
{
    for (size_t i = 0; i < ARRAY_LEN(releases); i++) {
        scene_begin(SCENE_UPSTREAM("tls = \"none\""));
        struct upstream *upstream = releases[i].is_attached ? scene_open_attached() : scene_open_ready("IMAP4rev1");
        upstream->has_said_bye = releases[i].has_said_bye;
        upstream->stream.is_at_eof = releases[i].is_at_eof;
        stream_pause(&upstream->stream); /* it may be, while the client does not read */
        upstream_release(upstream, releases[i].is_clean);
        scene_turn();
        CHECK_ROW(releases[i].name, scene_hears(releases[i].hears));
        CHECK_ROW(releases[i].name, scene.wire->is_closed == (*releases[i].hears == '\0'));
        assert_string_equal(scene.order, "");
        if (*releases[i].hears) {
            for (unsigned lines = 0; lines < 20000; lines++) /* more than a buffer holds */
                wire_feed(scene.wire, IMAPSTATE_SPAN("* BYE\r\n"));
            wire_end(scene.wire);
            scene_turn();
        }
        assert_true(upstreams_are_gone(&scene.upstreams));
        scene_end();
    }
}

TEST(a_server_that_does_not_hang_up_after_logout_is_not_waited_for_long)
{
    scene_begin(SCENE_UPSTREAM("tls = \"none\""));
    upstream_release(scene_open_attached(), true);
    scene_wait(4999);
    assert_false(upstreams_are_gone(&scene.upstreams));
    scene_wait(1);
    assert_true(upstreams_are_gone(&scene.upstreams));
    scene_end();
}

/* --- time --- */

TEST(an_answer_that_stays_out_ends_the_connection_while_one_is_awaited)
{
    scene_begin(SCENE_UPSTREAM("tls = \"none\" answer_timeout = \"7s\""));
    struct upstream *upstream = scene_open_ready("IMAP4rev1");
    scene_wait(100000); /* nobody has asked */
    upstream_log_in(upstream);
    scene_wait(6999);
    upstream_await(upstream); /* something has come, and something else is awaited */
    scene_wait(6999);
    assert_string_equal(scene.order, "");
    upstream_await_nothing(upstream);
    scene_wait(7000);
    upstream_attach(upstream);
    scene_wait(100000);
    assert_string_equal(scene.order, "");
    upstream_await(upstream);
    scene_wait(7000);
    assert_string_equal(scene.order, "L");
    assert_string_equal(scene.why, "answer timed out");
    scene_end();
}

TEST(what_has_been_written_for_its_owner_is_known)
{
    struct upstream *upstream = begin(UPSTREAM_ATTACHED);
    assert_false(upstream_has_written(upstream));
    upstream_die(upstream);
    scene_end();
    scene_begin(SCENE_UPSTREAM("tls = \"none\""));
    upstream = scene_open_ready("IMAP4rev1");
    assert_true(upstream_has_written(upstream));
    upstream_release(upstream, false);
    scene_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_leads_only_to_those_that_the_diagram_has),
        cmocka_unit_test(a_move_that_is_not_foreseen_ends_the_connection),
        cmocka_unit_test(its_end_is_told_once_and_it_is_there_until_the_loop_has_unwound),
        cmocka_unit_test(whoever_has_let_go_of_it_hears_nothing_of_its_end),
        cmocka_unit_test(a_reason_that_is_long_is_cut),
        cmocka_unit_test(a_server_hears_logout_where_it_can_be_told_from_all_else),
        cmocka_unit_test(a_server_that_does_not_hang_up_after_logout_is_not_waited_for_long),
        cmocka_unit_test(an_answer_that_stays_out_ends_the_connection_while_one_is_awaited),
        cmocka_unit_test(what_has_been_written_for_its_owner_is_known),
    };
    return SCENE_RUN(tests);
}
