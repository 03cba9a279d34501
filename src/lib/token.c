#include <imapstate/token.h>

#include "base64.h"
#include "words.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define KEY_ID_AT    1u
#define NONCE_AT     5u
#define NONCE_OCTETS crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define SEALED_AT    (NONCE_AT + NONCE_OCTETS)
#define TAG_OCTETS   crypto_aead_xchacha20poly1305_ietf_ABYTES
#define CLOCK_SKEW_S 300u
#define DAY_S        86400u

/* With a time of issue and a random nonce, and a fingerprint that did not tell whether there was COMPRESS=. */
#define FORMAT_ISSUED 1u

/* Octets in the longest token, before base64: four characters carry three octets. */
#define RAW_MAX (IMAPSTATE_TOKEN_MAX / 4 * 3)
/* Inside the seal: two times, three lengths, the fingerprint; then what the lengths measure. */
#define INNER_FIXED  (8u + 8u + 2u + 2u + 2u + IMAPSTATE_FINGERPRINT_OCTETS)
#define INNER_MAX    (RAW_MAX - SEALED_AT - TAG_OCTETS)
#define VARIABLE_MAX (INNER_MAX - INNER_FIXED)

_Static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == IMAPSTATE_KEY_OCTETS, "key");
_Static_assert(crypto_kdf_KEYBYTES == IMAPSTATE_KEY_OCTETS, "key that others are derived from");

/* What is inside a seal; spans borrow. */
struct inner {
    uint64_t since_s; /* the user's last revocation; in format 1 the time of issue */
    uint64_t expires_s;
    struct imapstate_span user, upstream, state;
    const uint8_t *fingerprint;
};

static uint8_t *put_number(uint8_t *at, uint64_t number, size_t octets)
{
    for (size_t i = 0; i < octets; i++)
        at[i] = (uint8_t)(number >> (8 * (octets - 1 - i)));
    return at + octets;
}

static uint8_t *put_octets(uint8_t *at, struct imapstate_span octets)
{
    if (octets.len > 0)
        memcpy(at, octets.at, octets.len);
    return at + octets.len;
}

static uint8_t *put_counted(uint8_t *at, struct imapstate_span octets)
{
    return put_octets(put_number(at, octets.len, 2), octets);
}

/* Takes octets off the front of in. */
static bool take(struct imapstate_span *in, size_t octets, struct imapstate_span *ret_taken)
{
    if (octets > in->len)
        return false;
    *ret_taken = (struct imapstate_span){ in->at, octets };
    *in = (struct imapstate_span){ in->at + octets, in->len - octets };
    return true;
}

static bool take_number(struct imapstate_span *in, size_t octets, uint64_t *ret_number)
{
    struct imapstate_span taken;
    if (!take(in, octets, &taken))
        return false;
    *ret_number = 0;
    for (size_t i = 0; i < octets; i++)
        *ret_number = *ret_number << 8 | taken.at[i];
    return true;
}

static bool take_counted(struct imapstate_span *in, struct imapstate_span *ret_taken)
{
    uint64_t octets;
    return take_number(in, 2, &octets) && take(in, (size_t)octets, ret_taken);
}

static bool inner_decode(struct imapstate_span in, struct inner *ret_inner)
{
    struct imapstate_span fingerprint;
    bool is_whole = take_number(&in, 8, &ret_inner->since_s) && take_number(&in, 8, &ret_inner->expires_s) &&
                    take_counted(&in, &ret_inner->user) && take_counted(&in, &ret_inner->upstream) &&
                    take(&in, IMAPSTATE_FINGERPRINT_OCTETS, &fingerprint) && take_counted(&in, &ret_inner->state) &&
                    in.len == 0;
    if (is_whole)
        ret_inner->fingerprint = fingerprint.at;
    return is_whole;
}

/* Octets that the binding leaves for the state. */
static bool binding_room(const struct imapstate_token_binding *binding, size_t *ret_room)
{
    if (binding->user.len > VARIABLE_MAX || binding->upstream.len > VARIABLE_MAX - binding->user.len)
        return false;
    *ret_room = VARIABLE_MAX - binding->user.len - binding->upstream.len;
    return true;
}

