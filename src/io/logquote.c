#include "logquote.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static bool log_is_plain(uint8_t octet)
{
    return octet > 0x20 && octet < 0x7f && octet != '"' && octet != '\\';
}

const char *log_quote(struct imapstate_span text, char *ret_text, size_t size)
{
    static const char hex[] = "0123456789abcdef";
    static const char cut[] = "...";
    size_t len = 0;
    size_t cut_at = 0; /* where the mark still fits */
    for (size_t i = 0; i < text.len; i++) {
        uint8_t octet = text.at[i];
        size_t width = log_is_plain(octet) ? 1 : 4;
        if (width >= size - len) {
            if (sizeof(cut) <= size - cut_at) {
                memcpy(ret_text + cut_at, cut, sizeof(cut));
                return ret_text;
            }
            break;
        }
        if (width == 1)
            ret_text[len] = (char)octet;
        else
            memcpy(ret_text + len, (const char[]){ '\\', 'x', hex[octet >> 4], hex[octet & 15] }, 4);
        len += width;
        if (sizeof(cut) <= size - len)
            cut_at = len;
    }
    ret_text[len] = '\0';
    return ret_text;
}
