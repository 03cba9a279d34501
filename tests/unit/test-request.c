#include "check.h"

#include "request.h"

#include <imapstate/token.h>

#include <stdlib.h>
#include <string.h>

/* Feeds octets as a client sends them, each piece cut after `cut` octets of what is there, until the request is
 * complete; says "+" where it is owed. Gives how many "+" that were, or -1 if it never completes. */
static int feed(struct request *request, struct imapstate_span in, size_t cut)
{
    struct imapstate_frame frame;
    imapstate_frame_init(&frame, IMAPSTATE_FRAME_COMMANDS);
    int goes = 0;
    size_t seen = cut < in.len ? cut : in.len;
    while (request->phase != REQUEST_COMPLETE) {
        struct imapstate_piece piece;
        struct imapstate_span there = { in.at, seen };
        enum imapstate_frame_result result = imapstate_frame_next(&frame, there, &piece);
        if (result == IMAPSTATE_FRAME_MORE && seen < in.len) {
            seen++;
            continue;
        }
        if (result != IMAPSTATE_FRAME_LINE && result != IMAPSTATE_FRAME_LITERAL)
            return -1;
        if (piece.begins) {
            struct imapstate_command_line line;
            imapstate_command_parse(piece.octets, &line);
            request_begin(request, line.command, &piece, NULL);
        } else {
            request_add(request, &piece);
        }
        in.at += piece.octets.len;
        in.len -= piece.octets.len;
        seen = seen > piece.octets.len ? seen - piece.octets.len : 0;
        if (request->phase == REQUEST_OWES_GO) {
            imapstate_frame_literal_go(&frame);
            goes++;
        }
    }
    return goes;
}

static const struct {
    const char *name;
    struct imapstate_span in, tag, arguments;
    int goes;
    bool has_arguments;
} requests[] = {
    { "a command alone", IMAPSTATE_SPAN("a1 NOOP\r\n"), IMAPSTATE_SPAN("a1"), IMAPSTATE_SPAN(""), 0, false },
    { "a bare LF", IMAPSTATE_SPAN("a1 NOOP\n"), IMAPSTATE_SPAN("a1"), IMAPSTATE_SPAN(""), 0, false },
    { "an SP too many", IMAPSTATE_SPAN("a1 NOOP \r\n"), IMAPSTATE_SPAN("a1"), IMAPSTATE_SPAN(""), 0, true },
    { "an argument", IMAPSTATE_SPAN("a1 STATE token\r\n"), IMAPSTATE_SPAN("a1"), IMAPSTATE_SPAN("token"), 0, true },
    { "an argument before a bare LF", IMAPSTATE_SPAN("a1 STATE token\n"), IMAPSTATE_SPAN("a1"), IMAPSTATE_SPAN("token"),
      0, true },
    { "arguments that end in SP", IMAPSTATE_SPAN("a1 STATE t \r\n"), IMAPSTATE_SPAN("a1"), IMAPSTATE_SPAN("t "), 0,
      true },
    { "a synchronizing literal", IMAPSTATE_SPAN("a1 STATE {5}\r\ntoken\r\n"), IMAPSTATE_SPAN("a1"),
      IMAPSTATE_SPAN("{5}\r\ntoken"), 1, true },
    { "a literal that comes unasked", IMAPSTATE_SPAN("a1 STATE {5+}\r\ntoken\r\n"), IMAPSTATE_SPAN("a1"),
      IMAPSTATE_SPAN("{5+}\r\ntoken"), 0, true },
    { "two literals", IMAPSTATE_SPAN("a LOGIN {3}\r\nann {2+}\r\n\r\n\r\n"), IMAPSTATE_SPAN("a"),
      IMAPSTATE_SPAN("{3}\r\nann {2+}\r\n\r\n"), 1, true },
    { "a literal of nothing", IMAPSTATE_SPAN("a STATE {0}\r\n\r\n"), IMAPSTATE_SPAN("a"), IMAPSTATE_SPAN("{0}\r\n"), 1,
      true },
    { "a line end in a literal is none", IMAPSTATE_SPAN("a STATE {4}\r\n\r\n\r\n\r\n"), IMAPSTATE_SPAN("a"),
      IMAPSTATE_SPAN("{4}\r\n\r\n\r\n"), 1, true },
    { "no tag", IMAPSTATE_SPAN("\r\n"), IMAPSTATE_SPAN("*"), IMAPSTATE_SPAN(""), 0, false },
    { "a tag that no answer could carry", IMAPSTATE_SPAN("+ STATE x\r\n"), IMAPSTATE_SPAN("*"), IMAPSTATE_SPAN(""), 0,
      false },
};

