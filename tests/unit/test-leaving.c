#include "check.h"

#include "dialog.h"
#include "rig.h"

#define LIST "IMAP4rev1 IDLE ENABLE CONDSTORE NOTIFY UNSELECT UNAUTHENTICATE"
#define BARE "IMAP4rev1 IDLE"

#define CONFIG "languages = \"off\"\n" RIG_CONFIG

static void log_in_with(struct rig *rig, const char *config, const char *list, struct wire **ret_client,
                        struct wire **ret_server)
{
    rig_begin(rig, config);
    *ret_client = rig_greet(rig, list);
    *ret_server = rig_log_in(rig, *ret_client, "ann", list);
    assert_non_null(*ret_server);
}

static void log_in(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    log_in_with(rig, CONFIG, LIST, ret_client, ret_server);
}

static void log_in_without_unselect(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    log_in_with(rig, CONFIG, BARE, ret_client, ret_server);
}

static void log_in_without_park(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    log_in_with(rig, "languages = \"off\"\npark { per_user = 0 }\n" RIG_CONFIG, LIST, ret_client, ret_server);
}

#define PLAY_ALL(dialogs, begin) dialog_play_all(dialogs, ARRAY_LEN(dialogs), begin)

/* Whether a connection is parked the next session shows: it has it, or another one is asked for. */
#define BACK                                                                                                           \
    { CLIENT_COMES, NULL },                                                                                            \
    {                                                                                                                  \
        CLIENT, "a LOGIN ann secret\r\nz NOOP\r\n"                                                                     \
    }
#define GREETED(list) "<next>* OK [CAPABILITY " list " LITERAL+ STATE] imapstate ready.\r\n"
#define IS_BACK(list) GREETED(list) "a OK [CAPABILITY " list " LITERAL+ STATE] Logged in.\r\n"
#define HAS_IT        "z NOOP\r\n"
#define HAS_NOT       "<asked>"
#define LEAVES                                                                                                         \
    {                                                                                                                  \
        CLIENT_IS_LOST, NULL                                                                                           \
    }

#define DO(command, answer)                                                                                            \
    { CLIENT, command "\r\n" },                                                                                        \
    {                                                                                                                  \
        SERVER, answer "\r\n"                                                                                          \
    }

#define TRACKED                                                                                                        \
    {                                                                                                                  \
        CLIENT, "s STATE\r\n"                                                                                          \
    }
#define TRACKING "s OK State command tracking enabled.\r\n"

