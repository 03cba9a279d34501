#include "check.h"

#include "network.h"

#include <arpa/inet.h>
#include <string.h>

/* Of "unix", or as a socket tells it. */
static struct address address_of(const char *text)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
    struct address address = { .family = AF_UNIX };
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
        address_set(&address, (struct sockaddr *)&in);
    else if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1)
        address_set(&address, (struct sockaddr *)&in6);
    else
        assert_string_equal(text, "unix");
    return address;
}

static const struct {
    const char *network, *address;
    bool is_held;
} cases[] = {
    { "10.0.0.0/8", "10.255.255.255", true },
    { "10.0.0.0/8", "11.0.0.0", false },
    { "10.0.0.0/8", "::ffff:10.1.2.3", true },
    { "10.0.0.0/8", "a00::", false },
    { "10.0.0.0/9", "10.127.0.1", true },
    { "10.0.0.0/9", "10.128.0.1", false },
    { "0.0.0.0/0", "255.1.2.3", true },
    { "0.0.0.0/0", "::1", false },
    { "::/0", "2001:db8::1", true },
    { "::/0", "::ffff:10.1.2.3", false },
    { "192.0.2.1", "192.0.2.1", true },
    { "192.0.2.1", "192.0.2.0", false },
    { "192.0.2.1/032", "192.0.2.1", true },
    { "2001:db8::/33", "2001:db8:7fff::1", true },
    { "2001:db8::/33", "2001:db8:8000::1", false },
    { "2001:db8::1", "2001:db8::1", true },
    { "2001:db8::1", "2001:db8::2", false },
    { "unix", "unix", true },
    { "unix", "127.0.0.1", false },
    { "::/0", "unix", false },
    { "0.0.0.0/0", "unix", false },
};

TEST(a_network_holds_what_its_prefix_begins)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct network network;
        struct address address = address_of(cases[i].address);
        assert_null(network_parse(cases[i].network, &network));
        if (network_holds(&network, &address) != cases[i].is_held)
            fail_msg("%s in %s", cases[i].address, cases[i].network);
    }
}

TEST(a_network_as_text_is_read_as_the_same)
{
    static const char *const texts[][2] = {
        { "10.0.0.0/8", "10.0.0.0/8" },         { "0.0.0.0/0", "0.0.0.0/0" },         { "192.0.2.1/32", "192.0.2.1" },
        { "2001:DB8:0::/33", "2001:db8::/33" }, { "2001:db8::1/128", "2001:db8::1" }, { "unix", "unix" },
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct network network, again;
        char text[NETWORK_TEXT_MAX];
        assert_null(network_parse(texts[i][0], &network));
        assert_string_equal(network_text(&network, text), texts[i][1]);
        assert_null(network_parse(text, &again));
        assert_memory_equal(&again.address, &network.address, sizeof network.address);
        assert_int_equal(again.prefix_bits, network.prefix_bits);
    }
}

TEST(networks_hold_what_one_of_them_holds)
{
    struct network list[2];
    struct networks none = { 0 }, both = { list, ARRAY_LEN(list) };
    assert_null(network_parse("10.0.0.0/8", &list[0]));
    assert_null(network_parse("unix", &list[1]));
    struct address first = address_of("10.1.2.3"), last = address_of("unix"), other = address_of("192.0.2.1");
    assert_true(networks_hold(&both, &first) && networks_hold(&both, &last));
    assert_false(networks_hold(&both, &other) || networks_hold(&none, &first));
}

#define FORMS  "write it as \"10.0.0.0/8\", \"2001:db8::/32\", \"192.0.2.1\" or \"unix\""
#define PREFIX "the number after \"/\" is not a prefix length"

static const struct {
    const char *text, *wrong;
} wrongs[] = {
    { "", FORMS },
    { "localhost", FORMS },
    { "10.0.0/8", FORMS },
    { "/8", FORMS },
    { "unix/8", FORMS },
    { "[::1]", FORMS },
    { "1111:2222:3333:4444:5555:6666:7777:8888:9999:0000:1111/8", FORMS },
    { "::ffff:10.0.0.1", "an IPv4 network is written as IPv4" },
    { "10.0.0.0/33", PREFIX },
    { "10.0.0.0/4294967304", PREFIX },
    { "2001:db8::/129", PREFIX },
    { "10.0.0.0/", PREFIX },
    { "10.0.0.0/8 ", PREFIX },
    { "10.0.0.0/-1", PREFIX },
    { "10.0.0.1/31", "its address has bits set beyond the prefix" },
    { "2001:db8::/31", NULL },
    { "2001:db9::/31", "its address has bits set beyond the prefix" },
};

TEST(what_is_no_network_is_refused)
{
    for (size_t i = 0; i < ARRAY_LEN(wrongs); i++) {
        struct network network = { .prefix_bits = 77 };
        const char *wrong = network_parse(wrongs[i].text, &network);
        if ((wrong == NULL) != (wrongs[i].wrong == NULL) || (wrong && strcmp(wrong, wrongs[i].wrong) != 0))
            fail_msg("\"%s\": %s", wrongs[i].text, wrong ? wrong : "accepted");
        CHECK_ROW(wrongs[i].text, !wrong || network.prefix_bits == 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_network_holds_what_its_prefix_begins),
        cmocka_unit_test(a_network_as_text_is_read_as_the_same),
        cmocka_unit_test(networks_hold_what_one_of_them_holds),
        cmocka_unit_test(what_is_no_network_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
