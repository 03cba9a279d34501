/* A stream without a socket: on a bare loop, its descriptor a wire. What is true of streams on sockets is in
 * test-stream.c; here it is that nothing but the socket is missing. */
#include "check.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "compression.h"
#include "loop.h"
#include "stream.h"
#include "wire.h"

static struct loop loop;

struct end {
    struct stream stream;
    struct wire *wire;
    struct imapstate_buf heard;
    char order[32]; /* C S I D E G X, in the order in which they were told */
};

static void end_on_stream(void *owner, enum stream_event event)
{
    struct end *end = owner;
    size_t len = strlen(end->order);
    if (len + 1 < sizeof end->order && (len == 0 || end->order[len - 1] != "CSIDEGX"[event]))
        end->order[len] = "CSIDEGX"[event];
    if (event != STREAM_INPUT)
        return;
    struct imapstate_span in = stream_input(&end->stream);
    assert_true(imapstate_buf_put(&end->heard, in));
    stream_consume(&end->stream, in.len);
}

static void end_init(struct end *end, struct wire *wire)
{
    *end = (struct end){ .wire = wire };
    imapstate_buf_init(&end->heard, 1u << 20);
    stream_init(&end->stream, &loop, wire ? wire->fd : -1, end_on_stream, end);
}

static void end_open(struct end *end)
{
    end_init(end, wire_new());
    stream_start(&end->stream);
}

static void end_done(struct end *end)
{
    stream_done(&end->stream);
    imapstate_buf_done(&end->heard);
}

static void turn(void)
{
    for (int turns = 0; loop_pass(&loop, 0); turns++)
        assert_true(turns < 1000);
}

static int begin(void **state)
{
    wires_begin();
    loop_init_bare(&loop, 0, NULL);
    loop.watches.is_ready = wire_is_ready;
    return 0;
}

static int end(void **state)
{
    unsigned left = wires_count();
    loop_done(&loop);
    wires_end();
    return left == 0 ? 0 : -1;
}

#define SAID "a1 NOOP\r\na2 NOOP\r\n"

TEST(what_is_fed_arrives_in_the_next_turn_in_whatever_pieces)
{
    for (size_t cut = 0; cut < sizeof SAID; cut++)
        for (size_t piece = 0; piece < 3; piece++) {
            struct end end;
            end_open(&end);
            end.wire->piece = piece;
            wire_feed(end.wire, (struct imapstate_span){ (const uint8_t *)SAID, cut });
            assert_string_equal(end.order, "");
            turn();
            assert_int_equal(end.heard.len, cut);
            wire_feed(end.wire, (struct imapstate_span){ (const uint8_t *)SAID + cut, sizeof SAID - 1 - cut });
            turn();
            CHECK_SPAN("pieces", imapstate_buf_span(&end.heard), IMAPSTATE_SPAN(SAID));
            assert_int_equal(end.stream.in_octets, sizeof SAID - 1);
            end_done(&end);
        }
}

TEST(the_end_is_told_behind_what_was_fed_and_a_reset_at_once)
{
    struct end end;
    end_open(&end);
    wire_feed(end.wire, IMAPSTATE_SPAN(SAID));
    wire_end(end.wire);
    turn();
    assert_string_equal(end.order, "IE");
    end_done(&end);
    end_open(&end);
    wire_feed(end.wire, IMAPSTATE_SPAN(SAID));
    wire_reset(end.wire);
    assert_string_equal(end.order, "");
    turn();
    assert_string_equal(end.order, "X");
    assert_string_equal(stream_failure(&end.stream), "Connection reset by peer");
    end_done(&end);
}

TEST(who_is_paused_is_not_told_until_it_goes_on)
{
    struct end end;
    end_open(&end);
    stream_pause(&end.stream);
    wire_feed(end.wire, IMAPSTATE_SPAN(SAID));
    turn();
    assert_string_equal(end.order, "");
    stream_resume(&end.stream);
    assert_string_equal(end.order, "");
    turn();
    assert_string_equal(end.order, "I");
    end_done(&end);
}

TEST(a_reader_that_is_slow_holds_the_writer_up)
{
    static uint8_t much[STREAM_OUT_HIGH + 1];
    struct end end;
    end_open(&end);
    end.wire->room = 10;
    assert_true(stream_put(&end.stream, (struct imapstate_span){ much, sizeof much }));
    stream_flush(&end.stream);
    assert_int_equal(end.wire->out.len, 10);
    assert_int_equal(stream_pending(&end.stream), sizeof much - 10);
    assert_true(stream_has_room(&end.stream));
    assert_true(stream_put(&end.stream, (struct imapstate_span){ much, 10 }));
    assert_false(stream_has_room(&end.stream));
    turn();
    assert_string_equal(end.order, "");
    end.wire->room = sizeof much - STREAM_OUT_LOW - 1;
    turn();
    assert_string_equal(end.order, "");
    end.wire->room = 1;
    turn();
    assert_string_equal(end.order, "D");
    assert_int_equal(stream_pending(&end.stream), STREAM_OUT_LOW);
    end.wire->room = SIZE_MAX;
    turn();
    assert_true(stream_is_drained(&end.stream));
    assert_int_equal(end.wire->out.len, sizeof much + 10);
    end_done(&end);
}

