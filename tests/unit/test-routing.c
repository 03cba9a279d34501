#include "check.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "naming.h"
#include "park.h"
#include "rig.h"
#include "routecache.h"

/* Two upstreams that can be told apart by their ports. */
#define LISTENER "languages = \"off\"\nlistener \"l\" { address = \"127.0.0.1:1143\" tls = \"none\" }\n"
#define UPSTREAM(name, port, options)                                                                                  \
    "upstream \"" name "\" { address = \"127.0.0.1:" port "\" tls = \"none\" " options " }\n"
#define TWO  UPSTREAM("one", "2001", "") UPSTREAM("two", "2002", "")
#define BOTH LISTENER TWO "route \"one.example\" { upstream = \"one\" }\nroute \"two.example\" { upstream = \"two\" }\n"

#define LIST        "IMAP4rev1 SASL-IR ENABLE AUTH=PLAIN AUTH=XOAUTH2 AUTH=OAUTHBEARER AUTH=SCRAM-SHA-256 AUTH=CRAM-MD5"
#define UNKNOWN_NOW "a NO [UNAVAILABLE] Nobody knows at the moment where this user's mail is.\r\n"
#define REFUSED     "a NO [AUTHENTICATIONFAILED] Authentication failed.\r\n"

static unsigned wire_port(const struct wire *wire)
{
    return ntohs(((const struct sockaddr_in *)(const void *)&wire->peer)->sin_port);
}

/* All scouts that are out learn this list, whomever they have asked. */
static void teach(struct rig *rig, const char *list)
{
    char text[512];
    for (struct wire *scout; (scout = rig_server(rig));) {
        snprintf(text, sizeof text, "* OK [CAPABILITY %s] hi\r\n", list);
        rig_say(rig, scout, text);
        snprintf(text, sizeof text, "* CAPABILITY %s\r\nimapstate OK 1\r\n", list);
        rig_say(rig, scout, text);
    }
}

static struct wire *greet(struct rig *rig)
{
    struct wire *client = rig_come(rig);
    assert_non_null(client);
    rig_pass(rig, 0);
    teach(rig, LIST);
    wire_take(client);
    return client;
}

/* It greets, and what it offers is only known without being asked for if it is a member of an upstream: not at an
 * address that only routes lead to. */
static void introduce(struct rig *rig, struct wire *server)
{
    rig_say(rig, server, "* OK [CAPABILITY " LIST "] hi\r\n");
    if (wire_port(server) == 2001 || wire_port(server) == 2002)
        return;
    assert_string_equal(wire_take(server), "imapstate CAPABILITY\r\n");
    rig_say(rig, server, "* CAPABILITY " LIST "\r\nimapstate OK 1\r\n");
}

/* The server that is connected to for it, which is at this port, and what it has been told. */
static struct wire *expect_server(struct rig *rig, unsigned port, const char *login)
{
    struct wire *server = rig_server(rig);
    assert_non_null(server);
    assert_int_equal(wire_port(server), port);
    introduce(rig, server);
    assert_string_equal(wire_take(server), login);
    return server;
}

/* --- by section and default --- */

static const struct {
    const char *name, *config, *says;
    unsigned port; /* 0: nobody is asked */
    const char *server_hears;
} ways[] = {
    { "the domain of the one", BOTH, "a LOGIN ann@one.example secret\r\n", 2001,
      "a LOGIN \"ann@one.example\" \"secret\"\r\n" },
    { "of the other, in another case", BOTH, "a LOGIN ann@TWO.example secret\r\n", 2002,
      "a LOGIN \"ann@TWO.example\" \"secret\"\r\n" },
    { "the last @ counts", BOTH, "a LOGIN \"a@one.example@two.example\" secret\r\n", 2002,
      "a LOGIN \"a@one.example@two.example\" \"secret\"\r\n" },
    { "another domain", BOTH, "a LOGIN ann@three.example secret\r\n", 0, NULL },
    { "a domain that ends so", BOTH, "a LOGIN ann@xone.example secret\r\n", 0, NULL },
    { "no domain", BOTH, "a LOGIN one.example secret\r\n", 0, NULL },
    { "the default", BOTH "route_default = \"two\"\n", "a LOGIN ann secret\r\n", 2002,
      "a LOGIN \"ann\" \"secret\"\r\n" },
    { "PLAIN", BOTH, "a AUTHENTICATE PLAIN AGFubkB0d28uZXhhbXBsZQBzZWNyZXQ=\r\n", 2002,
      "a AUTHENTICATE PLAIN AGFubkB0d28uZXhhbXBsZQBzZWNyZXQ=\r\n" },
    { "XOAUTH2", BOTH, "a AUTHENTICATE XOAUTH2 dXNlcj1hbm5AdHdvLmV4YW1wbGUBYXV0aD1CZWFyZXIgdG9rAQE=\r\n", 2002,
      "a AUTHENTICATE XOAUTH2 dXNlcj1hbm5AdHdvLmV4YW1wbGUBYXV0aD1CZWFyZXIgdG9rAQE=\r\n" },
    { "OAUTHBEARER that names nobody", BOTH "route_default = \"one\"\n",
      "a AUTHENTICATE OAUTHBEARER biwsAWF1dGg9QmVhcmVyIHRvawEB\r\n", 2001,
      "a AUTHENTICATE OAUTHBEARER biwsAWF1dGg9QmVhcmVyIHRvawEB\r\n" },
    { "SCRAM, where everybody is somewhere and nobody is renamed", BOTH "route_default = \"one\"\n",
      "a AUTHENTICATE SCRAM-SHA-256 biwsbj1hbm5AdHdvLmV4YW1wbGUscj1hYmM=\r\n", 2002,
      "a AUTHENTICATE SCRAM-SHA-256 biwsbj1hbm5AdHdvLmV4YW1wbGUscj1hYmM=\r\n" },
};

