/* base64: base64url without padding (RFC 4648 section 5), strictly: one spelling for each sequence of octets. */
#ifndef LIB_BASE64_H
#define LIB_BASE64_H

#include <imapstate/span.h>

#include <sodium.h>

#define BASE64_VARIANT sodium_base64_VARIANT_URLSAFE_NO_PADDING

/* False unless all of text is base64url of at most size octets. octets may have been written even so. */
static inline bool base64_decode(struct imapstate_span text, uint8_t *octets, size_t size, size_t *ret_len)
{
    /* libsodium 1.0.18 accepts 0xdf as "_". */
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] >= 0x80)
            return false;
    return sodium_base642bin(octets, size, (const char *)text.at, text.len, NULL, ret_len, NULL, BASE64_VARIANT) == 0;
}

#endif
