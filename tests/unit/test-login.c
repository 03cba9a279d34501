#include "check.h"

#include "certificate.h"
#include "dialog.h"
#include "rig.h"

#define LIST "IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=LOGIN AUTH=SCRAM-SHA-256 AUTH=XOAUTH2 AUTH=CRAM-MD5"

#define PLAIN       "AGFubgBzZWNyZXQ="     /* NUL ann NUL secret */
#define PLAIN_OTHER "Ym9iAGFubgBzZWNyZXQ=" /* bob NUL ann NUL secret */
#define PLAIN_CASE  "QU5OAGFubgBzZWNyZXQ=" /* ANN NUL ann NUL secret */
#define SCRAM       "biwsbj1hbm4scj1hYmM="
#define XOAUTH2     "dXNlcj1hbm4BYXV0aD1CZWFyZXIgdG9rAQE="

/* A server comes, and lets it in. */
#define COMES                                                                                                          \
    { SERVER_COMES, NULL },                                                                                            \
    {                                                                                                                  \
        SERVER, "* OK [CAPABILITY " LIST "] ready\r\n"                                                                 \
    }
#define IN                                                                                                             \
    COMES,                                                                                                             \
    {                                                                                                                  \
        SERVER, "a OK [CAPABILITY IMAP4rev1] in\r\n"                                                                   \
    }
#define IS_IN "a OK [CAPABILITY IMAP4rev1 LITERAL+ STATE] in\r\n"

#define WRONG "a NO [AUTHENTICATIONFAILED] wrong\r\n"

#define LOGIN_BAD "a BAD LOGIN takes a user name and a password.\r\n"
#define AUTH_BAD  "a BAD AUTHENTICATE takes a mechanism and, where the client speaks first, its message.\r\n"
#define STRANGE   "a NO The message does not belong to this mechanism.\r\n"

#define OWN_OPTIONS "languages = \"off\"\n"

static void greet_with(struct rig *rig, const char *config, struct wire **ret_client)
{
    rig_begin(rig, config);
    *ret_client = rig_greet(rig, LIST);
}

static void greet(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    greet_with(rig, OWN_OPTIONS RIG_CONFIG, ret_client);
    *ret_server = NULL;
}

#define PLAY_ALL(dialogs, begin) dialog_play_all(dialogs, ARRAY_LEN(dialogs), begin)

/* --- LOGIN --- */

#define SERVER_HEARS_LOGIN "a LOGIN \"ann\" \"secret\"\r\n"

static const struct dialog logins[] = {
    { "atoms", { { CLIENT, "a LOGIN ann secret\r\n" }, IN }, SERVER_HEARS_LOGIN, IS_IN },
    { "quoted strings", { { CLIENT, "a login \"ann\" \"secret\"\r\n" }, IN }, SERVER_HEARS_LOGIN, IS_IN },
    { "a line that ends in LF alone", { { CLIENT, "a LOGIN ann secret\n" }, IN }, SERVER_HEARS_LOGIN, IS_IN },
    { "literals that wait for their +",
      { { CLIENT, "a LOGIN {3}\r\n" }, { CLIENT, "ann {6}\r\n" }, { CLIENT, "secret\r\n" }, IN },
      SERVER_HEARS_LOGIN,
      "+ OK\r\n+ OK\r\n" IS_IN },
    { "literals that do not", { { CLIENT, "a LOGIN {3+}\r\nann {6+}\r\nsecret\r\n" }, IN }, SERVER_HEARS_LOGIN, IS_IN },
    { "a password that no quoted string can carry to every server",
      { { CLIENT, "a LOGIN ann {5+}\r\ns t\\u\r\n" },
        COMES,
        { SERVER, "+ go\r\n" },
        { SERVER, "a OK [CAPABILITY IMAP4rev1] in\r\n" } },
      "a LOGIN \"ann\" {5}\r\ns t\\u\r\n",
      IS_IN },
    { "no arguments", { { CLIENT, "a LOGIN\r\n" } }, "", LOGIN_BAD },
    { "one", { { CLIENT, "a LOGIN ann\r\n" } }, "", LOGIN_BAD },
    { "three", { { CLIENT, "a LOGIN ann secret more\r\n" } }, "", LOGIN_BAD },
    { "a quoted string without an end: what is read next is anybody's guess",
      { { CLIENT, "a LOGIN ann \"secret\r\n" } },
      "",
      "a BAD Quoted string without its closing quote.\r\n* BYE Command cannot be read with certainty.\r\n<end>" },
    { "a literal that is too large",
      { { CLIENT, "a LOGIN {99999999}\r\nb NOOP\r\n" } },
      "",
      "a BAD Literal is too large.\r\nb OK NOOP completed.\r\n" },
    { "what follows in the same write waits",
      { { CLIENT, "a LOGIN ann secret\r\nb NOOP\r\n" }, IN },
      SERVER_HEARS_LOGIN "b NOOP\r\n",
      IS_IN },
    { "and is answered if nobody is let in",
      { { CLIENT, "a LOGIN ann secret\r\nb NOOP\r\n" }, { SERVER_REFUSES, NULL } },
      "",
      "a NO [UNAVAILABLE] The mail server cannot be reached.\r\nb OK NOOP completed.\r\n" },
};

