/* What a response shows to be on is one kind of thing, or FETCH's two, whatever stands behind its name; and a pristine
 * connection accounts for none of it. */
#include "fuzz.h"

#include "evidence.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct imapstate_span line = { at, len };
    const struct pipeline pipeline = { 0 };
    unsigned evidence = evidence_read(line);
    bool is_one = (evidence & (evidence - 1)) == 0;
    CHECK(is_one || evidence == (EVIDENCE_UIDFETCH | EVIDENCE_MODSEQ));
    CHECK(evidence_is_accounted(evidence, NULL) == (evidence == 0));
    CHECK(evidence_unasked(evidence, &pipeline) == evidence);
    CHECK(evidence == 0 || (len > 2 && memchr(at, '*', len)));
    return 0;
}
