/* password: a secret that is read from where no other user of the machine can see it. */
#ifndef CTL_PASSWORD_H
#define CTL_PASSWORD_H

#include <imapstate/span.h>

/* Octets in a password, and in an access token. */
#define PASSWORD_MAX       4096u
#define PASSWORD_TOKEN_MAX 16384u

/* Reads a secret from the first line of a file, "-" being standard input; if path is NULL from the terminal, without
 * echo, after a prompt, or, if standard input is no terminal, from its first line. what it is ("password") is for
 * messages. Appended to ret_secret, whose limit is the secret's. False after writing why to standard error: it cannot
 * be read, is empty, too long, or has a NUL. */
bool password_read(const char *path, const char *prompt, const char *what, struct imapstate_buf *ret_secret);

#endif
