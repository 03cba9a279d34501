#include <imapstate/keyring.h>

#include "base64.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ID_DIGITS       8u
#define TIME_LEN        (IMAPSTATE_KEY_TIME_SIZE - 1)
#define BASE64_LEN      43u /* of 32 octets, without padding */
#define LINE_LEN        (ID_DIGITS + 1 + TIME_LEN + 1 + BASE64_LEN)
#define YEAR_9999_END_S 253402300800u

/* Each key is an allocation of its own: it stays where it is while the keyring grows, so that struct imapstate_key can
 * borrow it, and has guard pages of its own. */
struct slot {
    uint32_t id;
    uint64_t seals_from_s;
    uint8_t *octets; /* owned, by sodium_malloc() */
};

struct imapstate_keyring {
    struct slot *slots; /* owned */
    size_t count;       /* in use; count <= size */
    size_t size;
};

struct imapstate_keyring *imapstate_keyring_new(void)
{
    if (sodium_init() < 0)
        return NULL;
    return calloc(1, sizeof(struct imapstate_keyring));
}

/* Where a limit on memory is reached, a page cannot be made writable again. sodium_free() would crash in wiping it;
 * such a key stays where it is, in locked pages. */
static void key_free(uint8_t *octets)
{
    if (sodium_mprotect_readwrite(octets) == 0)
        sodium_free(octets);
}

/* Ends the keys from the index count on. */
static void keyring_shrink(struct imapstate_keyring *keyring, size_t count)
{
    while (keyring->count > count)
        key_free(keyring->slots[--keyring->count].octets);
}

void imapstate_keyring_free(struct imapstate_keyring *keyring)
{
    if (!keyring)
        return;
    keyring_shrink(keyring, 0);
    free(keyring->slots);
    free(keyring);
}

static struct imapstate_key slot_key(const struct slot *slot)
{
    return (struct imapstate_key){ .id = slot->id, .seals_from_s = slot->seals_from_s, .octets = slot->octets };
}

static bool keyring_grow(struct imapstate_keyring *keyring)
{
    if (keyring->count < keyring->size)
        return true;
    size_t size = keyring->size ? keyring->size * 2 : 4;
    struct slot *slots = reallocarray(keyring->slots, size, sizeof *slots);
    if (!slots)
        return false;
    keyring->slots = slots;
    keyring->size = size;
    return true;
}

enum imapstate_error imapstate_keyring_add(struct imapstate_keyring *keyring, uint32_t id, uint64_t seals_from_s,
                                           const uint8_t *octets)
{
    if (imapstate_keyring_find(keyring, id, NULL))
        return IMAPSTATE_KEY_DUPLICATE;
    if (!keyring_grow(keyring))
        return IMAPSTATE_NO_MEMORY;
    uint8_t *copy = sodium_malloc(IMAPSTATE_KEY_OCTETS);
    if (!copy)
        return IMAPSTATE_NO_MEMORY;
    memcpy(copy, octets, IMAPSTATE_KEY_OCTETS);
    sodium_mprotect_readonly(copy);
    keyring->slots[keyring->count++] = (struct slot){ .id = id, .seals_from_s = seals_from_s, .octets = copy };
    return IMAPSTATE_OK;
}

/* Exactly len decimal digits; len is at most 9. */
static bool parse_digits(const uint8_t *at, size_t len, unsigned *ret_number)
{
    unsigned number = 0;
    for (size_t i = 0; i < len; i++) {
        if (at[i] < '0' || at[i] > '9')
            return false;
        number = number * 10 + (at[i] - '0');
    }
    *ret_number = number;
    return true;
}

bool imapstate_key_time_parse(struct imapstate_span text, uint64_t *ret_time_s)
{
    const uint8_t *at = text.at;
    unsigned year, month, day, hour, minute, second;

    if (text.len != TIME_LEN || at[4] != '-' || at[7] != '-' || at[10] != 'T' || at[13] != ':' || at[16] != ':' ||
        at[19] != 'Z')
        return false;
    if (!parse_digits(at, 4, &year) || !parse_digits(at + 5, 2, &month) || !parse_digits(at + 8, 2, &day) ||
        !parse_digits(at + 11, 2, &hour) || !parse_digits(at + 14, 2, &minute) || !parse_digits(at + 17, 2, &second))
        return false;
    if (year < 1970)
        return false;
    struct tm tm = { .tm_year = (int)year - 1900,
                     .tm_mon = (int)month - 1,
                     .tm_mday = (int)day,
                     .tm_hour = (int)hour,
                     .tm_min = (int)minute,
                     .tm_sec = (int)second };
    time_t time_s = timegm(&tm);
    /* timegm() makes 1 March of 31 February; what it had to correct was no time. */
    char canonical[IMAPSTATE_KEY_TIME_SIZE];
    if (time_s < 0 || !imapstate_key_time_format((uint64_t)time_s, canonical) ||
        memcmp(canonical, text.at, TIME_LEN) != 0)
        return false;
    *ret_time_s = (uint64_t)time_s;
    return true;
}

