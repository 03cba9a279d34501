#include "writtenname.h"

#include "octet.h"

static int hex_digit(uint8_t octet)
{
    uint8_t lower = octet_lower(octet);
    return lower >= '0' && lower <= '9' ? lower - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* "\xHH" at the front of in. */
static bool name_take_escaped(struct imapstate_span *in, uint8_t *ret_octet)
{
    if (in->len < 4 || in->at[1] != 'x' || hex_digit(in->at[2]) < 0 || hex_digit(in->at[3]) < 0)
        return false;
    *ret_octet = (uint8_t)(hex_digit(in->at[2]) << 4 | hex_digit(in->at[3]));
    *in = (struct imapstate_span){ in->at + 4, in->len - 4 };
    return true;
}

static bool name_take_octet(struct imapstate_span *in, uint8_t *ret_octet)
{
    if (*in->at == '\\')
        return name_take_escaped(in, ret_octet);
    *ret_octet = *in->at;
    *in = (struct imapstate_span){ in->at + 1, in->len - 1 };
    return *ret_octet > ' ' && *ret_octet != '"' && *ret_octet != 0x7f;
}

bool writtenname_read(uint8_t *at, size_t written_len, size_t *ret_len)
{
    struct imapstate_span in = { at, written_len };
    size_t len = 0;
    for (uint8_t octet; in.len > 0; at[len++] = octet)
        if (!name_take_octet(&in, &octet))
            return false;
    *ret_len = len;
    return true;
}
