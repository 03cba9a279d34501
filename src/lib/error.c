#include <imapstate/error.h>

const char *imapstate_strerror(enum imapstate_error error)
{
    switch (error) {
#define X(name, number, lasts, text)                                                                                   \
    case IMAPSTATE_##name:                                                                                             \
        return text;
        IMAPSTATE_ERRORS(X)
#undef X
    }
    return "unknown error";
}

bool imapstate_error_is_final(enum imapstate_error error)
{
    enum { PASSING, FINAL };
    switch (error) {
#define X(name, number, lasts, text)                                                                                   \
    case IMAPSTATE_##name:                                                                                             \
        return lasts == FINAL;
        IMAPSTATE_ERRORS(X)
#undef X
    }
    return false;
}
