#include <imapstate/error.h>

const char *imapstate_strerror(enum imapstate_error error)
{
    switch (error) {
#define X(name, number, text)                                                                                          \
    case IMAPSTATE_##name:                                                                                             \
        return text;
        IMAPSTATE_ERRORS(X)
#undef X
    }
    return "unknown error";
}
