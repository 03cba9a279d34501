#include "check.h"

#include "certificate.h"
#include "dialog.h"
#include "rig.h"

#define LIST "IMAP4rev1 ID ENABLE NAMESPACE UNSELECT UNAUTHENTICATE"

#define CONFIG "languages = { \"de\" }\n" RIG_CONFIG

static void greet(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    rig_begin(rig, CONFIG);
    *ret_client = rig_greet(rig, LIST);
    *ret_server = NULL;
}

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

/* Let in by a parked connection, which has not been chosen yet. */
static void accept_ann(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    rig_begin(rig, CONFIG);
    *ret_server = rig_greet_beside_parked(rig, LIST, ret_client);
    rig_say(rig, *ret_client, "a LOGIN ann secret\r\n");
    assert_non_null(strstr(wire_take(*ret_client), "a OK "));
}

#define PLAY_ALL(dialogs, begin) dialog_play_all(dialogs, ARRAY_LEN(dialogs), begin)

#define UNREADABLE "* BYE Command cannot be read with certainty.\r\n<end>"

/* --- before login --- */

static const struct dialog before_login[] = {
    { "CAPABILITY",
      { { CLIENT, "a CAPABILITY\r\n" } },
      "",
      "* CAPABILITY " LIST " LITERAL+ LANGUAGE STATE\r\na OK Capability completed.\r\n" },
    { "NOOP", { { CLIENT, "a NOOP\r\n" } }, "", "a OK NOOP completed.\r\n" },
    { "arguments that no server minds", { { CLIENT, "a NOOP x (y\r\n" } }, "", "a OK NOOP completed.\r\n" },
    { "in any case, with LF alone", { { CLIENT, "a noop\n" } }, "", "a OK NOOP completed.\r\n" },
    { "several at a time, in their order",
      { { CLIENT, "a NOOP\r\nb XYZ\r\nc NOOP\r\n" } },
      "",
      "a OK NOOP completed.\r\nb BAD Unknown command.\r\nc OK NOOP completed.\r\n" },
    { "LOGOUT", { { CLIENT, "a LOGOUT\r\nb NOOP\r\n" } }, "", "* BYE Logging out.\r\na OK Logout completed.\r\n<end>" },
    { "a client that has said all is answered",
      { { CLIENT, "a NOOP\r\nb NOOP\r\n" }, { CLIENT_ENDS, NULL } },
      "",
      "a OK NOOP completed.\r\nb OK NOOP completed.\r\n<end>" },
    { "half a command is none", { { CLIENT, "a NOO" }, { CLIENT_ENDS, NULL } }, "", "<end>" },
    { "STARTTLS where there is no TLS", { { CLIENT, "a STARTTLS\r\n" } }, "", "a BAD STARTTLS is not offered.\r\n" },
    { "what needs a login",
      { { CLIENT, "a SELECT INBOX\r\nb STATE\r\nc SAVESTATE\r\nd UNAUTHENTICATE\r\ne COMPRESS DEFLATE\r\n" } },
      "",
      "a BAD Command not allowed before login.\r\nb BAD Command not allowed before login.\r\n"
      "c BAD Command not allowed before login.\r\nd BAD Command not allowed before login.\r\n"
      "e BAD Command not allowed before login.\r\n" },
    { "ID: what the server has answered the gateway",
      { { CLIENT, "a ID NIL\r\n" } },
      "",
      "* ID (\"name\" \"rig\")\r\na OK ID completed.\r\n" },
    { "ID with literals that do not wait",
      { { CLIENT, "a ID (\"name\" {3+}\r\nmua)\r\n" } },
      "",
      "* ID (\"name\" \"rig\")\r\na OK ID completed.\r\n" },
    { "no + for a literal that nobody needs",
      { { CLIENT, "a ID (\"name\" {3}\r\nb NOOP\r\n" } },
      "",
      "a BAD Literal not allowed before login.\r\nb OK NOOP completed.\r\n" },
    { "one that does not wait is taken",
      { { CLIENT, "a NOOP {6+}\r\nb NO\r\n\r\nc NOOP\r\n" } },
      "",
      "a OK NOOP completed.\r\nc OK NOOP completed.\r\n" },
    { "one that is too large for a command",
      { { CLIENT, "a LOGIN ann {99999}\r\nb NOOP\r\n" } },
      "",
      "a BAD Literal is too large.\r\nb OK NOOP completed.\r\n" },
    { "what is no command",
      { { CLIENT, "a\r\n\r\n* NOOP\r\nb NOOP\r\n" } },
      "",
      "a BAD Command is not valid IMAP.\r\n* BAD Command is not valid IMAP.\r\n"
      "* BAD Command is not valid IMAP.\r\nb OK NOOP completed.\r\n" },
    { "a literal where no string can begin",
      { { CLIENT, "a NOOP x{3+}\r\nabc\r\n" } },
      "",
      "a BAD Non-synchronizing literal where no string can begin.\r\n" UNREADABLE },
    { "a CR alone", { { CLIENT, "a NO\rOP\r\n" } }, "", "a BAD CR without LF.\r\n" UNREADABLE },
    { "a literal that no command may have",
      { { CLIENT, "a NOOP {99999999999+}\r\n" } },
      "",
      "a BAD Literal is too large.\r\n" UNREADABLE },
};

