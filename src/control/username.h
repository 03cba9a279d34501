/* username: a user's name, as the log and the control socket show it, and as an operator writes it: octets that would
 * not be safe on a screen, or in a line, are \xHH (log_quote()). */
#ifndef CONTROL_USERNAME_H
#define CONTROL_USERNAME_H

#include <imapstate/span.h>
#include <jansson.h>
#include <stdbool.h>

/* Octets of a name that is not cut when it is shown. */
#define USERNAME_MAX 4096u

/* NULL: out of memory. An empty name is null. */
json_t *username_show(struct imapstate_span name);

/* The octets of what was written; ret_name is initialized, and has room for them. False: a backslash is not followed by
 * xHH, or out of memory. */
bool username_read(const char *written, struct imapstate_buf *ret_name);

#endif
