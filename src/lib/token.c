#include <imapstate/token.h>

#include "base64.h"
#include "words.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define KEY_ID_AT    1u
#define NONCE_AT     5u
#define SEALED_AT    (NONCE_AT + IMAPSTATE_TOKEN_NONCE_OCTETS)
#define TAG_OCTETS   crypto_aead_xchacha20poly1305_ietf_ABYTES
#define CLOCK_SKEW_S 300u

/* The format whose fingerprint did not tell whether there was COMPRESS=. */
#define FORMAT_UNCOMPRESSED 1u

/* Octets in the longest token, before base64: four characters carry three octets. */
#define RAW_MAX (IMAPSTATE_TOKEN_MAX / 4 * 3)
/* Inside the seal: two times, three lengths, the fingerprint; then what the lengths measure. */
#define INNER_FIXED  (8u + 8u + 2u + 2u + 2u + IMAPSTATE_FINGERPRINT_OCTETS)
#define INNER_MAX    (RAW_MAX - SEALED_AT - TAG_OCTETS)
#define VARIABLE_MAX (INNER_MAX - INNER_FIXED)

_Static_assert(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == IMAPSTATE_TOKEN_NONCE_OCTETS, "nonce");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == IMAPSTATE_KEY_OCTETS, "key");

/* What is inside a seal; spans borrow. */
struct inner {
    uint64_t issued_s, expires_s;
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
    bool is_whole = take_number(&in, 8, &ret_inner->issued_s) && take_number(&in, 8, &ret_inner->expires_s) &&
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

/* Writes version, key id, nonce and, in clear, what is to be sealed. Returns the octets of the latter. */
static size_t write_raw(uint8_t *raw, const struct imapstate_key *key, const struct imapstate_token_binding *binding,
                        const uint8_t *fingerprint, uint64_t issued_s, uint64_t expires_s, const uint8_t *nonce,
                        struct imapstate_span state)
{
    raw[0] = IMAPSTATE_TOKEN_FORMAT;
    put_number(raw + KEY_ID_AT, key->id, 4);
    memcpy(raw + NONCE_AT, nonce, IMAPSTATE_TOKEN_NONCE_OCTETS);
    uint8_t *at = put_number(raw + SEALED_AT, issued_s, 8);
    at = put_number(at, expires_s, 8);
    at = put_counted(at, binding->user);
    at = put_counted(at, binding->upstream);
    at = put_octets(at, (struct imapstate_span){ fingerprint, IMAPSTATE_FINGERPRINT_OCTETS });
    at = put_counted(at, state);
    return (size_t)(at - raw) - SEALED_AT;
}

enum imapstate_error imapstate_token_seal(const struct imapstate_key *key,
                                          const struct imapstate_token_binding *binding, uint64_t now_s,
                                          uint64_t lifetime_s, const uint8_t *nonce, struct imapstate_span state,
                                          struct imapstate_buf *ret_token)
{
    uint8_t raw[RAW_MAX], fingerprint[IMAPSTATE_FINGERPRINT_OCTETS];
    char token[IMAPSTATE_TOKEN_MAX + 1];
    uint64_t expires_s;
    size_t room;

    if (sodium_init() < 0 || !imapstate_token_fingerprint(binding->names, binding->epoch, fingerprint))
        return IMAPSTATE_NO_MEMORY;
    if (!binding_room(binding, &room) || state.len > room)
        return IMAPSTATE_STATE_TOO_LARGE;
    if (__builtin_add_overflow(now_s, lifetime_s, &expires_s))
        expires_s = UINT64_MAX;
    size_t inner_len = write_raw(raw, key, binding, fingerprint, now_s, expires_s, nonce, state);
    uint8_t *sealed = raw + SEALED_AT;
    unsigned long long sealed_len;
    crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, &sealed_len, sealed, inner_len, raw, NONCE_AT, NULL, nonce,
                                               key->octets);
    size_t raw_len = SEALED_AT + (size_t)sealed_len;
    sodium_bin2base64(token, sizeof token, raw, raw_len, BASE64_VARIANT);
    bool fits = imapstate_buf_put(ret_token, imapstate_span_of(token));
    sodium_memzero(token, sizeof token);
    sodium_memzero(raw, sizeof raw);
    return fits ? IMAPSTATE_OK : IMAPSTATE_NO_MEMORY;
}

static bool fingerprint_of(unsigned format, struct imapstate_span names, uint64_t epoch,
                           uint8_t ret_fingerprint[IMAPSTATE_FINGERPRINT_OCTETS]);

static enum imapstate_error inner_check(unsigned format, const struct inner *inner,
                                        const struct imapstate_token_binding *binding, uint64_t now_s)
{
    uint8_t fingerprint[IMAPSTATE_FINGERPRINT_OCTETS];
    if (now_s >= inner->expires_s)
        return IMAPSTATE_TOKEN_EXPIRED;
    if (inner->issued_s > now_s && inner->issued_s - now_s > CLOCK_SKEW_S)
        return IMAPSTATE_NOT_YET_VALID;
    if (!imapstate_span_equal(inner->user, binding->user))
        return IMAPSTATE_TOKEN_OTHER_USER;
    if (!imapstate_span_equal(inner->upstream, binding->upstream))
        return IMAPSTATE_TOKEN_OTHER_UPSTREAM;
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
    struct inner inner;
    unsigned long long inner_len;
    uint8_t *sealed = raw + SEALED_AT;

    if (raw_len < SEALED_AT + TAG_OCTETS + INNER_FIXED)
        return IMAPSTATE_TOKEN_MALFORMED;
    if (raw[0] != IMAPSTATE_TOKEN_FORMAT && raw[0] != FORMAT_UNCOMPRESSED)
        return IMAPSTATE_TOKEN_VERSION;
    uint32_t id = (uint32_t)raw[1] << 24 | (uint32_t)raw[2] << 16 | (uint32_t)raw[3] << 8 | raw[4];
    if (!imapstate_keyring_find(keyring, id, &key))
        return IMAPSTATE_TOKEN_KEY_UNKNOWN;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, &inner_len, NULL, sealed, raw_len - SEALED_AT, raw, NONCE_AT,
                                                   raw + NONCE_AT, key.octets) != 0)
        return IMAPSTATE_TOKEN_FORGED;
    if (!inner_decode((struct imapstate_span){ sealed, (size_t)inner_len }, &inner))
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

    if (sodium_init() < 0)
        return IMAPSTATE_NO_MEMORY;
    enum imapstate_error error = IMAPSTATE_TOKEN_MALFORMED;
    if (token.len > 0 && base64_decode(token, raw, sizeof raw, &raw_len))
        error = open_raw(keyring, binding, now_s, raw, raw_len, ret_state);
    sodium_memzero(raw, sizeof raw);
    return error;
}

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
    bool counted = format != FORMAT_UNCOMPRESSED || !(begins_with(name, IMAPSTATE_SPAN("COMPRESS=")) ||
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
    uint8_t hash[crypto_generichash_BYTES_MIN];
    crypto_generichash(hash, sizeof hash, token.at, token.len, NULL, 0);
    sodium_bin2hex(ret_hash, 17, hash, 8);
}