TEST(a_login_goes_where_its_user_is)
{
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct rig rig;
        rig_begin(&rig, ways[i].config);
        struct wire *client = greet(&rig);
        rig_say(&rig, client, ways[i].says);
        struct wire *server = rig_server(&rig);
        CHECK_ROW(ways[i].name, (server != NULL) == (ways[i].port != 0));
        if (server) {
            CHECK_ROW(ways[i].name, wire_port(server) == ways[i].port);
            rig_say(&rig, server, "* OK [CAPABILITY " LIST "] hi\r\n");
            assert_string_equal(wire_take(server), ways[i].server_hears);
        } else {
            assert_string_equal(wire_take(client), "");
            rig_pass(&rig, 2000);
            assert_string_equal(wire_take(client), REFUSED);
        }
        rig_end(&rig);
    }
}

/* --- who has no route --- */

TEST(nobody_learns_from_the_answer_whether_a_user_has_a_route)
{
    struct rig rig;
    rig_begin(&rig, BOTH);
    struct wire *client = greet(&rig), *other = greet(&rig);
    rig_say(&rig, client, "a LOGIN ann@one.example wrong\r\n");
    struct wire *server = expect_server(&rig, 2001, "a LOGIN \"ann@one.example\" \"wrong\"\r\n");
    rig_pass(&rig, 700);
    rig_say(&rig, server, "a NO [AUTHENTICATIONFAILED] in words of its own\r\n");
    rig_pass(&rig, 1999);
    assert_string_equal(wire_take(client), "");
    rig_pass(&rig, 1);
    assert_string_equal(wire_take(client), REFUSED);
    rig_say(&rig, other, "a LOGIN nobody wrong\r\n");
    assert_null(rig_server(&rig));
    rig_pass(&rig, 2699); /* as long as the last one took */
    assert_string_equal(wire_take(other), "");
    rig_pass(&rig, 1);
    assert_string_equal(wire_take(other), REFUSED);
    rig_end(&rig);
}

TEST(what_an_upstream_says_besides_no_is_passed_on)
{
    struct rig rig;
    rig_begin(&rig, BOTH);
    struct wire *client = greet(&rig);
    rig_say(&rig, client, "a LOGIN ann@one.example old\r\n");
    struct wire *server = expect_server(&rig, 2001, "a LOGIN \"ann@one.example\" \"old\"\r\n");
    rig_say(&rig, server, "a NO [EXPIRED] Call us\r\n");
    rig_pass(&rig, 2000);
    assert_string_equal(wire_take(client), "a NO [EXPIRED] Call us\r\n");
    rig_end(&rig);
}

/* --- what is offered --- */

static void check_mechanism(const char *config, const char *mechanism, const char *want)
{
    struct rig rig;
    char line[128];
    rig_begin(&rig, config);
    struct wire *client = greet(&rig);
    snprintf(line, sizeof line, "a AUTHENTICATE %s\r\n", mechanism);
    rig_say(&rig, client, line);
    const char *got = wire_take(client);
    CHECK_ROW(mechanism, strcmp(got, want) == 0);
    rig_end(&rig);
}

#define NOT_OFFERED "a NO [CANNOT] Mechanism is not offered.\r\n"

