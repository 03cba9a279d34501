/* password: read from where no other user of the machine can see it. */
#ifndef CTL_PASSWORD_H
#define CTL_PASSWORD_H

#include <imapstate/span.h>

/* Octets in a password. */
#define PASSWORD_MAX 4096u

/* Reads a password from the first line of a file, "-" being standard input; if path is NULL from the terminal, without
 * echo, after a prompt, or, if standard input is no terminal, from its first line. Appended to ret_password. False
 * after writing why to standard error: it cannot be read, is empty, too long, or has a NUL. */
bool password_read(const char *path, const char *prompt, struct imapstate_buf *ret_password);

#endif
