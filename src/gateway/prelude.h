/* prelude: what is known of an upstream before anyone logs in: its greeting's capability list, its full one, its answer
 * to ID. Learned from every connection, shared by all workers, kept by the upstream's name across reloads. */
#ifndef GATEWAY_PRELUDE_H
#define GATEWAY_PRELUDE_H

#include <imapstate/span.h>
#include <stdbool.h>
#include <stdint.h>

/* How long a list may be shown to new clients before an upstream is asked again. */
#define PRELUDE_FRESH_MS   60000u
#define PRELUDE_NAMES_MAX  8192u
#define PRELUDE_ANSWER_MAX 8192u

/* Appends the full list to ret_names. False: none is known (ret_fresh is then false), or it does not fit. *ret_fresh,
 * if given: the list was learned less than PRELUDE_FRESH_MS ago. */
bool prelude_names(const char *upstream, uint64_t now_ms, struct imapstate_buf *ret_names, bool *ret_fresh);

/* The same, but only if it is fresh and the upstream that gave it greeted with exactly this list: a greeting often has
 * a short one, and asking anew at every connection would cost a round trip. */
bool prelude_names_for_greeting(const char *upstream, struct imapstate_span greeting_names, uint64_t now_ms,
                                struct imapstate_buf *ret_names);

/* Learned from an upstream. greeting_names is empty if the greeting had no list or TLS was begun since. */
void prelude_learn_names(const char *upstream, struct imapstate_span greeting_names, struct imapstate_span names,
                         uint64_t now_ms);

/* The untagged ID response, line end included. One with literals is not learned. */
bool prelude_id(const char *upstream, struct imapstate_buf *ret_line);
void prelude_learn_id(const char *upstream, struct imapstate_span line);

/* The upstream has ID, or has it not. True if it has not, and that is news. */
bool prelude_misses_id(const char *upstream, bool has_id);

/* Forgets everything, at the end. */
void prelude_done(void);

#endif
