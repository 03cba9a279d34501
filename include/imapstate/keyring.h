/* keyring: the keys that seal and open tokens, by id.
 *
 * A key file is text, one key per line, "ID SEALS-FROM KEY": eight hexadecimal digits, a time in UTC like
 * 2026-11-24T00:00:00Z, 32 octets as base64url without padding. Empty lines and lines that begin with "#" are skipped.
 * Of the keys whose time has come, the one with the latest time seals (of two with the same time, the later line);
 * every key opens, even a future one. So a fleet can be given a key before any gateway uses it.
 *
 * Threads: any number may use the same keyring at the same time once no key is added any more. */
#ifndef IMAPSTATE_KEYRING_H
#define IMAPSTATE_KEYRING_H

#include <imapstate/api.h>
#include <imapstate/error.h>
#include <imapstate/span.h>

IMAPSTATE_BEGIN

#define IMAPSTATE_KEY_OCTETS 32u
/* Octets in the text of a keyring; some 900 keys. */
#define IMAPSTATE_KEYRING_TEXT_MAX 65536u
/* A time as text, including its NUL. */
#define IMAPSTATE_KEY_TIME_SIZE sizeof("2026-11-24T00:00:00Z")

struct imapstate_key {
    uint32_t id;
    uint64_t seals_from_s; /* seconds since 1970-01-01 UTC */
    const uint8_t *octets; /* IMAPSTATE_KEY_OCTETS, owned by the keyring, in guarded memory */
    uint64_t reserved[2];
};

struct imapstate_keyring;

/* An empty keyring, or NULL if out of memory. imapstate_keyring_free() frees it, wipes its keys and accepts NULL. */
IMAPSTATE_API struct imapstate_keyring *imapstate_keyring_new(void);
IMAPSTATE_API void imapstate_keyring_free(struct imapstate_keyring *keyring);

/* Adds the keys in the text of a key file; all of them or, on error, none. KEY_MALFORMED, KEY_DUPLICATE, NO_MEMORY;
 * ret_line is then the number, from 1, of the line that is wrong. The last line may lack its LF; CRLF is malformed. */
IMAPSTATE_API enum imapstate_error imapstate_keyring_read(struct imapstate_keyring *keyring, struct imapstate_span text,
                                                          size_t *ret_line);

/* Adds one key, copying IMAPSTATE_KEY_OCTETS from octets. KEY_DUPLICATE or NO_MEMORY. */
IMAPSTATE_API enum imapstate_error imapstate_keyring_add(struct imapstate_keyring *keyring, uint32_t id,
                                                         uint64_t seals_from_s, const uint8_t *octets);

/* Appends the line of a key, including LF, to text. False if it does not fit, or if its time is after the year 9999.
 * text then contains a secret. */
IMAPSTATE_API bool imapstate_keyring_write_key(const struct imapstate_key *key, struct imapstate_buf *text);

/* The key that seals at now_s; false if no key's time has come. ret_key borrows from the keyring. */
IMAPSTATE_API bool imapstate_keyring_sealing(const struct imapstate_keyring *keyring, uint64_t now_s,
                                             struct imapstate_key *ret_key);

/* The key with this id, or false. ret_key may be NULL. */
IMAPSTATE_API bool imapstate_keyring_find(const struct imapstate_keyring *keyring, uint32_t id,
                                          struct imapstate_key *ret_key);

/* The keys in the order in which they were added. False if index is not below imapstate_keyring_count(). */
IMAPSTATE_API size_t imapstate_keyring_count(const struct imapstate_keyring *keyring);
IMAPSTATE_API bool imapstate_keyring_at(const struct imapstate_keyring *keyring, size_t index,
                                        struct imapstate_key *ret_key);

/* A time of a key file: exactly "2026-11-24T00:00:00Z", from 1970 to 9999, no leap seconds; else false. */
IMAPSTATE_API bool imapstate_key_time_parse(struct imapstate_span text, uint64_t *ret_time_s);
IMAPSTATE_API bool imapstate_key_time_format(uint64_t time_s, char ret_text[IMAPSTATE_KEY_TIME_SIZE]);

IMAPSTATE_END

#endif