size_t imapstate_token_state_max(const struct imapstate_token_binding *binding)
{
    size_t room;
    return binding_room(binding, &room) ? room : 0;
}

static size_t put_inner(uint8_t *at, const struct inner *inner)
{
    const uint8_t *begin = at;
    at = put_number(at, inner->since_s, 8);
    at = put_number(at, inner->expires_s, 8);
    at = put_counted(at, inner->user);
    at = put_counted(at, inner->upstream);
    at = put_octets(at, (struct imapstate_span){ inner->fingerprint, IMAPSTATE_FINGERPRINT_OCTETS });
    at = put_counted(at, inner->state);
    return (size_t)(at - begin);
}

/* --- the nonce of format 2 --- */

/* Each use of a key has one of its own, derived from it (BLAKE2b). */
enum subkey { SUBKEY_SEAL = 1, SUBKEY_NONCE = 2 };

static void subkey_derive(const uint8_t *key, enum subkey use, uint8_t ret_subkey[IMAPSTATE_KEY_OCTETS])
{
    crypto_kdf_derive_from_key(ret_subkey, IMAPSTATE_KEY_OCTETS, use, "imapstok", key);
}

/* The nonce of the octets that raw holds in clear: a keyed hash (BLAKE2b, 192 bits) of format, key id and inner.
 *
 * No two different contents meet under one nonce, which would lay both open (the XOR of what is sealed, and the key of
 * the tag). Format and key id have a fixed length, and inner can be decoded in one way only: its numbers have a fixed
 * length too, and before each string stands its length. So different contents are different input of the hash. Its key
 * has no other use, and nobody outside has it: whoever wanted to find two inputs with the same hash could but try, and
 * has one chance in 2^64 when this key has sealed 2^64 different contents. Tokens of format 1, whose nonces are random,
 * are no danger either, as the seal of format 2 has a key of its own. What remains visible is that two contents are
 * equal: that is wanted (P14). */
static void nonce_of(const uint8_t *key, const uint8_t *raw, size_t inner_len, uint8_t ret_nonce[NONCE_OCTETS])
{
    uint8_t subkey[IMAPSTATE_KEY_OCTETS];
    crypto_generichash_state hash;
    subkey_derive(key, SUBKEY_NONCE, subkey);
    crypto_generichash_init(&hash, subkey, sizeof subkey, NONCE_OCTETS);
    crypto_generichash_update(&hash, raw, NONCE_AT);
    crypto_generichash_update(&hash, raw + SEALED_AT, inner_len);
    crypto_generichash_final(&hash, ret_nonce, NONCE_OCTETS);
    sodium_memzero(subkey, sizeof subkey);
    sodium_memzero(&hash, sizeof hash);
}

/* --- the seal --- */

static void seal_key(unsigned format, const uint8_t *key, uint8_t ret_key[IMAPSTATE_KEY_OCTETS])
{
    if (format == FORMAT_ISSUED)
        memcpy(ret_key, key, IMAPSTATE_KEY_OCTETS);
    else
        subkey_derive(key, SUBKEY_SEAL, ret_key);
}

/* raw has format, key id and, in clear, inner; in place. Returns the octets of raw. */
static size_t raw_seal(uint8_t *raw, size_t inner_len, const uint8_t *key)
{
    uint8_t subkey[IMAPSTATE_KEY_OCTETS], *nonce = raw + NONCE_AT, *sealed = raw + SEALED_AT;
    unsigned long long sealed_len;
    if (raw[0] == FORMAT_ISSUED)
        randombytes_buf(nonce, NONCE_OCTETS);
    else
        nonce_of(key, raw, inner_len, nonce);
    seal_key(raw[0], key, subkey);
    crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, &sealed_len, sealed, inner_len, raw, NONCE_AT, NULL, nonce,
                                               subkey);
    sodium_memzero(subkey, sizeof subkey);
    return SEALED_AT + (size_t)sealed_len;
}

