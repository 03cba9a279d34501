/* namespace: a NAMESPACE response with translations added to it (RFC 2342, RFC 5255 section 3.4). No I/O, no state. */
#ifndef IMAP_NAMESPACE_H
#define IMAP_NAMESPACE_H

#include <imapstate/span.h>

/* The most octets in a NAMESPACE response with its translations. */
#define NAMESPACE_LINE_MAX (2u * 65536)

/* Appends the line (a whole response line, including the line end) to ret_line, with TRANSLATION in language
 * (catalogue.h) after those prefixes of other users' and shared namespaces that have one: each part of the prefix
 * between its delimiters that is a usual name of a namespace is translated separately. A prefix that already has a
 * translation gets none. No translation is used that within its class equals another prefix or another's translation,
 * or that contains the delimiter. Names are in modified UTF-7 (RFC 3501 section 5.1.3) or, if is_utf8, in UTF-8. False,
 * with nothing appended, if there is nothing to add, or if the line is not a NAMESPACE response in the form of RFC 2342
 * with quoted strings. */
bool namespace_translate(struct imapstate_span line, unsigned language, bool is_utf8, struct imapstate_buf *ret_line);

#endif
