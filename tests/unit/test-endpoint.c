#include "check.h"

#include "endpoint.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"

static const struct {
    const char *text, *host; /* as inet_ntop() has it; of a unix socket its path */
    int family, port;
    bool is_local;
} goods[] = {
    { "192.0.2.1:993", "192.0.2.1", AF_INET, 993, false },
    { "127.0.0.1:1", "127.0.0.1", AF_INET, 1, true },
    { "127.255.0.1:65535", "127.255.0.1", AF_INET, 65535, true },
    { "*:143", "0.0.0.0", AF_INET, 143, false },
    { "[::1]:1993", "::1", AF_INET6, 1993, true },
    { "[0:0::1]:0143", "::1", AF_INET6, 143, true },
    { "[::]:143", "::", AF_INET6, 143, false },
    { "[2001:db8::5]:993", "2001:db8::5", AF_INET6, 993, false },
    { "unix:/run/x.sock", "/run/x.sock", AF_UNIX, 0, true },
    { "unix:/a:b", "/a:b", AF_UNIX, 0, true },
};

TEST(an_address_to_listen_on_becomes_a_socket_address)
{
    for (size_t i = 0; i < ARRAY_LEN(goods); i++) {
        struct endpoint endpoint;
        char host[INET6_ADDRSTRLEN] = "";
        CHECK_ROW(goods[i].text, endpoint_parse(goods[i].text, &endpoint) == NULL);
        CHECK_ROW(goods[i].text, endpoint.sockaddr.any.sa_family == goods[i].family);
        CHECK_ROW(goods[i].text, endpoint_is_local(&endpoint) == goods[i].is_local);
        if (goods[i].family == AF_UNIX) {
            assert_string_equal(endpoint.sockaddr.un.sun_path, goods[i].host);
            continue;
        }
        const bool is_ipv4 = goods[i].family == AF_INET;
        inet_ntop(goods[i].family,
                  is_ipv4 ? (void *)&endpoint.sockaddr.in.sin_addr : (void *)&endpoint.sockaddr.in6.sin6_addr, host,
                  sizeof host);
        assert_string_equal(host, goods[i].host);
        assert_int_equal(endpoint.len, is_ipv4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
        assert_int_equal(ntohs(is_ipv4 ? endpoint.sockaddr.in.sin_port : endpoint.sockaddr.in6.sin6_port),
                         goods[i].port);
    }
}

TEST(an_endpoint_equals_itself_in_another_notation_and_no_other)
{
    for (size_t i = 0; i < ARRAY_LEN(goods); i++)
        for (size_t j = 0; j < ARRAY_LEN(goods); j++) {
            struct endpoint a, b;
            endpoint_parse(goods[i].text, &a);
            endpoint_parse(goods[j].text, &b);
            CHECK_ROW(goods[i].text, endpoint_is_equal(&a, &b) == (i == j));
        }
    struct endpoint a, b;
    assert_null(endpoint_parse("[::1]:1", &a));
    assert_null(endpoint_parse("[0:0::1]:1", &b));
    assert_true(endpoint_is_equal(&a, &b));
}

/* "HERE": an address of this host that is not loopback, if it has one. */
static const struct {
    const char *target, *listening;
    bool leads_there;
} ways[] = {
    { "127.0.0.1:143", "127.0.0.1:143", true },
    { "127.0.0.1:143", "127.0.0.1:144", false },
    { "127.0.0.2:143", "127.0.0.1:143", false },
    { "127.0.0.2:143", "*:143", true },
    { "127.0.0.1:143", "*:144", false },
    { "127.0.0.1:143", "[::]:143", false },
    { "*:143", "127.0.0.1:143", true },
    { "*:143", "*:143", true },
    { "*:143", "192.0.2.1:143", false },
    { "192.0.2.1:143", "192.0.2.1:143", true },
    { "192.0.2.1:143", "*:143", false },
    { "[::1]:143", "[::]:143", true },
    { "[::1]:143", "[::1]:143", true },
    { "[::1]:143", "*:143", false },
    { "[2001:db8::5]:143", "[::]:143", false },
    { "[2001:db8::5]:143", "[2001:db8::5]:143", true },
    { "unix:/a", "unix:/a", true },
    { "unix:/a", "unix:/b", false },
    { "unix:/a", "*:143", false },
    { "HERE:143", "*:143", true },
    { "HERE:143", "HERE:143", true },
    { "HERE:143", "127.0.0.1:143", false },
    { "HERE:143", "*:144", false },
};

static bool find_here(char ret_host[INET_ADDRSTRLEN])
{
    struct ifaddrs *first;
    bool has_one = false;
    assert_int_equal(getifaddrs(&first), 0);
    for (const struct ifaddrs *each = first; each && !has_one; each = each->ifa_next) {
        const struct sockaddr_in *address = (const struct sockaddr_in *)each->ifa_addr;
        has_one = address && address->sin_family == AF_INET && !(each->ifa_flags & IFF_LOOPBACK) &&
                  (each->ifa_flags & IFF_UP) && inet_ntop(AF_INET, &address->sin_addr, ret_host, INET_ADDRSTRLEN);
    }
    freeifaddrs(first);
    return has_one;
}

/* False: there is no such address here. */
static bool parse_here(const char *text, struct endpoint *ret_endpoint)
{
    char host[INET_ADDRSTRLEN], whole[64];
    bool is_here = strncmp(text, "HERE", 4) == 0;
    if (is_here && !find_here(host))
        return false;
    snprintf(whole, sizeof whole, "%s%s", is_here ? host : "", is_here ? text + 4 : text);
    assert_null(endpoint_parse(whole, ret_endpoint));
    return true;
}

TEST(who_listens_where_a_connection_leads_is_known)
{
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct endpoint target, listening;
        if (parse_here(ways[i].target, &target) && parse_here(ways[i].listening, &listening) &&
            endpoint_leads_to(&target, &listening) != ways[i].leads_there)
            fail_msg("%s to %s", ways[i].target, ways[i].listening);
    }
}

