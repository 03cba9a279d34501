#include "routemap.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint.h"
#include "octet.h"
#include "words.h"
#include "writtenname.h"

/* Octets of address=. */
#define ADDRESS_MAX 300u

/* Free while len is 0. */
struct slot {
    uint64_t at : 28; /* of the key in the text, in lower case; blanks fill the place of how it was written */
    uint64_t len : 10;
    uint64_t mark : 26; /* of its hash: others are told apart without a look at the key */
};

_Static_assert(sizeof(struct slot) == 8, "what a million of them take");
_Static_assert(ROUTEMAP_TEXT_MAX <= 1u << 28 && ROUTEMAP_KEY_MAX < 1u << 10, "bits");

/* A hash table with open addressing: in a sorted array a lookup would touch twenty places rather than two. The hash has
 * a random key, so that nobody chooses names of users that meet in it. */
struct routemap {
    struct imapstate_buf text;
    struct slot *slots; /* owned */
    size_t slots_max;   /* a power of two; a quarter is free */
    size_t count;
    bool renames;
    unsigned references; /* atomic */
    uint8_t hash_key[crypto_shorthash_KEYBYTES];
};

/* While it is read. */
struct reading {
    struct routemap *map;
    routemap_has_upstream *has_upstream;
    void *owner;
    size_t number; /* of the line, from 1 */
    char *wrong;   /* what is wrong with it */
};

__attribute__((format(printf, 2, 3))) static bool reading_is_wrong(const struct reading *reading, const char *format,
                                                                   ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reading->wrong, ROUTEMAP_WRONG_MAX, format, arguments);
    va_end(arguments);
    return false;
}

/* --- the table --- */

/* Where the key, in lower case, is, or would be. ret_mark is its. */
static struct slot *routemap_slot(const struct routemap *map, struct imapstate_span key, unsigned *ret_mark)
{
    uint64_t hash;
    uint8_t octets[crypto_shorthash_BYTES];
    crypto_shorthash(octets, key.at, key.len, map->hash_key);
    memcpy(&hash, octets, sizeof hash);
    *ret_mark = (unsigned)(hash >> 38);
    for (size_t i = (size_t)hash;; i++) {
        struct slot *slot = &map->slots[i & (map->slots_max - 1)];
        bool may_be_it = slot->mark == *ret_mark && slot->len == key.len;
        if (slot->len == 0 || (may_be_it && memcmp(map->text.at + slot->at, key.at, key.len) == 0))
            return slot;
    }
}

/* Lines are not counted where they are kept: only who asks where a line is wants to know. */
static size_t routemap_number(const struct routemap *map, size_t at)
{
    size_t number = 1;
    for (size_t i = 0; i < at; i++)
        number += map->text.at[i] == '\n';
    return number;
}

/* --- a line --- */

static bool span_drop_prefix(struct imapstate_span *span, struct imapstate_span prefix)
{
    if (span->len < prefix.len || memcmp(span->at, prefix.at, prefix.len) != 0)
        return false;
    *span = (struct imapstate_span){ span->at + prefix.len, span->len - prefix.len };
    return true;
}

/* Up to a comment, or the end. */
static struct imapstate_span line_next(struct imapstate_span *rest)
{
    struct imapstate_span word = words_next(rest);
    if (word.len > 0 && *word.at == '#')
        *rest = word = (struct imapstate_span){ word.at, 0 };
    return word;
}

/* What stands behind the key. False: an option that there is not, or twice. */
static bool line_read(struct imapstate_span rest, struct routemap_line *ret_line)
{
    struct imapstate_span word;
    *ret_line = (struct routemap_line){ .upstream = line_next(&rest) };
    while ((word = line_next(&rest)).len > 0) {
        struct imapstate_span *option = span_drop_prefix(&word, IMAPSTATE_SPAN("user="))      ? &ret_line->user
                                        : span_drop_prefix(&word, IMAPSTATE_SPAN("address=")) ? &ret_line->address
                                                                                              : NULL;
        if (!option || option->at || word.len == 0)
            return false;
        *option = word;
    }
    return true;
}

