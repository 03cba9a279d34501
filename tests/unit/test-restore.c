#include "check.h"

#include "dialog.h"
#include "park.h"
#include "rig.h"

#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define LIST  "IMAP4rev1 ENABLE CONDSTORE NOTIFY UNSELECT"
#define SHOWN LIST " LITERAL+ STATE"

#define CONFIG "languages = \"off\"\n" RIG_LISTENER("") RIG_UPSTREAM("answer_timeout = \"10s\"")

static char token[2049];

/* --- who comes back --- */

/* A client has said and heard this, saved its state, and is still there. */
static struct wire *save(struct rig *rig, const char *config, const char *says, const char *server_says,
                         struct wire **ret_server)
{
    rig_begin(rig, config);
    struct wire *client = rig_greet(rig, LIST);
    *ret_server = rig_log_in(rig, client, "ann", LIST);
    rig_say(rig, client, "s STATE\r\n");
    rig_say(rig, client, says);
    rig_say(rig, *ret_server, server_says);
    wire_take(client);
    rig_say(rig, client, "s SAVESTATE\r\n");
    assert_int_equal(sscanf(wire_take(client), "* SAVESTATE %2048s", token), 1);
    dialog_token = token;
    return client;
}

#define ENABLES         "s ENABLE CONDSTORE\r\n"
#define SERVER_ENABLES  "* ENABLED CONDSTORE\r\ns OK 1\r\n"
#define NOTIFIES        "s NOTIFY SET (PERSONAL (MessageNew))\r\n"
#define SERVER_NOTIFIES "s OK 1\r\n"

static void leave(struct rig *rig, struct wire *client)
{
    wire_end(client);
    rig_pass(rig, 0);
}

static struct wire *come_back(struct rig *rig)
{
    struct wire *client = rig_greet(rig, LIST);
    rig_say(rig, client, "a LOGIN ann secret\r\n");
    return client;
}

/* The server has lost its connection: the login has gone up anew. */
static void come_back_cold(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    struct wire *before = save(rig, CONFIG, ENABLES, SERVER_ENABLES, ret_server);
    wire_end(*ret_server);
    leave(rig, before);
    *ret_client = come_back(rig);
    *ret_server = rig_server(rig);
    rig_say(rig, *ret_server, "* OK [CAPABILITY " LIST "] ready\r\n");
    rig_say(rig, *ret_server, "a OK [CAPABILITY " LIST "] in\r\n");
    wire_take(*ret_server);
    assert_string_equal(wire_take(*ret_client), "a OK [CAPABILITY " SHOWN "] in\r\n");
}

/* It is parked in the state. */
static void come_back_warm(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    leave(rig, save(rig, CONFIG, ENABLES, SERVER_ENABLES, ret_server));
    assert_int_equal(park_count(), 1);
    wire_take(*ret_server);
    *ret_client = come_back(rig);
    assert_string_equal(wire_take(*ret_client), "a OK [CAPABILITY " SHOWN "] Logged in.\r\n");
}

/* It is lost, and another one is parked, pristine. */
static void come_back_to_pristine(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    struct wire *before = save(rig, CONFIG, ENABLES, SERVER_ENABLES, ret_server);
    wire_end(*ret_server);
    leave(rig, before);
    *ret_server = rig_greet_beside_parked(rig, LIST, ret_client);
    rig_say(rig, *ret_client, "a LOGIN ann secret\r\n");
    assert_string_equal(wire_take(*ret_client), "a OK [CAPABILITY " SHOWN "] Logged in.\r\n");
}

/* NOTIFY is part of the state. */
static void come_back_notified(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    leave(rig, save(rig, CONFIG, NOTIFIES, SERVER_NOTIFIES, ret_server));
    assert_string_equal(wire_take(*ret_server) + strlen(NOTIFIES), "imapstate-16 NOTIFY NONE\r\n");
    rig_say(rig, *ret_server, "imapstate-16 OK 1\r\n");
    assert_int_equal(park_count(), 1);
    *ret_client = come_back(rig);
    wire_take(*ret_client);
}

/* ann is gone for good, and this is somebody else. */
static void come_as_another(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    leave(rig, save(rig, CONFIG, ENABLES, SERVER_ENABLES, ret_server));
    *ret_client = rig_greet(rig, LIST);
    *ret_server = rig_log_in(rig, *ret_client, "bob", LIST);
}