bool imapstate_key_time_format(uint64_t time_s, char ret_text[IMAPSTATE_KEY_TIME_SIZE])
{
    if (time_s >= YEAR_9999_END_S)
        return false;
    time_t time = (time_t)time_s;
    struct tm tm;
    return gmtime_r(&time, &tm) && strftime(ret_text, IMAPSTATE_KEY_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm) == TIME_LEN;
}

static bool parse_id(const uint8_t *at, uint32_t *ret_id)
{
    uint8_t octets[4];
    if (sodium_hex2bin(octets, sizeof octets, (const char *)at, ID_DIGITS, NULL, NULL, NULL) != 0)
        return false;
    *ret_id = (uint32_t)octets[0] << 24 | (uint32_t)octets[1] << 16 | (uint32_t)octets[2] << 8 | octets[3];
    return true;
}

/* One key line, without its line end. */
static enum imapstate_error keyring_read_line(struct imapstate_keyring *keyring, struct imapstate_span line)
{
    uint32_t id;
    uint64_t seals_from_s;
    uint8_t octets[IMAPSTATE_KEY_OCTETS];
    size_t octets_len;

    if (line.len != LINE_LEN || line.at[ID_DIGITS] != ' ' || line.at[ID_DIGITS + 1 + TIME_LEN] != ' ')
        return IMAPSTATE_KEY_MALFORMED;
    struct imapstate_span time = { line.at + ID_DIGITS + 1, TIME_LEN };
    if (!parse_id(line.at, &id) || !imapstate_key_time_parse(time, &seals_from_s))
        return IMAPSTATE_KEY_MALFORMED;
    struct imapstate_span base64 = { line.at + LINE_LEN - BASE64_LEN, BASE64_LEN };
    enum imapstate_error error = IMAPSTATE_KEY_MALFORMED;
    if (base64_decode(base64, octets, sizeof octets, &octets_len) && octets_len == sizeof octets)
        error = imapstate_keyring_add(keyring, id, seals_from_s, octets);
    sodium_memzero(octets, sizeof octets);
    return error;
}

enum imapstate_error imapstate_keyring_read(struct imapstate_keyring *keyring, struct imapstate_span text,
                                            size_t *ret_line)
{
    size_t count_before = keyring->count;

    for (size_t number = 1; text.len > 0; number++) {
        const uint8_t *lf = memchr(text.at, '\n', text.len);
        struct imapstate_span line = { text.at, lf ? (size_t)(lf - text.at) : text.len };
        size_t consumed = lf ? line.len + 1 : line.len;
        text = (struct imapstate_span){ text.at + consumed, text.len - consumed };
        if (line.len == 0 || line.at[0] == '#')
            continue;
        enum imapstate_error error = keyring_read_line(keyring, line);
        if (error != IMAPSTATE_OK) {
            keyring_shrink(keyring, count_before);
            *ret_line = number;
            return error;
        }
    }
    return IMAPSTATE_OK;
}

bool imapstate_keyring_write_key(const struct imapstate_key *key, struct imapstate_buf *text)
{
    char line[LINE_LEN + 2]; /* with LF and NUL */
    char time[IMAPSTATE_KEY_TIME_SIZE];

    if (!imapstate_key_time_format(key->seals_from_s, time))
        return false;
    snprintf(line, sizeof line, "%08x %s ", (unsigned)key->id, time);
    sodium_bin2base64(line + LINE_LEN - BASE64_LEN, BASE64_LEN + 1, key->octets, IMAPSTATE_KEY_OCTETS, BASE64_VARIANT);
    line[LINE_LEN] = '\n';
    bool fits = imapstate_buf_put(text, (struct imapstate_span){ (const uint8_t *)line, LINE_LEN + 1 });
    sodium_memzero(line, sizeof line);
    return fits;
}

bool imapstate_keyring_sealing(const struct imapstate_keyring *keyring, uint64_t now_s, struct imapstate_key *ret_key)
{
    const struct slot *sealing = NULL;
    for (size_t i = 0; i < keyring->count; i++) {
        const struct slot *slot = &keyring->slots[i];
        if (slot->seals_from_s <= now_s && (!sealing || slot->seals_from_s >= sealing->seals_from_s))
            sealing = slot;
    }
    if (!sealing)
        return false;
    *ret_key = slot_key(sealing);
    return true;
}

bool imapstate_keyring_find(const struct imapstate_keyring *keyring, uint32_t id, struct imapstate_key *ret_key)
{
    for (size_t i = 0; i < keyring->count; i++)
        if (keyring->slots[i].id == id) {
            if (ret_key)
                *ret_key = slot_key(&keyring->slots[i]);
            return true;
        }
    return false;
}

size_t imapstate_keyring_count(const struct imapstate_keyring *keyring)
{
    return keyring->count;
}

bool imapstate_keyring_at(const struct imapstate_keyring *keyring, size_t index, struct imapstate_key *ret_key)
{
    if (index >= keyring->count)
        return false;
    *ret_key = slot_key(&keyring->slots[index]);
    return true;
}
