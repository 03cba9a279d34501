#include <imapstate/state.h>

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "octet.h"
#include "words.h"

/* The encoding: a version, then for each entry its kind (1 octet), the length of its value (2, big endian), the value.
 */
#define ENCODING_VERSION 1u
#define HEADER_OCTETS    3u

/* The log is kept as it is encoded, but for the version. So equal states have equal encodings, and the size that counts
 * against the limit is the size of what is held. */
struct imapstate_state {
    struct imapstate_buf entries;
};

struct imapstate_state *imapstate_state_new(size_t max)
{
    struct imapstate_state *state = calloc(1, sizeof *state);
    if (state)
        imapstate_buf_init(&state->entries, max == 0                    ? 0
                                            : max < IMAPSTATE_STATE_MAX ? max - 1
                                                                        : IMAPSTATE_STATE_MAX - 1);
    return state;
}

void imapstate_state_free(struct imapstate_state *state)
{
    if (!state)
        return;
    imapstate_buf_done(&state->entries);
    free(state);
}

/* An entry and where it stands in the log. */
struct position {
    struct imapstate_entry entry;
    size_t begin, end; /* octets in the log */
};

/* The entry that begins at the octet begin. False if there is none, or no whole one. */
static bool entry_at(struct imapstate_span entries, size_t begin, struct position *ret_position)
{
    if (entries.len - begin < HEADER_OCTETS)
        return false;
    const uint8_t *at = entries.at + begin;
    size_t len = (size_t)at[1] << 8 | at[2];
    if (entries.len - begin - HEADER_OCTETS < len)
        return false;
    *ret_position = (struct position){ .entry = { at[0], { at + HEADER_OCTETS, len } },
                                       .begin = begin,
                                       .end = begin + HEADER_OCTETS + len };
    return true;
}

static bool next_entry(struct imapstate_span entries, struct position *position)
{
    return entry_at(entries, position->end, position);
}

size_t imapstate_state_count(const struct imapstate_state *state)
{
    size_t count = 0;
    for (struct position at = { .end = 0 }; next_entry(imapstate_buf_span(&state->entries), &at);)
        count++;
    return count;
}

bool imapstate_state_at(const struct imapstate_state *state, size_t index, struct imapstate_entry *ret_entry)
{
    struct position at = { .end = 0 };
    do {
        if (!next_entry(imapstate_buf_span(&state->entries), &at))
            return false;
    } while (index-- > 0);
    *ret_entry = at.entry;
    return true;
}

void imapstate_state_clear(struct imapstate_state *state)
{
    imapstate_buf_clear(&state->entries);
}

static bool entries_enable(struct imapstate_span entries, struct imapstate_span name)
{
    for (struct position at = { .end = 0 }; next_entry(entries, &at);)
        if (at.entry.kind == IMAPSTATE_ENTRY_ENABLE && words_have(at.entry.value, name))
            return true;
    return false;
}

/* At least one name, all of them atoms. */
static bool names_are_valid(struct imapstate_span names)
{
    struct imapstate_span name = octets_take(&names, OCTET_ATOM);
    bool has_name = name.len > 0;
    while (names.len > 0 && *names.at == ' ') {
        names.at++, names.len--;
        has_name |= octets_take(&names, OCTET_ATOM).len > 0;
    }
    return has_name && names.len == 0;
}

/* RFC 5646 and RFC 4790 have ASCII without controls; and what goes into a quoted string of any server. */
static bool is_printable(struct imapstate_span value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.at[i] < 0x20 || value.at[i] >= 0x7f)
            return false;
    return value.len > 0;
}

static void header_write(uint8_t *at, enum imapstate_entry_kind kind, size_t value_len)
{
    at[0] = (uint8_t)kind;
    at[1] = (uint8_t)(value_len >> 8);
    at[2] = (uint8_t)value_len;
}

/* Appends an entry: all of it or nothing. */
static enum imapstate_error state_append(struct imapstate_state *state, enum imapstate_entry_kind kind,
                                         struct imapstate_span value)
{
    struct imapstate_buf *entries = &state->entries;
    uint8_t header[HEADER_OCTETS];
    size_t room = entries->max - entries->len, len_before = entries->len;

    if (room < HEADER_OCTETS || value.len > room - HEADER_OCTETS)
        return IMAPSTATE_STATE_TOO_LARGE;
    header_write(header, kind, value.len);
    if (imapstate_buf_put(entries, (struct imapstate_span){ header, sizeof header }) &&
        imapstate_buf_put(entries, value))
        return IMAPSTATE_OK;
    entries->len = len_before;
    return IMAPSTATE_NO_MEMORY;
}

