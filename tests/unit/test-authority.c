/* The Host by which somebody asks. */
#include "check.h"

#include "authority.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

static char status_name[] = "Status.example.org";
static char *const names[] = { status_name };

static const struct {
    const char *host;
    bool is_ours;
} hosts[] = {
    { NULL, true },
    { "127.0.0.1", true },
    { "127.0.0.1:9143", true },
    { "[::1]:9143", true },
    { "[::1]", true },
    { "[2001:db8::7]:80", true },
    { "localhost", true },
    { "LOCALHOST:9143", true },
    { "mail", true },
    { "imapstate:9143", true },
    { "status.example.org", true },
    { "STATUS.EXAMPLE.ORG.:9143", true },
    { "evil.example", false },
    { "evil.example:9143", false },
    { "evil.example.", false },
    { "status.example.org.evil.example", false },
    { "127.0.0.1.evil.example", false },
    { "127.0.0.1:9143@evil.example", true }, /* no browser writes this: it is not the name that it has looked up */
    { "1.2.3", false },
    { "[evil.example]", false },
    { "[", false },
    { "", false },
    { ":9143", false },
    { ".", false },
};

TEST(a_domain_is_only_ours_if_we_know_it)
{
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++)
        CHECK_ROW(hosts[i].host ? hosts[i].host : "none",
                  authority_is_ours(hosts[i].host, names, ARRAY_LEN(names)) == hosts[i].is_ours);
    assert_false(authority_is_ours("status.example.org", NULL, 0));
}

TEST(a_name_that_is_too_long_is_nobodys)
{
    char long_name[300];
    memset(long_name, 'a', sizeof long_name);
    long_name[255] = '\0';
    assert_true(authority_is_ours(long_name, NULL, 0));
    long_name[255] = 'a';
    long_name[256] = '\0';
    assert_false(authority_is_ours(long_name, NULL, 0));
}

TEST(this_hosts_own_name_is_ours)
{
    char own[HOST_NAME_MAX + 1];
    assert_int_equal(gethostname(own, sizeof own), 0);
    assert_true(authority_is_ours(own, NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_domain_is_only_ours_if_we_know_it),
        cmocka_unit_test(a_name_that_is_too_long_is_nobodys),
        cmocka_unit_test(this_hosts_own_name_is_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