static const struct dialog parkings[] = {
    { "nothing was said", { LEAVES, BACK }, HAS_IT, "<end>" IS_BACK(LIST) },
    { "what leaves no trace",
      { DO("b NOOP", "b OK 1"), LEAVES, BACK },
      "b NOOP\r\n" HAS_IT,
      "b OK 1\r\n<end>" IS_BACK(LIST) },
    { "after a mistake the server is to say OK before the next session",
      { DO("b NOOP", "b NO 1"), LEAVES, { SERVER, "imapstate-32 OK 1\r\n" }, BACK },
      "b NOOP\r\nimapstate-32 NOOP\r\n" HAS_IT,
      "b NO 1\r\n<end>" IS_BACK(LIST) },
    { "a mailbox is let go of",
      { DO("b SELECT x", "b OK 1"), LEAVES, { SERVER, "* OK closed\r\nimapstate-2 OK 1\r\n" }, BACK },
      "b SELECT x\r\nimapstate-2 UNSELECT\r\n" HAS_IT,
      "b OK 1\r\n<end>" IS_BACK(LIST) },
    { "if the server does not let go of it, it is not parked",
      { DO("b SELECT x", "b OK 1"), LEAVES, { SERVER, "imapstate-2 NO 1\r\n" }, BACK },
      "b SELECT x\r\nimapstate-2 UNSELECT\r\n<end>" HAS_NOT,
      "b OK 1\r\n<end>" GREETED(LIST) },
    { "but if none was selected that is what it says",
      { DO("b SELECT x", "b NO 1"), LEAVES, { SERVER, "imapstate-2 BAD 1\r\n" }, BACK },
      "b SELECT x\r\nimapstate-2 UNSELECT\r\n" HAS_IT,
      "b NO 1\r\n<end>" IS_BACK(LIST) },
    { "nor while it has not",
      { DO("b SELECT x", "b OK 1"), LEAVES, BACK },
      "b SELECT x\r\nimapstate-2 UNSELECT\r\n" HAS_NOT,
      "b OK 1\r\n<end>" GREETED(LIST) },
    { "nor if it is silent",
      { DO("b SELECT x", "b OK 1"), LEAVES, { WAIT, "60000" } },
      "b SELECT x\r\nimapstate-2 UNSELECT\r\n<end>",
      "b OK 1\r\n<end>" },
    { "nor if it answers something else",
      { DO("b SELECT x", "b OK 1"), LEAVES, { SERVER, "imapstate-32 OK 1\r\n" } },
      "b SELECT x\r\nimapstate-2 UNSELECT\r\n<end>",
      "b OK 1\r\n<end>" },
    { "nor if it is lost",
      { DO("b SELECT x", "b OK 1"), LEAVES, { SERVER_IS_LOST, NULL }, BACK },
      "b SELECT x\r\nimapstate-2 UNSELECT\r\n<end>" HAS_NOT,
      "b OK 1\r\n<end>" GREETED(LIST) },
    { "an alert that comes with that is for the next session",
      { DO("b SELECT x", "b OK 1"), LEAVES, { SERVER, "* OK [ALERT] full\r\nimapstate-2 OK 1\r\n" }, BACK },
      "b SELECT x\r\nimapstate-2 UNSELECT\r\n" HAS_IT,
      "b OK 1\r\n<end>" IS_BACK(LIST) "* OK [ALERT] full\r\n" },
    { "an IDLE that goes on is ended",
      { DO("b IDLE", "+ idling"), LEAVES, { SERVER, "b OK 1\r\nimapstate-32 OK 1\r\n" }, BACK },
      "b IDLE\r\nDONE\r\nimapstate-32 NOOP\r\n" HAS_IT,
      "+ idling\r\n<end>" IS_BACK(LIST) },
    { "with a mailbox",
      { DO("s SELECT x", "s OK 1"),
        DO("b IDLE", "+ idling"),
        LEAVES,
        { SERVER, "b OK 1\r\nimapstate-2 OK 1\r\n" },
        BACK },
      "s SELECT x\r\nb IDLE\r\nDONE\r\nimapstate-2 UNSELECT\r\n" HAS_IT,
      "s OK 1\r\n+ idling\r\n<end>" IS_BACK(LIST) },
    { "one that the server ends at the same time",
      { DO("b IDLE", "+ idling"), LEAVES, { SERVER, "b OK 1\r\nDONE BAD what\r\nimapstate-32 OK 1\r\n" }, BACK },
      "b IDLE\r\nDONE\r\nimapstate-32 NOOP\r\n<end>" HAS_NOT,
      "+ idling\r\n<end>" GREETED(LIST) },
    { "not an IDLE that has had no +",
      { { CLIENT, "b IDLE\r\n" }, LEAVES, BACK },
      "b IDLE\r\n<end>" HAS_NOT,
      "<end>" GREETED(LIST) },
    { "not a command in flight",
      { { CLIENT, "b NOOP\r\n" }, LEAVES, BACK },
      "b NOOP\r\n<end>" HAS_NOT,
      "<end>" GREETED(LIST) },
    { "not half a command",
      { { CLIENT, "b CREATE {3}\r\n" }, { SERVER, "+ go\r\n" }, { CLIENT, "ab" }, LEAVES, BACK },
      "b CREATE {3}\r\nab<end>" HAS_NOT,
      "+ go\r\n<end>" GREETED(LIST) },
    { "half a line that has not gone up is nothing",
      { { CLIENT, "b NO" }, LEAVES, BACK },
      HAS_IT,
      "<end>" IS_BACK(LIST) },
    { "not within a response",
      { { SERVER, "* 1 FETCH (BODY[] {9}\r\nab" }, LEAVES, BACK },
      "<end>" HAS_NOT,
      "* 1 FETCH (BODY[] {9}\r\nab<end>" GREETED(LIST) },
    { "a state is what it is parked in, and the next session without it needs another",
      { TRACKED, DO("b ENABLE CONDSTORE", "* ENABLED CONDSTORE\r\nb OK 1"), LEAVES, BACK },
      "b ENABLE CONDSTORE\r\n" HAS_NOT,
      TRACKING
      "* ENABLED CONDSTORE\r\n* OK [STATECMD b] ENABLE will be saved in state data.\r\nb OK 1\r\n<end>" IS_BACK(LIST) },
    { "NOTIFY is silenced",
      { TRACKED,
        DO("b NOTIFY SET (PERSONAL (MessageNew))", "b OK 1"),
        LEAVES,
        { SERVER, "* STATUS x (MESSAGES 1)\r\nimapstate-16 OK 1\r\n" } },
      "b NOTIFY SET (PERSONAL (MessageNew))\r\nimapstate-16 NOTIFY NONE\r\n",
      TRACKING "* OK [STATECMD b] NOTIFY will be saved in state data.\r\nb OK 1\r\n<end>" },
    { "where something was on that nobody had set up, it is not parked",
      { { SERVER, "* VANISHED 1\r\n" }, LEAVES, BACK },
      "imapstate LOGOUT\r\n" HAS_NOT,
      "* VANISHED 1\r\n<end>" GREETED(LIST) },
    { "where the server has said what is no response neither",
      { { SERVER, "what\r\n" }, LEAVES, BACK },
      "imapstate LOGOUT\r\n" HAS_NOT,
      "what\r\n<end>" GREETED(LIST) },
    { "where it may not work neither",
      { DO("b SELECT x", "b NO [UNAVAILABLE] backend"), LEAVES, BACK },
      "b SELECT x\r\nimapstate LOGOUT\r\n" HAS_NOT,
      "b NO [UNAVAILABLE] backend\r\n<end>" GREETED(LIST) },
    { "not when the daemon ends",
      { { STOP, NULL } },
      "imapstate LOGOUT\r\n",
      "* BYE imapstate is shutting down.\r\n<end>" },
    { "not after BYE", { { SERVER, "* BYE x\r\n" }, LEAVES, BACK }, "<end>" HAS_NOT, "* BYE x\r\n<end>" GREETED(LIST) },
    { "P16: not after UNAUTHENTICATE",
      { { CLIENT, "b UNAUTHENTICATE\r\na LOGIN ann secret\r\n" } },
      "imapstate LOGOUT\r\n" HAS_NOT,
      "b OK Unauthenticated.\r\n" },
};