TEST(login_takes_a_user_and_a_password_in_whatever_form)
{
    PLAY_ALL(logins, greet);
}

/* --- AUTHENTICATE --- */

#define ASKS_FOR_BOTH                                                                                                  \
    { SERVER, "+ VXNlcm5hbWU6\r\n" }, { SERVER, "+ UGFzc3dvcmQ6\r\n" },                                                \
    {                                                                                                                  \
        SERVER, "a OK [CAPABILITY IMAP4rev1] in\r\n"                                                                   \
    }
#define SERVER_HEARS_PLAIN "a AUTHENTICATE PLAIN " PLAIN "\r\n"

static const struct dialog authentications[] = {
    { "PLAIN with its message", { { CLIENT, "a AUTHENTICATE PLAIN " PLAIN "\r\n" }, IN }, SERVER_HEARS_PLAIN, IS_IN },
    { "in any case, with more blanks",
      { { CLIENT, "a authenticate  plain   " PLAIN " \r\n" }, IN },
      SERVER_HEARS_PLAIN,
      IS_IN },
    { "without it",
      { { CLIENT, "a AUTHENTICATE PLAIN \r\n"
                  "" PLAIN "\r\n" },
        IN },
      SERVER_HEARS_PLAIN,
      "+ \r\n" IS_IN },
    { "LOGIN, user and password",
      { { CLIENT, "a AUTHENTICATE LOGIN\r\n" },
        { CLIENT, "YW5u\r\n" },
        { CLIENT, "c2VjcmV0\r\n" },
        COMES,
        ASKS_FOR_BOTH },
      "a AUTHENTICATE LOGIN\r\nYW5u\r\nc2VjcmV0\r\n",
      "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n" IS_IN },
    { "LOGIN with its user",
      { { CLIENT, "a AUTHENTICATE LOGIN YW5u\r\n" }, { CLIENT, "c2VjcmV0\r\n" }, COMES, ASKS_FOR_BOTH },
      "a AUTHENTICATE LOGIN\r\nYW5u\r\nc2VjcmV0\r\n",
      "+ UGFzc3dvcmQ6\r\n" IS_IN },
    { "no mechanism", { { CLIENT, "a AUTHENTICATE\r\n" } }, "", AUTH_BAD },
    { "too many words", { { CLIENT, "a AUTHENTICATE PLAIN " PLAIN " x\r\n" } }, "", AUTH_BAD },
    { "a mechanism that cannot pass",
      { { CLIENT, "a AUTHENTICATE GSSAPI\r\n" } },
      "",
      "a NO [CANNOT] Mechanism is not offered.\r\n" },
    { "a mechanism that the server does not have",
      { { CLIENT, "a AUTHENTICATE SCRAM-SHA-1\r\n" } },
      "",
      "a NO [CANNOT] Mechanism is not offered.\r\n" },
    { "a message where the server speaks first", { { CLIENT, "a AUTHENTICATE CRAM-MD5 " PLAIN "\r\n" } }, "", STRANGE },
    { "a message that is none", { { CLIENT, "a AUTHENTICATE PLAIN YW5u\r\n" } }, "", STRANGE },
    { "an empty one", { { CLIENT, "a AUTHENTICATE PLAIN =\r\n" } }, "", STRANGE },
    { "a line that is not base64",
      { { CLIENT, "a AUTHENTICATE PLAIN\r\nb NOOP\r\nc NOOP\r\n" } },
      "",
      "+ \r\na NO The message is not base64.\r\nc OK NOOP completed.\r\n" },
    { "* before there is anything",
      { { CLIENT, "a AUTHENTICATE PLAIN\r\n*\r\nb NOOP\r\n" } },
      "",
      "+ \r\na BAD Authentication cancelled.\r\nb OK NOOP completed.\r\n" },
    { "* in place of the password",
      { { CLIENT, "a AUTHENTICATE LOGIN\r\nYW5u\r\n*\r\n" } },
      "",
      "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\na BAD Authentication cancelled.\r\n" },
    { "for another user",
      { { CLIENT, "a AUTHENTICATE PLAIN " PLAIN_OTHER "\r\n" } },
      "",
      "a NO [CANNOT] Acting for another user is not allowed here (authorization_identity).\r\n" },
    { "for oneself in another case",
      { { CLIENT, "a AUTHENTICATE PLAIN " PLAIN_CASE "\r\n" }, IN },
      SERVER_HEARS_PLAIN,
      IS_IN },
    { "an answer that is none to the server's challenge does not go up",
      { { CLIENT, "a AUTHENTICATE CRAM-MD5\r\n" },
        COMES,
        { SERVER, "+ PDEuMkBob3N0Pg==\r\n" },
        { CLIENT, "b NOOP\r\n" },
        { SERVER, "a BAD cancelled\r\n" } },
      "a AUTHENTICATE CRAM-MD5\r\n*\r\n<end>",
      "+ PDEuMkBob3N0Pg==\r\n" STRANGE },
    { "* before an answer is no failure, and is answered at once",
      { { CLIENT, "a AUTHENTICATE SCRAM-SHA-256 " SCRAM "\r\n" },
        COMES,
        { SERVER, "+ c2VydmVy\r\n" },
        { CLIENT, "*\r\n" },
        { SERVER, "a BAD cancelled\r\n" } },
      "a AUTHENTICATE SCRAM-SHA-256 " SCRAM "\r\n*\r\n<end>",
      "+ c2VydmVy\r\na BAD cancelled\r\n" },
    { "* after one is, and waits",
      { { CLIENT, "a AUTHENTICATE SCRAM-SHA-256 " SCRAM "\r\n" },
        COMES,
        { SERVER, "+ c2VydmVy\r\n" },
        { CLIENT, "Y2xpZW50\r\n" },
        { SERVER, "+ ZT1pbnZhbGlk\r\n" },
        { CLIENT, "*\r\n" },
        { SERVER, "a BAD cancelled\r\n" },
        { WAIT, "1999" } },
      "a AUTHENTICATE SCRAM-SHA-256 " SCRAM "\r\nY2xpZW50\r\n*\r\n<end>",
      "+ c2VydmVy\r\n+ ZT1pbnZhbGlk\r\n" },
};

