#include "check.h"

#include "dialog.h"
#include "park.h"
#include "rig.h"

#define LIST  "IMAP4rev1 UNSELECT"
#define SHOWN LIST " LITERAL+ STATE"

#define CONFIG "languages = \"off\"\n" RIG_CONFIG

/* A connection of ann's is parked, pristine: it is the server. Another client has been greeted. */
static void park_one(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    rig_begin(rig, CONFIG);
    *ret_server = rig_greet_beside_parked(rig, LIST, ret_client);
}

/* She is let in by it. */
static void accept_ann(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    park_one(rig, ret_client, ret_server);
    rig_say(rig, *ret_client, "a LOGIN ann secret\r\n");
    assert_string_equal(wire_take(*ret_client), "a OK [CAPABILITY " SHOWN "] Logged in.\r\n");
    assert_string_equal(wire_take(*ret_server), "");
}

/* The same, when it has been silent for so long that it may be dead. */
static void accept_ann_late(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    park_one(rig, ret_client, ret_server);
    rig_pass(rig, 30000);
    rig_say(rig, *ret_client, "a LOGIN ann secret\r\n");
    assert_string_equal(wire_take(*ret_client), "a OK [CAPABILITY " SHOWN "] Logged in.\r\n");
}

#define PLAY_ALL(dialogs, begin) dialog_play_all(dialogs, ARRAY_LEN(dialogs), begin)

/* A new login, without the client's knowledge. */
#define LOGGED_IN_AS(list)                                                                                             \
    { SERVER_COMES, NULL }, { SERVER, "* OK [CAPABILITY " LIST "] ready\r\n" },                                        \
    {                                                                                                                  \
        SERVER, "imapstate OK [CAPABILITY " list "] in\r\n"                                                            \
    }
#define LOGGED_IN LOGGED_IN_AS(LIST)
#define NEW_LOGIN "imapstate LOGIN \"ann\" \"secret\"\r\n"

#define UNREACHABLE "[UNAVAILABLE] The mail server cannot be reached.\r\n"
#define CANNOT_GO   "* BYE [UNAVAILABLE] The session cannot continue.\r\n<end>"

/* --- before a connection is chosen --- */

#define LETS_IN "a OK [CAPABILITY " SHOWN "] Logged in.\r\n"
#define ANN                                                                                                            \
    {                                                                                                                  \
        CLIENT, "a LOGIN ann secret\r\n"                                                                               \
    }

