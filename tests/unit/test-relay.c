#include "check.h"

#include "dialog.h"
#include "rig.h"
#include "stream.h"

#define LIST "IMAP4rev1 LITERAL+ IDLE ENABLE UNSELECT"

static void log_in(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    rig_begin(rig, RIG_CONFIG);
    *ret_client = rig_greet(rig, LIST);
    *ret_server = rig_log_in(rig, *ret_client, "ann", LIST);
    assert_non_null(*ret_server);
}

static void log_in_streaming(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    rig_begin(rig, RIG_LISTENER("") RIG_UPSTREAM("append_literals = \"stream\""));
    *ret_client = rig_greet(rig, LIST);
    *ret_server = rig_log_in(rig, *ret_client, "ann", LIST);
    assert_non_null(*ret_server);
}

#define PLAY_ALL(dialogs) dialog_play_all(dialogs, ARRAY_LEN(dialogs), log_in)

static const struct dialog commands[] = {
    { "a command and its answer",
      { { CLIENT, "a NOOP\r\n" }, { SERVER, "* 3 EXISTS\r\na OK done\r\n" } },
      "a NOOP\r\n",
      "* 3 EXISTS\r\na OK done\r\n" },
    { "what comes unasked", { { SERVER, "* 4 EXISTS\r\n* 1 RECENT\r\n" } }, "", "* 4 EXISTS\r\n* 1 RECENT\r\n" },
    { "three commands at a time",
      { { CLIENT, "a NOOP\r\nb CHECK\r\nc EXPUNGE\r\n" }, { SERVER, "a OK 1\r\nb OK 2\r\nc NO 3\r\n" } },
      "a NOOP\r\nb CHECK\r\nc EXPUNGE\r\n",
      "a OK 1\r\nb OK 2\r\nc NO 3\r\n" },
    { "answers out of order",
      { { CLIENT, "a NOOP\r\nb CHECK\r\nc EXPUNGE\r\n" }, { SERVER, "c OK 3\r\na OK 1\r\nb BAD 2\r\n" } },
      "a NOOP\r\nb CHECK\r\nc EXPUNGE\r\n",
      "c OK 3\r\na OK 1\r\nb BAD 2\r\n" },
    { "a tag that is in flight waits",
      { { CLIENT, "a NOOP\r\na CHECK\r\n" }, { SERVER, "a OK 1\r\n" } },
      "a NOOP\r\na CHECK\r\n",
      "a OK 1\r\n" },
    { "and goes only then", { { CLIENT, "a NOOP\r\na CHECK\r\nb NOOP\r\n" } }, "a NOOP\r\n", "" },
    { "a line that ends in LF alone",
      { { CLIENT, "a NOOP\n" }, { SERVER, "a OK 1\r\n" } },
      "a NOOP\r\n",
      "a OK 1\r\n" },
    { "an answer that ends in LF alone",
      { { CLIENT, "a NOOP\r\n" }, { SERVER, "a OK 1\n" } },
      "a NOOP\r\n",
      "a OK 1\n" },
    { "a literal in an answer",
      { { CLIENT, "a FETCH 1 BODY[]\r\n" }, { SERVER, "* 1 FETCH (BODY[] {12}\r\na OK hello\r\n)\r\na OK 1\r\n" } },
      "a FETCH 1 BODY[]\r\n",
      "* 1 FETCH (BODY[] {12}\r\na OK hello\r\n)\r\na OK 1\r\n" },
    { "what no server is to see",
      { { CLIENT, "a\r\n* NOOP\r\nb NOOP\r\n" }, { SERVER, "b OK 1\r\n" } },
      "b NOOP\r\n",
      "a BAD Command is not valid IMAP.\r\n* BAD Command is not valid IMAP.\r\nb OK 1\r\n" },
};

TEST(commands_go_up_and_answers_come_down_in_their_order)
{
    PLAY_ALL(commands);
}

