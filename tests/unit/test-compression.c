#include "check.h"

#include "compression.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>

static struct pool pool;

/* The peer, by zlib itself. */
struct peer {
    z_stream packer, unpacker;
};

static void peer_init(struct peer *peer, int level)
{
    *peer = (struct peer){ 0 };
    assert_int_equal(deflateInit2(&peer->packer, level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(inflateInit2(&peer->unpacker, -15), Z_OK);
}

static void peer_done(struct peer *peer)
{
    deflateEnd(&peer->packer);
    inflateEnd(&peer->unpacker);
}

static void peer_pack(struct peer *peer, struct imapstate_span octets, int flush, struct imapstate_buf *packed)
{
    uint8_t out[4096];
    peer->packer.next_in = octets.at;
    peer->packer.avail_in = (uInt)octets.len;
    do {
        peer->packer.next_out = out;
        peer->packer.avail_out = sizeof out;
        deflate(&peer->packer, flush);
        assert_true(imapstate_buf_put(packed, (struct imapstate_span){ out, sizeof out - peer->packer.avail_out }));
    } while (peer->packer.avail_out == 0);
}

static void peer_unpack(struct peer *peer, struct imapstate_span packed, struct imapstate_buf *octets)
{
    uint8_t out[4096];
    peer->unpacker.next_in = packed.at;
    peer->unpacker.avail_in = (uInt)packed.len;
    do {
        peer->unpacker.next_out = out;
        peer->unpacker.avail_out = sizeof out;
        int result = inflate(&peer->unpacker, Z_SYNC_FLUSH);
        assert_true(result == Z_OK || result == Z_BUF_ERROR);
        assert_true(imapstate_buf_put(octets, (struct imapstate_span){ out, sizeof out - peer->unpacker.avail_out }));
    } while (peer->unpacker.avail_out == 0);
}

/* Packed octets arrive, and all that comes of them is appended. False: damaged. */
static bool arrive(struct compression *compression, struct imapstate_span packed, size_t room_octets,
                   struct imapstate_buf *octets)
{
    uint8_t out[65536];
    size_t got;
    while (packed.len > 0) {
        size_t part = packed.len < COMPRESSION_READ_MAX ? packed.len : COMPRESSION_READ_MAX;
        memcpy(compression_room(compression), packed.at, part);
        compression_arrived(compression, part);
        packed.at += part;
        packed.len -= part;
        while (compression_has_more(compression)) {
            if (!compression_unpack(compression, out, room_octets, &got))
                return false;
            assert_true(imapstate_buf_put(octets, (struct imapstate_span){ out, got }));
        }
    }
    return true;
}

/* octets that compress about as mail does. */
static uint8_t text[400000];

static void fill_text(void)
{
    static const char *const words[] = { "FETCH ",      "(UID ", "FLAGS ", "(\\Seen) ", "Received: ", "from ",
                                         "example.org", "\r\n",  "* ",     "the ",      "BODY[] ",    "and " };
    uint32_t seed = 1;
    for (size_t at = 0; at < sizeof text;) {
        seed = seed * 1664525 + 1013904223;
        const char *word = words[(seed >> 24) % ARRAY_LEN(words)];
        for (; *word && at < sizeof text; at++)
            text[at] = (uint8_t)*word++;
        if (seed >> 20 & 1 && at < sizeof text)
            text[at++] = (uint8_t)(seed >> 12);
    }
}

#define LARGE(name)                                                                                                    \
    struct imapstate_buf name;                                                                                         \
    imapstate_buf_init(&name, 64u << 20)

/* --- outgoing --- */

TEST(whatever_is_packed_the_peer_reads_once_it_is_flushed)
{
    static const size_t sizes[] = { 1, 2, 40, 300, 8191, 8192, 8193, 40000, 65536, 300000 };
    struct compression *compression = compression_new(&pool);
    struct peer peer;
    LARGE(packed);
    LARGE(heard);
    peer_init(&peer, 6);
    assert_false(compression_owes_flush(compression));
    size_t total = 0;
    for (int times = 0; times < 3; times++)
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            struct imapstate_span octets = { text + i * 1000, sizes[i] };
            size_t half = octets.len / 2;
            imapstate_buf_clear(&heard);
            imapstate_buf_clear(&packed);
            assert_true(compression_pack(compression, (struct imapstate_span){ octets.at, half }, &packed));
            assert_true(
                compression_pack(compression, (struct imapstate_span){ octets.at + half, octets.len - half }, &packed));
            assert_true(compression_owes_flush(compression));
            assert_true(compression_flush(compression, &packed));
            assert_false(compression_owes_flush(compression));
            peer_unpack(&peer, imapstate_buf_span(&packed), &heard);
            CHECK_SPAN("packed", imapstate_buf_span(&heard), octets);
            total += octets.len;
            assert_int_equal(compression_octets_out(compression), total);
        }
    peer_done(&peer);
    compression_free(compression);
    imapstate_buf_done(&packed);
    imapstate_buf_done(&heard);
}

TEST(a_flush_of_nothing_is_nothing)
{
    struct compression *compression = compression_new(&pool);
    LARGE(packed);
    assert_true(compression_flush(compression, &packed));
    assert_true(compression_pack(compression, (struct imapstate_span){ 0 }, &packed));
    assert_true(compression_flush(compression, &packed));
    assert_int_equal(packed.len, 0);
    compression_free(compression);
}

/* RFC 4978 section 4: a flush ends on an octet, so that nothing is held back. */
TEST(each_flush_ends_with_an_empty_stored_block)
{
    struct compression *compression = compression_new(&pool);
    LARGE(packed);
    for (int times = 0; times < 3; times++) {
        assert_true(compression_pack(compression, IMAPSTATE_SPAN("* 1 EXISTS\r\n"), &packed));
        assert_true(compression_flush(compression, &packed));
        assert_true(packed.len > 4 && memcmp(packed.at + packed.len - 4, "\0\0\xff\xff", 4) == 0);
    }
    compression_free(compression);
    imapstate_buf_done(&packed);
}

/* What goes out later refers to what went out before, though the compressor in between was given up. */
TEST(the_history_of_a_connection_is_of_use)
{
    static const char line[] = "* 12 FETCH (UID 4711 FLAGS (\\Seen \\Answered) MODSEQ (12345678))\r\n";
    struct compression *compression = compression_new(&pool);
    LARGE(packed);
    assert_true(compression_pack(compression, imapstate_span_of(line), &packed));
    assert_true(compression_flush(compression, &packed));
    size_t first = packed.len;
    assert_true(compression_pack(compression, imapstate_span_of(line), &packed));
    assert_true(compression_flush(compression, &packed));
    assert_true(packed.len - first < first / 4);
    compression_free(compression);
    imapstate_buf_done(&packed);
}

TEST(packed_octets_that_do_not_fit_are_told)
{
    struct compression *compression = compression_new(&pool);
    struct imapstate_buf small;
    uint8_t noise[4096];
    imapstate_buf_init(&small, 1000);
    randombytes_buf(noise, sizeof noise);
    bool fits = compression_pack(compression, (struct imapstate_span){ noise, sizeof noise }, &small);
    assert_false(fits && compression_flush(compression, &small));
    compression_free(compression);
    imapstate_buf_done(&small);
}

/* --- incoming --- */

TEST(packed_octets_come_to_the_same_wherever_they_are_cut)
{
    struct peer peer;
    LARGE(packed);
    peer_init(&peer, 6);
    peer_pack(&peer, IMAPSTATE_SPAN("a1 NOOP\r\n"), Z_SYNC_FLUSH, &packed);
    peer_pack(&peer, IMAPSTATE_SPAN("a2 FETCH 1:* (UID FLAGS)\r\na3 NOOP\r\n"), Z_PARTIAL_FLUSH, &packed);
    peer_pack(&peer, IMAPSTATE_SPAN("a4 UID FETCH 1:* (UID FLAGS)\r\n"), Z_FULL_FLUSH, &packed);
    static const char whole[] = "a1 NOOP\r\na2 FETCH 1:* (UID FLAGS)\r\na3 NOOP\r\na4 UID FETCH 1:* (UID FLAGS)\r\n";
    for (size_t cut = 0; cut <= packed.len; cut++)
        for (size_t room = 1; room <= 64; room += 21) {
            struct compression *compression = compression_new(&pool);
            LARGE(octets);
            assert_true(arrive(compression, (struct imapstate_span){ packed.at, cut }, room, &octets));
            assert_true(
                arrive(compression, (struct imapstate_span){ packed.at + cut, packed.len - cut }, room, &octets));
            CHECK_SPAN("cut", imapstate_buf_span(&octets), imapstate_span_of(whole));
            assert_int_equal(compression_octets_in(compression), sizeof whole - 1);
            compression_free(compression);
            imapstate_buf_done(&octets);
        }
    peer_done(&peer);
    imapstate_buf_done(&packed);
}

TEST(large_input_is_unpacked_in_parts)
{
    for (int level = 0; level <= 9; level += 3) {
        struct compression *compression = compression_new(&pool);
        struct peer peer;
        LARGE(packed);
        LARGE(octets);
        peer_init(&peer, level);
        peer_pack(&peer, (struct imapstate_span){ text, sizeof text }, Z_SYNC_FLUSH, &packed);
        assert_true(arrive(compression, imapstate_buf_span(&packed), 65536, &octets));
        CHECK_SPAN("large", imapstate_buf_span(&octets), ((struct imapstate_span){ text, sizeof text }));
        peer_done(&peer);
        compression_free(compression);
        imapstate_buf_done(&packed);
        imapstate_buf_done(&octets);
    }
}

TEST(a_buffer_with_packed_octets_in_its_middle_is_taken)
{
    struct compression *compression = compression_new(&pool);
    struct peer peer;
    LARGE(packed);
    uint8_t *buffer = pool_take(&pool), out[100];
    size_t got;
    peer_init(&peer, 6);
    peer_pack(&peer, IMAPSTATE_SPAN("a1 NOOP\r\n"), Z_SYNC_FLUSH, &packed);
    memset(buffer, 'x', 100);
    memcpy(buffer + 20, packed.at, packed.len);
    compression_take(compression, buffer, 20, 20 + (uint32_t)packed.len);
    assert_true(compression_has_more(compression));
    assert_true(compression_unpack(compression, out, sizeof out, &got));
    CHECK_SPAN("taken", ((struct imapstate_span){ out, got }), IMAPSTATE_SPAN("a1 NOOP\r\n"));
    assert_false(compression_has_more(compression));
    peer_done(&peer);
    compression_free(compression);
    imapstate_buf_done(&packed);
}

static const struct {
    const char *name;
    struct imapstate_span packed, octets; /* octets: what comes of it all the same */
    const char *failure;
} damaged[] = {
    { "clear text", IMAPSTATE_SPAN("a1 NOOP\r\n"), { 0 }, NULL },
    { "a block type that there is not", IMAPSTATE_SPAN("\x06"), { 0 }, "invalid block type" },
    { "lengths that do not match", IMAPSTATE_SPAN("\0\1\0\0\0"), { 0 }, "invalid stored block lengths" },
    { "a distance behind the beginning", IMAPSTATE_SPAN("\x4a\x04\x62\x00"), IMAPSTATE_SPAN("a"), NULL },
    { "a last block", IMAPSTATE_SPAN("\x4b\x04\x00"), IMAPSTATE_SPAN("a"), "compressed data ends" },
    { "a zlib header", IMAPSTATE_SPAN("\x78\x9c\x4a\x04\x00\x00\x00\xff\xff"), { 0 }, NULL },
};

TEST(what_is_no_deflate_data_is_told_and_what_came_before_it_is_kept)
{
    for (size_t i = 0; i < ARRAY_LEN(damaged); i++)
        for (size_t cut = 0; cut < damaged[i].packed.len; cut++) {
            struct compression *compression = compression_new(&pool);
            struct imapstate_span packed = damaged[i].packed;
            uint8_t out[64];
            size_t got = 0, total = 0;
            bool is_good = true;
            for (size_t part = 0; part < 2 && is_good; part++) {
                size_t from = part ? cut : 0, to = part ? packed.len : cut;
                memcpy(compression_room(compression), packed.at + from, to - from);
                compression_arrived(compression, to - from);
                while (is_good && compression_has_more(compression)) {
                    is_good = compression_unpack(compression, out + total, sizeof out - total, &got);
                    total += got;
                }
            }
            CHECK_ROW(damaged[i].name, !is_good || !damaged[i].failure);
            if (damaged[i].failure) {
                assert_string_equal(compression_failure(compression), damaged[i].failure);
                CHECK_SPAN(damaged[i].name, ((struct imapstate_span){ out, total }), damaged[i].octets);
            }
            CHECK_ROW(damaged[i].name, is_good || !compression_has_more(compression));
            compression_free(compression);
        }
}

TEST(it_is_seen_whether_the_peer_has_flushed)
{
    static const int flushes[] = { Z_SYNC_FLUSH, Z_FULL_FLUSH };
    for (size_t i = 0; i < ARRAY_LEN(flushes); i++) {
        struct compression *compression = compression_new(&pool);
        struct peer peer;
        LARGE(packed);
        LARGE(octets);
        peer_init(&peer, 6);
        peer_pack(&peer, IMAPSTATE_SPAN("a1 UNAUTHENTICATE\r\n"), flushes[i], &packed);
        /* In the middle of the command, and between its last octet and the end of the flush. */
        assert_true(arrive(compression, (struct imapstate_span){ packed.at, 8 }, 64, &octets));
        assert_false(compression_is_between_blocks(compression));
        assert_true(arrive(compression, (struct imapstate_span){ packed.at + 8, packed.len - 8 }, 64, &octets));
        assert_true(compression_is_between_blocks(compression));
        CHECK_SPAN("flushed", imapstate_buf_span(&octets), IMAPSTATE_SPAN("a1 UNAUTHENTICATE\r\n"));
        peer_done(&peer);
        compression_free(compression);
        imapstate_buf_done(&packed);
        imapstate_buf_done(&octets);
    }
}

/* --- bombs --- */

struct use {
    enum compression_kind kind;
    size_t octets_at_a_time;
};

/* Packs line over and over, and uses all that comes of it. Octets used when it was found to be a bomb, or total. */
static size_t use_lines(const char *line, struct use use, size_t total)
{
    struct compression *compression = compression_new(&pool);
    struct peer peer;
    LARGE(packed);
    uint8_t out[65536];
    static uint8_t lines[1000000];
    size_t used = 0, got, len = strlen(line), lines_len = sizeof lines / len * len;
    bool is_good = true;
    for (size_t i = 0; i < lines_len; i++)
        lines[i] = (uint8_t)line[i % len];
    peer_init(&peer, 6);
    while (is_good && used < total) {
        peer_pack(&peer, (struct imapstate_span){ lines, lines_len }, Z_SYNC_FLUSH, &packed);
        memcpy(compression_room(compression), packed.at, packed.len);
        compression_arrived(compression, packed.len);
        while (is_good && compression_has_more(compression)) {
            assert_true(compression_unpack(compression, out, sizeof out, &got));
            for (size_t at = 0; is_good && at < got; at += use.octets_at_a_time) {
                size_t part = got - at < use.octets_at_a_time ? got - at : use.octets_at_a_time;
                is_good = compression_charge(compression, use.kind, part);
                used += part;
            }
        }
        imapstate_buf_clear(&packed);
    }
    if (!is_good)
        assert_non_null(strstr(compression_failure(compression), "bomb"));
    peer_done(&peer);
    compression_free(compression);
    imapstate_buf_done(&packed);
    return used;
}

TEST(commands_out_of_nearly_nothing_are_a_bomb_and_a_message_may_be_so)
{
    static const char line[] = "a NOOP\r\n";
    for (size_t part = 8; part <= 65536; part *= 64) {
        struct use as_commands = { COMPRESSION_COMMANDS, part }, as_message = { COMPRESSION_MESSAGES, part };
        size_t bomb = use_lines(line, as_commands, 64u << 20);
        assert_in_range(bomb, COMPRESSION_COMMANDS_MAX, 2 * COMPRESSION_COMMANDS_MAX);
        size_t mail = 48u << 20;
        assert_in_range(use_lines(line, as_message, mail), mail, mail + 1000000);
    }
    struct use as_message = { COMPRESSION_MESSAGES, 65536 };
    size_t bomb = use_lines("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n",
                            as_message, UINT64_C(1) << 30);
    assert_in_range(bomb, COMPRESSION_MESSAGES_MAX, 2 * COMPRESSION_MESSAGES_MAX);
}

TEST(what_is_paid_for_passes_in_any_amount)
{
    struct compression *compression = compression_new(&pool);
    struct peer peer;
    char line[200];
    LARGE(packed);
    uint8_t out[65536];
    size_t got, used = 0;
    peer_init(&peer, 6);
    for (unsigned number = 0; used < 3 * COMPRESSION_COMMANDS_MAX; number++) {
        int len = snprintf(line, sizeof line,
                           "A%05u UID FETCH %u (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (DATE FROM "
                           "TO CC SUBJECT MESSAGE-ID REFERENCES IN-REPLY-TO CONTENT-TYPE)])\r\n",
                           number, number);
        peer_pack(&peer, (struct imapstate_span){ (const uint8_t *)line, (size_t)len }, Z_NO_FLUSH, &packed);
        while (packed.len > COMPRESSION_READ_MAX / 2 || compression_has_more(compression)) {
            if (!compression_has_more(compression)) {
                memcpy(compression_room(compression), packed.at, packed.len);
                compression_arrived(compression, packed.len);
                imapstate_buf_clear(&packed);
            }
            assert_true(compression_unpack(compression, out, sizeof out, &got));
            assert_true(compression_charge(compression, COMPRESSION_COMMANDS, got));
            used += got;
        }
    }
    peer_done(&peer);
    compression_free(compression);
    imapstate_buf_done(&packed);
}

/* --- memory --- */

TEST(an_idle_connection_holds_less_than_it_may)
{
    struct compression *compression = compression_new(&pool);
    struct peer peer;
    LARGE(packed);
    LARGE(octets);
    peer_init(&peer, 6);
    /* As much each way as fills every window. */
    for (int times = 0; times < 3; times++) {
        peer_pack(&peer, (struct imapstate_span){ text, 100000 }, Z_SYNC_FLUSH, &packed);
        assert_true(arrive(compression, imapstate_buf_span(&packed), 65536, &octets));
        imapstate_buf_clear(&packed);
        assert_true(compression_pack(compression, (struct imapstate_span){ text, 100000 }, &packed));
        assert_true(compression_size(compression) > 4 * COMPRESSION_IDLE_MAX); /* busy */
        assert_true(compression_flush(compression, &packed));
        imapstate_buf_clear(&packed);
        assert_in_range(compression_size(compression), 1, COMPRESSION_IDLE_MAX);
    }
    print_message("an idle connection holds %zu octets for compression\n", compression_size(compression));
    peer_done(&peer);
    compression_free(compression);
    imapstate_buf_done(&packed);
    imapstate_buf_done(&octets);
}

static bool has_secret(const uint8_t *at, size_t len)
{
    static const char secret[] = "s3cret-token";
    for (size_t i = 0; i + sizeof secret - 1 <= len; i++)
        if (memcmp(at + i, secret, sizeof secret - 1) == 0)
            return true;
    return false;
}

/* P15 */
TEST(what_goes_back_to_the_pool_holds_no_secret)
{
    struct compression *compression = compression_new(&pool);
    struct peer peer;
    LARGE(packed);
    LARGE(octets);
    pool_done(&pool);
    peer_init(&peer, 0); /* stored, so that the packed octets show it too */
    peer_pack(&peer, IMAPSTATE_SPAN("a STATE s3cret-token\r\n"), Z_SYNC_FLUSH, &packed);
    assert_true(arrive(compression, imapstate_buf_span(&packed), 4096, &octets));
    assert_true(compression_pack(compression, IMAPSTATE_SPAN("* STATE s3cret-token\r\n"), &packed));
    assert_true(compression_flush(compression, &packed));
    assert_true(pool.kept_count > 1);
    for (unsigned i = 0; i < pool.kept_count; i++)
        assert_false(has_secret(pool.kept[i], 65536));
    peer_done(&peer);
    compression_free(compression);
    imapstate_buf_done(&packed);
    imapstate_buf_done(&octets);
}

static int begin(void **state)
{
    fill_text();
    return 0;
}

static int end(void **state)
{
    pool_done(&pool);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_is_packed_the_peer_reads_once_it_is_flushed),
        cmocka_unit_test(a_flush_of_nothing_is_nothing),
        cmocka_unit_test(each_flush_ends_with_an_empty_stored_block),
        cmocka_unit_test(the_history_of_a_connection_is_of_use),
        cmocka_unit_test(packed_octets_that_do_not_fit_are_told),
        cmocka_unit_test(packed_octets_come_to_the_same_wherever_they_are_cut),
        cmocka_unit_test(large_input_is_unpacked_in_parts),
        cmocka_unit_test(a_buffer_with_packed_octets_in_its_middle_is_taken),
        cmocka_unit_test(what_is_no_deflate_data_is_told_and_what_came_before_it_is_kept),
        cmocka_unit_test(it_is_seen_whether_the_peer_has_flushed),
        cmocka_unit_test(commands_out_of_nearly_nothing_are_a_bomb_and_a_message_may_be_so),
        cmocka_unit_test(what_is_paid_for_passes_in_any_amount),
        cmocka_unit_test(an_idle_connection_holds_less_than_it_may),
        cmocka_unit_test(what_goes_back_to_the_pool_holds_no_secret),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, begin, end);
}
