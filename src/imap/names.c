#include "names.h"

#include <imapstate/state.h>

#include <stdlib.h>
#include <strings.h>

static int name_compare(const void *a, const void *b)
{
    const struct imapstate_span *left = a, *right = b;
    size_t len = left->len < right->len ? left->len : right->len;
    int order = strncasecmp((const char *)left->at, (const char *)right->at, len);
    return order ? order : (left->len > right->len) - (left->len < right->len);
}

static bool put_upper(struct imapstate_buf *out, struct imapstate_span name)
{
    for (size_t i = 0; i < name.len; i++) {
        uint8_t octet = name.at[i];
        if (!imapstate_buf_put_byte(out, octet >= 'a' && octet <= 'z' ? (uint8_t)(octet - 'a' + 'A') : octet))
            return false;
    }
    return true;
}

size_t names_in_order(struct imapstate_span names, struct imapstate_span ret_each[NAMES_COUNT_MAX])
{
    size_t count = 0, kept = 0;
    while (names.len <= NAMES_MAX && imapstate_enable_next(&names, &ret_each[count]))
        count++;
    qsort(ret_each, count, sizeof *ret_each, name_compare);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || name_compare(&ret_each[i], &ret_each[kept - 1]) != 0)
            ret_each[kept++] = ret_each[i];
    return kept;
}

bool names_put_in_order(struct imapstate_buf *out, struct imapstate_span names)
{
    struct imapstate_span each[NAMES_COUNT_MAX];
    size_t count = names_in_order(names, each);
    bool fits = count > 0;
    for (size_t i = 0; fits && i < count; i++)
        fits = (i == 0 || imapstate_buf_put_byte(out, ' ')) && put_upper(out, each[i]);
    return fits;
}