TEST(before_login_the_gateway_answers)
{
    PLAY_ALL(before_login, greet);
}

static const struct dialog languages[] = {
    { "which there are",
      { { CLIENT, "a LANGUAGE\r\n" } },
      "",
      "* LANGUAGE (i-default DE)\r\na OK LANGUAGE completed.\r\n" },
    { "one is chosen, for all that follows",
      { { CLIENT, "a LANGUAGE \"de\"\r\nb NOOP\r\n" } },
      "",
      "* LANGUAGE (DE)\r\na OK Sprachwechsel durch LANGUAGE-Befehl ausgef\303\274hrt.\r\n"
      "b OK NOOP-Befehl ausgef\303\274hrt.\r\n" },
    { "and the default again",
      { { CLIENT, "a LANGUAGE de\r\nb LANGUAGE i-default\r\nc NOOP\r\n" } },
      "",
      "* LANGUAGE (DE)\r\na OK Sprachwechsel durch LANGUAGE-Befehl ausgef\303\274hrt.\r\n"
      "* LANGUAGE (i-default)\r\nb OK Language changed by LANGUAGE command.\r\nc OK NOOP completed.\r\n" },
    { "none of these", { { CLIENT, "a LANGUAGE fr\r\n" } }, "", "a NO None of these languages is offered.\r\n" },
    { "arguments that are none", { { CLIENT, "a LANGUAGE (\r\n" } }, "", "a BAD Invalid arguments.\r\n" },
};

TEST(a_language_is_chosen_before_login)
{
    PLAY_ALL(languages, greet);
}

/* --- after login --- */

