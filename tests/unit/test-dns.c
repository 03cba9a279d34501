#include "check.h"

#include <ares.h>
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dns.h"
#include "loop.h"
#include "resolver.h"

/* A name server on the loop itself. What it says to a question is in the row that is being looked at. */
enum say { SAY_NOTHING, SAY_ADDRESS, SAY_TWO, SAY_NO_DATA, SAY_NO_NAME, SAY_FAILURE, SAY_ODD_CODE, SAY_CUT };

static struct {
    int fd;
    struct event event;
    enum say ipv6, ipv4;
    const char *known; /* any other name does not exist; NULL: all are known */
    size_t cut;        /* SAY_CUT: octets of the answer that are sent */
    unsigned questions;
    char first[512]; /* the name that was asked for first */
} server;

static struct loop loop;
static unsigned moves;
static int timeout_ms; /* 0: as it is */

/* --- the server --- */

/* The name of a question, as text; gives the octets that it takes. */
static size_t read_name(const uint8_t *at, char *ret_name)
{
    size_t len = 0, taken = 0;
    while (at[taken]) {
        memcpy(ret_name + len, at + taken + 1, at[taken]);
        len += at[taken];
        ret_name[len++] = '.';
        taken += at[taken] + 1u;
    }
    ret_name[len ? len - 1 : 0] = '\0';
    return taken + 1;
}

/* Behind the question, of which the name is pointed to. */
static size_t put_address(uint8_t *at, bool is_ipv6, uint8_t last)
{
    const uint8_t head[] = { 0xc0, 12, 0, is_ipv6 ? 28 : 1, 0, 1, 0, 0, 0, 60, 0, is_ipv6 ? 16 : 4 };
    const uint8_t ipv6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = last }, ipv4[4] = { 192, 0, 2, last };
    memcpy(at, head, sizeof head);
    memcpy(at + sizeof head, is_ipv6 ? ipv6 : ipv4, is_ipv6 ? 16 : 4);
    return sizeof head + (is_ipv6 ? 16 : 4);
}

static size_t answer(uint8_t *octets, size_t question_len, bool is_ipv6, enum say say)
{
    size_t len = question_len;
    unsigned count = say == SAY_TWO ? 2 : say == SAY_ADDRESS || say == SAY_CUT;
    octets[2] = 0x81;
    octets[3] = say == SAY_NO_NAME ? 0x83 : say == SAY_FAILURE ? 0x82 : say == SAY_ODD_CODE ? 0x8b : 0x80;
    octets[7] = (uint8_t)count;
    octets[9] = octets[11] = 0; /* nothing else, EDNS neither */
    for (unsigned i = 0; i < count; i++)
        len += put_address(octets + len, is_ipv6, (uint8_t)(i + 1));
    return say == SAY_CUT && server.cut < len ? server.cut : len;
}

static void on_question(evutil_socket_t fd, short what, void *arg)
{
    uint8_t octets[2048];
    char name[512];
    struct sockaddr_in from;
    socklen_t from_len = sizeof from;
    ssize_t len = recvfrom(fd, octets, 512, 0, (struct sockaddr *)&from, &from_len);
    if (len < 17)
        return;
    size_t name_len = read_name(octets + 12, name);
    if (server.questions++ == 0)
        memcpy(server.first, name, sizeof name);
    bool is_ipv6 = octets[12 + name_len + 1] == 28;
    enum say say = server.known && strcmp(name, server.known) != 0 ? SAY_NO_NAME : is_ipv6 ? server.ipv6 : server.ipv4;
    if (say != SAY_NOTHING)
        sendto(fd, octets, answer(octets, 12 + name_len + 4, is_ipv6, say), 0, (struct sockaddr *)&from, from_len);
}

/* --- c-ares asks it, whatever resolv.conf says --- */

int __real_ares_init_options(ares_channel *channel, struct ares_options *options, int mask);
int __wrap_ares_init_options(ares_channel *channel, struct ares_options *options, int mask);

int __wrap_ares_init_options(ares_channel *channel, struct ares_options *options, int mask)
{
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    char csv[32];
    if (timeout_ms > 0)
        options->timeout = timeout_ms;
    options->domains = (char *[]){ (char[]){ "example.test" } };
    options->ndomains = 1;
    options->ndots = 1;
    int status = __real_ares_init_options(channel, options, mask | ARES_OPT_DOMAINS | ARES_OPT_NDOTS);
    getsockname(server.fd, (struct sockaddr *)&address, &len);
    snprintf(csv, sizeof csv, "127.0.0.1:%u", ntohs(address.sin_port));
    return status == ARES_SUCCESS ? ares_set_servers_ports_csv(*channel, csv) : status;
}

/* --- who asks --- */

static void on_told(struct loop *told)
{
    loop_break(told);
}

static void on_moved(const char *name)
{
    moves += strcmp(name, "m.example") == 0;
}

static struct resolver_addresses found;

/* Turns until there is an answer. */
static enum resolver_result look_up(const char *name)
{
    struct resolver_wait wait = { 0 };
    enum resolver_result result;
    while ((result = resolver_look_up(name, 143, &wait, loop_now_ms(&loop), &found)) == RESOLVER_ASKED)
        assert_true(loop_run(&loop));
    return result;
}

static bool has(int family, const char *text)
{
    char got[INET6_ADDRSTRLEN];
    for (unsigned i = 0; i < found.count; i++)
        if (found.addresses[i].family == family &&
            strcmp(inet_ntop(family, found.addresses[i].octets, got, sizeof got), text) == 0)
            return true;
    return false;
}

