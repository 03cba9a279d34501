/* The arguments of a client's ID: what goes to the upstream is an ID again, in quoted strings of ASCII, gives itself
 * when it is written once more, and the client never speaks for its own address. */
#include "fuzz.h"

#include "introduction.h"

#include <string.h>

static const struct address source = { AF_INET, 50122, { 192, 0, 2, 7 } };
static const struct address destination = { AF_INET, 143, { 192, 0, 2, 1 } };

static void check_octets(struct imapstate_span arguments)
{
    CHECK(arguments.len <= INTRODUCTION_MAX);
    for (size_t i = 0; i < arguments.len; i++)
        CHECK(arguments.at[i] >= 0x01 && arguments.at[i] < 0x80 && arguments.at[i] != '\r' && arguments.at[i] != '\n');
}

/* Only the gateway says such names. */
static void check_reserved(struct imapstate_span said)
{
    static const struct imapstate_span reserved[] = {
        IMAPSTATE_SPAN("(\"x-originating-"), IMAPSTATE_SPAN("(\"x-connected-"),   IMAPSTATE_SPAN("(\"x-forward-"),
        IMAPSTATE_SPAN("(\"x-session-"),     IMAPSTATE_SPAN("(\"x-proxy-ttl\" "),
    };
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
        CHECK(said.len < reserved[i].len ||
              !imapstate_span_equal_nocase((struct imapstate_span){ said.at, reserved[i].len }, reserved[i]));
}

static void check_again(struct imapstate_span said)
{
    struct imapstate_buf again;
    imapstate_buf_init(&again, INTRODUCTION_MAX);
    CHECK(introduction_write(said, NULL, NULL, &again) == IMAPSTATE_OK);
    CHECK(imapstate_span_equal(imapstate_buf_span(&again), said));
    imapstate_buf_done(&again);
}

/* With the address, the client's part is what it is without. */
static void check_addressed(struct imapstate_span client, struct imapstate_span said)
{
    static const struct imapstate_span address =
        IMAPSTATE_SPAN("(\"x-originating-ip\" \"192.0.2.7\" \"x-originating-port\" \"50122\" "
                       "\"x-connected-ip\" \"192.0.2.1\" \"x-connected-port\" \"143\"");
    struct imapstate_buf full;
    imapstate_buf_init(&full, INTRODUCTION_MAX);
    enum imapstate_error error = introduction_write(client, &source, &destination, &full);
    CHECK(error == IMAPSTATE_OK || (error == IMAPSTATE_NO_MEMORY && said.len + address.len > INTRODUCTION_MAX));
    if (error == IMAPSTATE_OK) {
        CHECK(full.len > address.len && memcmp(full.at, address.at, address.len) == 0);
        struct imapstate_span rest = { full.at + address.len, full.len - address.len };
        bool is_nil = imapstate_span_equal(said, IMAPSTATE_SPAN("NIL"));
        CHECK(is_nil ? imapstate_span_equal(rest, IMAPSTATE_SPAN(")"))
                     : rest.at[0] == ' ' && imapstate_span_equal((struct imapstate_span){ rest.at + 1, rest.len - 1 },
                                                                 (struct imapstate_span){ said.at + 1, said.len - 1 }));
    }
    imapstate_buf_done(&full);
}

static void check(struct imapstate_span client)
{
    struct imapstate_buf said;
    imapstate_buf_init(&said, INTRODUCTION_MAX);
    if (introduction_write(client, NULL, NULL, &said) == IMAPSTATE_OK) {
        struct imapstate_span span = imapstate_buf_span(&said);
        check_octets(span);
        check_reserved(span);
        check_again(span);
        check_addressed(client, span);
    } else {
        CHECK(said.len == 0);
    }
    imapstate_buf_done(&said);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    static const struct imapstate_span begins[] = {
        IMAPSTATE_SPAN(""),
        IMAPSTATE_SPAN("(\"name\" "),
        IMAPSTATE_SPAN("(\"x-"),
        IMAPSTATE_SPAN("(\"x-connected-"),
        IMAPSTATE_SPAN("({16}\r\nx-originating-ip NIL "),
    };
    if (len == 0)
        return 0;
    struct imapstate_buf in = FUZZ_BEGIN(begins, at, len);
    check(imapstate_buf_span(&in));
    imapstate_buf_done(&in);
    return 0;
}
