#include "check.h"

#include "certificate.h"
#include "configfile.h"
#include "service.h"
#include "stream.h"
#include "tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#define ZLIB_CONST
#include <zlib.h>

#define TURNS_MAX 20000

static unsigned warnings;
static struct certificate certificate;
static struct service *service;

/* One end of a connection, and what it was told. */
struct end {
    struct list link; /* in open_ends */
    struct loop loop; /* of its own, as if the other end lived on another worker */
    struct stream stream;
    struct imapstate_buf heard;
    unsigned told[STREAM_CLOSED + 1];
    char order[32]; /* the events in their order: C S I D E G X */
    bool keeps;     /* does not consume what arrives */
    size_t pending_at_drained;
};

static struct list open_ends = { &open_ends, &open_ends };

static void end_on_stream(void *owner, enum stream_event event)
{
    struct end *end = owner;
    size_t len = strlen(end->order);
    end->told[event]++;
    if (len + 1 < sizeof end->order && (len == 0 || end->order[len - 1] != "CSIDEGX"[event]))
        end->order[len] = "CSIDEGX"[event];
    if (event == STREAM_DRAINED)
        end->pending_at_drained = stream_pending(&end->stream);
    if (event != STREAM_INPUT || end->keeps)
        return;
    struct imapstate_span in = stream_input(&end->stream);
    assert_true(imapstate_buf_put(&end->heard, in));
    stream_consume(&end->stream, in.len);
}

static void end_init(struct end *end, int fd)
{
    *end = (struct end){ 0 };
    imapstate_buf_init(&end->heard, 16u << 20);
    assert_true(loop_init(&end->loop, 0, NULL));
    stream_init(&end->stream, &end->loop, fd, end_on_stream, end);
    list_init(&end->link);
    list_move(&end->link, &open_ends);
}

static void end_done(struct end *end)
{
    stream_done(&end->stream);
    imapstate_buf_done(&end->heard);
    loop_done(&end->loop);
    list_remove(&end->link);
}

