#include <imapstate/span.h>

#include <assert.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "octet.h"

#define BUF_SIZE_MIN 256u

struct imapstate_span imapstate_span_of(const char *text)
{
    return (struct imapstate_span){ (const uint8_t *)text, text ? strlen(text) : 0 };
}

bool imapstate_span_equal(struct imapstate_span a, struct imapstate_span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

bool imapstate_span_equal_nocase(struct imapstate_span a, struct imapstate_span b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (octet_lower(a.at[i]) != octet_lower(b.at[i]))
            return false;
    return true;
}

struct imapstate_span imapstate_span_without_line_end(struct imapstate_span line)
{
    if (line.len == 0 || line.at[line.len - 1] != '\n')
        return line;
    line.len--;
    if (line.len > 0 && line.at[line.len - 1] == '\r')
        line.len--;
    return line;
}

bool imapstate_span_contains_nocase(struct imapstate_span haystack, struct imapstate_span needle)
{
    if (needle.len == 0)
        return true; /* nothing may be added to NULL, not even 0 */
    for (size_t i = 0; needle.len <= haystack.len && i <= haystack.len - needle.len; i++)
        if (imapstate_span_equal_nocase((struct imapstate_span){ haystack.at + i, needle.len }, needle))
            return true;
    return false;
}

void imapstate_buf_init(struct imapstate_buf *buf, size_t max)
{
    *buf = (struct imapstate_buf){ .max = max };
}

/* Makes room for more octets behind len. Not realloc(): it would leave the old octets behind unwiped. */
static bool buf_reserve(struct imapstate_buf *buf, size_t more)
{
    if (more > buf->max - buf->len)
        return false;
    if (more <= buf->size - buf->len)
        return true;
    size_t size = buf->len + more;
    size_t doubled = buf->size <= buf->max / 2 ? buf->size * 2 : buf->max;
    if (size < doubled)
        size = doubled;
    if (size < BUF_SIZE_MIN)
        size = BUF_SIZE_MIN < buf->max ? BUF_SIZE_MIN : buf->max;
    uint8_t *at = malloc(size);
    if (!at)
        return false;
    if (buf->len)
        memcpy(at, buf->at, buf->len);
    if (buf->at)
        sodium_memzero(buf->at, buf->size);
    free(buf->at);
    buf->at = at;
    buf->size = size;
    return true;
}

bool imapstate_buf_put(struct imapstate_buf *buf, struct imapstate_span more)
{
    if (!buf_reserve(buf, more.len))
        return false;
    if (more.len)
        memcpy(buf->at + buf->len, more.at, more.len);
    buf->len += more.len;
    return true;
}

bool imapstate_buf_put_byte(struct imapstate_buf *buf, uint8_t byte)
{
    return imapstate_buf_put(buf, (struct imapstate_span){ &byte, 1 });
}

/* vsnprintf() ends with a NUL, which may not fit where the text itself does: it goes to memory of its own. */
IMAPSTATE_PRINTF(3, 0)
static bool buf_vprintf_put(struct imapstate_buf *buf, size_t len, const char *format, va_list args)
{
    char *text = malloc(len + 1);
    if (!text)
        return false;
    vsnprintf(text, len + 1, format, args);
    bool is_put = imapstate_buf_put(buf, (struct imapstate_span){ (const uint8_t *)text, len });
    sodium_memzero(text, len + 1);
    free(text);
    return is_put;
}

bool imapstate_buf_printf(struct imapstate_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    bool is_put = len >= 0 && buf_vprintf_put(buf, (size_t)len, format, again);
    va_end(again);
    va_end(args);
    return is_put;
}

void imapstate_buf_drop(struct imapstate_buf *buf, size_t len)
{
    assert(len <= buf->len);
    if (!len)
        return;
    memmove(buf->at, buf->at + len, buf->len - len);
    sodium_memzero(buf->at + buf->len - len, len);
    buf->len -= len;
}

void imapstate_buf_clear(struct imapstate_buf *buf)
{
    if (buf->len)
        sodium_memzero(buf->at, buf->len);
    buf->len = 0;
}

void imapstate_buf_done(struct imapstate_buf *buf)
{
    if (buf->at)
        sodium_memzero(buf->at, buf->size);
    free(buf->at);
    imapstate_buf_init(buf, buf->max);
}

struct imapstate_span imapstate_buf_span(const struct imapstate_buf *buf)
{
    return (struct imapstate_span){ buf->at, buf->len };
}
