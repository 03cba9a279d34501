#include "check.h"

#include "proxy.h"

#include <stdlib.h>
#include <string.h>

#define S(text)   IMAPSTATE_SPAN(text)
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define TCP4      SIGNATURE "\x21\x11\x00\x0c\xc0\x00\x02\x07\xc6\x33\x64\x01\xc3\xca\x00\x8f"
#define IP6_A     "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
#define IP6_B     "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
#define MAPPED    "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x07"
#define UNIX_PATH                                                                                                      \
    "12345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567\0"

static const struct {
    const char *name;
    struct imapstate_span in;
    enum proxy_result want;
    const char *source, *destination;
} cases[] = {
    /* Version 1; the specification's own lines first. */
    { "v1: the specification's example", S("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"), PROXY_OK,
      "192.168.0.1:56324", "192.168.0.11:443" },
    { "v1: the longest over IPv4", S("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), PROXY_OK,
      "255.255.255.255:65535", "255.255.255.255:65535" },
    { "v1: the longest over IPv6",
      S("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe 65535 65535\r\n"),
      PROXY_OK, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe]:65535" },
    { "v1: short IPv6 addresses", S("PROXY TCP6 2001:db8::7 ::1 50122 143\r\n"), PROXY_OK, "[2001:db8::7]:50122",
      "[::1]:143" },
    { "v1: hexadecimal digits in upper case", S("PROXY TCP6 2001:DB8::A ::1 1 0\r\n"), PROXY_OK, "[2001:db8::a]:1",
      "[::1]:0" },
    { "v1: mapped addresses are IPv4", S("PROXY TCP6 ::ffff:192.0.2.7 ::ffff:192.0.2.1 1 2\r\n"), PROXY_OK,
      "192.0.2.7:1", "192.0.2.1:2" },
    { "v1: unknown", S("PROXY UNKNOWN\r\n"), PROXY_LOCAL },
    { "v1: the longest unknown",
      S("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 "
        "65535\r\n"),
      PROXY_LOCAL },
    { "v1: one octet longer",
      S("PROXY UNKNOWN  ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 "
        "65535\r\n"),
      PROXY_BAD },
    { "v1: what follows unknown is ignored", S("PROXY UNKNOWN x y\0z\r\n"), PROXY_LOCAL },
    { "v1: a protocol that only begins so", S("PROXY UNKNOWNS\r\n"), PROXY_BAD },
    { "v1: another protocol", S("PROXY UDP4 192.0.2.7 192.0.2.1 1 2\r\n"), PROXY_BAD },
    { "v1: in lower case", S("PROXY tcp4 192.0.2.7 192.0.2.1 1 2\r\n"), PROXY_BAD },
    { "v1: addresses of the other family", S("PROXY TCP4 2001:db8::7 ::1 1 2\r\n"), PROXY_BAD },
    { "v1: and the other way round", S("PROXY TCP6 192.0.2.7 192.0.2.1 1 2\r\n"), PROXY_BAD },
    { "v1: addresses of two families", S("PROXY TCP4 192.0.2.7 ::1 1 2\r\n"), PROXY_BAD },
    { "v1: a leading zero in an address", S("PROXY TCP4 192.0.02.7 192.0.2.1 1 2\r\n"), PROXY_BAD },
    { "v1: three numbers are no address", S("PROXY TCP4 192.0.2 192.0.2.1 1 2\r\n"), PROXY_BAD },
    { "v1: 256 in an address", S("PROXY TCP4 192.0.2.256 192.0.2.1 1 2\r\n"), PROXY_BAD },
    { "v1: an address with a zone", S("PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n"), PROXY_BAD },
    { "v1: a NUL behind an address", S("PROXY TCP4 192.0.2.7\0 192.0.2.1 1 2\r\n"), PROXY_BAD },
    { "v1: a name", S("PROXY TCP4 localhost 192.0.2.1 1 2\r\n"), PROXY_BAD },
    { "v1: a port that is too high", S("PROXY TCP4 192.0.2.7 192.0.2.1 65536 2\r\n"), PROXY_BAD },
    { "v1: a port that wraps", S("PROXY TCP4 192.0.2.7 192.0.2.1 4294967297 2\r\n"), PROXY_BAD },
    { "v1: a leading zero in a port", S("PROXY TCP4 192.0.2.7 192.0.2.1 01 2\r\n"), PROXY_BAD },
    { "v1: a port with a sign", S("PROXY TCP4 192.0.2.7 192.0.2.1 +1 2\r\n"), PROXY_BAD },
    { "v1: an empty port", S("PROXY TCP4 192.0.2.7 192.0.2.1 1 \r\n"), PROXY_BAD },
    { "v1: a port is missing", S("PROXY TCP4 192.0.2.7 192.0.2.1 1\r\n"), PROXY_BAD },
    { "v1: one field more", S("PROXY TCP4 192.0.2.7 192.0.2.1 1 2 3\r\n"), PROXY_BAD },
    { "v1: a space at the end", S("PROXY TCP4 192.0.2.7 192.0.2.1 1 2 \r\n"), PROXY_BAD },
    { "v1: two spaces", S("PROXY TCP4  192.0.2.7 192.0.2.1 1 2\r\n"), PROXY_BAD },
    { "v1: a tab", S("PROXY TCP4\t192.0.2.7 192.0.2.1 1 2\r\n"), PROXY_BAD },
    { "v1: LF alone", S("PROXY TCP4 192.0.2.7 192.0.2.1 1 2\n"), PROXY_BAD },
    { "v1: CR alone", S("PROXY TCP4 192.0.2.7 192.0.2.1 1 2\rx\r\n"), PROXY_BAD },
    { "v1: two CR", S("PROXY UNKNOWN\r\r\n"), PROXY_BAD },
    { "v1: no protocol", S("PROXY \r\n"), PROXY_BAD },
    { "v1: not even a space", S("PROXY\r\n"), PROXY_BAD },
    { "v1: a command that begins alike", S("PROXYAUTH ann\r\n"), PROXY_BAD },

    /* Version 2. */
    { "v2: TCP over IPv4", S(TCP4), PROXY_OK, "192.0.2.7:50122", "198.51.100.1:143" },
    { "v2: TCP over IPv6", S(SIGNATURE "\x21\x21\x00\x24" IP6_A IP6_B "\xc3\xca\x00\x8f"), PROXY_OK,
      "[2001:db8::7]:50122", "[2001:db8::1]:143" },
    { "v2: a mapped address is IPv4", S(SIGNATURE "\x21\x21\x00\x24" MAPPED IP6_B "\xc3\xca\x00\x8f"), PROXY_OK,
      "192.0.2.7:50122", "[2001:db8::1]:143" },
    { "v2: unix", S(SIGNATURE "\x21\x31\x00\xd8" UNIX_PATH UNIX_PATH), PROXY_OK, "unix", "unix" },
    { "v2: TLVs are passed over",
      S(SIGNATURE "\x21\x11\x00\x13\xc0\x00\x02\x07\xc6\x33\x64\x01\xc3\xca\x00\x8f"
                  "\x01\x00\x04imap"),
      PROXY_OK, "192.0.2.7:50122", "198.51.100.1:143" },
    { "v2: local", S(SIGNATURE "\x20\x00\x00\x00"), PROXY_LOCAL },
    { "v2: local with addresses, which are skipped",
      S(SIGNATURE "\x20\x11\x00\x0c"
                  "abcdefghijkl"),
      PROXY_LOCAL },
    { "v2: local of a family that does not exist", S(SIGNATURE "\x20\xff\x00\x01x"), PROXY_LOCAL },
    { "v2: unspecified family and protocol", S(SIGNATURE "\x21\x00\x00\x00"), PROXY_LOCAL },
    { "v2: unspecified, with something to skip", S(SIGNATURE "\x21\x00\x00\x03xyz"), PROXY_LOCAL },
    { "v2: unspecified protocol over IPv4",
      S(SIGNATURE "\x21\x10\x00\x0c"
                  "abcdefghijkl"),
      PROXY_LOCAL },
    { "v2: a datagram",
      S(SIGNATURE "\x21\x12\x00\x0c"
                  "abcdefghijkl"),
      PROXY_LOCAL },
    { "v2: a family that does not exist",
      S(SIGNATURE "\x21\x41\x00\x0c"
                  "abcdefghijkl"),
      PROXY_BAD },
    { "v2: a protocol that does not exist",
      S(SIGNATURE "\x21\x13\x00\x0c"
                  "abcdefghijkl"),
      PROXY_BAD },
    { "v2: another command",
      S(SIGNATURE "\x22\x11\x00\x0c"
                  "abcdefghijkl"),
      PROXY_BAD },
    { "v2: version 1 in the binary form",
      S(SIGNATURE "\x11\x11\x00\x0c"
                  "abcdefghijkl"),
      PROXY_BAD },
    { "v2: version 3",
      S(SIGNATURE "\x31\x11\x00\x0c"
                  "abcdefghijkl"),
      PROXY_BAD },
    { "v2: too short for IPv4",
      S(SIGNATURE "\x21\x11\x00\x0b"
                  "abcdefghijk"),
      PROXY_BAD },
    { "v2: too short for IPv6",
      S(SIGNATURE "\x21\x21\x00\x0c"
                  "abcdefghijkl"),
      PROXY_BAD },
    { "v2: too short for unix", S(SIGNATURE "\x21\x31\x00\xd7" UNIX_PATH UNIX_PATH), PROXY_BAD },
    { "v2: longer than we take", S(SIGNATURE "\x21\x11\x3f\xf1"), PROXY_BAD },
    { "v2: much longer than we take", S(SIGNATURE "\x20\x00\xff\xff"), PROXY_BAD },
    { "v2: the signature is damaged at its end", S("\r\n\r\n\0\r\nQUIT\r"), PROXY_BAD },

    { "neither: an IMAP command", S("a1 CAPABILITY\r\n"), PROXY_BAD },
    { "neither: a TLS handshake", S("\x16\x03\x01\x02\x00\x01"), PROXY_BAD },
    { "neither: an empty line", S("\r\n\r\na"), PROXY_BAD },
    { "nothing yet", S(""), PROXY_MORE },
};

/* Reads a copy of exactly this size, so that a sanitizer sees a read behind its end. */
static enum proxy_result read_copy(struct imapstate_span in, size_t *ret_octets, struct address *ret_source,
                                   struct address *ret_destination)
{
    uint8_t *copy = malloc(in.len ? in.len : 1);
    assert_non_null(copy);
    memcpy(copy, in.at, in.len);
    enum proxy_result result =
        proxy_read((struct imapstate_span){ copy, in.len }, ret_octets, ret_source, ret_destination);
    free(copy);
    return result;
}

static const struct address untouched = { .family = 0xeeee };

static bool is_untouched(const struct address *address)
{
    return memcmp(address, &untouched, sizeof untouched) == 0;
}

TEST(a_header_is_read_to_the_letter)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[ADDRESS_TEXT_MAX];
        struct address source = untouched, destination = untouched;
        size_t octets = 0;
        enum proxy_result got = read_copy(cases[i].in, &octets, &source, &destination);
        CHECK_ROW(cases[i].name, got == cases[i].want);
        CHECK_ROW(cases[i].name, octets == (got == PROXY_OK || got == PROXY_LOCAL ? cases[i].in.len : 0));
        CHECK_ROW(cases[i].name, (got != PROXY_OK) == is_untouched(&source));
        CHECK_ROW(cases[i].name, (got != PROXY_OK) == is_untouched(&destination));
        if (got != PROXY_OK)
            continue;
        CHECK_ROW(cases[i].name, strcmp(address_text_with_port(&source, text), cases[i].source) == 0);
        CHECK_ROW(cases[i].name, strcmp(address_text_with_port(&destination, text), cases[i].destination) == 0);
    }
}