static void turn(void)
{
    list_each_safe(link, &open_ends)
        event_base_loop(list_entry(link, struct end, link)->loop.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

#define RUN_UNTIL(condition)                                                                                           \
    do {                                                                                                               \
        int turns = 0;                                                                                                 \
        while (!(condition) && turns++ < TURNS_MAX)                                                                    \
            turn();                                                                                                    \
        assert_true(condition);                                                                                        \
    } while (0)

/* Whatever may happen, has had its chance to. */
static void let_it_settle(void)
{
    for (int i = 0; i < 50; i++)
        turn();
}

static void make_pair(int ret_ends[2])
{
    int small = 8192; /* so that large writes go in parts */
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ret_ends), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(setsockopt(ret_ends[i], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
}

/* Two streams that are connected and read; under TLS if told. */
static void connect_ends(struct end *client, struct end *server, bool is_tls)
{
    int ends[2];
    make_pair(ends);
    end_init(client, ends[0]);
    end_init(server, ends[1]);
    if (!is_tls) {
        stream_start(&client->stream);
        stream_start(&server->stream);
        return;
    }
    const struct config *config = service->config;
    stream_secure(&client->stream, tls_peer(service_upstream_tls(service, &config->upstreams[0]),
                                            config->upstreams[0].members[0].tls_name, NULL));
    stream_secure(&server->stream, tls_accept(service_listener_tls(service, &config->listeners[0])));
    RUN_UNTIL(client->told[STREAM_SECURE] == 1 && server->told[STREAM_SECURE] == 1);
}

/* octets of which each place has its own. */
static void fill(uint8_t *at, size_t len)
{
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)(i * 31 + i / 251);
}

static uint8_t large[600 * 1024];

#define BOTH(is_tls) for (int is_tls = 0; is_tls < 2; is_tls++)
static const char *const kinds[] = { "in clear", "TLS" };

TEST(octets_arrive_as_they_were_written_however_they_are_divided)
{
    static const size_t sizes[] = { 1, 100, 16383, 16384, 16385, 65536, 65537, 300000 };
    fill(large, sizeof large);
    BOTH(is_tls)
    for (size_t put = 0; put < ARRAY_LEN(sizes); put++)
        for (size_t forward = 0; forward < ARRAY_LEN(sizes); forward += 3) {
            struct end client, server;
            size_t total = sizes[put] + sizes[forward] + 5;
            connect_ends(&client, &server, is_tls);
            assert_true(stream_put(&client.stream, (struct imapstate_span){ large, sizes[put] }));
            /* What follows on in memory is one piece, whatever it was forwarded as. */
            assert_true(stream_forward(&client.stream, (struct imapstate_span){ large + sizes[put], 1 }));
            assert_true(
                stream_forward(&client.stream, (struct imapstate_span){ large + sizes[put] + 1, sizes[forward] - 1 }));
            assert_int_equal(stream_pending(&client.stream), sizes[put] + sizes[forward]);
            stream_flush(&client.stream);
            assert_int_equal(client.stream.forwarded.len, 0);
            assert_true(stream_printf(&client.stream, "%s %d\r\n", "a", 1));
            stream_flush(&client.stream);
            RUN_UNTIL(server.heard.len == total);
            CHECK_ROW(kinds[is_tls], memcmp(server.heard.at, large, total - 5) == 0);
            CHECK_ROW(kinds[is_tls], memcmp(server.heard.at + total - 5, "a 1\r\n", 5) == 0);
            CHECK_ROW(kinds[is_tls], client.stream.out_octets == total && server.stream.in_octets == total);
            CHECK_ROW(kinds[is_tls], stream_is_drained(&client.stream));
            end_done(&client);
            end_done(&server);
        }
}

TEST(what_is_forwarded_from_several_places_keeps_its_order)
{
    static const uint8_t places[] = "b.d.a.c";
    struct end client, server;
    connect_ends(&client, &server, false);
    assert_true(stream_forward(&client.stream, (struct imapstate_span){ places + 4, 1 }));
    assert_true(stream_forward(&client.stream, (struct imapstate_span){ places, 1 }));
    assert_true(stream_put(&client.stream, IMAPSTATE_SPAN("+")));
    assert_true(stream_forward(&client.stream, (struct imapstate_span){ places + 6, 1 }));
    assert_true(stream_forward(&client.stream, (struct imapstate_span){ places + 2, 1 }));
    stream_flush(&client.stream);
    RUN_UNTIL(server.heard.len == 5);
    CHECK_SPAN("order", imapstate_buf_span(&server.heard), IMAPSTATE_SPAN("ab+cd"));
    end_done(&client);
    end_done(&server);
}

TEST(what_was_forwarded_is_copied_when_it_cannot_be_written_at_once)
{
    static uint8_t borrowed[100000];
    BOTH(is_tls)
    {
        struct end client, server;
        connect_ends(&client, &server, is_tls);
        fill(borrowed, sizeof borrowed);
        fill(large, sizeof large);
        assert_true(stream_forward(&client.stream, (struct imapstate_span){ borrowed, sizeof borrowed }));
        stream_flush(&client.stream);
        assert_false(stream_is_drained(&client.stream));
        memset(borrowed, 0, sizeof borrowed);
        RUN_UNTIL(server.heard.len == sizeof borrowed);
        CHECK_ROW(kinds[is_tls], memcmp(server.heard.at, large, sizeof borrowed) == 0);
        end_done(&client);
        end_done(&server);
    }
}

TEST(an_idle_stream_holds_no_buffer)
{
    BOTH(is_tls)
    {
        struct end client, server;
        connect_ends(&client, &server, is_tls);
        assert_true(stream_put(&client.stream, IMAPSTATE_SPAN("a1 NOOP\r\n")));
        stream_flush(&client.stream);
        RUN_UNTIL(server.heard.len == 9);
        let_it_settle();
        assert_null(server.stream.in);
        assert_null(client.stream.in);
        assert_null(client.stream.out.at);
        assert_int_equal(server.loop.pool.kept_count, 1);
        end_done(&client);
        end_done(&server);
    }
}

TEST(drained_is_told_once_below_the_low_mark_to_whoever_was_above_the_high_one)
{
    BOTH(is_tls)
    {
        struct end client, server;
        connect_ends(&client, &server, is_tls);
        stream_pause(&server.stream);
        assert_true(stream_put(&client.stream, (struct imapstate_span){ large, STREAM_OUT_HIGH }));
        stream_flush(&client.stream);
        let_it_settle();
        CHECK_ROW(kinds[is_tls], !client.stream.is_over_high && client.told[STREAM_DRAINED] == 0);
        assert_true(stream_put(&client.stream, (struct imapstate_span){ large, STREAM_OUT_HIGH }));
        stream_flush(&client.stream);
        let_it_settle();
        CHECK_ROW(kinds[is_tls], client.stream.is_over_high && client.told[STREAM_DRAINED] == 0);
        stream_resume(&server.stream);
        RUN_UNTIL(client.told[STREAM_DRAINED] == 1);
        CHECK_ROW(kinds[is_tls], client.pending_at_drained <= STREAM_OUT_LOW && !client.stream.is_over_high);
        RUN_UNTIL(server.heard.len == 2 * STREAM_OUT_HIGH);
        let_it_settle();
        CHECK_ROW(kinds[is_tls], client.told[STREAM_DRAINED] == 1);
        end_done(&client);
        end_done(&server);
    }
}

TEST(whoever_waits_for_the_last_octet_to_leave_is_told)
{
    BOTH(is_tls)
    {
        struct end client, server;
        connect_ends(&client, &server, is_tls);
        stream_pause(&server.stream);
        assert_true(stream_put(&client.stream, (struct imapstate_span){ large, 100000 }));
        stream_flush(&client.stream);
        client.stream.wants_drained = true;
        let_it_settle();
        CHECK_ROW(kinds[is_tls], client.told[STREAM_DRAINED] == 0);
        stream_resume(&server.stream);
        RUN_UNTIL(client.told[STREAM_DRAINED] == 1);
        CHECK_ROW(kinds[is_tls], client.pending_at_drained == 0);
        end_done(&client);
        end_done(&server);
    }
}

TEST(more_output_than_may_be_held_ends_the_stream)
{
    struct end client, server;
    connect_ends(&client, &server, false);
    stream_pause(&server.stream);
    assert_true(stream_put(&client.stream, (struct imapstate_span){ large, STREAM_OUT_MAX / 2 }));
    assert_true(stream_put(&client.stream, (struct imapstate_span){ large, STREAM_OUT_MAX / 2 }));
    assert_false(stream_put(&client.stream, (struct imapstate_span){ large, 1 }));
    assert_int_equal(client.told[STREAM_CLOSED], 0); /* never from within a call of the owner's */
    assert_false(stream_put(&client.stream, IMAPSTATE_SPAN("x")));
    assert_false(stream_forward(&client.stream, IMAPSTATE_SPAN("x")));
    let_it_settle();
    assert_int_equal(client.told[STREAM_CLOSED], 1);
    assert_string_equal(stream_failure(&client.stream), strerror(ENOBUFS));
    end_done(&client);
    end_done(&server);
}

/* How a peer ends, and what is told of it. */
enum ending { SHUTS_DOWN, CLOSES, CLOSES_UNREAD, BREAKS_TLS };
static const struct {
    const char *name;
    enum ending ending;
    bool is_tls;
    const char *order, *failure;
} endings[] = {
    { "says goodbye", SHUTS_DOWN, false, "IE", "connection closed" },
    { "says goodbye by TLS", SHUTS_DOWN, true, "SIE", "connection closed" },
    { "is gone", CLOSES, false, "IE", "connection closed" },
    { "is gone without a word of TLS", CLOSES, true, "SIE", "connection closed" },
    { "is gone, with our octets unread", CLOSES_UNREAD, false, "X", "Connection reset by peer" },
    { "speaks something else than TLS", BREAKS_TLS, true, "SX", "wrong version number" },
};

static void make_ending(struct end *client, struct end *server, enum ending ending)
{
    switch (ending) {
    case SHUTS_DOWN:
        stream_shutdown(&client->stream);
        break;
    case CLOSES:
    case CLOSES_UNREAD:
        close(client->stream.fd);
        watch_stop(&client->stream.read_watch);
        client->stream.fd = -1;
        break;
    case BREAKS_TLS:
        assert_int_equal(write(client->stream.fd, "a1 NOOP\r\n", 9), 9);
    }
}

TEST(an_end_is_told_once_and_after_the_input_before_it)
{
    for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
        struct end client, server;
        connect_ends(&client, &server, endings[i].is_tls);
        let_it_settle(); /* session tickets are read */
        bool is_last_word = endings[i].ending == SHUTS_DOWN || endings[i].ending == CLOSES;
        if (is_last_word)
            assert_true(stream_put(&client.stream, IMAPSTATE_SPAN("last words")));
        stream_flush(&client.stream);
        if (endings[i].ending == CLOSES_UNREAD) {
            stream_pause(&client.stream);
            assert_true(stream_put(&server.stream, IMAPSTATE_SPAN("unread")));
            stream_flush(&server.stream);
        }
        make_ending(&client, &server, endings[i].ending);
        RUN_UNTIL(server.told[STREAM_EOF] + server.told[STREAM_CLOSED] > 0);
        let_it_settle();
        CHECK_SPAN(endings[i].name, imapstate_span_of(server.order), imapstate_span_of(endings[i].order));
        CHECK_ROW(endings[i].name, server.told[STREAM_EOF] + server.told[STREAM_CLOSED] == 1);
        CHECK_SPAN(endings[i].name, imapstate_span_of(stream_failure(&server.stream)),
                   imapstate_span_of(endings[i].failure));
        CHECK_SPAN(endings[i].name, imapstate_buf_span(&server.heard),
                   is_last_word ? IMAPSTATE_SPAN("last words") : IMAPSTATE_SPAN(""));
        end_done(&client);
        end_done(&server);
    }
}

TEST(a_peer_that_sends_no_more_may_still_be_written_to)
{
    BOTH(is_tls)
    {
        struct end client, server;
        connect_ends(&client, &server, is_tls);
        stream_shutdown(&client.stream);
        RUN_UNTIL(server.told[STREAM_EOF] == 1);
        assert_true(stream_put(&server.stream, IMAPSTATE_SPAN("* BYE\r\n")));
        stream_flush(&server.stream);
        RUN_UNTIL(client.heard.len == 7);
        CHECK_ROW(kinds[is_tls], server.told[STREAM_CLOSED] == 0);
        end_done(&client);
        end_done(&server);
    }
}

TEST(a_paused_stream_reads_nothing_until_it_is_resumed)
{
    BOTH(is_tls)
    {
        struct end client, server;
        connect_ends(&client, &server, is_tls);
        stream_pause(&server.stream);
        assert_true(stream_put(&client.stream, IMAPSTATE_SPAN("hello")));
        stream_flush(&client.stream);
        let_it_settle();
        CHECK_ROW(kinds[is_tls], server.told[STREAM_INPUT] == 0 && server.stream.in_octets == 0);
        stream_resume(&server.stream);
        RUN_UNTIL(server.heard.len == 5);
        end_done(&client);
        end_done(&server);
    }
}

TEST(a_full_buffer_is_read_into_again_when_there_is_room)
{
    fill(large, sizeof large);
    BOTH(is_tls)
    {
        struct end client, server;
        size_t seen = 0;
        connect_ends(&client, &server, is_tls);
        server.keeps = true;
        assert_true(stream_put(&client.stream, (struct imapstate_span){ large, 200000 }));
        stream_flush(&client.stream);
        while (seen < 200000) {
            size_t wanted = 200000 - seen < POOL_BUFFER_OCTETS ? 200000 - seen : POOL_BUFFER_OCTETS;
            RUN_UNTIL(stream_input(&server.stream).len == wanted);
            CHECK_ROW(kinds[is_tls], stream_is_full(&server.stream) == (wanted == POOL_BUFFER_OCTETS));
            let_it_settle();
            /* Some, not all: the rest moves to the front. */
            size_t part = wanted < 1000 ? wanted : wanted - wanted / 3;
            CHECK_ROW(kinds[is_tls], memcmp(stream_input(&server.stream).at, large + seen, wanted) == 0);
            stream_consume(&server.stream, part);
            seen += part;
            stream_resume(&server.stream);
        }
        CHECK_ROW(kinds[is_tls], server.stream.in_octets == 200000);
        end_done(&client);
        end_done(&server);
    }
}

TEST(no_more_is_read_at_a_time_than_the_owner_wants)
{
    struct end client, server;
    connect_ends(&client, &server, false);
    server.keeps = true;
    server.stream.read_max = 3;
    assert_true(stream_put(&client.stream, IMAPSTATE_SPAN("abcdefgh")));
    stream_flush(&client.stream);
    for (unsigned times = 1; times <= 3; times++) {
        RUN_UNTIL(server.told[STREAM_INPUT] == times);
        assert_int_equal(stream_input(&server.stream).len, times < 3 ? times * 3 : 8);
    }
    end_done(&client);
    end_done(&server);
}

TEST(nothing_that_came_in_clear_is_read_under_tls)
{
    struct end client, server;
    const struct config *config = service->config;
    connect_ends(&client, &server, false);
    server.keeps = client.keeps = true;
    stream_pause(&client.stream);
    assert_true(stream_put(&client.stream, IMAPSTATE_SPAN("a1 NOOP\r\n")));
    stream_flush(&client.stream);
    RUN_UNTIL(stream_input(&server.stream).len == 9);
    assert_true(stream_put(&server.stream, IMAPSTATE_SPAN("a1 OK in clear\r\n")));
    stream_secure(&server.stream, tls_accept(service_listener_tls(service, &config->listeners[0])));
    stream_secure(&client.stream, tls_peer(service_upstream_tls(service, &config->upstreams[0]),
                                           config->upstreams[0].members[0].tls_name, NULL));
    RUN_UNTIL(client.told[STREAM_SECURE] == 1 && server.told[STREAM_SECURE] == 1);
    assert_int_equal(stream_input(&server.stream).len, 0);
    assert_true(stream_is_drained(&server.stream));
    /* What is written before the handshake is through waits for it. */
    assert_true(stream_put(&server.stream, IMAPSTATE_SPAN("secret")));
    stream_flush(&server.stream);
    RUN_UNTIL(stream_input(&client.stream).len == 6);
    CHECK_SPAN("under TLS", stream_input(&client.stream), IMAPSTATE_SPAN("secret"));
    end_done(&client);
    end_done(&server);
}

TEST(what_passes_is_counted_by_who_has_made_the_connection)
{
    struct end client, server;
    BOTH(is_tls)
    {
        connect_ends(&client, &server, is_tls);
        client.stream.is_made = true;
        server.keeps = true;
        assert_true(stream_put(&client.stream, IMAPSTATE_SPAN("a1 NOOP\r\n")));
        stream_flush(&client.stream);
        RUN_UNTIL(stream_input(&server.stream).len == 9);
        const struct loop_octets *made = &client.loop.counters.octets[LOOP_MADE];
        const struct loop_octets *accepted = &server.loop.counters.octets[LOOP_ACCEPTED];
        CHECK_ROW(kinds[is_tls], made->out == 9 && made->in == 0);
        CHECK_ROW(kinds[is_tls], accepted->in == 9 && accepted->out == 0);
        end_done(&client);
        end_done(&server);
    }
}

TEST(a_handshake_is_counted_when_it_is_done)
{
    struct end client, server;
    connect_ends(&client, &server, true);
    const struct loop_counters *counters = &server.loop.counters;
    assert_int_equal(counters->handshakes[LOOP_ACCEPTED][TLS_VERSION_1_3][false], 1);
    assert_int_equal(counters->handshakes[LOOP_ACCEPTED][TLS_VERSION_1_2][false], 0);
    stream_done(&server.stream);
    assert_int_equal(counters->handshakes_failed[LOOP_ACCEPTED], 0);
    end_done(&client);
    end_done(&server);
}

TEST(a_certificate_of_another_name_is_refused)
{
    struct end client, server;
    int ends[2];
    const struct config *config = service->config;
    make_pair(ends);
    end_init(&client, ends[0]);
    end_init(&server, ends[1]);
    stream_secure(&client.stream, tls_peer(service_upstream_tls(service, &config->upstreams[0]), "elsewhere", NULL));
    stream_secure(&server.stream, tls_accept(service_listener_tls(service, &config->listeners[0])));
    RUN_UNTIL(client.told[STREAM_CLOSED] == 1);
    assert_int_equal(client.told[STREAM_SECURE], 0);
    assert_string_equal(tls_verify_failure(client.stream.ssl), "hostname mismatch");
    client.stream.is_made = true;
    stream_done(&client.stream);
    stream_done(&client.stream); /* counted once */
    assert_int_equal(client.loop.counters.handshakes_failed[LOOP_MADE], 1);
    end_done(&client);
    end_done(&server);
}

/* --- giving away --- */

TEST(a_connection_goes_on_in_another_stream)
{
    BOTH(is_tls)
    {
        struct end client, server, heir;
        int fd = -1;
        SSL *ssl = NULL;
        connect_ends(&client, &server, is_tls);
        assert_true(stream_put(&server.stream, IMAPSTATE_SPAN("* OK\r\n")));
        stream_flush(&server.stream);
        RUN_UNTIL(client.heard.len == 6);
        let_it_settle();
        assert_true(stream_give_away(&server.stream, &fd, &ssl));
        CHECK_ROW(kinds[is_tls], fd >= 0 && (ssl != NULL) == is_tls);
        CHECK_ROW(kinds[is_tls], server.stream.fd == -1 && server.stream.ssl == NULL && server.stream.in == NULL);
        end_done(&server);
        /* Nobody reads meanwhile, and nothing is lost. */
        assert_true(stream_put(&client.stream, IMAPSTATE_SPAN("a1 NOOP\r\n")));
        stream_flush(&client.stream);
        let_it_settle();
        end_init(&heir, -1);
        stream_adopt(&heir.stream, fd, ssl);
        assert_true(heir.stream.is_made && !server.stream.is_made);
        CHECK_ROW(kinds[is_tls], stream_read_now(&heir.stream));
        CHECK_SPAN(kinds[is_tls], stream_input(&heir.stream), IMAPSTATE_SPAN("a1 NOOP\r\n"));
        CHECK_ROW(kinds[is_tls], heir.told[STREAM_INPUT] == 0);
        stream_consume(&heir.stream, 9);
        stream_start(&heir.stream);
        assert_true(stream_put(&client.stream, IMAPSTATE_SPAN("a2 NOOP\r\n")));
        stream_flush(&client.stream);
        RUN_UNTIL(heir.heard.len == 9);
        assert_true(stream_put(&heir.stream, IMAPSTATE_SPAN("a2 OK\r\n")));
        stream_flush(&heir.stream);
        RUN_UNTIL(client.heard.len == 13);
        end_done(&client);
        end_done(&heir);
    }
}

TEST(a_connection_with_octets_in_hand_is_not_given_away)
{
    static const struct {
        const char *name;
        bool has_input, has_output, is_at_eof;
    } rows[] = {
        { "nothing", false, false, false },
        { "input", true, false, false },
        { "output", false, true, false },
        { "its end", false, false, true },
    };
    BOTH(is_tls)
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct end client, server;
        int fd = -2;
        SSL *ssl = NULL;
        connect_ends(&client, &server, is_tls);
        server.keeps = true;
        if (rows[i].has_input) {
            assert_true(stream_put(&client.stream, IMAPSTATE_SPAN("x")));
            stream_flush(&client.stream);
            RUN_UNTIL(server.told[STREAM_INPUT] == 1);
        }
        if (rows[i].has_output)
            assert_true(stream_put(&server.stream, IMAPSTATE_SPAN("x")));
        if (rows[i].is_at_eof) {
            stream_shutdown(&client.stream);
            RUN_UNTIL(server.told[STREAM_EOF] == 1);
        }
        bool is_free = !rows[i].has_input && !rows[i].has_output && !rows[i].is_at_eof;
        CHECK_ROW(rows[i].name, stream_give_away(&server.stream, &fd, &ssl) == is_free);
        CHECK_ROW(rows[i].name, (fd == -2) == !is_free);
        SSL_free(ssl);
        if (fd >= 0)
            close(fd);
        end_done(&client);
        end_done(&server);
    }
}

