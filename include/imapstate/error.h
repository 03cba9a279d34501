/* error: every way in which libimapstate says no. The numbers are stable; new ones are added at the end.
 *
 * Threads: any number may call these at the same time. */
#ifndef IMAPSTATE_ERROR_H
#define IMAPSTATE_ERROR_H

#include <imapstate/api.h>
#include <imapstate/span.h>

IMAPSTATE_BEGIN

/* Name, number, FINAL or PASSING (see imapstate_error_is_final()), words. */
#define IMAPSTATE_ERRORS(X)                                                                                            \
    X(OK, 0, PASSING, "no error")                                                                                      \
    X(NO_MEMORY, 1, PASSING, "out of memory")                                                                          \
    X(LINE_TOO_LONG, 2, FINAL, "line is longer than 64 KiB")                                                           \
    X(LITERAL_TOO_LARGE, 3, FINAL, "literal is too large")                                                             \
    X(LITERAL_MISPLACED, 4, FINAL, "non-synchronizing literal where no string can begin")                              \
    X(BARE_CR, 5, FINAL, "CR without LF")                                                                              \
    X(BARE_LF, 6, FINAL, "LF without CR")                                                                              \
    X(NUL, 7, FINAL, "NUL outside a literal")                                                                          \
    X(QUOTED_OPEN, 8, FINAL, "quoted string without its closing quote")                                                \
    X(SYNTAX, 9, FINAL, "syntax error")                                                                                \
    X(STATE_TOO_LARGE, 10, FINAL, "state is too large")                                                                \
    X(STATE_INVALID, 11, FINAL, "encoded state is damaged")                                                            \
    X(TOKEN_MALFORMED, 12, FINAL, "token is malformed")                                                                \
    X(TOKEN_VERSION, 13, FINAL, "token has an unknown version")                                                        \
    X(TOKEN_KEY_UNKNOWN, 14, FINAL, "token was sealed by an unknown key")                                              \
    X(TOKEN_FORGED, 15, FINAL, "token was not sealed by the key that it names")                                        \
    X(TOKEN_EXPIRED, 16, FINAL, "token is past its lifetime")                                                          \
    X(TOKEN_OTHER_USER, 17, FINAL, "token belongs to another user")                                                    \
    X(TOKEN_OTHER_UPSTREAM, 18, FINAL, "token belongs to another upstream")                                            \
    X(TOKEN_OTHER_FINGERPRINT, 19, FINAL, "upstream or epoch has changed since the token was sealed")                  \
    X(KEY_NONE, 20, PASSING, "no key seals at this time")                                                              \
    X(KEY_DUPLICATE, 21, FINAL, "key id occurs twice")                                                                 \
    X(KEY_MALFORMED, 22, FINAL, "key line is malformed")                                                               \
    X(NOT_YET_VALID, 23, FINAL, "token was issued in the future")                                                      \
    X(TOKEN_REVOKED, 24, FINAL, "token was saved before the user's tokens were revoked")                               \
    X(UNSUPPORTED, 25, PASSING, "asks for what this version of the library does not have")                             \
    X(NOT_PRISTINE, 26, FINAL, "something else is on already, or may be (P7)")

#define X(name, number, lasts, text) IMAPSTATE_##name = number,
enum imapstate_error { IMAPSTATE_ERRORS(X) };
#undef X

/* The words for a number; static, never NULL, even for numbers that are not in the list. */
IMAPSTATE_API const char *imapstate_strerror(enum imapstate_error error);

/* Is the same answer to be expected whenever this is tried again? So it is decided how STATE is answered whose token
 * could not be opened, or whose state could not be decoded: true, OK, and the client forgets its token (P5); false,
 * NO [UNAVAILABLE], and it may still be good (P6). Numbers that are not in the list are not final. */
IMAPSTATE_API bool imapstate_error_is_final(enum imapstate_error error);

IMAPSTATE_END

#endif
