#include "compression.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define ZLIB_CONST
#include <zlib.h>

/* RFC 4978 section 4: raw deflate, by a negative number. */
#define COMPRESSION_WINDOW_BITS 15
#define COMPRESSION_MEMORY      8
/* Mail gets 3 % smaller by level 6, zlib's default, for 1.6 times the CPU. */
#define COMPRESSION_LEVEL 4
/* Of what was sent, for the next compressor to refer to. Answers of a kilobyte get 1.6 times as small by it as without;
 * with all of the window they would by 1.7. */
#define COMPRESSION_HISTORY 8192u
/* zlib asks for five at most. */
#define COMPRESSION_BLOCKS_MAX 8

/* What zlib has allocated, so that it can be wiped and counted. */
struct memory {
    struct pool *pool; /* borrowed */
    struct {
        void *at;
        size_t octets;
    } blocks[COMPRESSION_BLOCKS_MAX];
};

struct compression {
    z_stream packer, unpacker;
    struct memory packer_memory, unpacker_memory;
    uint8_t *waiting; /* packed octets [from .. to), from the pool; NULL while there are none */
    uint32_t from, to;
    bool is_packing;      /* packer lives; a flush is owed */
    bool may_hold_output; /* the last time there was no room for more */
    const char *failure;
    uint64_t octets_in, octets_out, packed_in;
    uint64_t charged_at[COMPRESSION_KIND_MAX]; /* packed_in, at the last charge */
    uint64_t unpaid[COMPRESSION_KIND_MAX];     /* octets */
    uint32_t history_len;
    uint8_t history[COMPRESSION_HISTORY];
};

/* --- zlib's memory --- */

/* Those that nearly fill a buffer of the pool are one: they come and go with each flush, and glibc would trim and fault
 * them again. */
static bool memory_is_pooled(size_t octets)
{
    return octets <= POOL_BUFFER_OCTETS && octets > POOL_BUFFER_OCTETS / 2;
}

static void *memory_take(void *opaque, uInt items, uInt size)
{
    struct memory *memory = opaque;
    size_t octets, i = 0;
    while (i < COMPRESSION_BLOCKS_MAX && memory->blocks[i].at)
        i++;
    if (i == COMPRESSION_BLOCKS_MAX || __builtin_mul_overflow((size_t)items, (size_t)size, &octets))
        return NULL;
    memory->blocks[i].at = memory_is_pooled(octets) ? pool_take(memory->pool) : malloc(octets);
    memory->blocks[i].octets = octets;
    return memory->blocks[i].at;
}

static void memory_give(void *opaque, void *at)
{
    struct memory *memory = opaque;
    for (size_t i = 0; i < COMPRESSION_BLOCKS_MAX; i++) {
        if (memory->blocks[i].at != at)
            continue;
        sodium_memzero(at, memory->blocks[i].octets);
        if (memory_is_pooled(memory->blocks[i].octets))
            pool_give(memory->pool, at);
        else
            free(at);
        memory->blocks[i].at = NULL;
        return;
    }
}

static size_t memory_octets(const struct memory *memory)
{
    size_t octets = 0;
    for (size_t i = 0; i < COMPRESSION_BLOCKS_MAX; i++)
        octets += memory->blocks[i].at ? memory->blocks[i].octets : 0;
    return octets;
}

static z_stream stream_of(struct memory *memory)
{
    return (z_stream){ .zalloc = memory_take, .zfree = memory_give, .opaque = memory };
}

/* --- life --- */

struct compression *compression_new(struct pool *pool)
{
    struct compression *compression = calloc(1, sizeof *compression);
    if (!compression)
        return NULL;
    compression->packer_memory.pool = compression->unpacker_memory.pool = pool;
    compression->unpacker = stream_of(&compression->unpacker_memory);
    if (inflateInit2(&compression->unpacker, -COMPRESSION_WINDOW_BITS) == Z_OK)
        return compression;
    free(compression);
    return NULL;
}

void compression_free(struct compression *compression)
{
    if (!compression)
        return;
    if (compression->is_packing)
        deflateEnd(&compression->packer);
    inflateEnd(&compression->unpacker);
    compression_drop(compression);
    sodium_memzero(compression, sizeof *compression);
    free(compression);
}

const char *compression_failure(const struct compression *compression)
{
    return compression->failure;
}

uint64_t compression_octets_in(const struct compression *compression)
{
    return compression->octets_in;
}

uint64_t compression_octets_out(const struct compression *compression)
{
    return compression->octets_out;
}

size_t compression_size(const struct compression *compression)
{
    return sizeof *compression + memory_octets(&compression->packer_memory) +
           memory_octets(&compression->unpacker_memory) + (compression->waiting ? POOL_BUFFER_OCTETS : 0);
}

/* --- outgoing --- */

static void compression_remember(struct compression *compression, struct imapstate_span octets)
{
    if (octets.len > COMPRESSION_HISTORY) {
        octets.at += octets.len - COMPRESSION_HISTORY;
        octets.len = COMPRESSION_HISTORY;
    }
    size_t kept = COMPRESSION_HISTORY - octets.len;
    if (kept > compression->history_len)
        kept = compression->history_len;
    memmove(compression->history, compression->history + compression->history_len - kept, kept);
    memcpy(compression->history + kept, octets.at, octets.len);
    compression->history_len = (uint32_t)(kept + octets.len);
}

