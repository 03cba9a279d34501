#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "dialog.h"
#include "prelude.h"
#include "rig.h"

#define PROXY_OPTIONS "accept_proxy = true trusted_networks = { \"127.0.0.0/8\" }"
#define PROXY_LINE    "PROXY TCP4 192.0.2.7 192.0.2.1 4711 143\r\n"

static void come_with(struct rig *rig, const char *config, struct wire **ret_client, struct wire **ret_server)
{
    rig_begin(rig, config);
    *ret_client = rig_come(rig);
    *ret_server = NULL;
    assert_non_null(*ret_client);
}

static void come(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    come_with(rig, "languages = \"off\"\n" RIG_CONFIG, ret_client, ret_server);
}

static void come_by_proxy(struct rig *rig, struct wire **ret_client, struct wire **ret_server)
{
    come_with(rig, "languages = \"off\" max_clients_per_address = 1\n" RIG_LISTENER(PROXY_OPTIONS) RIG_UPSTREAM(""),
              ret_client, ret_server);
}

#define ASKED "imapstate CAPABILITY\r\n"
#define LEFT  ASKED "imapstate LOGOUT\r\n"

/* The list that the server has, which the scout asks for. */
#define SCOUT_LEARNS                                                                                                   \
    { SERVER_COMES, NULL }, { SERVER, "* OK hi\r\n" },                                                                 \
    {                                                                                                                  \
        SERVER, "* CAPABILITY IMAP4rev1 ENABLE\r\nimapstate OK 1\r\n"                                                  \
    }

#define GREETED       "* OK [CAPABILITY IMAP4rev1 ENABLE LITERAL+ STATE] imapstate ready.\r\n"
#define GREETED_BLIND "* OK [CAPABILITY IMAP4rev1 ID LITERAL+ STATE] imapstate ready.\r\n"

static const struct dialog lists[] = {
    { "it is asked for, and told", { SCOUT_LEARNS }, LEFT, GREETED },
    { "and until then nothing is said", { { SERVER_COMES, NULL }, { SERVER, "* OK hi\r\n" } }, ASKED, "" },
    { "the server has ID",
      { { SERVER_COMES, NULL },
        { SERVER, "* OK hi\r\n" },
        { SERVER, "* CAPABILITY IMAP4rev1 ID\r\nimapstate OK 1\r\n" },
        { SERVER, "* ID (\"name\" \"x\")\r\nimapstate OK 2\r\n" } },
      ASKED "imapstate ID (\"name\" \"imapstate\")\r\nimapstate LOGOUT\r\n",
      "* OK [CAPABILITY IMAP4rev1 ID LITERAL+ STATE] imapstate ready.\r\n" },
    { "the server cannot be reached", { { SERVER_REFUSES, NULL } }, "", GREETED_BLIND },
    { "the server turns us away",
      { { SERVER_COMES, NULL }, { SERVER, "* BYE no\r\n" }, { SERVER_ENDS, NULL } },
      "<end>",
      GREETED_BLIND },
    { "the server is silent", { { SERVER_COMES, NULL }, { WAIT, "9999" } }, "", "" },
    { "but not for ever", { { SERVER_COMES, NULL }, { WAIT, "10000" } }, "<end>", GREETED_BLIND },
    { "the next client is told it at once", { SCOUT_LEARNS, { CLIENT_COMES, NULL } }, LEFT, GREETED "<next>" GREETED },
    { "what it says meanwhile waits",
      { { CLIENT, "a NOOP\r\n" }, SCOUT_LEARNS },
      LEFT,
      GREETED "a OK NOOP completed.\r\n" },
    { "it ends meanwhile", { { CLIENT_ENDS, NULL }, SCOUT_LEARNS }, LEFT, GREETED "<end>" },
    { "it is lost meanwhile", { { CLIENT_IS_LOST, NULL }, SCOUT_LEARNS }, LEFT, "<end>" },
};