static const struct {
    const char *name, *host;
    enum say ipv6, ipv4;
    const char *known;
    unsigned count; /* of addresses; 0: it is UNKNOWN */
    bool has_ipv6, has_ipv4;
    const char *first; /* asked for; NULL: the name as it is */
} rows[] = {
    { "both families", "a.example", SAY_ADDRESS, SAY_TWO, NULL, 3, true, true },
    { "IPv4 alone", "b.example", SAY_NO_DATA, SAY_ADDRESS, NULL, 1, false, true },
    { "IPv6 alone", "c.example", SAY_ADDRESS, SAY_NO_DATA, NULL, 1, true, false },
    { "one family fails", "d.example", SAY_FAILURE, SAY_ADDRESS, NULL, 1, false, true },
    { "never an answer for AAAA", "e.example", SAY_NOTHING, SAY_ADDRESS, NULL, 1, false, true },
    { "no address", "f.example", SAY_NO_DATA, SAY_NO_DATA, NULL, 0, false, false },
    { "no name", "g.example", SAY_NO_NAME, SAY_NO_NAME, NULL, 0, false, false },
    { "a server that fails", "h.example", SAY_FAILURE, SAY_FAILURE, NULL, 0, false, false },
    { "a code that nobody knows", "i.example", SAY_ODD_CODE, SAY_ODD_CODE, NULL, 0, false, false },
    { "completed by a domain", "host", SAY_ADDRESS, SAY_ADDRESS, "host.example.test", 2, true, true,
      "host.example.test" },
    { "as it is, behind the domain", "alone", SAY_ADDRESS, SAY_ADDRESS, "alone", 2, true, true, "alone.example.test" },
    { "with a dot, first as it is", "j.example", SAY_ADDRESS, SAY_ADDRESS, "j.example", 2, true, true },
    { "then completed", "k.sub", SAY_ADDRESS, SAY_ADDRESS, "k.sub.example.test", 2, true, true },
    { "a whole name is not completed", "l.", SAY_ADDRESS, SAY_ADDRESS, "l.example.test", 0, false, false, "l" },
    { "the hosts file alone", "localhost", SAY_FAILURE, SAY_FAILURE, NULL, 1, false, false },
};

TEST(a_name_has_the_addresses_that_the_server_tells)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        server.ipv6 = rows[i].ipv6, server.ipv4 = rows[i].ipv4, server.known = rows[i].known;
        server.questions = 0;
        enum resolver_result want = rows[i].count > 0 ? RESOLVER_KNOWN : RESOLVER_UNKNOWN;
        CHECK_ROW(rows[i].name, look_up(rows[i].host) == want);
        CHECK_ROW(rows[i].name, want == RESOLVER_KNOWN || (found.why && *found.why));
        if (strcmp(rows[i].host, "localhost") == 0) {
            CHECK_ROW(rows[i].name, server.questions == 0 && has(AF_INET, "127.0.0.1"));
            continue;
        }
        CHECK_ROW(rows[i].name, strcmp(server.first, rows[i].first ? rows[i].first : rows[i].host) == 0);
        CHECK_ROW(rows[i].name, want == RESOLVER_UNKNOWN || found.count == rows[i].count);
        CHECK_ROW(rows[i].name, want == RESOLVER_UNKNOWN || has(AF_INET6, "2001:db8::1") == rows[i].has_ipv6);
        CHECK_ROW(rows[i].name, want == RESOLVER_UNKNOWN || has(AF_INET, "192.0.2.1") == rows[i].has_ipv4);
    }
}

TEST(an_address_that_a_name_has_no_more_is_told)
{
    server.known = NULL;
    server.ipv6 = SAY_NO_DATA, server.ipv4 = SAY_TWO;
    assert_int_equal(look_up("m.example"), RESOLVER_KNOWN);
    assert_int_equal(found.count, 2);
    moves = 0;
    server.ipv4 = SAY_ADDRESS;
    resolver_renew(loop_now_ms(&loop));
    while (moves == 0)
        assert_true(loop_run(&loop));
    assert_int_equal(look_up("m.example"), RESOLVER_KNOWN);
    assert_int_equal(found.count, 1);
    assert_int_equal(moves, 1);
}

static bool is_wanted_no_more(const void *arg, const char *name)
{
    return false;
}

TEST(an_answer_that_is_cut_anywhere_gives_no_other_address)
{
    server.known = NULL;
    server.ipv6 = SAY_NO_DATA, server.ipv4 = SAY_CUT;
    /* Whatever comes of it is right, but for another address. */
    timeout_ms = 5;
    resolver_configure(is_wanted_no_more, NULL);
    resolver_renew(loop_now_ms(&loop));
    for (server.cut = 1; server.cut < 60; server.cut++) {
        char name[32];
        snprintf(name, sizeof name, "n%zu.example", server.cut);
        bool is_known = look_up(name) == RESOLVER_KNOWN;
        assert_true(!is_known || (found.count == 1 && has(AF_INET, "192.0.2.1")));
    }
}

static struct dns *dns;

static int begin(void **state)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    server.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (server.fd < 0 || bind(server.fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        !loop_init(&loop, 0, on_told))
        return -1;
    event_assign(&server.event, loop.base, server.fd, EV_READ | EV_PERSIST, on_question, NULL);
    event_add(&server.event, NULL);
    dns = dns_new(&loop, on_moved);
    return dns ? 0 : -1;
}

static int end(void **state)
{
    dns_free(dns);
    dns_free(NULL);
    event_del(&server.event);
    close(server.fd);
    resolver_done();
    loop_done(&loop);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_has_the_addresses_that_the_server_tells),
        cmocka_unit_test(an_address_that_a_name_has_no_more_is_told),
        cmocka_unit_test(an_answer_that_is_cut_anywhere_gives_no_other_address),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
