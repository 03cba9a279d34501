/* What a client sends is framed alike however it is cut. The first octets of the input choose the cut and what the
 * server decides; the rest is the client's. */
#include "fuzz-frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    if (len < FUZZ_FRAME_HEAD)
        return 0;
    fuzz_frame(IMAPSTATE_FRAME_COMMANDS, at, len);
    return 0;
}
