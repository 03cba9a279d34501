/* A command that the gateway collects: alike however its octets are cut; what it kept is what came; tag and arguments
 * lie within it. */
#include "fuzz.h"

#include "request.h"

#include <string.h>

/* Feeds the first command as the gateway does. False: there is no whole command in it that begins with a tag and name.
 */
static bool request_feed(struct request *request, const uint8_t *at, size_t len, size_t cut, size_t *ret_octets)
{
    struct imapstate_frame frame;
    size_t from = 0;
    bool is_begun = false;
    imapstate_frame_init(&frame, IMAPSTATE_FRAME_COMMANDS);
    while (from < len) {
        struct imapstate_piece piece;
        size_t to = from < cut ? cut : len;
        enum imapstate_frame_result result =
            imapstate_frame_next(&frame, (struct imapstate_span){ at + from, to - from }, &piece);
        if (result == IMAPSTATE_FRAME_BAD || (result == IMAPSTATE_FRAME_MORE && to == len))
            return false;
        if (result == IMAPSTATE_FRAME_MORE) {
            cut = len; /* a line that is not whole stays in the buffer until it is */
            continue;
        }
        from += piece.octets.len;
        struct imapstate_command_line line;
        if (is_begun)
            request_add(request, &piece);
        else if (imapstate_command_parse(piece.octets, &line) == IMAPSTATE_OK)
            request_begin(request, line.command, &piece, NULL);
        else
            return false;
        is_begun = true;
        if (request->phase == REQUEST_OWES_GO)
            imapstate_frame_literal_go(&frame);
        if (request->phase == REQUEST_COMPLETE) {
            *ret_octets = from;
            return true;
        }
    }
    return false;
}

static void check_parts(const struct request *request, const uint8_t *at, size_t octets)
{
    CHECK(imapstate_span_equal(imapstate_buf_span(&request->octets), (struct imapstate_span){ at, octets }));
    const uint8_t *end = request->octets.at + request->octets.len;
    struct imapstate_span tag = request_tag(request), arguments = request_arguments(request);
    CHECK(tag.len > 0 && tag.at == request->octets.at && tag.at + tag.len < end);
    CHECK(arguments.at >= tag.at + tag.len && arguments.at + arguments.len <= end);
    CHECK(arguments.len == 0 || request_has_arguments(request));
    CHECK(arguments.len == 0 || arguments.at[-1] == ' ');
}

static void check(const uint8_t *at, size_t len, size_t cut_at)
{
    struct request whole, cut;
    size_t whole_octets = 0, cut_octets = 0;
    request_init(&whole);
    request_init(&cut);
    bool is_whole = request_feed(&whole, at, len, 0, &whole_octets);
    bool is_cut = request_feed(&cut, at, len, cut_at, &cut_octets);
    CHECK(is_whole == is_cut && whole_octets == cut_octets);
    if (is_whole && !whole.complaint)
        check_parts(&whole, at, whole_octets);
    CHECK(whole.complaint == cut.complaint);
    request_done(&whole);
    request_done(&cut);
}

/* The last octet chooses where the input is cut. */
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    static const struct imapstate_span begins[] = {
        IMAPSTATE_SPAN(""),
        IMAPSTATE_SPAN("a STATE "),
        IMAPSTATE_SPAN("a STATE {3}\r\n"),
        IMAPSTATE_SPAN("a ID (\"x\" "),
        IMAPSTATE_SPAN("a LOGIN {3+}\r\n"),
        IMAPSTATE_SPAN("a LOGIN u {2}\r\n"),
    };
    if (len < 2)
        return 0;
    struct imapstate_buf in = FUZZ_BEGIN(begins, at, len - 1);
    if (in.len > 0)
        check(in.at, in.len, at[len - 1] % in.len);
    imapstate_buf_done(&in);
    return 0;
}
