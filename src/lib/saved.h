/* saved: a token and what it covers, and the text in which a client keeps them: base64url of version (1 octet) | time
 * (8, big endian) | length of the token (2) | token | commands | checksum (16, BLAKE2b).
 *
 * The checksum is against accidents: anybody who can write what a client keeps can do worse. */
#ifndef LIB_SAVED_H
#define LIB_SAVED_H

#include <imapstate/error.h>
#include <imapstate/span.h>

struct saved {
    struct imapstate_buf token;    /* printable ASCII; empty: there is none */
    struct imapstate_buf commands; /* lines.h */
    uint64_t saved_at_s;           /* since 1970-01-01 UTC */
};

/* An empty one. imapstate_saved_done() empties and wipes; it may be used again. */
void imapstate_saved_init(struct saved *saved);
void imapstate_saved_done(struct saved *saved);

/* Can a server's token be kept and sent again? Any printable octets can be, in quotes if necessary. */
bool imapstate_saved_is_token(struct imapstate_span token);

/* Appends the text. False if out or memory is full; then nothing was appended. */
bool imapstate_saved_write(const struct saved *saved, struct imapstate_buf *out);

/* STATE_INVALID if text is not one that imapstate_saved_write() produces; NO_MEMORY. Then saved is empty or as
 * before. */
enum imapstate_error imapstate_saved_read(struct saved *saved, struct imapstate_span text);

#endif
