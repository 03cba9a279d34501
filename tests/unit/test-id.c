#include "check.h"

#include "id.h"

#include <stdlib.h>
#include <string.h>

static const struct address client = { AF_INET, 50122, { 192, 0, 2, 7 } }, local = { AF_INET, 993, { 192, 0, 2, 1 } },
                            client6 = { AF_INET6, 1, { 0x20, 0x01, 0x0d, 0xb8, [15] = 7 } },
                            of_unix = { .family = AF_UNIX };

#define ADDRESS                                                                                                        \
    "\"x-originating-ip\" \"192.0.2.7\" \"x-originating-port\" \"50122\" \"x-connected-ip\" \"192.0.2.1\" "            \
    "\"x-connected-port\" \"993\""
#define TTL(left) " \"x-proxy-ttl\" \"" left "\""
#define HOP       ADDRESS " \"x-session-id\" \"own\"" TTL("4")

static const struct {
    const char *name;
    struct imapstate_span in;
    const struct address *source;
    struct imapstate_span want; /* at NULL: IMAPSTATE_SYNTAX */
} rows[] = {
    { "NIL", IMAPSTATE_SPAN("nil"), NULL, IMAPSTATE_SPAN("NIL") },
    { "an empty list", IMAPSTATE_SPAN("()"), NULL, IMAPSTATE_SPAN("NIL") },
    { "the client's own", IMAPSTATE_SPAN("(\"name\" \"mutt\" \"version\" NIL)"), NULL,
      IMAPSTATE_SPAN("(\"name\" \"mutt\" \"version\" NIL)") },
    { "a value that is the word NIL", IMAPSTATE_SPAN("(\"name\" \"NIL\")"), NULL,
      IMAPSTATE_SPAN("(\"name\" \"NIL\")") },
    { "quoting", IMAPSTATE_SPAN("(\"a\\\"b\" \"c\\\\d\")"), NULL, IMAPSTATE_SPAN("(\"a\\\"b\" \"c\\\\d\")") },
    { "literals become quoted", IMAPSTATE_SPAN("({4}\r\nname {4+}\r\nmutt)"), NULL,
      IMAPSTATE_SPAN("(\"name\" \"mutt\")") },
    { "the address alone", IMAPSTATE_SPAN("()"), &client, IMAPSTATE_SPAN("(" HOP ")") },
    { "the address with NIL", IMAPSTATE_SPAN("NIL"), &client, IMAPSTATE_SPAN("(" HOP ")") },
    { "the address before the client's own", IMAPSTATE_SPAN("(\"name\" \"mutt\")"), &client,
      IMAPSTATE_SPAN("(" HOP " \"name\" \"mutt\")") },
    { "IPv6", IMAPSTATE_SPAN("nil"), &client6,
      IMAPSTATE_SPAN(
          "(\"x-originating-ip\" \"2001:db8::7\" \"x-originating-port\" \"1\" \"x-connected-ip\" \"192.0.2.1\" "
          "\"x-connected-port\" \"993\" \"x-session-id\" \"own\"" TTL("4") ")") },
    { "a unix socket has no address", IMAPSTATE_SPAN("NIL"), &of_unix,
      IMAPSTATE_SPAN(
          "(\"x-connected-ip\" \"192.0.2.1\" \"x-connected-port\" \"993\" \"x-session-id\" \"own\"" TTL("4") ")") },
    { "a client that speaks for itself", IMAPSTATE_SPAN("(\"X-Originating-IP\" \"10.0.0.1\" \"name\" \"mutt\")"),
      &client, IMAPSTATE_SPAN("(" HOP " \"name\" \"mutt\")") },
    { "the same where addresses are not passed on",
      IMAPSTATE_SPAN("(\"x-originating-ip\" \"10.0.0.1\" \"x-client-transport\" \"TLS\" \"x-multiplex\" \"0\" "
                     "\"X-VIA\" \"c\" \"x-\" \"1\" x-any NIL)"),
      NULL, IMAPSTATE_SPAN("NIL") },
    { "hidden in a literal", IMAPSTATE_SPAN("({16}\r\nx-originating-ip \"10.0.0.1\")"), NULL, IMAPSTATE_SPAN("NIL") },
    { "only looks like it", IMAPSTATE_SPAN("(\"x\" \"1\" \"ax-session-id\" \"2\" \"\" \"3\" \"xx-a\" \"4\")"), NULL,
      IMAPSTATE_SPAN("(\"x\" \"1\" \"ax-session-id\" \"2\" \"\" \"3\" \"xx-a\" \"4\")") },
    { "a value that begins with nil", IMAPSTATE_SPAN("(\"name\" nilometer)"), NULL,
      IMAPSTATE_SPAN("(\"name\" \"nilometer\")") },
    { "hidden behind a backslash", IMAPSTATE_SPAN("(\"x\\\\-via\" \"a\")"), NULL,
      IMAPSTATE_SPAN("(\"x\\\\-via\" \"a\")") },
    { "hidden behind one that escapes nothing", IMAPSTATE_SPAN("(\"x\\-via\" \"a\")"), NULL, IMAPSTATE_SPAN("NIL") },
    { "nothing at all", IMAPSTATE_SPAN(""), NULL, IMAPSTATE_SPAN("NIL") },
    { "a line end in a value", IMAPSTATE_SPAN("(\"a\" {4}\r\nb\r\nc \"name\" \"mutt\")"), NULL,
      IMAPSTATE_SPAN("(\"name\" \"mutt\")") },
    { "8-bit in a name", IMAPSTATE_SPAN("(\"\xc3\xa4\" \"b\" \"name\" \"mutt\")"), NULL,
      IMAPSTATE_SPAN("(\"name\" \"mutt\")") },
    { "no list", IMAPSTATE_SPAN("\"name\" \"mutt\""), NULL, IMAPSTATE_SPAN("NIL") },
    { "an open list", IMAPSTATE_SPAN("(\"name\" \"mutt\""), NULL, IMAPSTATE_SPAN("NIL") },
    { "an open list of none", IMAPSTATE_SPAN("("), NULL, IMAPSTATE_SPAN("NIL") },
    { "a name without a value", IMAPSTATE_SPAN("(\"name\")"), NULL, IMAPSTATE_SPAN("NIL") },
    { "a name without a value behind others", IMAPSTATE_SPAN("(\"a\" \"b\" \"name\" )"), NULL,
      IMAPSTATE_SPAN("(\"a\" \"b\")") },
    { "two lists", IMAPSTATE_SPAN("() (\"name\" \"mutt\")"), NULL, IMAPSTATE_SPAN("NIL") },
    { "something behind the list", IMAPSTATE_SPAN("(\"a\" \"b\") x"), NULL, IMAPSTATE_SPAN("(\"a\" \"b\")") },
    { "an address behind the list", IMAPSTATE_SPAN("(\"a\" \"b\")(\"x-originating-ip\" \"10.0.0.1\")"), NULL,
      IMAPSTATE_SPAN("(\"a\" \"b\")") },
    { "NIL and more", IMAPSTATE_SPAN("NILx"), NULL, IMAPSTATE_SPAN("NIL") },
    { "NIL and a word", IMAPSTATE_SPAN("NIL x"), NULL, IMAPSTATE_SPAN("NIL") },
    { "spaces before the list", IMAPSTATE_SPAN("  (\"a\" \"b\")"), NULL, IMAPSTATE_SPAN("(\"a\" \"b\")") },
    { "spaces before a name", IMAPSTATE_SPAN("(  \"a\" \"b\")"), NULL, IMAPSTATE_SPAN("(\"a\" \"b\")") },
    { "an SP too many", IMAPSTATE_SPAN("(\"a\"  \"b\")"), NULL, IMAPSTATE_SPAN("(\"a\" \"b\")") },
    { "an SP at the end", IMAPSTATE_SPAN("(\"a\" \"b\" )"), NULL, IMAPSTATE_SPAN("(\"a\" \"b\")") },
    { "none between strings", IMAPSTATE_SPAN("(\"a\"\"b\"\"c\" \"d\")"), NULL,
      IMAPSTATE_SPAN("(\"a\" \"b\" \"c\" \"d\")") },
    { "nothing but spaces", IMAPSTATE_SPAN("(  )"), NULL, IMAPSTATE_SPAN("NIL") },
    { "a list in the list", IMAPSTATE_SPAN("(\"a\" \"b\" \"c\" (\"d\"))"), NULL, IMAPSTATE_SPAN("NIL") },
    { "an atom that is none", IMAPSTATE_SPAN("(\"a\" b%c)"), NULL, IMAPSTATE_SPAN("NIL") },
    { "an escape that need not be", IMAPSTATE_SPAN("(\"n\\ame\" \"mu\\tt\")"), NULL,
      IMAPSTATE_SPAN("(\"name\" \"mutt\")") },
    { "a tab between", IMAPSTATE_SPAN("(\"a\"\t\"b\")"), NULL, IMAPSTATE_SPAN("NIL") },
};

