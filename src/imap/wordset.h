/* wordset: words that were seen already, in any case; spans borrow. Time grows with the words, not with their square.
 */
#ifndef IMAP_WORDSET_H
#define IMAP_WORDSET_H

#include <imapstate/span.h>

#define WORDSET_FEW 256u

struct wordset {
    struct imapstate_span *slots; /* few, or owned; one that is empty is free, and half of them are always */
    size_t mask;                  /* their number, a power of two, less 1 */
    size_t count;
    uint64_t sum; /* the same for the same words in whatever order; hardly ever for others, unless somebody means it */
    struct imapstate_span few[WORDSET_FEW];
};

/* Room for all words of list, and extra ones more. False if memory is out; then it is only good for wordset_done(). */
bool wordset_init(struct wordset *set, struct imapstate_span list, size_t extra);
void wordset_done(struct wordset *set);

bool wordset_has(const struct wordset *set, struct imapstate_span word);

/* True if the word, which is not empty, was not there yet. */
bool wordset_add(struct wordset *set, struct imapstate_span word);

#endif