static const struct dialog after_login[] = {
    { "P11: behind every command before it, and before every one behind it",
      { { CLIENT, "b NOOP\r\nc STATE\r\nd NOOP\r\n" }, { SERVER, "b OK 1\r\n" }, { SERVER, "d OK 2\r\n" } },
      "b NOOP\r\nd NOOP\r\n",
      "b OK 1\r\nc OK State command tracking enabled.\r\nd OK 2\r\n" },
    { "P11: and nothing goes up until then",
      { { CLIENT, "b NOOP\r\nc STATE\r\nd NOOP\r\n" }, { SERVER, "* 1 EXISTS\r\n" } },
      "b NOOP\r\n",
      "* 1 EXISTS\r\n" },
    { "not within a response",
      { { SERVER, "* 1 FETCH (BODY[] {5}\r\nhe" }, { CLIENT, "b SAVESTATE\r\n" }, { SERVER, "llo)\r\n" } },
      "",
      "* 1 FETCH (BODY[] {5}\r\nhello)\r\nb NO [CLIENTBUG] STATE must come first.\r\n" },
    { "LOGOUT waits, too",
      { { CLIENT, "b NOOP\r\nc LOGOUT\r\n" }, { SERVER, "b OK 1\r\n" } },
      "b NOOP\r\n",
      "b OK 1\r\n* BYE Logging out.\r\nc OK Logout completed.\r\n<end>" },
    { "what is past",
      { { CLIENT, "b LOGIN ann secret\r\nc AUTHENTICATE PLAIN\r\nd STARTTLS\r\n" } },
      "",
      "b BAD Command not allowed after login.\r\nc BAD Command not allowed after login.\r\n"
      "d BAD Command not allowed after login.\r\n" },
    { "no + for it",
      { { CLIENT, "b LOGIN {3}\r\nc STATE\r\n" } },
      "",
      "b BAD Command not allowed after login.\r\nc OK State command tracking enabled.\r\n" },
    { "a + for a token that waits for it, and none for one that is too large",
      { { CLIENT, "b STATE {1}\r\n" }, { CLIENT, "x\r\nc STATE {2049}\r\nd NOOP\r\n" } },
      "d NOOP\r\n",
      "+ OK\r\nb OK State not restored, but state command tracking enabled.\r\n"
      "c BAD Literal is too large.\r\n" },
    { "not before it can be said",
      { { SERVER, "* 1 FETCH (BODY[] {5}\r\nhe" }, { CLIENT, "b STATE {1}\r\n" } },
      "",
      "* 1 FETCH (BODY[] {5}\r\nhe" },
    { "COMPRESS where it is not offered",
      { { CLIENT, "b COMPRESS DEFLATE\r\n" } },
      "",
      "b NO [CANNOT] Compression is not offered.\r\n" },
    { "UNAUTHENTICATE: the session is over, the connection is not",
      { { CLIENT, "b UNAUTHENTICATE\r\nc NOOP\r\n" } },
      "imapstate LOGOUT\r\n",
      "b OK Unauthenticated.\r\nc OK NOOP completed.\r\n" },
    { "which takes no arguments",
      { { CLIENT, "b UNAUTHENTICATE x\r\n" } },
      "",
      "b BAD The command takes no arguments.\r\n" },
    { "ID is the server's",
      { { CLIENT, "b ID NIL\r\n" }, { SERVER, "* ID NIL\r\nb OK 1\r\n" } },
      "b ID NIL\r\n",
      "* ID NIL\r\nb OK 1\r\n" },
    { "but not what only a trusted proxy may say",
      { { CLIENT, "b ID (\"name\" \"mua\" \"x-originating-ip\" \"192.0.2.1\")\r\n" }, { SERVER, "b OK 1\r\n" } },
      "b ID (\"name\" \"mua\")\r\n",
      "b OK 1\r\n" },
    { "whatever it says there",
      { { CLIENT, "b ID (\"x-originating-ip\" \"nonsense\" \"name\" \"mua\")\r\n" }, { SERVER, "b OK 1\r\n" } },
      "b ID (\"name\" \"mua\")\r\n",
      "b OK 1\r\n" },
    { "be it hidden by an escape",
      { { CLIENT, "b ID (\"\\x-originating-ip\" \"192.0.2.1\" \"name\" \"mua\")\r\n" }, { SERVER, "b OK 1\r\n" } },
      "b ID (\"name\" \"mua\")\r\n",
      "b OK 1\r\n" },
    { "or in a literal",
      { { CLIENT, "b ID ({4+}\r\nX-IP {1+}\r\n1 \"name\" \"mua\")\r\n" }, { SERVER, "b OK 1\r\n" } },
      "b ID (\"name\" \"mua\")\r\n",
      "b OK 1\r\n" },
    { "what is no command",
      { { CLIENT, "b\r\n* NOOP\r\n" } },
      "",
      "b BAD Command is not valid IMAP.\r\n* BAD Command is not valid IMAP.\r\n" },
};

TEST(after_login_the_gateway_answers_behind_the_barrier)
{
    PLAY_ALL(after_login, log_in);
}

#define CHOSEN "* LANGUAGE (DE)\r\n"
#define CHOICE "b OK Sprachwechsel durch LANGUAGE-Befehl ausgef\303\274hrt.\r\n"

static const struct dialog session_languages[] = {
    { "the server is asked for its namespaces, which are told in the language",
      { { CLIENT, "b LANGUAGE de\r\n" }, { SERVER, "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\nimapstate-ask OK 1\r\n" } },
      "imapstate-ask NAMESPACE\r\n",
      CHOSEN "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n" CHOICE },
    { "and the answer waits for that",
      { { CLIENT, "b LANGUAGE de\r\nc NOOP\r\n" }, { SERVER, "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n" } },
      "imapstate-ask NAMESPACE\r\n",
      CHOSEN "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n" },
    { "a refusal is nobody's",
      { { CLIENT, "b LANGUAGE de\r\n" }, { SERVER, "imapstate-ask NO 1\r\n" } },
      "imapstate-ask NAMESPACE\r\n",
      CHOSEN CHOICE },
    { "an alert with it is the client's",
      { { CLIENT, "b LANGUAGE de\r\n" }, { SERVER, "imapstate-ask OK [ALERT] full\r\n" } },
      "imapstate-ask NAMESPACE\r\n",
      CHOSEN "* OK [ALERT] full\r\n" CHOICE },
    { "a server that is lost",
      { { CLIENT, "b LANGUAGE de\r\n" }, { SERVER_ENDS, NULL } },
      "imapstate-ask NAMESPACE\r\n<end>",
      CHOSEN "* BYE [UNAVAILABLE] Der Mailserver hat die Verbindung geschlossen.\r\n<end>" },
    { "an answer that comes twice",
      { { CLIENT, "b LANGUAGE de\r\n" }, { SERVER, "imapstate-ask OK 1\r\nimapstate-ask OK 1\r\n" } },
      "imapstate-ask NAMESPACE\r\nimapstate LOGOUT\r\n",
      CHOSEN CHOICE "* BYE [UNAVAILABLE] Die Antwort des Mailservers ist nicht verst\303\244ndlich.\r\n<end>" },
    { "what is tracked is announced",
      { { CLIENT, "s STATE\r\nb LANGUAGE de\r\n" }, { SERVER, "imapstate-ask OK 1\r\n" } },
      "imapstate-ask NAMESPACE\r\n",
      "s OK State command tracking enabled.\r\n" CHOSEN
      "* OK [STATECMD b] Der Befehl LANGUAGE wird im Sitzungszustand gespeichert.\r\n" CHOICE },
    { "none of these", { { CLIENT, "b LANGUAGE fr\r\n" } }, "", "b NO None of these languages is offered.\r\n" },
};

