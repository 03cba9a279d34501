#include "check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alert.h"
#include "chorus.h"
#include "dialog.h"
#include "outage.h"
#include "prelude.h"
#include "race.h"
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
        prelude_take_turn("main", rig.service->config->upstreams[0].members[0].text, rig.now_ms, &round);
        prelude_end_round("main", rig.service->config->upstreams[0].members[0].text,
                          &(struct prelude_lesson){ .names = IMAPSTATE_SPAN(OFFERED) }, rig.now_ms);
        struct wire *client = rig_come(&rig);
        assert_non_null(client);
        rig_say(&rig, client, legs[i].said);
        char *heard = strdup(wire_take(client));
        CHECK_ROW(legs[i].name, strcmp(heard, legs[i].want) == 0);
        bool is_hidden = strcmp(legs[i].want, WITHOUT_PROOFS) == 0;
        CHECK_ROW(legs[i].name, prelude_hides("main", rig.service->config->upstreams[0].members[0].text) ==
                                    !is_hidden); /* told the first time */
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

/* --- several members --- */

#define POOL                                                                                                           \
    "languages = \"off\"\n" RIG_LISTENER("") "upstream \"main\" { address = { \"127.0.0.1:2001\", "                    \
                                             "\"127.0.0.1:2002\" } tls = \"none\" fail_timeout = \"5s\" }\n"
#define LISTS(names)      "* OK hi\r\n* CAPABILITY " names "\r\nimapstate OK 1\r\n"
#define GREETED_BY(names) "* OK [CAPABILITY " names " LITERAL+ STATE] imapstate ready.\r\n"

/* A client comes, and both members are asked: the first one first. */
static struct wire *come_to_pool(struct rig *rig, struct wire *servers[2])
{
    rig_begin(rig, POOL);
    struct wire *client = rig_come(rig);
    servers[0] = rig_server(rig);
    servers[1] = rig_server(rig);
    assert_non_null(servers[0]);
    assert_non_null(servers[1]);
    assert_null(rig_server(rig));
    return client;
}

static void check_next(struct rig *rig, const char *want)
{
    struct wire *client = rig_come(rig);
    assert_string_equal(wire_take(client), want);
}

TEST(a_greeting_has_what_all_members_have_in_common)
{
    struct rig rig;
    struct wire *servers[2], *client = come_to_pool(&rig, servers);
    rig_say(&rig, servers[1], LISTS("BOTH IMAP4rev1 TWO"));
    assert_string_equal(wire_take(client), "");
    rig_say(&rig, servers[0], LISTS("IMAP4rev1 ONE BOTH"));
    assert_string_equal(wire_take(client), GREETED_BY("IMAP4rev1 BOTH"));
    check_next(&rig, GREETED_BY("IMAP4rev1 BOTH"));
    assert_null(rig_server(&rig)); /* both are fresh */
    /* One that the operator has set down has no say; if all are, what they have said is all there is. */
    assert_true(outage_begin("main", "127.0.0.1:2001", OUTAGE_DRAINING));
    check_next(&rig, GREETED_BY("BOTH IMAP4rev1 TWO"));
    assert_true(outage_begin("main", "127.0.0.1:2002", OUTAGE_DOWN));
    check_next(&rig, GREETED_BY("IMAP4rev1 BOTH"));
    outage_done();
    rig_end(&rig);
}

/* Refused at once: nobody waits, and it is only asked again after fail_timeout. */
TEST(a_member_that_cannot_be_reached_has_no_say)
{
    struct rig rig;
    struct wire *servers[2], *client = come_to_pool(&rig, servers);
    wire_refuse(servers[0], ECONNREFUSED);
    rig_pass(&rig, 0);
    assert_string_equal(wire_take(client), "");
    rig_say(&rig, servers[1], LISTS("IMAP4rev1 TWO"));
    assert_string_equal(wire_take(client), GREETED_BY("IMAP4rev1 TWO"));
    check_next(&rig, GREETED_BY("IMAP4rev1 TWO"));
    assert_null(rig_server(&rig));
    rig_pass(&rig, 5000);
    check_next(&rig, GREETED_BY("IMAP4rev1 TWO")); /* without waiting for the answer */
    struct wire *again = rig_server(&rig);
    assert_non_null(again);
    check_next(&rig, GREETED_BY("IMAP4rev1 TWO"));
    assert_null(rig_server(&rig));
    rig_say(&rig, again, LISTS("IMAP4rev1"));
    check_next(&rig, GREETED_BY("IMAP4rev1"));
    rig_end(&rig);
}