TEST(what_follows_a_header_is_not_part_of_it)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (cases[i].want != PROXY_OK && cases[i].want != PROXY_LOCAL)
            continue;
        static const struct imapstate_span behind[] = { S("a1 NOOP\r\n"), S("\r\n"), S("\n"), S("\0"), S(TCP4) };
        for (size_t j = 0; j < ARRAY_LEN(behind); j++) {
            struct imapstate_buf in;
            struct address source, destination;
            size_t octets = 0;
            imapstate_buf_init(&in, 2048);
            assert_true(imapstate_buf_put(&in, cases[i].in) && imapstate_buf_put(&in, behind[j]));
            CHECK_ROW(cases[i].name,
                      read_copy(imapstate_buf_span(&in), &octets, &source, &destination) == cases[i].want);
            CHECK_ROW(cases[i].name, octets == cases[i].in.len);
            imapstate_buf_done(&in);
        }
    }
}

TEST(a_valid_header_that_is_cut_wants_more)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (cases[i].want != PROXY_OK && cases[i].want != PROXY_LOCAL)
            continue;
        for (size_t len = 0; len < cases[i].in.len; len++) {
            struct address source = untouched, destination = untouched;
            size_t octets = 0;
            struct imapstate_span cut = { cases[i].in.at, len };
            CHECK_ROW(cases[i].name, read_copy(cut, &octets, &source, &destination) == PROXY_MORE);
            CHECK_ROW(cases[i].name, octets == 0 && is_untouched(&source) && is_untouched(&destination));
        }
    }
}