static const struct id_hop *hop_from(const struct address *source, struct id_hop *ret_hop)
{
    *ret_hop = (struct id_hop){ source, &local, "own" };
    return ret_hop;
}

/* What goes up of what a client has said. */
static enum imapstate_error rewrite(struct imapstate_span in, bool is_trusted, const struct address *source,
                                    struct imapstate_buf *ret_arguments)
{
    struct id_hop hop;
    struct id *said = id_new();
    enum imapstate_error error = id_read(in, is_trusted, said);
    if (error == IMAPSTATE_OK && !id_write(said, hop_from(source, &hop), ret_arguments))
        error = IMAPSTATE_NO_MEMORY;
    id_free(said);
    return error;
}

TEST(an_id_says_who_the_client_is_and_what_it_said)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct imapstate_buf got;
        imapstate_buf_init(&got, ID_MAX);
        enum imapstate_error error = rewrite(rows[i].in, false, rows[i].source, &got);
        CHECK_ROW(rows[i].name, error == IMAPSTATE_OK);
        CHECK_SPAN(rows[i].name, imapstate_buf_span(&got), rows[i].want);
        imapstate_buf_done(&got);
    }
}

TEST(the_id_of_a_client_that_has_said_nothing_has_its_address)
{
    struct imapstate_buf got;
    imapstate_buf_init(&got, ID_MAX);
    struct id_hop hop;
    assert_true(id_write(NULL, hop_from(&client, &hop), &got));
    CHECK_SPAN("address", imapstate_buf_span(&got), IMAPSTATE_SPAN("(" HOP ")"));
    imapstate_buf_clear(&got);
    assert_true(id_write(NULL, hop_from(NULL, &hop), &got));
    CHECK_SPAN("nothing", imapstate_buf_span(&got), IMAPSTATE_SPAN("NIL"));
    imapstate_buf_clear(&got);
    assert_true(id_write(NULL, NULL, &got));
    CHECK_SPAN("nothing", imapstate_buf_span(&got), IMAPSTATE_SPAN("NIL"));
    imapstate_buf_done(&got);
}

