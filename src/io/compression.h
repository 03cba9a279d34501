/* compression: both directions of a connection that COMPRESS has begun on (RFC 4978): octets in, octets out, no I/O.
 *
 * Packed octets are what is on the wire, raw deflate (RFC 1951). Outgoing ones go to a buffer of the caller's. Incoming
 * ones wait here, in a buffer borrowed from the loop's pool, until they have been unpacked.
 *
 * Between compression_flush() and the next compression_pack() there is no compressor: a new one may go on in the same
 * stream, as a flush ends on an octet and what comes behind need not refer to what came before. Only the last octets
 * are kept for it to refer to. So an idle connection holds what unpacks (RFC 4978 leaves the peer a window of 32 KiB)
 * and no more: below COMPRESSION_IDLE_MAX.
 *
 * Passwords and tokens may be in all of this: whatever is given up is wiped. */
#ifndef IO_COMPRESSION_H
#define IO_COMPRESSION_H

#include <imapstate/span.h>

#include "pool.h"

#define COMPRESSION_IDLE_MAX (64u * 1024)

/* So many packed octets are taken at a time: a bomb of them is 16 MiB at most, before others have their turn. */
#define COMPRESSION_READ_MAX 16384u

/* Deflate expands up to 1032 times. Each octet from the wire pays for 100: thousands of pipelined commands with long
 * arguments that are always the same come to 30. What is not paid for may not pass these: so much as no client
 * pipelines in commands, and more than mail servers take for one message, be it one letter over and over. */
#define COMPRESSION_PAID         100u
#define COMPRESSION_COMMANDS_MAX (UINT64_C(1) << 20)
#define COMPRESSION_MESSAGES_MAX (UINT64_C(256) << 20)

enum compression_kind { COMPRESSION_COMMANDS, COMPRESSION_MESSAGES, COMPRESSION_KIND_MAX };

struct compression;

/* pool is borrowed. NULL if memory is out. */
struct compression *compression_new(struct pool *pool);
void compression_free(struct compression *compression); /* wipes; accepts NULL */

/* --- outgoing --- */

/* Takes octets, and appends to packed what comes of it so far. False: packed is full or memory is out; the stream is
 * broken then. */
bool compression_pack(struct compression *compression, struct imapstate_span octets, struct imapstate_buf *packed);

/* Appends what is still held back, so that the peer can read all that was packed. False likewise. */
bool compression_flush(struct compression *compression, struct imapstate_buf *packed);

/* Is something held back? */
bool compression_owes_flush(const struct compression *compression);

/* --- incoming --- */

/* Takes a buffer of the pool's; the packed octets in it are at[from .. to). None may wait here. */
void compression_take(struct compression *compression, uint8_t *at, uint32_t from, uint32_t to);

/* Where up to COMPRESSION_READ_MAX packed octets may be put, if none wait; NULL if memory is out. compression_arrived()
 * tells how many there are. */
uint8_t *compression_room(struct compression *compression);
void compression_arrived(struct compression *compression, size_t octets);

/* Is there something to be unpacked without another octet from the wire? */
bool compression_has_more(const struct compression *compression);

/* Unpacks as much as goes into at[0 .. room); *ret_octets are there afterwards. False: what follows them is damaged, or
 * memory is out; compression_failure() tells. */
bool compression_unpack(struct compression *compression, uint8_t *at, size_t room, size_t *ret_octets);

/* So many unpacked octets have been used, which were of commands or of message data. False: a bomb, which
 * compression_failure() tells. */
bool compression_charge(struct compression *compression, enum compression_kind kind, size_t octets);

/* Forgets the packed octets that wait. */
void compression_drop(struct compression *compression);

/* Is what arrives next sure to begin a block? It is behind Z_SYNC_FLUSH and Z_FULL_FLUSH, which end on an octet. */
bool compression_is_between_blocks(const struct compression *compression);

/* Words for the log, static; NULL if nothing has failed. */
const char *compression_failure(const struct compression *compression);

/* Octets since the beginning, before they were packed or after they were unpacked. */
uint64_t compression_octets_in(const struct compression *compression);
uint64_t compression_octets_out(const struct compression *compression);

/* Octets of memory that it holds now. */
size_t compression_size(const struct compression *compression);

#endif
