#include "check.h"

#include "client.h"
#include "rig.h"

#define LIST "IMAP4rev1 UNSELECT"

/* BETWEEN, AWAITS_GO, AWAITS_GO_UNASKED, SENDING, SWALLOWING, SWALLOWED, IDLE_ASKED, IDLING */
static const struct {
    enum down from;
    const char *to; /* for each of these: may it be entered? */
    bool may_resend, awaits_word;
} rows[DOWN_MAX] = {
    { DOWN_BETWEEN, "xxxx..x.", true, false },          { DOWN_AWAITS_GO, "x..x....", true, true },
    { DOWN_AWAITS_GO_UNASKED, "x..xx...", true, true }, { DOWN_SENDING, "xxxxxx..", false, false },
    { DOWN_SWALLOWING, "x....x..", false, false },      { DOWN_SWALLOWED, "x.......", false, false },
    { DOWN_IDLE_ASKED, "x......x", true, true },        { DOWN_IDLING, "x.......", true, false },
};

static struct client *log_in(struct rig *rig)
{
    rig_begin(rig, RIG_CONFIG);
    assert_non_null(rig_log_in(rig, rig_greet(rig, LIST), "ann", LIST));
    return list_entry(rig->clients.by_state[CLIENT_AUTHENTICATED].next, struct client, link);
}

TEST(each_move_is_the_diagrams_or_ends_the_session)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (enum down to = 0; to < DOWN_MAX; to++) {
            struct rig rig;
            struct client *client = log_in(&rig);
            client->down = (uint8_t)rows[i].from;
            down_enter(client, to);
            bool is_entered = client->down == to && !client->stream.fault;
            client->down = DOWN_BETWEEN;
            rig_end(&rig);
            if (is_entered != (rows[i].to[to] == 'x'))
                fail_msg("from %d to %d", (int)rows[i].from, (int)to);
        }
}

TEST(what_may_go_up_anew_and_what_waits_is_a_matter_of_where_it_is)
{
    struct rig rig;
    struct client *client = log_in(&rig);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        client->down = (uint8_t)rows[i].from;
        assert_true(down_may_resend(client) == rows[i].may_resend);
        assert_true(down_awaits_word(client) == rows[i].awaits_word);
    }
    client->down = DOWN_BETWEEN;
    rig_end(&rig);
}

TEST(between_commands_none_is_being_sent_and_what_is_forgotten_is_not_in_flight)
{
    struct rig rig;
    struct client *client = log_in(&rig);
    const struct imapstate_command *command = imapstate_command_find(IMAPSTATE_SPAN("CREATE"));
    client->sending = pipeline_push(&client->pipeline, command, IMAPSTATE_SPAN("a"));
    down_enter(client, DOWN_AWAITS_GO);
    assert_non_null(client->sending);
    down_enter(client, DOWN_SENDING);
    down_enter(client, DOWN_BETWEEN);
    assert_null(client->sending);
    client->sending = client->pipeline.first;
    down_enter(client, DOWN_AWAITS_GO_UNASKED);
    down_forget(client);
    assert_null(client->sending);
    assert_int_equal(client->pipeline.count, 0);
    assert_true(client_is_at_rest(client));
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_move_is_the_diagrams_or_ends_the_session),
        cmocka_unit_test(what_may_go_up_anew_and_what_waits_is_a_matter_of_where_it_is),
        cmocka_unit_test(between_commands_none_is_being_sent_and_what_is_forgotten_is_not_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
