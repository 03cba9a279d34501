#include "check.h"

#include "catalogue.h"
#include "configfile.h"
#include "sasl.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LISTENER          "listener \"l\" { address = \"127.0.0.1:1143\" tls = none }\n"
#define UPSTREAM          "upstream \"u\" { address = \"mail.example.org:993\" }\n"
#define IN_FILE(text)     text "\n" LISTENER UPSTREAM
#define IN_LISTENER(text) "listener \"l\" {\n" text "\n}\n" UPSTREAM
#define IN_UPSTREAM(text) LISTENER "upstream \"u\" {\n" text "\n}\n"

/* Parses; ret_errors is the caller's to free. */
static struct config *parse(const char *text, char **ret_errors)
{
    size_t len = 0;
    FILE *errors = open_memstream(ret_errors, &len);
    struct config *config = configfile_parse("x.conf", text, errors);
    fclose(errors);
    return config;
}

static struct config *parse_good(const char *text)
{
    char *errors;
    struct config *config = parse(text, &errors);
    if (config == NULL || errors[0] != '\0')
        fail_msg("not accepted: %s\n%s", text, errors);
    free(errors);
    return config;
}

TEST(what_is_not_given_has_its_documented_default)
{
    struct config *config = parse_good(LISTENER UPSTREAM);
    assert_int_equal(config->workers, 0);
    assert_string_equal(config->path, "x.conf");
    assert_string_equal(config->keys_file, "");
    assert_int_equal(config->token_lifetime_s, 14 * 24 * 3600);
    assert_int_equal(config->seal_format, 2);
    assert_string_equal(config->revocations_file, "");
    assert_int_equal(config->epoch, 0);
    assert_int_equal(config->log_level, LOG_LEVEL_INFO);
    assert_int_equal(config->log_to, LOG_TO_STDERR);
    assert_string_equal(config->user, "");
    assert_string_equal(config->group, "");
    assert_int_equal(config->max_clients, 20000);
    assert_int_equal(config->max_clients_per_address, 0);
    assert_int_equal(config->max_unauthenticated_per_address, 20);
    assert_int_equal(config->login_timeout_ms, 3 * 60 * 1000);
    assert_int_equal(config->idle_timeout_ms, 35 * 60 * 1000);
    assert_int_equal(config->login_failure_delay_ms, 2000);
    assert_int_equal(config->max_login_failures, 3);
    assert_int_equal(config->shutdown_timeout_ms, 5000);
    for (unsigned language = 0; language < catalogue_count(); language++)
        assert_int_equal((config->languages.offered & LANGUAGE_BIT(language)) != 0, catalogue_missing(language) == 0);
    assert_int_equal(config->languages.preferred, LANGUAGE_DEFAULT);
    assert_int_equal(config->listeners[0].unix_mode, 0600);
    assert_false(config->listeners[0].accept_proxy);
    assert_int_equal(config->listeners[0].auth_mechanisms, 0);
    assert_int_equal(config_mechanisms(&config->listeners[0]), SASL_BITS);
    assert_false(config->listeners[0].imapproxy_compat);
    assert_false(config->listeners[0].compress);
    assert_int_equal(config->park.per_user, 5);
    assert_int_equal(config->park.max, 10000);
    assert_int_equal(config->park.time_ms, 5 * 60 * 1000);
    assert_int_equal(config->park.lifetime_ms, 60 * 60 * 1000);
    assert_int_equal(config->park.reauth_interval_ms, 10 * 60 * 1000);
    assert_int_equal(config->park.keepalive_ms, 10 * 60 * 1000);
    assert_false(config->park.one_password);
    const struct config_upstream *upstream = &config->upstreams[0];
    assert_int_equal(upstream->tls, CONFIG_TLS_IMPLICIT);
    assert_true(upstream->tls_verify);
    assert_int_equal(upstream->connect_timeout_ms, 10000);
    assert_int_equal(upstream->answer_timeout_ms, 60000);
    assert_int_equal(upstream->send_client_address, CONFIG_CLIENT_ADDRESS_NONE);
    assert_int_equal(upstream->authorization_identity, CONFIG_AUTHORIZATION_REFUSE);
    assert_int_equal(config->warning_count, 0);
    config_unref(config);
}

static uint8_t language(const char *tag)
{
    static const struct languages all = { .offered = UINT32_MAX };
    uint8_t found = 0;
    if (!language_find(&all, imapstate_span_of(tag), &found))
        fail_msg("there is no %s", tag);
    return found;
}

static const char everything[] = "# every option there is\n"
                                 "workers = 3\n"
                                 "keys_file = \"/etc/imapstate/keys\"\n"
                                 "token_lifetime = \"90m\"\n"
                                 "seal_format = 1\n"
                                 "revocations_file = \"/etc/imapstate/revoked\"\n"
                                 "epoch = 18446744073709551615\n"
                                 "log_level = \"debug\"\n"
                                 "log_to = syslog\n"
                                 "user = imapstate\n"
                                 "group = mail\n"
                                 "max_clients = 5\n"
                                 "max_clients_per_address = 2\n"
                                 "max_unauthenticated_per_address = 3\n"
                                 "login_timeout = 1s\n"
                                 "idle_timeout = \"30m\"\n"
                                 "login_failure_delay = \"0s\"\n"
                                 "max_login_failures = 1\n"
                                 "shutdown_timeout = \"500ms\"\n"
                                 "languages = { \"DE\", fr }\n"
                                 "park {\n"
                                 "  per_user = 7\n"
                                 "  max = 8\n"
                                 "  time = \"1s\"\n"
                                 "  lifetime = \"2s\"\n"
                                 "  reauth_interval = \"3s\"\n"
                                 "  keepalive = \"29m\"\n"
                                 "  one_password = true\n"
                                 "}\n"
                                 "listener \"imaps\" {\n"
                                 "  address = { \"192.0.2.1:993\", \"[::1]:1993\", \"*:143\", \"unix:/run/x.sock\" }\n"
                                 "  tls = \"starttls\"\n"
                                 "  tls_cert_file = \"/c\"\n"
                                 "  tls_key_file = \"/k\"\n"
                                 "  tls_min_version = \"TLSv1.3\"\n"
                                 "  tls_ciphers = \"HIGH:!aNULL:!RC4:@SECLEVEL=1\"\n"
                                 "  tls_ciphersuites = \"TLS_AES_128_CCM_SHA256\"\n"
                                 "  tls_groups = \"secp521r1\"\n"
                                 "  tls_client_certificate = optional\n"
                                 "  tls_client_ca_file = \"/cc\"\n"
                                 "  require_tls = yes\n"
                                 "  accept_proxy = true\n"
                                 "  trusted_networks = { \"10.0.0.0/8\", \"2001:db8::/32\", \"unix\", \"192.0.2.1\" }\n"
                                 "  id_trusted_networks = { \"192.0.2.80\", \"unix\" }\n"
                                 "  unix_mode = \"0660\"\n"
                                 "  upstream = \"b\"\n"
                                 "  auth_mechanisms = { \"PLAIN\", scram-sha-256 }\n"
                                 "  imapproxy_compat = true\n"
                                 "  compress = true\n"
                                 "}\n"
                                 "upstream \"a\" { address = \"unix:/run/imap\" tls = none }\n"
                                 "upstream \"b\" {\n"
                                 "  address = \"[2001:db8::5]\"\n"
                                 "  tls = starttls\n"
                                 "  tls_verify = true\n"
                                 "  tls_ca_file = \"/ca\"\n"
                                 "  tls_name = \"imap.example.org\"\n"
                                 "  tls_ciphers = \"DEFAULT\"\n"
                                 "  tls_pin = { \"sha256//AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\" }\n"
                                 "  tls_cert_file = \"/uc\"\n"
                                 "  tls_key_file = \"/uk\"\n"
                                 "  connect_timeout = \"250ms\"\n"
                                 "  answer_timeout = \"2m\"\n"
                                 "  send_client_address = \"proxy-v2\"\n"
                                 "  authorization_identity = \"pass\"\n"
                                 "}\n";

