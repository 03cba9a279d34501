/* version: of the headers that a program is built with, and of the library that it runs with.
 *
 * Threads: any number may call these at the same time. */
#ifndef IMAPSTATE_VERSION_H
#define IMAPSTATE_VERSION_H

#include <imapstate/api.h>

#include <stdint.h>

IMAPSTATE_BEGIN

#define IMAPSTATE_VERSION_MAJOR 0
#define IMAPSTATE_VERSION_MINOR 1
#define IMAPSTATE_VERSION_PATCH 0
#define IMAPSTATE_VERSION_TEXT  "0.1.0"
/* As one number, to be compared: 0x000100 is 0.1.0. */
#define IMAPSTATE_VERSION ((IMAPSTATE_VERSION_MAJOR << 16) | (IMAPSTATE_VERSION_MINOR << 8) | IMAPSTATE_VERSION_PATCH)

/* The library's; the text is static. */
IMAPSTATE_API uint32_t imapstate_version(void);
IMAPSTATE_API const char *imapstate_version_text(void);

IMAPSTATE_END

#endif