static bool compression_begin_packing(struct compression *compression)
{
    compression->packer = stream_of(&compression->packer_memory);
    if (deflateInit2(&compression->packer, COMPRESSION_LEVEL, Z_DEFLATED, -COMPRESSION_WINDOW_BITS, COMPRESSION_MEMORY,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    compression->is_packing = true;
    return compression->history_len == 0 ||
           deflateSetDictionary(&compression->packer, compression->history, compression->history_len) == Z_OK;
}

/* Lets zlib work on what it was given, up to its last octet. */
static bool compression_run(struct compression *compression, int flush, struct imapstate_buf *packed)
{
    uint8_t out[8192];
    size_t got;
    bool fits = true;
    do {
        compression->packer.next_out = out;
        compression->packer.avail_out = sizeof out;
        deflate(&compression->packer, flush);
        got = sizeof out - compression->packer.avail_out;
        fits = imapstate_buf_put(packed, (struct imapstate_span){ out, got });
        sodium_memzero(out, got);
    } while (fits && got == sizeof out);
    return fits;
}

bool compression_pack(struct compression *compression, struct imapstate_span octets, struct imapstate_buf *packed)
{
    if (octets.len == 0)
        return true;
    if (!compression->is_packing && !compression_begin_packing(compression))
        return false;
    assert(octets.len <= UINT32_MAX);
    compression->packer.next_in = octets.at;
    compression->packer.avail_in = (uInt)octets.len;
    compression->octets_out += octets.len;
    compression_remember(compression, octets);
    return compression_run(compression, Z_NO_FLUSH, packed);
}

bool compression_flush(struct compression *compression, struct imapstate_buf *packed)
{
    if (!compression->is_packing)
        return true;
    bool is_flushed = compression_run(compression, Z_SYNC_FLUSH, packed);
    deflateEnd(&compression->packer);
    compression->is_packing = false;
    return is_flushed;
}

bool compression_owes_flush(const struct compression *compression)
{
    return compression->is_packing;
}

/* --- incoming --- */

void compression_drop(struct compression *compression)
{
    if (compression->waiting)
        sodium_memzero(compression->waiting, compression->to);
    pool_give(compression->unpacker_memory.pool, compression->waiting);
    compression->waiting = NULL;
    compression->from = compression->to = 0;
    compression->may_hold_output = false;
}

void compression_take(struct compression *compression, uint8_t *at, uint32_t from, uint32_t to)
{
    assert(!compression->waiting);
    compression->waiting = at;
    compression->from = from;
    compression->to = to;
}

uint8_t *compression_room(struct compression *compression)
{
    assert(compression->from == compression->to);
    if (!compression->waiting)
        compression->waiting = pool_take(compression->unpacker_memory.pool);
    return compression->waiting;
}

void compression_arrived(struct compression *compression, size_t octets)
{
    compression->from = 0;
    compression->to = (uint32_t)octets;
    if (octets == 0)
        compression_drop(compression);
}

bool compression_has_more(const struct compression *compression)
{
    return compression->from < compression->to || compression->may_hold_output;
}

static const char *compression_judge(const struct compression *compression, int result)
{
    switch (result) {
    case Z_OK:
    case Z_BUF_ERROR: /* there was nothing to do */
        return NULL;
    case Z_STREAM_END:
        return "compressed data ends";
    case Z_MEM_ERROR:
        return "out of memory";
    default:
        return compression->unpacker.msg ? compression->unpacker.msg : "compressed data is damaged";
    }
}

bool compression_unpack(struct compression *compression, uint8_t *at, size_t room, size_t *ret_octets)
{
    z_stream *unpacker = &compression->unpacker;
    uint32_t waiting = compression->to - compression->from;
    unpacker->next_in = waiting > 0 ? compression->waiting + compression->from : NULL;
    unpacker->avail_in = waiting;
    unpacker->next_out = at;
    unpacker->avail_out = (uInt)room;
    int result = inflate(unpacker, Z_SYNC_FLUSH);
    *ret_octets = room - unpacker->avail_out;
    compression->octets_in += *ret_octets;
    compression->packed_in += waiting - unpacker->avail_in;
    compression->from = compression->to - unpacker->avail_in;
    compression->failure = compression_judge(compression, result);
    bool may_hold_output = unpacker->avail_out == 0;
    if (compression->from == compression->to || compression->failure)
        compression_drop(compression);
    compression->may_hold_output = may_hold_output && !compression->failure;
    return !compression->failure;
}

bool compression_charge(struct compression *compression, enum compression_kind kind, size_t octets)
{
    static const uint64_t max[COMPRESSION_KIND_MAX] = {
        [COMPRESSION_COMMANDS] = COMPRESSION_COMMANDS_MAX,
        [COMPRESSION_MESSAGES] = COMPRESSION_MESSAGES_MAX,
    };
    uint64_t paid = (compression->packed_in - compression->charged_at[kind]) * COMPRESSION_PAID;
    uint64_t owed = compression->unpaid[kind] + octets;
    compression->charged_at[kind] = compression->packed_in;
    compression->unpaid[kind] = owed > paid ? owed - paid : 0;
    if (compression->unpaid[kind] <= max[kind])
        return true;
    compression->failure = "too much out of too little (a decompression bomb)";
    return false;
}

bool compression_is_between_blocks(const struct compression *compression)
{
    return !compression_has_more(compression) && (compression->unpacker.data_type & 128);
}