static const struct dialog literals[] = {
    { "that is asked for",
      { { CLIENT, "a CREATE {3}\r\n" }, { SERVER, "+ go\r\n" }, { CLIENT, "Abc\r\n" }, { SERVER, "a OK 1\r\n" } },
      "a CREATE {3}\r\nAbc\r\n",
      "+ go\r\na OK 1\r\n" },
    { "that is not asked for goes up when it is asked for there",
      { { CLIENT, "a CREATE {3+}\r\nAbc\r\nb NOOP\r\n" }, { SERVER, "+ go\r\n" }, { SERVER, "a OK 1\r\nb OK 2\r\n" } },
      "a CREATE {3}\r\nAbc\r\nb NOOP\r\n",
      "a OK 1\r\nb OK 2\r\n" },
    { "and until then nothing does", { { CLIENT, "a CREATE {3+}\r\nAbc\r\nb NOOP\r\n" } }, "a CREATE {3}\r\n", "" },
    { "two in one command",
      { { CLIENT, "a RENAME {1}\r\n" },
        { SERVER, "+ go\r\n" },
        { CLIENT, "x {2}\r\n" },
        { SERVER, "+ on\r\n" },
        { CLIENT, "yz\r\n" },
        { SERVER, "a OK 1\r\n" } },
      "a RENAME {1}\r\nx {2}\r\nyz\r\n",
      "+ go\r\n+ on\r\na OK 1\r\n" },
    { "of no octets",
      { { CLIENT, "a CREATE {0}\r\n" }, { SERVER, "+ go\r\n" }, { CLIENT, "\r\n" }, { SERVER, "a NO 1\r\n" } },
      "a CREATE {0}\r\n\r\n",
      "+ go\r\na NO 1\r\n" },
    { "that is refused: what follows is a command",
      { { CLIENT, "a CREATE {8}\r\n" }, { SERVER, "a NO no\r\n" }, { CLIENT, "b NOOP\r\n" }, { SERVER, "b OK 2\r\n" } },
      "a CREATE {8}\r\nb NOOP\r\n",
      "a NO no\r\nb OK 2\r\n" },
    { "that is refused and on its way: it is for nobody",
      { { CLIENT, "a CREATE {8+}\r\nz NOOP\r\n\r\nb NOOP\r\n" }, { SERVER, "a BAD no\r\n" }, { SERVER, "b OK 2\r\n" } },
      "a CREATE {8}\r\nb NOOP\r\n",
      "a BAD no\r\nb OK 2\r\n" },
    { "that is refused, with another behind it that is asked for",
      { { CLIENT, "a RENAME {1+}\r\nx {2}\r\n" }, { SERVER, "a BAD no\r\n" }, { CLIENT, "b NOOP\r\n" } },
      "a RENAME {1}\r\nb NOOP\r\n",
      "a BAD no\r\n" },
    { "whose command is answered in its middle: nobody knows what the server reads next",
      { { CLIENT, "a CREATE {6}\r\n" }, { SERVER, "+ go\r\n" }, { CLIENT, "Abc" }, { SERVER, "a OK 1\r\n" } },
      "a CREATE {6}\r\nAbc<end>",
      "+ go\r\na OK 1\r\n"
      "* BYE [UNAVAILABLE] The mail server's answer makes no sense.\r\n<end>" },
    { "behind which no string can end",
      { { CLIENT, "a CREATE {3+}\r\nAbc" }, { SERVER, "+ go\r\n" }, { CLIENT, "z NOOP\r\n" } },
      "a CREATE {3}\r\nAbc<end>",
      "* BYE Command cannot be read with certainty.\r\n<end>" },
};

TEST(a_literal_goes_up_when_the_server_asks_for_it_and_not_before)
{
    PLAY_ALL(literals);
}

