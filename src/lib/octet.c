#include "octet.h"

#define ALL (OCTET_ATOM | OCTET_ASTRING | OCTET_TAG | OCTET_LIST)

/* clang-format off */
const uint8_t imapstate_octets[256] = {
    ['!'] = ALL,
    ['#' ... '$'] = ALL,
    ['%'] = OCTET_LIST,
    ['&' ... '\''] = ALL,
    ['*'] = OCTET_LIST,
    ['+'] = ALL & ~OCTET_TAG,
    [',' ... '['] = ALL,
    [']'] = ALL & ~OCTET_ATOM,
    ['^' ... 'z'] = ALL,
    ['|' ... '~'] = ALL,
};
/* clang-format on */