TEST(every_option_of_the_file_reaches_its_field)
{
    struct config *config = parse_good(everything);
    assert_int_equal(config->workers, 3);
    assert_string_equal(config->keys_file, "/etc/imapstate/keys");
    assert_int_equal(config->token_lifetime_s, 90 * 60);
    assert_int_equal(config->seal_format, 1);
    assert_string_equal(config->revocations_file, "/etc/imapstate/revoked");
    assert_true(config->epoch == UINT64_MAX);
    assert_int_equal(config->log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(config->log_to, LOG_TO_SYSLOG);
    assert_string_equal(config->user, "imapstate");
    assert_string_equal(config->group, "mail");
    assert_int_equal(config->max_clients, 5);
    assert_int_equal(config->max_clients_per_address, 2);
    assert_int_equal(config->max_unauthenticated_per_address, 3);
    assert_int_equal(config->login_timeout_ms, 1000);
    assert_int_equal(config->idle_timeout_ms, 30 * 60 * 1000);
    assert_int_equal(config->login_failure_delay_ms, 0);
    assert_int_equal(config->max_login_failures, 1);
    assert_int_equal(config->shutdown_timeout_ms, 500);
    assert_int_equal(config->languages.offered,
                     LANGUAGE_BIT(LANGUAGE_DEFAULT) | LANGUAGE_BIT(language("DE")) | LANGUAGE_BIT(language("FR")));
    assert_int_equal(config->languages.preferred, language("DE"));
    config_unref(config);
}

TEST(every_option_of_park_reaches_its_field)
{
    struct config *config = parse_good(everything);
    assert_int_equal(config->park.per_user, 7);
    assert_int_equal(config->park.max, 8);
    assert_int_equal(config->park.time_ms, 1000);
    assert_int_equal(config->park.lifetime_ms, 2000);
    assert_int_equal(config->park.reauth_interval_ms, 3000);
    assert_int_equal(config->park.keepalive_ms, 29 * 60 * 1000);
    assert_true(config->park.one_password);
    config_unref(config);
}

static const struct {
    const char *list;
    uint32_t mechanisms;
} mechanism_sets[] = {
    { "auth_mechanisms = {}", 0 },
    { "auth_mechanisms = all", SASL_BITS },
    { "auth_mechanisms = { \"all\" }", SASL_BITS },
    { "auth_mechanisms = plain", SASL_BIT(SASL_PLAIN) },
    { "auth_mechanisms = { CRAM-MD5, \"LOGIN\" }", SASL_BIT(SASL_CRAM_MD5) | SASL_BIT(SASL_LOGIN) },
    { "auth_mechanisms = PLAIN\nauth_mechanisms += XOAUTH2", SASL_BIT(SASL_PLAIN) | SASL_BIT(SASL_XOAUTH2) },
    { "auth_mechanisms = { PLAIN, LOGIN, XOAUTH2, OAUTHBEARER, CRAM-MD5, SCRAM-SHA-1, SCRAM-SHA-256, SCRAM-SHA-512 }",
      SASL_BITS },
};

static const struct {
    const char *text, *offered, *preferred; /* "": none */
} language_sets[] = {
    { "languages = off", "", "i-default" },
    { "languages = DE", "i-default DE", "DE" },
    { "languages = { \"fr\", de }", "i-default DE FR", "FR" },
    { "languages = { EN, i-default }", "i-default EN", "EN" },
    { "languages = i-default", "i-default", "i-default" },
    { "languages = JA", "i-default JA", "JA" },
    { "languages = DE\nlanguages += FR", "i-default DE FR", "DE" },
};

TEST(a_list_of_languages_becomes_a_set_with_its_first_preferred)
{
    for (size_t i = 0; i < ARRAY_LEN(language_sets); i++) {
        char text[512], tags[64];
        uint32_t want = 0;
        snprintf(text, sizeof text, "%s\n" LISTENER UPSTREAM, language_sets[i].text);
        snprintf(tags, sizeof tags, "%s", language_sets[i].offered);
        for (char *rest = tags, *tag; (tag = strsep(&rest, " "));)
            want |= *tag ? LANGUAGE_BIT(language(tag)) : 0;
        struct config *config = parse_good(text);
        CHECK_ROW(language_sets[i].text, config->languages.offered == want);
        CHECK_ROW(language_sets[i].text, config->languages.preferred == language(language_sets[i].preferred));
        config_unref(config);
    }
}

TEST(languages_auto_and_an_empty_list_are_the_default)
{
    static const char *const texts[] = { "languages = auto", "languages = \"auto\"", "languages = {}" };
    struct config *want = parse_good(LISTENER UPSTREAM);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        char text[512];
        snprintf(text, sizeof text, "%s\n" LISTENER UPSTREAM, texts[i]);
        struct config *config = parse_good(text);
        CHECK_ROW(texts[i], config->languages.offered == want->languages.offered);
        CHECK_ROW(texts[i], config->languages.preferred == want->languages.preferred);
        config_unref(config);
    }
    config_unref(want);
}

TEST(a_list_of_mechanisms_becomes_a_set)
{
    for (size_t i = 0; i < ARRAY_LEN(mechanism_sets); i++) {
        char text[512];
        snprintf(text, sizeof text, "listener l {\ntls = none address = \"127.0.0.1:1\"\n%s\n}\n" UPSTREAM,
                 mechanism_sets[i].list);
        struct config *config = parse_good(text);
        CHECK_ROW(mechanism_sets[i].list, config->listeners[0].auth_mechanisms == mechanism_sets[i].mechanisms);
        config_unref(config);
    }
}

TEST(per_user_0_turns_parking_off_and_an_empty_section_changes_nothing)
{
    struct config *config = parse_good("park { per_user = 0 }\n" LISTENER UPSTREAM);
    assert_int_equal(config->park.per_user, 0);
    assert_int_equal(config->park.max, 10000);
    config_unref(config);
    config = parse_good(LISTENER UPSTREAM "park {\n}\n");
    assert_int_equal(config->park.per_user, 5);
    config_unref(config);
}