TEST(a_client_is_greeted_by_the_list_of_the_server)
{
    dialog_play_all(lists, ARRAY_LEN(lists), come);
}

static const struct dialog headers[] = {
    { "a header, and a command behind it",
      { { CLIENT, PROXY_LINE "a NOOP\r\n" }, SCOUT_LEARNS },
      LEFT,
      GREETED "a OK NOOP completed.\r\n" },
    { "a header of the proxy itself", { { CLIENT, "PROXY UNKNOWN\r\n" }, SCOUT_LEARNS }, LEFT, GREETED },
    { "no header", { { CLIENT, "a NOOP\r\n" } }, "", "<end>" },
    { "a damaged one", { { CLIENT, "PROXY TCP4 192.0.2.7 192.0.2.1 4711 x\r\n" } }, "", "<end>" },
    { "half of one, and the end", { { CLIENT, "PROXY TCP4" }, { CLIENT_ENDS, NULL } }, "", "<end>" },
    { "half of one, and no more: one that says nothing is let go of when its login is overdue",
      { { CLIENT, "PROXY TCP4" }, { WAIT, "179999" } },
      "",
      "" },
    { "without a word, as nobody has been greeted", { { CLIENT, "PROXY TCP4" }, { WAIT, "180000" } }, "", "<end>" },
};

TEST(behind_a_proxy_a_client_is_who_the_header_says)
{
    dialog_play_all(headers, ARRAY_LEN(headers), come_by_proxy);
}

TEST(limits_go_by_the_address_in_the_header)
{
    struct rig rig;
    struct wire *one, *other, *server;
    come_by_proxy(&rig, &one, &server);
    rig_say(&rig, one, PROXY_LINE);
    other = rig_come(&rig);
    assert_non_null(other);
    rig_say(&rig, other, PROXY_LINE);
    assert_true(other->is_shut);
    other = rig_come(&rig);
    assert_non_null(other);
    rig_say(&rig, other, "PROXY TCP4 192.0.2.8 192.0.2.1 4711 143\r\n");
    assert_false(other->is_shut);
    rig_end(&rig);
}

/* Who comes when the list is old has it asked for, but is greeted by the old one before long. */
TEST(an_older_list_is_told_after_a_second)
{
    struct rig rig;
    rig_begin(&rig, "languages = \"off\"\n" RIG_CONFIG);
    rig_greet(&rig, "IMAP4rev1 ENABLE");
    rig_pass(&rig, PRELUDE_FRESH_MS);
    struct wire *client = rig_come(&rig);
    struct wire *scout = rig_server(&rig);
    assert_non_null(scout);
    rig_pass(&rig, 999);
    assert_string_equal(wire_take(client), "");
    rig_pass(&rig, 1);
    assert_string_equal(wire_take(client), GREETED);
    rig_end(&rig);
}

#define OFFERED         "IMAP4rev1 AUTH=PLAIN AUTH=CRAM-MD5 AUTH=XOAUTH2 AUTH=SCRAM-SHA-256"
#define WITH_PROOFS     "* OK [CAPABILITY " OFFERED " LITERAL+ STATE] imapstate ready.\r\n"
#define WITHOUT_PROOFS  "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 LITERAL+ STATE] imapstate ready.\r\n"
#define ON_LISTENER     RIG_LISTENER("")
#define FROM(address)   "PROXY TCP4 " address " 192.0.2.1 4711 143\r\n"
#define TO(options)     "upstream \"main\" { " options " }\n"
#define TO_HOST(host)   TO("address = \"" host ":143\" tls = \"none\"")
#define LISTED(options) RIG_LISTENER("auth_mechanisms = " options) RIG_UPSTREAM("")

