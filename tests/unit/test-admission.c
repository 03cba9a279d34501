#include "check.h"

#include "dialog.h"
#include "rig.h"

/* What the server offers, and what of it a client is shown after its login. */
#define LIST                                                                                                           \
    "IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=LOGIN AUTH=SCRAM-SHA-256 AUTH=XOAUTH2 AUTH=OAUTHBEARER AUTH=CRAM-MD5 UNSELECT"
#define AFTER    "IMAP4rev1 UNSELECT"
#define SHOWN    "IMAP4rev1 UNSELECT LITERAL+ STATE"
#define GREETING "* OK [CAPABILITY " LIST "] ready\r\n"
#define IN       "a OK [CAPABILITY " AFTER "] in\r\n"
#define IN_SHOWN "a OK [CAPABILITY " SHOWN "] in\r\n"

#define PLAIN   "AGFubgBzZWNyZXQ="                     /* NUL ann NUL secret */
#define SCRAM   "biwsbj1hbm4scj1hYmM="                 /* n,,n=ann,r=abc */
#define XOAUTH2 "dXNlcj1hbm4BYXV0aD1CZWFyZXIgdG9rAQE=" /* user=ann ^A auth=Bearer tok ^A ^A */
#define CRAM    "YW5uIDAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVm"

#define UNREACHABLE "a NO [UNAVAILABLE] The mail server cannot be reached.\r\n"
#define SENSELESS   "* BYE [UNAVAILABLE] The mail server's answer makes no sense.\r\n"

#define CONFIG "languages = \"off\"\n" RIG_CONFIG

static void greet_with(struct rig *rig, const char *config, const char *list, struct wire **ret_client)
{
    rig_begin(rig, config);
    *ret_client = rig_greet(rig, list);
}

static void greet(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    greet_with(rig, CONFIG, LIST, ret_client);
    *ret_server = NULL;
}

#define PLAY_ALL(dialogs, begin) dialog_play_all(dialogs, ARRAY_LEN(dialogs), begin)

/* --- a password --- */

