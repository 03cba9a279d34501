#include "check.h"

#include "dialog.h"
#include "rig.h"

#define LIST "IMAP4rev1 IDLE UNSELECT"

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

/* A session that was let in by what is parked, and has said nothing yet. */
static void come_back(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    log_in(rig, ret_client, ret_server);
    wire_end(*ret_client);
    rig_pass(rig, 0);
    *ret_client = rig_greet(rig, LIST);
    rig_say(rig, *ret_client, "l LOGIN ann secret\r\n");
    assert_string_equal(wire_take(*ret_client),
                        "l OK [CAPABILITY IMAP4rev1 IDLE UNSELECT LITERAL+ STATE] Logged in.\r\n");
}

#define NO_LOGIN "* BYE Autologout; no login in time.\r\n"
#define REFUSED                                                                                                        \
    { CLIENT, "a LOGIN ann wrong\r\n" }, { SERVER_COMES, NULL }, { SERVER, "* OK [CAPABILITY " LIST "] hi\r\n" },      \
    {                                                                                                                  \
        SERVER, "a NO [AUTHENTICATIONFAILED] no\r\n"                                                                   \
    }
#define TRIED "a LOGIN \"ann\" \"wrong\"\r\n"

static const struct dialog before_login[] = {
    { "a client that does not log in is let go of", { { WAIT, "179999" } }, "", "" },
    { "after login_timeout", { { WAIT, "180000" } }, "", NO_LOGIN "<end>" },
    { "whatever else it says",
      { { WAIT, "179000" }, { CLIENT, "a NOOP\r\n" }, { WAIT, "1000" } },
      "",
      "a OK NOOP completed.\r\n" NO_LOGIN "<end>" },
    { "in the middle of a dialog, too",
      { { CLIENT, "a AUTHENTICATE PLAIN\r\n" }, { WAIT, "180000" } },
      "",
      "+ \r\n" NO_LOGIN "<end>" },
    { "a login that is refused is answered", { REFUSED, { WAIT, "1999" } }, TRIED "<end>", "" },
    { "after login_failure_delay", { REFUSED, { WAIT, "2000" } }, TRIED "<end>", "a NO [AUTHENTICATIONFAILED] no\r\n" },
    { "and not at all if the login is overdue before that",
      { { WAIT, "179000" },
        { CLIENT, "a LOGIN ann wrong\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, "* OK hi\r\n" },
        { SERVER, "* CAPABILITY IMAP4rev1\r\nimapstate OK 1\r\n" },
        { SERVER, "a NO [AUTHENTICATIONFAILED] no\r\n" },
        { WAIT, "1000" } },
      "imapstate CAPABILITY\r\n" TRIED "<end>",
      NO_LOGIN "<end>" },
    { "who is let go of and does not hang up is waited for",
      { { WAIT, "180000" }, { CLIENT, "x" }, { WAIT, "2999" } },
      "",
      NO_LOGIN "<end>" },
};

TEST(before_login_time_runs_out)
{
    dialog_play_all(before_login, ARRAY_LEN(before_login), greet);
}

#define IDLE_FOR_LONG "* BYE Autologout; idle for 35 minutes.\r\n<end>"

static const struct dialog sessions[] = {
    { "a session in which nobody says anything goes on", { { WAIT, "2099999" } }, "", "" },
    { "until idle_timeout; its connection is too old to be parked",
      { { WAIT, "2100000" } },
      "imapstate LOGOUT\r\n<end>",
      IDLE_FOR_LONG },
    { "a word of the client's counts", { { WAIT, "2099999" }, { CLIENT, "a" }, { WAIT, "2099999" } }, "", "" },
    { "a word of the server's counts",
      { { WAIT, "2099999" }, { SERVER, "* 3 EXISTS\r\n" }, { WAIT, "2099999" } },
      "",
      "* 3 EXISTS\r\n" },
    { "but not for ever",
      { { WAIT, "2099999" }, { SERVER, "* 3 EXISTS\r\n" }, { WAIT, "2100000" } },
      "imapstate LOGOUT\r\n<end>",
      "* 3 EXISTS\r\n" IDLE_FOR_LONG },
    { "IDLE is no word",
      { { CLIENT, "a IDLE\r\n" }, { SERVER, "+ idling\r\n" }, { WAIT, "2100000" } },
      "a IDLE\r\nDONE\r\nimapstate-32 NOOP\r\n",
      "+ idling\r\n" IDLE_FOR_LONG },
};

TEST(a_session_without_a_word_from_either_side_ends)
{
    dialog_play_all(sessions, ARRAY_LEN(sessions), log_in);
}

static const struct dialog undecided[] = {
    { "a session without a command has no connection", { { WAIT, "9999" }, { SERVER, "* BYE x\r\n" } }, "", "" },
    { "and is given one before the one in reserve is too old",
      { { WAIT, "10000" }, { SERVER, "* 3 EXISTS\r\n" } },
      "",
      "* 3 EXISTS\r\n" },
};

TEST(a_session_that_needs_no_connection_gets_one_after_a_while)
{
    dialog_play_all(undecided, ARRAY_LEN(undecided), come_back);
}

/* A client that has been told to go, and does not. */
TEST(a_client_that_does_not_hang_up_is_hung_up_on)
{
    struct rig rig;
    struct wire *client, *server;
    greet(&rig, &client, &server);
    rig_pass(&rig, 180000);
    assert_true(client->is_shut);
    rig_pass(&rig, 2999);
    assert_false(client->is_closed);
    rig_pass(&rig, 1);
    assert_true(client->is_closed);
    rig_end(&rig);
}

/* One that does not even read what it was told. */
TEST(and_so_is_one_that_does_not_read)
{
    struct rig rig;
    struct wire *client, *server;
    greet(&rig, &client, &server);
    client->room = 0;
    rig_pass(&rig, 180000 + 2999);
    assert_false(client->is_shut);
    assert_false(client->is_closed);
    rig_pass(&rig, 1);
    assert_true(client->is_closed);
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_login_time_runs_out),
        cmocka_unit_test(a_session_without_a_word_from_either_side_ends),
        cmocka_unit_test(a_session_that_needs_no_connection_gets_one_after_a_while),
        cmocka_unit_test(a_client_that_does_not_hang_up_is_hung_up_on),
        cmocka_unit_test(and_so_is_one_that_does_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