TEST(what_is_bad_never_becomes_a_header_with_more_octets)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bool was_bad = false;
        for (size_t len = 0; len <= cases[i].in.len; len++) {
            struct address source, destination;
            size_t octets;
            struct imapstate_span cut = { cases[i].in.at, len };
            bool is_bad = read_copy(cut, &octets, &source, &destination) == PROXY_BAD;
            CHECK_ROW(cases[i].name, is_bad || !was_bad);
            was_bad = is_bad;
        }
    }
}

/* Whatever is flipped, the result keeps to its contract, and a header is never longer than what there is. */
TEST(a_header_with_a_flipped_bit_is_read_without_harm)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (size_t bit = 0; bit < cases[i].in.len * 8; bit++) {
            uint8_t *flipped = malloc(cases[i].in.len);
            struct address source = untouched, destination = untouched;
            size_t octets = 0;
            assert_non_null(flipped);
            memcpy(flipped, cases[i].in.at, cases[i].in.len);
            flipped[bit / 8] ^= (uint8_t)(1u << bit % 8);
            enum proxy_result got =
                proxy_read((struct imapstate_span){ flipped, cases[i].in.len }, &octets, &source, &destination);
            bool is_header = got == PROXY_OK || got == PROXY_LOCAL;
            CHECK_ROW(cases[i].name, is_header ? octets > 0 && octets <= cases[i].in.len : octets == 0);
            CHECK_ROW(cases[i].name, (got == PROXY_OK) != is_untouched(&source));
            free(flipped);
        }
}

