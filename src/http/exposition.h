/* exposition: figures in the text forms that Prometheus reads: its own, version 0.0.4, and OpenMetrics 1.0. Both end in
 * "# EOF", which the first takes for a comment.
 *
 * In the table of families in exposition.c is every name that there can be; docs/operations.md explains each. */
#ifndef HTTP_EXPOSITION_H
#define HTTP_EXPOSITION_H

#include <stdbool.h>

struct evbuffer;
struct figures;
struct inheritance;

enum exposition_form { EXPOSITION_TEXT, EXPOSITION_OPENMETRICS };

/* For Content-Type. */
const char *exposition_type(enum exposition_form form);

/* Appends the whole, with what other processes' figures are: each has a label "process" first, which our
 * own have not. inheritance NULL: nobody has been asked, and nothing is said of others. False if out of memory. */
bool exposition_write(const struct figures *figures, const struct inheritance *inheritance, enum exposition_form form,
                      struct evbuffer *ret_text);

#endif