/* A list of so many pairs, of octets as long as told, escaped ones if is_escaped. */
static struct imapstate_buf list_of(unsigned pairs, unsigned field, unsigned value, bool is_escaped)
{
    struct imapstate_buf list;
    imapstate_buf_init(&list, 8 * ID_MAX);
    for (unsigned i = 0; i < pairs; i++) {
        assert_true(imapstate_buf_printf(&list, i == 0 ? "(\"" : " \""));
        for (unsigned j = 0; j < field; j++)
            assert_true(imapstate_buf_put(&list, is_escaped ? IMAPSTATE_SPAN("\\\\") : IMAPSTATE_SPAN("f")));
        assert_true(imapstate_buf_put(&list, IMAPSTATE_SPAN("\" \"")));
        for (unsigned j = 0; j < value; j++)
            assert_true(imapstate_buf_put(&list, is_escaped ? IMAPSTATE_SPAN("\\\"") : IMAPSTATE_SPAN("v")));
        assert_true(imapstate_buf_put_byte(&list, '"'));
    }
    assert_true(imapstate_buf_put_byte(&list, ')'));
    return list;
}

static const struct {
    const char *name;
    unsigned pairs, field, value;
    bool is_escaped, is_legal;
} limits[] = {
    { "as much as the RFC allows", 30, 30, 1024, false, true },
    { "all of it escaped", 30, 30, 1024, true, true },
    { "a pair too many", 31, 1, 1, false, false },
    { "a field too long", 1, 31, 1, false, false },
    { "a field too long, escaped", 1, 31, 1, true, false },
    { "a value too long", 1, 1, 1025, false, false },
    { "a value too long in the last pair", 30, 30, 1025, false, false },
};