TEST(a_language_is_chosen_after_login)
{
    PLAY_ALL(session_languages, log_in);
}

static void log_in_where_language_is_theirs(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    log_in_with(rig, CONFIG, "IMAP4rev1 LANGUAGE", ret_client, ret_server);
}

static const struct dialog theirs[] = {
    { "LANGUAGE goes up, and the gateway's own lines follow",
      { { CLIENT, "b LANGUAGE de\r\n" }, { SERVER, "* LANGUAGE (DE)\r\nb OK 1\r\n" }, { CLIENT, "c SAVESTATE x\r\n" } },
      "b LANGUAGE de\r\n",
      "* LANGUAGE (DE)\r\nb OK 1\r\nc BAD Der Befehl hat keine Argumente.\r\n" },
    { "what the server does not have goes up as well, as it may have it",
      { { CLIENT, "b UNAUTHENTICATE\r\nc ID NIL\r\n" }, { SERVER, "b BAD what\r\nc BAD what\r\n" } },
      "b UNAUTHENTICATE\r\nc ID NIL\r\n",
      "b BAD what\r\nc BAD what\r\n" },
};

TEST(what_is_the_servers_to_answer_goes_up)
{
    PLAY_ALL(theirs, log_in_where_language_is_theirs);
}

static const struct dialog undecided[] = {
    { "CAPABILITY needs no connection",
      { { CLIENT, "b CAPABILITY\r\n" } },
      "",
      "* CAPABILITY " LIST " LITERAL+ LANGUAGE STATE\r\nb OK Capability completed.\r\n" },
    { "nor does ID",
      { { CLIENT, "b ID (\"name\" \"mua\")\r\n" } },
      "",
      "* ID (\"name\" \"rig\")\r\nb OK ID completed.\r\n" },
    { "which goes ahead when there is one",
      { { CLIENT, "b ID (\"name\" \"mua\")\r\nc NOOP\r\n" } },
      "imapstate-wake ID (\"name\" \"mua\")\r\nc NOOP\r\n",
      "* ID (\"name\" \"rig\")\r\nb OK ID completed.\r\n" },
    { "LANGUAGE needs one, for its namespaces",
      { { CLIENT, "b LANGUAGE de\r\n" }, { SERVER, "imapstate-ask OK 1\r\n" } },
      "imapstate-ask NAMESPACE\r\n",
      CHOSEN CHOICE },
    { "which proves dead: the next is asked",
      { { CLIENT, "b LANGUAGE de\r\n" },
        { SERVER_ENDS, NULL },
        { SERVER_COMES, NULL },
        { SERVER, "* OK [CAPABILITY " LIST "] ready\r\n" },
        { SERVER, "imapstate OK [CAPABILITY " LIST "] in\r\n" },
        { SERVER, "imapstate-ask OK 1\r\n" } },
      "imapstate-ask NAMESPACE\r\n<end><next>imapstate LOGIN \"ann\" \"secret\"\r\nimapstate-ask NAMESPACE\r\n",
      CHOSEN CHOICE },
    { "UNAUTHENTICATE gives it back",
      { { CLIENT, "b UNAUTHENTICATE\r\nc LOGIN ann secret\r\n" } },
      "",
      "b OK Unauthenticated.\r\nc OK [CAPABILITY " LIST " LITERAL+ LANGUAGE STATE] Logged in.\r\n" },
};

TEST(without_a_connection_the_gateway_answers_what_it_can)
{
    PLAY_ALL(undecided, accept_ann);
}

/* --- COMPRESS --- */

static void log_in_to_compress(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    log_in_with(rig, RIG_LISTENER("compress = true") RIG_UPSTREAM(""), LIST, ret_client, ret_server);
}

