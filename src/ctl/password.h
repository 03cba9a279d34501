/* password: reads a secret from where no other user of the machine can see it. */
#ifndef CTL_PASSWORD_H
#define CTL_PASSWORD_H

#include <imapstate/span.h>

/* Octets in a password, and in an access token. */
#define PASSWORD_MAX       4096u
#define PASSWORD_TOKEN_MAX 16384u

/* Reads a secret from the first line of a file; "-" is standard input. If path is NULL, it is read from the terminal,
 * without echo, after a prompt, or, if standard input is not a terminal, from its first line. what ("password") names
 * it in messages. It is appended to ret_secret, whose limit applies. False after writing the reason to standard error:
 * it cannot be read, is empty, is too long, or contains a NUL. */
bool password_read(const char *path, const char *prompt, const char *what, struct imapstate_buf *ret_secret);

#endif