TEST(authenticate_takes_each_mechanism_in_its_own_way)
{
    PLAY_ALL(authentications, greet);
}

/* --- a command overtakes a challenge --- */

#define BEARER "a AUTHENTICATE XOAUTH2 " XOAUTH2 "\r\n"
#define REFUSAL                                                                                                        \
    {                                                                                                                  \
        SERVER, "+ eyJzdGF0dXMiOiI0MDEifQ==\r\n"                                                                       \
    }
#define IS_REFUSED "+ eyJzdGF0dXMiOiI0MDEifQ==\r\n"

static const struct dialog overtakings[] = {
    { "a whole command",
      { { CLIENT, BEARER "b NOOP\r\n" }, COMES, REFUSAL, { SERVER, "a BAD cancelled\r\n" }, { WAIT, "2000" } },
      BEARER "*\r\n<end>",
      "a NO [AUTHENTICATIONFAILED] Authentication failed.\r\nb OK NOOP completed.\r\n" },
    { "the server's own NO is passed on",
      { { CLIENT, BEARER "b NOOP\r\n" }, COMES, REFUSAL, { SERVER, WRONG }, { WAIT, "2000" } },
      BEARER "*\r\n<end>",
      WRONG "b OK NOOP completed.\r\n" },
    { "one octet that can begin no answer",
      { { CLIENT, BEARER "b" }, COMES, REFUSAL, { SERVER, WRONG }, { CLIENT, " NOOP\r\n" }, { WAIT, "2000" } },
      BEARER "*\r\n<end>",
      WRONG "b OK NOOP completed.\r\n" },
    { "one that can, and does not",
      { { CLIENT, BEARER "A" }, COMES, REFUSAL, { CLIENT, "1 NOOP\r\n" }, { SERVER, WRONG }, { WAIT, "2000" } },
      BEARER "*\r\n<end>",
      IS_REFUSED WRONG "A1 OK NOOP completed.\r\n" },
    { "one that can, and does",
      { { CLIENT, BEARER "A" }, COMES, REFUSAL, { CLIENT, "Q==\r\n" }, { SERVER, WRONG }, { WAIT, "2000" } },
      BEARER "AQ==\r\n<end>",
      IS_REFUSED WRONG },
    { "an answer ahead is one",
      { { CLIENT, BEARER "\r\n" }, COMES, REFUSAL, { SERVER, WRONG }, { WAIT, "2000" } },
      BEARER "\r\n<end>",
      IS_REFUSED WRONG },
    { "behind the challenge any line is an answer",
      { { CLIENT, BEARER }, COMES, REFUSAL, { CLIENT, "b NOOP\r\n" }, { SERVER, WRONG }, { WAIT, "2000" } },
      BEARER "b NOOP\r\n<end>",
      IS_REFUSED WRONG },
};

