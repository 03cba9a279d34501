/* logquote: text from outside, as it stands in log lines. */
#ifndef IO_LOGQUOTE_H
#define IO_LOGQUOTE_H

#include <imapstate/span.h>
#include <stddef.h>

/* Text from outside in a form that is safe in a log line: printable ASCII except space, quote and backslash stays, the
 * rest becomes \xHH. Cut to what fits, and then with "..." at the end. size is at least 1. Returns ret_text. */
const char *log_quote(struct imapstate_span text, char *ret_text, size_t size);

#endif