#define FORMS "write it as \"192.0.2.1:993\", \"[2001:db8::1]:993\", \"*:993\" or \"unix:/path\", in quotes"
#define PORT  "its port is not from 1 to 65535"
#define NAME  "a listener takes no host name: write its IP address"
#define IPV6  "that is not an IPv6 address between the brackets"

static const struct {
    const char *text, *wrong;
} wrongs[] = {
    { "localhost:1", NAME },
    { "127.1:1", NAME },
    { "", FORMS },
    { ":143", FORMS },
    { "::1:143", FORMS },
    { "[::1:143", FORMS },
    { "[::1]143", FORMS },
    { "127.0.0.1", "it has no port" },
    { "[::1]", "it has no port" },
    { "127.0.0.1:", PORT },
    { "127.0.0.1:0", PORT },
    { "127.0.0.1:65536", PORT },
    { "127.0.0.1:4294967297", PORT },
    { "127.0.0.1:1 ", PORT },
    { "127.0.0.1:-1", PORT },
    { "[127.0.0.1]:143", IPV6 },
    { "[*]:143", IPV6 },
    { "unix:", "the path of a unix socket begins with \"/\"" },
    { "unix:run/s", "the path of a unix socket begins with \"/\"" },
};

static void check_wrong(const char *text, const char *wrong, const char *want)
{
    if (wrong == NULL || strcmp(wrong, want) != 0)
        fail_msg("\"%s\": got %s, want %s", text, wrong ? wrong : "nothing", want);
}

TEST(what_cannot_be_listened_on_is_refused)
{
    for (size_t i = 0; i < ARRAY_LEN(wrongs); i++) {
        struct endpoint endpoint = { .len = 77 };
        check_wrong(wrongs[i].text, endpoint_parse(wrongs[i].text, &endpoint), wrongs[i].wrong);
        CHECK_ROW(wrongs[i].text, endpoint.len == 77);
    }
}

TEST(a_unix_path_may_fill_its_address_and_no_more)
{
    char text[sizeof "unix:" + 108] = "unix:/";
    struct endpoint endpoint;
    memset(&text[6], 'p', 106);
    assert_null(endpoint_parse(text, &endpoint));
    assert_int_equal(strlen(endpoint.sockaddr.un.sun_path), 107);
    text[6 + 106] = 'p';
    assert_string_equal(endpoint_parse(text, &endpoint), "the path of a unix socket has 107 octets at most");
}

static const struct {
    const char *text, *host, *port, *wrong;
    bool is_unix;
} servers[] = {
    { "mail.example.org", "mail.example.org", NULL, NULL, false },
    { "mail:143", "mail", "143", NULL, false },
    { "192.0.2.1:993", "192.0.2.1", "993", NULL, false },
    { "[2001:db8::5]", "2001:db8::5", NULL, NULL, false },
    { "[::1]:65535", "::1", "65535", NULL, false },
    { "unix:/run/imap", "/run/imap", NULL, NULL, true },
    { "mail example:1", .wrong = "that is not a host name" },
    { "-a", .wrong = "that is not a host name" },
    { "*:143", .wrong = "that is not a host name" },
    { "mail:imap", .wrong = PORT },
    { "mail:0", .wrong = PORT },
    { "[mail]:1", .wrong = IPV6 },
    { "::1", .wrong = "write it as \"host:port\", \"[2001:db8::1]:port\" or \"unix:/path\"" },
    { "", .wrong = "write it as \"host:port\", \"[2001:db8::1]:port\" or \"unix:/path\"" },
    { "unix:imap", .wrong = "the path of a unix socket begins with \"/\"" },
};