TEST(every_option_of_a_listener_reaches_its_field)
{
    struct config *config = parse_good(everything);
    const struct config_listener *listener = &config->listeners[0];
    assert_int_equal(config->listener_count, 1);
    assert_string_equal(listener->name, "imaps");
    assert_int_equal(listener->place.line, 30);
    assert_int_equal(listener->tls, CONFIG_TLS_STARTTLS);
    assert_int_equal(listener->tls_cert_files.count, 1);
    assert_string_equal(listener->tls_cert_files.at[0], "/c");
    assert_string_equal(listener->tls_key_files.at[0], "/k");
    assert_int_equal(listener->tls_policy.min_version, TLS_VERSION_1_3);
    assert_string_equal(listener->tls_policy.ciphers, "HIGH:!aNULL:!RC4:@SECLEVEL=1");
    assert_string_equal(listener->tls_policy.ciphersuites, "TLS_AES_128_CCM_SHA256");
    assert_string_equal(listener->tls_policy.groups, "secp521r1");
    assert_int_equal(listener->tls_client_certificate, CONFIG_CLIENT_CERTIFICATE_OPTIONAL);
    assert_string_equal(listener->tls_client_ca_file, "/cc");
    assert_true(listener->require_tls);
    assert_true(listener->accept_proxy);
    assert_int_equal(listener->trusted_networks.count, 4);
    assert_int_equal(listener->id_trusted_networks.count, 2);
    assert_int_equal(listener->id_trusted_networks.at[0].address.octets[3], 80);
    assert_int_equal(listener->id_trusted_networks.at[1].address.family, AF_UNIX);
    assert_int_equal(listener->unix_mode, 0660);
    assert_int_equal(listener->auth_mechanisms, SASL_BIT(SASL_PLAIN) | SASL_BIT(SASL_SCRAM_SHA_256));
    assert_true(listener->imapproxy_compat);
    assert_true(listener->compress);
    assert_ptr_equal(listener->upstream, &config->upstreams[1]);

    assert_int_equal(listener->address_count, 4);
    const struct config_address *address = listener->addresses;
    assert_string_equal(address[0].text, "192.0.2.1:993");
    assert_string_equal(address[3].text, "unix:/run/x.sock");
    assert_string_equal(address[3].endpoint.sockaddr.un.sun_path, "/run/x.sock");
    config_unref(config);
}

TEST(every_option_of_an_upstream_reaches_its_field)
{
    struct config *config = parse_good(everything);
    assert_int_equal(config->upstream_count, 2);
    assert_true(config->upstreams[0].members[0].is_unix);
    assert_string_equal(config->upstreams[0].members[0].host, "/run/imap");
    assert_string_equal(config->upstreams[0].members[0].port, "");
    const struct config_upstream *upstream = &config->upstreams[1];
    assert_string_equal(upstream->name, "b");
    assert_int_equal(upstream->place.line, 52);
    assert_string_equal(upstream->members[0].host, "2001:db8::5");
    assert_string_equal(upstream->members[0].port, "143");
    assert_false(upstream->members[0].is_unix);
    assert_int_equal(upstream->tls, CONFIG_TLS_STARTTLS);
    assert_string_equal(upstream->tls_ca_file, "/ca");
    assert_string_equal(upstream->tls_name, "imap.example.org");
    assert_int_equal(upstream->tls_policy.min_version, TLS_VERSION_1_2);
    assert_string_equal(upstream->tls_policy.ciphers, "DEFAULT");
    assert_string_equal(upstream->tls_policy.ciphersuites, TLSPOLICY_CIPHERSUITES);
    assert_string_equal(upstream->tls_policy.groups, TLSPOLICY_GROUPS);
    assert_int_equal(upstream->tls_pins.count, 1);
    assert_int_equal(upstream->tls_pins.at[0][31], 31);
    assert_string_equal(upstream->tls_cert_file, "/uc");
    assert_string_equal(upstream->tls_key_file, "/uk");
    assert_int_equal(upstream->connect_timeout_ms, 250);
    assert_int_equal(upstream->answer_timeout_ms, 120000);
    assert_int_equal(upstream->send_client_address, CONFIG_CLIENT_ADDRESS_PROXY_V2);
    assert_int_equal(upstream->authorization_identity, CONFIG_AUTHORIZATION_PASS);
    config_unref(config);
}

static const struct {
    const char *text, *host, *port, *tls_name;
} upstream_addresses[] = {
    { IN_UPSTREAM("address = \"mail.example.org\""), "mail.example.org", "993", "mail.example.org" },
    { IN_UPSTREAM("address = \"m:1\" tls = none"), "m", "1", "m" },
    { IN_UPSTREAM("tls = starttls address = m"), "m", "143", "m" },
    { IN_UPSTREAM("address = \"[::1]:65535\" tls_name = n"), "::1", "65535", "n" },
    { IN_UPSTREAM("address = \"unix:/s\" tls_name = n"), "/s", "", "n" },
};

TEST(an_upstream_address_may_lack_what_tls_implies)
{
    for (size_t i = 0; i < ARRAY_LEN(upstream_addresses); i++) {
        struct config *config = parse_good(upstream_addresses[i].text);
        assert_string_equal(config->upstreams[0].members[0].host, upstream_addresses[i].host);
        assert_string_equal(config->upstreams[0].members[0].port, upstream_addresses[i].port);
        assert_string_equal(config->upstreams[0].members[0].tls_name, upstream_addresses[i].tls_name);
        config_unref(config);
    }
}

TEST(what_a_section_does_not_say_of_tls_is_as_for_the_whole_daemon)
{
    struct config *config = parse_good("listener a { address = \"127.0.0.1:1\" tls = none tls_min_version = TLSv1.2 }\n"
                                       "listener b { address = \"127.0.0.1:2\" tls = none tls_groups = P-521 }\n"
                                       "tls_min_version = TLSv1.3\ntls_groups = P-384\n" UPSTREAM);
    const struct tlspolicy *a = &config->listeners[0].tls_policy, *b = &config->listeners[1].tls_policy;
    const struct tlspolicy *upstream = &config->upstreams[0].tls_policy;
    assert_int_equal(a->min_version, TLS_VERSION_1_2);
    assert_int_equal(b->min_version, TLS_VERSION_1_3);
    assert_int_equal(upstream->min_version, TLS_VERSION_1_3);
    assert_string_equal(a->groups, "P-384");
    assert_string_equal(b->groups, "P-521");
    assert_string_equal(upstream->groups, "P-384");
    assert_string_equal(upstream->ciphers, TLSPOLICY_CIPHERS);
    config_unref(config);
}

#define LANGUAGES_KNOWN     "i-default, EN, DE, FR, ES, JA, AR"
#define IN_MECHANISMS(list) IN_LISTENER("tls = none address = \"127.0.0.1:1\"\nauth_mechanisms = " list)
#define CAN_PASS                                                                                                       \
    "PLAIN, LOGIN, XOAUTH2, OAUTHBEARER, CRAM-MD5, SCRAM-SHA-1, SCRAM-SHA-256, SCRAM-SHA-512; or write \"all\""

#define UPSTREAM_V "upstream \"v\" { address = \"mx.example.org:993\" }\n"
#define BAD_URL    "x.conf:3: route_http: url must be http://ADDRESS:PORT/PATH, with an IP address or localhost\n"

