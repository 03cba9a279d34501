#include "check.h"

#include "configfile.h"

#include <stdlib.h>
#include <string.h>

#define UPSTREAM "upstream u { address = \"127.0.0.1:7\" tls = none }\n"
#define LISTENERS                                                                                                      \
    "listener l { address = { \"127.0.0.1:1\", \"[::1]:1\" } tls = none }\n"                                           \
    "listener m { address = \"unix:/s\" tls = none unix_mode = 0600 }\n"
#define STARTED "workers = 2\nuser = mail\n" LISTENERS UPSTREAM

static struct config *parse(const char *path, const char *text)
{
    struct config *config = configfile_parse(path, text, stderr);
    assert_non_null(config);
    return config;
}

TEST(a_config_lives_until_its_last_reference_ends)
{
    struct config *config = parse("x.conf", STARTED);
    assert_int_equal(config->references, 1);
    assert_ptr_equal(config_ref(config), config);
    assert_int_equal(config->references, 2);
    config_unref(config);
    assert_string_equal(config->user, "mail");
    config_unref(config);
    config_unref(NULL);
}

#define PIN_A "tls_pin = \"sha256//AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\" "
#define PIN_B "tls_pin = \"sha256//AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\" "

/* Of an upstream's options, beside one that has but its address. */
static const struct {
    const char *options, *whole; /* for the whole daemon */
    bool is_same;
} servers[] = {
    { "", "", true },
    { "", "epoch = 7\n", true },
    { "", "tls_min_version = TLSv1.3\n", false },
    { PIN_A, "", false },
    { "tls_verify = false ", "", false },
    { "tls_name = other ", "", false },
    { "tls_ca_file = \"/ca\" ", "", false },
    { "tls_cert_file = \"/c\" tls_key_file = \"/k\" ", "", false },
    { "tls_min_version = TLSv1.3 ", "", false },
    { "tls_ciphers = DEFAULT ", "", false },
    { "tls_ciphersuites = TLS_AES_128_GCM_SHA256 ", "", false },
    { "tls_groups = P-256 ", "", false },
    { "answer_timeout = 7s ", "", true },
};

static bool is_same_as(const struct config *config, const char *options, const char *whole)
{
    char text[1024];
    snprintf(text, sizeof text, "%s" LISTENERS "upstream u { address = mail %s }\n", whole, options);
    struct config *other = parse("x.conf", text);
    bool is_same = config_is_same_server(&config->upstreams[0], &other->upstreams[0]);
    assert_int_equal(config_is_same_server(&other->upstreams[0], &config->upstreams[0]), is_same);
    config_unref(other);
    return is_same;
}

/* What was reached and verified in another way is not taken for this one: parked connections, and what was learned. */
TEST(a_server_is_the_same_by_its_address_and_by_how_it_is_secured)
{
    struct config *plain = parse("x.conf", LISTENERS "upstream u { address = mail }\n");
    struct config *pinned = parse("x.conf", LISTENERS "upstream u { address = mail " PIN_A "}\n");
    for (size_t i = 0; i < ARRAY_LEN(servers); i++)
        CHECK_ROW(servers[i].options, is_same_as(plain, servers[i].options, servers[i].whole) == servers[i].is_same);
    assert_true(is_same_as(pinned, PIN_A, ""));
    assert_false(is_same_as(pinned, PIN_B, ""));
    config_unref(plain);
    config_unref(pinned);
}

static const struct {
    const char *options;
    bool is_local, is_private;
} places[] = {
    { "address = \"127.0.0.1:7\" tls = none", true, true },
    { "address = \"127.1.2.3\" tls = none", true, true },
    { "address = \"LocalHost\" tls = none", true, true },
    { "address = \"[::1]:7\" tls = none", true, true },
    { "address = \"unix:/s\" tls = none", true, true },
    { "address = \"192.0.2.1\" tls = none", false, false },
    { "address = \"[2001:db8::1]\" tls = none", false, false },
    { "address = \"mx.example.org\" tls = none", false, false },
    { "address = \"mx.example.org\" tls = starttls", false, true },
    { "address = \"mx.example.org\"", false, true },
    { "address = \"mx.example.org\" tls_verify = false", false, false }, /* whoever answers gets the password */
    { "address = \"127.example.org\" tls = none", false, false },
    { "address = \"127.0.0.1\" tls_verify = false", true, true },
};

TEST(what_goes_to_an_upstream_is_safe_under_tls_and_on_this_host)
{
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        char text[512];
        snprintf(text, sizeof text, "upstream u { %s }\nlistener l { address = \"127.0.0.1:1\" tls = none }\n",
                 places[i].options);
        struct config *config = parse("x.conf", text);
        CHECK_ROW(places[i].options, config_is_local(&config->upstreams[0].members[0]) == places[i].is_local);
        CHECK_ROW(places[i].options, config_is_private(&config->upstreams[0]) == places[i].is_private);
        config_unref(config);
    }
}

#define RESTART " has changed, which takes a restart\n"

static const struct {
    const char *name, *text, *messages;
} followers[] = {
    { "the same", STARTED, "" },
    { "all that a reload takes",
      "workers = 3\nuser = mail\nepoch = 7\nlog_level = debug\nlanguages = off\nmax_clients = 9\npark { max = 3 }\n"
      "listener n { address = { \"127.0.0.1:2\", \"[::1]:1\" } tls = none compress = true upstream = w }\n"
      "listener m { address = \"unix:/s\" tls = none upstream = v unix_mode = 0660 }\n"
      "upstream v { address = \"127.0.0.1:7\" tls = none }\n"
      "upstream w { address = \"127.0.0.1:7\" tls = none }\n",
      "" },
    { "another user", "user = nobody\n" LISTENERS UPSTREAM, "new.conf: warning: user" RESTART },
    { "a group, and no user", "group = mail\n" LISTENERS UPSTREAM,
      "new.conf: warning: user" RESTART "new.conf: warning: group" RESTART },
};

TEST(what_a_reload_goes_on_without_is_named)
{
    struct config *started = parse("old.conf", STARTED);
    for (size_t i = 0; i < ARRAY_LEN(followers); i++) {
        char *messages = NULL;
        size_t len = 0;
        FILE *out = open_memstream(&messages, &len);
        struct config *config = parse("new.conf", followers[i].text);
        config_name_kept(config, started, out);
        fclose(out);
        if (strcmp(messages, followers[i].messages) != 0)
            fail_msg("row \"%s\": got\n%swant\n%s", followers[i].name, messages, followers[i].messages);
        free(messages);
        config_unref(config);
    }
    config_unref(started);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_config_lives_until_its_last_reference_ends),
        cmocka_unit_test(a_server_is_the_same_by_its_address_and_by_how_it_is_secured),
        cmocka_unit_test(what_goes_to_an_upstream_is_safe_under_tls_and_on_this_host),
        cmocka_unit_test(what_a_reload_goes_on_without_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