#define PLAY_ALL(dialogs, begin) dialog_play_all(dialogs, ARRAY_LEN(dialogs), begin)

#define LOGGED_IN_AS(list)                                                                                             \
    { SERVER_COMES, NULL }, { SERVER, "* OK [CAPABILITY " LIST "] ready\r\n" },                                        \
    {                                                                                                                  \
        SERVER, "imapstate OK [CAPABILITY " list "] in\r\n"                                                            \
    }
#define LOGGED_IN LOGGED_IN_AS(LIST)
#define NEW_LOGIN "imapstate LOGIN \"ann\" \"secret\"\r\n"

#define RESTORED     "* STATE $\r\nb OK State restored.\r\n"
#define NOT_RESTORED "b OK State not restored, but state command tracking enabled.\r\n"
#define NOT_NOW      "b NO [UNAVAILABLE] State cannot be restored at the moment.\r\n"
#define UNREACHABLE  "[UNAVAILABLE] The mail server cannot be reached.\r\n"
/* The day of the rig's time has 5400 seconds left. */
#define SAVED     "[STATEEXPIRES 1215000] State saved.\r\n"
#define CANNOT_GO "* BYE [UNAVAILABLE] The session cannot continue.\r\n<end>"
#define REPLAY    "imapstate1 ENABLE CONDSTORE\r\n"
#define REPLAYED  "* ENABLED CONDSTORE\r\nimapstate1 OK 1\r\n"

/* --- cold --- */