static const struct dialog streamed[] = {
    { "a message",
      { { CLIENT, "a APPEND INBOX {5+}\r\nhello\r\nb NOOP\r\n" }, { SERVER, "a OK 1\r\nb OK 2\r\n" } },
      "a APPEND INBOX {5+}\r\nhello\r\nb NOOP\r\n",
      "a OK 1\r\nb OK 2\r\n" },
    { "a message that is refused by NO",
      { { CLIENT, "a APPEND INBOX {5+}\r\nhello\r\n" }, { SERVER, "a NO 1\r\n" }, { CLIENT, "b NOOP\r\n" } },
      "a APPEND INBOX {5+}\r\nhello\r\nb NOOP\r\n",
      "a NO 1\r\n" },
    { "a message that is answered BAD: its octets may have been read as commands",
      { { CLIENT, "a APPEND INBOX {5+}\r\nhello\r\n" }, { SERVER, "a BAD 1\r\n" } },
      "a APPEND INBOX {5+}\r\nhello\r\nimapstate LOGOUT\r\n",
      "a BAD 1\r\n* BYE Command cannot be read with certainty.\r\n<end>" },
    { "a message that is refused, with a literal behind it that is not streamed: it is for nobody",
      { { CLIENT, "a APPEND INBOX {5+}\r\nhel" },
        { SERVER, "a NO 1\r\n" },
        { CLIENT, "lo ~{8+}\r\nz NOOP\r\n\r\nb NOOP\r\n" },
        { SERVER, "b OK 2\r\n" } },
      "a APPEND INBOX {5+}\r\nhello ~{8}\r\nb NOOP\r\n",
      "a NO 1\r\nb OK 2\r\n" },
    { "a name is asked for all the same",
      { { CLIENT, "a APPEND {5+}\r\nINBOX {2+}\r\nhi\r\n" }, { SERVER, "+ go\r\n" } },
      "a APPEND {5}\r\nINBOX {2+}\r\nhi\r\n",
      "" },
};

TEST(where_it_is_configured_messages_go_up_unasked)
{
    dialog_play_all(streamed, ARRAY_LEN(streamed), log_in_streaming);
}

static const struct dialog idles[] = {
    { "that is ended by DONE",
      { { CLIENT, "a IDLE\r\n" },
        { SERVER, "+ idling\r\n* 4 EXISTS\r\n" },
        { CLIENT, "DONE\r\n" },
        { SERVER, "a OK 1\r\n" } },
      "a IDLE\r\nDONE\r\n",
      "+ idling\r\n* 4 EXISTS\r\na OK 1\r\n" },
    { "with all that follows in one write: nothing goes up before its +",
      { { CLIENT, "a IDLE\r\nDONE\r\nb NOOP\r\n" }, { SERVER, "+ idling\r\n" }, { SERVER, "a OK 1\r\nb OK 2\r\n" } },
      "a IDLE\r\nDONE\r\nb NOOP\r\n",
      "+ idling\r\na OK 1\r\nb OK 2\r\n" },
    { "and without a + nothing does", { { CLIENT, "a IDLE\r\nDONE\r\nb NOOP\r\n" } }, "a IDLE\r\n", "" },
    { "that is refused",
      { { CLIENT, "a IDLE\r\n" }, { SERVER, "a NO 1\r\n" }, { CLIENT, "b NOOP\r\n" } },
      "a IDLE\r\nb NOOP\r\n",
      "a NO 1\r\n" },
    { "that the server ends by itself: what follows is a command",
      { { CLIENT, "a IDLE\r\n" }, { SERVER, "+ idling\r\na OK 1\r\n" }, { CLIENT, "b NOOP\r\n" } },
      "a IDLE\r\nb NOOP\r\n",
      "+ idling\r\na OK 1\r\n" },
    { "and what the server says to a DONE that crosses is the client's",
      { { CLIENT, "a IDLE\r\n" },
        { SERVER, "+ idling\r\n" },
        { CLIENT, "DONE\r\n" },
        { SERVER, "a OK 1\r\nDONE BAD what\r\n" },
        { CLIENT, "b NOOP\r\n" } },
      "a IDLE\r\nDONE\r\nb NOOP\r\n",
      "+ idling\r\na OK 1\r\nDONE BAD what\r\n" },
    { "that is ended by something else",
      { { CLIENT, "a IDLE\r\n" }, { SERVER, "+ idling\r\n" }, { CLIENT, "b NOOP\r\n" } },
      "a IDLE\r\n<end>",
      "+ idling\r\n* BYE Command cannot be read with certainty.\r\n<end>" },
};