TEST(what_has_ended_meanwhile_shows_when_it_is_read)
{
    BOTH(is_tls)
    {
        struct end client, server, heir;
        int fd;
        SSL *ssl;
        connect_ends(&client, &server, is_tls);
        let_it_settle();
        assert_true(stream_give_away(&server.stream, &fd, &ssl));
        assert_true(stream_put(&client.stream, IMAPSTATE_SPAN("* BYE\r\n")));
        stream_flush(&client.stream);
        stream_shutdown(&client.stream);
        end_done(&client);
        end_init(&heir, -1);
        stream_adopt(&heir.stream, fd, ssl);
        /* In clear the octets come first, and the end with the next look. */
        bool is_open = stream_read_now(&heir.stream);
        CHECK_ROW(kinds[is_tls], is_open == !is_tls);
        CHECK_SPAN(kinds[is_tls], stream_input(&heir.stream), IMAPSTATE_SPAN("* BYE\r\n"));
        CHECK_ROW(kinds[is_tls], !stream_read_now(&heir.stream));
        end_done(&heir);
        end_done(&server);
        let_it_settle();
    }
}

/* --- secrets --- */

static bool holds(const uint8_t *at, size_t len, const char *secret)
{
    return memmem(at, len, secret, strlen(secret)) != NULL;
}

