/* words: what a line is made of, between SP and the line end. Spans borrow from the line. */
#ifndef IMAP_WORDS_H
#define IMAP_WORDS_H

#include <imapstate/span.h>
#include <stdbool.h>

/* Takes the next word off *rest; any number of SP may stand before it. Empty at the end. */
struct imapstate_span words_next(struct imapstate_span *rest);

/* The word number index (from 0), where exactly one SP stands between two (RFC 9051 section 9). Empty if there are
 * fewer. */
struct imapstate_span words_at(struct imapstate_span line, unsigned index);

/* Does the line, which is not empty, have its end? */
bool words_have_end(struct imapstate_span line);

/* In any case. */
bool word_is(struct imapstate_span word, const char *name);

#endif
