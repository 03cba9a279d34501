#include "jsontext.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* \uXXXX */
#define JSONTEXT_ESCAPE_MAX 6

/* RFC 3629 section 4: the length of the character at the beginning, or 0 if that is none. The second octet shows what
 * is too long, a surrogate, or beyond U+10FFFF. */
static size_t jsontext_utf8_len(struct imapstate_span text)
{
    const uint8_t *at = text.at;
    size_t len = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : at[0] < 0xf5 ? 4 : 0;
    if (len == 0 || len > text.len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    bool is_wrong = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
                    (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f);
    return is_wrong ? 0 : len;
}

/* What the first character of text is written as: itself, or an escape in escape. Takes it from text. */
static struct imapstate_span jsontext_character(struct imapstate_span *text, char escape[JSONTEXT_ESCAPE_MAX + 1])
{
    size_t len = jsontext_utf8_len(*text), taken = len > 0 ? len : 1;
    struct imapstate_span itself = { text->at, len };
    uint8_t octet = *text->at;
    text->at += taken;
    text->len -= taken;
    if (len == 0)
        snprintf(escape, JSONTEXT_ESCAPE_MAX + 1, "\\ufffd");
    else if (octet == '"' || octet == '\\')
        snprintf(escape, JSONTEXT_ESCAPE_MAX + 1, "\\%c", octet);
    else if (octet < 0x20 || octet == 0x7f)
        snprintf(escape, JSONTEXT_ESCAPE_MAX + 1, "\\u%04x", octet);
    else
        return itself;
    return imapstate_span_of(escape);
}

size_t jsontext_write(struct imapstate_span text, char *ret_string, size_t size)
{
    static const char cut[] = "...\"";
    size_t len = 0, cut_at = 1; /* where the mark still fits */
    char escape[JSONTEXT_ESCAPE_MAX + 1];
    ret_string[len++] = '"';
    while (text.len > 0) {
        struct imapstate_span written = jsontext_character(&text, escape);
        if (written.len + 1 > size - len) {
            memcpy(ret_string + cut_at, cut, sizeof cut - 1);
            return cut_at + sizeof cut - 1;
        }
        memcpy(ret_string + len, written.at, written.len);
        len += written.len;
        if (sizeof cut - 1 <= size - len)
            cut_at = len;
    }
    ret_string[len++] = '"';
    return len;
}