static bool address_is_good(const struct reading *reading, struct imapstate_span address)
{
    char text[ADDRESS_MAX + 1];
    const char *host, *port;
    bool is_unix;
    if (address.len > ADDRESS_MAX)
        return reading_is_wrong(reading, "address= is too long");
    memcpy(text, address.at, address.len);
    text[address.len] = '\0';
    const char *wrong =
        memchr(text, '\0', address.len) ? "it contains a NUL" : endpoint_split(text, &host, &port, &is_unix);
    return !wrong || reading_is_wrong(reading, "address=: %s", wrong);
}

static bool name_is_good(const struct reading *reading, struct imapstate_span written)
{
    uint8_t name[ROUTEMAP_KEY_MAX + 1];
    size_t len;
    if (written.len > sizeof name)
        return reading_is_wrong(reading, "user= is longer than %u octets", ROUTEMAP_KEY_MAX);
    memcpy(name, written.at, written.len);
    if (!writtenname_read(name, written.len, &len))
        return reading_is_wrong(reading, "user= must be written as in the log, with \\xHH for a space, a quote or a "
                                         "backslash");
    /* Nobody could log in by such a name. */
    return !memchr(name, '\0', len) || reading_is_wrong(reading, "user= contains a NUL");
}

static bool reading_check(const struct reading *reading, const struct routemap_line *line)
{
    if (line->upstream.len == 0)
        return reading_is_wrong(reading, "a line must be \"KEY UPSTREAM [user=NAME] [address=HOST:PORT]\"");
    if (!reading->has_upstream(reading->owner, line->upstream))
        return reading_is_wrong(reading, "there is no upstream \"%.*s\"",
                                (int)(line->upstream.len < 64 ? line->upstream.len : 64), line->upstream.at);
    return (line->user.len == 0 || name_is_good(reading, line->user)) &&
           (line->address.len == 0 || address_is_good(reading, line->address));
}

/* The key's octets in the place of how they are written, in lower case, and blanks behind them. */
static bool reading_key(const struct reading *reading, uint8_t *at, size_t written_len, size_t *ret_len)
{
    if (!writtenname_read(at, written_len, ret_len))
        return reading_is_wrong(reading, "a key must be written as in the log, with \\xHH for a space, a quote or a "
                                         "backslash");
    if (*ret_len > ROUTEMAP_KEY_MAX)
        return reading_is_wrong(reading, "a key is longer than %u octets", ROUTEMAP_KEY_MAX);
    for (size_t i = 0; i < *ret_len; i++)
        at[i] = octet_lower(at[i]);
    for (size_t i = *ret_len; i < written_len; i++)
        at[i] = ' ';
    return !memchr(at, '\n', *ret_len) || reading_is_wrong(reading, "a key contains a line end");
}

static bool reading_add(struct reading *reading, uint8_t *at, size_t len, const struct routemap_line *line)
{
    struct routemap *map = reading->map;
    unsigned mark;
    struct slot *slot = routemap_slot(map, (struct imapstate_span){ at, len }, &mark);
    if (slot->len > 0)
        return reading_is_wrong(reading, "this key is in line %zu already", routemap_number(map, slot->at));
    *slot =
        (struct slot){ .at = (uint64_t)(at - map->text.at) & 0xfffffff, .len = len & 0x3ff, .mark = mark & 0x3ffffff };
    map->renames |= line->user.len > 0;
    map->count++;
    return true;
}