/* Takes octets out of the middle of the log. */
static void entries_cut(struct imapstate_buf *entries, size_t begin, size_t end)
{
    memmove(entries->at + begin, entries->at + end, entries->len - end);
    sodium_memzero(entries->at + entries->len - (end - begin), end - begin);
    entries->len -= end - begin;
}

/* Makes one entry of two neighbours, both ENABLE. */
static void entries_join(struct imapstate_buf *entries, const struct position *before, const struct position *after)
{
    entries->at[after->begin] = ' ';
    entries_cut(entries, after->begin + 1, after->begin + HEADER_OCTETS);
    header_write(entries->at + before->begin, IMAPSTATE_ENTRY_ENABLE,
                 before->entry.value.len + 1 + after->entry.value.len);
}

void imapstate_state_remove(struct imapstate_state *state, enum imapstate_entry_kind kind)
{
    struct imapstate_buf *entries = &state->entries;
    struct position before = { .end = 0 }, at = { .end = 0 };

    const struct imapstate_storable *storable = imapstate_storable_find(kind);
    if (!storable || !storable->replaces)
        return;
    do {
        before = at;
        if (!next_entry(imapstate_buf_span(entries), &at))
            return;
    } while (at.entry.kind != kind);
    entries_cut(entries, at.begin, at.end);
    if (before.entry.kind == IMAPSTATE_ENTRY_ENABLE && entry_at(imapstate_buf_span(entries), at.begin, &at) &&
        at.entry.kind == IMAPSTATE_ENTRY_ENABLE)
        entries_join(entries, &before, &at);
}

/* Appends names to the log, as part of the last entry if that is an ENABLE. */
static enum imapstate_error state_append_names(struct imapstate_state *state, struct imapstate_span names)
{
    struct imapstate_buf *entries = &state->entries;
    struct position last = { .end = 0 };

    while (next_entry(imapstate_buf_span(entries), &last))
        ;
    if (last.entry.kind != IMAPSTATE_ENTRY_ENABLE)
        return state_append(state, IMAPSTATE_ENTRY_ENABLE, names);
    size_t room = entries->max - entries->len, len_before = entries->len;
    if (names.len >= room)
        return IMAPSTATE_STATE_TOO_LARGE;
    if (!imapstate_buf_put_byte(entries, ' ') || !imapstate_buf_put(entries, names)) {
        entries->len = len_before;
        return IMAPSTATE_NO_MEMORY;
    }
    header_write(entries->at + last.begin, IMAPSTATE_ENTRY_ENABLE, last.entry.value.len + 1 + names.len);
    return IMAPSTATE_OK;
}

/* Appends name in upper case to names. */
static bool names_put(struct imapstate_buf *names, struct imapstate_span name)
{
    bool fits = names->len == 0 || imapstate_buf_put_byte(names, ' ');
    for (size_t i = 0; i < name.len; i++) {
        uint8_t octet = name.at[i];
        fits = fits && imapstate_buf_put_byte(names, octet >= 'a' && octet <= 'z' ? octet - 'a' + 'A' : octet);
    }
    return fits;
}

static enum imapstate_error state_add_names(struct imapstate_state *state, struct imapstate_span names)
{
    struct imapstate_buf fresh;
    struct imapstate_span name;
    bool has_memory = true;

    if (!names_are_valid(names))
        return IMAPSTATE_SYNTAX;
    imapstate_buf_init(&fresh, names.len);
    while (has_memory && imapstate_enable_next(&names, &name))
        if (!entries_enable(imapstate_buf_span(&state->entries), name) && !words_have(imapstate_buf_span(&fresh), name))
            has_memory = names_put(&fresh, name);
    enum imapstate_error error = IMAPSTATE_OK;
    if (!has_memory)
        error = IMAPSTATE_NO_MEMORY;
    else if (fresh.len > 0)
        error = state_append_names(state, imapstate_buf_span(&fresh));
    imapstate_buf_done(&fresh);
    return error;
}

/* How many octets the quoted string at the front of in takes; 0 if its end is missing or it holds what none can. */
static size_t quoted_len(struct imapstate_span in)
{
    for (size_t i = 1; i < in.len; i++) {
        if (in.at[i] == '"')
            return i + 1;
        if (in.at[i] == '\\')
            i++;
        if (i == in.len || in.at[i] == '\0' || in.at[i] == '\r' || in.at[i] == '\n')
            return 0;
    }
    return 0;
}