TEST(secrets_are_wiped_from_the_input)
{
    static const char secret[] = "a LOGIN ann s3cret\r\n";
    struct end client, server;
    connect_ends(&client, &server, false);
    server.keeps = true;
    assert_true(stream_put(&client.stream, IMAPSTATE_SPAN("a LOGIN ann s3cret\r\nb NOOP\r\n")));
    stream_flush(&client.stream);
    RUN_UNTIL(server.told[STREAM_INPUT] == 1);
    uint8_t *in = server.stream.in;
    stream_consume_wiping(&server.stream, sizeof secret - 1);
    assert_false(holds(in, POOL_BUFFER_OCTETS, "s3cret"));
    CHECK_SPAN("what follows", stream_input(&server.stream), IMAPSTATE_SPAN("b NOOP\r\n"));
    end_done(&client);
    end_done(&server);
}

TEST(the_beginning_of_a_secret_leaves_no_copy_behind_when_it_moves)
{
    struct end client, server;
    connect_ends(&client, &server, false);
    server.keeps = true;
    assert_true(stream_put(&client.stream, IMAPSTATE_SPAN("b NOOP and more\r\na LOGIN ann s3cr")));
    stream_flush(&client.stream);
    RUN_UNTIL(server.told[STREAM_INPUT] == 1);
    stream_consume(&server.stream, 17);
    assert_true(stream_put(&client.stream, IMAPSTATE_SPAN("et\r\n")));
    stream_flush(&client.stream);
    RUN_UNTIL(server.told[STREAM_INPUT] == 2);
    uint8_t *in = server.stream.in;
    CHECK_SPAN("moved", stream_input(&server.stream), IMAPSTATE_SPAN("a LOGIN ann s3cret\r\n"));
    stream_consume_wiping(&server.stream, 20);
    assert_false(holds(in, POOL_BUFFER_OCTETS, "s3cr"));
    end_done(&client);
    end_done(&server);
}

