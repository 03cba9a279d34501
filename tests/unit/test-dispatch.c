#include "check.h"

#include "clients.h"
#include "dialog.h"
#include "rig.h"

#define LIST "IMAP4rev1 IDLE LITERAL+ UNSELECT"

static void greet(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    rig_begin(rig, "languages = \"off\"\n" RIG_CONFIG);
    *ret_client = rig_greet(rig, LIST);
    *ret_server = NULL;
}

static void log_in(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    greet(rig, ret_client, ret_server);
    *ret_server = rig_log_in(rig, *ret_client, "ann", LIST);
    assert_non_null(*ret_server);
}

#define LOGGED_IN "a OK [CAPABILITY IMAP4rev1 LITERAL+ STATE] in\r\n"
#define COMES                                                                                                          \
    { SERVER_COMES, NULL },                                                                                            \
    {                                                                                                                  \
        SERVER, "* OK [CAPABILITY " LIST "] hi\r\n"                                                                    \
    }
#define LETS_IN                                                                                                        \
    {                                                                                                                  \
        SERVER, "a OK [CAPABILITY IMAP4rev1] in\r\n"                                                                   \
    }

static const struct dialog pipelined[] = {
    { "commands behind a login go up when it is through",
      { { CLIENT, "a LOGIN ann secret\r\nb SELECT INBOX\r\nc NOOP\r\n" }, COMES, LETS_IN, { SERVER, "b OK 1\r\n" } },
      "a LOGIN \"ann\" \"secret\"\r\nb SELECT INBOX\r\nc NOOP\r\n",
      LOGGED_IN "b OK 1\r\n" },
    { "and are none of the server's if it is not",
      { { CLIENT, "a LOGIN ann wrong\r\nb SELECT INBOX\r\n" },
        COMES,
        { SERVER, "a NO [AUTHENTICATIONFAILED] no\r\n" },
        { WAIT, "2000" } },
      "a LOGIN \"ann\" \"wrong\"\r\n<end>",
      "a NO [AUTHENTICATIONFAILED] no\r\nb BAD Command not allowed before login.\r\n" },
    { "the gateway's own wait for those that are in flight",
      { { CLIENT, "a LOGIN ann secret\r\nb NOOP\r\nc LOGOUT\r\n" }, COMES, LETS_IN },
      "a LOGIN \"ann\" \"secret\"\r\nb NOOP\r\n",
      LOGGED_IN },
};

TEST(what_is_sent_ahead_is_done_in_its_turn)
{
    dialog_play_all(pipelined, ARRAY_LEN(pipelined), greet);
}

#define UNCERTAIN "* BYE Command cannot be read with certainty.\r\n<end>"

static const struct dialog unframed[] = {
    { "the first line of a command: it is answered, too",
      { { CLIENT, "a LIST \"\" \"x\r\n" } },
      "imapstate LOGOUT\r\n",
      "a BAD Quoted string without its closing quote.\r\n" UNCERTAIN },
    { "no command at all", { { CLIENT, "\rx\r\n" } }, "imapstate LOGOUT\r\n", UNCERTAIN },
    { "a line behind a literal",
      { { CLIENT, "a RENAME {1+}\r\n" }, { CLIENT, "x \"y\r\n" }, { SERVER, "+ go\r\n" } },
      "a RENAME {1}\r\nx<end>",
      UNCERTAIN },
    { "a line in the place of DONE",
      { { CLIENT, "a IDLE\r\n" }, { SERVER, "+ idling\r\n" }, { CLIENT, "\"x\r\n" } },
      "a IDLE\r\n<end>",
      "+ idling\r\n" UNCERTAIN },
};

TEST(what_cannot_be_framed_ends_the_session)
{
    dialog_play_all(unframed, ARRAY_LEN(unframed), log_in);
}