static const struct dialog acceptances[] = {
    { "by a proof, without a word to the server", { ANN }, "", LETS_IN },
    { "not by another password", { { CLIENT, "a LOGIN ann other\r\n" } }, "<asked>", "" },
    { "nor another user", { { CLIENT, "a LOGIN bob secret\r\n" } }, "<asked>", "" },
    { "nor while another password is being tried",
      { { CLIENT, "a LOGIN ann other\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, "* OK [CAPABILITY " LIST "] ready\r\n" },
        { CLIENT_COMES, NULL },
        ANN },
      "<next>a LOGIN \"ann\" \"other\"\r\n<asked>",
      "<next>* OK [CAPABILITY " SHOWN "] imapstate ready.\r\n" },
    { "the connection is reserved: a second session needs another",
      { ANN, { CLIENT_COMES, NULL }, { CLIENT, "b LOGIN ann secret\r\n" } },
      "<asked>",
      LETS_IN "<next>* OK [CAPABILITY " SHOWN "] imapstate ready.\r\n" },
    { "it is given back by a session that has not used it",
      { ANN, { CLIENT, "b LOGOUT\r\n" }, { CLIENT_COMES, NULL }, ANN },
      "",
      LETS_IN "* BYE Logging out.\r\nb OK Logout completed.\r\n<end><next>* OK [CAPABILITY " SHOWN
              "] imapstate ready.\r\n" LETS_IN },
};

TEST(a_login_is_accepted_by_the_proof_of_a_parked_connection)
{
    PLAY_ALL(acceptances, park_one);
}

static const struct dialog makings[] = {
    { "the first command wakes the connection, and the server sees nothing else",
      { { CLIENT, "b NOOP\r\n" }, { SERVER, "b OK 1\r\n" } },
      "b NOOP\r\n",
      "b OK 1\r\n" },
    { "but not CAPABILITY, which the gateway knows",
      { { CLIENT, "b CAPABILITY\r\n" } },
      "",
      "* CAPABILITY " SHOWN "\r\nb OK Capability completed.\r\n" },
    { "after ten seconds it is chosen without a command",
      { { WAIT, "10000" }, { CLIENT, "b CAPABILITY\r\n" }, { SERVER, "* CAPABILITY " LIST "\r\nb OK 1\r\n" } },
      "b CAPABILITY\r\n",
      "* CAPABILITY " SHOWN "\r\nb OK 1\r\n" },
    { "and not before",
      { { WAIT, "9999" }, { CLIENT, "b CAPABILITY\r\n" } },
      "",
      "* CAPABILITY " SHOWN "\r\nb OK Capability completed.\r\n" },
    { "a client that goes leaves it parked", { { CLIENT_ENDS, NULL } }, "", "<end>" },
    { "what is found dead is replaced by a new login",
      { { SERVER_ENDS, NULL }, { CLIENT, "b NOOP\r\nc NOOP\r\n" }, LOGGED_IN, { SERVER, "b OK 1\r\nc OK 2\r\n" } },
      "<end><next>" NEW_LOGIN "b NOOP\r\nc NOOP\r\n",
      "b OK 1\r\nc OK 2\r\n" },
    { "so is what has said BYE meanwhile",
      { { SERVER, "* BYE idle\r\n" }, { CLIENT, "b NOOP\r\n" }, LOGGED_IN, { SERVER, "b OK 1\r\n" } },
      "<end><next>" NEW_LOGIN "b NOOP\r\n",
      "b OK 1\r\n" },
    { "and what says something that a pristine connection does not",
      { { SERVER, "* 1 EXISTS\r\n" }, { CLIENT, "b NOOP\r\n" }, LOGGED_IN, { SERVER, "b OK 1\r\n" } },
      "<end><next>" NEW_LOGIN "b NOOP\r\n",
      "b OK 1\r\n" },
    { "an alert that has come is the user's",
      { { SERVER, "* OK [ALERT] down at noon\r\n" }, { CLIENT, "b NOOP\r\n" }, { SERVER, "b OK 1\r\n" } },
      "b NOOP\r\n",
      "* OK [ALERT] down at noon\r\nb OK 1\r\n" },
    { "even if the connection is of no more use",
      { { SERVER, "* OK [ALERT] down at noon\r\n* BYE idle\r\n" }, { CLIENT, "b NOOP\r\n" } },
      "<end><asked>",
      "* OK [ALERT] down at noon\r\n" },
    { "a new login that is refused: the user must know why",
      { { SERVER_ENDS, NULL },
        { CLIENT, "b NOOP\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, "* OK [CAPABILITY " LIST "] ready\r\n" },
        { SERVER, "imapstate NO [AUTHENTICATIONFAILED] changed\r\n" } },
      "<end><next>" NEW_LOGIN "<end>",
      "b NO [AUTHENTICATIONFAILED] The credentials are no longer accepted.\r\n" CANNOT_GO },
    { "a server that cannot be reached any more",
      { { SERVER_ENDS, NULL }, { CLIENT, "b NOOP\r\n" }, { SERVER_REFUSES, NULL } },
      "<end>",
      "b NO " UNREACHABLE CANNOT_GO },
    { "a server that says why it hangs up",
      { { SERVER_ENDS, NULL },
        { CLIENT, "b NOOP\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, "* OK [CAPABILITY " LIST "] ready\r\n" },
        { SERVER, "* BYE for repair\r\n" },
        { SERVER_ENDS, NULL } },
      "<end><next>" NEW_LOGIN "<end>",
      "b NO [UNAVAILABLE] for repair\r\n" CANNOT_GO },
    { "what no server has to say without a login is answered without one",
      { { SERVER_ENDS, NULL }, { CLIENT, "b LOGOUT\r\n" } },
      "",
      "* BYE Logging out.\r\nb OK Logout completed.\r\n<end>" },
    { "a challenge at a new login has nobody to answer it",
      { { SERVER_ENDS, NULL },
        { CLIENT, "b NOOP\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, "* OK [CAPABILITY " LIST "] ready\r\n" },
        { SERVER, "+ more\r\n" },
        { SERVER, "imapstate NO [AUTHENTICATIONFAILED] no\r\n" } },
      "<end><next>" NEW_LOGIN "*\r\n<end>",
      "b NO [AUTHENTICATIONFAILED] The credentials are no longer accepted.\r\n" CANNOT_GO },
    { "another list than the client was told is told",
      { { SERVER_ENDS, NULL }, { CLIENT, "b NOOP\r\n" }, LOGGED_IN_AS("IMAP4rev1 IDLE"), { SERVER, "b OK 1\r\n" } },
      "<end><next>" NEW_LOGIN "b NOOP\r\n",
      "* CAPABILITY IMAP4rev1 IDLE LITERAL+ STATE\r\nb OK 1\r\n" },
    { "not the same in another order",
      { { SERVER_ENDS, NULL }, { CLIENT, "b NOOP\r\n" }, LOGGED_IN_AS("UNSELECT IMAP4rev1"), { SERVER, "b OK 1\r\n" } },
      "<end><next>" NEW_LOGIN "b NOOP\r\n",
      "b OK 1\r\n" },
    { "a client that goes while the new login is made",
      { { SERVER_ENDS, NULL },
        { CLIENT, "b NOOP\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, "* OK [CAPABILITY " LIST "] ready\r\n" },
        { CLIENT_IS_LOST, NULL } },
      "<end><next>" NEW_LOGIN "<end>",
      "<end>" },
};

TEST(the_first_command_that_needs_one_chooses_a_connection)
{
    PLAY_ALL(makings, accept_ann);
}

/* --- until it has shown that it lives --- */

static const struct dialog replacements[] = {
    { "what was written to a dead one goes up on a new one",
      { { CLIENT, "b NOOP\r\nc NOOP\r\n" }, { SERVER_ENDS, NULL }, LOGGED_IN, { SERVER, "b OK 1\r\nc OK 2\r\n" } },
      "b NOOP\r\nc NOOP\r\n<end><next>" NEW_LOGIN "b NOOP\r\nc NOOP\r\n",
      "b OK 1\r\nc OK 2\r\n" },
    { "and so does what follows meanwhile",
      { { CLIENT, "b NOOP\r\n" },
        { SERVER_IS_LOST, NULL },
        { CLIENT, "c NOOP\r\n" },
        LOGGED_IN,
        { SERVER, "b OK 1\r\nc OK 2\r\n" } },
      "b NOOP\r\n<end><next>" NEW_LOGIN "b NOOP\r\nc NOOP\r\n",
      "b OK 1\r\nc OK 2\r\n" },
    { "a mailbox is selected anew",
      { { CLIENT, "b SELECT INBOX\r\n" }, { SERVER_ENDS, NULL }, LOGGED_IN, { SERVER, "b OK [READ-WRITE] 1\r\n" } },
      "b SELECT INBOX\r\n<end><next>" NEW_LOGIN "b SELECT INBOX\r\n",
      "b OK [READ-WRITE] 1\r\n" },
    { "what may have run does not run twice, and has no answer",
      { { CLIENT, "b CREATE x\r\n" }, { SERVER_ENDS, NULL } },
      "b CREATE x\r\n<end>",
      CANNOT_GO },
    { "nor does what was sent together with it, which has one",
      { { CLIENT, "b NOOP\r\nc CREATE x\r\n" }, { SERVER_ENDS, NULL } },
      "b NOOP\r\nc CREATE x\r\n<end>",
      "b NO " UNREACHABLE CANNOT_GO },
    { "a message has not run before it is there",
      { { CLIENT, "b APPEND INBOX {2}\r\n" },
        { SERVER_ENDS, NULL },
        LOGGED_IN,
        { SERVER, "+ go\r\n" },
        { CLIENT, "hi\r\n" },
        { SERVER, "b OK 1\r\n" } },
      "b APPEND INBOX {2}\r\n<end><next>" NEW_LOGIN "b APPEND INBOX {2}\r\nhi\r\n",
      "+ go\r\nb OK 1\r\n" },
    { "once one has spoken, its end is the session's",
      { { CLIENT, "b NOOP\r\n" }, { SERVER, "* 1 EXISTS\r\n" }, { SERVER_ENDS, NULL } },
      "b NOOP\r\n<end>",
      "* 1 EXISTS\r\n* BYE [UNAVAILABLE] The mail server has closed the connection.\r\n<end>" },
    { "half a line is no word",
      { { CLIENT, "b NOOP\r\n" }, { SERVER, "* BY" }, { SERVER_ENDS, NULL }, LOGGED_IN, { SERVER, "b OK 1\r\n" } },
      "b NOOP\r\n<end><next>" NEW_LOGIN "b NOOP\r\n",
      "b OK 1\r\n" },
    { "the new one is not replaced",
      { { CLIENT, "b NOOP\r\n" }, { SERVER_ENDS, NULL }, LOGGED_IN, { SERVER_ENDS, NULL } },
      "b NOOP\r\n<end><next>" NEW_LOGIN "b NOOP\r\n<end>",
      "* BYE [UNAVAILABLE] The mail server has closed the connection.\r\n<end>" },
    { "a new login that cannot be had",
      { { CLIENT, "b NOOP\r\nc NOOP\r\n" }, { SERVER_ENDS, NULL }, { SERVER_REFUSES, NULL } },
      "b NOOP\r\nc NOOP\r\n<end>",
      "b NO " UNREACHABLE "c NO " UNREACHABLE CANNOT_GO },
    { "its session had expired, and BYE says so",
      { { CLIENT, "b NOOP\r\n" }, { SERVER, "* BYE expired\r\n" }, LOGGED_IN, { SERVER, "b OK 1\r\n" } },
      "b NOOP\r\n<end><next>" NEW_LOGIN "b NOOP\r\n",
      "b OK 1\r\n" },
    { "not where that is the user's to know",
      { { CLIENT, "b NOOP\r\n" }, { SERVER, "* BYE [ALERT] expired\r\n" }, { SERVER_ENDS, NULL } },
      "b NOOP\r\n<end>",
      "* BYE [ALERT] expired\r\n<end>" },
    { "nor where something would run twice",
      { { CLIENT, "b CREATE x\r\n" }, { SERVER, "* BYE expired\r\n" }, { SERVER_ENDS, NULL } },
      "b CREATE x\r\n<end>",
      "* BYE expired\r\n<end>" },
    { "an answer as by no connection that works is doubted, and a new login asked",
      { { CLIENT, "b NOOP\r\n" }, { SERVER, "b NO [UNAVAILABLE] backend\r\n" }, LOGGED_IN, { SERVER, "b OK 1\r\n" } },
      "b NOOP\r\n<end><next>" NEW_LOGIN "b NOOP\r\n",
      "b OK 1\r\n" },
    { "whose answer stands",
      { { CLIENT, "b NOOP\r\n" },
        { SERVER, "b BAD what\r\n" },
        LOGGED_IN,
        { SERVER, "b BAD still\r\n" },
        { CLIENT, "c NOOP\r\n" },
        { SERVER, "c OK 2\r\n" } },
      "b NOOP\r\n<end><next>" NEW_LOGIN "b NOOP\r\nc NOOP\r\n",
      "b BAD still\r\nc OK 2\r\n" },
    { "an answer that may well be the command's stands",
      { { CLIENT, "b SELECT nowhere\r\n" }, { SERVER, "b NO no such mailbox\r\n" } },
      "b SELECT nowhere\r\n",
      "b NO no such mailbox\r\n" },
    { "IDLE may not be said twice, as far as anybody knows",
      { { CLIENT, "b IDLE\r\n" }, { SERVER_ENDS, NULL } },
      "b IDLE\r\n<end>",
      CANNOT_GO },
};

TEST(a_woken_connection_that_proves_dead_is_replaced_if_nothing_runs_twice)
{
    PLAY_ALL(replacements, accept_ann);
}

static const struct dialog doubtful[] = {
    { "what may run twice goes up at once",
      { { CLIENT, "b NOOP\r\n" }, { SERVER, "b OK 1\r\n" }, { CLIENT, "c CREATE x\r\n" } },
      "b NOOP\r\nc CREATE x\r\n",
      "b OK 1\r\n" },
    { "what may not waits for a sign of life",
      { { CLIENT, "b CREATE x\r\nc NOOP\r\n" } },
      "imapstate-wake NOOP\r\n",
      "" },
    { "and goes up then",
      { { CLIENT, "b CREATE x\r\nc NOOP\r\n" },
        { SERVER, "imapstate-wake OK 0\r\n" },
        { SERVER, "b OK 1\r\nc OK 2\r\n" } },
      "imapstate-wake NOOP\r\nb CREATE x\r\nc NOOP\r\n",
      "b OK 1\r\nc OK 2\r\n" },
    { "it is no business of the client's if that is refused",
      { { CLIENT, "b CREATE x\r\n" }, { SERVER, "imapstate-wake BAD 0\r\n" }, { SERVER, "b OK 1\r\n" } },
      "imapstate-wake NOOP\r\nb CREATE x\r\n",
      "b OK 1\r\n" },
    { "if it proves dead nothing has run",
      { { CLIENT, "b CREATE x\r\n" }, { SERVER_ENDS, NULL }, LOGGED_IN, { SERVER, "b OK 1\r\n" } },
      "imapstate-wake NOOP\r\n<end><next>" NEW_LOGIN "b CREATE x\r\n",
      "b OK 1\r\n" },
    { "where something is in flight its answer is the sign",
      { { CLIENT, "b NOOP\r\nc CREATE x\r\n" }, { SERVER, "b OK 1\r\n" }, { SERVER, "c OK 2\r\n" } },
      "b NOOP\r\nc CREATE x\r\n",
      "b OK 1\r\nc OK 2\r\n" },
    { "a client's tag that is the gateway's waits",
      { { CLIENT, "b CREATE x\r\nimapstate-wake NOOP\r\n" },
        { SERVER, "imapstate-wake OK 0\r\n" },
        { SERVER, "b OK 1\r\nimapstate-wake OK 2\r\n" } },
      "imapstate-wake NOOP\r\nb CREATE x\r\nimapstate-wake NOOP\r\n",
      "b OK 1\r\nimapstate-wake OK 2\r\n" },
    { "a client that goes while it waits",
      { { CLIENT, "b CREATE x\r\n" }, { CLIENT_ENDS, NULL } },
      "imapstate-wake NOOP\r\n<end>",
      "<end>" },
};

TEST(what_was_silent_for_long_shows_that_it_lives_before_anything_that_may_not_run_twice)
{
    PLAY_ALL(doubtful, accept_ann_late);
}

/* --- several --- */

/* Two connections of ann's are parked; a third client is let in. The server is the one that was parked last. */
static void accept_beside_two(struct rig *rig, struct wire **ret_client, struct wire **ret_server,
                              struct wire **ret_other)
{
    struct wire *first, *second;
    rig_begin(rig, CONFIG);
    first = rig_greet(rig, LIST);
    *ret_other = rig_log_in(rig, first, "ann", LIST);
    second = rig_greet(rig, LIST);
    *ret_server = rig_log_in(rig, second, "ann", LIST);
    rig_say(rig, first, "z LOGOUT\r\n");
    rig_say(rig, second, "z LOGOUT\r\n");
    wire_end(first);
    wire_end(second);
    rig_pass(rig, 0);
    *ret_client = rig_greet(rig, LIST);
    rig_say(rig, *ret_client, "a LOGIN ann secret\r\n");
    assert_string_equal(wire_take(*ret_client), "a OK [CAPABILITY " SHOWN "] Logged in.\r\n");
    assert_string_equal(wire_take(*ret_other), "");
}

TEST(another_parked_connection_takes_the_place_of_a_dead_one)
{
    struct rig rig;
    struct wire *client, *server, *other;
    accept_beside_two(&rig, &client, &server, &other);
    rig_say(&rig, client, "b NOOP\r\n");
    assert_string_equal(wire_take(server), "b NOOP\r\n");
    wire_end(server);
    rig_pass(&rig, 0);
    assert_null(wire_asked());
    assert_string_equal(wire_take(other), "b NOOP\r\n");
    rig_say(&rig, other, "b OK 1\r\n");
    assert_string_equal(wire_take(client), "b OK 1\r\n");
    rig_end(&rig);
}

/* What has not left the gateway has not run. */
TEST(what_no_octet_of_has_been_written_may_be_written_to_another)
{
    struct rig rig;
    struct wire *client, *server;
    accept_ann(&rig, &client, &server);
    server->room = 0;
    rig_say(&rig, client, "b CREATE x\r\n");
    wire_reset(server);
    rig_pass(&rig, 0);
    server = rig_server(&rig);
    assert_non_null(server);
    rig_say(&rig, server, "* OK [CAPABILITY " LIST "] ready\r\n");
    rig_say(&rig, server, "imapstate OK [CAPABILITY " LIST "] in\r\n");
    assert_string_equal(wire_take(server), NEW_LOGIN "b CREATE x\r\n");
    rig_say(&rig, server, "b OK 1\r\n");
    assert_string_equal(wire_take(client), "b OK 1\r\n");
    rig_end(&rig);
}

/* --- imapproxy's kind of reuse --- */

static void park_one_in_a_mailbox(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    rig_begin(rig, "languages = \"off\"\n" RIG_LISTENER("imapproxy_compat = true") RIG_UPSTREAM(""));
    struct wire *before = rig_greet(rig, LIST);
    *ret_server = rig_log_in(rig, before, "ann", LIST);
    rig_say(rig, before, "s ENABLE CONDSTORE\r\n");
    rig_say(rig, *ret_server, "* ENABLED CONDSTORE\r\ns OK 1\r\n");
    wire_end(before);
    rig_pass(rig, 0);
    wire_take(*ret_server);
    *ret_client = rig_greet(rig, LIST);
}

#define REUSED                                                                                                         \
    "* OK [XPROXYREUSE] IMAP connection reused by imapstate.\r\n"                                                      \
    "a OK [CAPABILITY " LIST " LITERAL+ XIMAPPROXY] Logged in.\r\n"

static const struct dialog reuses[] = {
    { "it is had at once, in whatever state",
      { ANN, { CLIENT, "b NOOP\r\n" }, { SERVER, "b OK 1\r\n" } },
      "b NOOP\r\n",
      REUSED "b OK 1\r\n" },
    { "one that is dead is not promised", { { SERVER_ENDS, NULL }, ANN }, "<end><asked>", "" },
    { "one that proves dead cannot be replaced by a new one",
      { ANN, { CLIENT, "b NOOP\r\n" }, { SERVER_ENDS, NULL } },
      "b NOOP\r\n<end>",
      REUSED "b NO " UNREACHABLE CANNOT_GO },
};

TEST(who_is_told_that_a_connection_is_reused_gets_one)
{
    PLAY_ALL(reuses, park_one_in_a_mailbox);
}

/* Who has been given another one by a doubt has its answer. */
TEST(only_one_answer_is_doubted)
{
    struct rig rig;
    struct wire *clients[3], *servers[3];
    rig_begin(&rig, "park { per_user = 3 }\n" RIG_LISTENER("imapproxy_compat = true") RIG_UPSTREAM(""));
    for (size_t i = 0; i < 3; i++) {
        clients[i] = rig_greet(&rig, LIST);
        servers[i] = rig_log_in(&rig, clients[i], "ann", LIST);
    }
    for (size_t i = 0; i < 3; i++)
        wire_end(clients[i]);
    rig_pass(&rig, 0);
    struct wire *client = rig_greet(&rig, LIST);
    rig_say(&rig, client, "a LOGIN ann secret\r\nb NOOP\r\n");
    wire_take(client);
    assert_string_equal(wire_take(servers[2]), "b NOOP\r\n");
    rig_say(&rig, servers[2], "b BAD what\r\n");
    assert_string_equal(wire_take(servers[1]), "b NOOP\r\n");
    assert_string_equal(wire_take(client), "");
    rig_say(&rig, servers[1], "b BAD what\r\n");
    assert_string_equal(wire_take(servers[0]), "");
    assert_string_equal(wire_take(client), "b BAD what\r\n");
    rig_end(&rig);
}

/* --- ID --- */

#define LIST_WITH_ID "IMAP4rev1 ID"

static void send_id_beside_parked(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    rig_begin(rig, CONFIG);
    *ret_server = rig_greet_beside_parked(rig, LIST_WITH_ID, ret_client);
    rig_say(rig, *ret_client, "i ID (\"name\" \"mua\")\r\na LOGIN ann secret\r\n");
    wire_take(*ret_client);
}

#define ID_AHEAD "imapstate-wake ID (\"name\" \"mua\")\r\n"

static const struct dialog ids[] = {
    { "goes ahead, and its answer is nobody's",
      { { CLIENT, "b NOOP\r\n" }, { SERVER, "* ID (\"name\" \"x\")\r\nimapstate-wake OK 0\r\nb OK 1\r\n" } },
      ID_AHEAD "b NOOP\r\n",
      "b OK 1\r\n" },
    { "is said again to the one that takes the place of a dead one",
      { { CLIENT, "b NOOP\r\n" },
        { SERVER_ENDS, NULL },
        { SERVER_COMES, NULL },
        { SERVER, "* OK [CAPABILITY " LIST_WITH_ID "] ready\r\n" },
        { SERVER, "* ID NIL\r\nimapstate OK 0\r\n" },
        { SERVER, "imapstate OK [CAPABILITY " LIST_WITH_ID "] in\r\n" },
        { SERVER, "b OK 1\r\n" } },
      ID_AHEAD "b NOOP\r\n<end><next>imapstate ID (\"name\" \"mua\")\r\n" NEW_LOGIN "b NOOP\r\n",
      "b OK 1\r\n" },
    { "its end alone tells nothing of the session's command",
      { { CLIENT, "b NOOP\r\n" }, { SERVER, "imapstate-wake OK 0\r\n" }, { SERVER_ENDS, NULL } },
      ID_AHEAD "b NOOP\r\n<end><asked>",
      "" },
};

TEST(what_a_client_has_said_of_itself_goes_ahead)
{
    PLAY_ALL(ids, send_id_beside_parked);
}

/* --- sessions without STATE that set something up --- */

#define ABLE         "IMAP4rev1 ENABLE CONDSTORE NOTIFY UNSELECT"
#define ABLE_SHOWN   ABLE " LITERAL+ STATE"
#define ABLE_GREETED ABLE " LITERAL+ STATE"

/* ann has sent this, each ">" followed by what the server said to it, and is gone: her connection is parked in that
 * state. She has come back. */
static void come_back_after(struct rig *rig, const char *says, struct wire **ret_client, struct wire **ret_server)
{
    char text[512];
    snprintf(text, sizeof text, "%s", says);
    rig_begin(rig, CONFIG);
    struct wire *before = rig_greet(rig, ABLE);
    *ret_server = rig_log_in(rig, before, "ann", ABLE);
    struct wire *speaker = before;
    for (char *rest = text, *part; (part = strsep(&rest, "<>"));) {
        rig_say(rig, speaker, part);
        speaker = speaker == before ? *ret_server : before;
    }
    wire_end(before);
    rig_pass(rig, 0);
    if (strstr(says, "NOTIFY SET"))
        rig_say(rig, *ret_server, "imapstate-16 OK 1\r\n");
    if (strstr(says, "SELECT"))
        rig_say(rig, *ret_server, "imapstate-2 OK 1\r\n");
    assert_int_equal(park_count(), 1);
    wire_take(*ret_server);
    *ret_client = rig_greet(rig, ABLE);
    rig_say(rig, *ret_client, "a LOGIN ann secret\r\n");
    assert_string_equal(wire_take(*ret_client), "a OK [CAPABILITY " ABLE_SHOWN "] Logged in.\r\n");
}

static void come_back_enabled(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    come_back_after(rig, "b ENABLE CONDSTORE X\r\n>* ENABLED Condstore\r\nb OK enabled\r\n", ret_client, ret_server);
}

static void come_back_enabled_twice(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    come_back_after(rig,
                    "b ENABLE A\r\n>* ENABLED A\r\nb OK 1\r\n<c ENABLE B\r\n>* ENABLED B\r\nc OK 2\r\n<"
                    "d NOTIFY NONE\r\n>d OK 3\r\n",
                    ret_client, ret_server);
}

static void come_back_notified(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    come_back_after(rig,
                    "b ENABLE A\r\n>* ENABLED A\r\nb OK 1\r\n<c NOTIFY SET STATUS (PERSONAL (MessageNew))\r\n>"
                    "* STATUS x (MESSAGES 3)\r\nc OK 2\r\n",
                    ret_client, ret_server);
}

#define ENABLE_LOGGED_IN                                                                                               \
    { SERVER_COMES, NULL }, { SERVER, "* OK [CAPABILITY " ABLE "] ready\r\n" },                                        \
    {                                                                                                                  \
        SERVER, "imapstate OK [CAPABILITY " ABLE "] in\r\n"                                                            \
    }
#define NOTIFY "NOTIFY SET STATUS (PERSONAL (MessageNew))"
#define TOLD   "* ENABLED Condstore\r\nb OK Enable completed.\r\n"

static const struct dialog enables[] = {
    { "answered from the record, and nothing goes up", { { CLIENT, "b ENABLE CONDSTORE X\r\n" } }, "", TOLD },
    { "in another order", { { CLIENT, "b enable x condstore\r\n" } }, "", TOLD },
    { "the connection in that state serves",
      { { CLIENT, "b ENABLE CONDSTORE X\r\nc SELECT INBOX\r\n" }, { SERVER, "c OK [READ-WRITE] 1\r\n" } },
      "c SELECT INBOX\r\n",
      TOLD "c OK [READ-WRITE] 1\r\n" },
    { "a session that does not send it gets another",
      { { CLIENT, "b SELECT INBOX\r\n" }, ENABLE_LOGGED_IN, { SERVER, "b OK 1\r\n" } },
      "<next>" NEW_LOGIN "b SELECT INBOX\r\n",
      "b OK 1\r\n" },
    { "another ENABLE goes up, in another",
      { { CLIENT, "b ENABLE CONDSTORE\r\n" }, ENABLE_LOGGED_IN, { SERVER, "* ENABLED CONDSTORE\r\nb OK 1\r\n" } },
      "<next>" NEW_LOGIN "b ENABLE CONDSTORE\r\n",
      "* ENABLED CONDSTORE\r\nb OK 1\r\n" },
    { "one more: in the state so far",
      { { CLIENT, "b ENABLE CONDSTORE X\r\nc ENABLE Y\r\n" }, { SERVER, "* ENABLED Y\r\nc OK 1\r\n" } },
      "c ENABLE Y\r\n",
      TOLD "* ENABLED Y\r\nc OK 1\r\n" },
    { "CAPABILITY, ID, LANGUAGE decide nothing",
      { { CLIENT, "b ENABLE CONDSTORE X\r\nc CAPABILITY\r\n" } },
      "",
      TOLD "* CAPABILITY " ABLE_SHOWN "\r\nc OK Capability completed.\r\n" },
    { "LOGOUT leaves it parked",
      { { CLIENT, "b ENABLE CONDSTORE X\r\nc LOGOUT\r\n" } },
      "",
      TOLD "* BYE Logging out.\r\nc OK Logout completed.\r\n<end>" },
    { "P9: it is announced while tracking",
      { { CLIENT, "t STATE\r\nb ENABLE CONDSTORE X\r\n" } },
      "",
      "t OK State command tracking enabled.\r\n* ENABLED Condstore\r\n* OK [STATECMD b] ENABLE will be saved in state "
      "data.\r\nb OK Enable completed.\r\n" },
    { "P7: a token after it restores nothing",
      { { CLIENT, "b ENABLE CONDSTORE X\r\nc STATE x\r\n" } },
      "",
      TOLD "c OK State not restored, but state command tracking enabled.\r\n" },
    { "where the connection is dead, another is brought into the state",
      { { CLIENT, "b ENABLE CONDSTORE X\r\nc NOOP\r\n" },
        { SERVER_ENDS, NULL },
        ENABLE_LOGGED_IN,
        { SERVER, "* ENABLED CONDSTORE\r\nimapstate1 OK 1\r\n" },
        { SERVER, "c OK 2\r\n" } },
      "c NOOP\r\n<end><next>" NEW_LOGIN "imapstate1 ENABLE CONDSTORE\r\nc NOOP\r\n",
      TOLD "c OK 2\r\n" },
    { "which must have all that was told",
      { { CLIENT, "b ENABLE CONDSTORE X\r\n" },
        { SERVER_ENDS, NULL },
        { CLIENT, "c NOOP\r\n" },
        ENABLE_LOGGED_IN,
        { SERVER, "imapstate1 OK 1\r\n" } },
      "<end><next>" NEW_LOGIN "imapstate1 ENABLE CONDSTORE\r\n<end>",
      TOLD "c NO " UNREACHABLE CANNOT_GO },
    { "after some time one is chosen anyway",
      { { CLIENT, "b ENABLE CONDSTORE X\r\n" }, { WAIT, "5000" }, { SERVER_ENDS, NULL } },
      "<end><asked>",
      TOLD },
    { "what is held in reserve is the record: a second session has the connection, and the first makes one",
      { { CLIENT, "b ENABLE CONDSTORE X\r\n" },
        { CLIENT_COMES, NULL },
        { CLIENT, "a LOGIN ann secret\r\nb ENABLE CONDSTORE X\r\nc NOOP\r\n" },
        { SERVER, "c OK 2\r\n" },
        { CLIENT_BEFORE, NULL },
        { CLIENT, "c NOOP\r\n" },
        ENABLE_LOGGED_IN,
        { SERVER, "* ENABLED CONDSTORE\r\nimapstate1 OK 1\r\n" },
        { SERVER, "c OK 3\r\n" } },
      "c NOOP\r\n<next>" NEW_LOGIN "imapstate1 ENABLE CONDSTORE\r\nc NOOP\r\n",
      TOLD "c OK 3\r\n<next>* OK [CAPABILITY " ABLE_GREETED "] imapstate ready.\r\na OK [CAPABILITY " ABLE_SHOWN
           "] Logged in.\r\n" TOLD "c OK 2\r\n" },
    { "a literal is not looked into",
      { { CLIENT, "b ENABLE CONDSTORE {1+}\r\n" }, ENABLE_LOGGED_IN },
      "<next>" NEW_LOGIN "b ENABLE CONDSTORE {1}\r\n",
      "" },
};

static void come_back_named(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    come_back_after(rig,
                    "n NAMESPACE\r\n>* NAMESPACE ((\"\" \"/\")) NIL NIL\r\nn OK 1\r\n<"
                    "b ENABLE A\r\n>* ENABLED A\r\nb OK 1\r\n",
                    ret_client, ret_server);
}

#define NAMED "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\nn OK Namespaces listed.\r\n"

static const struct dialog namespaces[] = {
    { "NAMESPACE is answered from the record", { { CLIENT, "n NAMESPACE\r\n" } }, "", NAMED },
    { "and decides nothing",
      { { CLIENT, "n NAMESPACE\r\nb ENABLE A\r\nc NOOP\r\n" }, { SERVER, "c OK 2\r\n" } },
      "c NOOP\r\n",
      NAMED "* ENABLED A\r\nb OK Enable completed.\r\nc OK 2\r\n" },
    { "in another state nobody knows what it is",
      { { CLIENT, "b ENABLE A\r\nn NAMESPACE\r\n" }, { SERVER, "n OK 2\r\n" } },
      "n NAMESPACE\r\n",
      "* ENABLED A\r\nb OK Enable completed.\r\nn OK 2\r\n" },
    { "with an argument it goes up", { { CLIENT, "n NAMESPACE x\r\n" } }, "<asked>", "" },
};

static const struct dialog enables_twice[] = {
    { "one after the other",
      { { CLIENT, "b ENABLE A\r\nc ENABLE B\r\n" } },
      "",
      "* ENABLED A\r\nb OK Enable completed.\r\n* ENABLED B\r\nc OK Enable completed.\r\n" },
    { "not the second first", { { CLIENT, "b ENABLE B\r\n" } }, "<asked>", "" },
    { "not both in one", { { CLIENT, "b ENABLE A B\r\n" } }, "<asked>", "" },
    { "NOTIFY decides: the connection that has the same serves",
      { { CLIENT, "b ENABLE A\r\nc ENABLE B\r\nd NOTIFY NONE\r\n" }, { SERVER, "d OK 1\r\n" } },
      "d NOTIFY NONE\r\n",
      "* ENABLED A\r\nb OK Enable completed.\r\n* ENABLED B\r\nc OK Enable completed.\r\nd OK 1\r\n" },
    { "and no other",
      { { CLIENT, "b ENABLE A\r\nc NOTIFY NONE\r\n" } },
      "<asked>",
      "* ENABLED A\r\nb OK Enable completed.\r\n" },
};

static const struct dialog notifies[] = {
    { "what it says at once is fresh",
      { { CLIENT, "b ENABLE A\r\nc NOTIFY SET STATUS (PERSONAL (MessageNew))\r\n" },
        { SERVER, "* STATUS x (MESSAGES 4)\r\nc OK 1\r\n" } },
      "c NOTIFY SET STATUS (PERSONAL (MessageNew))\r\n",
      "* ENABLED A\r\nb OK Enable completed.\r\n* STATUS x (MESSAGES 4)\r\nc OK 1\r\n" },
    { "a session without NOTIFY does not get it",
      { { CLIENT, "b ENABLE A\r\nc NOOP\r\n" } },
      "<asked>",
      "* ENABLED A\r\nb OK Enable completed.\r\n" },
    { "what comes behind it waits for its answer",
      { { CLIENT, "b ENABLE A\r\nc " NOTIFY "\r\nd SELECT INBOX\r\ne STATE\r\n" } },
      "c " NOTIFY "\r\n",
      "* ENABLED A\r\nb OK Enable completed.\r\n" },
    { "and goes up then",
      { { CLIENT, "b ENABLE A\r\nc " NOTIFY "\r\nd SELECT INBOX\r\ne FETCH 1 FLAGS\r\n" },
        { SERVER, "* STATUS x (MESSAGES 4)\r\nc OK 1\r\n" },
        { SERVER, "d OK 2\r\ne OK 3\r\n" } },
      "c " NOTIFY "\r\nd SELECT INBOX\r\ne FETCH 1 FLAGS\r\n",
      "* ENABLED A\r\nb OK Enable completed.\r\n* STATUS x (MESSAGES 4)\r\nc OK 1\r\nd OK 2\r\ne OK 3\r\n" },
    { "where it is refused, the session is not where that connection is, and gets another",
      { { CLIENT, "b ENABLE A\r\nc " NOTIFY "\r\nd FETCH 1 FLAGS\r\n" },
        { SERVER, "c NO not now\r\n" },
        ENABLE_LOGGED_IN,
        { SERVER, "* ENABLED A\r\nimapstate1 OK 1\r\n" },
        { SERVER, "c NO too many\r\nd OK 2\r\n" } },
      "c " NOTIFY "\r\n<end><next>" NEW_LOGIN "imapstate1 ENABLE A\r\nc " NOTIFY "\r\nd FETCH 1 FLAGS\r\n",
      "* ENABLED A\r\nb OK Enable completed.\r\nc NO too many\r\nd OK 2\r\n" },
    { "also if something came before",
      { { CLIENT, "b ENABLE A\r\nc " NOTIFY "\r\n" },
        { SERVER, "* STATUS x (MESSAGES 4)\r\nc BAD what\r\n" },
        ENABLE_LOGGED_IN,
        { SERVER, "* ENABLED A\r\nimapstate1 OK 1\r\n" },
        { SERVER, "* STATUS x (MESSAGES 5)\r\nc OK 2\r\n" } },
      "c " NOTIFY "\r\n<end><next>" NEW_LOGIN "imapstate1 ENABLE A\r\nc " NOTIFY "\r\n",
      "* ENABLED A\r\nb OK Enable completed.\r\n* STATUS x (MESSAGES 4)\r\n* STATUS x (MESSAGES 5)\r\nc OK 2\r\n" },
    { "or if the connection ends instead",
      { { CLIENT, "b ENABLE A\r\nc " NOTIFY "\r\n" },
        { SERVER, "* STATUS x (MESSAGES 4)\r\n" },
        { SERVER_ENDS, NULL },
        ENABLE_LOGGED_IN },
      "c " NOTIFY "\r\n<end><next>" NEW_LOGIN "imapstate1 ENABLE A\r\n",
      "* ENABLED A\r\nb OK Enable completed.\r\n* STATUS x (MESSAGES 4)\r\n" },
    { "P6: if there is no other",
      { { CLIENT, "b ENABLE A\r\nc " NOTIFY "\r\nd NOOP\r\n" },
        { SERVER, "c NO not now\r\n" },
        { SERVER_REFUSES, NULL } },
      "c " NOTIFY "\r\n<end>",
      "* ENABLED A\r\nb OK Enable completed.\r\nc NO " UNREACHABLE CANNOT_GO },
    { "another one is never ahead: what follows need not wait",
      { { CLIENT, "b ENABLE A\r\nc NOTIFY NONE\r\nd NOOP\r\n" },
        ENABLE_LOGGED_IN,
        { SERVER, "* ENABLED A\r\nimapstate1 OK 1\r\n" } },
      "<next>" NEW_LOGIN "imapstate1 ENABLE A\r\nc NOTIFY NONE\r\nd NOOP\r\n",
      "* ENABLED A\r\nb OK Enable completed.\r\n" },
};

static void come_back_in_german(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    come_back_after(rig, "b LANGUAGE DE\r\n>* LANGUAGE (DE)\r\nb OK 1\r\n", ret_client, ret_server);
}

static const struct dialog languages[] = {
    { "a LANGUAGE of the upstream's that is written otherwise may be another",
      { { CLIENT, "b LANGUAGE de\r\nc NOOP\r\n" }, { SERVER, "* LANGUAGE (DE)\r\nb OK ja\r\nc OK 2\r\n" } },
      "<asked>",
      "" },
    { "the same, as the server has written it",
      { { CLIENT, "b LANGUAGE DE\r\nc NOOP\r\n" }, { SERVER, "* LANGUAGE (DE)\r\nb OK ja\r\n" } },
      "b LANGUAGE DE\r\nc NOOP\r\n",
      "* LANGUAGE (DE)\r\nb OK ja\r\n" },
    { "refused: it is not spoken to a session that does not want it",
      { { CLIENT, "b LANGUAGE DE\r\nc NOOP\r\n" },
        { SERVER, "b NO nein\r\n" },
        ENABLE_LOGGED_IN,
        { SERVER, "b NO none\r\nc OK 2\r\n" } },
      "b LANGUAGE DE\r\n<end><next>" NEW_LOGIN "b LANGUAGE DE\r\nc NOOP\r\n",
      "b NO none\r\nc OK 2\r\n" },
};

#define SELECTED "* OK [HIGHESTMODSEQ 7] 1\r\nb OK [READ-WRITE] 1\r\n"

static void come_back_with_condstore(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    come_back_after(rig, "b SELECT x (CONDSTORE)\r\n>* OK [HIGHESTMODSEQ 7] 1\r\nb OK [READ-WRITE] 1\r\n", ret_client,
                    ret_server);
}

static void come_back_after_status(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    come_back_after(rig, "b STATUS x (HIGHESTMODSEQ)\r\n>* STATUS x (HIGHESTMODSEQ 7)\r\nb OK 1\r\n", ret_client,
                    ret_server);
}

static const struct dialog condstores[] = {
    { "SELECT with CONDSTORE is where it leads to",
      { { CLIENT, "b EXAMINE y (condstore)\r\nc FETCH 1 FLAGS\r\n" }, { SERVER, SELECTED } },
      "b EXAMINE y (condstore)\r\nc FETCH 1 FLAGS\r\n",
      SELECTED },
    { "any other SELECT is not", { { CLIENT, "b SELECT y\r\n" } }, "<asked>", "" },
    { "nor any other command", { { CLIENT, "b NOOP\r\n" } }, "<asked>", "" },
    { "nor a STATUS, which some servers do not take for it",
      { { CLIENT, "b STATUS x (HIGHESTMODSEQ)\r\n" } },
      "<asked>",
      "" },
    { "nor what nobody can read for certain", { { CLIENT, "b SELECT y (CONDSTORE)x\r\n" } }, "<asked>", "" },
    { "refused, it may or may not be on: another one",
      { { CLIENT, "b SELECT y (CONDSTORE)\r\nc FETCH 1 FLAGS\r\n" },
        { SERVER, "b NO [NONEXISTENT] no y\r\n" },
        ENABLE_LOGGED_IN,
        { SERVER, "b NO [NONEXISTENT] still no y\r\nc BAD 2\r\n" } },
      "b SELECT y (CONDSTORE)\r\n<end><next>" NEW_LOGIN "b SELECT y (CONDSTORE)\r\nc FETCH 1 FLAGS\r\n",
      "b NO [NONEXISTENT] still no y\r\nc BAD 2\r\n" },
    { "P7: CONDSTORE is on then",
      { { CLIENT, "b SELECT y (CONDSTORE)\r\n" },
        { SERVER, SELECTED },
        { CLIENT, "c UNSELECT\r\n" },
        { SERVER, "c OK 2\r\n" },
        { CLIENT, "d STATE x\r\n" } },
      "b SELECT y (CONDSTORE)\r\nc UNSELECT\r\n",
      SELECTED "c OK 2\r\nd OK State not restored, but state command tracking enabled.\r\n" },
};

static const struct dialog statuses[] = {
    { "STATUS with HIGHESTMODSEQ is where it leads to",
      { { CLIENT, "b STATUS y (MESSAGES HIGHESTMODSEQ)\r\n" },
        { SERVER, "* STATUS y (MESSAGES 1 HIGHESTMODSEQ 7)\r\nb OK 1\r\n" } },
      "b STATUS y (MESSAGES HIGHESTMODSEQ)\r\n",
      "* STATUS y (MESSAGES 1 HIGHESTMODSEQ 7)\r\nb OK 1\r\n" },
    { "SELECT with CONDSTORE is not", { { CLIENT, "b SELECT y (CONDSTORE)\r\n" } }, "<asked>", "" },
    { "nor any other", { { CLIENT, "b STATUS y (MESSAGES)\r\n" } }, "<asked>", "" },
};

static void come_back_with_two(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    come_back_after(rig, "b ENABLE B A\r\n>* ENABLED B A\r\nb OK 1\r\n", ret_client, ret_server);
}

static const struct dialog orders[] = {
    { "in whatever order, the connection serves",
      { { CLIENT, "b ENABLE a B A\r\nc NOOP\r\n" } },
      "c NOOP\r\n",
      "* ENABLED B A\r\nb OK Enable completed.\r\n" },
};

/* The NAMESPACE is sent between the ENABLED and its OK. */
static void come_back_entangled(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    come_back_after(rig,
                    "b ENABLE A\r\n>* ENABLED A\r\n<n NAMESPACE\r\n>b OK 1\r\n* NAMESPACE NIL NIL NIL\r\nn OK 2\r\n",
                    ret_client, ret_server);
}

static const struct dialog entangled[] = {
    { "what was told is known all the same",
      { { CLIENT, "b ENABLE A\r\n" } },
      "",
      "* ENABLED A\r\nb OK Enable completed.\r\n" },
};

static void come_back_silent(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    come_back_after(rig, "b ENABLE X\r\n>b OK 1\r\n<c ENABLE A\r\n>* ENABLED A\r\nc OK 2\r\n", ret_client, ret_server);
}

static const struct dialog silences[] = {
    { "an ENABLE that nothing was said to is no setup",
      { { CLIENT, "b ENABLE X\r\nc NOOP\r\n" } },
      "<asked>",
      "b OK Enable completed.\r\n" },
    { "with the other it is",
      { { CLIENT, "b ENABLE X\r\nc ENABLE A\r\nd NOOP\r\n" } },
      "d NOOP\r\n",
      "b OK Enable completed.\r\n* ENABLED A\r\nc OK Enable completed.\r\n" },
    { "an upstream that offers something else by now: what it answered is not handed on",
      { { SERVER_ENDS, NULL },
        { CLIENT, "b ENABLE X\r\nc ENABLE A\r\nd NOOP\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, "* OK [CAPABILITY " ABLE "] ready\r\n" },
        { SERVER, "imapstate OK [CAPABILITY " ABLE " NEW] in\r\n" },
        { SERVER, "* ENABLED A\r\nimapstate1 OK 1\r\n" },
        { SERVER, "d OK 2\r\n" },
        { CLIENT_ENDS, NULL },
        { CLIENT_COMES, NULL },
        { CLIENT, "a LOGIN ann secret\r\nb ENABLE X\r\n" } },
      "<end><next>" NEW_LOGIN "imapstate1 ENABLE A\r\nd NOOP\r\n<asked>",
      "b OK Enable completed.\r\n* ENABLED A\r\nc OK Enable completed.\r\n* CAPABILITY " ABLE " NEW LITERAL+ STATE\r\n"
      "d OK 2\r\n<end><next>* OK [CAPABILITY " ABLE_SHOWN "] imapstate ready.\r\na OK [CAPABILITY " ABLE
      " NEW LITERAL+ STATE] Logged in.\r\n" },
};

TEST(an_enable_is_answered_from_what_another_session_was_told)
{
    PLAY_ALL(enables, come_back_enabled);
    PLAY_ALL(enables_twice, come_back_enabled_twice);
    PLAY_ALL(notifies, come_back_notified);
    PLAY_ALL(languages, come_back_in_german);
    PLAY_ALL(condstores, come_back_with_condstore);
    PLAY_ALL(statuses, come_back_after_status);
    PLAY_ALL(namespaces, come_back_named);
    PLAY_ALL(orders, come_back_with_two);
    PLAY_ALL(entangled, come_back_entangled);
    PLAY_ALL(silences, come_back_silent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_login_is_accepted_by_the_proof_of_a_parked_connection),
        cmocka_unit_test(the_first_command_that_needs_one_chooses_a_connection),
        cmocka_unit_test(a_woken_connection_that_proves_dead_is_replaced_if_nothing_runs_twice),
        cmocka_unit_test(what_was_silent_for_long_shows_that_it_lives_before_anything_that_may_not_run_twice),
        cmocka_unit_test(another_parked_connection_takes_the_place_of_a_dead_one),
        cmocka_unit_test(what_no_octet_of_has_been_written_may_be_written_to_another),
        cmocka_unit_test(who_is_told_that_a_connection_is_reused_gets_one),
        cmocka_unit_test(only_one_answer_is_doubted),
        cmocka_unit_test(what_a_client_has_said_of_itself_goes_ahead),
        cmocka_unit_test(an_enable_is_answered_from_what_another_session_was_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
