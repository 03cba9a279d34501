#include "offers.h"

#include <stdlib.h>
#include <string.h>

#include "words.h"
#include "wordset.h"

/* False if memory is out. */
static bool names_sum(struct imapstate_span names, uint64_t *ret_sum, size_t *ret_count)
{
    struct wordset set;
    struct imapstate_span left = names, word;
    bool has_memory = wordset_init(&set, names, 0);
    while (has_memory && (word = words_next(&left)).len > 0)
        wordset_add(&set, word);
    *ret_sum = set.sum;
    *ret_count = set.count;
    wordset_done(&set);
    return has_memory;
}

struct offers *offers_new(struct imapstate_span names)
{
    struct offers *offers =
        names.len > 0 && names.len <= CAPABILITY_LIST_MAX ? malloc(sizeof *offers + names.len) : NULL;
    if (!offers)
        return NULL;
    *offers = (struct offers){ .references = 1, .len = names.len };
    memcpy(offers->names, names.at, names.len);
    capability_parse(names, &offers->known);
    if (names_sum(names, &offers->sum, &offers->word_count))
        return offers;
    free(offers);
    return NULL;
}

struct offers *offers_ref(struct offers *offers)
{
    if (offers)
        __atomic_add_fetch(&offers->references, 1, __ATOMIC_RELAXED);
    return offers;
}

void offers_unref(struct offers *offers)
{
    if (offers && __atomic_sub_fetch(&offers->references, 1, __ATOMIC_ACQ_REL) == 0)
        free(offers);
}

struct imapstate_span offers_names(const struct offers *offers)
{
    return offers ? (struct imapstate_span){ offers->names, offers->len } : (struct imapstate_span){ 0 };
}

const struct capabilities *offers_known(const struct offers *offers)
{
    static const struct capabilities none;
    return offers ? &offers->known : &none;
}

bool offers_are(const struct offers *offers, struct imapstate_span names)
{
    uint64_t sum;
    size_t count;
    if (imapstate_span_equal(offers_names(offers), names))
        return true;
    return offers && names_sum(names, &sum, &count) && sum == offers->sum && count == offers->word_count;
}