static const struct {
    const char *name, *config, *said, *want;
} legs[] = {
    { "both legs are this host's", ON_LISTENER RIG_UPSTREAM(""), "", WITHOUT_PROOFS },
    { "the client comes from elsewhere, in clear", RIG_LISTENER(PROXY_OPTIONS) RIG_UPSTREAM(""), FROM("192.0.2.7"),
      WITH_PROOFS },
    { "a proxy tells of a client of this host's", RIG_LISTENER(PROXY_OPTIONS) RIG_UPSTREAM(""), FROM("127.9.9.9"),
      WITHOUT_PROOFS },
    { "the server is elsewhere, in clear", ON_LISTENER TO_HOST("192.0.2.9"), "", WITH_PROOFS },
    { "a name is elsewhere, wherever it leads", ON_LISTENER TO_HOST("localhost.example.org"), "", WITH_PROOFS },
    { "but for this host's own", ON_LISTENER TO_HOST("localhost"), "", WITHOUT_PROOFS },
    { "or by its IPv6 address", ON_LISTENER TO_HOST("[::1]"), "", WITHOUT_PROOFS },
    { "the server has a unix socket", ON_LISTENER TO("address = \"unix:/run/x\" tls = \"none\""), "", WITHOUT_PROOFS },
    { "nothing is parked that could serve", "park { per_user = 0 }\n" ON_LISTENER RIG_UPSTREAM(""), "", WITH_PROOFS },
    { "the operator wants all", LISTED("\"all\""), "", WITH_PROOFS },
    { "or names some", LISTED("{ \"PLAIN\", \"CRAM-MD5\", \"XOAUTH2\", \"SCRAM-SHA-256\" }"), "", WITH_PROOFS },
    { "an empty list says nothing", LISTED("{}"), "", WITHOUT_PROOFS },
};

TEST(what_parking_cannot_match_is_not_shown_where_a_password_is_safe)
{
    for (size_t i = 0; i < ARRAY_LEN(legs); i++) {
        struct rig rig;
        char config[1024];
        snprintf(config, sizeof config, "languages = \"off\"\n%s", legs[i].config);
        rig_begin(&rig, config);
        /* What is known of the server, wherever that would be. */
        uint32_t round;
        prelude_take_turn("main", rig.now_ms, &round);
        prelude_end_round("main", &(struct prelude_lesson){ .names = IMAPSTATE_SPAN(OFFERED) }, rig.now_ms);
        struct wire *client = rig_come(&rig);
        assert_non_null(client);
        rig_say(&rig, client, legs[i].said);
        char *heard = strdup(wire_take(client));
        CHECK_ROW(legs[i].name, strcmp(heard, legs[i].want) == 0);
        bool is_hidden = strcmp(legs[i].want, WITHOUT_PROOFS) == 0;
        CHECK_ROW(legs[i].name, prelude_hides("main") == !is_hidden); /* told the first time */
        free(heard);
        prelude_done();
        rig_end(&rig);
    }
}

/* The address that a trusted client speaks for is further away; its own connection is what a
 * password goes by. */
TEST(whom_a_client_speaks_for_makes_its_connection_no_other)
{
    struct rig rig;
    rig_begin(&rig, "languages = \"off\"\n" RIG_LISTENER("id_trusted_networks = { \"127.0.0.0/8\" }") RIG_UPSTREAM(""));
    struct wire *client = rig_greet(&rig, "IMAP4rev1 ID AUTH=PLAIN AUTH=CRAM-MD5");
    rig_say(&rig, client, "a ID (\"x-originating-ip\" \"192.0.2.7\")\r\nb CAPABILITY\r\n");
    assert_non_null(strstr(wire_take(client), "* CAPABILITY IMAP4rev1 ID AUTH=PLAIN LITERAL+ STATE\r\n"));
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_is_greeted_by_the_list_of_the_server),
        cmocka_unit_test(behind_a_proxy_a_client_is_who_the_header_says),
        cmocka_unit_test(limits_go_by_the_address_in_the_header),
        cmocka_unit_test(an_older_list_is_told_after_a_second),
        cmocka_unit_test(what_parking_cannot_match_is_not_shown_where_a_password_is_safe),
        cmocka_unit_test(whom_a_client_speaks_for_makes_its_connection_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
