/* lines: a list of octet strings in one buffer, each after its length (4 octets, big endian).
 *
 * So a list is wiped, compared and encoded as plain octets. Strings that are returned are borrowed from the buffer. */
#ifndef LIB_LINES_H
#define LIB_LINES_H

#include <imapstate/span.h>

#include <string.h>

#define LINES_HEADER_OCTETS 4u

/* The string that begins at *at, which is moved past it; 0 is the first. False if there is none, or only part of
 * one. */
static inline bool lines_next(struct imapstate_span lines, size_t *at, struct imapstate_span *ret_line)
{
    if (lines.len - *at < LINES_HEADER_OCTETS)
        return false;
    const uint8_t *head = lines.at + *at;
    size_t len = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    if (lines.len - *at - LINES_HEADER_OCTETS < len)
        return false;
    *ret_line = (struct imapstate_span){ head + LINES_HEADER_OCTETS, len };
    *at += LINES_HEADER_OCTETS + len;
    return true;
}

static inline bool lines_contain(struct imapstate_span lines, struct imapstate_span line)
{
    struct imapstate_span other;
    for (size_t at = 0; lines_next(lines, &at, &other);)
        if (imapstate_span_equal(other, line))
            return true;
    return false;
}

/* Appends a string: all of it or nothing. False if it does not fit. */
static inline bool lines_put(struct imapstate_buf *lines, struct imapstate_span line)
{
    size_t len_before = lines->len;
    uint8_t head[LINES_HEADER_OCTETS] = { (uint8_t)(line.len >> 24), (uint8_t)(line.len >> 16),
                                          (uint8_t)(line.len >> 8), (uint8_t)line.len };
    if (line.len <= UINT32_MAX && imapstate_buf_put(lines, (struct imapstate_span){ head, sizeof head }) &&
        imapstate_buf_put(lines, line))
        return true;
    lines->len = len_before;
    return false;
}

/* Removes the string that ends before at. */
static inline void lines_cut(struct imapstate_buf *lines, size_t at, struct imapstate_span line)
{
    struct imapstate_buf rest = *lines;
    size_t begin = at - line.len - LINES_HEADER_OCTETS;
    rest.at += begin;
    rest.len -= begin;
    imapstate_buf_drop(&rest, at - begin);
    lines->len = begin + rest.len;
}

#endif