static const struct dialog colds[] = {
    { "P4, P17: the commands are replayed, and the client hears of none",
      { { CLIENT, "b STATE $\r\n" }, { SERVER, REPLAYED } },
      REPLAY,
      RESTORED },
    { "a token may be quoted", { { CLIENT, "b STATE \"$\"\r\n" }, { SERVER, REPLAYED } }, REPLAY, RESTORED },
    { "nothing is said before the last answer",
      { { CLIENT, "b STATE $\r\n" }, { SERVER, "* ENABLED CONDSTORE\r\n" } },
      REPLAY,
      "" },
    { "P11: what follows waits",
      { { CLIENT, "b STATE $\r\nc NOOP\r\n" }, { SERVER, REPLAYED }, { SERVER, "c OK 2\r\n" } },
      REPLAY "c NOOP\r\n",
      RESTORED "c OK 2\r\n" },
    { "P17: what the replay produces for the client is told before",
      { { CLIENT, "b STATE $\r\n" }, { SERVER, "* 3 EXISTS\r\n* OK hello\r\n" REPLAYED } },
      REPLAY,
      "* 3 EXISTS\r\n* OK hello\r\n" RESTORED },
    { "P17: a progress report of the replay's is nobody's",
      { { CLIENT, "b STATE $\r\n" }, { SERVER, "* OK [INPROGRESS (\"imapstate1\" 1 2)] on it\r\n" REPLAYED } },
      REPLAY,
      RESTORED },
    { "an alert is told, tagged or not",
      { { CLIENT, "b STATE $\r\n" },
        { SERVER, "* OK [ALERT] one\r\n* ENABLED CONDSTORE\r\nimapstate1 OK [ALERT] two\r\n" } },
      REPLAY,
      "* OK [ALERT] one\r\n* OK [ALERT] two\r\n" RESTORED },
    { "a capability list is told when it is decided",
      { { CLIENT, "b STATE $\r\n" }, { SERVER, "* CAPABILITY IMAP4rev1 IDLE\r\n" REPLAYED } },
      REPLAY,
      "* CAPABILITY IMAP4rev1 IDLE LITERAL+ STATE\r\n" RESTORED },
    { "P18: a refusal: the connection is not used any more, and the session goes on with another",
      { { CLIENT, "b STATE $\r\nc NOOP\r\n" }, { SERVER, "imapstate1 NO 1\r\n" }, LOGGED_IN, { SERVER, "c OK 2\r\n" } },
      REPLAY "<end><next>" NEW_LOGIN "c NOOP\r\n",
      NOT_RESTORED "c OK 2\r\n" },
    { "P18: BAD",
      { { CLIENT, "b STATE $\r\n" }, { SERVER, "imapstate1 BAD 1\r\n" }, LOGGED_IN },
      REPLAY "<end><next>" NEW_LOGIN,
      NOT_RESTORED },
    { "P18: an OK that proves nothing",
      { { CLIENT, "b STATE $\r\n" }, { SERVER, "imapstate1 OK 1\r\n" }, LOGGED_IN },
      REPLAY "<end><next>" NEW_LOGIN,
      NOT_RESTORED },
    { "P18: an answer to no command",
      { { CLIENT, "b STATE $\r\n" }, { SERVER, "z OK 1\r\n" REPLAYED }, LOGGED_IN },
      REPLAY "<end><next>" NEW_LOGIN,
      NOT_RESTORED },
    { "P18: a + that nothing asked for",
      { { CLIENT, "b STATE $\r\n" }, { SERVER, "+ go\r\n" REPLAYED }, LOGGED_IN },
      REPLAY "<end><next>" NEW_LOGIN,
      NOT_RESTORED },
    { "P6: a server that is lost",
      { { CLIENT, "b STATE $\r\nc NOOP\r\n" }, { SERVER_ENDS, NULL }, LOGGED_IN, { SERVER, "c OK 2\r\n" } },
      REPLAY "<end><next>" NEW_LOGIN "c NOOP\r\n",
      NOT_NOW "c OK 2\r\n" },
    { "P6: in the middle of an answer",
      { { CLIENT, "b STATE $\r\n" }, { SERVER, "* ENABLED CONDSTORE\r\nimapst" }, { SERVER_IS_LOST, NULL }, LOGGED_IN },
      REPLAY "<end><next>" NEW_LOGIN,
      NOT_NOW },
    { "P6: one that is silent",
      { { CLIENT, "b STATE $\r\n" }, { WAIT, "10000" }, LOGGED_IN },
      REPLAY "<end><next>" NEW_LOGIN,
      NOT_NOW },
    { "but not before its time", { { CLIENT, "b STATE $\r\n" }, { WAIT, "9999" } }, REPLAY, "" },
    { "and from each word on anew",
      { { CLIENT, "b STATE $\r\n" }, { WAIT, "9999" }, { SERVER, "* ENABLED CONDSTORE\r\n" }, { WAIT, "9999" } },
      REPLAY,
      "" },
    { "BYE, and the end",
      { { CLIENT, "b STATE $\r\n" }, { SERVER, "* BYE repair\r\n" }, { SERVER_ENDS, NULL }, LOGGED_IN },
      REPLAY "<end><next>" NEW_LOGIN,
      "* BYE repair\r\n" NOT_NOW },
    { "a server that does not come back",
      { { CLIENT, "b STATE $\r\nc NOOP\r\n" }, { SERVER_ENDS, NULL }, { SERVER_REFUSES, NULL } },
      REPLAY "<end>",
      "b NO " UNREACHABLE CANNOT_GO },
    { "one that is lost again while it lets the client in",
      { { CLIENT, "b STATE $\r\n" },
        { SERVER_ENDS, NULL },
        { SERVER_COMES, NULL },
        { SERVER, "* OK [CAPABILITY " LIST "] ready\r\n" },
        { SERVER_IS_LOST, NULL } },
      REPLAY "<end><next>" NEW_LOGIN "<end>",
      "b NO " UNREACHABLE CANNOT_GO },
    { "one that does not let the client in any more",
      { { CLIENT, "b STATE $\r\n" },
        { SERVER, "imapstate1 NO 1\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, "* OK [CAPABILITY " LIST "] ready\r\n" },
        { SERVER, "imapstate NO [AUTHENTICATIONFAILED] changed\r\n" } },
      REPLAY "<end><next>" NEW_LOGIN "<end>",
      "b NO [AUTHENTICATIONFAILED] The credentials are no longer accepted.\r\n" CANNOT_GO },
    { "a client that is lost", { { CLIENT, "b STATE $\r\n" }, { CLIENT_IS_LOST, NULL } }, REPLAY "<end>", "<end>" },
    { "one that ends is answered, and its connection is parked",
      { { CLIENT, "b STATE $\r\n" }, { CLIENT_ENDS, NULL }, { SERVER, REPLAYED } },
      REPLAY,
      RESTORED "<end>" },
    { "the daemon's end waits for it",
      { { CLIENT, "b STATE $\r\n" }, { STOP, NULL }, { SERVER, REPLAYED } },
      REPLAY "imapstate LOGOUT\r\n",
      RESTORED "* BYE imapstate is shutting down.\r\n<end>" },
    { "P7: not where something is on already",
      { { CLIENT, "b ENABLE QRESYNC\r\n" },
        { SERVER, "* ENABLED QRESYNC\r\nb OK 1\r\n" },
        { CLIENT, "b STATE $\r\n" } },
      "b ENABLE QRESYNC\r\n",
      "* ENABLED QRESYNC\r\nb OK 1\r\n" NOT_RESTORED },
    { "P7: or where the server has shown something",
      { { SERVER, "* 1 FETCH (MODSEQ (3))\r\n" }, { CLIENT, "b STATE $\r\n" } },
      "",
      "* 1 FETCH (MODSEQ (3))\r\n" NOT_RESTORED },
    { "P2: not while a mailbox is selected",
      { { CLIENT, "c SELECT INBOX\r\n" }, { SERVER, "c OK 1\r\n" }, { CLIENT, "b STATE $\r\n" } },
      "c SELECT INBOX\r\n",
      "c OK 1\r\nb BAD STATE is not allowed while a mailbox is selected.\r\n" },
    { "P5: a token of nobody's", { { CLIENT, "b STATE nonsense\r\n" } }, "", NOT_RESTORED },
    { "P5: a token with an octet more", { { CLIENT, "b STATE $x\r\n" } }, "", NOT_RESTORED },
    { "no token", { { CLIENT, "b STATE \"\"\r\n" } }, "", "b BAD STATE takes at most one token.\r\n" },
    { "two", { { CLIENT, "b STATE $ $\r\n" } }, "", "b BAD STATE takes at most one token.\r\n" },
    { "P3: STATE alone, as often as one likes",
      { { CLIENT, "b STATE\r\nc STATE\r\n" } },
      "",
      "b OK State command tracking enabled.\r\nc OK State command tracking enabled.\r\n" },
    { "P8, P9: what is set up is announced and saved",
      { { CLIENT, "b STATE\r\nc ENABLE CONDSTORE\r\nd SAVESTATE\r\n" },
        { SERVER, "* ENABLED CONDSTORE\r\nc OK 1\r\n" } },
      "c ENABLE CONDSTORE\r\n",
      "b OK State command tracking enabled.\r\n* ENABLED CONDSTORE\r\n"
      "* OK [STATECMD c] ENABLE will be saved in state data.\r\nc OK 1\r\n"
      "* SAVESTATE $\r\nd OK " SAVED },
    { "P8: SAVESTATE before STATE",
      { { CLIENT, "b SAVESTATE\r\n" } },
      "",
      "b NO [CLIENTBUG] STATE must come first.\r\n" },
    { "P8: it takes no arguments",
      { { CLIENT, "b SAVESTATE x\r\n" } },
      "",
      "b BAD The command takes no arguments.\r\n" },
    { "P8, P14: what is restored can be saved, and is the same",
      { { CLIENT, "b STATE $\r\nc SAVESTATE\r\n" }, { SERVER, REPLAYED } },
      REPLAY,
      RESTORED "* SAVESTATE $\r\nc OK " SAVED },
    { "P5: tracking is on all the same",
      { { CLIENT, "b STATE nonsense\r\nc SAVESTATE\r\n" } },
      "",
      NOT_RESTORED "* SAVESTATE $other\r\nc OK " SAVED },
};

TEST(a_state_is_replayed_on_a_connection_that_is_not_in_it)
{
    PLAY_ALL(colds, come_back_cold);
}

/* --- warm --- */

static const struct dialog warms[] = {
    { "nothing goes up", { { CLIENT, "b STATE $\r\n" } }, "", RESTORED },
    { "and what follows does at once",
      { { CLIENT, "b STATE $\r\nc SELECT INBOX\r\n" }, { SERVER, "c OK 1\r\n" } },
      "c SELECT INBOX\r\n",
      RESTORED "c OK 1\r\n" },
    { "not where a command before has chosen another: the state is set up on that",
      { { CLIENT, "c NOOP\r\n" }, LOGGED_IN, { SERVER, "c OK 1\r\n" }, { CLIENT, "b STATE $\r\n" } },
      "<next>" NEW_LOGIN "c NOOP\r\n" REPLAY,
      "c OK 1\r\n" },
    { "the connection has died while it was parked: cold, by a new login",
      { { SERVER_ENDS, NULL }, { CLIENT, "b STATE $\r\n" }, LOGGED_IN, { SERVER, REPLAYED } },
      "<end><next>" NEW_LOGIN REPLAY,
      RESTORED },
    { "which is refused",
      { { SERVER_ENDS, NULL },
        { CLIENT, "b STATE $\r\nc NOOP\r\n" },
        { SERVER_COMES, NULL },
        { SERVER, "* OK [CAPABILITY " LIST "] ready\r\n" },
        { SERVER, "imapstate NO [AUTHENTICATIONFAILED] changed\r\n" } },
      "<end><next>" NEW_LOGIN "<end>",
      "b NO [AUTHENTICATIONFAILED] The credentials are no longer accepted.\r\n" CANNOT_GO },
    { "or cannot be had",
      { { SERVER_ENDS, NULL }, { CLIENT, "b STATE $\r\n" }, { SERVER_REFUSES, NULL } },
      "<end>",
      "b NO " UNREACHABLE CANNOT_GO },
    { "P12: which brings another list: the token is dead, and the client is told the list",
      { { SERVER_ENDS, NULL }, { CLIENT, "b STATE $\r\n" }, LOGGED_IN_AS("IMAP4rev1 IDLE") },
      "<end><next>" NEW_LOGIN,
      "* CAPABILITY IMAP4rev1 IDLE LITERAL+ STATE\r\n" NOT_RESTORED },
    { "P18: which cannot be brought into the state",
      { { SERVER_ENDS, NULL }, { CLIENT, "b STATE $\r\n" }, LOGGED_IN, { SERVER, "imapstate1 NO 1\r\n" }, LOGGED_IN },
      "<end><next>" NEW_LOGIN REPLAY "<end><next>" NEW_LOGIN,
      NOT_RESTORED },
    { "P6: which is lost",
      { { SERVER_ENDS, NULL }, { CLIENT, "b STATE $\r\n" }, LOGGED_IN, { SERVER_ENDS, NULL }, LOGGED_IN },
      "<end><next>" NEW_LOGIN REPLAY "<end><next>" NEW_LOGIN,
      NOT_NOW },
    { "it proves dead behind the restore: another is brought into the state, and the client notices nothing",
      { { CLIENT, "b STATE $\r\nc NOOP\r\n" },
        { SERVER_ENDS, NULL },
        LOGGED_IN,
        { SERVER, REPLAYED },
        { SERVER, "c OK 2\r\n" } },
      "c NOOP\r\n<end><next>" NEW_LOGIN REPLAY "c NOOP\r\n",
      RESTORED "c OK 2\r\n" },
    { "so too if its session had expired",
      { { CLIENT, "b STATE $\r\nc NOOP\r\n" },
        { SERVER, "* BYE expired\r\n" },
        LOGGED_IN,
        { SERVER, REPLAYED },
        { SERVER, "c OK 2\r\n" } },
      "c NOOP\r\n<end><next>" NEW_LOGIN REPLAY "c NOOP\r\n",
      RESTORED "c OK 2\r\n" },
    { "or if it does not work",
      { { CLIENT, "b STATE $\r\nc NOOP\r\n" },
        { SERVER, "c NO [UNAVAILABLE] backend\r\n" },
        LOGGED_IN,
        { SERVER, REPLAYED },
        { SERVER, "c OK 2\r\n" } },
      "c NOOP\r\n<end><next>" NEW_LOGIN REPLAY "c NOOP\r\n",
      RESTORED "c OK 2\r\n" },
    { "the other cannot be brought into the state",
      { { CLIENT, "b STATE $\r\nc NOOP\r\n" }, { SERVER_ENDS, NULL }, LOGGED_IN, { SERVER, "imapstate1 NO 1\r\n" } },
      "c NOOP\r\n<end><next>" NEW_LOGIN REPLAY "<end>",
      RESTORED "c NO " UNREACHABLE CANNOT_GO },
    { "the other is lost meanwhile",
      { { CLIENT, "b STATE $\r\nc NOOP\r\n" }, { SERVER_ENDS, NULL }, LOGGED_IN, { SERVER_IS_LOST, NULL } },
      "c NOOP\r\n<end><next>" NEW_LOGIN REPLAY "<end>",
      RESTORED "c NO " UNREACHABLE CANNOT_GO },
    { "there is no other",
      { { CLIENT, "b STATE $\r\nc NOOP\r\n" }, { SERVER_ENDS, NULL }, { SERVER_REFUSES, NULL } },
      "c NOOP\r\n<end>",
      RESTORED "c NO " UNREACHABLE CANNOT_GO },
    { "the other offers something else: the client is told, and goes on in the state",
      { { CLIENT, "b STATE $\r\nc NOOP\r\n" },
        { SERVER_ENDS, NULL },
        LOGGED_IN_AS(LIST " IDLE"),
        { SERVER, REPLAYED },
        { SERVER, "c OK 2\r\n" } },
      "c NOOP\r\n<end><next>" NEW_LOGIN REPLAY "c NOOP\r\n",
      RESTORED "* CAPABILITY " LIST " IDLE LITERAL+ STATE\r\nc OK 2\r\n" },
    { "what may have run does not run twice",
      { { CLIENT, "b STATE $\r\nc CREATE x\r\n" }, { SERVER_ENDS, NULL } },
      "c CREATE x\r\n<end>",
      RESTORED CANNOT_GO },
    { "a client that goes meanwhile",
      { { CLIENT, "b STATE $\r\nc NOOP\r\n" }, { SERVER_ENDS, NULL }, LOGGED_IN, { CLIENT_IS_LOST, NULL } },
      "c NOOP\r\n<end><next>" NEW_LOGIN REPLAY "<end>",
      RESTORED "<end>" },
    { "a bad token leaves the connection parked for a better one",
      { { CLIENT, "c STATE nonsense\r\nb STATE $\r\n" } },
      "",
      "c OK State not restored, but state command tracking enabled.\r\n" RESTORED },
};

TEST(a_connection_in_the_state_is_had_without_a_word)
{
    PLAY_ALL(warms, come_back_warm);
}

static const struct dialog pristines[] = {
    { "the state is set up on it", { { CLIENT, "b STATE $\r\n" }, { SERVER, REPLAYED } }, REPLAY, RESTORED },
    { "if it proves dead by that, on another",
      { { CLIENT, "b STATE $\r\n" }, { SERVER_ENDS, NULL }, LOGGED_IN, { SERVER, REPLAYED } },
      REPLAY "<end><next>" NEW_LOGIN REPLAY,
      RESTORED },
    { "likewise if its session had expired",
      { { CLIENT, "b STATE $\r\n" }, { SERVER, "* BYE expired\r\n" }, LOGGED_IN, { SERVER, REPLAYED } },
      REPLAY "<end><next>" NEW_LOGIN REPLAY,
      RESTORED },
    { "once it has answered, P6",
      { { CLIENT, "b STATE $\r\n" }, { SERVER, "* ENABLED CONDSTORE\r\n" }, { SERVER_ENDS, NULL }, LOGGED_IN },
      REPLAY "<end><next>" NEW_LOGIN,
      NOT_NOW },
};

TEST(a_pristine_connection_is_brought_into_the_state)
{
    PLAY_ALL(pristines, come_back_to_pristine);
}

#define NOTIFY_AGAIN "imapstate1 NOTIFY SET (PERSONAL (MessageNew))\r\n"

static const struct dialog notified[] = {
    { "NOTIFY, which was silenced, is set again",
      { { CLIENT, "b STATE $\r\n" }, { SERVER, "* STATUS x (MESSAGES 1)\r\nimapstate1 OK 1\r\n" } },
      NOTIFY_AGAIN,
      "* STATUS x (MESSAGES 1)\r\n" RESTORED },
    { "if that is refused, P18",
      { { CLIENT, "b STATE $\r\n" }, { SERVER, "imapstate1 NO 1\r\n" }, LOGGED_IN },
      NOTIFY_AGAIN "<end><next>" NEW_LOGIN,
      NOT_RESTORED },
};

TEST(of_a_state_in_which_a_connection_is_parked_notify_is_set_again)
{
    PLAY_ALL(notified, come_back_notified);
}

static const struct dialog others[] = {
    { "P12: a token of another user's", { { CLIENT, "b STATE $\r\n" } }, "", NOT_RESTORED },
};

TEST(a_token_is_for_one_user)
{
    PLAY_ALL(others, come_as_another);
}

/* Its language is the gateway's to speak: the server hears nothing of it. */
static void come_back_in_german(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    struct wire *before = save(rig, "languages = { \"de\" }\n" RIG_CONFIG, "s LANGUAGE de\r\n", "", ret_server);
    wire_end(*ret_server);
    leave(rig, before);
    *ret_client = rig_greet(rig, LIST);
    *ret_server = rig_log_in(rig, *ret_client, "ann", LIST);
}

static const struct dialog germans[] = {
    { "no command goes up for it (the draft's words)",
      { { CLIENT, "b STATE $\r\n" } },
      "",
      "* STATE $\r\nb OK Angemeldet.\r\n" },
};

TEST(a_language_is_restored_by_the_gateway)
{
    PLAY_ALL(germans, come_back_in_german);
}

static void come_back_to_short_lived(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    leave(rig, save(rig, "token_lifetime = \"2s\"\n" CONFIG, ENABLES, SERVER_ENABLES, ret_server));
    wire_take(*ret_server);
    *ret_client = come_back(rig);
    wire_take(*ret_client);
}

static const struct dialog lifetimes[] = {
    { "is good", { { WAIT, "1000" }, { CLIENT, "b STATE $\r\n" } }, "", RESTORED },
    { "is not good any more", { { WAIT, "3000" }, { CLIENT, "b STATE $\r\n" } }, "", NOT_RESTORED },
};

TEST(a_token_has_its_time)
{
    PLAY_ALL(lifetimes, come_back_to_short_lived);
}

/* Without a file of keys each start makes a key of its own. */
TEST(a_token_of_another_key_is_not_restored)
{
    struct rig rig;
    struct wire *client, *server;
    char before[sizeof token + 16];
    come_back_warm(&rig, &client, &server);
    snprintf(before, sizeof before, "b STATE %s\r\n", token);
    rig_end(&rig);
    come_back_warm(&rig, &client, &server);
    rig_say(&rig, client, before);
    assert_string_equal(wire_take(client), NOT_RESTORED);
    rig_end(&rig);
}

/* --- revocation --- */

/* As SIGHUP does, when the file has this text. */
static void reload_with(struct rig *rig, const char *options, const char *text)
{
    char config[1024];
    int fd = memfd_create("revocations", MFD_CLOEXEC);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    snprintf(config, sizeof config, "revocations_file = \"/proc/self/fd/%d\"\n%s" CONFIG, fd, options);
    rig_reload(rig, config);
    close(fd);
}

/* A fresh connection to the server serves ann; she tracks and has saved nothing, which is a state too. Returns all that
 * SAVESTATE was answered. */
static const char *save_nothing(struct rig *rig, const char *config, struct wire **ret_client,
                                char ret_saved[sizeof token])
{
    rig_begin(rig, config);
    *ret_client = rig_greet(rig, LIST);
    rig_log_in(rig, *ret_client, "ann", LIST);
    rig_say(rig, *ret_client, "s STATE\r\n");
    wire_take(*ret_client);
    rig_say(rig, *ret_client, "c SAVESTATE\r\n");
    const char *answer = wire_take(*ret_client);
    assert_int_equal(sscanf(answer, "* SAVESTATE %2048s", ret_saved), 1);
    return answer;
}

/* Its first octet, of base64. */
static long format_of(const char *saved)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    return (strchr(alphabet, saved[0]) - alphabet) << 2 | (strchr(alphabet, saved[1]) - alphabet) >> 4;
}