TEST(the_limits_are_those_of_the_rfc_for_both_sides)
{
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        struct imapstate_buf list = list_of(limits[i].pairs, limits[i].field, limits[i].value, limits[i].is_escaped);
        struct imapstate_buf got, response;
        imapstate_buf_init(&got, ID_MAX);
        imapstate_buf_init(&response, 9 * ID_MAX);
        CHECK_ROW(limits[i].name, rewrite(imapstate_buf_span(&list), false, NULL, &got) == IMAPSTATE_OK);
        CHECK_ROW(limits[i].name,
                  imapstate_span_equal(imapstate_buf_span(&got), imapstate_buf_span(&list)) == limits[i].is_legal);
        imapstate_buf_clear(&got);
        assert_true(imapstate_buf_put(&response, IMAPSTATE_SPAN("* ID ")) &&
                    imapstate_buf_put(&response, imapstate_buf_span(&list)) &&
                    imapstate_buf_put(&response, IMAPSTATE_SPAN("\r\n")));
        CHECK_ROW(limits[i].name,
                  (id_read_answer(imapstate_buf_span(&response), &got) == IMAPSTATE_OK) == limits[i].is_legal);
        CHECK_ROW(limits[i].name,
                  imapstate_span_equal(imapstate_buf_span(&got), imapstate_buf_span(&list)) == limits[i].is_legal);
        imapstate_buf_done(&got);
        imapstate_buf_done(&response);
        imapstate_buf_done(&list);
    }
}

TEST(the_last_of_the_clients_own_give_way_to_its_address)
{
    struct imapstate_buf list = list_of(30, 1, 1, false), want = list_of(24, 1, 1, false), got;
    imapstate_buf_init(&got, ID_MAX);
    assert_int_equal(rewrite(imapstate_buf_span(&list), false, &client, &got), IMAPSTATE_OK);
    struct imapstate_span address = IMAPSTATE_SPAN("(" HOP " ");
    assert_memory_equal(got.at, address.at, address.len);
    CHECK_SPAN("24 of 30", ((struct imapstate_span){ got.at + address.len, got.len - address.len }),
               ((struct imapstate_span){ want.at + 1, want.len - 1 }));
    imapstate_buf_done(&list);
    imapstate_buf_done(&want);
    imapstate_buf_done(&got);
}