static const struct dialog ends[] = {
    { "of a client that has not logged in", { { CLIENT_ENDS, NULL } }, "", "<end>" },
    { "and has said half a line", { { CLIENT, "a NO" }, { CLIENT_ENDS, NULL } }, "", "<end>" },
    { "whose login is under way: it is answered",
      { { CLIENT, "a LOGIN ann secret\r\n" }, { CLIENT_ENDS, NULL }, COMES, LETS_IN },
      "a LOGIN \"ann\" \"secret\"\r\n",
      LOGGED_IN "<end>" },
    { "whose login waits for a line",
      { { CLIENT, "a AUTHENTICATE PLAIN\r\n" }, { CLIENT_ENDS, NULL } },
      "",
      "+ \r\n<end>" },
    { "that is lost while the server is asked",
      { { CLIENT, "a LOGIN ann secret\r\n" }, COMES, { CLIENT_IS_LOST, NULL } },
      "a LOGIN \"ann\" \"secret\"\r\n<end>",
      "<end>" },
    { "that is lost before the server has come",
      { { CLIENT, "a LOGIN ann secret\r\n" }, { SERVER_COMES, NULL }, { CLIENT_IS_LOST, NULL } },
      "<end>",
      "<end>" },
};

TEST(the_end_of_a_client_is_heeded_when_what_it_has_asked_for_is_answered)
{
    dialog_play_all(ends, ARRAY_LEN(ends), greet);
}

static const struct dialog ends_of_sessions[] = {
    { "commands that have arrived are answered",
      { { CLIENT, "b NOOP\r\nc NOOP\r\n" }, { CLIENT_ENDS, NULL }, { SERVER, "b OK 1\r\n" }, { SERVER, "c OK 2\r\n" } },
      "b NOOP\r\nc NOOP\r\n",
      "b OK 1\r\nc OK 2\r\n<end>" },
    { "those behind a literal that nobody has asked for yet as well",
      { { CLIENT, "b CREATE {1+}\r\nx\r\nc NOOP\r\n" },
        { CLIENT_ENDS, NULL },
        { SERVER, "+ go\r\n" },
        { SERVER, "b OK 1\r\nc OK 2\r\n" } },
      "b CREATE {1}\r\nx\r\nc NOOP\r\nimapstate LOGOUT\r\n",
      "b OK 1\r\nc OK 2\r\n<end>" },
    { "not what would need another word of the client's",
      { { CLIENT, "b IDLE\r\n" }, { SERVER, "+ idling\r\n" }, { CLIENT_ENDS, NULL } },
      "b IDLE\r\nDONE\r\nimapstate-32 NOOP\r\n",
      "+ idling\r\n<end>" },
    { "but what it has said already",
      { { CLIENT, "b IDLE\r\nDONE\r\n" }, { CLIENT_ENDS, NULL }, { SERVER, "+ idling\r\n" }, { SERVER, "b OK 1\r\n" } },
      "b IDLE\r\nDONE\r\nimapstate-32 NOOP\r\n",
      "+ idling\r\nb OK 1\r\n<end>" },
    { "half a command is nothing", { { CLIENT, "b NOO" }, { CLIENT_ENDS, NULL } }, "", "<end>" },
};

TEST(behind_the_end_of_a_client_what_its_session_has_asked_for_is_answered)
{
    dialog_play_all(ends_of_sessions, ARRAY_LEN(ends_of_sessions), log_in);
}

static const struct dialog stops[] = {
    { "a session at rest ends",
      { { STOP, NULL } },
      "imapstate LOGOUT\r\n",
      "* BYE imapstate is shutting down.\r\n<end>" },
    { "a command is answered first",
      { { CLIENT, "a NOOP\r\n" }, { STOP, NULL }, { SERVER, "a OK 1\r\n" } },
      "a NOOP\r\nimapstate LOGOUT\r\n",
      "a OK 1\r\n* BYE imapstate is shutting down.\r\n<end>" },
    { "and is waited for", { { CLIENT, "a NOOP\r\n" }, { STOP, NULL } }, "a NOOP\r\n", "" },
    { "IDLE is not",
      { { CLIENT, "a IDLE\r\n" }, { SERVER, "+ idling\r\n" }, { STOP, NULL } },
      "a IDLE\r\n<end>",
      "+ idling\r\n* BYE imapstate is shutting down.\r\n<end>" },
    { "half a command is",
      { { CLIENT, "b NO" }, { STOP, NULL }, { CLIENT, "OP\r\n" }, { SERVER, "b OK 1\r\n" } },
      "b NOOP\r\nimapstate LOGOUT\r\n",
      "b OK 1\r\n* BYE imapstate is shutting down.\r\n<end>" },
    { "nothing is said within a response",
      { { SERVER, "* 1 FETCH (BODY[] {9}\r\nabc" }, { STOP, NULL }, { SERVER, "defghi)\r\n" } },
      "imapstate LOGOUT\r\n",
      "* 1 FETCH (BODY[] {9}\r\nabcdefghi)\r\n* BYE imapstate is shutting down.\r\n<end>" },
};