TEST(a_stream_that_ends_wipes_what_it_holds)
{
    BOTH(is_tls)
    {
        struct end client, server;
        connect_ends(&client, &server, is_tls);
        server.keeps = true;
        assert_true(stream_put(&client.stream, IMAPSTATE_SPAN("a LOGIN ann s3cret\r\n")));
        stream_flush(&client.stream);
        RUN_UNTIL(server.told[STREAM_INPUT] == 1);
        stream_done(&server.stream);
        assert_int_equal(server.loop.pool.kept_count, 1);
        CHECK_ROW(kinds[is_tls], !holds(server.loop.pool.kept[0], POOL_BUFFER_OCTETS, "s3cret"));
        end_done(&client);
        end_done(&server);
    }
}

/* --- connecting --- */

static int listen_somewhere(struct sockaddr_in *ret_address)
{
    socklen_t len = sizeof *ret_address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *ret_address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    assert_int_equal(bind(listener, (struct sockaddr *)ret_address, len), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)ret_address, &len), 0);
    return listener;
}

TEST(a_connection_is_told_when_it_has_come_through_or_failed)
{
    struct sockaddr_in address;
    int listener = listen_somewhere(&address);
    struct end client;
    end_init(&client, -1);
    assert_true(stream_connect(&client.stream, (struct sockaddr *)&address, sizeof address));
    /* What is put before waits. */
    assert_true(stream_put(&client.stream, IMAPSTATE_SPAN("hello")));
    stream_flush(&client.stream);
    assert_int_equal(stream_pending(&client.stream), 5);
    RUN_UNTIL(client.told[STREAM_CONNECTED] == 1);
    end_done(&client);
    close(listener);

    end_init(&client, -1);
    if (stream_connect(&client.stream, (struct sockaddr *)&address, sizeof address)) {
        RUN_UNTIL(client.told[STREAM_CLOSED] == 1);
        assert_int_equal(client.told[STREAM_CONNECTED], 0);
    }
    assert_int_equal(client.stream.error, ECONNREFUSED);
    assert_string_equal(stream_failure(&client.stream), strerror(ECONNREFUSED));
    end_done(&client);
}

/* It would take too long to wait for. */
TEST(a_peer_that_is_gone_without_a_word_is_noticed_in_two_minutes)
{
    static const struct {
        int level, option, want;
    } options[] = {
        { SOL_SOCKET, SO_KEEPALIVE, 1 }, { IPPROTO_TCP, TCP_KEEPIDLE, 60 },         { IPPROTO_TCP, TCP_KEEPINTVL, 20 },
        { IPPROTO_TCP, TCP_KEEPCNT, 3 }, { IPPROTO_TCP, TCP_USER_TIMEOUT, 120000 },
    };
    struct sockaddr_in address;
    int listener = listen_somewhere(&address);
    struct end client;
    end_init(&client, -1);
    assert_true(stream_connect(&client.stream, (struct sockaddr *)&address, sizeof address));
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        int value = -1;
        socklen_t len = sizeof value;
        assert_int_equal(getsockopt(client.stream.fd, options[i].level, options[i].option, &value, &len), 0);
        assert_int_equal(value, options[i].want);
    }
    end_done(&client);
    close(listener);
}

