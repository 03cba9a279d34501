#include "check.h"

#include "configfile.h"
#include "routes.h"
#include "sasl.h"
#include "service.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LISTENER                "listener \"l\" { address = \"127.0.0.1:1143\" tls = \"none\" }\n"
#define AT_ONE                  "listener \"o\" { address = \"127.0.0.1:1144\" tls = \"none\" upstream = \"one\" }\n"
#define UPSTREAM(name, options) "upstream \"" name "\" { address = \"192.0.2.1:143\" tls = \"none\" " options " }\n"
#define TWO                     UPSTREAM("one", "") UPSTREAM("two", "")
#define ROUTED                  LISTENER TWO "route \"one.example\" { upstream = \"one\" }\n"
#define DEFAULT                 "route_default = \"two\"\n"
#define HTTP                    "route_http { url = \"http://127.0.0.1:9000/\" upstream = \"two\" }\n"

/* map: the text of a route_map; NULL: there is none. */
static struct service *load(const char *config_text, const char *map)
{
    char text[2048];
    int fd = memfd_create("map", MFD_CLOEXEC);
    assert_int_equal(write(fd, map ? map : "", strlen(map ? map : "")), strlen(map ? map : ""));
    snprintf(text, sizeof text, map ? "%sroute_map = \"/proc/self/fd/%d\"\n" : "%s", config_text, fd);
    struct config *config = configfile_parse("test.conf", text, stderr);
    assert_non_null(config);
    struct service *service = service_load(config, NULL, stderr);
    assert_non_null(service);
    close(fd);
    return service;
}

static const struct {
    const char *name, *options, *user, *want;
} names[] = {
    { "as it is", "", "Ann@Example.net", "Ann@Example.net" },
    { "no domain", "user_strip_domain = true", "Ann@Example.net", "Ann" },
    { "the last of them", "user_strip_domain = true", "a@b@c", "a@b" },
    { "an empty one", "user_strip_domain = true", "ann@", "ann" },
    { "there is none", "user_strip_domain = true", "ann", "ann" },
    { "nothing would be left", "user_strip_domain = true", "@example.net", "@example.net" },
    { "small letters", "user_lowercase = true", "ANN@Example.NET", "ann@example.net" },
    { "of ASCII alone", "user_lowercase = true", "\xc3\x84Z@[`{", "\xc3\x84z@[`{" },
    { "both", "user_lowercase = true user_strip_domain = true", "ANN@Example.NET", "ann" },
    { "nobody", "user_lowercase = true user_strip_domain = true", "", "" },
};

TEST(a_user_has_the_name_that_the_upstream_knows)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char text[512];
        snprintf(text, sizeof text, LISTENER UPSTREAM("one", "%s"), names[i].options);
        struct service *service = load(text, NULL);
        const struct config_upstream *upstream = &service->config->upstreams[0];
        struct imapstate_buf name;
        imapstate_buf_init(&name, 64);
        assert_true(imapstate_buf_put(&name, IMAPSTATE_SPAN("BEFORE")));
        CHECK_ROW(names[i].name, routes_name(upstream, imapstate_span_of(names[i].user), &name));
        CHECK_SPAN(names[i].name, ((struct imapstate_span){ name.at + 6, name.len - 6 }),
                   imapstate_span_of(names[i].want));
        assert_memory_equal(name.at, "BEFORE", 6); /* it is appended */
        CHECK_ROW(names[i].name, routes_rename_at(upstream) == (names[i].options[0] != '\0'));
        imapstate_buf_done(&name);
        imapstate_buf_init(&name, 1);
        CHECK_ROW(names[i].name,
                  routes_name(upstream, imapstate_span_of(names[i].user), &name) == (strlen(names[i].want) <= 1));
        imapstate_buf_done(&name);
        service_unref(service);
    }
}

#define MAP "# users\nann@one.example two user=a\\x20b\n@one.example two\n@ one\n@@x two\n"

static const struct {
    const char *name, *config, *map, *user;
    enum route_rule rule;
    const char *upstream, *as; /* NULL: there is none */
    size_t line;
} ways[] = {
    { "the user's line", ROUTED HTTP DEFAULT, MAP, "ANN@one.example", ROUTE_USER, "two", "a b", 2 },
    { "the domain's line", ROUTED HTTP DEFAULT, MAP, "bob@one.EXAMPLE", ROUTE_DOMAIN, "two", "bob@one.EXAMPLE", 3 },
    { "an empty domain", ROUTED DEFAULT, MAP, "bob@", ROUTE_DOMAIN, "one", "bob@", 4 },
    { "a domain is no user", ROUTED HTTP, MAP, "@one.example", ROUTE_DOMAIN, "two", "@one.example", 3 },
    { "nor a user a domain", ROUTED DEFAULT, MAP, "@@x", ROUTE_DEFAULT, "two", "@@x", 0 },
    { "the section", ROUTED HTTP DEFAULT, NULL, "bob@ONE.example", ROUTE_SECTION, "one", "bob@ONE.example", 0 },
    { "an empty domain has no section", ROUTED DEFAULT, NULL, "bob@", ROUTE_DEFAULT, "two", "bob@", 0 },
    { "somebody is asked", ROUTED HTTP DEFAULT, NULL, "bob", ROUTE_HTTP, NULL, NULL, 0 },
    { "but not about nobody", ROUTED HTTP DEFAULT, MAP, "", ROUTE_DEFAULT, "two", "", 0 },
    { "the default", ROUTED DEFAULT, MAP, "bob", ROUTE_DEFAULT, "two", "bob", 0 },
    { "none", ROUTED, MAP, "bob", ROUTE_NONE, NULL, NULL, 0 },
    { "nobody, without a default", ROUTED HTTP, NULL, "", ROUTE_NONE, NULL, NULL, 0 },
};

