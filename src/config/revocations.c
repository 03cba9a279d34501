#include "revocations.h"

#include <imapstate/error.h>
#include <imapstate/token.h>

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "octet.h"
#include "writtenname.h"

/* No token has room for a longer user. */
#define NAME_MAX_OCTETS IMAPSTATE_TOKEN_MAX
#define YEAR_9999_END_S UINT64_C(253402300800)

static const char wrong_line[] = "a line must be \"USER SECONDS\"";
static const char wrong_name[] = "a user must be written as in the log, with \\xHH for a space, a quote or a backslash";
static const char wrong_length[] = "a user is longer than any token's";
static const char wrong_time[] = "SECONDS must be a time in seconds since 1970, up to the year 9999";

/* Free while name is NULL. */
struct revocation {
    const uint8_t *name; /* in text, ASCII letters in lower case */
    uint64_t len : 12;
    uint64_t mark : 12; /* of its hash: others are told apart without a look at the name */
    uint64_t second_s : 40;
};

_Static_assert(sizeof(struct revocation) == 16, "what a million of them take");
_Static_assert(NAME_MAX_OCTETS < 1u << 12 && YEAR_9999_END_S < UINT64_C(1) << 40, "bits");

/* A hash table with open addressing: in a sorted array a lookup would touch twenty places rather than two. The hash has
 * a random key, so that nobody chooses names of users that meet in it. */
struct revocations {
    struct imapstate_buf text;
    uint64_t all_s;           /* for all users; 0: never */
    struct revocation *slots; /* owned */
    size_t slots_max;         /* a power of two; a quarter is free */
    size_t count;
    struct revocations *base; /* counted; NULL: there are no others */
    uint64_t number;          /* in the order in which they were read */
    unsigned references;      /* atomic */
    uint8_t hash_key[crypto_shorthash_KEYBYTES];
};

/* --- the table --- */

/* Where the name, in lower case, is, or would be. ret_mark is its. */
static struct revocation *revocations_find(const struct revocations *revocations, struct imapstate_span name,
                                           unsigned *ret_mark)
{
    uint64_t hash;
    uint8_t octets[crypto_shorthash_BYTES];
    crypto_shorthash(octets, name.at, name.len, revocations->hash_key);
    memcpy(&hash, octets, sizeof hash);
    *ret_mark = (unsigned)(hash >> 52);
    for (size_t i = (size_t)hash;; i++) {
        struct revocation *slot = &revocations->slots[i & (revocations->slots_max - 1)];
        bool may_be_it = slot->mark == *ret_mark && slot->len == name.len;
        if (!slot->name || (may_be_it && memcmp(slot->name, name.at, name.len) == 0))
            return slot;
    }
}

static void revocations_add(struct revocations *revocations, struct imapstate_span name, uint64_t second_s)
{
    unsigned mark;
    struct revocation *slot = revocations_find(revocations, name, &mark);
    if (slot->name && slot->second_s >= second_s)
        return;
    revocations->count += !slot->name;
    *slot = (struct revocation){
        .name = name.at, .len = name.len & 0xfff, .mark = mark & 0xfff, .second_s = second_s & 0xffffffffff
    };
}

/* --- a line --- */

/* The octets of a name, in the place of how they are written; letters in lower case. */
static const char *name_read(uint8_t *at, size_t written_len, size_t *ret_len)
{
    if (!writtenname_read(at, written_len, ret_len))
        return wrong_name;
    for (size_t i = 0; i < *ret_len; i++)
        at[i] = octet_lower(at[i]);
    return *ret_len > NAME_MAX_OCTETS ? wrong_length : NULL;
}

static bool second_read(struct imapstate_span digits, uint64_t *ret_second_s)
{
    uint64_t second_s = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.at[i] < '0' || digits.at[i] > '9')
            return false;
        second_s = second_s * 10 + (digits.at[i] - '0');
        if (second_s >= YEAR_9999_END_S)
            return false;
    }
    *ret_second_s = second_s;
    return digits.len > 0;
}

/* NULL, or what is wrong. */
static const char *revocations_read_line(struct revocations *revocations, uint8_t *line, size_t len,
                                         uint64_t forget_before_s)
{
    const uint8_t *space = memchr(line, ' ', len);
    size_t written_len = space ? (size_t)(space - line) : len, name_len;
    uint64_t second_s;
    if (!space || written_len == 0)
        return wrong_line;
    if (!second_read((struct imapstate_span){ space + 1, len - written_len - 1 }, &second_s))
        return wrong_time;
    bool is_for_all = written_len == 1 && *line == '*';
    const char *wrong = name_read(line, written_len, &name_len);
    if (wrong || second_s < forget_before_s)
        return wrong;
    if (!is_for_all)
        revocations_add(revocations, (struct imapstate_span){ line, name_len }, second_s);
    else if (second_s > revocations->all_s)
        revocations->all_s = second_s;
    return NULL;
}