TEST(an_endless_line_is_refused_at_the_limit)
{
    uint8_t line[PROXY_HEADER_MAX];
    struct address source, destination;
    size_t octets;

    memset(line, 'x', sizeof line);
    memcpy(line, "PROXY UNKNOWN ", 14);
    for (size_t len = 1; len <= sizeof line; len++)
        assert_int_equal(read_copy((struct imapstate_span){ line, len }, &octets, &source, &destination),
                         len < 107 ? PROXY_MORE : PROXY_BAD);
}

TEST(the_longest_header_of_version_2_is_taken)
{
    uint8_t header[PROXY_HEADER_MAX] = TCP4;
    struct address source, destination;
    size_t octets = 0;

    header[14] = (sizeof header - 16) >> 8;
    header[15] = (sizeof header - 16) & 0xff;
    assert_int_equal(read_copy((struct imapstate_span){ header, sizeof header - 1 }, &octets, &source, &destination),
                     PROXY_MORE);
    assert_int_equal(read_copy((struct imapstate_span){ header, sizeof header }, &octets, &source, &destination),
                     PROXY_OK);
    assert_int_equal(octets, sizeof header);
}

static const struct address ipv4_a = { AF_INET, 50122, { 192, 0, 2, 7 } };
static const struct address ipv4_b = { AF_INET, 143, { 198, 51, 100, 1 } };
static const struct address ipv6_a = { AF_INET6, 50122, { 0x20, 0x01, 0x0d, 0xb8, [15] = 7 } };
static const struct address ipv6_b = { AF_INET6, 143, { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 } };
static const struct address of_unix = { .family = AF_UNIX };

