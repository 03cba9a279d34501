/* Properties, by the first octet: nothing that was not sealed opens, whatever it looks like; a seal around octets of
 * any kind opens only if they are what seal writes, in format 2 with the nonce that is theirs; what was sealed opens to
 * the same state, and not if an octet differs; what is sealed again is the same in format 2, and another in format 1;
 * the fingerprint does not depend on repetition; a keyring that was read reads again as it was written. */
#include "fuzz.h"

#include <imapstate/keyring.h>
#include <imapstate/token.h>

#include <sodium.h>
#include <string.h>

#define NOW_S 1795478400u

static const uint8_t key_octets[IMAPSTATE_KEY_OCTETS] = { 1, 2, 3 };
static const struct imapstate_token_binding binding = { .user = { (const uint8_t *)"ann", 3 },
                                                        .upstream = { (const uint8_t *)"main", 4 } };
static struct imapstate_keyring *keyring; /* one key: id 0x01020304 */

static enum imapstate_error token_open(struct imapstate_span token, struct imapstate_buf *ret_state)
{
    imapstate_buf_init(ret_state, IMAPSTATE_TOKEN_MAX);
    enum imapstate_error error = imapstate_token_open(keyring, &binding, NOW_S, token, ret_state);
    CHECK(error == IMAPSTATE_OK || ret_state->len == 0);
    return error;
}

static void check_no_forgery(struct imapstate_span in)
{
    struct imapstate_buf state;
    char hash[17];
    CHECK(token_open(in, &state) != IMAPSTATE_OK);
    imapstate_token_hash(in, hash);
    imapstate_buf_done(&state);
}

static void subkey(uint64_t use, uint8_t ret_subkey[IMAPSTATE_KEY_OCTETS])
{
    crypto_kdf_derive_from_key(ret_subkey, IMAPSTATE_KEY_OCTETS, use, "imapstok", key_octets);
}