/* --- all of them --- */

static size_t lines_count(struct imapstate_span text)
{
    size_t count = 1;
    for (const uint8_t *lf; text.len > 0 && (lf = memchr(text.at, '\n', text.len)); count++) {
        size_t consumed = (size_t)(lf - text.at) + 1;
        text = (struct imapstate_span){ text.at + consumed, text.len - consumed };
    }
    return count;
}

static struct revocations *revocations_new(struct imapstate_buf *text)
{
    size_t slots_max = 4, lines = lines_count(imapstate_buf_span(text));
    while (slots_max / 4 * 3 < lines)
        slots_max *= 2;
    struct revocations *revocations = calloc(1, sizeof *revocations);
    struct revocation *slots = calloc(slots_max, sizeof *slots);
    if (!revocations || !slots) {
        free(revocations);
        free(slots);
        imapstate_buf_done(text);
        return NULL;
    }
    static uint64_t last_number;
    *revocations = (struct revocations){ .text = *text,
                                         .slots = slots,
                                         .slots_max = slots_max,
                                         .number = __atomic_add_fetch(&last_number, 1, __ATOMIC_RELAXED),
                                         .references = 1 };
    crypto_shorthash_keygen(revocations->hash_key);
    imapstate_buf_init(text, text->max);
    return revocations;
}

static const char *revocations_read_lines(struct revocations *revocations, uint64_t forget_before_s, size_t *ret_line)
{
    const char *wrong = NULL;
    uint8_t *at = revocations->text.at;
    size_t left = revocations->text.len;
    for (size_t number = 1; left > 0 && !wrong; number++) {
        const uint8_t *lf = memchr(at, '\n', left);
        size_t len = lf ? (size_t)(lf - at) : left, consumed = lf ? len + 1 : len;
        if (len > 0 && *at != '#')
            wrong = revocations_read_line(revocations, at, len, forget_before_s);
        if (wrong)
            *ret_line = number;
        at += consumed;
        left -= consumed;
    }
    return wrong;
}

struct revocations *revocations_read(struct imapstate_buf *text, uint64_t forget_before_s, size_t *ret_line,
                                     const char **ret_wrong)
{
    struct revocations *revocations = revocations_new(text);
    *ret_line = 0;
    *ret_wrong = imapstate_strerror(IMAPSTATE_NO_MEMORY);
    if (!revocations)
        return NULL;
    const char *wrong = revocations_read_lines(revocations, forget_before_s, ret_line);
    if (wrong) {
        *ret_wrong = wrong;
        revocations_unref(revocations);
        return NULL;
    }
    return revocations;
}

struct revocations *revocations_read_over(struct revocations *base, struct imapstate_buf *text)
{
    size_t line;
    const char *wrong;
    struct revocations *revocations = revocations_read(text, 0, &line, &wrong);
    if (revocations)
        revocations->base = revocations_ref(base);
    return revocations;
}

struct revocations *revocations_base(struct revocations *revocations)
{
    return revocations->base ? revocations->base : revocations;
}

bool revocations_are_newer(const struct revocations *revocations, const struct revocations *than)
{
    return revocations->number > than->number;
}

struct revocations *revocations_ref(struct revocations *revocations)
{
    __atomic_add_fetch(&revocations->references, 1, __ATOMIC_RELAXED);
    return revocations;
}

void revocations_unref(struct revocations *revocations)
{
    if (!revocations || __atomic_sub_fetch(&revocations->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    imapstate_buf_done(&revocations->text);
    revocations_unref(revocations->base);
    free(revocations->slots);
    free(revocations);
}

static uint64_t later(uint64_t second_s, uint64_t other_s)
{
    return second_s > other_s ? second_s : other_s;
}

uint64_t revocations_second_for_all(const struct revocations *revocations)
{
    return later(revocations->all_s, revocations->base ? revocations_second_for_all(revocations->base) : 0);
}

static uint64_t revocations_own_second(const struct revocations *revocations, struct imapstate_span user)
{
    uint8_t name[NAME_MAX_OCTETS];
    if (user.len > sizeof name)
        return revocations->all_s;
    for (size_t i = 0; i < user.len; i++)
        name[i] = octet_lower(user.at[i]);
    unsigned mark;
    const struct revocation *own = revocations_find(revocations, (struct imapstate_span){ name, user.len }, &mark);
    return later(own->second_s, revocations->all_s);
}

uint64_t revocations_second(const struct revocations *revocations, struct imapstate_span user)
{
    uint64_t second_s = revocations_own_second(revocations, user);
    return revocations->base ? later(second_s, revocations_second(revocations->base, user)) : second_s;
}

size_t revocations_count(const struct revocations *revocations)
{
    return revocations->count + (revocations->base ? revocations_count(revocations->base) : 0);
}
