/* compression: both directions of a connection that COMPRESS has begun on (RFC 4978): octets in, octets out, no I/O.
 *
 * Packed octets are those on the wire, raw deflate (RFC 1951). Outgoing ones go to a buffer of the caller's. Incoming
 * ones wait here, in a buffer borrowed from the loop's pool, until they have been unpacked.
 *
 * Between compression_flush() and the next compression_pack() there is no compressor: a new one may continue the same
 * stream, as a flush ends on an octet boundary and what follows need not refer to what came before. Only the last
 * octets are kept for it to refer to. So an idle connection holds the decompressor (RFC 4978 allows the peer a window
 * of 32 KiB) and little more: less than COMPRESSION_IDLE_MAX.
 *
 * All of this may contain passwords and tokens: memory is wiped when it is given up. */
#ifndef IO_COMPRESSION_H
#define IO_COMPRESSION_H

#include <imapstate/span.h>

#include "pool.h"

#define COMPRESSION_IDLE_MAX (64u * 1024)

/* This many packed octets are read at a time: a bomb in them has at most 16 MiB, before others get their turn. */
#define COMPRESSION_READ_MAX 16384u

/* Deflate expands up to 1032 times. Each octet from the wire pays for 100: thousands of pipelined commands with long,
 * identical arguments come to 30. What is not paid for may not exceed these limits: more than any client pipelines in
 * commands, and more than mail servers accept in one message, even one that repeats a single letter. */
#define COMPRESSION_PAID         100u
#define COMPRESSION_COMMANDS_MAX (UINT64_C(1) << 20)
#define COMPRESSION_MESSAGES_MAX (UINT64_C(256) << 20)

enum compression_kind { COMPRESSION_COMMANDS, COMPRESSION_MESSAGES, COMPRESSION_KIND_MAX };

struct compression;

/* pool is borrowed. NULL if out of memory. */
struct compression *compression_new(struct pool *pool);
void compression_free(struct compression *compression); /* wipes; accepts NULL */

/* --- outgoing --- */

/* Compresses octets, and appends what has resulted so far to packed. False: packed is full or memory is out; the stream
 * is then broken. */
bool compression_pack(struct compression *compression, struct imapstate_span octets, struct imapstate_buf *packed);

/* Appends what is still held back, so that the peer can read everything that was packed. False as above. */
bool compression_flush(struct compression *compression, struct imapstate_buf *packed);

/* Is something held back? */
bool compression_owes_flush(const struct compression *compression);

/* --- incoming --- */

/* Takes a buffer of the pool's; the packed octets in it are at[from .. to). No octets may be waiting here. */
void compression_take(struct compression *compression, uint8_t *at, uint32_t from, uint32_t to);

/* Where up to COMPRESSION_READ_MAX packed octets may be put, if none wait; NULL if out of memory. compression_arrived()
 * says how many there are. */
uint8_t *compression_room(struct compression *compression);
void compression_arrived(struct compression *compression, size_t octets);

/* Can anything be unpacked without another octet from the wire? */
bool compression_has_more(const struct compression *compression);

/* Unpacks as much as fits into at[0 .. room); *ret_octets are there afterwards. False: what follows them is damaged, or
 * memory is out; compression_failure() says which. */
bool compression_unpack(struct compression *compression, uint8_t *at, size_t room, size_t *ret_octets);

/* This many unpacked octets have been used, of commands or of message data. False: a bomb, as compression_failure()
 * says. */
bool compression_charge(struct compression *compression, enum compression_kind kind, size_t octets);

/* Forgets the packed octets that wait. */
void compression_drop(struct compression *compression);

/* Is what arrives next certain to begin a block? It is after Z_SYNC_FLUSH and Z_FULL_FLUSH, which end on an octet
 * boundary. */
bool compression_is_between_blocks(const struct compression *compression);

/* Words for the log, static; NULL if nothing has failed. */
const char *compression_failure(const struct compression *compression);

/* Octets since the beginning, before they were packed or after they were unpacked. */
uint64_t compression_octets_in(const struct compression *compression);
uint64_t compression_octets_out(const struct compression *compression);

/* Octets of memory that it holds now. */
size_t compression_size(const struct compression *compression);

#endif