TEST(a_connection_is_parked_where_it_can_serve_another_session)
{
    PLAY_ALL(parkings, log_in);
}

#define EXAMINE "imapstate-4 EXAMINE imapstate-no-such-mailbox\r\nimapstate-8 CHECK\r\nimapstate-32 NOOP\r\n"

static const struct dialog examinations[] = {
    { "a mailbox that does not exist leaves none selected, which the refusal of CHECK proves",
      { DO("b SELECT x", "b OK 1"),
        LEAVES,
        { SERVER, "imapstate-4 NO 1\r\nimapstate-8 NO 1\r\nimapstate-32 OK 1\r\n" },
        BACK },
      "b SELECT x\r\n" EXAMINE HAS_IT,
      "b OK 1\r\n<end>" IS_BACK(BARE) },
    { "a CHECK that is carried out shows that one is",
      { DO("b SELECT x", "b OK 1"),
        LEAVES,
        { SERVER, "imapstate-4 NO 1\r\nimapstate-8 OK 1\r\nimapstate-32 OK 1\r\n" },
        BACK },
      "b SELECT x\r\n" EXAMINE "<end>" HAS_NOT,
      "b OK 1\r\n<end>" GREETED(BARE) },
    { "one that is not known shows nothing",
      { DO("b SELECT x", "b OK 1"),
        LEAVES,
        { SERVER, "imapstate-4 NO 1\r\nimapstate-8 BAD 1\r\nimapstate-32 OK 1\r\n" },
        BACK },
      "b SELECT x\r\n" EXAMINE "<end>" HAS_NOT,
      "b OK 1\r\n<end>" GREETED(BARE) },
    { "and so does BAD to EXAMINE",
      { DO("b SELECT x", "b OK 1"), LEAVES, { SERVER, "imapstate-4 BAD 1\r\n" }, BACK },
      "b SELECT x\r\n" EXAMINE "<end>" HAS_NOT,
      "b OK 1\r\n<end>" GREETED(BARE) },
};

TEST(without_unselect_a_mailbox_is_let_go_of_by_an_examine_that_fails)
{
    PLAY_ALL(examinations, log_in_without_unselect);
}

static const struct dialog unparked[] = {
    { "LOGOUT is said where nothing is parked", { LEAVES }, "imapstate LOGOUT\r\n", "<end>" },
    { "which is answered, and ends it",
      { LEAVES, { SERVER, "* BYE bye\r\nimapstate OK 1\r\n" }, { SERVER_ENDS, NULL } },
      "imapstate LOGOUT\r\n<end>",
      "<end>" },
    { "or is not", { LEAVES, { WAIT, "5000" } }, "imapstate LOGOUT\r\n<end>", "<end>" },
    { "not in the middle of something", { { CLIENT, "b NOOP\r\n" }, LEAVES }, "b NOOP\r\n<end>", "<end>" },
};

TEST(a_connection_that_is_not_parked_is_taken_leave_of)
{
    PLAY_ALL(unparked, log_in_without_park);
}

/* --- LOGOUT --- */

#define LOGOUT                                                                                                         \
    {                                                                                                                  \
        CLIENT, "b LOGOUT\r\n"                                                                                         \
    }
#define GOODBYE "* BYE Logging out.\r\nb OK Logout completed.\r\n<end>"
#define SELECT  DO("s SELECT x", "s OK 1")

