#include "check.h"

#include "configfile.h"
#include "site.h"

#include <stdlib.h>
#include <string.h>

static struct config *config_of(const char *upstreams)
{
    char text[1024];
    snprintf(text, sizeof text,
             "listener \"l\" { address = \"127.0.0.1:1143\" tls = \"none\" upstream = \"main\" }\n%s", upstreams);
    struct config *config = configfile_parse("test.conf", text, stderr);
    assert_non_null(config);
    return config;
}

static const struct {
    const char *name, *options, *address;
    const char *host, *port, *tls_name; /* NULL: there is no such site */
    bool is_unix;
} rows[] = {
    { "host and port", "", "mx.example.org:1993", "mx.example.org", "1993", "mx.example.org", false },
    { "the usual port", "", "mx.example.org", "mx.example.org", "993", "mx.example.org", false },
    { "of STARTTLS", "tls = \"starttls\"", "mx", "mx", "143", "mx", false },
    { "IPv6", "", "[2001:db8::7]:1993", "2001:db8::7", "1993", "2001:db8::7", false },
    { "a unix socket", "tls = \"none\"", "unix:/run/imap", "/run/imap", "", "", true },
    { "the upstream's own name", "tls_name = \"mail.example.org\"", "10.0.0.7:993", "10.0.0.7", "993",
      "mail.example.org", false },
    { "no address", "", "[::1", NULL, NULL, NULL, false },
    { "nothing", "", "", NULL, NULL, NULL, false },
};

TEST(a_site_is_the_upstream_at_another_address)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char upstream[256];
        snprintf(upstream, sizeof upstream, "upstream \"main\" { address = \"127.0.0.1\" max_sessions = 7 %s }\n",
                 rows[i].options);
        struct config *config = config_of(upstream);
        struct sites *sites = sites_new();
        const struct config_upstream *base = &config->upstreams[0];
        const struct config_upstream *site = sites_get(sites, base, rows[i].address);
        CHECK_ROW(rows[i].name, (site != NULL) == (rows[i].host != NULL));
        if (site) {
            CHECK_ROW(rows[i].name, site->base == base && strcmp(site->site, rows[i].address) == 0);
            CHECK_ROW(rows[i].name, site->name == base->name && site->max_sessions == 7);
            CHECK_ROW(rows[i].name, site->member_count == 1 && site->members != base->members);
            CHECK_ROW(rows[i].name, strcmp(site->members->host, rows[i].host) == 0);
            CHECK_ROW(rows[i].name, strcmp(site->members->port, rows[i].port) == 0);
            CHECK_ROW(rows[i].name, strcmp(site->members->tls_name, rows[i].tls_name) == 0);
            CHECK_ROW(rows[i].name, site->members->is_unix == rows[i].is_unix);
            CHECK_ROW(rows[i].name, sites_get(sites, base, rows[i].address) == site); /* once */
        }
        sites_free(sites);
        config_unref(config);
    }
}

TEST(the_same_address_of_two_upstreams_is_two_sites)
{
    struct config *config = config_of("upstream \"main\" { address = \"10.0.0.1\" }\n"
                                      "upstream \"other\" { address = \"10.0.0.2\" tls_verify = false }\n");
    struct sites *sites = sites_new();
    const struct config_upstream *one = sites_get(sites, &config->upstreams[0], "10.0.0.7");
    const struct config_upstream *other = sites_get(sites, &config->upstreams[1], "10.0.0.7");
    assert_ptr_not_equal(one, other);
    assert_true(one->tls_verify);
    assert_false(other->tls_verify);
    sites_free(sites);
    config_unref(config);
    sites_free(NULL);
}

TEST(there_are_no_more_than_may_be_and_those_that_are_stay)
{
    struct config *config = config_of("upstream \"main\" { address = \"10.0.0.1\" }\n");
    struct sites *sites = sites_new();
    const struct config_upstream *base = &config->upstreams[0], *first = sites_get(sites, base, "h0");
    char address[16];
    for (unsigned i = 1; i < SITES_MAX; i++) {
        snprintf(address, sizeof address, "h%u", i);
        assert_non_null(sites_get(sites, base, address));
    }
    assert_null(sites_get(sites, base, "one-more"));
    assert_ptr_equal(sites_get(sites, base, "h0"), first);
    assert_string_equal(first->members->host, "h0");
    assert_non_null(sites_get(sites, base, address)); /* the last that was made */
    sites_free(sites);
    config_unref(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_site_is_the_upstream_at_another_address),
        cmocka_unit_test(the_same_address_of_two_upstreams_is_two_sites),
        cmocka_unit_test(there_are_no_more_than_may_be_and_those_that_are_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