TEST(behind_idle_nothing_goes_up_until_its_continuation_and_then_only_done)
{
    PLAY_ALL(idles);
}

static const struct dialog senseless[] = {
    { "noise passes",
      { { CLIENT, "a NOOP\r\n" }, { SERVER, "what\r\n\r\na OK 1\r\n" } },
      "a NOOP\r\n",
      "what\r\n\r\na OK 1\r\n" },
    { "noise that may announce a literal",
      { { CLIENT, "a NOOP\r\n" }, { SERVER, "what {3}\r\na OK 1\r\n" } },
      "a NOOP\r\n<end>",
      "* BYE [UNAVAILABLE] The mail server's answer makes no sense.\r\n<end>" },
    { "a + that nothing asked for",
      { { CLIENT, "a NOOP\r\n" }, { SERVER, "+ go\r\n" } },
      "a NOOP\r\n<end>",
      "* BYE [UNAVAILABLE] The mail server's answer makes no sense.\r\n<end>" },
    { "an answer to no command",
      { { CLIENT, "a NOOP\r\n" }, { SERVER, "b OK 1\r\n" } },
      "a NOOP\r\n<end>",
      "* BYE [UNAVAILABLE] The mail server's answer makes no sense.\r\n<end>" },
    { "an answer that comes twice",
      { { CLIENT, "a NOOP\r\n" }, { SERVER, "a OK 1\r\na OK 1\r\n" } },
      "a NOOP\r\nimapstate LOGOUT\r\n",
      "a OK 1\r\n* BYE [UNAVAILABLE] The mail server's answer makes no sense.\r\n<end>" },
    { "an answer to no command while nothing is in flight",
      { { SERVER, "imapstate OK 1\r\n" } },
      "imapstate LOGOUT\r\n",
      "* BYE [UNAVAILABLE] The mail server's answer makes no sense.\r\n<end>" },
};

TEST(what_makes_no_sense_ends_the_session_if_it_may_be_taken_for_something_else)
{
    PLAY_ALL(senseless);
}

static const struct dialog ends[] = {
    { "BYE, and the end",
      { { CLIENT, "a NOOP\r\n" }, { SERVER, "* BYE bye\r\n" }, { SERVER_ENDS, NULL } },
      "a NOOP\r\n<end>",
      "* BYE bye\r\n<end>" },
    { "the end alone",
      { { CLIENT, "a NOOP\r\n" }, { SERVER_ENDS, NULL } },
      "a NOOP\r\n<end>",
      "* BYE [UNAVAILABLE] The mail server has closed the connection.\r\n<end>" },
    { "the end in the middle of a response: nothing may be said there",
      { { CLIENT, "a FETCH 1 BODY[]\r\n" }, { SERVER, "* 1 FETCH (BODY[] {10}\r\nhel" }, { SERVER_ENDS, NULL } },
      "a FETCH 1 BODY[]\r\n<end>",
      "* 1 FETCH (BODY[] {10}\r\nhel<end>" },
    { "a connection that is lost",
      { { CLIENT, "a NOOP\r\n" }, { SERVER_IS_LOST, NULL } },
      "a NOOP\r\n<end>",
      "* BYE [UNAVAILABLE] The mail server has closed the connection.\r\n<end>" },
    { "a client that ends is answered what is in flight, and the connection is parked",
      { { CLIENT, "a NOOP\r\n" }, { CLIENT_ENDS, NULL }, { SERVER, "a OK 1\r\n" } },
      "a NOOP\r\n",
      "a OK 1\r\n<end>" },
    { "a client that ends in the middle of a command is not waited for",
      { { CLIENT, "a CREATE {9}\r\n" }, { SERVER, "+ go\r\n" }, { CLIENT, "Abc" }, { CLIENT_ENDS, NULL } },
      "a CREATE {9}\r\nAbc<end>",
      "+ go\r\n<end>" },
    { "a client that is lost", { { CLIENT, "a NOOP\r\n" }, { CLIENT_IS_LOST, NULL } }, "a NOOP\r\n<end>", "<end>" },
    { "a client that ends, and is not answered",
      { { CLIENT, "a NOOP\r\n" }, { CLIENT_ENDS, NULL }, { WAIT, "59999" } },
      "a NOOP\r\n",
      "" },
    { "is not waited for long",
      { { CLIENT, "a NOOP\r\n" }, { CLIENT_ENDS, NULL }, { WAIT, "60000" } },
      "a NOOP\r\n<end>",
      "<end>" },
};

