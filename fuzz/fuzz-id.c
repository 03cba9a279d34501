/* What ID says. The arguments of a client's: what goes to the upstream is an ID again, in quoted strings of ASCII,
 * gives itself when it is written once more, and the client never speaks for its own address. An upstream's answer: the
 * same, and not a line end of it is left. */
#include "fuzz.h"

#include "id.h"

#include <string.h>

static const struct address source = { AF_INET, 50122, { 192, 0, 2, 7 } };
static const struct address destination = { AF_INET, 143, { 192, 0, 2, 1 } };

static void check_octets(struct imapstate_span arguments)
{
    CHECK(arguments.len <= ID_MAX);
    for (size_t i = 0; i < arguments.len; i++)
        CHECK(arguments.at[i] >= 0x01 && arguments.at[i] < 0x80 && arguments.at[i] != '\r' && arguments.at[i] != '\n');
}

/* Reads and writes. False: they are no arguments. */
static bool write_again(struct imapstate_span arguments, bool is_trusted, const struct address *from,
                        struct imapstate_buf *ret_arguments)
{
    struct id *said = id_new();
    CHECK(said);
    struct id_hop hop = { from, &destination, "own" };
    bool is_read = id_read(arguments, is_trusted, said) == IMAPSTATE_OK;
    if (is_read)
        CHECK(id_write(said, from ? &hop : NULL, ret_arguments));
    CHECK(is_trusted || (said->source.family == AF_UNSPEC && said->session.count == 0));
    CHECK(said->own.count <= ID_PAIRS_MAX && said->session.count <= ID_PAIRS_MAX);
    id_free(said);
    return is_read;
}

/* Whatever is said by anybody begins with no "x-": as a field it would stand behind "(" or between pairs. */
static void check_reserved(struct imapstate_span said)
{
    static const struct imapstate_span reserved = IMAPSTATE_SPAN("(\"x-");
    CHECK(said.len < reserved.len ||
          !imapstate_span_equal_nocase((struct imapstate_span){ said.at, reserved.len }, reserved));
}

static void check_again(struct imapstate_span said)
{
    struct imapstate_buf again;
    imapstate_buf_init(&again, ID_MAX);
    CHECK(write_again(said, false, NULL, &again));
    CHECK(imapstate_span_equal(imapstate_buf_span(&again), said));
    imapstate_buf_done(&again);
}

static void check_client(struct imapstate_span client)
{
    struct imapstate_buf said, addressed;
    imapstate_buf_init(&said, ID_MAX);
    imapstate_buf_init(&addressed, ID_MAX);
    if (write_again(client, false, NULL, &said)) {
        check_octets(imapstate_buf_span(&said));
        check_reserved(imapstate_buf_span(&said));
        check_again(imapstate_buf_span(&said));
        CHECK(write_again(client, false, &source, &addressed));
        check_octets(imapstate_buf_span(&addressed));
        imapstate_buf_clear(&addressed);
        if (write_again(client, true, &source, &addressed))
            check_octets(imapstate_buf_span(&addressed));
    }
    imapstate_buf_done(&said);
    imapstate_buf_done(&addressed);
}

static void check_answer(struct imapstate_span response)
{
    struct imapstate_buf read, again, line;
    imapstate_buf_init(&read, ID_MAX);
    imapstate_buf_init(&again, ID_MAX);
    imapstate_buf_init(&line, ID_MAX + 16);
    if (id_read_answer(response, &read) == IMAPSTATE_OK) {
        check_octets(imapstate_buf_span(&read));
        CHECK(imapstate_buf_put(&line, IMAPSTATE_SPAN("* ID ")) &&
              imapstate_buf_put(&line, imapstate_buf_span(&read)) && imapstate_buf_put(&line, IMAPSTATE_SPAN("\r\n")));
        CHECK(id_read_answer(imapstate_buf_span(&line), &again) == IMAPSTATE_OK);
        CHECK(imapstate_span_equal(imapstate_buf_span(&again), imapstate_buf_span(&read)));
    } else {
        CHECK(read.len == 0);
    }
    imapstate_buf_done(&read);
    imapstate_buf_done(&again);
    imapstate_buf_done(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    static const struct imapstate_span begins[] = {
        IMAPSTATE_SPAN(""),
        IMAPSTATE_SPAN("(\"name\" "),
        IMAPSTATE_SPAN("(\"x-"),
        IMAPSTATE_SPAN("(\"x-connected-"),
        IMAPSTATE_SPAN("({16}\r\nx-originating-ip NIL "),
        IMAPSTATE_SPAN("* ID ("),
        IMAPSTATE_SPAN("* ID (\"name\" {3}\r\n"),
    };
    if (len == 0)
        return 0;
    struct imapstate_buf in = FUZZ_BEGIN(begins, at, len);
    check_client(imapstate_buf_span(&in));
    check_answer(imapstate_buf_span(&in));
    imapstate_buf_done(&in);
    return 0;
}