static const struct {
    const char *name, *text, *errors;
} wrongs[] = {
    { "a route to nowhere", LISTENER UPSTREAM "route \"example.net\" { upstream = nix }\n",
      "x.conf:3: route: there is no upstream \"nix\"\n" },
    { "a route that leads nowhere", LISTENER UPSTREAM "route \"example.net\" { }\n",
      "x.conf:3: route \"example.net\" has no upstream\n" },
    { "a route without a domain", LISTENER UPSTREAM "route { upstream = u }\n",
      "x.conf:3: missing title for section 'route'\n" },
    { "a route to an upstream without a name", LISTENER UPSTREAM "route \"example.net\" { upstream = \"\" }\n",
      "x.conf:3: route: there is no upstream \"\"\n" },
    { "two routes of a domain",
      LISTENER UPSTREAM "route \"example.net\" { upstream = u }\nroute \"example.net\" { upstream = u }\n",
      "x.conf:4: found duplicate title 'example.net'\n" },
    { "in another case",
      LISTENER UPSTREAM "route \"example.net\" { upstream = u }\nroute \"Example.NET\" { upstream = u }\n",
      "x.conf:4: route \"Example.NET\" is there already: x.conf:3\n" },
    { "a domain with its @", LISTENER UPSTREAM "route \"@example.net\" { upstream = u }\n",
      "x.conf:3: route \"@example.net\": a name consists of up to 64 letters, digits, \".\", \"-\" and \"_\"\n" },
    { "a domain without a letter", LISTENER UPSTREAM "route \"\" { upstream = u }\n",
      "x.conf:3: route \"\": a name consists of up to 64 letters, digits, \".\", \"-\" and \"_\"\n" },
    { "a default to nowhere", LISTENER UPSTREAM "\nroute_default = nix\n",
      "x.conf:4: route_default: there is no upstream \"nix\"\n" },
    { "two defaults", LISTENER UPSTREAM "route_default = u\nroute_default = u\n",
      "x.conf:4: route_default is given more than once\n" },
    { "two maps", LISTENER UPSTREAM "route_map = \"/a\"\nroute_map = \"/b\"\n",
      "x.conf:4: route_map is given more than once\n" },
    { "route_http without url", LISTENER UPSTREAM "route_http { upstream = u }\n",
      "x.conf:3: route_http has no url\n" },
    { "route_http over TLS", LISTENER UPSTREAM "route_http { url = \"https://127.0.0.1/\" }\n", BAD_URL },
    { "route_http at a name", LISTENER UPSTREAM "route_http { url = \"http://example.org/\" }\n", BAD_URL },
    { "route_http with a password", LISTENER UPSTREAM "route_http { url = \"http://ann:x@127.0.0.1/\" }\n", BAD_URL },
    { "route_http at a port that is none", LISTENER UPSTREAM "route_http { url = \"http://127.0.0.1:0/\" }\n",
      BAD_URL },
    { "route_http at a unix socket", LISTENER UPSTREAM "route_http { url = \"http://unix:/run/x\" }\n", BAD_URL },
    { "a line end in its path", LISTENER UPSTREAM "route_http { url = \"http://127.0.0.1/a\\r\\nX: y\" }\n", BAD_URL },
    { "a blank in its path", LISTENER UPSTREAM "route_http { url = \"http://127.0.0.1/a b\" }\n", BAD_URL },
    { "no address in it", LISTENER UPSTREAM "route_http { url = \"http:///a\" }\n", BAD_URL },
    { "route_http to nowhere", LISTENER UPSTREAM "route_http { url = \"http://127.0.0.1/\" upstream = nix }\n",
      "x.conf:3: route_http: there is no upstream \"nix\"\n" },
    { "route_http with two upstreams", LISTENER UPSTREAM UPSTREAM_V "route_http { url = \"http://127.0.0.1/\" }\n",
      "x.conf:4: route_http: there are several upstreams: name the one whose TLS and other settings hold for the "
      "servers that are answered, with upstream = \"NAME\"\n" },
    { "two of route_http",
      LISTENER UPSTREAM "route_http { url = \"http://127.0.0.1/\" }\nroute_http { url = \"http://127.0.0.1/\" }\n",
      "x.conf:4: route_http is given more than once: first at x.conf:3\n" },
    { "no time to answer", LISTENER UPSTREAM "route_http {\nurl = \"http://127.0.0.1/\" timeout = 99ms }\n",
      "x.conf:4: timeout must be from 100ms to 1m, not \"99ms\"\n" },
    { "more than a minute to answer", LISTENER UPSTREAM "route_http {\nurl = \"http://127.0.0.1/\" timeout = 61s }\n",
      "x.conf:4: timeout must be from 100ms to 1m, not \"61s\"\n" },
    { "good for more than a day", LISTENER UPSTREAM "route_http {\nurl = \"http://127.0.0.1/\" cache = 25h }\n",
      "x.conf:4: cache must be from 0s to 1d, not \"25h\"\n" },
    { "a flag that is none", IN_UPSTREAM("address = \"mail.example.org:993\"\nuser_lowercase = maybe"),
      "x.conf:4: user_lowercase must be true or false, not \"maybe\"\n" },
    { "user_strip_domain of the file", LISTENER UPSTREAM "user_strip_domain = true\n",
      "x.conf:3: no such option 'user_strip_domain'\n" },
    { "an unknown option", IN_FILE("wokers = 3"), "x.conf:1: no such option 'wokers'\n" },
    { "an unknown option of a section", IN_LISTENER("adress = x"), "x.conf:2: no such option 'adress'\n" },
    { "an unknown section", "listner \"x\" { }\n", "x.conf:1: no such option 'listner'\n" },
    { "a repeated scalar", IN_FILE("workers = 1\nworkers = 1"), "x.conf:2: workers is given more than once\n" },
    { "a repeated list", IN_LISTENER("tls = none address = \"*:1\"\naddress = \"*:2\""),
      "x.conf:3: address is given more than once\n" },
    { "a list emptied again", IN_LISTENER("tls = none\naddress = \"*:1\"\naddress = {}"),
      "x.conf:1: listener \"l\" has no address\nx.conf:1: address is given more than once\n" },
    { "a language that there is not", IN_FILE("workers = 1\nlanguages = { DE, tlh }"),
      "x.conf:2: languages: \"tlh\" is not known; write \"auto\", \"off\", or some of " LANGUAGES_KNOWN "\n" },
    { "no language at all", IN_FILE("languages = \"\""),
      "x.conf:1: languages: \"\" is not known; write \"auto\", \"off\", or some of " LANGUAGES_KNOWN "\n" },
    { "a language twice", IN_FILE("languages = { DE, FR, de }"), "x.conf:1: languages has \"DE\" twice\n" },
    { "a language beside auto", IN_FILE("languages = { auto, DE }"),
      "x.conf:1: languages: \"auto\" and \"off\" stand alone\n" },
    { "off beside a language", IN_FILE("languages = { DE,\noff }"),
      "x.conf:2: languages: \"auto\" and \"off\" stand alone\n" },
    { "languages twice", IN_FILE("languages = DE\nlanguages = FR"), "x.conf:2: languages is given more than once\n" },
    { "languages emptied again", IN_FILE("languages = DE\nlanguages = {}"),
      "x.conf: languages is given more than once\n" },
    { "languages in a section", IN_LISTENER("languages = DE"), "x.conf:2: no such option 'languages'\n" },
    { "a repeated section", LISTENER LISTENER UPSTREAM, "x.conf:2: found duplicate title 'l'\n" },
    { "a section without a name", "listener { }\n", "x.conf:1: missing title for section 'listener'\n" },
    { "an empty section name", LISTENER "upstream \"\" { address = a }\n",
      "x.conf:2: upstream \"\": a name consists of up to 64 letters, digits, \".\", \"-\" and \"_\"\n" },
    { "a section that is not closed", LISTENER "upstream u { address = a\n",
      "x.conf:2: a section is not closed: \"}\" is missing at the end of the file\n" },
    { "a comment as in C", IN_FILE("workers = 1 /* x */"),
      "x.conf:1: \"*\" is only allowed in quotes (a comment begins with \"#\")\n" },
    { "a comment as in C++", IN_FILE("workers = 1 // x"),
      "x.conf:1: \"//\" is only allowed in quotes (a comment begins with \"#\")\n" },
    { "a plus without quotes", IN_FILE("epoch = +1"),
      "x.conf:1: \"+\" is only allowed in quotes (a comment begins with \"#\")\n" },
    { "the environment", IN_FILE("user = ${USER}"),
      "x.conf:1: \"${\" is only allowed in quotes (a comment begins with \"#\")\n" },
    { "the environment in quotes", IN_FILE("\nuser = \"${USER}\""),
      "x.conf:2: \"${\": environment variables are not expanded; in single quotes it stands for itself\n" },
    { "an error behind comments", IN_FILE("# one\n## \" two\nuser = \"a#\\\"b\" # three\n\nuser = '#\"'"),
      "x.conf:5: user is given more than once\n" },
    { "a list where there is none", IN_FILE("user = { a }"), "x.conf:1: unexpected token '{'\n" },
    { "an option of a section from outside", LISTENER UPSTREAM "listener|tls = none\n",
      "x.conf:3: tls does not belong here\n" },
    { "a line end in a value", IN_FILE("log_to = \"a\\nb\""),
      "x.conf:1: log_to must be one of stderr, syslog, not \"a?b\"\n" },
    { "no section at all", "", "x.conf: there is no listener section\nx.conf: there is no upstream section\n" },

    { "a number that is none", IN_FILE("workers = many"),
      "x.conf:1: workers must be a number from 0 to 1024, not \"many\"\n" },
    { "a number that is too large", IN_FILE("workers = 1025"),
      "x.conf:1: workers must be a number from 0 to 1024, not \"1025\"\n" },
    { "a number of 65 bits", IN_FILE("epoch = 18446744073709551616"),
      "x.conf:1: epoch must be a number from 0 to 18446744073709551615, not \"18446744073709551616\"\n" },
    { "no client at all", IN_FILE("max_clients = 0"),
      "x.conf:1: max_clients must be a number from 1 to 1000000, not \"0\"\n" },

    { "an upstream that is the listener", LISTENER "upstream \"u\" { address = \"127.0.0.1:1143\" tls = none }\n",
      "x.conf:2: upstream \"u\" leads to listener \"l\", and so back to this gateway\n" },
    { "the same by its name", LISTENER "upstream \"u\" { address = \"LocalHost:1143\" tls = none }\n",
      "x.conf:2: upstream \"u\" leads to listener \"l\", and so back to this gateway\n" },
    { "the same by a listener for all addresses",
      "listener \"l\" { address = \"*:1143\" tls = none require_tls = false }\n"
      "upstream \"u\" { address = \"127.0.0.7:1143\" tls = none }\n",
      "x.conf:2: upstream \"u\" leads to listener \"l\", and so back to this gateway\n" },
    { "the same by a path",
      LISTENER "listener \"s\" { address = \"unix:/s\" tls = none upstream = v }\n"
               "upstream \"u\" { address = \"unix:/s\" tls = none }\nupstream \"v\" { address = \"10.0.0.1\" }\n",
      "x.conf:1: listener \"l\": there are several upstreams: name one with upstream = \"NAME\"\n"
      "x.conf:3: upstream \"u\" leads to listener \"s\", and so back to this gateway\n" },

    { "a time that is too short", IN_FILE("login_timeout = 999ms"),
      "x.conf:1: login_timeout must be from 1s to 1h, not \"999ms\"\n" },
    { "a format that is to come", IN_FILE("seal_format = 3"),
      "x.conf:1: seal_format must be a number from 1 to 2, not \"3\"\n" },
    { "a time that is too long", IN_FILE("token_lifetime = 3651d"),
      "x.conf:1: token_lifetime must be from 1s to 3650d, not \"3651d\"\n" },
    { "half a second of lifetime", IN_FILE("token_lifetime = 1500ms"),
      "x.conf:1: token_lifetime must be in whole seconds, not \"1500ms\"\n" },
    { "an autologout before its time", IN_FILE("idle_timeout = 29m"),
      "x.conf:1: idle_timeout = \"29m\" is below 30m: RFC 9051 section 5.4 says of an autologout timer that it \"MUST "
      "be at least 30 minutes\"\n" },
    { "an autologout after weeks", IN_FILE("idle_timeout = 8d"),
      "x.conf:1: idle_timeout must be from 30m to 7d, not \"8d\"\n" },

    { "a choice that is none", IN_FILE("log_level = chatty"),
      "x.conf:1: log_level must be one of error, warning, info, debug, not \"chatty\"\n" },
    { "a flag that is none", IN_UPSTREAM("address = a\ntls_verify = 1"),
      "x.conf:4: tls_verify must be true or false, not \"1\"\n" },
    { "a mode with setuid", IN_LISTENER("tls = none address = \"unix:/s\" unix_mode = 4600"),
      "x.conf:2: unix_mode = \"4600\" has more than permission bits\n" },

    { "a listener without an address", IN_LISTENER("tls = none"), "x.conf:1: listener \"l\" has no address\n" },
    { "an empty listener", "listener l { }\n" UPSTREAM,
      "x.conf:1: listener \"l\" has no address\nx.conf:1: listener \"l\": tls = implicit needs tls_cert_file\n"
      "x.conf:1: listener \"l\": tls = implicit needs tls_key_file\n" },
    { "TLS without a key", IN_LISTENER("address = \"*:1\" tls = starttls tls_cert_file = c"),
      "x.conf:1: listener \"l\": tls = starttls needs tls_key_file\n" },
    { "more certificates than keys", IN_LISTENER("address = \"*:1\"\ntls_cert_file = { c, d } tls_key_file = { k }"),
      "x.conf:1: listener \"l\": each tls_cert_file needs its tls_key_file: there are 2 and 1\n" },
    { "a certificate without a name",
      IN_LISTENER("address = \"*:1\"\ntls_cert_file = { c, \"\" } tls_key_file = { k, k }"),
      "x.conf:3: tls_cert_file is empty: write the path of a file\n"
      "x.conf:1: listener \"l\": each tls_cert_file needs its tls_key_file: there are 1 and 2\n" },
    { "a version that is too old", IN_LISTENER("address = \"*:1\" tls = none tls_min_version = \"TLSv1.1\""),
      "x.conf:2: tls_min_version must be one of TLSv1.2, TLSv1.3, not \"TLSv1.1\"\n" },
    { "a cipher that there is not", IN_FILE("workers = 1\ntls_ciphers = \"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-AES999\""),
      "x.conf:2: tls_ciphers: OpenSSL knows \"ECDHE-AES999\" as no cipher of TLS 1.2 (those of TLS 1.3 are for "
      "tls_ciphersuites)\n" },
    { "a cipher of TLS 1.3 among those of 1.2",
      IN_LISTENER("address = \"*:1\" tls = none\ntls_ciphers = TLS_AES_128_GCM_SHA256"),
      "x.conf:3: tls_ciphers: OpenSSL knows \"TLS_AES_128_GCM_SHA256\" as no cipher of TLS 1.2 (those of TLS 1.3 are "
      "for "
      "tls_ciphersuites)\n" },
    { "a cipher of TLS 1.2 among those of 1.3",
      IN_UPSTREAM("address = a tls_ciphersuites = \"TLS_AES_128_GCM_SHA256:AES128-SHA\""),
      "x.conf:3: tls_ciphersuites: OpenSSL knows \"AES128-SHA\" as no cipher of TLS 1.3 (those of TLS 1.2 are for "
      "tls_ciphers)\n" },
    { "a group that there is not", IN_UPSTREAM("address = a\ntls_groups = \"X25519:P-257\""),
      "x.conf:4: tls_groups: OpenSSL knows \"P-257\" as no group\n" },
    { "no cipher at all", IN_FILE("tls_ciphers = \"\""),
      "x.conf:1: tls_ciphers is empty: leave it out for what is usual, or name what may be agreed on\n" },
    { "ciphers that are all taken away", IN_FILE("tls_ciphers = \"AES128-SHA:!AES\""),
      "x.conf:1: tls_ciphers: OpenSSL refuses \"AES128-SHA:!AES\": no cipher match\n" },
    { "a CA of clients that nobody asks",
      IN_LISTENER("address = \"*:1\" tls_cert_file = c tls_key_file = k tls_client_ca_file = a"),
      "x.conf:1: listener \"l\": tls_client_ca_file needs tls_client_certificate = \"optional\" or \"required\"\n" },
    { "client certificates by no CA",
      IN_LISTENER("address = \"*:1\" tls_cert_file = c tls_key_file = k tls_client_certificate = optional"),
      "x.conf:1: listener \"l\": tls_client_certificate needs tls_client_ca_file\n" },
    { "client certificates without TLS",
      IN_LISTENER("address = \"127.0.0.1:1\" tls = none tls_client_certificate = optional tls_client_ca_file = a"),
      "x.conf:1: listener \"l\": with tls = none no client can show a certificate\n" },
    { "a certificate that can be done without",
      IN_LISTENER("address = \"127.0.0.1:1\" tls = starttls require_tls = false tls_cert_file = c tls_key_file = k "
                  "tls_client_certificate = required tls_client_ca_file = a"),
      "x.conf:1: listener \"l\": a client certificate is required, but with require_tls = false not of those who do "
      "without TLS\n" },
    { "a pin of nothing", IN_UPSTREAM("address = a\ntls_pin = \"sha256//\""),
      "x.conf:4: tls_pin must be \"sha256//\" and the base64 of 32 octets, not \"sha256//\"\n" },
    { "a pin by another hash", IN_UPSTREAM("address = a\ntls_pin = \"sha1//AAECAwQFBgcICQoLDA0ODxAREhM=\""),
      "x.conf:4: tls_pin must be \"sha256//\" and the base64 of 32 octets, not "
      "\"sha1//AAECAwQFBgcICQoLDA0ODxAREhM=\"\n" },
    { "a pin without TLS",
      IN_UPSTREAM("address = localhost tls = none\ntls_pin = \"sha256//AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\""),
      "x.conf:2: upstream \"u\": with tls = none there is no key that tls_pin could be of\n" },
    { "a certificate for an upstream, without its key", IN_UPSTREAM("address = a tls_cert_file = c"),
      "x.conf:2: upstream \"u\": tls_cert_file and tls_key_file belong together\n" },
    { "TLS demanded where there is none", IN_LISTENER("address = \"*:1\" tls = none require_tls = true"),
      "x.conf:1: listener \"l\": with tls = none and require_tls = true nobody could log in\n" },
    { "a host name to listen on", IN_LISTENER("tls = none address = \"localhost:1\""),
      "x.conf:2: address \"localhost:1\": a listener takes no host name: write its IP address\n" },
    { "an asterisk without quotes", IN_LISTENER("tls = none address = *:143"),
      "x.conf:2: \"*\" is only allowed in quotes (a comment begins with \"#\")\n" },
    { "two listeners on one address",
      LISTENER "listener m {\ntls = none\naddress = { \"127.0.0.1:1\", \"127.0.0.1:1143\" }\n}\n" UPSTREAM,
      "x.conf:4: address \"127.0.0.1:1143\" is listener \"l\"'s already\n" },
    { "one listener twice on one address", IN_LISTENER("tls = none address = { \"[::1]:1\", \"[0:0::1]:1\" }"),
      "x.conf:2: address \"[0:0::1]:1\" is listener \"l\"'s already\n" },
    { "an address of http's", "http { address = { \"127.0.0.1:1143\" } }\n" LISTENER UPSTREAM,
      "x.conf:2: listener \"l\": address \"127.0.0.1:1143\" is http's already\n" },

    { "PROXY from everybody", IN_LISTENER("tls = none address = \"127.0.0.1:1\" accept_proxy = true"),
      "x.conf:1: listener \"l\": accept_proxy needs trusted_networks, else everybody could claim any address\n" },
    { "a network that is none", IN_LISTENER("tls = none address = \"127.0.0.1:1\" trusted_networks = localhost"),
      "x.conf:2: trusted_networks \"localhost\": write it as \"10.0.0.0/8\", \"2001:db8::/32\", \"192.0.2.1\" or "
      "\"unix\"\n" },

    { "a mechanism that can never pass", IN_MECHANISMS("{ PLAIN, EXTERNAL }"),
      "x.conf:3: auth_mechanisms: \"EXTERNAL\" cannot pass; these can: " CAN_PASS "\n" },
    { "an unknown mechanism", IN_MECHANISMS("plane"),
      "x.conf:3: auth_mechanisms: \"plane\" cannot pass; these can: " CAN_PASS "\n" },
    { "an empty mechanism", IN_MECHANISMS("\"\""),
      "x.conf:3: auth_mechanisms: \"\" cannot pass; these can: " CAN_PASS "\n" },
    { "a mechanism twice", IN_MECHANISMS("{ PLAIN, LOGIN, plain }"),
      "x.conf:3: auth_mechanisms has \"PLAIN\" twice\n" },
    { "all and one more", IN_MECHANISMS("{ all, PLAIN }"), "x.conf:3: auth_mechanisms: \"all\" stands alone\n" },
    { "one and all", IN_MECHANISMS("{ PLAIN, \"all\" }"), "x.conf:3: auth_mechanisms: \"all\" stands alone\n" },
    { "all twice", IN_MECHANISMS("{ all, all }"), "x.conf:3: auth_mechanisms: \"all\" stands alone\n" },
    { "one added to all", IN_MECHANISMS("all\nauth_mechanisms += PLAIN"),
      "x.conf:4: auth_mechanisms: \"all\" stands alone\n" },
    { "all in another case is no word", IN_MECHANISMS("All"),
      "x.conf:3: auth_mechanisms: \"All\" cannot pass; these can: " CAN_PASS "\n" },
    { "a list of mechanisms twice", IN_MECHANISMS("PLAIN\nauth_mechanisms = LOGIN"),
      "x.conf:4: auth_mechanisms is given more than once\n" },
    { "a list of mechanisms emptied again", IN_MECHANISMS("PLAIN\nauth_mechanisms = {}"),
      "x.conf:1: auth_mechanisms is given more than once\n" },
    { "imapproxy_compat that is no flag", IN_LISTENER("tls = none address = \"[::1]:1\"\nimapproxy_compat = 1"),
      "x.conf:3: imapproxy_compat must be true or false, not \"1\"\n" },

    { "a second park", "park {\nmax = 3\n}\n" IN_FILE("park { max = 3 }"),
      "x.conf:4: park is given more than once: first at x.conf:1\n" },
    { "a second park, both empty", "park { }\n" IN_FILE("park { }"),
      "x.conf:2: park is given more than once: first at x.conf:1\n" },
    { "a park with a name", IN_FILE("park main { }"), "x.conf:1: missing opening brace for section 'park'\n" },
    { "an unknown option of park", IN_FILE("park {\nper_address = 1 }"), "x.conf:2: no such option 'per_address'\n" },
    { "an option of park from outside", IN_FILE("park { max = 3 }\npark|0|max = 3"), NULL },
    { "a repeated option of park", IN_FILE("park {\nmax = 3\nmax = 3\n}"), "x.conf:3: max is given more than once\n" },
    { "too many for a user", IN_FILE("park { per_user = 1001 }"),
      "x.conf:1: per_user must be a number from 0 to 1000, not \"1001\"\n" },
    { "no parked connection at all", IN_FILE("park { max = 0 }"),
      "x.conf:1: max must be a number from 1 to 1000000, not \"0\"\n" },
    { "no time to wait", IN_FILE("park { time = 0s }"), "x.conf:1: time must be from 100ms to 7d, not \"0s\"\n" },
    { "no lifetime", IN_FILE("park { lifetime = 0s }"), "x.conf:1: lifetime must be from 100ms to 7d, not \"0s\"\n" },
    { "a proof that lasts for no time", IN_FILE("park { reauth_interval = 99ms }"),
      "x.conf:1: reauth_interval must be from 100ms to 1d, not \"99ms\"\n" },
    { "a keepalive behind the autologout", IN_FILE("park { keepalive = 30m }"),
      "x.conf:1: keepalive must be from 100ms to 29m, not \"30m\"\n" },
    { "a park that is not closed", LISTENER UPSTREAM "park { max = 3\n",
      "x.conf:3: a section is not closed: \"}\" is missing at the end of the file\n" },

    { "an upstream without an address", IN_UPSTREAM("tls = none"), "x.conf:2: upstream \"u\" has no address\n" },
    { "an upstream host that is none", IN_UPSTREAM("address = \"mail example:1\""),
      "x.conf:3: address \"mail example:1\": that is not a host name\n" },
    { "a unix upstream whose certificate has no name", IN_UPSTREAM("address = \"unix:/s\""),
      "x.conf:2: upstream \"u\": TLS on a unix socket needs tls_name, the name in its certificate\n" },
    { "a member twice, once with the default port",
      IN_UPSTREAM("address = { mx1.example,\n\"mx2.example:993\",\n\"MX1.example:993\" }"),
      "x.conf:5: address \"MX1.example:993\" is upstream \"u\"'s already\n" },
    { "no members", IN_UPSTREAM("address = {}"), "x.conf:4: upstream \"u\" has no address\n" },
    { "a service with a port", IN_UPSTREAM("address = \"srv:_imaps._tcp.example.org:993\""),
      "x.conf:3: address \"srv:_imaps._tcp.example.org:993\": a service has no port here: its SRV records tell it\n" },
    { "a service that is only a host", IN_UPSTREAM("address = \"srv:mail.example.org\""),
      "x.conf:3: address \"srv:mail.example.org\": write it as \"srv:_imaps._tcp.example.org\"\n" },
    { "no upstream", LISTENER, "x.conf: there is no upstream section\n" },
    { "an upstream that is not there", IN_LISTENER("tls = none address = \"127.0.0.1:1\" upstream = v"),
      "x.conf:1: listener \"l\": there is no upstream \"v\"\n" },
    { "several upstreams and no choice", LISTENER UPSTREAM "upstream v { address = a }\n",
      "x.conf:1: listener \"l\": there are several upstreams: name one with upstream = \"NAME\"\n" },

    { "several errors at once", "workers = x\nlog_to = y\nlistener l {\n tls = z\n}\nupstream u { address = \"-a\" }\n",
      "x.conf:1: workers must be a number from 0 to 1024, not \"x\"\n"
      "x.conf:2: log_to must be one of stderr, syslog, not \"y\"\n"
      "x.conf:4: tls must be one of none, starttls, implicit, not \"z\"\n"
      "x.conf:3: listener \"l\" has no address\n"
      "x.conf:3: listener \"l\": tls = implicit needs tls_cert_file\n"
      "x.conf:3: listener \"l\": tls = implicit needs tls_key_file\n"
      "x.conf:6: address \"-a\": that is not a host name\n" },
};