TEST(a_stream_that_was_never_connected_can_be_held_and_ended)
{
    struct end client;
    end_init(&client, -1);
    stream_pause(&client.stream);
    stream_resume(&client.stream);
    stream_shutdown(&client.stream);
    let_it_settle();
    assert_string_equal(client.order, "");
    end_done(&client);
}

TEST(a_stream_may_end_while_its_own_end_is_yet_to_be_told)
{
    for (int is_eof = 0; is_eof < 2; is_eof++) {
        struct end client, server;
        connect_ends(&client, &server, false);
        if (is_eof) {
            stream_shutdown(&client.stream);
            assert_false(stream_read_now(&server.stream));
        } else {
            assert_false(stream_put(&server.stream, (struct imapstate_span){ large, sizeof large }) &&
                         stream_put(&server.stream, (struct imapstate_span){ large, sizeof large }));
        }
        end_done(&client);
        end_done(&server);
        memset(&server, 0xa5, sizeof server);
        let_it_settle();
    }
}

/* --- compression --- */

static void compress_end(struct end *end)
{
    struct compression *compression = compression_new(&end->loop.pool);
    assert_non_null(compression);
    stream_compress(&end->stream, compression);
}

static void connect_compressed(struct end *client, struct end *server, bool is_tls)
{
    connect_ends(client, server, is_tls);
    let_it_settle(); /* session tickets are read */
    compress_end(client);
    compress_end(server);
}

/* What a peer would send, by zlib itself. */
static struct imapstate_span pack(struct imapstate_span octets)
{
    static uint8_t packed[1u << 20];
    z_stream packer = { .next_in = octets.at, .avail_in = (uInt)octets.len };
    packer.next_out = packed;
    packer.avail_out = sizeof packed;
    assert_int_equal(deflateInit2(&packer, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&packer, Z_SYNC_FLUSH), Z_OK);
    deflateEnd(&packer);
    return (struct imapstate_span){ packed, sizeof packed - packer.avail_out };
}

TEST(compressed_octets_arrive_as_they_were_written_however_they_are_divided)
{
    static const size_t sizes[] = { 1, 100, 16385, 65537, 300000 };
    fill(large, sizeof large);
    BOTH(is_tls)
    for (size_t put = 0; put < ARRAY_LEN(sizes); put++)
        for (size_t forward = 0; forward < ARRAY_LEN(sizes); forward++) {
            struct end client, server;
            size_t total = sizes[put] + sizes[forward] + 5;
            connect_compressed(&client, &server, is_tls);
            assert_true(stream_put(&client.stream, (struct imapstate_span){ large, sizes[put] }));
            CHECK_ROW(kinds[is_tls], !stream_is_drained(&client.stream));
            assert_true(stream_forward(&client.stream, (struct imapstate_span){ large + sizes[put], sizes[forward] }));
            assert_int_equal(client.stream.forwarded.len, 0);
            stream_flush(&client.stream);
            assert_true(stream_printf(&client.stream, "%s %d\r\n", "a", 1));
            stream_flush(&client.stream);
            RUN_UNTIL(server.heard.len == total);
            CHECK_ROW(kinds[is_tls], memcmp(server.heard.at, large, total - 5) == 0);
            CHECK_ROW(kinds[is_tls], memcmp(server.heard.at + total - 5, "a 1\r\n", 5) == 0);
            CHECK_ROW(kinds[is_tls], client.stream.out_octets == server.stream.in_octets);
            CHECK_ROW(kinds[is_tls], total < 1000 || client.stream.out_octets < total / 2);
            CHECK_ROW(kinds[is_tls], compression_octets_in(server.stream.compression) == total);
            RUN_UNTIL(stream_is_drained(&client.stream));
            end_done(&client);
            end_done(&server);
        }
}

TEST(what_stands_behind_the_command_that_begins_compression_is_compressed)
{
    static const struct imapstate_span clear = { (const uint8_t *)"a COMPRESS DEFLATE\r\n", 20 };
    struct imapstate_span packed = pack(IMAPSTATE_SPAN("b NOOP\r\n"));
    BOTH(is_tls)
    for (size_t cut = 0; cut <= packed.len; cut++)
        for (int is_paused = 0; is_paused < 2; is_paused++) {
            struct end client, server;
            connect_ends(&client, &server, is_tls);
            server.keeps = true;
            assert_true(stream_put(&client.stream, clear));
            assert_true(stream_put(&client.stream, (struct imapstate_span){ packed.at, cut }));
            stream_flush(&client.stream);
            RUN_UNTIL(stream_input(&server.stream).len == clear.len + cut);
            if (is_paused)
                stream_pause(&server.stream);
            stream_consume(&server.stream, clear.len);
            server.keeps = false;
            compress_end(&server);
            CHECK_ROW(kinds[is_tls], stream_input(&server.stream).len == 0);
            stream_resume(&server.stream);
            assert_true(stream_put(&client.stream, (struct imapstate_span){ packed.at + cut, packed.len - cut }));
            stream_flush(&client.stream);
            RUN_UNTIL(server.heard.len == 8);
            CHECK_SPAN(kinds[is_tls], imapstate_buf_span(&server.heard), IMAPSTATE_SPAN("b NOOP\r\n"));
            end_done(&client);
            end_done(&server);
        }
}