static const struct {
    const char *name;
    struct imapstate_span in;
    const char *source, *destination; /* with port; NULL: not said */
    const char *wrong;
    struct imapstate_span up; /* with the address of the connection, where those are passed on */
    bool is_looping;
} trusted[] = {
    { "the user's address", IMAPSTATE_SPAN("(\"x-originating-ip\" \"198.51.100.9\")"), "198.51.100.9:0", NULL, NULL,
      IMAPSTATE_SPAN("(" HOP ")"), false },
    { "all of it, in any order and case",
      IMAPSTATE_SPAN("(\"x-connected-port\" \"993\" \"X-ORIGINATING-PORT\" \"7\" \"name\" \"w\" "
                     "x-originating-ip 2001:db8::9 \"x-connected-ip\" \"2001:db8::1\")"),
      "[2001:db8::9]:7", "[2001:db8::1]:993", NULL, IMAPSTATE_SPAN("(" HOP " \"name\" \"w\")"), false },
    { "a mapped address", IMAPSTATE_SPAN("(x-originating-ip ::ffff:198.51.100.9)"), "198.51.100.9:0", NULL, NULL,
      IMAPSTATE_SPAN("(" HOP ")"), false },
    { "a port alone is nobody's", IMAPSTATE_SPAN("(x-originating-port 7)"), NULL, NULL, NULL,
      IMAPSTATE_SPAN("(" HOP ")"), false },
    { "NIL says nothing", IMAPSTATE_SPAN("(x-originating-ip NIL x-proxy-ttl NIL)"), NULL, NULL, NULL,
      IMAPSTATE_SPAN("(" HOP ")"), false },
    { "the session", IMAPSTATE_SPAN("(x-session-ext-id e name w x-session-id s x-proxy-ttl 5)"), NULL, NULL, NULL,
      IMAPSTATE_SPAN("(" ADDRESS TTL("4") " \"x-session-ext-id\" \"e\" \"x-session-id\" \"s\" \"name\" \"w\")"),
      false },
    { "the last hop", IMAPSTATE_SPAN("(x-proxy-ttl 1)"), NULL, NULL, NULL,
      IMAPSTATE_SPAN("(" ADDRESS " \"x-session-id\" \"own\"" TTL("0") ")"), true },
    { "none left", IMAPSTATE_SPAN("(x-proxy-ttl 0)"), NULL, NULL, NULL,
      IMAPSTATE_SPAN("(" ADDRESS " \"x-session-id\" \"own\"" TTL("0") ")"), true },
    { "what else begins so is nobody's to say",
      IMAPSTATE_SPAN("(x-multiplex 0 x-forward-a b X-VIA c x-client-transport TLS)"), NULL, NULL, NULL,
      IMAPSTATE_SPAN("(" HOP ")"), false },
    { "no address", IMAPSTATE_SPAN("(x-originating-ip unknown)"), NULL, NULL, "x-originating-ip", { 0 }, false },
    { "an empty one", IMAPSTATE_SPAN("(x-originating-ip \"\")"), NULL, NULL, "x-originating-ip", { 0 }, false },
    { "two",
      IMAPSTATE_SPAN("(x-originating-ip \"192.0.2.1, 192.0.2.2\")"),
      NULL,
      NULL,
      "x-originating-ip",
      { 0 },
      false },
    { "one with its port",
      IMAPSTATE_SPAN("(x-originating-ip \"192.0.2.1:7\")"),
      NULL,
      NULL,
      "x-originating-ip",
      { 0 },
      false },
    { "one in brackets", IMAPSTATE_SPAN("(x-connected-ip \"[::1]\")"), NULL, NULL, "x-connected-ip", { 0 }, false },
    { "a port out of range",
      IMAPSTATE_SPAN("(x-originating-port 65536)"),
      NULL,
      NULL,
      "x-originating-port",
      { 0 },
      false },
    { "a port that is a word",
      IMAPSTATE_SPAN("(x-connected-port imap)"),
      NULL,
      NULL,
      "x-connected-port",
      { 0 },
      false },
    { "hops that are none", IMAPSTATE_SPAN("(x-proxy-ttl \"-1\")"), NULL, NULL, "x-proxy-ttl", { 0 }, false },
};

static void check_address(const char *name, const struct address *got, const char *want)
{
    char text[ADDRESS_TEXT_MAX];
    CHECK_ROW(name, (got->family == AF_UNSPEC) == !want);
    CHECK_ROW(name, !want || strcmp(address_text_with_port(got, text), want) == 0);
}

TEST(a_trusted_client_is_heard_and_nobody_else)
{
    for (size_t i = 0; i < ARRAY_LEN(trusted); i++) {
        struct id_hop hop;
        struct id *said = id_new(), *unheard = id_new();
        struct imapstate_buf up;
        imapstate_buf_init(&up, ID_MAX);
        bool is_read = id_read(trusted[i].in, true, said) == IMAPSTATE_OK;
        CHECK_ROW(trusted[i].name, is_read == !trusted[i].wrong);
        CHECK_ROW(trusted[i].name, is_read ? !said->wrong : strcmp(said->wrong, trusted[i].wrong) == 0);
        if (is_read) {
            check_address(trusted[i].name, &said->source, trusted[i].source);
            check_address(trusted[i].name, &said->destination, trusted[i].destination);
            CHECK_ROW(trusted[i].name, id_is_looping(said) == trusted[i].is_looping);
            CHECK_ROW(trusted[i].name, id_write(said, hop_from(&client, &hop), &up));
            CHECK_SPAN(trusted[i].name, imapstate_buf_span(&up), trusted[i].up);
        }
        CHECK_ROW(trusted[i].name, id_read(trusted[i].in, false, unheard) == IMAPSTATE_OK);
        CHECK_ROW(trusted[i].name, unheard->source.family == AF_UNSPEC && unheard->destination.family == AF_UNSPEC);
        CHECK_ROW(trusted[i].name, unheard->session.count == 0 && !unheard->wrong);
        id_free(said);
        id_free(unheard);
        imapstate_buf_done(&up);
    }
}

