#include "username.h"

#include <string.h>

#include "logquote.h"

json_t *username_show(struct imapstate_span name)
{
    char text[4 * USERNAME_MAX + 1];
    return name.len > 0 ? json_string(log_quote(name, text, sizeof text)) : json_null();
}

static int username_digit(char digit)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = strchr(digits, digit >= 'A' && digit <= 'F' ? digit - 'A' + 'a' : digit);
    return digit && found ? (int)(found - digits) : -1;
}

bool username_read(const char *written, struct imapstate_buf *ret_name)
{
    for (const char *at = written; *at; at++) {
        uint8_t octet = (uint8_t)*at;
        if (octet == '\\') {
            int high = at[1] == 'x' ? username_digit(at[2]) : -1, low = high >= 0 ? username_digit(at[3]) : -1;
            if (low < 0)
                return false;
            octet = (uint8_t)(high << 4 | low);
            at += 3;
        }
        if (!imapstate_buf_put_byte(ret_name, octet))
            return false;
    }
    return true;
}