static const struct dialog logouts[] = {
    { "is answered at once where there is nothing to do", { LOGOUT }, "", GOODBYE },
    { "waits until the connection is parked, for who comes back at once",
      { SELECT, LOGOUT },
      "s SELECT x\r\nimapstate-2 UNSELECT\r\n",
      "s OK 1\r\n" },
    { "and no longer",
      { SELECT, LOGOUT, { SERVER, "imapstate-2 OK 1\r\n" }, BACK },
      "s SELECT x\r\nimapstate-2 UNSELECT\r\n" HAS_IT,
      "s OK 1\r\n" GOODBYE IS_BACK(LIST) },
    { "a connection that cannot be parked is no reason not to answer",
      { SELECT, LOGOUT, { SERVER, "imapstate-2 NO 1\r\n" } },
      "s SELECT x\r\nimapstate-2 UNSELECT\r\n<end>",
      "s OK 1\r\n" GOODBYE },
    { "nor is one that is lost",
      { SELECT, LOGOUT, { SERVER_IS_LOST, NULL } },
      "s SELECT x\r\nimapstate-2 UNSELECT\r\n<end>",
      "s OK 1\r\n" GOODBYE },
    { "or silent",
      { SELECT, LOGOUT, { WAIT, "60000" } },
      "s SELECT x\r\nimapstate-2 UNSELECT\r\n<end>",
      "s OK 1\r\n" GOODBYE },
    { "a client that does not wait leaves it to be parked",
      { SELECT, LOGOUT, LEAVES, { SERVER, "imapstate-2 OK 1\r\n" }, BACK },
      "s SELECT x\r\nimapstate-2 UNSELECT\r\n" HAS_IT,
      "s OK 1\r\n<end>" IS_BACK(LIST) },
    { "one that has said all hears it",
      { SELECT, LOGOUT, { CLIENT_ENDS, NULL }, { SERVER, "imapstate-2 OK 1\r\n" } },
      "s SELECT x\r\nimapstate-2 UNSELECT\r\n",
      "s OK 1\r\n" GOODBYE },
    { "what follows is for nobody",
      { SELECT, { CLIENT, "b LOGOUT\r\nc NOOP\r\n" }, { SERVER, "imapstate-2 OK 1\r\n" } },
      "s SELECT x\r\nimapstate-2 UNSELECT\r\n",
      "s OK 1\r\n" GOODBYE },
    { "the daemon's end does not wait for it",
      { SELECT, LOGOUT, { STOP, NULL }, { SERVER, "imapstate-2 OK 1\r\n" } },
      "s SELECT x\r\nimapstate-2 UNSELECT\r\n",
      "s OK 1\r\n" GOODBYE },
    { "a second LOGOUT is for nobody", { LOGOUT, LOGOUT }, "", GOODBYE },
};

TEST(logout_is_answered_when_the_connection_is_parked)
{
    PLAY_ALL(logouts, log_in);
}

/* --- the client's end --- */

TEST(a_client_that_does_not_read_its_last_lines_is_not_waited_for_long)
{
    struct rig rig;
    struct wire *client, *server;
    log_in(&rig, &client, &server);
    client->room = 0;
    rig_say(&rig, client, "b LOGOUT\r\n");
    assert_false(client->is_shut);
    rig_pass(&rig, 2999);
    assert_false(client->is_closed);
    rig_pass(&rig, 1);
    assert_true(client->is_closed);
    rig_end(&rig);
}

TEST(one_that_reads_them_late_hears_them_all)
{
    struct rig rig;
    struct wire *client, *server;
    log_in(&rig, &client, &server);
    client->room = 3;
    rig_say(&rig, client, "b LOGOUT\r\n");
    assert_string_equal(wire_take(client), "* B");
    client->room = SIZE_MAX;
    rig_pass(&rig, 0);
    assert_string_equal(wire_take(client), "YE Logging out.\r\nb OK Logout completed.\r\n");
    assert_true(client->is_shut && !client->is_closed);
    rig_say(&rig, client, "c NOOP\r\n");
    assert_string_equal(wire_take(client), "");
    wire_end(client);
    rig_pass(&rig, 0);
    assert_true(client->is_closed);
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_is_parked_where_it_can_serve_another_session),
        cmocka_unit_test(without_unselect_a_mailbox_is_let_go_of_by_an_examine_that_fails),
        cmocka_unit_test(a_connection_that_is_not_parked_is_taken_leave_of),
        cmocka_unit_test(logout_is_answered_when_the_connection_is_parked),
        cmocka_unit_test(a_client_that_does_not_read_its_last_lines_is_not_waited_for_long),
        cmocka_unit_test(one_that_reads_them_late_hears_them_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