/* It holds up those who come first as long as a login, and nobody after them. */
TEST(a_member_that_is_silent_is_not_waited_for_if_another_is_not)
{
    struct rig rig;
    struct wire *servers[2], *client = come_to_pool(&rig, servers);
    rig_say(&rig, servers[1], LISTS("IMAP4rev1 TWO"));
    rig_pass(&rig, RACE_STALL_MS - 1);
    assert_string_equal(wire_take(client), "");
    rig_pass(&rig, 1);
    assert_string_equal(wire_take(client), GREETED_BY("IMAP4rev1 TWO"));
    check_next(&rig, GREETED_BY("IMAP4rev1 TWO"));
    assert_null(rig_server(&rig));
    rig_say(&rig, servers[0], LISTS("IMAP4rev1 ONE")); /* it was only slow */
    check_next(&rig, GREETED_BY("IMAP4rev1"));
    rig_end(&rig);
}

/* There is nothing to be greeted by. */
TEST(if_all_members_are_silent_they_are_waited_for)
{
    struct rig rig;
    struct wire *servers[2], *client = come_to_pool(&rig, servers);
    rig_pass(&rig, 5000);
    assert_string_equal(wire_take(client), "");
    rig_say(&rig, servers[0], LISTS("IMAP4rev1 ONE"));
    assert_string_equal(wire_take(client), GREETED_BY("IMAP4rev1 ONE"));
    rig_end(&rig);
}

/* If all members have failed, whoever comes has them asked again: one may be back. */
TEST(members_that_have_all_failed_do_not_rest)
{
    struct rig rig;
    struct wire *servers[2], *client = come_to_pool(&rig, servers);
    wire_refuse(servers[0], ECONNREFUSED);
    wire_refuse(servers[1], ECONNREFUSED);
    rig_pass(&rig, 0);
    assert_string_equal(wire_take(client), GREETED_BLIND);
    client = rig_come(&rig);
    assert_non_null(servers[0] = rig_server(&rig));
    assert_non_null(servers[1] = rig_server(&rig));
    rig_say(&rig, servers[0], LISTS("IMAP4rev1 ONE"));
    assert_string_equal(wire_take(client), GREETED_BY("IMAP4rev1 ONE"));
    rig_end(&rig);
}

/* The answer to ID is the first one's that has any; an alert of several is told once. */
TEST(members_answer_id_in_order_and_alert_together)
{
    struct rig rig;
    struct imapstate_buf alerts;
    struct wire *servers[2], *client = come_to_pool(&rig, servers);
    imapstate_buf_init(&alerts, 2 * ALERTS_MAX);
    rig_say(&rig, servers[1], "* OK [ALERT] both\r\n* OK [ALERT] two\r\n");
    rig_say(&rig, servers[1], "* CAPABILITY IMAP4rev1 ID\r\nimapstate OK 1\r\n");
    rig_say(&rig, servers[1], "* ID (\"name\" \"two\")\r\nimapstate OK 2\r\n");
    rig_say(&rig, servers[0], "* OK [ALERT] both\r\n* CAPABILITY IMAP4rev1 ID\r\nimapstate OK 1\r\n");
    rig_say(&rig, client, "a ID NIL\r\n");
    rig_say(&rig, servers[0], "imapstate NO 2\r\n");
    assert_non_null(strstr(wire_take(client), "* ID (\"name\" \"two\")\r\na OK "));
    chorus_alerts(&rig.service->config->upstreams[0], &alerts);
    CHECK_SPAN("alerts", imapstate_buf_span(&alerts), IMAPSTATE_SPAN("* OK [ALERT] both\r\n* OK [ALERT] two\r\n"));
    imapstate_buf_done(&alerts);
    /* When both have answered it is the first one's. */
    rig_pass(&rig, PRELUDE_FRESH_MS);
    client = rig_come(&rig);
    for (unsigned i = 0; i < 2; i++) {
        servers[i] = rig_server(&rig);
        rig_say(&rig, servers[i], LISTS("IMAP4rev1 ID"));
        rig_say(&rig, servers[i],
                i == 0 ? "* ID (\"name\" \"one\")\r\nimapstate OK 2\r\n"
                       : "* ID (\"name\" \"two\")\r\nimapstate OK 2\r\n");
    }
    rig_say(&rig, client, "a ID NIL\r\n");
    assert_non_null(strstr(wire_take(client), "* ID (\"name\" \"one\")\r\na OK "));
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
        cmocka_unit_test(a_greeting_has_what_all_members_have_in_common),
        cmocka_unit_test(a_member_that_cannot_be_reached_has_no_say),
        cmocka_unit_test(a_member_that_is_silent_is_not_waited_for_if_another_is_not),
        cmocka_unit_test(if_all_members_are_silent_they_are_waited_for),
        cmocka_unit_test(members_that_have_all_failed_do_not_rest),
        cmocka_unit_test(members_answer_id_in_order_and_alert_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
