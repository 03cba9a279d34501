/* A PROXY header: cutting it wants more, what follows changes nothing, and what was read can be written and read again.
 */
#include "fuzz.h"

#include "proxy.h"

#include <string.h>

struct reading {
    enum proxy_result result;
    size_t octets;
    struct address source, destination;
};

/* Reads a copy of exactly this size, so that the sanitizer sees a read behind its end. */
static struct reading read_copy(const uint8_t *at, size_t len)
{
    struct reading reading = { .octets = 0 };
    uint8_t *copy = malloc(len ? len : 1);

    CHECK(copy != NULL);
    if (len > 0)
        memcpy(copy, at, len);
    reading.result =
        proxy_read((struct imapstate_span){ copy, len }, &reading.octets, &reading.source, &reading.destination);
    free(copy);
    return reading;
}

static bool readings_equal(const struct reading *a, const struct reading *b)
{
    return a->result == b->result && a->octets == b->octets && memcmp(&a->source, &b->source, sizeof a->source) == 0 &&
           memcmp(&a->destination, &b->destination, sizeof a->destination) == 0;
}

static void check_written(const struct reading *reading)
{
    bool is_told = reading->source.family != AF_UNIX;
    struct imapstate_buf header;

    imapstate_buf_init(&header, PROXY_HEADER_MAX);
    CHECK(proxy_write(&reading->source, &reading->destination, &header));
    struct reading again = read_copy(header.at, header.len);
    CHECK(again.result == (is_told ? PROXY_OK : PROXY_LOCAL) && again.octets == header.len);
    if (is_told) {
        again.octets = reading->octets;
        CHECK(readings_equal(&again, reading));
    }
    imapstate_buf_done(&header);
}

static void check_header(const uint8_t *at, size_t len, const struct reading *reading)
{
    CHECK(reading->octets > 0 && reading->octets <= len && reading->octets <= PROXY_HEADER_MAX);
    for (size_t cut = 0; cut < reading->octets; cut++)
        CHECK(read_copy(at, cut).result == PROXY_MORE);
    struct reading alone = read_copy(at, reading->octets);
    CHECK(readings_equal(&alone, reading));
    if (reading->result == PROXY_OK)
        check_written(reading);
}

static void check(const uint8_t *at, size_t len)
{
    struct reading reading = read_copy(at, len);
    struct address none = { 0 };

    if (reading.result == PROXY_OK || reading.result == PROXY_LOCAL)
        check_header(at, len, &reading);
    else
        CHECK(reading.octets == 0);
    if (reading.result != PROXY_OK)
        CHECK(memcmp(&reading.source, &none, sizeof none) == 0);
    if (reading.result == PROXY_MORE)
        CHECK(len < PROXY_HEADER_MAX);
    if (reading.result != PROXY_BAD)
        for (size_t cut = 0; cut < len && cut < PROXY_HEADER_MAX; cut++)
            CHECK(read_copy(at, cut).result != PROXY_BAD);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    static const struct imapstate_span begins[] = {
        IMAPSTATE_SPAN(""),
        IMAPSTATE_SPAN("PROXY TCP4 "),
        IMAPSTATE_SPAN("PROXY TCP6 ::"),
        IMAPSTATE_SPAN("\r\n\r\n\0\r\nQUIT\n\x21"),
        IMAPSTATE_SPAN("\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c"),
        IMAPSTATE_SPAN("\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x24"),
    };

    if (len == 0)
        return 0;
    struct imapstate_buf in = FUZZ_BEGIN(begins, at, len);
    check(in.at, in.len);
    imapstate_buf_done(&in);
    return 0;
}
