#include "check.h"
#include "lookup.h"

#include <arpa/inet.h>
#include <string.h>

#include "clock.h"

static uint64_t in_a_minute(void)
{
    return clock_us() + 60000000;
}

/* "127.0.0.1 143" */
static const char *text_of(const struct endpoint *endpoint)
{
    static char text[INET6_ADDRSTRLEN + 8];
    const struct sockaddr_in *v4 = (const void *)&endpoint->sockaddr;
    const struct sockaddr_in6 *v6 = (const void *)&endpoint->sockaddr;
    bool is_v4 = endpoint->sockaddr.any.sa_family == AF_INET;
    inet_ntop(endpoint->sockaddr.any.sa_family, is_v4 ? (const void *)&v4->sin_addr : &v6->sin6_addr, text,
              INET6_ADDRSTRLEN);
    snprintf(text + strlen(text), 8, " %u", ntohs(is_v4 ? v4->sin_port : v6->sin6_port));
    return text;
}

TEST(an_address_is_taken_as_it_is)
{
    static const struct {
        const char *host, *port, *want;
    } rows[] = {
        { "127.0.0.1", "143", "127.0.0.1 143" },
        { "::1", "993", "::1 993" },
        { "2001:db8::1", "65535", "2001:db8::1 65535" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct lookup lookup;
        lookup_host(&lookup, rows[i].host, rows[i].port, 0); /* no time is needed for that */
        CHECK_ROW(rows[i].host, lookup.count == 1);
        assert_string_equal(text_of(&lookup.endpoints[0]), rows[i].want);
    }
}

TEST(a_name_of_the_hosts_file_is_found_with_the_port)
{
    struct lookup lookup;
    lookup_host(&lookup, "localhost", "1143", in_a_minute());
    bool is_found = false;
    assert_true(lookup.count >= 1 && lookup.count <= LOOKUP_MAX);
    for (unsigned i = 0; i < lookup.count; i++)
        is_found = is_found || strcmp(text_of(&lookup.endpoints[i]), "127.0.0.1 1143") == 0;
    assert_true(is_found);
}

TEST(a_name_that_is_none_has_a_reason)
{
    struct lookup lookup;
    lookup_host(&lookup, "a..b", "143", in_a_minute());
    assert_int_equal(lookup.count, 0);
    assert_true(lookup.why && *lookup.why);
}

/* What came before does not stay. */
TEST(without_time_there_is_neither_address_nor_reason)
{
    struct lookup lookup = { .count = 7, .why = "x" };
    lookup_host(&lookup, "host.invalid", "143", 0);
    assert_int_equal(lookup.count, 0);
    assert_null(lookup.why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_taken_as_it_is),
        cmocka_unit_test(a_name_of_the_hosts_file_is_found_with_the_port),
        cmocka_unit_test(a_name_that_is_none_has_a_reason),
        cmocka_unit_test(without_time_there_is_neither_address_nor_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