TEST(a_request_is_the_same_however_its_octets_arrive)
{
    for (size_t i = 0; i < ARRAY_LEN(requests); i++)
        for (size_t cut = 0; cut <= requests[i].in.len; cut++) {
            struct request request;
            request_init(&request);
            CHECK_ROW(requests[i].name, feed(&request, requests[i].in, cut) == requests[i].goes);
            CHECK_ROW(requests[i].name, request.complaint == NULL);
            CHECK_SPAN(requests[i].name, request_tag(&request), requests[i].tag);
            CHECK_SPAN(requests[i].name, request_arguments(&request), requests[i].arguments);
            CHECK_ROW(requests[i].name, request_has_arguments(&request) == requests[i].has_arguments);
            request_done(&request);
        }
}

static const struct {
    const char *name, *command;
    size_t octets;
    bool is_synchronizing, is_refused;
} literals[] = {
    { "as large as may be", "LOGIN", REQUEST_LITERAL_MAX, true, false },
    { "one too many, asked for", "LOGIN", REQUEST_LITERAL_MAX + 1, true, true },
    { "one too many, unasked", "LOGIN", REQUEST_LITERAL_MAX + 1, false, true },
    { "P2: a token as long as may be", "STATE", IMAPSTATE_TOKEN_MAX, true, false },
    { "P2: a token too long, asked for", "STATE", IMAPSTATE_TOKEN_MAX + 1, true, true },
    { "P2: a token too long, unasked", "STATE", IMAPSTATE_TOKEN_MAX + 1, false, true },
};

TEST(a_literal_that_is_too_large_is_refused_or_swallowed)
{
    for (size_t i = 0; i < ARRAY_LEN(literals); i++) {
        struct imapstate_buf in;
        struct request request;
        imapstate_buf_init(&in, REQUEST_MAX);
        request_init(&request);
        assert_true(imapstate_buf_printf(&in, "a %s {%zu%s}\r\n", literals[i].command, literals[i].octets,
                                         literals[i].is_synchronizing ? "" : "+"));
        for (size_t octet = 0; octet < literals[i].octets; octet++)
            assert_true(imapstate_buf_put_byte(&in, 'x'));
        assert_true(imapstate_buf_put(&in, IMAPSTATE_SPAN("\r\n")));
        int goes = feed(&request, imapstate_buf_span(&in), SIZE_MAX);
        CHECK_ROW(literals[i].name, (request.complaint != NULL) == literals[i].is_refused);
        /* No "+" for what is refused: then the literal does not come at all. */
        CHECK_ROW(literals[i].name, goes == (literals[i].is_synchronizing && !literals[i].is_refused));
        CHECK_ROW(literals[i].name, request.octets.len < 100 || !literals[i].is_refused);
        CHECK_SPAN(literals[i].name, request_tag(&request), IMAPSTATE_SPAN("a"));
        request_done(&request);
        imapstate_buf_done(&in);
    }
}

TEST(a_request_of_many_literals_has_a_limit_too)
{
    struct imapstate_buf in;
    struct request request;
    imapstate_buf_init(&in, 8 * REQUEST_LITERAL_MAX);
    request_init(&request);
    assert_true(imapstate_buf_put(&in, IMAPSTATE_SPAN("a LOGIN")));
    for (int i = 0; i < 5; i++) {
        assert_true(imapstate_buf_printf(&in, " {%u+}\r\n", REQUEST_LITERAL_MAX));
        for (size_t octet = 0; octet < REQUEST_LITERAL_MAX; octet++)
            assert_true(imapstate_buf_put_byte(&in, 'x'));
    }
    assert_true(imapstate_buf_put(&in, IMAPSTATE_SPAN("\r\n")));
    assert_int_equal(feed(&request, imapstate_buf_span(&in), SIZE_MAX), 0);
    assert_string_equal(request.complaint, "BAD Command is too large.");
    assert_true(request.octets.len <= REQUEST_MAX);
    request_done(&request);
    imapstate_buf_done(&in);
}

