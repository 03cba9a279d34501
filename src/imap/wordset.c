#include "wordset.h"

#include <assert.h>
#include <stdlib.h>

#include "octet.h"
#include "words.h"

bool wordset_init(struct wordset *set, struct imapstate_span list, size_t extra)
{
    size_t words = extra, slots = WORDSET_FEW;
    while (words_next(&list).len > 0)
        words++;
    while (slots < 2 * words)
        slots *= 2;
    *set = (struct wordset){ .mask = slots - 1 };
    set->slots = slots == WORDSET_FEW ? set->few : calloc(slots, sizeof *set->slots);
    return set->slots;
}

void wordset_done(struct wordset *set)
{
    if (set->slots != set->few)
        free(set->slots);
    set->slots = NULL;
}

/* FNV-1a; letters alike in both cases. */
static uint64_t word_hash(struct imapstate_span word)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < word.len; i++)
        hash = (hash ^ octet_lower(word.at[i])) * 0x100000001b3u;
    return hash ^ hash >> 32;
}

/* Where it is, or would be. */
static size_t wordset_find(const struct wordset *set, struct imapstate_span word, uint64_t hash)
{
    size_t at = hash & set->mask;
    while (set->slots[at].len > 0 && !imapstate_span_equal_nocase(set->slots[at], word))
        at = (at + 1) & set->mask;
    return at;
}

bool wordset_has(const struct wordset *set, struct imapstate_span word)
{
    return set->slots[wordset_find(set, word, word_hash(word))].len > 0;
}

bool wordset_add(struct wordset *set, struct imapstate_span word)
{
    uint64_t hash = word_hash(word);
    size_t at = wordset_find(set, word, hash);
    if (set->slots[at].len > 0)
        return false;
    assert(2 * set->count <= set->mask);
    set->slots[at] = word;
    set->count++;
    set->sum += hash * (hash >> 32 | 1);
    return true;
}