static const struct {
    const char *name;
    const struct address *source, *destination;
    struct imapstate_span want;
} writes[] = {
    { "IPv4", &ipv4_a, &ipv4_b, S(TCP4) },
    { "IPv6", &ipv6_a, &ipv6_b, S(SIGNATURE "\x21\x21\x00\x24" IP6_A IP6_B "\xc3\xca\x00\x8f") },
    { "unix is told as local", &of_unix, &of_unix, S(SIGNATURE "\x20\x00\x00\x00") },
    { "IPv4 beside IPv6 is mapped", &ipv4_a, &ipv6_b, S(SIGNATURE "\x21\x21\x00\x24" MAPPED IP6_B "\xc3\xca\x00\x8f") },
    { "on either side", &ipv6_a, &ipv4_b,
      S(SIGNATURE "\x21\x21\x00\x24" IP6_A "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc6\x33\x64\x01\xc3\xca\x00\x8f") },
    { "so is a unix client of another", &of_unix, &ipv4_b, S(SIGNATURE "\x20\x00\x00\x00") },
};

TEST(a_client_whose_word_came_by_a_unix_socket_has_been_nowhere_that_is_known)
{
    struct imapstate_buf header;
    imapstate_buf_init(&header, PROXY_HEADER_MAX);
    assert_true(proxy_write(&ipv4_a, &of_unix, &header));
    CHECK_SPAN("IPv4", imapstate_buf_span(&header),
               S(SIGNATURE "\x21\x11\x00\x0c\xc0\x00\x02\x07\x00\x00\x00\x00\xc3\xca\x00\x00"));
    imapstate_buf_clear(&header);
    assert_true(proxy_write(&ipv6_a, &of_unix, &header));
    assert_int_equal(header.len, 16 + 36);
    imapstate_buf_done(&header);
}

TEST(a_header_is_written_as_version_2_and_read_again)
{
    for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
        struct imapstate_buf header;
        struct address source = *writes[i].source, destination = *writes[i].destination;
        bool is_local = writes[i].want.len == 16;
        size_t octets = 0;
        imapstate_buf_init(&header, PROXY_HEADER_MAX);
        CHECK_ROW(writes[i].name, proxy_write(&source, &destination, &header));
        CHECK_SPAN(writes[i].name, imapstate_buf_span(&header), writes[i].want);
        CHECK_ROW(writes[i].name, read_copy(imapstate_buf_span(&header), &octets, &source, &destination) ==
                                      (is_local ? PROXY_LOCAL : PROXY_OK));
        CHECK_ROW(writes[i].name, memcmp(&source, writes[i].source, sizeof source) == 0);
        CHECK_ROW(writes[i].name, memcmp(&destination, writes[i].destination, sizeof destination) == 0);
        imapstate_buf_done(&header);
    }
}

TEST(a_header_that_does_not_fit_is_not_written)
{
    struct imapstate_buf header;
    imapstate_buf_init(&header, 27);
    assert_false(proxy_write(&ipv4_a, &ipv4_b, &header));
    assert_int_equal(header.len, 0);
    imapstate_buf_done(&header);
}

/* Read by what is wanted, no header takes an octet of what is behind it. */
TEST(what_is_wanted_of_a_header_is_never_more_than_is_left_of_it)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t octets = 0, at = 0;
        struct address source, destination;
        if (cases[i].want != PROXY_OK && cases[i].want != PROXY_LOCAL)
            continue;
        while (read_copy((struct imapstate_span){ cases[i].in.at, at }, &octets, &source, &destination) == PROXY_MORE) {
            size_t wanted = proxy_octets_wanted((struct imapstate_span){ cases[i].in.at, at });
            CHECK_ROW(cases[i].name, wanted > 0 && wanted <= cases[i].in.len - at);
            at += wanted;
        }
        CHECK_ROW(cases[i].name, octets == at);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_is_read_to_the_letter),
        cmocka_unit_test(what_follows_a_header_is_not_part_of_it),
        cmocka_unit_test(a_valid_header_that_is_cut_wants_more),
        cmocka_unit_test(what_is_bad_never_becomes_a_header_with_more_octets),
        cmocka_unit_test(a_header_with_a_flipped_bit_is_read_without_harm),
        cmocka_unit_test(an_endless_line_is_refused_at_the_limit),
        cmocka_unit_test(the_longest_header_of_version_2_is_taken),
        cmocka_unit_test(what_is_wanted_of_a_header_is_never_more_than_is_left_of_it),
        cmocka_unit_test(a_client_whose_word_came_by_a_unix_socket_has_been_nowhere_that_is_known),
        cmocka_unit_test(a_header_is_written_as_version_2_and_read_again),
        cmocka_unit_test(a_header_that_does_not_fit_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
