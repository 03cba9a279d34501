/* fuzz-frame: the property that the two directions share: where the input is cut changes nothing. */
#ifndef FUZZ_FRAME_H
#define FUZZ_FRAME_H

#include "fuzz.h"

#include "../tests/unit/frame-events.h"

/* Octets in front of the input: two for the first part, one for the further ones, five for the server's decisions. */
#define FUZZ_FRAME_HEAD 8u

/* Decisions, a few bits each; used up, a literal waits. */
static void fuzz_frame_script(const uint8_t *at, char ret_script[21])
{
    static const char letters[] = "ggrrgcu-";
    for (size_t i = 0; i < 20; i++)
        ret_script[i] = letters[(at[i / 4] >> (i % 4 * 2) ^ i) & 7];
    ret_script[20] = '\0';
}

static void fuzz_frame(enum imapstate_frame_side side, const uint8_t *at, size_t len)
{
    char script[21];
    fuzz_frame_script(at + 3, script);
    size_t first = (size_t)at[0] << 8 | at[1], step = at[2] + 1u;
    struct imapstate_span in = { at + FUZZ_FRAME_HEAD, len - FUZZ_FRAME_HEAD };
    struct frame_run whole = { .side = side, .script = script };
    frame_run_over(&whole, in, in.len, 1);
    for (int passes = 0; passes <= (side == IMAPSTATE_FRAME_RESPONSES); passes++) {
        struct frame_run cut = { .side = side, .script = script, .passes = passes };
        frame_run_over(&cut, in, first % (in.len + 1), step);
        frame_run_require(imapstate_span_equal(imapstate_buf_span(&cut.events), imapstate_buf_span(&whole.events)));
        imapstate_buf_done(&cut.events);
    }
    imapstate_buf_done(&whole.events);
}

#endif