static bool reading_line(struct reading *reading, uint8_t *at, size_t len)
{
    len -= len > 0 && at[len - 1] == '\r';
    struct imapstate_span rest = { at, len };
    struct imapstate_span key = line_next(&rest);
    struct routemap_line line;
    size_t key_len;
    if (memchr(at, '\r', len))
        return reading_is_wrong(reading, "a CR within a line");
    if (key.len == 0)
        return true;
    if (!line_read(rest, &line))
        return reading_is_wrong(reading, "behind the upstream there can be user=NAME and address=HOST:PORT, once each");
    uint8_t *key_at = at + (key.at - at);
    return reading_check(reading, &line) && reading_key(reading, key_at, key.len, &key_len) &&
           reading_add(reading, key_at, key_len, &line);
}

/* --- all of them --- */

static struct routemap *routemap_new(struct imapstate_buf *text)
{
    size_t slots_max = 4, lines = 1;
    for (size_t i = 0; i < text->len; i++)
        lines += text->at[i] == '\n';
    while (slots_max / 4 * 3 < lines)
        slots_max *= 2;
    struct routemap *map = calloc(1, sizeof *map);
    struct slot *slots = calloc(slots_max, sizeof *slots);
    if (!map || !slots) {
        free(map);
        free(slots);
        imapstate_buf_done(text);
        return NULL;
    }
    *map = (struct routemap){ .text = *text, .slots = slots, .slots_max = slots_max, .references = 1 };
    crypto_shorthash_keygen(map->hash_key);
    imapstate_buf_init(text, text->max);
    return map;
}

static bool reading_all(struct reading *reading)
{
    uint8_t *at = reading->map->text.at;
    size_t left = reading->map->text.len;
    while (left > 0) {
        const uint8_t *lf = memchr(at, '\n', left);
        size_t len = lf ? (size_t)(lf - at) : left, consumed = lf ? len + 1 : len;
        reading->number++;
        if (!reading_line(reading, at, len))
            return false;
        at += consumed;
        left -= consumed;
    }
    return true;
}

struct routemap *routemap_read(struct imapstate_buf *text, routemap_has_upstream *has_upstream, void *owner,
                               size_t *ret_line, char ret_wrong[ROUTEMAP_WRONG_MAX])
{
    struct reading reading = { routemap_new(text), has_upstream, owner, 0, ret_wrong };
    *ret_line = 0;
    snprintf(ret_wrong, ROUTEMAP_WRONG_MAX, "out of memory");
    if (!reading.map)
        return NULL;
    if (reading_all(&reading))
        return reading.map;
    *ret_line = reading.number;
    routemap_unref(reading.map);
    return NULL;
}

struct routemap *routemap_ref(struct routemap *map)
{
    if (map)
        __atomic_add_fetch(&map->references, 1, __ATOMIC_RELAXED);
    return map;
}

void routemap_unref(struct routemap *map)
{
    if (!map || __atomic_sub_fetch(&map->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    imapstate_buf_done(&map->text);
    free(map->slots);
    free(map);
}

bool routemap_find(const struct routemap *map, struct imapstate_span key, struct routemap_line *ret_line)
{
    uint8_t lower[ROUTEMAP_KEY_MAX];
    unsigned mark;
    if (!map || key.len == 0 || key.len > sizeof lower)
        return false;
    for (size_t i = 0; i < key.len; i++)
        lower[i] = octet_lower(key.at[i]);
    const struct slot *slot = routemap_slot(map, (struct imapstate_span){ lower, key.len }, &mark);
    if (slot->len == 0)
        return false;
    const uint8_t *behind = map->text.at + slot->at + slot->len, *end = map->text.at + map->text.len;
    const uint8_t *lf = memchr(behind, '\n', (size_t)(end - behind));
    line_read((struct imapstate_span){ behind, (size_t)((lf ? lf : end) - behind) }, ret_line);
    return true;
}

size_t routemap_line_number(const struct routemap *map, const struct routemap_line *line)
{
    return routemap_number(map, (size_t)(line->upstream.at - map->text.at));
}

size_t routemap_count(const struct routemap *map)
{
    return map ? map->count : 0;
}

bool routemap_renames(const struct routemap *map)
{
    return map && map->renames;
}