TEST(a_mechanism_that_cannot_be_routed_is_not_offered)
{
    check_mechanism(BOTH "route_default = \"one\"\n", "CRAM-MD5", NOT_OFFERED); /* the server speaks first: which? */
    check_mechanism(BOTH "route_default = \"one\"\n", "SCRAM-SHA-256", "+ \r\n");
    check_mechanism(BOTH, "SCRAM-SHA-256", NOT_OFFERED); /* nobody would challenge an unknown user */
    check_mechanism(BOTH, "XOAUTH2", "+ \r\n");
    check_mechanism(LISTENER UPSTREAM("one", "2001", "user_lowercase = true") "route_default = \"one\"\n",
                    "SCRAM-SHA-256", NOT_OFFERED); /* the name is part of what is proved */
    check_mechanism(LISTENER UPSTREAM("one", "2001", "user_strip_domain = true"), "SCRAM-SHA-256", NOT_OFFERED);
    check_mechanism(LISTENER UPSTREAM("one", "2001", ""), "SCRAM-SHA-256", "+ \r\n");
}

TEST(a_greeting_has_what_all_upstreams_have_in_common)
{
    struct rig rig;
    rig_begin(&rig, BOTH);
    struct wire *client = rig_come(&rig);
    rig_pass(&rig, 0);
    struct wire *one = rig_server(&rig), *two = rig_server(&rig);
    assert_non_null(one);
    assert_non_null(two);
    rig_say(&rig, one, "* OK [CAPABILITY IMAP4rev1] hi\r\n");
    rig_say(&rig, one, "* CAPABILITY IMAP4rev1 A-ONE sasl-ir AUTH=PLAIN BOTH AUTH=XOAUTH2\r\nimapstate OK 1\r\n");
    assert_string_equal(wire_take(client), "");
    rig_say(&rig, two, "* OK [CAPABILITY IMAP4rev1] hi\r\n");
    rig_say(&rig, two, "* CAPABILITY BOTH IMAP4rev1 AUTH=PLAIN SASL-IR B-TWO\r\nimapstate OK 1\r\n");
    assert_string_equal(wire_take(client),
                        "* OK [CAPABILITY IMAP4rev1 sasl-ir AUTH=PLAIN BOTH LITERAL+ STATE] imapstate ready.\r\n");
    rig_say(&rig, client, "a LOGIN ann@two.example secret\r\n");
    struct wire *server = rig_server(&rig);
    rig_say(&rig, server, "* OK [CAPABILITY IMAP4rev1] hi\r\n");
    rig_say(&rig, server, "a OK [CAPABILITY IMAP4rev1 B-TWO] in\r\n");
    assert_string_equal(wire_take(client), "a OK [CAPABILITY IMAP4rev1 B-TWO LITERAL+ STATE] in\r\n");
    rig_end(&rig);
}

TEST(an_upstream_that_is_down_holds_nobody_up_for_long)
{
    struct rig rig;
    rig_begin(&rig, BOTH);
    struct wire *client = rig_come(&rig);
    rig_pass(&rig, 0);
    struct wire *one = rig_server(&rig);
    rig_say(&rig, one, "* OK [CAPABILITY IMAP4rev1] hi\r\n");
    rig_say(&rig, one, "* CAPABILITY IMAP4rev1 A-ONE\r\nimapstate OK 1\r\n");
    assert_string_equal(wire_take(client), "");
    rig_pass(&rig, 1000);
    assert_string_equal(wire_take(client), "* OK [CAPABILITY IMAP4rev1 A-ONE LITERAL+ STATE] imapstate ready.\r\n");
    rig_pass(&rig, 10000); /* connect_timeout: from here on it is known to be silent */
    struct wire *next = rig_come(&rig);
    rig_pass(&rig, 0);
    assert_string_equal(wire_take(next), "* OK [CAPABILITY IMAP4rev1 A-ONE LITERAL+ STATE] imapstate ready.\r\n");
    rig_end(&rig);
}

/* --- names --- */

#define STRIPPED LISTENER UPSTREAM("one", "2001", "user_strip_domain = true user_lowercase = true")