/* The reverse. False: it was not sealed like that with this key. */
static bool raw_open(uint8_t *raw, size_t raw_len, const uint8_t *key, struct imapstate_span *ret_inner)
{
    uint8_t subkey[IMAPSTATE_KEY_OCTETS], nonce[NONCE_OCTETS], *sealed = raw + SEALED_AT;
    unsigned long long inner_len;
    seal_key(raw[0], key, subkey);
    bool is_open = crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, &inner_len, NULL, sealed, raw_len - SEALED_AT,
                                                              raw, NONCE_AT, raw + NONCE_AT, subkey) == 0;
    sodium_memzero(subkey, sizeof subkey);
    if (is_open && raw[0] != FORMAT_ISSUED) {
        nonce_of(key, raw, (size_t)inner_len, nonce);
        is_open = sodium_memcmp(nonce, raw + NONCE_AT, NONCE_OCTETS) == 0;
    }
    if (is_open)
        *ret_inner = (struct imapstate_span){ sealed, (size_t)inner_len };
    return is_open;
}

/* --- sealing --- */

static uint64_t granule_s(unsigned format, uint64_t lifetime_s)
{
    uint64_t granule = lifetime_s / 8 < DAY_S ? lifetime_s / 8 : DAY_S;
    return format == FORMAT_ISSUED || granule == 0 ? 1 : granule;
}

/* The end of the granule that the lifetime ends in; at the latest the end of time. */
static uint64_t expiry_s(unsigned format, uint64_t now_s, uint64_t lifetime_s)
{
    uint64_t end_s, granule = granule_s(format, lifetime_s);
    if (__builtin_add_overflow(now_s, lifetime_s, &end_s))
        return UINT64_MAX;
    uint64_t over_s = end_s % granule;
    if (over_s > 0 && __builtin_add_overflow(end_s, granule - over_s, &end_s))
        return UINT64_MAX;
    return end_s;
}

static bool fingerprint_of(unsigned format, struct imapstate_span names, uint64_t epoch,
                           uint8_t ret_fingerprint[IMAPSTATE_FINGERPRINT_OCTETS]);

static bool is_format(unsigned format)
{
    return format >= FORMAT_ISSUED && format <= IMAPSTATE_TOKEN_FORMAT;
}

/* Does it say whose tokens these are, and nothing that a later version would heed? */
static bool binding_is_supported(const struct imapstate_token_binding *binding)
{
    return binding->user.len > 0 && binding->upstream.len > 0 &&
           sodium_is_zero((const uint8_t *)binding->reserved, sizeof binding->reserved);
}

enum imapstate_error imapstate_token_seal(const struct imapstate_key *key,
                                          const struct imapstate_token_binding *binding, uint64_t now_s,
                                          uint64_t lifetime_s, struct imapstate_span state,
                                          struct imapstate_buf *ret_token, uint64_t *ret_left_s)
{
    return imapstate_token_seal_as(IMAPSTATE_TOKEN_FORMAT, key, binding, now_s, lifetime_s, state, ret_token,
                                   ret_left_s);
}

enum imapstate_error imapstate_token_seal_as(unsigned format, const struct imapstate_key *key,
                                             const struct imapstate_token_binding *binding, uint64_t now_s,
                                             uint64_t lifetime_s, struct imapstate_span state,
                                             struct imapstate_buf *ret_token, uint64_t *ret_left_s)
{
    uint8_t raw[RAW_MAX], fingerprint[IMAPSTATE_FINGERPRINT_OCTETS];
    char token[IMAPSTATE_TOKEN_MAX + 1];
    size_t room;

    if (!is_format(format))
        return IMAPSTATE_TOKEN_VERSION;
    if (!binding_is_supported(binding))
        return IMAPSTATE_UNSUPPORTED;
    if (sodium_init() < 0 || !fingerprint_of(format, binding->names, binding->epoch, fingerprint))
        return IMAPSTATE_NO_MEMORY;
    if (!binding_room(binding, &room) || state.len > room)
        return IMAPSTATE_STATE_TOO_LARGE;
    struct inner inner = { .since_s = format == FORMAT_ISSUED ? now_s : binding->revoked_s,
                           .expires_s = expiry_s(format, now_s, lifetime_s),
                           .user = binding->user,
                           .upstream = binding->upstream,
                           .fingerprint = fingerprint,
                           .state = state };
    raw[0] = (uint8_t)format;
    put_number(raw + KEY_ID_AT, key->id, 4);
    size_t raw_len = raw_seal(raw, put_inner(raw + SEALED_AT, &inner), key->octets);
    sodium_bin2base64(token, sizeof token, raw, raw_len, BASE64_VARIANT);
    bool fits = imapstate_buf_put(ret_token, imapstate_span_of(token));
    sodium_memzero(token, sizeof token);
    sodium_memzero(raw, sizeof raw);
    if (!fits)
        return IMAPSTATE_NO_MEMORY;
    *ret_left_s = inner.expires_s - now_s;
    return IMAPSTATE_OK;
}