TEST(a_command_that_overtakes_a_challenge_is_no_answer_to_it)
{
    PLAY_ALL(overtakings, greet);
}

/* --- failures --- */

#define LOGS_IN { CLIENT, "a LOGIN ann secret\r\n" }, COMES

static const struct dialog delays[] = {
    { "commands wait with it",
      { LOGS_IN, { SERVER, WRONG }, { CLIENT, "b NOOP\r\n" }, { WAIT, "1999" } },
      SERVER_HEARS_LOGIN "<end>",
      "" },
    { "and no longer",
      { LOGS_IN, { SERVER, WRONG }, { CLIENT, "b NOOP\r\n" }, { WAIT, "2000" } },
      SERVER_HEARS_LOGIN "<end>",
      WRONG "b OK NOOP completed.\r\n" },
    { "a client that ends meanwhile is answered",
      { LOGS_IN, { SERVER, WRONG }, { CLIENT_ENDS, NULL }, { WAIT, "2000" } },
      SERVER_HEARS_LOGIN "<end>",
      WRONG "<end>" },
    { "one that is lost is not",
      { LOGS_IN, { SERVER, WRONG }, { CLIENT_IS_LOST, NULL }, { WAIT, "2000" } },
      SERVER_HEARS_LOGIN "<end>",
      "<end>" },
    { "the daemon does not wait for it",
      { LOGS_IN, { SERVER, WRONG }, { STOP, NULL } },
      SERVER_HEARS_LOGIN "<end>",
      "* BYE imapstate is shutting down.\r\n<end>" },
    { "nor for an answer",
      { LOGS_IN, { STOP, NULL } },
      SERVER_HEARS_LOGIN "<end>",
      "* BYE imapstate is shutting down.\r\n<end>" },
};