static const struct dialog passwords[] = {
    { "LOGIN goes up as LOGIN, and its OK comes down",
      { { CLIENT, "a LOGIN ann secret\r\n" }, { SERVER_COMES, NULL }, { SERVER, GREETING }, { SERVER, IN } },
      "a LOGIN \"ann\" \"secret\"\r\n",
      IN_SHOWN },
    { "PLAIN goes up as PLAIN, in one line where the server has SASL-IR",
      { { CLIENT, "a AUTHENTICATE PLAIN\r\n" },
        { CLIENT, PLAIN "\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, GREETING },
        { SERVER, IN } },
      "a AUTHENTICATE PLAIN " PLAIN "\r\n",
      "+ \r\n" IN_SHOWN },
    { "a list of the server's own is told with the OK",
      { { CLIENT, "a LOGIN ann secret\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, GREETING },
        { SERVER, "* CAPABILITY " AFTER " X-ONE\r\na OK in\r\n" } },
      "a LOGIN \"ann\" \"secret\"\r\n",
      "a OK [CAPABILITY IMAP4rev1 UNSELECT X-ONE LITERAL+ STATE] in\r\n" },
    { "and where there is none, it is asked for",
      { { CLIENT, "a LOGIN ann secret\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, GREETING },
        { SERVER, "a OK in\r\n" },
        { SERVER, "* CAPABILITY " AFTER "\r\nimapstate OK done\r\n" } },
      "a LOGIN \"ann\" \"secret\"\r\nimapstate CAPABILITY\r\n",
      IN_SHOWN },
    { "the client hears nothing until that has been answered",
      { { CLIENT, "a LOGIN ann secret\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, GREETING },
        { SERVER, "a OK in\r\n* CAPABILITY " AFTER "\r\n" } },
      "a LOGIN \"ann\" \"secret\"\r\nimapstate CAPABILITY\r\n",
      "" },
    { "without a list nobody is let in",
      { { CLIENT, "a LOGIN ann secret\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, GREETING },
        { SERVER, "a OK in\r\n" },
        { SERVER, "imapstate OK done\r\n" } },
      "a LOGIN \"ann\" \"secret\"\r\nimapstate CAPABILITY\r\n<end>",
      UNREACHABLE },
    { "nor by a tagged answer of something else",
      { { CLIENT, "a LOGIN ann secret\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, GREETING },
        { SERVER, "a OK in\r\n" },
        { SERVER, "* CAPABILITY " AFTER "\r\na OK done\r\n" } },
      "a LOGIN \"ann\" \"secret\"\r\nimapstate CAPABILITY\r\n<end>",
      UNREACHABLE },
    { "a tagged answer to another command lets nobody in",
      { { CLIENT, "a LOGIN ann secret\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, GREETING },
        { SERVER, "b OK [CAPABILITY " LIST "] in\r\n" } },
      "a LOGIN \"ann\" \"secret\"\r\n<end>",
      UNREACHABLE },
    { "an OK that comes twice ends the session",
      { { CLIENT, "a LOGIN ann secret\r\n" }, { SERVER_COMES, NULL }, { SERVER, GREETING }, { SERVER, IN IN } },
      "a LOGIN \"ann\" \"secret\"\r\nimapstate LOGOUT\r\n",
      IN_SHOWN SENSELESS "<end>" },
    { "what the server says besides is the client's",
      { { CLIENT, "a LOGIN ann secret\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, GREETING },
        { SERVER, "* OK motd\r\n* 3 EXISTS\r\n" IN } },
      "a LOGIN \"ann\" \"secret\"\r\n",
      "* OK motd\r\n* 3 EXISTS\r\n" IN_SHOWN },
    { "the parts of a LOGIN that has to wait go up one by one",
      { { CLIENT, "a LOGIN \"a\\\"n\" secret\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, "* OK [CAPABILITY IMAP4rev1] ready\r\n" },
        { SERVER, "* CAPABILITY IMAP4rev1\r\nimapstate OK done\r\n" },
        { SERVER, "+ go\r\n" },
        { SERVER, "a OK [CAPABILITY IMAP4rev1] in\r\n" } },
      "imapstate CAPABILITY\r\na LOGIN {3}\r\na\"n \"secret\"\r\n",
      "a OK [CAPABILITY IMAP4rev1 LITERAL+ STATE] in\r\n" },
    { "a server that wants more than a password gets none of the client's lines",
      { { CLIENT, "a LOGIN ann secret\r\nb NOOP\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, GREETING },
        { SERVER, "+ more\r\n" },
        { SERVER, "a NO [AUTHENTICATIONFAILED] cancelled\r\n" } },
      "a LOGIN \"ann\" \"secret\"\r\n*\r\n<end>",
      "a NO [CANNOT] The mail server does not offer this way to log in.\r\nb OK NOOP completed.\r\n" },
    { "nor if it asks again and again",
      { { CLIENT, "a LOGIN ann secret\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, GREETING },
        { SERVER, "+ more\r\n+ more\r\n" } },
      "a LOGIN \"ann\" \"secret\"\r\n*\r\n*\r\n",
      "" },
};

TEST(a_password_goes_up_once_and_the_answer_comes_down_with_the_list)
{
    PLAY_ALL(passwords, greet);
}

/* --- no --- */

#define UP                                                                                                             \
    { CLIENT, "a LOGIN ann secret\r\n" }, { SERVER_COMES, NULL },                                                      \
    {                                                                                                                  \
        SERVER, GREETING                                                                                               \
    }
#define LOGIN "a LOGIN \"ann\" \"secret\"\r\n"

static const struct dialog refusals[] = {
    { "a refusal waits",
      { UP, { SERVER, "a NO [AUTHENTICATIONFAILED] wrong\r\n" }, { WAIT, "1999" } },
      LOGIN "<end>",
      "" },
    { "and comes as it is",
      { UP, { SERVER, "a NO [AUTHENTICATIONFAILED] wrong\r\n" }, { WAIT, "2000" } },
      LOGIN "<end>",
      "a NO [AUTHENTICATIONFAILED] wrong\r\n" },
    { "without the referral, which would lead past the gateway",
      { UP, { SERVER, "a NO [REFERRAL imap://ann@other/] try there\r\n" }, { SERVER_REFUSES, NULL }, { WAIT, "2000" } },
      LOGIN "<end>",
      "a NO try there\r\n" },
    { "an OK has none either",
      { UP, { SERVER, "* CAPABILITY " AFTER "\r\na OK [REFERRAL imap://ann@other/] in\r\n" } },
      LOGIN,
      IN_SHOWN },
    { "a server that hangs up says why",
      { UP, { SERVER, "* BYE closed for repair\r\n" }, { SERVER_ENDS, NULL } },
      LOGIN "<end>",
      "a NO [UNAVAILABLE] closed for repair\r\n" },
    { "nobody else's bytes are in that",
      { UP, { SERVER, "* BYE [X-CODE] bad \x01 \xff ones\r\n" }, { SERVER_ENDS, NULL } },
      LOGIN "<end>",
      "a NO [UNAVAILABLE] bad ? ? ones\r\n" },
    { "a BYE without an end is waited for", { UP, { SERVER, "* BYE closed\r\n" } }, LOGIN, "" },
    { "a BYE in place of a greeting",
      { { CLIENT, "a LOGIN ann secret\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, "* BYE full\r\n" },
        { SERVER_ENDS, NULL } },
      "<end>",
      "a NO [UNAVAILABLE] full\r\n" },
    { "a server that ends without a word", { UP, { SERVER_ENDS, NULL } }, LOGIN "<end>", UNREACHABLE },
    { "one that is lost", { UP, { SERVER_IS_LOST, NULL } }, LOGIN "<end>", UNREACHABLE },
    { "one that cannot be connected to",
      { { CLIENT, "a LOGIN ann secret\r\n" }, { SERVER_REFUSES, NULL } },
      "",
      UNREACHABLE },
    { "one that is lost before it greets",
      { { CLIENT, "a LOGIN ann secret\r\n" }, { SERVER_COMES, NULL }, { SERVER_IS_LOST, NULL } },
      "<end>",
      UNREACHABLE },
    { "one that is lost in its list",
      { { CLIENT, "a LOGIN ann secret\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, "* OK ready\r\n* CAPAB" },
        { SERVER_IS_LOST, NULL } },
      "imapstate CAPABILITY\r\n<end>",
      UNREACHABLE },
    { "one that is lost while its list is asked for",
      { UP, { SERVER, "a OK in\r\n* CAPABILITY " AFTER "\r\n" }, { SERVER_ENDS, NULL } },
      LOGIN "imapstate CAPABILITY\r\n<end>",
      UNREACHABLE },
    { "one that is silent is waited for", { UP, { WAIT, "59999" } }, LOGIN, "" },
    { "but not for ever", { UP, { WAIT, "60000" } }, LOGIN "<end>", UNREACHABLE },
    { "and from each word on anew",
      { UP, { WAIT, "59999" }, { SERVER, "a OK in\r\n" }, { WAIT, "59999" } },
      LOGIN "imapstate CAPABILITY\r\n",
      "" },
    { "its silence at the list ends it, too",
      { UP, { SERVER, "a OK in\r\n" }, { WAIT, "60000" } },
      LOGIN "imapstate CAPABILITY\r\n<end>",
      UNREACHABLE },
    { "a refusal that says nothing of the password is tried by another way, once",
      { UP, { SERVER, "a NO wrong\r\n" }, { SERVER_COMES, NULL }, { SERVER, GREETING }, { SERVER, IN } },
      LOGIN "<end><next>a AUTHENTICATE PLAIN " PLAIN "\r\n",
      IN_SHOWN },
    { "and if that is refused as well, the second answer counts",
      { UP,
        { SERVER, "a NO wrong\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, GREETING },
        { SERVER, "a NO [AUTHENTICATIONFAILED] still wrong\r\n" },
        { WAIT, "2000" } },
      LOGIN "<end><next>a AUTHENTICATE PLAIN " PLAIN "\r\n<end>",
      "a NO [AUTHENTICATIONFAILED] still wrong\r\n" },
    { "there is no third",
      { UP,
        { SERVER, "a NO wrong\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, GREETING },
        { SERVER, "a NO still wrong\r\n" },
        { WAIT, "2000" } },
      LOGIN "<end><next>a AUTHENTICATE PLAIN " PLAIN "\r\n<end>",
      "a NO still wrong\r\n" },
    { "but if it shows nothing, the first",
      { UP, { SERVER, "a NO wrong\r\n" }, { SERVER_REFUSES, NULL }, { WAIT, "2000" } },
      LOGIN "<end>",
      "a NO wrong\r\n" },
    { "not after a judgement", { UP, { SERVER, "a NO [AUTHENTICATIONFAILED] wrong\r\n" } }, LOGIN "<end>", "" },
    { "too many connections, and none that could make room",
      { UP, { SERVER, "a NO [LIMIT] too many connections\r\n" }, { WAIT, "2000" } },
      LOGIN "<end>",
      "a NO [LIMIT] too many connections\r\n" },
    { "a client that goes meanwhile", { UP, { CLIENT_IS_LOST, NULL } }, LOGIN "<end>", "<end>" },
    { "a client that has said all is answered, and its connection is parked",
      { UP, { CLIENT_ENDS, NULL }, { SERVER, IN } },
      LOGIN,
      IN_SHOWN "<end>" },
};

TEST(whatever_goes_wrong_the_client_is_answered_once)
{
    PLAY_ALL(refusals, greet);
}

/* --- challenges --- */

#define SCRAM_UP                                                                                                       \
    { CLIENT, "a AUTHENTICATE SCRAM-SHA-256\r\n" }, { CLIENT, SCRAM "\r\n" }, { SERVER_COMES, NULL },                  \
    {                                                                                                                  \
        SERVER, GREETING                                                                                               \
    }
#define SCRAM_SAID "a AUTHENTICATE SCRAM-SHA-256 " SCRAM "\r\n"

#define BEARER_UP                                                                                                      \
    { CLIENT, "a AUTHENTICATE XOAUTH2 " XOAUTH2 "\r\n" }, { SERVER_COMES, NULL },                                      \
    {                                                                                                                  \
        SERVER, GREETING                                                                                               \
    }
#define BEARER_SAID "a AUTHENTICATE XOAUTH2 " XOAUTH2 "\r\n"

static const struct dialog challenges[] = {
    { "SCRAM passes word for word",
      { SCRAM_UP,
        { SERVER, "+ c2VydmVy\r\n" },
        { CLIENT, "Y2xpZW50\r\n" },
        { SERVER, "+ dj1RVUpE\r\n" },
        { CLIENT, "\r\n" },
        { SERVER, IN } },
      SCRAM_SAID "Y2xpZW50\r\n\r\n",
      "+ \r\n+ c2VydmVy\r\n+ dj1RVUpE\r\n" IN_SHOWN },
    { "a challenge that comes twice is passed on twice, and is answered once for each",
      { SCRAM_UP,
        { SERVER, "+ c2VydmVy\r\n+ c2VydmVy\r\n" },
        { CLIENT, "Y2xpZW50\r\n" },
        { SERVER, "a NO [AUTHENTICATIONFAILED] no\r\n" },
        { WAIT, "2000" } },
      SCRAM_SAID "Y2xpZW50\r\n<end>",
      "+ \r\n+ c2VydmVy\r\n+ c2VydmVy\r\na NO [AUTHENTICATIONFAILED] no\r\n" },
    { "a challenge is a word: from then on the server has its time anew",
      { SCRAM_UP, { WAIT, "59999" }, { SERVER, "+ c2VydmVy\r\n" }, { WAIT, "59999" } },
      SCRAM_SAID,
      "+ \r\n+ c2VydmVy\r\n" },
    { "which ends",
      { SCRAM_UP, { WAIT, "59999" }, { SERVER, "+ c2VydmVy\r\n" }, { WAIT, "60000" } },
      SCRAM_SAID "<end>",
      "+ \r\n+ c2VydmVy\r\n" UNREACHABLE },
    { "an OK while a challenge is open: the next line might be a password",
      { SCRAM_UP, { SERVER, "+ c2VydmVy\r\n" IN }, { CLIENT, "Y2xpZW50\r\n" } },
      SCRAM_SAID "<end>",
      "+ \r\n+ c2VydmVy\r\n" SENSELESS "<end>" },
    { "a NO while a challenge is open is an answer",
      { SCRAM_UP,
        { SERVER, "+ c2VydmVy\r\na NO [AUTHENTICATIONFAILED] no\r\n" },
        { CLIENT, "b NOOP\r\n" },
        { WAIT, "2000" } },
      SCRAM_SAID "<end>",
      "+ \r\n+ c2VydmVy\r\na NO [AUTHENTICATIONFAILED] no\r\nb OK NOOP completed.\r\n" },
    { "the server is lost while its challenge is open",
      { SCRAM_UP, { SERVER, "+ c2VydmVy\r\n" }, { SERVER_ENDS, NULL }, { CLIENT, "b NOOP\r\n" } },
      SCRAM_SAID "<end>",
      "+ \r\n+ c2VydmVy\r\n" UNREACHABLE "b OK NOOP completed.\r\n" },
    { "the client goes while it is open",
      { SCRAM_UP, { SERVER, "+ c2VydmVy\r\n" }, { CLIENT_ENDS, NULL } },
      SCRAM_SAID "<end>",
      "+ \r\n+ c2VydmVy\r\n<end>" },
    { "the client gives up",
      { SCRAM_UP,
        { SERVER, "+ c2VydmVy\r\n" },
        { CLIENT, "*\r\n" },
        { SERVER, "a BAD cancelled\r\n" },
        { CLIENT, "b NOOP\r\n" } },
      SCRAM_SAID "*\r\n<end>",
      "+ \r\n+ c2VydmVy\r\na BAD cancelled\r\nb OK NOOP completed.\r\n" },
    { "and the server is lost then",
      { SCRAM_UP, { SERVER, "+ c2VydmVy\r\n" }, { CLIENT, "*\r\n" }, { SERVER_ENDS, NULL } },
      SCRAM_SAID "*\r\n<end>",
      "+ \r\n+ c2VydmVy\r\n" UNREACHABLE },
    { "or lets it in",
      { SCRAM_UP, { SERVER, "+ c2VydmVy\r\n" }, { CLIENT, "*\r\n" }, { SERVER, IN } },
      SCRAM_SAID "*\r\n",
      "+ \r\n+ c2VydmVy\r\n" IN_SHOWN },
    { "or challenges again, which the gateway withdraws by itself",
      { SCRAM_UP,
        { SERVER, "+ c2VydmVy\r\n" },
        { CLIENT, "*\r\n" },
        { SERVER, "+ c2VydmVy\r\n" },
        { SERVER, "a BAD cancelled\r\n" } },
      SCRAM_SAID "*\r\n*\r\n<end>",
      "+ \r\n+ c2VydmVy\r\na BAD cancelled\r\n" },
    { "a bearer token that is good", { BEARER_UP, { SERVER, IN } }, BEARER_SAID, IN_SHOWN },
    { "one that is refused by a challenge",
      { BEARER_UP,
        { SERVER, "+ eyJzdGF0dXMiOiI0MDEifQ==\r\n" },
        { CLIENT, "\r\n" },
        { SERVER, "a NO [AUTHENTICATIONFAILED] expired\r\n" },
        { WAIT, "2000" } },
      BEARER_SAID "\r\n<end>",
      "+ eyJzdGF0dXMiOiI0MDEifQ==\r\na NO [AUTHENTICATIONFAILED] expired\r\n" },
    { "to which the client says *",
      { BEARER_UP,
        { SERVER, "+ eyJzdGF0dXMiOiI0MDEifQ==\r\n" },
        { CLIENT, "*\r\n" },
        { SERVER, "a NO expired\r\n" },
        { WAIT, "2000" } },
      BEARER_SAID "*\r\n<end>",
      "+ eyJzdGF0dXMiOiI0MDEifQ==\r\na NO expired\r\n" },
    { "which a command has overtaken: the server does not get it",
      { { CLIENT, "a AUTHENTICATE XOAUTH2 " XOAUTH2 "\r\nb NOOP\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, GREETING },
        { SERVER, "+ eyJzdGF0dXMiOiI0MDEifQ==\r\n" },
        { SERVER, "a BAD cancelled\r\n" },
        { WAIT, "2000" } },
      BEARER_SAID "*\r\n<end>",
      "a NO [AUTHENTICATIONFAILED] Authentication failed.\r\nb OK NOOP completed.\r\n" },
    { "without an initial response an empty challenge is answered by the token",
      { { CLIENT, "a AUTHENTICATE XOAUTH2 " XOAUTH2 "\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, "* OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2] ready\r\n" },
        { SERVER, "* CAPABILITY IMAP4rev1 AUTH=XOAUTH2\r\nimapstate OK done\r\n" },
        { SERVER, "+ \r\n" },
        { SERVER, "a OK [CAPABILITY IMAP4rev1] in\r\n" } },
      "imapstate CAPABILITY\r\na AUTHENTICATE XOAUTH2\r\n" XOAUTH2 "\r\n",
      "a OK [CAPABILITY IMAP4rev1 LITERAL+ STATE] in\r\n" },
    { "CRAM-MD5: the server speaks first",
      { { CLIENT, "a AUTHENTICATE CRAM-MD5\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, GREETING },
        { SERVER, "+ PDEuMkBob3N0Pg==\r\n" },
        { CLIENT, CRAM "\r\n" },
        { SERVER, IN } },
      "a AUTHENTICATE CRAM-MD5\r\n" CRAM "\r\n",
      "+ PDEuMkBob3N0Pg==\r\n" IN_SHOWN },
    { "a mechanism that this server does not have, after all",
      { { CLIENT, "a AUTHENTICATE CRAM-MD5\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, "* OK [CAPABILITY IMAP4rev1] ready\r\n" },
        { SERVER, "* CAPABILITY IMAP4rev1\r\nimapstate OK done\r\n" } },
      "imapstate CAPABILITY\r\n<end>",
      "a NO [CANNOT] The mail server does not offer this way to log in.\r\n" },
};

TEST(challenges_pass_between_client_and_server_and_to_nobody_else)
{
    PLAY_ALL(challenges, greet);
}

/* --- alerts --- */

static const struct dialog alerts[] = {
    { "that a server tells whoever connects",
      { { CLIENT, "a LOGIN ann secret\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, "* OK [CAPABILITY " LIST "] ready\r\n* OK [ALERT] down at noon\r\n" },
        { SERVER, IN } },
      LOGIN,
      "* OK [ALERT] down at noon\r\n" IN_SHOWN },
    { "each is told once, however often it comes",
      { UP,
        { SERVER, "* OK [ALERT] down at noon\r\n* OK [ALERT] down at noon\r\n* NO [ALERT] full\r\n" },
        { SERVER, IN } },
      LOGIN,
      "* OK [ALERT] down at noon\r\n* NO [ALERT] full\r\n" IN_SHOWN },
    { "an alert that is the answer",
      { UP, { SERVER, "a NO [ALERT] Go to the web first\r\n" }, { WAIT, "2000" } },
      LOGIN "<end>",
      "a NO [ALERT] Go to the web first\r\n" },
    { "a BYE that is one is told at once, as the session goes on, and says why",
      { UP, { SERVER, "* BYE [ALERT] closed\r\n" }, { SERVER_ENDS, NULL } },
      LOGIN "<end>",
      "* NO [ALERT] closed\r\na NO [UNAVAILABLE] closed\r\n" },
};

TEST(an_alert_reaches_the_client_once)
{
    PLAY_ALL(alerts, greet);
}

/* --- room --- */

static void park_one(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    rig_begin(rig, CONFIG);
    *ret_server = rig_greet_beside_parked(rig, LIST, ret_client);
}

#define OTHER_UP                                                                                                       \
    { CLIENT, "a AUTHENTICATE SCRAM-SHA-256\r\n" }, { CLIENT, SCRAM "\r\n" }, { SERVER_COMES, NULL },                  \
    {                                                                                                                  \
        SERVER, GREETING                                                                                               \
    }
#define CROWDED         "a NO [LIMIT] Too many connections from you\r\n"
#define CROWDED_BY_USER "a NO [LIMIT] Maximum number of connections from user+IP exceeded\r\n"

static const struct dialog crowds[] = {
    { "a parked connection makes room, and it is tried again",
      { OTHER_UP, { SERVER, CROWDED }, { WAIT, "20" }, { SERVER_COMES, NULL }, { SERVER, GREETING }, { SERVER, IN } },
      "imapstate LOGOUT\r\n<end><next>" SCRAM_SAID "<end><next>" SCRAM_SAID,
      "+ \r\n" IN_SHOWN },
    { "not before the server may have seen its end",
      { OTHER_UP, { SERVER, CROWDED }, { WAIT, "19" } },
      "imapstate LOGOUT\r\n<end><next>" SCRAM_SAID "<end>",
      "+ \r\n" },
    { "three times, and not a fourth",
      { OTHER_UP,
        { SERVER, CROWDED },
        { WAIT, "20" },
        { SERVER_COMES, NULL },
        { SERVER, GREETING },
        { SERVER, CROWDED },
        { WAIT, "100" },
        { SERVER_COMES, NULL },
        { SERVER, GREETING },
        { SERVER, CROWDED },
        { WAIT, "400" },
        { SERVER_COMES, NULL },
        { SERVER, GREETING },
        { SERVER, CROWDED },
        { WAIT, "2000" } },
      "imapstate LOGOUT\r\n<end><next>" SCRAM_SAID "<end><next>" SCRAM_SAID "<end><next>" SCRAM_SAID
      "<end><next>" SCRAM_SAID "<end>",
      "+ \r\n" CROWDED },
    { "two that are refused at the same time: the second finds nothing left to end, and is tried again all the same",
      { OTHER_UP,
        { CLIENT_COMES, NULL },
        OTHER_UP,
        { SERVER, CROWDED_BY_USER },
        { SERVER_BEFORE, NULL },
        { SERVER, CROWDED_BY_USER },
        { WAIT, "20" },
        { SERVER_COMES, NULL },
        { SERVER, GREETING },
        { SERVER_COMES, NULL },
        { SERVER, GREETING } },
      "imapstate LOGOUT\r\n<end><next>" SCRAM_SAID "<end><next>" SCRAM_SAID "<end><next>" SCRAM_SAID
      "<next>" SCRAM_SAID,
      "+ \r\n<next>* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=LOGIN AUTH=XOAUTH2 AUTH=OAUTHBEARER UNSELECT "
      "LITERAL+ STATE] imapstate ready.\r\n+ \r\n" },
    { "what a client has answered a challenge for is not tried again",
      { OTHER_UP, { SERVER, "+ c2VydmVy\r\n" }, { CLIENT, "Y2xpZW50\r\n" }, { SERVER, CROWDED }, { WAIT, "2000" } },
      "imapstate LOGOUT\r\n<end><next>" SCRAM_SAID "Y2xpZW50\r\n<end>",
      "+ \r\n+ c2VydmVy\r\n" CROWDED },
    { "a client that goes while its next try waits",
      { OTHER_UP, { SERVER, CROWDED }, { CLIENT_IS_LOST, NULL }, { WAIT, "2000" } },
      "imapstate LOGOUT\r\n<end><next>" SCRAM_SAID "<end>",
      "+ \r\n<end>" },
};

TEST(parked_connections_make_room_for_a_login)
{
    PLAY_ALL(crowds, park_one);
}

/* --- places --- */

#define CROWDED_CONFIG "languages = \"off\"\n" RIG_LISTENER("") RIG_UPSTREAM("max_logins = 1 queue_timeout = \"5s\"")

/* Another client's login is under way. */
static void greet_behind(struct rig *rig, const char *command, struct wire **ret_client, struct wire **ret_server)
{
    rig_begin(rig, CROWDED_CONFIG);
    struct wire *first = rig_greet(rig, LIST);
    rig_say(rig, first, command);
    *ret_server = rig_server(rig);
    *ret_client = rig_come(rig);
    rig_pass(rig, 0);
    wire_take(*ret_client);
}

static void greet_behind_login(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    greet_behind(rig, "f LOGIN bob secret\r\n", ret_client, ret_server);
}

static void greet_behind_scram(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    greet_behind(rig, "f AUTHENTICATE SCRAM-SHA-256 " SCRAM "\r\n", ret_client, ret_server);
}

#define BOB "f LOGIN \"bob\" \"secret\"\r\n"
#define WAITS                                                                                                          \
    { CLIENT, "a LOGIN ann secret\r\n" },                                                                              \
    {                                                                                                                  \
        SERVER, GREETING                                                                                               \
    }
#define COMES_IN                                                                                                       \
    { SERVER_COMES, NULL }, { SERVER, GREETING },                                                                      \
    {                                                                                                                  \
        SERVER, IN                                                                                                     \
    }

static const struct dialog waits[] = {
    { "until another login has its answer",
      { WAITS, { WAIT, "4999" }, { SERVER, "f OK [CAPABILITY " AFTER "] in\r\n" }, COMES_IN },
      BOB "<next>" LOGIN,
      IN_SHOWN },
    { "or was refused",
      { WAITS, { SERVER, "f NO [AUTHENTICATIONFAILED] wrong\r\n" }, COMES_IN },
      BOB "<end><next>" LOGIN,
      IN_SHOWN },
    { "or its server is lost", { WAITS, { SERVER_ENDS, NULL }, COMES_IN }, BOB "<end><next>" LOGIN, IN_SHOWN },
    { "not longer than queue_timeout, and the session goes on",
      { WAITS, { WAIT, "5000" }, { CLIENT, "b NOOP\r\n" } },
      BOB,
      UNREACHABLE "b OK NOOP completed.\r\n" },
    { "whoever has come to its end does not wait, and nothing is connected for it",
      { WAITS, { CLIENT_ENDS, NULL }, { SERVER, "f OK [CAPABILITY " AFTER "] in\r\n" } },
      BOB,
      "<end>" },
    { "nor does whoever is lost",
      { WAITS, { CLIENT_IS_LOST, NULL }, { SERVER, "f OK [CAPABILITY " AFTER "] in\r\n" } },
      BOB,
      "<end>" },
};

TEST(a_login_waits_for_its_place)
{
    PLAY_ALL(waits, greet_behind_login);
}

static const struct dialog thinkers[] = {
    { "a client that thinks about a challenge",
      { WAITS, { SERVER, "+ c2VydmVy\r\n" }, COMES_IN },
      "f AUTHENTICATE SCRAM-SHA-256 " SCRAM "\r\n<next>" LOGIN,
      IN_SHOWN },
};

TEST(it_is_not_held_up_by_whoever_lets_the_server_wait)
{
    PLAY_ALL(thinkers, greet_behind_scram);
}

/* --- an ID goes ahead --- */

#define LIST_WITH_ID "IMAP4rev1 ID"

static void greet_with_id(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    greet_with(rig, CONFIG, LIST_WITH_ID, ret_client);
    *ret_server = NULL;
}

static const struct dialog ids[] = {
    { "what the client has said of itself",
      { { CLIENT, "i ID (\"name\" \"mua\")\r\na LOGIN ann secret\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, "* OK [CAPABILITY " LIST_WITH_ID "] ready\r\n" },
        { SERVER, "* ID NIL\r\nimapstate OK done\r\n" },
        { SERVER, "a OK [CAPABILITY IMAP4rev1] in\r\n" } },
      "imapstate ID (\"name\" \"mua\")\r\n" LOGIN,
      "* ID (\"name\" \"rig\")\r\ni OK ID completed.\r\na OK [CAPABILITY IMAP4rev1 LITERAL+ STATE] in\r\n" },
    { "a server that is lost then",
      { { CLIENT, "i ID (\"name\" \"mua\")\r\na LOGIN ann secret\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, "* OK [CAPABILITY " LIST_WITH_ID "] ready\r\n" },
        { SERVER_ENDS, NULL } },
      "imapstate ID (\"name\" \"mua\")\r\n<end>",
      "* ID (\"name\" \"rig\")\r\ni OK ID completed.\r\n" UNREACHABLE },
    { "or silent",
      { { CLIENT, "i ID (\"name\" \"mua\")\r\na LOGIN ann secret\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, "* OK [CAPABILITY " LIST_WITH_ID "] ready\r\n" },
        { WAIT, "60000" } },
      "imapstate ID (\"name\" \"mua\")\r\n<end>",
      "* ID (\"name\" \"rig\")\r\ni OK ID completed.\r\n" UNREACHABLE },
};

TEST(an_id_is_answered_before_the_login_goes_up)
{
    PLAY_ALL(ids, greet_with_id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_password_goes_up_once_and_the_answer_comes_down_with_the_list),
        cmocka_unit_test(whatever_goes_wrong_the_client_is_answered_once),
        cmocka_unit_test(challenges_pass_between_client_and_server_and_to_nobody_else),
        cmocka_unit_test(an_alert_reaches_the_client_once),
        cmocka_unit_test(parked_connections_make_room_for_a_login),
        cmocka_unit_test(a_login_waits_for_its_place),
        cmocka_unit_test(it_is_not_held_up_by_whoever_lets_the_server_wait),
        cmocka_unit_test(an_id_is_answered_before_the_login_goes_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