TEST(every_option_of_routes_reaches_its_field)
{
    struct config *config =
        parse_good(LISTENER "route_map = \"/etc/users.map\"\n" UPSTREAM UPSTREAM_V
                            "route_http { url = \"http://[::1]:9000/r?x=1\" upstream = v cache = 1m timeout = 7s }\n"
                            "route \"One.example\" { upstream = v }\nroute two.example { upstream = u }\n"
                            "route_default = u\n");
    const struct config_upstream *u = &config->upstreams[0], *v = &config->upstreams[1];
    const struct config_route_http *http = &config->route_http;
    assert_null(config->listeners[0].upstream);
    assert_string_equal(config->route_map, "/etc/users.map");
    assert_int_equal(config->route_count, 2);
    assert_string_equal(config->routes[0].domain, "One.example");
    assert_ptr_equal(config->routes[0].upstream, v);
    assert_ptr_equal(config->routes[1].upstream, u);
    assert_int_equal(config->routes[1].place.line, 7);
    assert_ptr_equal(config->route_default, u);
    assert_true(http->is_on);
    assert_ptr_equal(http->upstream, v);
    assert_string_equal(http->host, "::1");
    assert_string_equal(http->port, "9000");
    assert_string_equal(http->path, "/r?x=1");
    assert_int_equal(http->endpoint.sockaddr.any.sa_family, AF_INET6);
    assert_int_equal(http->cache_ms, 60000);
    assert_int_equal(http->timeout_ms, 7000);
    assert_false(u->user_strip_domain || u->user_lowercase);
    config_unref(config);
}

