#include "check.h"

#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

/* text "" is a unix socket. */
static struct address address_of(const char *text, uint16_t port)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
    struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "/run/socket" };
    const void *from = &un;
    struct address address;

    if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
        from = &in;
    else if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1)
        from = &in6;
    memset(&address, 0xee, sizeof address);
    address_set(&address, from);
    return address;
}

static const struct {
    const char *name, *address;
    uint16_t port;
    int want_family;
    const char *want, *want_with_port;
} cases[] = {
    { "an IPv4 address", "192.0.2.7", 50122, AF_INET, "192.0.2.7", "192.0.2.7:50122" },
    { "the highest address and port", "255.255.255.255", 65535, AF_INET, "255.255.255.255", "255.255.255.255:65535" },
    { "an IPv6 address", "2001:db8::7", 50122, AF_INET6, "2001:db8::7", "[2001:db8::7]:50122" },
    { "the longest IPv6 address", "2001:1db8:1111:2222:3333:4444:5555:6666", 65535, AF_INET6,
      "2001:1db8:1111:2222:3333:4444:5555:6666", "[2001:1db8:1111:2222:3333:4444:5555:6666]:65535" },
    { "a mapped address is kept as IPv4", "::ffff:192.0.2.7", 143, AF_INET, "192.0.2.7", "192.0.2.7:143" },
    { "a compatible address is none that is mapped", "::192.0.2.7", 143, AF_INET6, "::192.0.2.7", "[::192.0.2.7]:143" },
    { "the IPv6 loopback address is none that is mapped", "::1", 993, AF_INET6, "::1", "[::1]:993" },
    { "a unix socket has no more than its family", "", 0, AF_UNIX, "unix", "unix" },
};

TEST(address_says_who_the_peer_is)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[ADDRESS_TEXT_MAX], text_with_port[ADDRESS_TEXT_MAX];
        struct address address = address_of(cases[i].address, cases[i].port);
        CHECK_ROW(cases[i].name, address.family == cases[i].want_family);
        CHECK_ROW(cases[i].name, address.port == cases[i].port);
        CHECK_ROW(cases[i].name, address_text(&address, text) == text);
        CHECK_ROW(cases[i].name, strcmp(text, cases[i].want) == 0);
        CHECK_ROW(cases[i].name, address_text_with_port(&address, text_with_port) == text_with_port);
        CHECK_ROW(cases[i].name, strcmp(text_with_port, cases[i].want_with_port) == 0);
    }
}

TEST(an_address_becomes_the_socket_address_that_it_was)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct address address = address_of(cases[i].address, cases[i].port), again;
        struct sockaddr_storage sockaddr;
        if (address.family == AF_UNIX)
            continue;
        socklen_t len = address_get(&address, &sockaddr);
        CHECK_ROW(cases[i].name,
                  len == (address.family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6)));
        address_set(&again, (const struct sockaddr *)&sockaddr);
        CHECK_ROW(cases[i].name, memcmp(&address, &again, sizeof again) == 0);
    }
}

TEST(equal_peers_have_equal_octets_so_that_an_address_can_be_a_key)
{
    struct address plain = address_of("192.0.2.7", 143), mapped = address_of("::ffff:192.0.2.7", 143);
    assert_memory_equal(&plain, &mapped, sizeof plain);
    struct address other = address_of("192.0.2.8", 143);
    assert_memory_not_equal(&plain, &other, sizeof plain);
    assert_int_equal(sizeof plain, 20);
}

static const struct {
    const char *text;
    bool is_local;
} hosts[] = {
    { "127.0.0.1", true },    { "127.255.255.255", true },
    { "::1", true },          { "::ffff:127.0.0.1", true },
    { "126.0.0.1", false },   { "128.0.0.1", false },
    { "192.0.2.127", false }, { "0.0.0.0", false },
    { "::", false },          { "::2", false },
    { "1::1", false },        { "::ffff:192.0.2.1", false },
};

TEST(loopback_and_unix_sockets_are_this_host)
{
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        int family = strchr(hosts[i].text, ':') ? AF_INET6 : AF_INET;
        struct address address;
        uint8_t octets[16];
        assert_true(address_read_host(imapstate_span_of(hosts[i].text), family, octets));
        address_set_raw(&address, family, octets, 143);
        CHECK_ROW(hosts[i].text, address_is_local(&address) == hosts[i].is_local);
    }
    assert_true(address_is_local(&(struct address){ .family = AF_UNIX }));
}

TEST(a_family_that_is_not_known_counts_as_unix)
{
    struct sockaddr none = { .sa_family = AF_UNSPEC };
    struct address address;
    address_set(&address, &none);
    assert_int_equal(address.family, AF_UNIX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(address_says_who_the_peer_is),
        cmocka_unit_test(an_address_becomes_the_socket_address_that_it_was),
        cmocka_unit_test(equal_peers_have_equal_octets_so_that_an_address_can_be_a_key),
        cmocka_unit_test(loopback_and_unix_sockets_are_this_host),
        cmocka_unit_test(a_family_that_is_not_known_counts_as_unix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
