#include "check.h"

#include "introduction.h"

#include <stdlib.h>
#include <string.h>

static const struct address client = { AF_INET, 50122, { 192, 0, 2, 7 } }, local = { AF_INET, 993, { 192, 0, 2, 1 } },
                            client6 = { AF_INET6, 1, { 0x20, 0x01, 0x0d, 0xb8, [15] = 7 } },
                            of_unix = { .family = AF_UNIX };

#define ADDRESS                                                                                                        \
    "\"x-originating-ip\" \"192.0.2.7\" \"x-originating-port\" \"50122\" \"x-connected-ip\" \"192.0.2.1\" "            \
    "\"x-connected-port\" \"993\""

static const struct {
    const char *name;
    struct imapstate_span in;
    const struct address *source;
    struct imapstate_span want; /* at NULL: IMAPSTATE_SYNTAX */
} rows[] = {
    { "nothing", IMAPSTATE_SPAN(""), NULL, IMAPSTATE_SPAN("NIL") },
    { "NIL", IMAPSTATE_SPAN("nil"), NULL, IMAPSTATE_SPAN("NIL") },
    { "an empty list", IMAPSTATE_SPAN("()"), NULL, IMAPSTATE_SPAN("NIL") },
    { "the client's own", IMAPSTATE_SPAN("(\"name\" \"mutt\" \"version\" NIL)"), NULL,
      IMAPSTATE_SPAN("(\"name\" \"mutt\" \"version\" NIL)") },
    { "a value that is the word NIL", IMAPSTATE_SPAN("(\"name\" \"NIL\")"), NULL,
      IMAPSTATE_SPAN("(\"name\" \"NIL\")") },
    { "quoting", IMAPSTATE_SPAN("(\"a\\\"b\" \"c\\\\d\")"), NULL, IMAPSTATE_SPAN("(\"a\\\"b\" \"c\\\\d\")") },
    { "literals become quoted", IMAPSTATE_SPAN("({4}\r\nname {4+}\r\nmutt)"), NULL,
      IMAPSTATE_SPAN("(\"name\" \"mutt\")") },
    { "the address alone", IMAPSTATE_SPAN(""), &client, IMAPSTATE_SPAN("(" ADDRESS ")") },
    { "the address with NIL", IMAPSTATE_SPAN("NIL"), &client, IMAPSTATE_SPAN("(" ADDRESS ")") },
    { "the address before the client's own", IMAPSTATE_SPAN("(\"name\" \"mutt\")"), &client,
      IMAPSTATE_SPAN("(" ADDRESS " \"name\" \"mutt\")") },
    { "IPv6", IMAPSTATE_SPAN(""), &client6,
      IMAPSTATE_SPAN(
          "(\"x-originating-ip\" \"2001:db8::7\" \"x-originating-port\" \"1\" \"x-connected-ip\" \"192.0.2.1\" "
          "\"x-connected-port\" \"993\")") },
    { "a unix socket has no address", IMAPSTATE_SPAN(""), &of_unix,
      IMAPSTATE_SPAN("(\"x-connected-ip\" \"192.0.2.1\" \"x-connected-port\" \"993\")") },
    { "a client that speaks for itself", IMAPSTATE_SPAN("(\"X-Originating-IP\" \"10.0.0.1\" \"name\" \"mutt\")"),
      &client, IMAPSTATE_SPAN("(" ADDRESS " \"name\" \"mutt\")") },
    { "the same where addresses are not passed on",
      IMAPSTATE_SPAN(
          "(\"x-originating-ip\" \"10.0.0.1\" \"x-connected-port\" \"1\" \"x-forward-a\" \"b\" \"x-session-id\" "
          "\"c\" \"x-proxy-ttl\" \"1\")"),
      NULL, IMAPSTATE_SPAN("NIL") },
    { "hidden in a literal", IMAPSTATE_SPAN("({16}\r\nx-originating-ip \"10.0.0.1\")"), NULL, IMAPSTATE_SPAN("NIL") },
    { "hidden behind a backslash", IMAPSTATE_SPAN("(\"x-ori\\\\ginating-ip\" \"a\")"), NULL,
      IMAPSTATE_SPAN("(\"x-ori\\\\ginating-ip\" \"a\")") },
    { "only looks like it", IMAPSTATE_SPAN("(\"x-proxy-ttl2\" \"1\" \"ax-session-id\" \"2\")"), NULL,
      IMAPSTATE_SPAN("(\"x-proxy-ttl2\" \"1\" \"ax-session-id\" \"2\")") },
    { "a line end in a value", IMAPSTATE_SPAN("(\"a\" {4}\r\nb\r\nc \"name\" \"mutt\")"), NULL,
      IMAPSTATE_SPAN("(\"name\" \"mutt\")") },
    { "8-bit in a name", IMAPSTATE_SPAN("(\"\xc3\xa4\" \"b\" \"name\" \"mutt\")"), NULL,
      IMAPSTATE_SPAN("(\"name\" \"mutt\")") },
    { "no list", IMAPSTATE_SPAN("\"name\" \"mutt\""), NULL, { 0 } },
    { "an open list", IMAPSTATE_SPAN("(\"name\" \"mutt\""), NULL, { 0 } },
    { "a name without a value", IMAPSTATE_SPAN("(\"name\")"), NULL, { 0 } },
    { "two lists", IMAPSTATE_SPAN("() ()"), NULL, { 0 } },
    { "something behind the list", IMAPSTATE_SPAN("(\"a\" \"b\") x"), NULL, { 0 } },
    { "NIL and more", IMAPSTATE_SPAN("NILx"), NULL, { 0 } },
    { "an SP too many", IMAPSTATE_SPAN("(\"a\"  \"b\")"), NULL, { 0 } },
    { "an SP at the end", IMAPSTATE_SPAN("(\"a\" \"b\" )"), NULL, { 0 } },
};