TEST(what_routes_do_not_say_has_its_default)
{
    struct config *config =
        parse_good(LISTENER "upstream \"u\" { address = \"mail.example.org:993\" user_strip_domain = true "
                            "user_lowercase = true }\nroute_http { url = \"HTTP://localhost\" }\n");
    const struct config_route_http *http = &config->route_http;
    assert_ptr_equal(http->upstream, &config->upstreams[0]); /* the only one */
    assert_string_equal(http->port, "80");
    assert_string_equal(http->path, "/");
    assert_int_equal(http->cache_ms, 300000);
    assert_int_equal(http->timeout_ms, 5000);
    assert_string_equal(config->route_map, "");
    assert_null(config->route_default);
    assert_true(config->upstreams[0].user_strip_domain && config->upstreams[0].user_lowercase);
    config_unref(config);
}

TEST(a_listener_that_names_its_upstream_goes_by_no_route)
{
    struct config *config =
        parse_good("listener \"a\" { address = \"127.0.0.1:1143\" tls = none upstream = u }\n"
                   "listener \"b\" { address = \"127.0.0.1:1144\" tls = none }\n" UPSTREAM "route_default = u\n");
    assert_ptr_equal(config->listeners[0].upstream, &config->upstreams[0]);
    assert_null(config->listeners[1].upstream);
    assert_int_equal(config->warning_count, 0);
    config_unref(config);
    config = parse_good("listener \"a\" { address = \"127.0.0.1:1143\" tls = none upstream = u }\n" UPSTREAM
                        "route_default = u\n");
    assert_int_equal(config->warning_count, 1);
    assert_string_equal(config->warnings[0],
                        "x.conf: warning: routes have no effect, as each listener names its upstream");
    config_unref(config);
}