/* Seals inner as it is. wrong: changes its nonce. */
static void seal_inner(unsigned format, uint8_t wrong, struct imapstate_span inner, char *ret_token, size_t size)
{
    uint8_t raw[IMAPSTATE_TOKEN_MAX] = { (uint8_t)format, 1, 2, 3, 4 }, seal_key[IMAPSTATE_KEY_OCTETS];
    uint8_t nonce_key[IMAPSTATE_KEY_OCTETS], *nonce = raw + 5;
    unsigned long long sealed_len;
    memcpy(seal_key, key_octets, sizeof seal_key);
    if (format == 2) {
        subkey(1, seal_key);
        subkey(2, nonce_key);
        /* Behind format and key id, where the nonce belongs, for now. */
        if (inner.len > 0)
            memcpy(nonce, inner.at, inner.len);
        uint8_t right[24];
        crypto_generichash(right, sizeof right, raw, 5 + inner.len, nonce_key, sizeof nonce_key);
        memcpy(nonce, right, sizeof right);
    }
    nonce[wrong % 24] ^= wrong;
    crypto_aead_xchacha20poly1305_ietf_encrypt(raw + 29, &sealed_len, inner.at, inner.len, raw, 5, NULL, nonce,
                                               seal_key);
    sodium_bin2base64(ret_token, size, raw, 29 + sealed_len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* What seal() writes, changed as in tells: its first octet is the format and what is wrong with the nonce, its second
 * lengthens or shortens it, two each overwrite one octet. */
static void check_inside(struct imapstate_span in)
{
    unsigned format = in.len > 0 ? in.at[0] % 2 + 1 : 2;
    uint8_t wrong = in.len > 0 ? in.at[0] / 2 : 0;
    if (in.len > 0)
        in.at++, in.len--;
    enum { LEN = 8 + 8 + 2 + 3 + 2 + 4 + IMAPSTATE_FINGERPRINT_OCTETS + 2 + 5 };
    uint8_t inner[LEN + 127] = "\0\0\0\0\x6b\x04\x6b\0\0\0\0\0\x6b\x05\0\0\0\3ann\0\4main";
    char token[2 * IMAPSTATE_TOKEN_MAX];
    struct imapstate_buf state;
    CHECK(imapstate_token_fingerprint(binding.names, binding.epoch, inner + LEN - 7 - IMAPSTATE_FINGERPRINT_OCTETS));
    memcpy(inner + LEN - 7, "\0\5state", 7);
    size_t len = LEN;
    if (in.len > 0)
        len = in.at[0] < 128 ? LEN + in.at[0] : in.at[0] - 128u < LEN ? LEN - (in.at[0] - 128u) : 0;
    for (size_t i = 1; i + 1 < in.len; i += 2)
        inner[in.at[i] % sizeof inner] = in.at[i + 1];
    seal_inner(format, wrong, (struct imapstate_span){ inner, len }, token, sizeof token);
    enum imapstate_error error = token_open(imapstate_span_of(token), &state);
    CHECK(format == 1 || wrong == 0 || len < LEN || error == IMAPSTATE_TOKEN_FORGED);
    CHECK(in.len > 1 || (format == 2 && wrong > 0) || (error == IMAPSTATE_OK) == (len == LEN));
    /* The binding is as long as it was: all that is left is the state. */
    CHECK(error != IMAPSTATE_OK || imapstate_span_equal(imapstate_buf_span(&state),
                                                        (struct imapstate_span){ inner + LEN - 5, len - (LEN - 5) }));
    imapstate_buf_done(&state);
}

static enum imapstate_error seal(unsigned format, struct imapstate_span in, struct imapstate_buf *ret_token)
{
    struct imapstate_key key = { .id = 0x01020304, .octets = key_octets };
    uint64_t left_s = 0;
    imapstate_buf_init(ret_token, IMAPSTATE_TOKEN_MAX);
    enum imapstate_error error = imapstate_token_seal_as(format, &key, &binding, NOW_S, 60, in, ret_token, &left_s);
    CHECK(error != IMAPSTATE_OK || (left_s >= 60 && left_s < 60 + 60 / 8));
    return error;
}

static void check_round_trip(struct imapstate_span in)
{
    struct imapstate_buf token, again, state;
    unsigned format = in.len % 2 + 1;
    enum imapstate_error error = seal(format, in, &token);
    CHECK(error == (in.len > imapstate_token_state_max(&binding) ? IMAPSTATE_STATE_TOO_LARGE : IMAPSTATE_OK));
    if (error == IMAPSTATE_OK) {
        CHECK(token_open(imapstate_buf_span(&token), &state) == IMAPSTATE_OK);
        CHECK(imapstate_span_equal(imapstate_buf_span(&state), in));
        imapstate_buf_done(&state);
        CHECK(seal(format, in, &again) == IMAPSTATE_OK);
        CHECK(imapstate_span_equal(imapstate_buf_span(&token), imapstate_buf_span(&again)) == (format == 2));
        imapstate_buf_done(&again);
        size_t at = in.len >= 2 ? ((size_t)in.at[0] << 8 | in.at[1]) % token.len : 0;
        token.at[at] ^= (uint8_t)(in.len ? in.at[in.len - 1] | 1 : 1);
        CHECK(token_open(imapstate_buf_span(&token), &state) != IMAPSTATE_OK);
        imapstate_buf_done(&state);
    }
    imapstate_buf_done(&token);
}

static void check_fingerprint(struct imapstate_span in)
{
    uint8_t once[IMAPSTATE_FINGERPRINT_OCTETS], twice[IMAPSTATE_FINGERPRINT_OCTETS];
    struct imapstate_buf doubled;
    imapstate_buf_init(&doubled, SIZE_MAX);
    CHECK(imapstate_buf_put(&doubled, in) && imapstate_buf_put_byte(&doubled, ' ') && imapstate_buf_put(&doubled, in));
    CHECK(imapstate_token_fingerprint(in, 1, once) &&
          imapstate_token_fingerprint(imapstate_buf_span(&doubled), 1, twice));
    CHECK(memcmp(once, twice, sizeof once) == 0);
    imapstate_buf_done(&doubled);
}

static void write_all(const struct imapstate_keyring *from, struct imapstate_buf *ret_text)
{
    struct imapstate_key key;
    imapstate_buf_init(ret_text, 2 * IMAPSTATE_KEYRING_TEXT_MAX);
    for (size_t i = 0; imapstate_keyring_at(from, i, &key); i++)
        CHECK(imapstate_keyring_write_key(&key, ret_text));
}

static void check_keyring(struct imapstate_span in)
{
    struct imapstate_keyring *first = imapstate_keyring_new(), *second = imapstate_keyring_new();
    struct imapstate_buf text, again;
    size_t line = 0;
    CHECK(first && second);
    enum imapstate_error error = imapstate_keyring_read(first, in, &line);
    CHECK(error == IMAPSTATE_OK ? line == 0 : line > 0 && imapstate_keyring_count(first) == 0);
    write_all(first, &text);
    CHECK(imapstate_keyring_read(second, imapstate_buf_span(&text), &line) == IMAPSTATE_OK);
    write_all(second, &again);
    CHECK(imapstate_span_equal(imapstate_buf_span(&text), imapstate_buf_span(&again)));
    imapstate_buf_done(&text);
    imapstate_buf_done(&again);
    imapstate_keyring_free(first);
    imapstate_keyring_free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    static void (*const checks[])(struct imapstate_span in) = { check_no_forgery, check_inside, check_round_trip,
                                                                check_fingerprint, check_keyring };
    if (!keyring) {
        keyring = imapstate_keyring_new();
        CHECK(keyring && imapstate_keyring_add(keyring, 0x01020304, 0, key_octets) == IMAPSTATE_OK);
    }
    if (len > 0)
        checks[at[0] % 5]((struct imapstate_span){ at + 1, len - 1 });
    return 0;
}