TEST(the_end_of_one_side_is_the_end_of_the_other)
{
    PLAY_ALL(ends);
}

/* --- room --- */

static uint8_t much[1u << 20];

TEST(a_client_that_does_not_read_holds_the_server_up_and_misses_nothing)
{
    struct rig rig;
    struct wire *client, *server;
    size_t heard = 0;
    log_in(&rig, &client, &server);
    client->room = 0;
    rig_say(&rig, client, "a FETCH 1 BODY[]\r\n");
    rig_say(&rig, server, "* 1 FETCH (BODY[] {1048576}\r\n");
    wire_feed(server, (struct imapstate_span){ much, sizeof much });
    rig_say(&rig, server, ")\r\na OK 1\r\n");
    assert_true(server->in.len > sizeof much / 2);
    while (heard < 29 + sizeof much + 11) {
        client->room = 30000;
        rig_pass(&rig, 0);
        assert_true(client->out.len > 0);
        heard += client->out.len;
        imapstate_buf_clear(&client->out);
    }
    assert_int_equal(heard, 29 + sizeof much + 11);
    assert_int_equal(server->in.len, 0);
    rig_end(&rig);
}

TEST(a_server_that_does_not_read_holds_the_client_up_and_misses_nothing)
{
    struct rig rig;
    struct wire *client, *server;
    size_t heard = 0;
    log_in(&rig, &client, &server);
    rig_say(&rig, client, "a APPEND INBOX {1048576}\r\n");
    server->room = 0;
    rig_say(&rig, server, "+ go\r\n");
    heard += strlen(wire_take(server));
    wire_feed(client, (struct imapstate_span){ much, sizeof much });
    rig_say(&rig, client, "\r\n");
    assert_true(client->in.len > sizeof much / 2);
    while (heard < 26 + sizeof much + 2) {
        server->room = 30000;
        rig_pass(&rig, 0);
        assert_true(server->out.len > 0);
        heard += server->out.len;
        imapstate_buf_clear(&server->out);
    }
    assert_int_equal(client->in.len, 0);
    rig_say(&rig, server, "a OK 1\r\n");
    assert_string_equal(wire_take(client), "+ go\r\na OK 1\r\n");
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_go_up_and_answers_come_down_in_their_order),
        cmocka_unit_test(a_literal_goes_up_when_the_server_asks_for_it_and_not_before),
        cmocka_unit_test(where_it_is_configured_messages_go_up_unasked),
        cmocka_unit_test(behind_idle_nothing_goes_up_until_its_continuation_and_then_only_done),
        cmocka_unit_test(what_makes_no_sense_ends_the_session_if_it_may_be_taken_for_something_else),
        cmocka_unit_test(the_end_of_one_side_is_the_end_of_the_other),
        cmocka_unit_test(a_client_that_does_not_read_holds_the_server_up_and_misses_nothing),
        cmocka_unit_test(a_server_that_does_not_read_holds_the_client_up_and_misses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
