/* Compressed octets come to the same, or are found damaged at the same place, however they arrive and however little
 * room there is; and whatever was packed is unpacked again. */
#include "fuzz.h"

#include "compression.h"

#include <string.h>

#define OCTETS_MAX (1u << 20) /* of what comes of the input */

static struct pool pool;

/* Takes more packed octets in. False: damaged, or enough has come of them. */
static bool unpack(struct compression *compression, const uint8_t *at, size_t len, size_t room_octets,
                   struct imapstate_buf *octets)
{
    uint8_t room[4096];
    if (len > 0)
        memcpy(compression_room(compression), at, len);
    compression_arrived(compression, len);
    bool is_good = true;
    while (is_good && compression_has_more(compression) && octets->len < OCTETS_MAX) {
        size_t got = 0;
        is_good = compression_unpack(compression, room, room_octets, &got);
        CHECK(got <= room_octets);
        CHECK(imapstate_buf_put(octets, (struct imapstate_span){ room, got }));
        CHECK(is_good || (compression_failure(compression) && !compression_has_more(compression)));
        CHECK(compression_octets_in(compression) == octets->len);
    }
    return is_good && octets->len < OCTETS_MAX;
}

static bool unpack_in_two(const uint8_t *at, size_t len, size_t cut, size_t room_octets, struct imapstate_buf *octets)
{
    struct compression *compression = compression_new(&pool);
    CHECK(compression != NULL);
    bool is_good = unpack(compression, at, cut, room_octets, octets) &&
                   unpack(compression, at + cut, len - cut, room_octets, octets);
    compression_free(compression);
    return is_good;
}

static void check_unpacking(const uint8_t *at, size_t len, size_t cut, size_t room_octets)
{
    struct imapstate_buf whole, in_two;
    imapstate_buf_init(&whole, OCTETS_MAX + 4096);
    imapstate_buf_init(&in_two, OCTETS_MAX + 4096);
    bool is_good = unpack_in_two(at, len, 0, 4096, &whole);
    bool is_good_in_two = unpack_in_two(at, len, cut, room_octets, &in_two);
    /* Where it was too much they stop at different octets. */
    if (whole.len < OCTETS_MAX && in_two.len < OCTETS_MAX)
        CHECK(is_good == is_good_in_two &&
              imapstate_span_equal(imapstate_buf_span(&whole), imapstate_buf_span(&in_two)));
    imapstate_buf_done(&whole);
    imapstate_buf_done(&in_two);
}

static void check_packing(const uint8_t *at, size_t len, size_t cut)
{
    struct compression *compression = compression_new(&pool);
    struct imapstate_buf packed, octets;
    imapstate_buf_init(&packed, COMPRESSION_READ_MAX);
    imapstate_buf_init(&octets, OCTETS_MAX);
    CHECK(compression != NULL);
    CHECK(compression_pack(compression, (struct imapstate_span){ at, cut }, &packed));
    CHECK(compression_flush(compression, &packed));
    CHECK(compression_pack(compression, (struct imapstate_span){ at + cut, len - cut }, &packed));
    CHECK(compression_flush(compression, &packed));
    CHECK(unpack(compression, packed.at, packed.len, 4096, &octets));
    CHECK(imapstate_span_equal(imapstate_buf_span(&octets), (struct imapstate_span){ at, len }));
    CHECK(len == 0 || compression_is_between_blocks(compression));
    CHECK(compression_size(compression) <= COMPRESSION_IDLE_MAX);
    compression_free(compression);
    imapstate_buf_done(&packed);
    imapstate_buf_done(&octets);
}

/* The first two octets choose where it is cut and how much room there is. */
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    if (len < 2 || len > 8192)
        return 0;
    size_t cut = (len - 2) * at[0] / 255, room_octets = 1 + at[1] * 16u;
    check_unpacking(at + 2, len - 2, cut, room_octets);
    check_packing(at + 2, len - 2, cut);
    return 0;
}