/* RFC 4978 section 3: compressed from behind the tagged OK on; RFC 8437 section 4.1: until behind another one. */
TEST(output_changes_between_one_octet_and_the_next_though_nobody_reads_it)
{
    fill(large, sizeof large);
    BOTH(is_tls)
    {
        struct end client, server;
        connect_ends(&client, &server, is_tls);
        stream_pause(&client.stream);
        assert_true(stream_put(&server.stream, (struct imapstate_span){ large, 100000 }));
        assert_true(stream_put(&server.stream, IMAPSTATE_SPAN("a OK\r\n")));
        stream_flush(&server.stream);
        assert_false(stream_is_drained(&server.stream));
        compress_end(&server);
        assert_true(stream_forward(&server.stream, (struct imapstate_span){ large, 100000 }));
        assert_true(stream_put(&server.stream, IMAPSTATE_SPAN("b OK\r\n")));
        stream_end_compression(&server.stream);
        assert_null(server.stream.compression);
        assert_true(stream_put(&server.stream, IMAPSTATE_SPAN("c OK\r\n")));
        stream_flush(&server.stream);
        stream_resume(&client.stream);
        RUN_UNTIL(client.heard.len > 7 && memcmp(client.heard.at + client.heard.len - 6, "c OK\r\n", 6) == 0);
        struct imapstate_span heard = imapstate_buf_span(&client.heard);
        CHECK_SPAN(kinds[is_tls], ((struct imapstate_span){ heard.at + 100000, 6 }), IMAPSTATE_SPAN("a OK\r\n"));
        uint8_t *unpacked = malloc(200000);
        z_stream unpacker = { .next_in = heard.at + 100006, .avail_in = (uInt)(heard.len - 100006 - 6) };
        unpacker.next_out = unpacked;
        unpacker.avail_out = 200000;
        assert_int_equal(inflateInit2(&unpacker, -15), Z_OK);
        assert_int_equal(inflate(&unpacker, Z_SYNC_FLUSH), Z_OK);
        inflateEnd(&unpacker);
        CHECK_ROW(kinds[is_tls], unpacker.avail_in == 0 && unpacker.avail_out == 200000 - 100006);
        CHECK_ROW(kinds[is_tls], memcmp(unpacked, large, 100000) == 0 && memcmp(unpacked + 100000, "b OK\r\n", 6) == 0);
        free(unpacked);
        end_done(&client);
        end_done(&server);
    }
}

TEST(an_idle_compressed_stream_holds_no_buffer)
{
    BOTH(is_tls)
    {
        struct end client, server;
        connect_compressed(&client, &server, is_tls);
        assert_true(stream_put(&client.stream, IMAPSTATE_SPAN("a1 NOOP\r\n")));
        stream_flush(&client.stream);
        RUN_UNTIL(server.heard.len == 9);
        let_it_settle();
        assert_null(server.stream.in);
        assert_null(client.stream.out.at);
        assert_in_range(compression_size(server.stream.compression), 1, COMPRESSION_IDLE_MAX);
        assert_in_range(compression_size(client.stream.compression), 1, COMPRESSION_IDLE_MAX);
        end_done(&client);
        end_done(&server);
    }
}

/* However much a few octets come to, no more is unpacked than the owner has room for; and none of it is lost at the
 * end. */
TEST(a_full_buffer_stops_unpacking_until_there_is_room_and_the_end_waits)
{
    enum { total = 3000000 };
    uint8_t *zeros = calloc(1, total);
    struct imapstate_span packed = pack((struct imapstate_span){ zeros, total });
    assert_true(packed.len < COMPRESSION_READ_MAX);
    BOTH(is_tls)
    {
        struct end client, server;
        connect_ends(&client, &server, is_tls);
        let_it_settle();
        compress_end(&server);
        server.keeps = true;
        assert_true(stream_put(&client.stream, packed));
        stream_flush(&client.stream);
        stream_shutdown(&client.stream);
        RUN_UNTIL(stream_is_full(&server.stream));
        let_it_settle();
        CHECK_ROW(kinds[is_tls], server.told[STREAM_EOF] == 0 && server.told[STREAM_INPUT] == 1);
        CHECK_ROW(kinds[is_tls], compression_octets_in(server.stream.compression) == POOL_BUFFER_OCTETS);
        size_t seen = 0;
        while (seen < total) {
            RUN_UNTIL(stream_input(&server.stream).len > 0);
            size_t part = stream_input(&server.stream).len;
            seen += part;
            stream_consume_message(&server.stream, part);
            stream_resume(&server.stream);
            CHECK_ROW(kinds[is_tls], server.told[STREAM_EOF] == 0 || seen == total);
        }
        RUN_UNTIL(server.told[STREAM_EOF] == 1);
        CHECK_ROW(kinds[is_tls], seen == total && server.told[STREAM_GARBLED] == 0);
        CHECK_SPAN(kinds[is_tls], imapstate_span_of(server.order), imapstate_span_of(is_tls ? "SIE" : "IE"));
        end_done(&client);
        end_done(&server);
    }
    free(zeros);
}

TEST(what_is_not_compressed_is_told_once_behind_the_input_and_nothing_follows_but_the_end)
{
    struct imapstate_span packed = pack(IMAPSTATE_SPAN("a NOOP\r\n"));
    BOTH(is_tls)
    {
        struct end client, server;
        connect_ends(&client, &server, is_tls);
        let_it_settle();
        compress_end(&server);
        assert_true(stream_put(&client.stream, packed));
        assert_true(stream_put(&client.stream, IMAPSTATE_SPAN("\x06 is no block"))); /* RFC 1951 section 3.2.3 */
        stream_flush(&client.stream);
        RUN_UNTIL(server.told[STREAM_GARBLED] == 1);
        CHECK_SPAN(kinds[is_tls], imapstate_buf_span(&server.heard), IMAPSTATE_SPAN("a NOOP\r\n"));
        CHECK_ROW(kinds[is_tls], strstr(stream_failure(&server.stream), "invalid") != NULL);
        assert_true(stream_put(&client.stream, packed));
        stream_flush(&client.stream);
        let_it_settle();
        assert_true(stream_put(&server.stream, IMAPSTATE_SPAN("* BYE\r\n")));
        stream_flush(&server.stream);
        stream_shutdown(&client.stream);
        RUN_UNTIL(server.told[STREAM_EOF] == 1 && client.heard.len > 0);
        CHECK_ROW(kinds[is_tls], server.told[STREAM_GARBLED] == 1 && server.heard.len == 8);
        CHECK_ROW(kinds[is_tls], server.told[STREAM_CLOSED] == 0 && server.stream.in == NULL);
        end_done(&client);
        end_done(&server);
    }
}