/* --- opening --- */

static enum imapstate_error inner_check(unsigned format, const struct inner *inner,
                                        const struct imapstate_token_binding *binding, uint64_t now_s)
{
    uint8_t fingerprint[IMAPSTATE_FINGERPRINT_OCTETS];
    if (now_s >= inner->expires_s)
        return IMAPSTATE_TOKEN_EXPIRED;
    if (format == FORMAT_ISSUED && inner->since_s > now_s && inner->since_s - now_s > CLOCK_SKEW_S)
        return IMAPSTATE_NOT_YET_VALID;
    if (!imapstate_span_equal(inner->user, binding->user))
        return IMAPSTATE_TOKEN_OTHER_USER;
    if (!imapstate_span_equal(inner->upstream, binding->upstream))
        return IMAPSTATE_TOKEN_OTHER_UPSTREAM;
    if (inner->since_s < binding->revoked_s)
        return IMAPSTATE_TOKEN_REVOKED;
    if (!fingerprint_of(format, binding->names, binding->epoch, fingerprint))
        return IMAPSTATE_NO_MEMORY;
    if (memcmp(inner->fingerprint, fingerprint, IMAPSTATE_FINGERPRINT_OCTETS) != 0)
        return IMAPSTATE_TOKEN_OTHER_FINGERPRINT;
    return IMAPSTATE_OK;
}

/* Opens raw in place. */
static enum imapstate_error open_raw(const struct imapstate_keyring *keyring,
                                     const struct imapstate_token_binding *binding, uint64_t now_s, uint8_t *raw,
                                     size_t raw_len, struct imapstate_buf *ret_state)
{
    struct imapstate_key key;
    struct imapstate_span octets;
    struct inner inner;

    if (raw_len < SEALED_AT + TAG_OCTETS + INNER_FIXED)
        return IMAPSTATE_TOKEN_MALFORMED;
    if (!is_format(raw[0]))
        return IMAPSTATE_TOKEN_VERSION;
    uint32_t id = (uint32_t)raw[1] << 24 | (uint32_t)raw[2] << 16 | (uint32_t)raw[3] << 8 | raw[4];
    if (!imapstate_keyring_find(keyring, id, &key))
        return IMAPSTATE_TOKEN_KEY_UNKNOWN;
    if (!raw_open(raw, raw_len, key.octets, &octets))
        return IMAPSTATE_TOKEN_FORGED;
    if (!inner_decode(octets, &inner))
        return IMAPSTATE_TOKEN_MALFORMED;
    enum imapstate_error error = inner_check(raw[0], &inner, binding, now_s);
    if (error == IMAPSTATE_OK && !imapstate_buf_put(ret_state, inner.state))
        error = IMAPSTATE_NO_MEMORY;
    return error;
}

enum imapstate_error imapstate_token_open(const struct imapstate_keyring *keyring,
                                          const struct imapstate_token_binding *binding, uint64_t now_s,
                                          struct imapstate_span token, struct imapstate_buf *ret_state)
{
    uint8_t raw[RAW_MAX];
    size_t raw_len;

    if (!binding_is_supported(binding))
        return IMAPSTATE_UNSUPPORTED;
    if (sodium_init() < 0)
        return IMAPSTATE_NO_MEMORY;
    enum imapstate_error error = IMAPSTATE_TOKEN_MALFORMED;
    if (token.len > 0 && base64_decode(token, raw, sizeof raw, &raw_len))
        error = open_raw(keyring, binding, now_s, raw, raw_len, ret_state);
    sodium_memzero(raw, sizeof raw);
    return error;
}

/* --- the fingerprint --- */

