/* What every fuzz target needs. */
#ifndef FUZZ_H
#define FUZZ_H

#include <imapstate/span.h>

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "not so: %s\n", #condition);                                                               \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* What the first octet of the fuzzer's input chooses, and the rest of it behind: chance alone would hardly find
 * signatures and keywords. The caller frees by imapstate_buf_done(). len is not 0. */
static inline struct imapstate_buf fuzz_begin(const struct imapstate_span *begins, size_t count, const uint8_t *at,
                                              size_t len)
{
    struct imapstate_span begin = begins[at[0] % count];
    struct imapstate_buf in;
    imapstate_buf_init(&in, begin.len + len);
    CHECK(imapstate_buf_put(&in, begin) && imapstate_buf_put(&in, (struct imapstate_span){ at + 1, len - 1 }));
    return in;
}
#define FUZZ_BEGIN(begins, at, len) fuzz_begin(begins, sizeof(begins) / sizeof((begins)[0]), at, len)

#endif
