#include <imapstate/version.h>

uint32_t imapstate_version(void)
{
    return IMAPSTATE_VERSION;
}

const char *imapstate_version_text(void)
{
    return IMAPSTATE_VERSION_TEXT;
}