TEST(the_first_rule_that_says_something_counts)
{
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct service *service = load(ways[i].config, ways[i].map);
        struct imapstate_span user = imapstate_span_of(ways[i].user);
        struct route route;
        routes_find(service, user, &route);
        CHECK_ROW(ways[i].name, route.rule == ways[i].rule);
        CHECK_ROW(ways[i].name, (route.upstream != NULL) == (ways[i].upstream != NULL));
        CHECK_ROW(ways[i].name, !ways[i].upstream || strcmp(route.upstream->name, ways[i].upstream) == 0);
        CHECK_SPAN(ways[i].name, imapstate_buf_span(&route.user), imapstate_span_of(ways[i].as ? ways[i].as : ""));
        CHECK_ROW(ways[i].name, (route.section != NULL) == (ways[i].rule == ROUTE_SECTION));
        CHECK_ROW(ways[i].name, routes_map_line(service, user) == ways[i].line);
        imapstate_buf_done(&route.user);
        service_unref(service);
    }
}

TEST(a_listener_that_names_an_upstream_has_its_own_way)
{
    struct service *service = load(ROUTED AT_ONE DEFAULT, "ann two\n");
    struct route route;
    routes_find_at(service, &service->config->listeners[1], IMAPSTATE_SPAN("ann"), &route);
    assert_int_equal(route.rule, ROUTE_LISTENER);
    assert_string_equal(route.upstream->name, "one");
    imapstate_buf_done(&route.user);
    routes_find_at(service, &service->config->listeners[0], IMAPSTATE_SPAN("ann"), &route);
    assert_int_equal(route.rule, ROUTE_USER);
    assert_string_equal(route.upstream->name, "two");
    imapstate_buf_done(&route.user);
    service_unref(service);
}

#define SCRAM (SASL_BIT(SASL_SCRAM_SHA_1) | SASL_BIT(SASL_SCRAM_SHA_256) | SASL_BIT(SASL_SCRAM_SHA_512))
#define SAID  (SASL_BIT(SASL_PLAIN) | SASL_BIT(SASL_LOGIN) | SASL_BIT(SASL_XOAUTH2) | SASL_BIT(SASL_OAUTHBEARER))

static const struct {
    const char *name, *config, *map;
    uint32_t routed;
} mechanisms[] = {
    { "all are somewhere, nobody is renamed", ROUTED DEFAULT, "ann one\n", SAID | SCRAM },
    { "some are nowhere", ROUTED, NULL, SAID },
    { "a line renames", ROUTED DEFAULT, "ann one user=b\n", SAID },
    { "somebody may rename", ROUTED HTTP DEFAULT, NULL, SAID },
    { "an upstream renames", LISTENER UPSTREAM("one", "user_lowercase = true") "route_default = \"one\"\n", NULL,
      SAID },
    { "one that no route leads to renames",
      LISTENER UPSTREAM("one", "") UPSTREAM("two", "user_lowercase = true") "route_default = \"one\"\n", NULL,
      SAID | SCRAM },
    { "one that only a line leads to renames",
      LISTENER UPSTREAM("one", "") UPSTREAM("two", "user_strip_domain = true") "route_default = \"one\"\n", "@x two\n",
      SAID },
    { "no routes", LISTENER UPSTREAM("one", ""), NULL, SASL_BITS },
    { "no routes, but another name", LISTENER UPSTREAM("one", "user_strip_domain = true"), NULL, SAID },
};

TEST(mechanisms_that_cannot_be_led_are_left_out)
{
    for (size_t i = 0; i < ARRAY_LEN(mechanisms); i++) {
        struct service *service = load(mechanisms[i].config, mechanisms[i].map);
        CHECK_ROW(mechanisms[i].name,
                  routes_mechanisms(service, &service->config->listeners[0]) == mechanisms[i].routed);
        service_unref(service);
    }
}

TEST(an_authorization_identity_passes_where_all_let_it)
{
    static const struct {
        const char *one, *two;
        bool passes;
    } rows[] = { { "", "", false },
                 { "authorization_identity = \"pass\"", "", false },
                 { "", "authorization_identity = \"pass\"", false },
                 { "authorization_identity = \"pass\"", "authorization_identity = \"pass\"", true } };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[1024];
        snprintf(text, sizeof text, LISTENER AT_ONE UPSTREAM("one", "%s") UPSTREAM("two", "%s") DEFAULT, rows[i].one,
                 rows[i].two);
        struct service *service = load(text, "ann one\n");
        CHECK_ROW(text, routes_pass_authorization(service, &service->config->listeners[0]) == rows[i].passes);
        CHECK_ROW(text, routes_pass_authorization(service, &service->config->listeners[1]) == (*rows[i].one != '\0'));
        service_unref(service);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_user_has_the_name_that_the_upstream_knows),
        cmocka_unit_test(the_first_rule_that_says_something_counts),
        cmocka_unit_test(a_listener_that_names_an_upstream_has_its_own_way),
        cmocka_unit_test(mechanisms_that_cannot_be_led_are_left_out),
        cmocka_unit_test(an_authorization_identity_passes_where_all_let_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
