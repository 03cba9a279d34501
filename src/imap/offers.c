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

/* Appends the words of list that are in set. */
static bool names_put_common(const struct wordset *set, struct imapstate_span list, struct imapstate_buf *ret_names)
{
    struct imapstate_span word;
    bool fits = true;
    while (fits && (word = words_next(&list)).len > 0)
        if (wordset_has(set, word))
            fits =
                (ret_names->len == 0 || imapstate_buf_put_byte(ret_names, ' ')) && imapstate_buf_put(ret_names, word);
    return fits;
}

static struct offers *offers_intersect(const struct offers *one, const struct offers *other)
{
    struct wordset set;
    struct imapstate_buf names;
    struct imapstate_span left = offers_names(other), word;
    imapstate_buf_init(&names, CAPABILITY_LIST_MAX);
    bool is_whole = wordset_init(&set, left, 0);
    while (is_whole && (word = words_next(&left)).len > 0)
        wordset_add(&set, word);
    is_whole = is_whole && names_put_common(&set, offers_names(one), &names);
    struct offers *common = is_whole ? offers_new(imapstate_buf_span(&names)) : NULL;
    imapstate_buf_done(&names);
    wordset_done(&set);
    return common;
}

struct offers *offers_common(struct offers *one, struct offers *other)
{
    if (!one || !other || (one->sum == other->sum && one->word_count == other->word_count))
        return offers_ref(one ? one : other);
    return offers_intersect(one, other);
}