static bool is_restored(struct rig *rig, struct wire *client, const char *saved)
{
    char line[sizeof token + 32];
    snprintf(line, sizeof line, "b STATE %s\r\n", saved);
    rig_say(rig, client, line);
    const char *answer = wire_take(client);
    bool is_refused = strcmp(answer, NOT_RESTORED) == 0;
    assert_true(is_refused || strstr(answer, "\r\nb OK State restored.\r\n"));
    return !is_refused;
}

static const struct {
    const char *name, *text;
    bool is_revoked;
} revocations[] = {
    { "nobody", "", false },
    { "another user", "bob 1700001000\n", false },
    { "the user, long before", "ann 1600000000\n", true },
    { "the user, now", "bob 1\nann 1700001000\n", true },
    { "the user, written otherwise", "\\x41nn 1700001000\n", true },
    { "all", "* 1700001000\n", true },
};

/* A session that began before the reload is told so, too: what is revoked concerns all at once. */
TEST(p14_a_token_that_was_saved_before_a_revocation_is_answered_as_in_p5)
{
    for (size_t i = 0; i < ARRAY_LEN(revocations); i++) {
        struct rig rig;
        struct wire *client;
        char saved[sizeof token], again[sizeof token];
        save_nothing(&rig, CONFIG, &client, saved);
        reload_with(&rig, "", revocations[i].text);
        rig_say(&rig, client, "d SAVESTATE\r\n");
        assert_int_equal(sscanf(wire_take(client), "* SAVESTATE %2048s", again), 1);
        CHECK_ROW(revocations[i].name, (strcmp(saved, again) != 0) == revocations[i].is_revoked);
        CHECK_ROW(revocations[i].name, is_restored(&rig, client, saved) != revocations[i].is_revoked);
        /* What was saved since is good. */
        if (revocations[i].is_revoked)
            CHECK_ROW(revocations[i].name, is_restored(&rig, client, again));
        rig_end(&rig);
    }
}

