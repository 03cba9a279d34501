/* namespace: a NAMESPACE response with translations added to it (RFC 2342, RFC 5255 section 3.4). No I/O, no state. */
#ifndef IMAP_NAMESPACE_H
#define IMAP_NAMESPACE_H

#include <imapstate/span.h>

/* Octets that a NAMESPACE response may have with its translations. */
#define NAMESPACE_LINE_MAX (2u * 65536)

/* Appends the line (a whole response line, line end included) to ret_line with TRANSLATION in language (catalogue.h)
 * behind those prefixes of other users' and shared namespaces that have one: the parts of the prefix between its
 * delimiters that are usual names of namespaces, each for itself. No translation is given to a prefix that has one
 * already, nor one that within its class is another prefix or another's translation, nor one that holds the delimiter.
 * Names are in modified UTF-7 (RFC 3501 section 5.1.3), or, is_utf8, in UTF-8. False, with nothing appended, if there
 * is nothing to add, or the line is none of NAMESPACE in the form of RFC 2342 with quoted strings. */
bool namespace_translate(struct imapstate_span line, unsigned language, bool is_utf8, struct imapstate_buf *ret_line);

#endif