TEST(a_failed_login_is_answered_after_a_while)
{
    PLAY_ALL(delays, greet);
}

static void greet_twice(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    greet_with(rig, OWN_OPTIONS "max_login_failures = 2\n" RIG_CONFIG, ret_client);
    *ret_server = NULL;
}

#define TOO_MANY "* BYE Too many failed logins.\r\n<end>"

static const struct dialog countings[] = {
    { "refusals",
      { LOGS_IN, { SERVER, WRONG }, { WAIT, "2000" }, LOGS_IN, { SERVER, WRONG }, { WAIT, "2000" } },
      SERVER_HEARS_LOGIN "<end><next>" SERVER_HEARS_LOGIN "<end>",
      WRONG WRONG TOO_MANY },
    { "what cannot be read", { { CLIENT, "a LOGIN ann\r\na LOGIN\r\nb NOOP\r\n" } }, "", LOGIN_BAD LOGIN_BAD TOO_MANY },
    { "what is cancelled",
      { { CLIENT, "a AUTHENTICATE PLAIN\r\n*\r\na AUTHENTICATE PLAIN\r\n*\r\nb NOOP\r\n" } },
      "",
      "+ \r\na BAD Authentication cancelled.\r\n+ \r\na BAD Authentication cancelled.\r\n" TOO_MANY },
    { "not what nobody has judged",
      { { CLIENT, "a LOGIN ann secret\r\na LOGIN ann secret\r\na LOGIN ann secret\r\n" },
        { SERVER_REFUSES, NULL },
        { SERVER_REFUSES, NULL },
        { SERVER_REFUSES, NULL },
        { CLIENT, "b NOOP\r\n" } },
      "",
      "a NO [UNAVAILABLE] The mail server cannot be reached.\r\n"
      "a NO [UNAVAILABLE] The mail server cannot be reached.\r\n"
      "a NO [UNAVAILABLE] The mail server cannot be reached.\r\n"
      "b OK NOOP completed.\r\n" },
    { "mechanisms that are not offered are no logins",
      { { CLIENT, "a AUTHENTICATE GSSAPI\r\na AUTHENTICATE GSSAPI\r\na AUTHENTICATE GSSAPI\r\nb NOOP\r\n" } },
      "",
      "a NO [CANNOT] Mechanism is not offered.\r\na NO [CANNOT] Mechanism is not offered.\r\n"
      "a NO [CANNOT] Mechanism is not offered.\r\nb OK NOOP completed.\r\n" },
};

TEST(so_many_failures_end_the_connection)
{
    PLAY_ALL(countings, greet_twice);
}

static void greet_briefly(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    greet_with(rig, OWN_OPTIONS "login_timeout = \"1s\"\n" RIG_CONFIG, ret_client);
    *ret_server = NULL;
}

#define TIMED_OUT "* BYE Autologout; no login in time.\r\n<end>"

static const struct dialog timeouts[] = {
    { "without a word", { { WAIT, "1000" } }, "", TIMED_OUT },
    { "not before it is over", { { WAIT, "999" } }, "", "" },
    { "with words that are no login",
      { { WAIT, "600" }, { CLIENT, "b NOOP\r\n" }, { WAIT, "400" } },
      "",
      "b OK NOOP completed.\r\n" TIMED_OUT },
    { "in the middle of a command", { { CLIENT, "a LOGIN an" }, { WAIT, "1000" } }, "", TIMED_OUT },
    { "of a literal", { { CLIENT, "a LOGIN {3}\r\nan" }, { WAIT, "1000" } }, "", "+ OK\r\n" TIMED_OUT },
    { "of a dialog", { { CLIENT, "a AUTHENTICATE PLAIN\r\n" }, { WAIT, "1000" } }, "", "+ \r\n" TIMED_OUT },
    { "while the server thinks", { LOGS_IN, { WAIT, "1000" } }, SERVER_HEARS_LOGIN "<end>", TIMED_OUT },
    { "while a failure waits",
      { LOGS_IN, { SERVER, WRONG }, { WAIT, "1000" } },
      SERVER_HEARS_LOGIN "<end>",
      TIMED_OUT },
    { "not once it is through",
      { { CLIENT, "a LOGIN ann secret\r\n" }, IN, { WAIT, "60000" }, { CLIENT, "b NOOP\r\n" } },
      SERVER_HEARS_LOGIN "b NOOP\r\n",
      IS_IN },
};