TEST(what_is_wrong_is_told_with_its_line)
{
    for (size_t i = 0; i < ARRAY_LEN(wrongs); i++) {
        char *errors;
        struct config *config = parse(wrongs[i].text, &errors);
        CHECK_ROW(wrongs[i].name, config == NULL);
        if (wrongs[i].errors != NULL && strcmp(errors, wrongs[i].errors) != 0)
            fail_msg("row \"%s\": got\n%swant\n%s", wrongs[i].name, errors, wrongs[i].errors);
        CHECK_ROW(wrongs[i].name, strncmp(errors, "x.conf:", 7) == 0);
        free(errors);
    }
}

TEST(a_file_cut_anywhere_is_refused_or_whole)
{
    char cut[sizeof(everything)];
    for (size_t len = 0; len < sizeof(everything) - 1; len++) {
        memcpy(cut, everything, len);
        cut[len] = '\0';
        char *errors;
        struct config *config = parse(cut, &errors);
        /* Only the last line end may be missing. */
        if ((config != NULL) != (len >= sizeof(everything) - 2) || (config == NULL) != (errors[0] != '\0'))
            fail_msg("cut at %zu: %s", len, errors);
        config_unref(config);
        free(errors);
    }
}

static const struct {
    const char *name, *text, *warning;
} warnings[] = {
    { "no verification", IN_UPSTREAM("address = a\ntls_verify = false"),
      "x.conf:2: warning: upstream \"u\": tls_verify is off: anybody who can answer in its place gets all passwords" },
    { "a remote upstream in clear", IN_UPSTREAM("address = mail.example.org tls = none"),
      "x.conf:2: warning: upstream \"u\": passwords and mail go to mail.example.org unencrypted" },
    { "a public listener in clear", IN_LISTENER("address = { \"127.0.0.1:1\", \"*:1\" } tls = none"),
      "x.conf:1: warning: listener \"l\": passwords and tokens may arrive unencrypted on *:1" },
    { "STARTTLS not required",
      IN_LISTENER("address = \"[::]:1\" tls = starttls tls_cert_file = c tls_key_file = k require_tls = no"),
      "x.conf:1: warning: listener \"l\": passwords and tokens may arrive unencrypted on [::]:1" },
    { "figures for everybody", IN_FILE("http { address = { \"127.0.0.1:9143\", \"*:9144\", \"unix:/run/h\" } }"),
      "x.conf:1: warning: http: whoever reaches *:9144 can read all figures: there is no password and no TLS" },
    { "longer parked than it lives", IN_FILE("\npark {\ntime = 2s lifetime = 1s }"),
      "x.conf:2: warning: park: time is longer than lifetime, at which a connection ends anyway" },
    { "more for one than for all", IN_FILE("park { per_user = 3 max = 2 }"),
      "x.conf:1: warning: park: per_user is more than max, which is for all users together" },
    { "imapproxy_compat without parking",
      IN_LISTENER("address = \"[::1]:1\" tls = none imapproxy_compat = true") "park { per_user = 0 }\n",
      "x.conf:1: warning: listener \"l\": imapproxy_compat has no effect while park's per_user is 0" },
};