static const struct {
    const char *name, *says, *server_hears;
} names[] = {
    { "LOGIN", "a LOGIN Ann@one.example Secret\r\n", "a LOGIN \"ann\" \"Secret\"\r\n" },
    { "only ASCII is lowered", "a AUTHENTICATE PLAIN AMOcTkAAeA==\r\n", "a AUTHENTICATE PLAIN AMOcbgB4\r\n" },
    { "nothing is left of a name that is all domain", "a LOGIN @One x\r\n", "a LOGIN \"@one\" \"x\"\r\n" },
    { "XOAUTH2, whose user stands inside", "a AUTHENTICATE XOAUTH2 YXV0aD1CZWFyZXIgdG9rAXVzZXI9QW5uQHgBAQ==\r\n",
      "a AUTHENTICATE XOAUTH2 YXV0aD1CZWFyZXIgdG9rAXVzZXI9YW5uAQE=\r\n" },
    { "OAUTHBEARER too", "a AUTHENTICATE OAUTHBEARER bixhPUE9MkNCQHgsAWF1dGg9QmVhcmVyIHRvawEB\r\n",
      "a AUTHENTICATE OAUTHBEARER bixhPWE9MkNiLAFhdXRoPUJlYXJlciB0b2sBAQ==\r\n" },
};

TEST(an_upstream_is_told_the_names_that_it_knows)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct rig rig;
        rig_begin(&rig, STRIPPED);
        struct wire *client = greet(&rig);
        rig_say(&rig, client, names[i].says);
        struct wire *server = rig_server(&rig);
        CHECK_ROW(names[i].name, server != NULL);
        rig_say(&rig, server, "* OK [CAPABILITY " LIST "] hi\r\n");
        assert_string_equal(wire_take(server), names[i].server_hears);
        rig_end(&rig);
    }
}

static struct wire *log_in_as(struct rig *rig, struct wire *client, const char *user)
{
    char line[128];
    snprintf(line, sizeof line, "l LOGIN %s secret\r\n", user);
    rig_say(rig, client, line);
    struct wire *server = rig_server(rig);
    if (server) {
        introduce(rig, server);
        rig_say(rig, server, "l OK [CAPABILITY IMAP4rev1 UNSELECT] in\r\n");
        wire_take(server);
    }
    return server;
}

TEST(whose_parked_connections_they_are_goes_by_the_name_that_is_routed)
{
    struct rig rig;
    rig_begin(&rig, STRIPPED);
    struct wire *client = greet(&rig);
    assert_non_null(log_in_as(&rig, client, "Ann@one.example"));
    rig_say(&rig, client, "b LOGOUT\r\n");
    assert_int_equal(park_count(), 1);
    client = greet(&rig);
    assert_null(log_in_as(&rig, client, "ANN"));
    assert_non_null(strstr(wire_take(client), "l OK "));
    rig_end(&rig);
}

TEST(the_same_name_at_another_upstream_is_somebody_else)
{
    struct rig rig;
    rig_begin(&rig,
              LISTENER UPSTREAM("one", "2001", "user_strip_domain = true")
                  UPSTREAM("two", "2002", "user_strip_domain = true") "route \"one.example\" { upstream = \"one\" }\n"
                                                                      "route \"two.example\" { upstream = \"two\" }\n");
    struct wire *client = greet(&rig);
    assert_int_equal(wire_port(log_in_as(&rig, client, "ann@one.example")), 2001);
    rig_say(&rig, client, "b LOGOUT\r\n");
    assert_int_equal(park_count(), 1);
    client = greet(&rig);
    assert_int_equal(wire_port(log_in_as(&rig, client, "ann@two.example")), 2002);
    rig_end(&rig);
}

/* What a client with this user gets for the token. */
static void check_restored(struct rig *rig, const char *user, const char *token, const char *want)
{
    char line[2100];
    struct wire *client = greet(rig);
    log_in_as(rig, client, user);
    assert_non_null(strstr(wire_take(client), "l OK "));
    snprintf(line, sizeof line, "b STATE %s\r\n", token);
    rig_say(rig, client, line);
    const char *got = wire_take(client);
    if (!strstr(got, want))
        fail_msg("%s: %s", user, got);
    rig_say(rig, client, "c LOGOUT\r\n");
}

TEST(whose_token_it_is_goes_by_the_name_and_the_upstream_that_are_routed)
{
#define KNOWS "user_strip_domain = true user_lowercase = true"
    struct rig rig;
    char token[2049];
    rig_begin(&rig, LISTENER UPSTREAM("one", "2001", KNOWS)
                        UPSTREAM("two", "2002", KNOWS) "route \"two.example\" { upstream = \"two\" }\n"
                                                       "route_default = \"one\"\n");
    struct wire *client = greet(&rig);
    log_in_as(&rig, client, "Ann@two.example");
    rig_say(&rig, client, "b STATE\r\n");
    wire_take(client);
    rig_say(&rig, client, "s SAVESTATE\r\n");
    assert_int_equal(sscanf(wire_take(client), "* SAVESTATE %2048s", token), 1);
    rig_say(&rig, client, "c LOGOUT\r\n");
    check_restored(&rig, "ann@one.example", token, "b OK State not restored");
    check_restored(&rig, "bob@two.example", token, "b OK State not restored");
    check_restored(&rig, "ANN@TWO.example", token, "b OK State restored");
    rig_end(&rig);
}