TEST(what_has_a_complaint_ends_at_its_first_line_if_a_literal_has_to_be_asked_for)
{
    static const struct {
        const char *name;
        struct imapstate_span line;
        bool is_complete;
    } lines[] = {
        { "no literal", IMAPSTATE_SPAN("a X\r\n"), true },
        { "asked for", IMAPSTATE_SPAN("a X {5}\r\n"), true },
        { "unasked", IMAPSTATE_SPAN("a X {5+}\r\n"), false },
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct imapstate_frame frame;
        struct imapstate_piece piece;
        struct request request;
        imapstate_frame_init(&frame, IMAPSTATE_FRAME_COMMANDS);
        request_init(&request);
        assert_int_equal(imapstate_frame_next(&frame, lines[i].line, &piece), IMAPSTATE_FRAME_LINE);
        request_begin(&request, imapstate_command_find(IMAPSTATE_SPAN("X")), &piece, "BAD no.");
        CHECK_ROW(lines[i].name, (request.phase == REQUEST_COMPLETE) == lines[i].is_complete);
        assert_string_equal(request.complaint, "BAD no.");
        request_done(&request);
    }
}

TEST(a_request_that_is_done_begins_again)
{
    struct request request;
    request_init(&request);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(request.phase, REQUEST_NONE);
        assert_int_equal(feed(&request, IMAPSTATE_SPAN("a STATE {5}\r\ntoken\r\n"), 0), 1);
        assert_int_equal(request.phase, REQUEST_COMPLETE);
        request_done(&request);
        assert_int_equal(request.octets.len, 0);
        assert_null(request.octets.at);
    }
}

TEST(of_a_line_that_is_too_long_only_the_tag_is_kept)
{
    static const struct {
        const char *name, *head, *tail;
        struct imapstate_span tag;
        struct imapstate_span rest; /* behind it, a command */
    } rows[] = {
        { "a line", "a1 FETCH ", "\r\n", IMAPSTATE_SPAN("a1"), IMAPSTATE_SPAN("b NOOP\r\n") },
        { "a literal behind it", "a1 FETCH ", " {3+}\r\nabc\r\n", IMAPSTATE_SPAN("a1"), IMAPSTATE_SPAN("b NOOP\r\n") },
        { "a literal that is asked for", "a1 FETCH ", " {3}\r\n", IMAPSTATE_SPAN("a1"), IMAPSTATE_SPAN("b NOOP\r\n") },
        { "a tag without end", "a1FETCH", "\r\n", IMAPSTATE_SPAN("*"), IMAPSTATE_SPAN("b NOOP\r\n") },
        { "a tag that is none", "a+1 FETCH", "\r\n", IMAPSTATE_SPAN("*"), IMAPSTATE_SPAN("b NOOP\r\n") },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct imapstate_buf in;
        struct imapstate_frame frame;
        struct request request;
        imapstate_buf_init(&in, 1 << 20);
        assert_true(imapstate_buf_put(&in, imapstate_span_of(rows[i].head)));
        while (in.len < 300000)
            assert_true(imapstate_buf_put_byte(&in, 'x'));
        assert_true(imapstate_buf_put(&in, imapstate_span_of(rows[i].tail)) && imapstate_buf_put(&in, rows[i].rest));
        imapstate_frame_init(&frame, IMAPSTATE_FRAME_COMMANDS);
        request_init(&request);
        struct imapstate_span left = imapstate_buf_span(&in);
        while (request.phase != REQUEST_COMPLETE) {
            struct imapstate_piece piece;
            struct imapstate_span there = { left.at, left.len < 65537 ? left.len : 65537 };
            enum imapstate_frame_result result = imapstate_frame_next(&frame, there, &piece);
            assert_true(result == IMAPSTATE_FRAME_LINE || result == IMAPSTATE_FRAME_LITERAL);
            if (request.phase == REQUEST_NONE)
                request_begin(&request, imapstate_command_find(IMAPSTATE_SPAN("FETCH")), &piece,
                              request_to_refused(piece.refused));
            else
                request_add(&request, &piece);
            left.at += piece.octets.len;
            left.len -= piece.octets.len;
        }
        CHECK_ROW(rows[i].name, strcmp(request.complaint, request_to_refused(IMAPSTATE_LINE_TOO_LONG)) == 0);
        CHECK_ROW(rows[i].name, request.octets.len < 16);
        CHECK_SPAN(rows[i].name, request_tag(&request), rows[i].tag);
        CHECK_SPAN(rows[i].name, left, rows[i].rest);
        request_done(&request);
        imapstate_buf_done(&in);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_the_same_however_its_octets_arrive),
        cmocka_unit_test(a_literal_that_is_too_large_is_refused_or_swallowed),
        cmocka_unit_test(a_request_of_many_literals_has_a_limit_too),
        cmocka_unit_test(what_has_a_complaint_ends_at_its_first_line_if_a_literal_has_to_be_asked_for),
        cmocka_unit_test(a_request_that_is_done_begins_again),
        cmocka_unit_test(of_a_line_that_is_too_long_only_the_tag_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