TEST(an_address_to_connect_to_is_split)
{
    for (size_t i = 0; i < ARRAY_LEN(servers); i++) {
        char text[64];
        const char *host, *port;
        bool is_unix;
        snprintf(text, sizeof text, "%s", servers[i].text);
        const char *wrong = endpoint_split(text, &host, &port, &is_unix);
        if (servers[i].wrong) {
            check_wrong(servers[i].text, wrong, servers[i].wrong);
            continue;
        }
        CHECK_ROW(servers[i].text, wrong == NULL && is_unix == servers[i].is_unix);
        assert_string_equal(host, servers[i].host);
        CHECK_ROW(servers[i].text, (port == NULL) == (servers[i].port == NULL));
        if (port)
            assert_string_equal(port, servers[i].port);
    }
}

static const struct {
    const char *host, *port;
    bool is_unix;
    const char *want; /* as address_text_with_port() has it; NULL: it is a name */
} hosts[] = {
    { "192.0.2.1", "993", false, "192.0.2.1:993" },
    { "2001:db8::1", "143", false, "[2001:db8::1]:143" },
    { "/run/imap", "", true, "unix" },
    { "mail.example.org", "143", false, NULL },
    { "localhost", "143", false, NULL },
    { "1.2.3", "143", false, NULL }, /* what inet_aton() would take */
    { "192.0.2.1.", "143", false, NULL },
};

TEST(what_is_no_name_can_be_connected_to_at_once)
{
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        struct endpoint endpoint = { .len = 1 };
        struct address address;
        uint16_t port = 1;
        char text[ADDRESS_TEXT_MAX];
        bool is_whole = endpoint_from_host(hosts[i].host, hosts[i].port, hosts[i].is_unix, &endpoint, &port);
        CHECK_ROW(hosts[i].host, is_whole == (hosts[i].want != NULL));
        CHECK_ROW(hosts[i].host, port == atoi(hosts[i].port));
        CHECK_ROW(hosts[i].host, is_whole || endpoint.len == 1);
        if (!is_whole)
            continue;
        address_set(&address, &endpoint.sockaddr.any);
        assert_string_equal(address_text_with_port(&address, text), hosts[i].want);
    }
}

TEST(the_scope_of_an_ipv6_address_is_kept)
{
    struct endpoint endpoint;
    uint16_t port;
    assert_true(endpoint_from_host("fe80::1%lo", "143", false, &endpoint, &port));
    assert_int_equal(endpoint.sockaddr.in6.sin6_scope_id, if_nametoindex("lo"));
}

TEST(a_service_has_a_domain_behind_its_two_labels)
{
    static const struct {
        const char *text, *domain;
    } rows[] = {
        { "srv:_imaps._tcp.example.org", "example.org" },
        { "srv:_imap._tcp.org", "org" },
        { "_imaps._tcp.example.org", NULL },
        { "srv:example.org", NULL },
        { "srv:_imaps.example.org", NULL },
        { "srv:_imaps._tcp", NULL },
        { "srv:_imaps._tcp.", NULL },
        { "srv:_._tcp.example.org", NULL },
        { "srv:_imaps._.example.org", NULL },
        { "srv:_imaps._tcp..org", NULL },
        { "srv:", NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *domain = endpoint_service_domain(rows[i].text);
        CHECK_ROW(rows[i].text, domain ? rows[i].domain && strcmp(domain, rows[i].domain) == 0 : !rows[i].domain);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_to_listen_on_becomes_a_socket_address),
        cmocka_unit_test(an_endpoint_equals_itself_in_another_notation_and_no_other),
        cmocka_unit_test(who_listens_where_a_connection_leads_is_known),
        cmocka_unit_test(what_cannot_be_listened_on_is_refused),
        cmocka_unit_test(a_unix_path_may_fill_its_address_and_no_more),
        cmocka_unit_test(an_address_to_connect_to_is_split),
        cmocka_unit_test(what_is_no_name_can_be_connected_to_at_once),
        cmocka_unit_test(the_scope_of_an_ipv6_address_is_kept),
        cmocka_unit_test(a_service_has_a_domain_behind_its_two_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
