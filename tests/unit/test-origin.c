#include "check.h"

#include "dialog.h"
#include "rig.h"

#define LIST "IMAP4rev1 ID"

static void come_with(struct rig *rig, const char *config, struct wire **ret_client, struct wire **ret_server)
{
    rig_begin(rig, config);
    *ret_client = rig_greet(rig, LIST);
    *ret_server = NULL;
}

#define TRUSTING "id_trusted_networks = { \"127.0.0.0/8\" }"
#define TELLING  "send_client_address = \"id\""

/* Whose word is taken, and passed on. */
static void come(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    come_with(rig, "languages = \"off\"\n" RIG_LISTENER(TRUSTING) RIG_UPSTREAM(TELLING), ret_client, ret_server);
}

static void come_untrusted(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    come_with(rig, "languages = \"off\"\n" RIG_LISTENER("") RIG_UPSTREAM(TELLING), ret_client, ret_server);
}

static void come_unannounced(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    come_with(rig, "languages = \"off\"\n" RIG_LISTENER(TRUSTING) RIG_UPSTREAM(""), ret_client, ret_server);
}

#define LOGS_IN                                                                                                        \
    { CLIENT, "b LOGIN ann secret\r\n" }, { SERVER_COMES, NULL },                                                      \
    {                                                                                                                  \
        SERVER, "* OK [CAPABILITY " LIST "] hi\r\n"                                                                    \
    }
#define IDS(fields) "imapstate ID (" fields ")\r\n"
#define HOP         " \"x-session-id\" \"" RIG_SESSION "\" \"x-proxy-ttl\" \"4\""
#define OWN_ENDS                                                                                                       \
    "\"x-originating-ip\" \"127.0.0.2\" \"x-originating-port\" \"40000\" \"x-connected-ip\" \"127.0.0.1\" "            \
    "\"x-connected-port\" \"1143\"" HOP
#define OTHER_ENDS                                                                                                     \
    "\"x-originating-ip\" \"192.0.2.7\" \"x-originating-port\" \"0\" \"x-connected-ip\" \"127.0.0.1\" "                \
    "\"x-connected-port\" \"1143\"" HOP
#define IDED "* ID (\"name\" \"rig\")\r\na OK ID completed.\r\n"

static const struct dialog trusted[] = {
    { "the server is told of a client as it is", { LOGS_IN }, IDS(OWN_ENDS), "" },
    { "and as it says that it is",
      { { CLIENT, "a ID (\"x-originating-ip\" \"192.0.2.7\")\r\n" }, LOGS_IN },
      IDS(OTHER_ENDS),
      IDED },
    { "the last word counts",
      { { CLIENT, "a ID (\"x-originating-ip\" \"192.0.2.8\")\r\na ID (\"x-originating-ip\" \"192.0.2.7\")\r\n" },
        LOGS_IN },
      IDS(OTHER_ENDS),
      IDED IDED },
    { "what says nothing of that leaves it",
      { { CLIENT, "a ID (\"x-originating-ip\" \"192.0.2.7\")\r\na ID NIL\r\n" }, LOGS_IN },
      IDS(OTHER_ENDS),
      IDED IDED },
    { "a loop is not gone round for ever",
      { { CLIENT, "a ID (\"x-proxy-ttl\" \"1\")\r\n" } },
      "",
      "* BYE [UNAVAILABLE] The mail server cannot be reached.\r\n<end>" },
    { "an address that is none",
      { { CLIENT, "a ID (\"x-originating-ip\" \"there\")\r\n" }, { CLIENT, "b NOOP\r\n" } },
      "",
      "a BAD Invalid arguments.\r\nb OK NOOP completed.\r\n" },
};

TEST(who_is_trusted_speaks_for_others)
{
    dialog_play_all(trusted, ARRAY_LEN(trusted), come);
}

static const struct dialog untrusted[] = {
    { "how far it has come counts, and its session is nothing",
      { { CLIENT, "a ID (\"x-proxy-ttl\" \"3\" \"x-session-id\" \"s\")\r\n" }, LOGS_IN },
      IDS("\"x-originating-ip\" \"127.0.0.2\" \"x-originating-port\" \"40000\" \"x-connected-ip\" \"127.0.0.1\" "
          "\"x-connected-port\" \"1143\" \"x-session-id\" \"" RIG_SESSION "\" \"x-proxy-ttl\" \"2\""),
      IDED },
    { "a loop is not gone round for ever",
      { { CLIENT, "a ID (\"x-proxy-ttl\" \"1\")\r\n" } },
      "",
      "* BYE [UNAVAILABLE] The mail server cannot be reached.\r\n<end>" },
    { "what it says of an address is nothing",
      { { CLIENT, "a ID (\"name\" \"x\" \"x-originating-ip\" \"192.0.2.7\")\r\n" }, LOGS_IN },
      IDS(OWN_ENDS " \"name\" \"x\""),
      IDED },
};

TEST(who_is_not_trusted_speaks_for_itself)
{
    dialog_play_all(untrusted, ARRAY_LEN(untrusted), come_untrusted);
}

static const struct dialog unannounced[] = {
    { "its own words are",
      { { CLIENT, "a ID (\"name\" \"x\" \"x-originating-ip\" \"192.0.2.7\")\r\n" }, LOGS_IN },
      IDS("\"name\" \"x\""),
      IDED },
    { "but how far it has come is passed on",
      { { CLIENT, "a ID (\"x-proxy-ttl\" \"3\" \"x-session-id\" \"s\")\r\n" }, LOGS_IN },
      IDS("\"x-proxy-ttl\" \"2\""),
      IDED },
    { "and if it has none nothing is", { LOGS_IN }, "b LOGIN \"ann\" \"secret\"\r\n", "" },
};

TEST(where_addresses_are_not_passed_on)
{
    dialog_play_all(unannounced, ARRAY_LEN(unannounced), come_unannounced);
}

TEST(limits_go_by_the_address_that_is_told)
{
    struct rig rig;
    rig_begin(&rig,
              "languages = \"off\" max_unauthenticated_per_address = 1\n" RIG_LISTENER(TRUSTING) RIG_UPSTREAM(""));
    struct wire *one = rig_greet(&rig, LIST), *other = rig_greet(&rig, LIST);
    rig_say(&rig, one, "a ID (\"x-originating-ip\" \"192.0.2.7\")\r\n");
    rig_say(&rig, other, "a ID (\"x-originating-ip\" \"192.0.2.8\")\r\n");
    assert_false(one->is_shut || other->is_shut);
    wire_take(other);
    rig_say(&rig, other, "a ID (\"x-originating-ip\" \"192.0.2.7\")\r\n");
    assert_string_equal(wire_take(other), "* BYE [UNAVAILABLE] Too many connections from this address.\r\n");
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_trusted_speaks_for_others),
        cmocka_unit_test(who_is_not_trusted_speaks_for_itself),
        cmocka_unit_test(where_addresses_are_not_passed_on),
        cmocka_unit_test(limits_go_by_the_address_that_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