TEST(what_is_allowed_but_hardly_meant_is_a_warning)
{
    for (size_t i = 0; i < ARRAY_LEN(warnings); i++) {
        struct config *config = parse_good(warnings[i].text);
        CHECK_ROW(warnings[i].name, config->warning_count == 1);
        assert_string_equal(config->warnings[0], warnings[i].warning);
        config_unref(config);
    }
}

TEST(a_listener_without_tls_never_requires_it)
{
    struct config *config = parse_good(LISTENER UPSTREAM);
    assert_false(config->listeners[0].require_tls);
    config_unref(config);
}

TEST(appending_to_a_list_is_no_repetition)
{
    struct config *config =
        parse_good(IN_LISTENER("tls = none address = \"127.0.0.1:1\"\naddress += { \"127.0.0.1:2\" }"));
    assert_int_equal(config->listeners[0].address_count, 2);
    config_unref(config);
}

/* Writes the octets to a new file, reads it as a configuration and gives back the errors, for the caller to free. */
static char *read_octets(const char *octets, size_t len, struct config **ret_config)
{
    char path[] = "/tmp/test-config-XXXXXX";
    char *messages = NULL;
    size_t messages_len = 0;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    assert_int_equal(fwrite(octets, 1, len, file), len);
    fclose(file);
    FILE *errors = open_memstream(&messages, &messages_len);
    *ret_config = configfile_read(path, errors);
    fclose(errors);
    unlink(path);
    return messages;
}

TEST(a_file_is_read_like_text)
{
    struct config *config;
    char *errors = read_octets(everything, sizeof(everything) - 1, &config);
    assert_non_null(config);
    assert_string_equal(errors, "");
    free(errors);
    config_unref(config_ref(config));
    assert_int_equal(config->references, 1);
    config_unref(config);
    config_unref(NULL);
}

TEST(a_file_that_cannot_be_text_is_refused)
{
    struct config *config;
    char *errors = read_octets(everything, sizeof(everything), &config);
    assert_null(config);
    assert_non_null(strstr(errors, ": not a text file: it contains a NUL\n"));
    free(errors);

    char *large = malloc((1u << 20) + 1);
    memset(large, '\n', (1u << 20) + 1);
    errors = read_octets(large, (1u << 20) + 1, &config);
    free(large);
    assert_null(config);
    assert_non_null(strstr(errors, ": larger than 1 MiB\n"));
    free(errors);
}

TEST(a_file_that_cannot_be_read_is_told)
{
    static const struct {
        const char *path, *errors;
    } cases[] = {
        { "/nonexistent/x.conf", "/nonexistent/x.conf: No such file or directory\n" },
        { "/tmp", "/tmp: Is a directory\n" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *messages = NULL;
        size_t len = 0;
        FILE *errors = open_memstream(&messages, &len);
        assert_null(configfile_read(cases[i].path, errors));
        fclose(errors);
        assert_string_equal(messages, cases[i].errors);
        free(messages);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_given_has_its_documented_default),
        cmocka_unit_test(every_option_of_the_file_reaches_its_field),
        cmocka_unit_test(every_option_of_park_reaches_its_field),
        cmocka_unit_test(a_list_of_languages_becomes_a_set_with_its_first_preferred),
        cmocka_unit_test(languages_auto_and_an_empty_list_are_the_default),
        cmocka_unit_test(a_list_of_mechanisms_becomes_a_set),
        cmocka_unit_test(per_user_0_turns_parking_off_and_an_empty_section_changes_nothing),
        cmocka_unit_test(every_option_of_a_listener_reaches_its_field),
        cmocka_unit_test(what_a_section_does_not_say_of_tls_is_as_for_the_whole_daemon),
        cmocka_unit_test(every_option_of_an_upstream_reaches_its_field),
        cmocka_unit_test(an_upstream_address_may_lack_what_tls_implies),
        cmocka_unit_test(every_option_of_routes_reaches_its_field),
        cmocka_unit_test(what_routes_do_not_say_has_its_default),
        cmocka_unit_test(a_listener_that_names_its_upstream_goes_by_no_route),
        cmocka_unit_test(what_is_wrong_is_told_with_its_line),
        cmocka_unit_test(a_file_cut_anywhere_is_refused_or_whole),
        cmocka_unit_test(what_is_allowed_but_hardly_meant_is_a_warning),
        cmocka_unit_test(a_listener_without_tls_never_requires_it),
        cmocka_unit_test(appending_to_a_list_is_no_repetition),
        cmocka_unit_test(a_file_is_read_like_text),
        cmocka_unit_test(a_file_that_cannot_be_text_is_refused),
        cmocka_unit_test(a_file_that_cannot_be_read_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