/* The literal at the front of in: "{n}" or "{n+}", CRLF, n octets. */
static bool literal_take(struct imapstate_span *in, struct imapstate_span *ret_octets)
{
    size_t octets = 0, i = 1;
    for (; i < in->len && in->at[i] >= '0' && in->at[i] <= '9'; i++)
        if (__builtin_mul_overflow(octets, 10u, &octets) ||
            __builtin_add_overflow(octets, (size_t)(in->at[i] - '0'), &octets))
            return false;
    if (i == 1)
        return false;
    if (i < in->len && in->at[i] == '+')
        i++;
    if (in->len - i < 3 || memcmp(in->at + i, "}\r\n", 3) != 0)
        return false;
    i += 3;
    if (octets > in->len - i)
        return false;
    *ret_octets = (struct imapstate_span){ in->at + i, octets };
    *in = (struct imapstate_span){ in->at + i + octets, in->len - i - octets };
    return true;
}

bool imapstate_enable_next(struct imapstate_span *names, struct imapstate_span *ret_name)
{
    struct imapstate_span name = words_next(names);
    if (name.len == 0)
        return false;
    *ret_name = name;
    return true;
}

enum imapstate_error imapstate_notify_next(struct imapstate_span *arguments, struct imapstate_notify_part *ret_part)
{
    struct imapstate_span in = *arguments;
    struct imapstate_notify_part part = { .has_literal = false };
    size_t i = 0;

    while (i < in.len && in.at[i] != '{') {
        size_t len = in.at[i] == '"' ? quoted_len((struct imapstate_span){ in.at + i, in.len - i }) : 1;
        if (len == 0 || in.at[i] == '\0' || in.at[i] == '\r' || in.at[i] == '\n')
            return IMAPSTATE_SYNTAX;
        i += len;
    }
    part.text = (struct imapstate_span){ in.at, i };
    in = (struct imapstate_span){ in.at + i, in.len - i };
    if (in.len > 0) {
        /* A string begins behind SP or "(": what is no string must not become one when it is quoted. */
        part.has_literal = i > 0 && (part.text.at[i - 1] == ' ' || part.text.at[i - 1] == '(');
        if (!part.has_literal || !literal_take(&in, &part.literal))
            return IMAPSTATE_SYNTAX;
    }
    *ret_part = part;
    *arguments = in;
    return IMAPSTATE_OK;
}

static bool notify_is_valid(struct imapstate_span arguments)
{
    struct imapstate_notify_part part;
    if (arguments.len == 0)
        return false;
    while (arguments.len > 0)
        if (imapstate_notify_next(&arguments, &part) != IMAPSTATE_OK)
            return false;
    return true;
}

enum imapstate_error imapstate_state_record(struct imapstate_state *state, enum imapstate_entry_kind kind,
                                            struct imapstate_span value)
{
    const struct imapstate_storable *storable = imapstate_storable_find(kind);
    if (!storable)
        return IMAPSTATE_STATE_INVALID;
    if (storable->proof == IMAPSTATE_PROOF_NAMES)
        return state_add_names(state, value);
    imapstate_state_remove(state, kind);
    bool is_valid = storable->proof == IMAPSTATE_PROOF_ANSWER ? notify_is_valid(value) : is_printable(value);
    return is_valid ? state_append(state, kind, value) : IMAPSTATE_SYNTAX;
}

bool imapstate_state_encode(const struct imapstate_state *state, struct imapstate_buf *ret_octets)
{
    size_t len_before = ret_octets->len;
    if (imapstate_buf_put_byte(ret_octets, ENCODING_VERSION) &&
        imapstate_buf_put(ret_octets, imapstate_buf_span(&state->entries)))
        return true;
    ret_octets->len = len_before;
    return false;
}

/* Records the entries one after the other and compares: what no session could have recorded is not the same then. */
enum imapstate_error imapstate_state_decode(struct imapstate_state *state, struct imapstate_span octets)
{
    struct imapstate_state fresh;
    struct position at = { .end = 0 };
    enum imapstate_error error = IMAPSTATE_OK;

    if (octets.len == 0 || octets.at[0] != ENCODING_VERSION)
        return IMAPSTATE_STATE_INVALID;
    struct imapstate_span entries = { octets.at + 1, octets.len - 1 };
    if (entries.len > state->entries.max)
        return IMAPSTATE_STATE_TOO_LARGE;
    imapstate_buf_init(&fresh.entries, state->entries.max);
    while (error == IMAPSTATE_OK && next_entry(entries, &at))
        error = imapstate_state_record(&fresh, at.entry.kind, at.entry.value);
    if (error != IMAPSTATE_OK && error != IMAPSTATE_NO_MEMORY)
        error = IMAPSTATE_STATE_INVALID;
    if (error == IMAPSTATE_OK && !imapstate_span_equal(imapstate_buf_span(&fresh.entries), entries))
        error = IMAPSTATE_STATE_INVALID;
    if (error != IMAPSTATE_OK) {
        imapstate_buf_done(&fresh.entries);
        return error;
    }
    imapstate_buf_done(&state->entries);
    *state = fresh;
    return IMAPSTATE_OK;
}