TEST(an_introduction_says_who_the_client_is_and_what_it_said)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct imapstate_buf got;
        imapstate_buf_init(&got, INTRODUCTION_MAX);
        enum imapstate_error error = introduction_write(rows[i].in, rows[i].source, &local, &got);
        CHECK_ROW(rows[i].name, error == (rows[i].want.at ? IMAPSTATE_OK : IMAPSTATE_SYNTAX));
        CHECK_SPAN(rows[i].name, imapstate_buf_span(&got), rows[i].want);
        imapstate_buf_done(&got);
    }
}

/* A pair as long as told. */
static enum imapstate_error write_long(size_t octets, struct imapstate_buf *ret_arguments)
{
    struct imapstate_buf in;
    imapstate_buf_init(&in, 2 * INTRODUCTION_MAX);
    assert_true(imapstate_buf_put(&in, IMAPSTATE_SPAN("(\"a\" \"")));
    for (size_t i = 0; i < octets; i++)
        assert_true(imapstate_buf_put_byte(&in, 'x'));
    assert_true(imapstate_buf_put(&in, IMAPSTATE_SPAN("\")")));
    enum imapstate_error error = introduction_write(imapstate_buf_span(&in), NULL, NULL, ret_arguments);
    imapstate_buf_done(&in);
    return error;
}

TEST(what_does_not_fit_is_not_cut)
{
    struct imapstate_buf got, small;
    size_t fits = INTRODUCTION_MAX - strlen("(\"a\" \"\")");
    imapstate_buf_init(&got, INTRODUCTION_MAX);
    imapstate_buf_init(&small, 4);
    assert_int_equal(write_long(fits, &got), IMAPSTATE_OK);
    assert_int_equal(got.len, INTRODUCTION_MAX);
    imapstate_buf_clear(&got);
    assert_int_equal(write_long(fits + 1, &got), IMAPSTATE_NO_MEMORY);
    assert_int_equal(got.len, 0);
    assert_int_equal(write_long(4, &small), IMAPSTATE_NO_MEMORY);
    assert_int_equal(introduction_write(IMAPSTATE_SPAN("NIL"), NULL, NULL, &small), IMAPSTATE_OK);
    imapstate_buf_done(&got);
    imapstate_buf_done(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_introduction_says_who_the_client_is_and_what_it_said),
        cmocka_unit_test(what_does_not_fit_is_not_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
