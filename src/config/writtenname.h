/* writtenname: a user's name as an operator writes it in a file, which is as the log shows it (log_quote()): \xHH for a
 * space, a quote, a backslash and controls; other octets above 127 may stand as they are. */
#ifndef CONFIG_WRITTENNAME_H
#define CONFIG_WRITTENNAME_H

#include <imapstate/span.h>
#include <stdbool.h>
#include <stddef.h>

/* The octets of the name take the place of how they are written, of which they are no more than that. False: it cannot
 * be written so, and what is there is of no use. */
bool writtenname_read(uint8_t *at, size_t written_len, size_t *ret_len);

#endif
