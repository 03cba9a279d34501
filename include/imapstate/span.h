/* span: octets that somebody else owns, and buf: octets that grow up to a limit.
 *
 * Octets from the wire may contain NUL and have no terminator, so every length is explicit.
 *
 * Threads: any number may read the same span or buffer, as long as none changes what it holds. */
#ifndef IMAPSTATE_SPAN_H
#define IMAPSTATE_SPAN_H

#include <imapstate/api.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

IMAPSTATE_BEGIN

/* Borrowed octets: a span owns nothing and lives no longer than what it points into.
 * at may be NULL only if len is 0. */
struct imapstate_span {
    const uint8_t *at;
    size_t len;
};

/* The span of a string literal, without its NUL; of anything else it does not compile. */
#ifdef __cplusplus
#define IMAPSTATE_SPAN(text) (imapstate_span{ reinterpret_cast<const uint8_t *>("" text), sizeof("" text) - 1 })
#else
#define IMAPSTATE_SPAN(text) ((struct imapstate_span){ (const uint8_t *)("" text), sizeof("" text) - 1 })
#endif

/* The span of a NUL-terminated string; of NULL, the empty span. */
IMAPSTATE_API struct imapstate_span imapstate_span_of(const char *text);

/* Compares octet for octet. Not for secrets: the time it takes depends on the contents. */
IMAPSTATE_API bool imapstate_span_equal(struct imapstate_span a, struct imapstate_span b);

/* As above, but ASCII letters match in either case (RFC 9051 section 1.2: command names, capabilities, ...). */
IMAPSTATE_API bool imapstate_span_equal_nocase(struct imapstate_span a, struct imapstate_span b);

/* line without the CRLF or LF at its end, if there is one. */
IMAPSTATE_API struct imapstate_span imapstate_span_without_line_end(struct imapstate_span line);

/* Does haystack contain needle (ASCII, any case)? Everything contains an empty needle. */
IMAPSTATE_API bool imapstate_span_contains_nocase(struct imapstate_span haystack, struct imapstate_span needle);

/* A buffer that owns its octets. It may hold secrets: memory that it gives up, when it grows or ends, is wiped first. A
 * buffer that is all zero except max is a valid empty one. */
struct imapstate_buf {
    uint8_t *at; /* owned; NULL while size is 0 */
    size_t len;  /* octets in use; len <= size <= max */
    size_t size; /* octets allocated */
    size_t max;  /* octets it may ever hold */
};

/* An empty buffer that may hold up to max octets. Allocates nothing. */
IMAPSTATE_API void imapstate_buf_init(struct imapstate_buf *buf, size_t max);

/* Appends. False if max would be exceeded or memory is out; then nothing was appended. more must not point into buf
 * itself. */
IMAPSTATE_API bool imapstate_buf_put(struct imapstate_buf *buf, struct imapstate_span more);
IMAPSTATE_API bool imapstate_buf_put_byte(struct imapstate_buf *buf, uint8_t byte);

/* Appends formatted text without its NUL. False in the same cases as imapstate_buf_put(). */
IMAPSTATE_API bool imapstate_buf_printf(struct imapstate_buf *buf, const char *format, ...) IMAPSTATE_PRINTF(2, 3);

/* Removes the first len octets (len <= buf->len) and wipes where the rest was. */
IMAPSTATE_API void imapstate_buf_drop(struct imapstate_buf *buf, size_t len);

/* Empties and wipes; keeps the memory for further use. */
IMAPSTATE_API void imapstate_buf_clear(struct imapstate_buf *buf);

/* Empties, wipes and frees; max stays, so that the buffer may be used again. */
IMAPSTATE_API void imapstate_buf_done(struct imapstate_buf *buf);

/* The contents of the buffer; valid until the buffer is next changed. */
IMAPSTATE_API struct imapstate_span imapstate_buf_span(const struct imapstate_buf *buf);

IMAPSTATE_END

#endif