TEST(who_acts_for_another_has_the_name_that_is_known_there)
{
    struct rig rig;
    rig_begin(&rig, LISTENER UPSTREAM("one", "2001", "authorization_identity = pass user_lowercase = true"));
    struct wire *client = greet(&rig);
    rig_say(&rig, client, "a AUTHENTICATE PLAIN Qm9iAEFOTgBQ\r\n"); /* Bob NUL ANN NUL P */
    expect_server(&rig, 2001, "a AUTHENTICATE PLAIN Ym9iAGFubgBQ\r\n");
    rig_end(&rig);
}

TEST(who_acts_for_another_goes_where_the_other_is)
{
    struct rig rig;
    rig_begin(&rig,
              LISTENER UPSTREAM("one", "2001", "authorization_identity = pass")
                  UPSTREAM("two", "2002",
                           "authorization_identity = pass user_strip_domain = true") "route_default = \"one\"\nroute "
                                                                                     "\"x\" { upstream = \"two\" }\n");
    struct wire *client = greet(&rig);
    rig_say(&rig, client, "a AUTHENTICATE PLAIN Ym9iQHgAYW5uAHA=\r\n"); /* bob@x NUL ann NUL p */
    expect_server(&rig, 2002, "a AUTHENTICATE PLAIN Ym9iAGFubgBw\r\n");
    rig_end(&rig);
    rig_begin(&rig, LISTENER UPSTREAM("one", "2001", "authorization_identity = pass")
                        UPSTREAM("two", "2002", "") "route_default = \"one\"\nroute \"x\" { upstream = \"two\" }\n");
    client = greet(&rig);
    rig_say(&rig, client, "a AUTHENTICATE PLAIN Ym9iAGFubgBw\r\n"); /* bob would be at one, which lets him */
    assert_null(rig_server(&rig));
    assert_non_null(strstr(wire_take(client), "a NO [CANNOT] "));
    rig_end(&rig);
}

TEST(after_unauthenticate_another_user_is_at_home_elsewhere)
{
    struct rig rig;
    rig_begin(&rig, BOTH);
    struct wire *client = greet(&rig);
    rig_say(&rig, client, "l LOGIN ann@one.example secret\r\n");
    struct wire *server = expect_server(&rig, 2001, "l LOGIN \"ann@one.example\" \"secret\"\r\n");
    rig_say(&rig, server, "l OK [CAPABILITY IMAP4rev1 UNAUTHENTICATE] in\r\n");
    wire_take(client);
    rig_say(&rig, client, "u UNAUTHENTICATE\r\n");
    rig_pass(&rig, 100);
    assert_non_null(strstr(wire_take(client), "u OK "));
    assert_int_equal(wire_port(log_in_as(&rig, client, "ann@two.example")), 2002);
    assert_non_null(strstr(wire_take(client), "l OK "));
    rig_end(&rig);
}

/* --- route_map --- */

static char map_path[] = "/tmp/test-routing-XXXXXX";

