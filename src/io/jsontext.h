/* jsontext: text as a string of JSON (RFC 8259), whatever octets it has. No I/O, no memory. */
#ifndef IO_JSONTEXT_H
#define IO_JSONTEXT_H

#include <imapstate/span.h>
#include <stddef.h>

/* Room for the shortest string that can be cut: quotes and "...". */
#define JSONTEXT_MIN 5u

/* Writes text with quotes around it, without a NUL behind it, and returns its length. What does not fit into size,
 * which is at least JSONTEXT_MIN, is cut off between two characters, with "..." in its place. Control characters are
 * escaped, and octets that are not UTF-8 (RFC 3629) become U+FFFD, one for each. */
size_t jsontext_write(struct imapstate_span text, char *ret_string, size_t size);

#endif