TEST(there_is_a_time_for_logins)
{
    PLAY_ALL(timeouts, greet_briefly);
}

/* --- without TLS --- */

static struct certificate certificate;

static void greet_before_tls(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    char config[512];
    snprintf(config, sizeof config,
             OWN_OPTIONS "listener \"l\" { address = \"127.0.0.1:1143\" tls = \"starttls\" tls_cert_file = \"%s\" "
                         "tls_key_file = \"%s\" upstream = \"main\" }\n" RIG_UPSTREAM(""),
             certificate.cert_file, certificate.key_file);
    greet_with(rig, config, ret_client);
    *ret_server = NULL;
}

#define TLS_FIRST "a NO [PRIVACYREQUIRED] STARTTLS is required first.\r\n"

static const struct dialog unencrypted[] = {
    { "LOGIN", { { CLIENT, "a LOGIN ann secret\r\n" } }, "", TLS_FIRST },
    { "AUTHENTICATE", { { CLIENT, "a AUTHENTICATE PLAIN " PLAIN "\r\n" } }, "", TLS_FIRST },
    { "which asks for no message",
      { { CLIENT, "a AUTHENTICATE PLAIN\r\nb NOOP\r\n" } },
      "",
      TLS_FIRST "b OK NOOP completed.\r\n" },
    { "as often as one likes",
      { { CLIENT, "a LOGIN ann x\r\na LOGIN ann x\r\na LOGIN ann x\r\na LOGIN ann x\r\nb NOOP\r\n" } },
      "",
      TLS_FIRST TLS_FIRST TLS_FIRST TLS_FIRST "b OK NOOP completed.\r\n" },
    { "what is no login is told so", { { CLIENT, "a LOGIN ann\r\n" } }, "", LOGIN_BAD },
};

TEST(no_password_is_taken_unencrypted)
{
    certificate_make(&certificate, "localhost");
    PLAY_ALL(unencrypted, greet_before_tls);
    certificate_done(&certificate);
}

TEST(who_says_too_much_before_a_login_is_hung_up_on)
{
    struct rig rig;
    struct wire *client;
    char line[8000] = "a NOOP ";
    greet_with(&rig, OWN_OPTIONS RIG_CONFIG, &client);
    memset(line + 7, 'x', sizeof line - 10);
    memcpy(line + sizeof line - 3, "\r\n", 3);
    for (size_t said = 0; said + sizeof line - 1 <= 65536; said += sizeof line - 1) {
        rig_say(&rig, client, line);
        assert_string_equal(wire_take(client), "a OK NOOP completed.\r\n");
    }
    rig_say(&rig, client, line);
    assert_string_equal(wire_take(client), "* BYE Too much input before login.\r\n");
    assert_true(client->is_shut);
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(login_takes_a_user_and_a_password_in_whatever_form),
        cmocka_unit_test(authenticate_takes_each_mechanism_in_its_own_way),
        cmocka_unit_test(a_command_that_overtakes_a_challenge_is_no_answer_to_it),
        cmocka_unit_test(a_failed_login_is_answered_after_a_while),
        cmocka_unit_test(so_many_failures_end_the_connection),
        cmocka_unit_test(there_is_a_time_for_logins),
        cmocka_unit_test(no_password_is_taken_unencrypted),
        cmocka_unit_test(who_says_too_much_before_a_login_is_hung_up_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