static const struct dialog compressions[] = {
    { "another algorithm", { { CLIENT, "b COMPRESS X\r\n" } }, "", "b BAD COMPRESS takes DEFLATE.\r\n" },
    { "none", { { CLIENT, "b COMPRESS\r\n" } }, "", "b BAD COMPRESS takes DEFLATE.\r\n" },
    { "more than that", { { CLIENT, "b COMPRESS DEFLATE x\r\n" } }, "", "b BAD COMPRESS takes DEFLATE.\r\n" },
    { "DEFLATE: the answer is the last that is not compressed",
      { { CLIENT, "b COMPRESS DEFLATE\r\n" } },
      "",
      "b OK Compression is active now.\r\n" },
};

TEST(compress_takes_deflate)
{
    PLAY_ALL(compressions, log_in_to_compress);
}

TEST(what_comes_uncompressed_behind_compress_ends_the_session_and_its_connection)
{
    struct rig rig;
    struct wire *client, *server;
    log_in_to_compress(&rig, &client, &server);
    rig_say(&rig, client, "b COMPRESS DEFLATE\r\n");
    assert_string_equal(wire_take(client), "b OK Compression is active now.\r\n");
    rig_say(&rig, client, "\xff\xff\xff\xff\xff\xff");
    assert_true(client->is_shut);
    assert_string_equal(wire_take(server), "imapstate LOGOUT\r\n");
    rig_end(&rig);
}

/* --- STARTTLS --- */

static void configure_starttls(struct certificate *certificate, char ret_config[512])
{
    certificate_make(certificate, "localhost");
    snprintf(ret_config, 512,
             "listener \"l\" { address = \"127.0.0.1:1143\" tls = \"starttls\" tls_cert_file = \"%s\" "
             "tls_key_file = \"%s\" upstream = \"main\" }\n" RIG_UPSTREAM(""),
             certificate->cert_file, certificate->key_file);
}

/* What comes unencrypted behind STARTTLS may be anybody's: it is not carried out, before TLS or under it. */
TEST(what_comes_behind_starttls_is_no_command)
{
    static const char says[] = "a STARTTLS\r\nb NOOP\r\nc LOGIN ann secret\r\n";
    static const char go[] = "a OK Begin TLS negotiation now.\r\n";
    struct certificate certificate;
    char config[512];
    configure_starttls(&certificate, config);
    for (size_t cut = 0; cut < sizeof says; cut++) {
        struct rig rig;
        rig_begin(&rig, config);
        struct wire *client = rig_greet(&rig, LIST);
        wire_feed(client, (struct imapstate_span){ (const uint8_t *)says, cut });
        rig_pass(&rig, 0);
        wire_feed(client, (struct imapstate_span){ (const uint8_t *)says + cut, sizeof says - 1 - cut });
        rig_pass(&rig, 0);
        struct imapstate_span heard = imapstate_buf_span(&client->out);
        assert_true(heard.len >= sizeof go - 1 && memcmp(heard.at, go, sizeof go - 1) == 0);
        assert_false(imapstate_span_contains_nocase(heard, IMAPSTATE_SPAN("b OK")));
        assert_null(wire_asked());
        rig_end(&rig);
    }
    certificate_done(&certificate);
}

/* TLS would begin in the middle of what is yet to be written. */
TEST(starttls_is_not_for_who_does_not_read)
{
    struct rig rig;
    struct certificate certificate;
    char config[512];
    configure_starttls(&certificate, config);
    rig_begin(&rig, config);
    struct wire *client = rig_greet(&rig, LIST);
    client->room = 3;
    rig_say(&rig, client, "a STARTTLS\r\n");
    client->room = SIZE_MAX;
    rig_pass(&rig, 0);
    assert_string_equal(wire_take(client), "a OK Begin TLS negotiation now.\r\n");
    assert_true(client->is_shut);
    rig_end(&rig);
    certificate_done(&certificate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_login_the_gateway_answers),
        cmocka_unit_test(a_language_is_chosen_before_login),
        cmocka_unit_test(after_login_the_gateway_answers_behind_the_barrier),
        cmocka_unit_test(a_language_is_chosen_after_login),
        cmocka_unit_test(what_is_the_servers_to_answer_goes_up),
        cmocka_unit_test(without_a_connection_the_gateway_answers_what_it_can),
        cmocka_unit_test(compress_takes_deflate),
        cmocka_unit_test(what_comes_uncompressed_behind_compress_ends_the_session_and_its_connection),
        cmocka_unit_test(what_comes_behind_starttls_is_no_command),
        cmocka_unit_test(starttls_is_not_for_who_does_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
