/* What a server sends is framed alike however it is cut, and whether long lines are passed in parts or held. */
#include "fuzz-frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    if (len < FUZZ_FRAME_HEAD)
        return 0;
    fuzz_frame(IMAPSTATE_FRAME_RESPONSES, at, len);
    return 0;
}
