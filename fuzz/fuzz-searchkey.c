/* What is announced as the string of a key stands behind a key that has one, and behind a blank; the keys of a SORT are
 * the end of its line. */
#include "fuzz.h"

#include <string.h>

#include "searchkey.h"

static bool has_key(struct imapstate_span line)
{
    static const char *const keys[] = { "BCC", "BODY", "CC", "FROM", "HEADER", "SUBJECT", "TEXT", "TO" };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (imapstate_span_contains_nocase(line, imapstate_span_of(keys[i])))
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct imapstate_span line = { at, len }, keys = line;
    const uint8_t *brace = len > 0 ? memrchr(at, '{', len) : NULL;
    CHECK(!searchkey_awaits_string(line) || (has_key(line) && brace > at && brace[-1] == ' '));
    bool is_sort = searchkey_take_charset(&keys);
    CHECK(keys.at + keys.len == at + len && (is_sort ? keys.len < len && keys.at[-1] == ' ' : keys.len == len));
    return 0;
}