static const struct {
    const char *name;
    int after_s; /* how long after the token was saved the revocation was */
    bool is_revoked;
} issued[] = {
    { "before it was saved", -1, false },
    { "in that second", 0, false },
    { "after it", 1, true },
};

TEST(p14_of_format_1_the_time_of_issue_decides)
{
    for (size_t i = 0; i < ARRAY_LEN(issued); i++) {
        struct rig rig;
        struct wire *client;
        char saved[sizeof token], line[64];
        const char *answer = save_nothing(&rig, "seal_format = 1\n" CONFIG, &client, saved);
        assert_string_equal(strchr(answer, '\r'), "\r\nc OK [STATEEXPIRES 1209600] State saved.\r\n");
        CHECK_ROW(issued[i].name, format_of(saved) == 1);
        snprintf(line, sizeof line, "ann %lld\n", (long long)time(NULL) + issued[i].after_s);
        reload_with(&rig, "seal_format = 1\n", line);
        CHECK_ROW(issued[i].name, is_restored(&rig, client, saved) != issued[i].is_revoked);
        rig_end(&rig);
    }
}

/* A fleet is changed over gateway by gateway. */
TEST(p14_tokens_of_either_format_open_whichever_is_sealed)
{
    static const char *const seals[] = { "seal_format = 1\n", "seal_format = 2\n" };
    for (size_t format = 0; format < 2; format++) {
        struct rig rig;
        struct wire *client;
        char saved[sizeof token], config[1024];
        snprintf(config, sizeof config, "%s" CONFIG, seals[format]);
        save_nothing(&rig, config, &client, saved);
        assert_int_equal(format_of(saved), format + 1);
        reload_with(&rig, seals[1 - format], "");
        assert_true(is_restored(&rig, client, saved));
        rig_end(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_is_replayed_on_a_connection_that_is_not_in_it),
        cmocka_unit_test(a_connection_in_the_state_is_had_without_a_word),
        cmocka_unit_test(a_pristine_connection_is_brought_into_the_state),
        cmocka_unit_test(of_a_state_in_which_a_connection_is_parked_notify_is_set_again),
        cmocka_unit_test(a_token_is_for_one_user),
        cmocka_unit_test(a_language_is_restored_by_the_gateway),
        cmocka_unit_test(a_token_has_its_time),
        cmocka_unit_test(a_token_of_another_key_is_not_restored),
        cmocka_unit_test(p14_a_token_that_was_saved_before_a_revocation_is_answered_as_in_p5),
        cmocka_unit_test(p14_of_format_1_the_time_of_issue_decides),
        cmocka_unit_test(p14_tokens_of_either_format_open_whichever_is_sealed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