TEST(when_the_daemon_ends_sessions_end_between_commands)
{
    dialog_play_all(stops, ARRAY_LEN(stops), log_in);
}

TEST(when_the_daemon_has_no_more_time_they_end_at_once)
{
    struct rig rig;
    struct wire *client, *server;
    log_in(&rig, &client, &server);
    rig_say(&rig, client, "a NOOP\r\n");
    rig_stop(&rig);
    assert_string_equal(wire_take(client), "");
    clients_stop(&rig.clients, true);
    rig_pass(&rig, 0);
    assert_string_equal(wire_take(client), "* BYE imapstate is shutting down.\r\n");
    assert_true(server->is_closed);
    clients_stop(&rig.clients, true);
    rig_pass(&rig, 0);
    assert_true(client->is_closed);
    rig_end(&rig);
}

/* 64 KiB in all, before login. */
TEST(before_login_there_is_only_so_much_to_be_said)
{
    static char line[1026];
    struct rig rig;
    struct wire *client, *server;
    greet(&rig, &client, &server);
    snprintf(line, sizeof line, "a NOOP %01015d\r\n", 0);
    assert_int_equal(strlen(line), 1024);
    for (int i = 0; i < 64; i++) {
        rig_say(&rig, client, line);
        assert_string_equal(wire_take(client), "a OK NOOP completed.\r\n");
    }
    rig_say(&rig, client, "\n");
    assert_string_equal(wire_take(client), "* BYE Too much input before login.\r\n");
    rig_end(&rig);
}

/* What a client has said is read when there is room for the answers to what it has said before. */
TEST(who_does_not_read_is_not_read_from)
{
    struct rig rig;
    struct wire *client, *server;
    greet(&rig, &client, &server);
    client->room = 0;
    for (int i = 0; i < 8000; i++)
        wire_feed(client, IMAPSTATE_SPAN("a CAPABILITY\r\n"));
    wire_end(client);
    rig_pass(&rig, 0);
    assert_true(client->in.len > 0);
    client->room = SIZE_MAX;
    rig_pass(&rig, 0);
    assert_int_equal(client->in.len, 0);
    assert_true(client->is_shut);
    const char *heard = wire_take(client);
    assert_non_null(strstr(heard, "* BYE Too much input before login.\r\n"));
    rig_end(&rig);
}

/* Commands that have arrived with the end are answered, though their answers have to wait for room. */
TEST(who_reads_late_has_all_its_answers)
{
    struct rig rig;
    char list[160];
    unsigned answers = 0;
    snprintf(list, sizeof list, "IMAP4rev1 X-%0130d", 0);
    rig_begin(&rig, RIG_CONFIG);
    struct wire *client = rig_greet(&rig, list);
    client->room = 0;
    for (int i = 0; i < 1000; i++)
        wire_feed(client, IMAPSTATE_SPAN("a CAPABILITY\r\n"));
    wire_end(client);
    rig_pass(&rig, 0);
    assert_int_equal(client->in.len, 0);
    client->room = SIZE_MAX;
    rig_pass(&rig, 0);
    for (const char *at = wire_take(client); (at = strstr(at, "a OK ")); at++)
        answers++;
    assert_int_equal(answers, 1000);
    assert_true(client->is_closed);
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sent_ahead_is_done_in_its_turn),
        cmocka_unit_test(what_cannot_be_framed_ends_the_session),
        cmocka_unit_test(the_end_of_a_client_is_heeded_when_what_it_has_asked_for_is_answered),
        cmocka_unit_test(behind_the_end_of_a_client_what_its_session_has_asked_for_is_answered),
        cmocka_unit_test(when_the_daemon_ends_sessions_end_between_commands),
        cmocka_unit_test(when_the_daemon_has_no_more_time_they_end_at_once),
        cmocka_unit_test(before_login_there_is_only_so_much_to_be_said),
        cmocka_unit_test(who_does_not_read_is_not_read_from),
        cmocka_unit_test(who_reads_late_has_all_its_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