static uint8_t to_upper(uint8_t octet)
{
    return octet >= 'a' && octet <= 'z' ? (uint8_t)(octet - 'a' + 'A') : octet;
}

static bool begins_with(struct imapstate_span name, struct imapstate_span prefix)
{
    return name.len >= prefix.len && memcmp(name.at, prefix.at, prefix.len) == 0;
}

/* Left out: what says nothing of the session (P12). */
static bool counts(unsigned format, struct imapstate_span name)
{
    static const char *const others[] = { "STARTTLS", "LOGINDISABLED", "SASL-IR" };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (imapstate_span_equal(name, imapstate_span_of(others[i])))
            return false;
    bool counted = format != FORMAT_ISSUED || !(begins_with(name, IMAPSTATE_SPAN("COMPRESS=")) ||
                                                imapstate_span_equal(name, IMAPSTATE_SPAN("XIMAPPROXY")));
    return name.len > 0 && !begins_with(name, IMAPSTATE_SPAN("AUTH=")) && counted;
}

static int name_compare(const void *a, const void *b)
{
    const struct imapstate_span *left = a, *right = b;
    size_t len = left->len < right->len ? left->len : right->len;
    int order = memcmp(left->at, right->at, len);
    return order ? order : (left->len > right->len) - (left->len < right->len);
}

/* The names that count in text, which is upper case; sorted. ret_names has room for (text.len + 1) / 2 of them. */
static size_t names_sort(unsigned format, struct imapstate_span text, struct imapstate_span *ret_names)
{
    size_t count = 0;
    struct imapstate_span name;
    while ((name = words_next(&text)).len > 0)
        if (counts(format, name))
            ret_names[count++] = name;
    qsort(ret_names, count, sizeof *ret_names, name_compare);
    return count;
}

static void fingerprint_hash(const struct imapstate_span *names, size_t count, uint64_t epoch,
                             uint8_t ret_fingerprint[IMAPSTATE_FINGERPRINT_OCTETS])
{
    crypto_generichash_state hash;
    uint8_t epoch_octets[8];

    crypto_generichash_init(&hash, NULL, 0, IMAPSTATE_FINGERPRINT_OCTETS);
    put_number(epoch_octets, epoch, sizeof epoch_octets);
    crypto_generichash_update(&hash, epoch_octets, sizeof epoch_octets);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && imapstate_span_equal(names[i], names[i - 1]))
            continue;
        crypto_generichash_update(&hash, names[i].at, names[i].len);
        crypto_generichash_update(&hash, (const uint8_t *)" ", 1);
    }
    crypto_generichash_final(&hash, ret_fingerprint, IMAPSTATE_FINGERPRINT_OCTETS);
}

static bool fingerprint_of(unsigned format, struct imapstate_span names, uint64_t epoch,
                           uint8_t ret_fingerprint[IMAPSTATE_FINGERPRINT_OCTETS])
{
    uint8_t *upper = malloc(names.len + 1);
    struct imapstate_span *sorted = calloc(names.len / 2 + 1, sizeof *sorted);
    bool has_memory = sodium_init() >= 0 && upper && sorted;
    if (has_memory) {
        for (size_t i = 0; i < names.len; i++)
            upper[i] = to_upper(names.at[i]);
        size_t count = names_sort(format, (struct imapstate_span){ upper, names.len }, sorted);
        fingerprint_hash(sorted, count, epoch, ret_fingerprint);
    }
    free(upper);
    free(sorted);
    return has_memory;
}

bool imapstate_token_fingerprint(struct imapstate_span names, uint64_t epoch,
                                 uint8_t ret_fingerprint[IMAPSTATE_FINGERPRINT_OCTETS])
{
    return fingerprint_of(IMAPSTATE_TOKEN_FORMAT, names, epoch, ret_fingerprint);
}

void imapstate_token_hash(struct imapstate_span token, char ret_hash[17])
{
    /* Cut down from the shortest that the function is made for. */
    uint8_t hash[crypto_generichash_BYTES_MIN] = { 0 };
    if (sodium_init() >= 0)
        crypto_generichash(hash, sizeof hash, token.at, token.len, NULL, 0);
    sodium_bin2hex(ret_hash, 17, hash, 8);
}