TEST(a_bomb_of_commands_is_told_and_nothing_more_of_it_is_input)
{
    enum { total = 3000000 };
    uint8_t *noops = malloc(total);
    for (size_t i = 0; i < total; i++)
        noops[i] = (uint8_t) "a NOOP\r\n"[i % 8];
    struct imapstate_span packed = pack((struct imapstate_span){ noops, total });
    BOTH(is_tls)
    {
        struct end client, server;
        connect_ends(&client, &server, is_tls);
        let_it_settle();
        compress_end(&server);
        assert_true(stream_put(&client.stream, packed));
        stream_flush(&client.stream);
        RUN_UNTIL(server.told[STREAM_GARBLED] == 1);
        let_it_settle();
        CHECK_ROW(kinds[is_tls], server.heard.len > COMPRESSION_COMMANDS_MAX && server.heard.len < total);
        CHECK_ROW(kinds[is_tls], strstr(stream_failure(&server.stream), "bomb") != NULL);
        CHECK_ROW(kinds[is_tls], server.stream.in == NULL && server.told[STREAM_GARBLED] == 1);
        end_done(&client);
        end_done(&server);
    }
    free(noops);
}

TEST(a_reader_that_does_not_read_is_told_apart_from_one_that_does_by_what_is_packed)
{
    uint8_t *noise = malloc(STREAM_OUT_HIGH);
    randombytes_buf(noise, STREAM_OUT_HIGH);
    BOTH(is_tls)
    {
        struct end client, server;
        connect_compressed(&client, &server, is_tls);
        stream_pause(&server.stream);
        unsigned rounds = 0;
        while (stream_has_room(&client.stream) && rounds++ < 100) {
            assert_true(stream_forward(&client.stream, (struct imapstate_span){ noise, 65536 }));
            stream_flush(&client.stream);
        }
        CHECK_ROW(kinds[is_tls], rounds < 10 && stream_pending(&client.stream) <= STREAM_OUT_HIGH + 2 * 65536);
        CHECK_ROW(kinds[is_tls], compression_size(client.stream.compression) <= COMPRESSION_IDLE_MAX);
        stream_resume(&server.stream);
        RUN_UNTIL(client.told[STREAM_DRAINED] == 1);
        RUN_UNTIL(server.heard.len == rounds * 65536);
        end_done(&client);
        end_done(&server);
    }
    free(noise);
}

TEST(a_compressed_connection_is_not_given_away)
{
    struct end client, server;
    int fd;
    SSL *ssl;
    connect_compressed(&client, &server, false);
    assert_false(stream_give_away(&server.stream, &fd, &ssl));
    end_done(&client);
    end_done(&server);
}

/* libevent says what it should not have been asked for. */
static void on_event_log(int severity, const char *text)
{
    if (severity >= EVENT_LOG_WARN)
        warnings++;
}

static int begin(void **state)
{
    warnings = 0;
    list_init(&open_ends); /* a test that has failed leaves some */
    return 0;
}

static int end(void **state)
{
    return warnings == 0 ? 0 : -1;
}

static int begin_all(void **state)
{
    char text[1024];
    certificate_make(&certificate, "localhost");
    snprintf(text, sizeof text,
             "listener \"l\" { address = \"127.0.0.1:1993\" tls = \"implicit\" tls_cert_file = \"%s\" tls_key_file = "
             "\"%s\" }\n"
             "upstream \"u\" { address = \"127.0.0.1:993\" tls = \"implicit\" tls_ca_file = \"%s\" tls_name = "
             "\"localhost\" }\n",
             certificate.cert_file, certificate.key_file, certificate.cert_file);
    struct config *config = configfile_parse("test.conf", text, stderr);
    service = config ? service_load(config, NULL, stderr) : NULL;
    return service ? 0 : -1;
}

static int end_all(void **state)
{
    service_unref(service);
    certificate_done(&certificate);
    libevent_global_shutdown();
    return 0;
}

#define EACH(sentence) cmocka_unit_test_setup_teardown(sentence, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(octets_arrive_as_they_were_written_however_they_are_divided),
        EACH(what_is_forwarded_from_several_places_keeps_its_order),
        EACH(what_was_forwarded_is_copied_when_it_cannot_be_written_at_once),
        EACH(an_idle_stream_holds_no_buffer),
        EACH(drained_is_told_once_below_the_low_mark_to_whoever_was_above_the_high_one),
        EACH(whoever_waits_for_the_last_octet_to_leave_is_told),
        EACH(more_output_than_may_be_held_ends_the_stream),
        EACH(an_end_is_told_once_and_after_the_input_before_it),
        EACH(a_peer_that_sends_no_more_may_still_be_written_to),
        EACH(a_paused_stream_reads_nothing_until_it_is_resumed),
        EACH(a_full_buffer_is_read_into_again_when_there_is_room),
        EACH(no_more_is_read_at_a_time_than_the_owner_wants),
        EACH(nothing_that_came_in_clear_is_read_under_tls),
        EACH(what_passes_is_counted_by_who_has_made_the_connection),
        EACH(a_handshake_is_counted_when_it_is_done),
        EACH(a_certificate_of_another_name_is_refused),
        EACH(a_connection_goes_on_in_another_stream),
        EACH(a_connection_with_octets_in_hand_is_not_given_away),
        EACH(what_has_ended_meanwhile_shows_when_it_is_read),
        EACH(secrets_are_wiped_from_the_input),
        EACH(the_beginning_of_a_secret_leaves_no_copy_behind_when_it_moves),
        EACH(a_stream_that_ends_wipes_what_it_holds),
        EACH(a_connection_is_told_when_it_has_come_through_or_failed),
        EACH(a_peer_that_is_gone_without_a_word_is_noticed_in_two_minutes),
        EACH(a_stream_that_was_never_connected_can_be_held_and_ended),
        EACH(a_stream_may_end_while_its_own_end_is_yet_to_be_told),
        EACH(compressed_octets_arrive_as_they_were_written_however_they_are_divided),
        EACH(what_stands_behind_the_command_that_begins_compression_is_compressed),
        EACH(output_changes_between_one_octet_and_the_next_though_nobody_reads_it),
        EACH(an_idle_compressed_stream_holds_no_buffer),
        EACH(a_full_buffer_stops_unpacking_until_there_is_room_and_the_end_waits),
        EACH(what_is_not_compressed_is_told_once_behind_the_input_and_nothing_follows_but_the_end),
        EACH(a_bomb_of_commands_is_told_and_nothing_more_of_it_is_input),
        EACH(a_reader_that_does_not_read_is_told_apart_from_one_that_does_by_what_is_packed),
        EACH(a_compressed_connection_is_not_given_away),
    };
    signal(SIGPIPE, SIG_IGN);
    event_set_log_callback(on_event_log);
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, begin_all, end_all);
}