TEST(what_is_put_and_forwarded_leaves_in_order_whatever_the_room)
{
    for (size_t room = 0; room < 20; room++) {
        struct end end;
        end_open(&end);
        end.wire->room = room;
        stream_put(&end.stream, IMAPSTATE_SPAN("a1 NOOP\r\n"));
        stream_forward(&end.stream, IMAPSTATE_SPAN("a2 NOOP\r\n"));
        stream_flush(&end.stream);
        assert_int_equal(end.wire->out.len, room < 18 ? room : 18);
        end.wire->room = SIZE_MAX;
        turn();
        CHECK_SPAN("room", imapstate_buf_span(&end.wire->out), IMAPSTATE_SPAN("a1 NOOP\r\na2 NOOP\r\n"));
        end_done(&end);
    }
}

static const struct sockaddr_in server = { .sin_family = AF_INET, .sin_port = 143 };

TEST(a_connection_is_asked_for_and_taken_or_refused)
{
    struct end end;
    for (int is_refused = 0; is_refused < 2; is_refused++) {
        end_init(&end, NULL);
        assert_null(wire_asked());
        assert_true(stream_connect(&end.stream, (const struct sockaddr *)&server, sizeof server));
        struct wire *wire = wire_asked();
        assert_non_null(wire);
        assert_int_equal(wire->fd, end.stream.fd);
        assert_memory_equal(&wire->peer, &server, sizeof server);
        turn();
        assert_string_equal(end.order, "");
        if (is_refused)
            wire_refuse(wire, ECONNREFUSED);
        else
            wire_accept(wire);
        assert_null(wire_asked());
        turn();
        assert_string_equal(end.order, is_refused ? "X" : "C");
        end_done(&end);
    }
}

TEST(the_other_end_sees_how_it_was_ended)
{
    struct end end;
    end_open(&end);
    stream_put(&end.stream, IMAPSTATE_SPAN("* BYE\r\n"));
    stream_flush(&end.stream);
    stream_shutdown(&end.stream);
    assert_true(end.wire->is_shut);
    assert_false(end.wire->is_closed);
    stream_put(&end.stream, IMAPSTATE_SPAN("more\r\n"));
    stream_flush(&end.stream);
    turn();
    assert_string_equal(end.order, "X");
    assert_string_equal(stream_failure(&end.stream), "Broken pipe");
    end_done(&end);
    assert_true(end.wire->is_closed);
    CHECK_SPAN("out", imapstate_buf_span(&end.wire->out), IMAPSTATE_SPAN("* BYE\r\n"));
}

/* What one end has written arrives at the other in pieces. */
static void carry(struct end *from, struct end *to, size_t piece)
{
    to->wire->piece = piece;
    wire_feed(to->wire, imapstate_buf_span(&from->wire->out));
    imapstate_buf_clear(&from->wire->out);
    turn();
}

TEST(two_ends_that_compress_understand_each_other_in_whatever_pieces)
{
    for (size_t piece = 1; piece < 40; piece++) {
        struct end one, other;
        end_open(&one);
        end_open(&other);
        stream_compress(&one.stream, compression_new(&loop.pool));
        stream_compress(&other.stream, compression_new(&loop.pool));
        stream_put(&one.stream, IMAPSTATE_SPAN(SAID SAID SAID));
        stream_flush(&one.stream);
        carry(&one, &other, piece);
        CHECK_SPAN("there", imapstate_buf_span(&other.heard), IMAPSTATE_SPAN(SAID SAID SAID));
        stream_forward(&other.stream, IMAPSTATE_SPAN("a1 OK\r\n"));
        stream_flush(&other.stream);
        carry(&other, &one, piece);
        CHECK_SPAN("and back", imapstate_buf_span(&one.heard), IMAPSTATE_SPAN("a1 OK\r\n"));
        end_done(&one);
        end_done(&other);
    }
}

TEST(octets_that_are_no_deflate_data_are_told)
{
    struct end end;
    end_open(&end);
    stream_compress(&end.stream, compression_new(&loop.pool));
    wire_feed(end.wire, IMAPSTATE_SPAN("\xff\xff\xff\xff"));
    turn();
    assert_string_equal(end.order, "G");
    end_done(&end);
}

#define EACH(sentence) cmocka_unit_test_setup_teardown(sentence, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(what_is_fed_arrives_in_the_next_turn_in_whatever_pieces),
        EACH(the_end_is_told_behind_what_was_fed_and_a_reset_at_once),
        EACH(who_is_paused_is_not_told_until_it_goes_on),
        EACH(a_reader_that_is_slow_holds_the_writer_up),
        EACH(what_is_put_and_forwarded_leaves_in_order_whatever_the_room),
        EACH(a_connection_is_asked_for_and_taken_or_refused),
        EACH(the_other_end_sees_how_it_was_ended),
        EACH(two_ends_that_compress_understand_each_other_in_whatever_pieces),
        EACH(octets_that_are_no_deflate_data_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