static const struct {
    const char *name;
    struct imapstate_span in, up;
} hops[] = {
    { "one less", IMAPSTATE_SPAN("(x-proxy-ttl 3)"), IMAPSTATE_SPAN("(\"x-proxy-ttl\" \"2\")") },
    { "in any case", IMAPSTATE_SPAN("(X-Proxy-TTL 3)"), IMAPSTATE_SPAN("(\"x-proxy-ttl\" \"2\")") },
    { "nobody makes the way longer", IMAPSTATE_SPAN("(x-proxy-ttl 65535)"), IMAPSTATE_SPAN("(\"x-proxy-ttl\" \"4\")") },
    { "before the client's own", IMAPSTATE_SPAN("(name w x-proxy-ttl 2)"),
      IMAPSTATE_SPAN("(\"x-proxy-ttl\" \"1\" \"name\" \"w\")") },
    { "the last one", IMAPSTATE_SPAN("(x-proxy-ttl 1)"), IMAPSTATE_SPAN("(\"x-proxy-ttl\" \"0\")") },
    { "no number", IMAPSTATE_SPAN("(x-proxy-ttl many)"), IMAPSTATE_SPAN("NIL") },
    { "NIL", IMAPSTATE_SPAN("(x-proxy-ttl NIL)"), IMAPSTATE_SPAN("NIL") },
    { "in what is no ID", IMAPSTATE_SPAN("(x-proxy-ttl 3"), IMAPSTATE_SPAN("NIL") },
};

TEST(who_has_said_how_many_hops_are_left_makes_the_way_shorter_whoever_it_is)
{
    for (size_t i = 0; i < ARRAY_LEN(hops); i++) {
        struct imapstate_buf up;
        imapstate_buf_init(&up, ID_MAX);
        CHECK_ROW(hops[i].name, rewrite(hops[i].in, false, NULL, &up) == IMAPSTATE_OK);
        CHECK_SPAN(hops[i].name, imapstate_buf_span(&up), hops[i].up);
        imapstate_buf_done(&up);
    }
}

TEST(what_is_said_after_the_login_is_no_hop)
{
    struct imapstate_buf up;
    struct id *said = id_new();
    imapstate_buf_init(&up, ID_MAX);
    assert_int_equal(id_read(IMAPSTATE_SPAN("(x-proxy-ttl 3 name w)"), false, said), IMAPSTATE_OK);
    assert_true(id_write(said, NULL, &up));
    CHECK_SPAN("the client's own", imapstate_buf_span(&up), IMAPSTATE_SPAN("(\"name\" \"w\")"));
    id_free(said);
    imapstate_buf_done(&up);
}

TEST(what_a_trusted_client_says_of_the_session_goes_where_addresses_go)
{
    struct imapstate_buf up;
    imapstate_buf_init(&up, ID_MAX);
    assert_int_equal(rewrite(IMAPSTATE_SPAN("(x-session-id s name w)"), true, NULL, &up), IMAPSTATE_OK);
    CHECK_SPAN("not passed on", imapstate_buf_span(&up), IMAPSTATE_SPAN("(\"name\" \"w\")"));
    imapstate_buf_done(&up);
}

