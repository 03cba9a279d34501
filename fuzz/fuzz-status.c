/* A status response tells of a refusal only if it is one. Taken apart it is what it was: its parts lie within it in
 * their order, and put together they are the line again. */
#include "fuzz.h"

#include "refusal.h"
#include "status.h"

#include <string.h>

static void check_parts(struct imapstate_span line, const struct status *status)
{
    const uint8_t *end = line.at + line.len;
    CHECK(status->tag.len > 0 && status->tag.at == line.at && !memchr(status->tag.at, ' ', status->tag.len));
    CHECK(status->word <= STATUS_PREAUTH);
    const uint8_t *behind = status->tag.at + status->tag.len;
    if (status->code.len > 0) {
        CHECK(status->code.at > behind && status->code.at[-1] == '[' && status->code.at[status->code.len] == ']');
        behind = status->code.at + status->code.len + 1;
    }
    if (status->text.len > 0)
        CHECK(status->text.at >= behind && status->text.at + status->text.len + 1 <= end &&
              status->text.at + status->text.len + 2 >= end);
    CHECK(!status->has_alert || (status->code.len >= 5 && status_has_code(status, "ALERT")));
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct imapstate_span line = { at, len };
    struct status status = { .tag = line };
    const uint8_t *lf = len ? memchr(at, '\n', len) : NULL;
    if (!lf)
        return 0;
    line.len = (size_t)(lf - at) + 1;
    struct refusal refusal = refusal_read(line);
    CHECK(!refusal.minds_address || (refusal.is_crowded && refusal.is_passing));
    if (status_parse(line, &status)) {
        check_parts(line, &status);
    } else {
        CHECK(status.tag.at == at && status.tag.len == len); /* nothing was written */
        CHECK(!refusal.is_passing && !refusal.is_crowded);
    }
    return 0;
}
