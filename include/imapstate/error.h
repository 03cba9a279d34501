/* error: every way in which libimapstate says no. The numbers are stable; new ones are added at the end. */
#ifndef IMAPSTATE_ERROR_H
#define IMAPSTATE_ERROR_H

#include <imapstate/api.h>
#include <imapstate/span.h>

IMAPSTATE_BEGIN

#define IMAPSTATE_ERRORS(X)                                                                                            \
    X(OK, 0, "no error")                                                                                               \
    X(NO_MEMORY, 1, "out of memory")                                                                                   \
    X(LINE_TOO_LONG, 2, "line is longer than 64 KiB")                                                                  \
    X(LITERAL_TOO_LARGE, 3, "literal is too large")                                                                    \
    X(LITERAL_MISPLACED, 4, "non-synchronizing literal where no string can begin")                                     \
    X(BARE_CR, 5, "CR without LF")                                                                                     \
    X(BARE_LF, 6, "LF without CR")                                                                                     \
    X(NUL, 7, "NUL outside a literal")                                                                                 \
    X(QUOTED_OPEN, 8, "quoted string without its closing quote")                                                       \
    X(SYNTAX, 9, "syntax error")                                                                                       \
    X(STATE_TOO_LARGE, 10, "state is too large")                                                                       \
    X(STATE_INVALID, 11, "encoded state is damaged")                                                                   \
    X(TOKEN_MALFORMED, 12, "token is malformed")                                                                       \
    X(TOKEN_VERSION, 13, "token has an unknown version")                                                               \
    X(TOKEN_KEY_UNKNOWN, 14, "token was sealed by an unknown key")                                                     \
    X(TOKEN_FORGED, 15, "token was not sealed by the key that it names")                                               \
    X(TOKEN_EXPIRED, 16, "token is past its lifetime")                                                                 \
    X(TOKEN_OTHER_USER, 17, "token belongs to another user")                                                           \
    X(TOKEN_OTHER_UPSTREAM, 18, "token belongs to another upstream")                                                   \
    X(TOKEN_OTHER_FINGERPRINT, 19, "upstream or epoch has changed since the token was sealed")                         \
    X(KEY_NONE, 20, "no key seals at this time")                                                                       \
    X(KEY_DUPLICATE, 21, "key id occurs twice")                                                                        \
    X(KEY_MALFORMED, 22, "key line is malformed")                                                                      \
    X(NOT_YET_VALID, 23, "token was issued in the future")                                                             \
    X(TOKEN_REVOKED, 24, "token was saved before the user's tokens were revoked")

#define X(name, number, text) IMAPSTATE_##name = number,
enum imapstate_error { IMAPSTATE_ERRORS(X) };
#undef X

/* The words for a number; static, never NULL, even for numbers that are not in the list. */
IMAPSTATE_API const char *imapstate_strerror(enum imapstate_error error);

IMAPSTATE_END

#endif