static const struct {
    const char *name;
    struct imapstate_span in, want; /* want.at NULL: none */
} answers[] = {
    { "an answer", IMAPSTATE_SPAN("* ID (\"name\" \"Dovecot\")\r\n"), IMAPSTATE_SPAN("(\"name\" \"Dovecot\")") },
    { "in any case", IMAPSTATE_SPAN("* id (\"name\" nil)\r\n"), IMAPSTATE_SPAN("(\"name\" NIL)") },
    { "NIL", IMAPSTATE_SPAN("* ID NIL\r\n"), IMAPSTATE_SPAN("NIL") },
    { "an empty list", IMAPSTATE_SPAN("* ID ()\r\n"), IMAPSTATE_SPAN("NIL") },
    { "LF alone", IMAPSTATE_SPAN("* ID (\"a\" \"b\")\n"), IMAPSTATE_SPAN("(\"a\" \"b\")") },
    { "literals become quoted", IMAPSTATE_SPAN("* ID (\"name\" {7}\r\nDovecot {3}\r\nver {3}\r\n2.3)\r\n"),
      IMAPSTATE_SPAN("(\"name\" \"Dovecot\" \"ver\" \"2.3\")") },
    { "a literal that would be a line of its own",
      IMAPSTATE_SPAN("* ID (\"a\" {13}\r\n)\r\n* BYE no\r\n \"name\" \"x\")\r\n"), IMAPSTATE_SPAN("(\"name\" \"x\")") },
    { "8-bit", IMAPSTATE_SPAN("* ID (\"vendor\" \"\xc3\xa4\" \"name\" \"x\")\r\n"),
      IMAPSTATE_SPAN("(\"name\" \"x\")") },
    { "its beginning", IMAPSTATE_SPAN("* ID (\"name\" {7}\r\n"), { 0 } },
    { "more behind it", IMAPSTATE_SPAN("* ID (\"name\" \"x\") (\r\n"), { 0 } },
    { "a list in it", IMAPSTATE_SPAN("* ID (\"name\" (\"x\"))\r\n"), { 0 } },
    { "a name without a value", IMAPSTATE_SPAN("* ID (\"name\")\r\n"), { 0 } },
    { "nothing", IMAPSTATE_SPAN("* ID \r\n"), { 0 } },
    { "not even that", IMAPSTATE_SPAN("* ID\r\n"), { 0 } },
    { "another response", IMAPSTATE_SPAN("* IDLE NIL\r\n"), { 0 } },
    { "a tagged one", IMAPSTATE_SPAN("a ID NIL\r\n"), { 0 } },
    { "two in one", IMAPSTATE_SPAN("* ID NIL\r\n* ID NIL\r\n"), { 0 } },
};

TEST(an_answer_is_read_whole_and_written_anew)
{
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct imapstate_buf got;
        imapstate_buf_init(&got, ID_MAX);
        enum imapstate_error error = id_read_answer(answers[i].in, &got);
        CHECK_ROW(answers[i].name, (error == IMAPSTATE_OK) == (answers[i].want.at != NULL));
        CHECK_SPAN(answers[i].name, imapstate_buf_span(&got), answers[i].want);
        imapstate_buf_done(&got);
    }
}

TEST(an_answer_cut_anywhere_is_none)
{
    for (size_t i = 0; i < ARRAY_LEN(answers); i++)
        for (size_t cut = 0; cut + 2 < answers[i].in.len; cut++) {
            struct imapstate_buf got;
            imapstate_buf_init(&got, ID_MAX);
            CHECK_ROW(answers[i].name,
                      id_read_answer((struct imapstate_span){ answers[i].in.at, cut }, &got) != IMAPSTATE_OK ||
                          (cut > 0 && answers[i].in.at[cut - 1] == '\n' && !answers[i].want.at));
            CHECK_ROW(answers[i].name, got.len == 0 || !answers[i].want.at);
            imapstate_buf_done(&got);
        }
}

TEST(what_does_not_fit_is_not_cut)
{
    struct imapstate_buf small;
    imapstate_buf_init(&small, 4);
    assert_int_equal(id_read_answer(IMAPSTATE_SPAN("* ID (a b)\r\n"), &small), IMAPSTATE_NO_MEMORY);
    assert_int_equal(small.len, 0);
    assert_int_equal(rewrite(IMAPSTATE_SPAN("(a b)"), false, NULL, &small), IMAPSTATE_NO_MEMORY);
    assert_int_equal(small.len, 0);
    assert_int_equal(rewrite(IMAPSTATE_SPAN("NIL"), false, NULL, &small), IMAPSTATE_OK);
    imapstate_buf_done(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_says_who_the_client_is_and_what_it_said),
        cmocka_unit_test(the_id_of_a_client_that_has_said_nothing_has_its_address),
        cmocka_unit_test(the_limits_are_those_of_the_rfc_for_both_sides),
        cmocka_unit_test(the_last_of_the_clients_own_give_way_to_its_address),
        cmocka_unit_test(a_trusted_client_is_heard_and_nobody_else),
        cmocka_unit_test(who_has_said_how_many_hops_are_left_makes_the_way_shorter_whoever_it_is),
        cmocka_unit_test(what_is_said_after_the_login_is_no_hop),
        cmocka_unit_test(what_a_trusted_client_says_of_the_session_goes_where_addresses_go),
        cmocka_unit_test(an_answer_is_read_whole_and_written_anew),
        cmocka_unit_test(an_answer_cut_anywhere_is_none),
        cmocka_unit_test(what_does_not_fit_is_not_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