static void write_map(const char *text)
{
    FILE *file = fopen(map_path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void begin_with_map(struct rig *rig, const char *text, const char *more)
{
    char config[1024];
    snprintf(config, sizeof config, TWO "route_map = \"%s\"\n%s" LISTENER, map_path, more);
    write_map(text);
    rig_begin(rig, config);
}

TEST(a_line_of_the_map_beats_its_domain_and_that_all_else)
{
    static const struct {
        const char *user, *hears;
        unsigned port;
    } users[] = {
        { "ann@one.example", "a LOGIN \"anna\" \"secret\"\r\n", 2002 },
        { "bob@one.example", "a LOGIN \"bob@one.example\" \"secret\"\r\n", 2001 },
        { "bob@two.example", "a LOGIN \"bob@two.example\" \"secret\"\r\n", 2003 },
        { "carl", "a LOGIN \"carl\" \"secret\"\r\n", 2001 },
        { "dora@three.example", "a LOGIN \"dora@three.example\" \"secret\"\r\n", 2002 },
    };
    for (size_t i = 0; i < ARRAY_LEN(users); i++) {
        struct rig rig;
        char line[128];
        begin_with_map(&rig,
                       "ann@one.example two user=anna\n@one.example one\n@two.example two address=127.0.0.1:2003\n",
                       "route \"one.example\" { upstream = \"two\" }\nroute \"three.example\" { upstream = \"two\" }\n"
                       "route_default = \"one\"\n");
        struct wire *client = greet(&rig);
        snprintf(line, sizeof line, "a LOGIN %s secret\r\n", users[i].user);
        rig_say(&rig, client, line);
        expect_server(&rig, users[i].port, users[i].hears);
        rig_end(&rig);
    }
}

/* Whoever has connected before a reload has the older file's upstreams, and the newer map. */
TEST(a_newer_map_leads_nobody_who_acts_for_another_where_that_is_refused)
{
    struct rig rig;
    char config[1024];
    snprintf(config, sizeof config,
             LISTENER UPSTREAM("one", "2001", "")
                 UPSTREAM("two", "2002", "authorization_identity = pass") "route_map = \"%s\"\n",
             map_path);
    write_map("bob two\n");
    rig_begin(&rig, config);
    service_forget_revocations(rig.service); /* the daemon does so, then and at a reload: the map is in force */
    struct wire *client = greet(&rig), *other = greet(&rig);
    rig_say(&rig, client, "a AUTHENTICATE PLAIN Ym9iAGFubgBw\r\n"); /* bob NUL ann NUL p */
    expect_server(&rig, 2002, "a AUTHENTICATE PLAIN Ym9iAGFubgBw\r\n");
    write_map("bob one\n");
    rig_reload(&rig, config);
    service_forget_revocations(rig.service);
    teach(&rig, LIST);
    rig_say(&rig, other, "a AUTHENTICATE PLAIN Ym9iAGFubgBw\r\n");
    assert_string_equal(wire_take(other), UNKNOWN_NOW);
    assert_null(rig_server(&rig));
    rig_end(&rig);
    service_done();
}

/* What one server has accepted is nothing that another one knows of. */
TEST(what_is_parked_at_an_address_serves_nobody_who_is_led_elsewhere)
{
    struct rig rig;
    char config[1024];
    begin_with_map(&rig, "ann one address=127.0.0.1:2003\n", "");
    struct wire *client = greet(&rig);
    assert_int_equal(wire_port(log_in_as(&rig, client, "ann")), 2003);
    rig_say(&rig, client, "b LOGOUT\r\n");
    assert_int_equal(park_count(), 1);
    client = greet(&rig);
    assert_null(log_in_as(&rig, client, "ann"));
    rig_say(&rig, client, "b LOGOUT\r\n");
    rig_pass(&rig, 0);
    write_map("ann one address=127.0.0.1:2004\n");
    snprintf(config, sizeof config, TWO "route_map = \"%s\"\n" LISTENER, map_path);
    rig_reload(&rig, config);
    assert_int_equal(park_count(), 1); /* the upstream is as it was */
    client = greet(&rig);
    assert_int_equal(wire_port(log_in_as(&rig, client, "ann")), 2004);
    rig_end(&rig);
}

TEST(an_address_of_the_map_may_be_a_name)
{
    struct rig rig;
    begin_with_map(&rig, "ann one address=mail.example:2003\nbob one address=mail.example:2004\n", "");
    struct wire *client = greet(&rig), *other = greet(&rig);
    rig_say(&rig, client, "a LOGIN ann secret\r\n");
    assert_null(rig_server(&rig)); /* the name is asked for */
    naming_answer(1, rig.now_ms);
    upstreams_told(&rig.upstreams);
    rig_pass(&rig, 0);
    expect_server(&rig, 2003, "a LOGIN \"ann\" \"secret\"\r\n");
    rig_say(&rig, other, "a LOGIN bob secret\r\n"); /* it is known */
    expect_server(&rig, 2004, "a LOGIN \"bob\" \"secret\"\r\n");
    rig_end(&rig);
}

TEST(an_address_that_no_name_server_knows_has_nobody_let_in)
{
    struct rig rig;
    begin_with_map(&rig, "ann one address=mail.example:2003\n", "");
    struct wire *client = greet(&rig);
    rig_say(&rig, client, "a LOGIN ann secret\r\n");
    naming_answer(0, rig.now_ms);
    upstreams_told(&rig.upstreams);
    rig_pass(&rig, 0);
    assert_null(rig_server(&rig)); /* the upstream's own address is none for this user */
    assert_non_null(strstr(wire_take(client), "a NO [UNAVAILABLE] "));
    rig_end(&rig);
}

/* --- route_http --- */

#define HTTP                                                                                                           \
    LISTENER TWO "route_http { url = \"http://127.0.0.1:9000/r\" upstream = \"two\" cache = \"1m\" timeout = \"3s\" "  \
                 "}\n"
#define FOUND "HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: 2005\r\n"

static struct wire *ask(struct rig *rig, struct wire *client, const char *user)
{
    char line[128], want[64];
    snprintf(line, sizeof line, "a LOGIN %s secret\r\n", user);
    rig_say(rig, client, line);
    struct wire *service = rig_server(rig);
    assert_non_null(service);
    assert_int_equal(wire_port(service), 9000);
    const char *request = wire_take(service);
    snprintf(want, sizeof want, "\r\nAuth-User: %s\r\n", user);
    assert_non_null(strstr(request, want));
    assert_null(strstr(request, "secret"));
    return service;
}

TEST(somebody_else_may_know_where_a_user_is)
{
    struct rig rig;
    rig_begin(&rig, HTTP);
    routecache_forget();
    struct wire *client = greet(&rig);
    rig_say(&rig, ask(&rig, client, "ann"), FOUND "Auth-User: anna\r\n\r\n");
    struct wire *server = expect_server(&rig, 2005, "a LOGIN \"anna\" \"secret\"\r\n");
    rig_say(&rig, server, "a OK [CAPABILITY IMAP4rev1] in\r\n");
    assert_string_equal(wire_take(client), "a OK [CAPABILITY IMAP4rev1 LITERAL+ STATE] in\r\n");
    struct wire *again = greet(&rig);
    rig_say(&rig, again, "a LOGIN ann secret\r\n"); /* known for a minute */
    expect_server(&rig, 2005, "a LOGIN \"anna\" \"secret\"\r\n");
    rig_pass(&rig, 61000);
    ask(&rig, greet(&rig), "ann");
    rig_end(&rig);
    routecache_forget();
}

/* Only of who is there the answer is kept: the next time it would be told by how soon the refusal comes. */
TEST(nobody_learns_from_the_time_whether_route_http_knows_a_user)
{
    struct rig rig;
    rig_begin(&rig, HTTP);
    routecache_forget();
    struct wire *client = greet(&rig), *again = greet(&rig), *other = greet(&rig);
    struct wire *service = ask(&rig, client, "ann");
    rig_pass(&rig, 300);
    rig_say(&rig, service, FOUND "\r\n");
    struct wire *server = expect_server(&rig, 2005, "a LOGIN \"ann\" \"secret\"\r\n");
    rig_pass(&rig, 100);
    rig_say(&rig, server, "a NO [AUTHENTICATIONFAILED] no\r\n");
    rig_pass(&rig, 1999);
    assert_string_equal(wire_take(client), "");
    rig_pass(&rig, 1);
    assert_string_equal(wire_take(client), REFUSED);
    rig_say(&rig, again, "a LOGIN ann secret\r\n"); /* it is kept where she is */
    server = expect_server(&rig, 2005, "a LOGIN \"ann\" \"secret\"\r\n");
    rig_pass(&rig, 100);
    rig_say(&rig, server, "a NO [AUTHENTICATIONFAILED] no\r\n");
    rig_pass(&rig, 2299);
    assert_string_equal(wire_take(again), "");
    rig_pass(&rig, 1);
    assert_string_equal(wire_take(again), REFUSED);
    service = ask(&rig, other, "nobody");
    rig_pass(&rig, 300);
    rig_say(&rig, service, "HTTP/1.0 200 OK\r\nAuth-Status: No such user\r\n\r\n");
    rig_pass(&rig, 2099);
    assert_string_equal(wire_take(other), "");
    rig_pass(&rig, 1);
    assert_string_equal(wire_take(other), REFUSED);
    rig_end(&rig);
    routecache_forget();
}

static const struct {
    const char *name, *answer;
    const char *client_hears;
    uint64_t after_ms;
} answers[] = {
    { "no such user", "HTTP/1.0 200 OK\r\nAuth-Status: No such user\r\n\r\n", REFUSED, 2000 },
    { "not now", "HTTP/1.0 200 OK\r\nAuth-Status: WAIT\r\n\r\n", NULL, 0 },
    { "an error", "HTTP/1.0 500 Oops\r\n\r\n", NULL, 0 },
    { "a redirection", "HTTP/1.0 302 Found\r\nLocation: http://192.0.2.1/\r\n\r\n", NULL, 0 },
    { "silence", "", NULL, 3000 },
    { "half an answer, and silence", "HTTP/1.0 200 OK\r\nAuth-Status: OK\r\n", NULL, 3000 },
};

TEST(who_does_not_know_has_nobody_let_in)
{
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct rig rig;
        rig_begin(&rig, HTTP);
        struct wire *client = greet(&rig);
        rig_say(&rig, ask(&rig, client, "ann"), answers[i].answer);
        if (answers[i].after_ms > 0) {
            rig_pass(&rig, answers[i].after_ms - 1);
            CHECK_ROW(answers[i].name, strcmp(wire_take(client), "") == 0);
            rig_pass(&rig, 1);
        }
        CHECK_ROW(answers[i].name,
                  strcmp(wire_take(client), answers[i].client_hears ? answers[i].client_hears : UNKNOWN_NOW) == 0);
        CHECK_ROW(answers[i].name, rig_server(&rig) == NULL);
        rig_end(&rig);
    }
}

TEST(who_cannot_be_reached_has_nobody_let_in)
{
    struct rig rig;
    rig_begin(&rig, HTTP);
    struct wire *client = greet(&rig);
    rig_say(&rig, client, "a LOGIN ann secret\r\n");
    struct wire *service = wire_asked();
    assert_non_null(service);
    wire_refuse(service, 111);
    rig_pass(&rig, 0);
    assert_string_equal(wire_take(client), UNKNOWN_NOW);
    rig_end(&rig);
}

TEST(a_client_that_leaves_waits_for_no_answer)
{
    struct rig rig;
    rig_begin(&rig, HTTP);
    struct wire *client = greet(&rig), *service = ask(&rig, client, "ann");
    wire_reset(client);
    rig_pass(&rig, 0);
    rig_say(&rig, service, FOUND "\r\n");
    assert_null(rig_server(&rig));
    rig_end(&rig);
}

TEST(no_more_are_asked_at_a_time_than_may_be)
{
    enum { MAX = 32, MORE = 3 };
    struct rig rig;
    struct wire *services[MAX + MORE] = { NULL };
    rig_begin(&rig, "max_unauthenticated_per_address = 0\n" HTTP);
    routecache_forget();
    for (size_t i = 0; i < MAX + MORE; i++) {
        char line[64];
        struct wire *client = greet(&rig);
        snprintf(line, sizeof line, "a LOGIN u%zu secret\r\n", i);
        rig_say(&rig, client, line);
        services[i] = rig_server(&rig);
        assert_true((services[i] != NULL) == (i < MAX));
    }
    rig_say(&rig, services[0], FOUND "\r\n");
    unsigned asked = 0;
    for (struct wire *next; (next = rig_server(&rig));)
        asked += wire_port(next) == 9000;
    assert_int_equal(asked, 1);
    rig_end(&rig);
    routecache_forget();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_login_goes_where_its_user_is),
        cmocka_unit_test(nobody_learns_from_the_answer_whether_a_user_has_a_route),
        cmocka_unit_test(what_an_upstream_says_besides_no_is_passed_on),
        cmocka_unit_test(a_mechanism_that_cannot_be_routed_is_not_offered),
        cmocka_unit_test(a_greeting_has_what_all_upstreams_have_in_common),
        cmocka_unit_test(an_upstream_that_is_down_holds_nobody_up_for_long),
        cmocka_unit_test(an_upstream_is_told_the_names_that_it_knows),
        cmocka_unit_test(whose_parked_connections_they_are_goes_by_the_name_that_is_routed),
        cmocka_unit_test(the_same_name_at_another_upstream_is_somebody_else),
        cmocka_unit_test(whose_token_it_is_goes_by_the_name_and_the_upstream_that_are_routed),
        cmocka_unit_test(who_acts_for_another_has_the_name_that_is_known_there),
        cmocka_unit_test(who_acts_for_another_goes_where_the_other_is),
        cmocka_unit_test(after_unauthenticate_another_user_is_at_home_elsewhere),
        cmocka_unit_test(a_line_of_the_map_beats_its_domain_and_that_all_else),
        cmocka_unit_test(a_newer_map_leads_nobody_who_acts_for_another_where_that_is_refused),
        cmocka_unit_test(what_is_parked_at_an_address_serves_nobody_who_is_led_elsewhere),
        cmocka_unit_test(an_address_of_the_map_may_be_a_name),
        cmocka_unit_test(an_address_that_no_name_server_knows_has_nobody_let_in),
        cmocka_unit_test(somebody_else_may_know_where_a_user_is),
        cmocka_unit_test(nobody_learns_from_the_time_whether_route_http_knows_a_user),
        cmocka_unit_test(who_does_not_know_has_nobody_let_in),
        cmocka_unit_test(who_cannot_be_reached_has_nobody_let_in),
        cmocka_unit_test(a_client_that_leaves_waits_for_no_answer),
        cmocka_unit_test(no_more_are_asked_at_a_time_than_may_be),
    };
    int fd = mkstemp(map_path);
    if (fd < 0)
        return 1;
    close(fd);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(map_path);
    return failed;
}
