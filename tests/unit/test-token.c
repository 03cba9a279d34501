#include "check.h"

#include <imapstate/token.h>

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define NOW_S      1795478400u
#define LIFETIME_S (14u * 86400u)
#define KEY_ID     0x01020304u
#define REVOKED_S  1700000000u

#define EACH_FORMAT(format) for (unsigned format = 1; format <= IMAPSTATE_TOKEN_FORMAT; format++)

static const uint8_t key_octets[IMAPSTATE_KEY_OCTETS] = "an example key, 32 octets long.";

static struct imapstate_token_binding binding_of(const char *user, const char *upstream, const char *names)
{
    return (struct imapstate_token_binding){ .user = imapstate_span_of(user),
                                             .upstream = imapstate_span_of(upstream),
                                             .names = imapstate_span_of(names),
                                             .revoked_s = REVOKED_S };
}

static struct imapstate_keyring *keyring_of(uint32_t id, const uint8_t *octets)
{
    struct imapstate_keyring *keyring = imapstate_keyring_new();
    assert_non_null(keyring);
    assert_int_equal(imapstate_keyring_add(keyring, id, 0, octets), IMAPSTATE_OK);
    return keyring;
}

static const struct imapstate_key key = { .id = KEY_ID, .octets = key_octets };

static struct imapstate_buf seal_at(unsigned format, const struct imapstate_token_binding *binding, uint64_t now_s,
                                    uint64_t lifetime_s, uint64_t *ret_left_s)
{
    struct imapstate_buf token;
    imapstate_buf_init(&token, IMAPSTATE_TOKEN_MAX);
    assert_int_equal(
        imapstate_token_seal_as(format, &key, binding, now_s, lifetime_s, IMAPSTATE_SPAN("state"), &token, ret_left_s),
        IMAPSTATE_OK);
    return token;
}

/* A token for ann at main that seals state. */
static struct imapstate_buf seal(unsigned format, struct imapstate_span state)
{
    struct imapstate_token_binding binding = binding_of("ann", "main", "IMAP4REV1 ENABLE");
    struct imapstate_buf token;
    uint64_t left_s = 0;
    imapstate_buf_init(&token, IMAPSTATE_TOKEN_MAX);
    assert_int_equal(imapstate_token_seal_as(format, &key, &binding, NOW_S, LIFETIME_S, state, &token, &left_s),
                     IMAPSTATE_OK);
    assert_int_equal(left_s, LIFETIME_S);
    return token;
}

/* Opens an exact copy, so that a sanitizer sees a read behind it. ret_state must stay as it was on error. */
static enum imapstate_error open_with(const struct imapstate_token_binding *binding, struct imapstate_span token,
                                      uint64_t now_s, struct imapstate_buf *ret_state)
{
    struct imapstate_keyring *keyring = keyring_of(KEY_ID, key_octets);
    uint8_t *copy = malloc(token.len ? token.len : 1);
    assert_non_null(copy);
    if (token.len)
        memcpy(copy, token.at, token.len);
    size_t len_before = ret_state->len;
    enum imapstate_error error =
        imapstate_token_open(keyring, binding, now_s, (struct imapstate_span){ copy, token.len }, ret_state);
    if (error != IMAPSTATE_OK)
        assert_int_equal(ret_state->len, len_before);
    free(copy);
    imapstate_keyring_free(keyring);
    return error;
}

static enum imapstate_error open_at(struct imapstate_span token, uint64_t now_s, struct imapstate_buf *ret_state)
{
    struct imapstate_token_binding binding = binding_of("ann", "main", "IMAP4REV1 ENABLE");
    return open_with(&binding, token, now_s, ret_state);
}

/* --- made and taken apart by other means --- */

#define NONCE_AT  5u
#define SEALED_AT 29u

static void decode(struct imapstate_span token, uint8_t ret_raw[IMAPSTATE_TOKEN_MAX], size_t *ret_len)
{
    assert_int_equal(sodium_base642bin(ret_raw, IMAPSTATE_TOKEN_MAX, (const char *)token.at, token.len, NULL, ret_len,
                                       NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING),
                     0);
}

static void subkey(uint64_t use, uint8_t ret_subkey[IMAPSTATE_KEY_OCTETS])
{
    crypto_kdf_derive_from_key(ret_subkey, IMAPSTATE_KEY_OCTETS, use, "imapstok", key_octets);
}

static void seal_key_of(unsigned format, uint8_t ret_key[IMAPSTATE_KEY_OCTETS])
{
    if (format == 1)
        memcpy(ret_key, key_octets, IMAPSTATE_KEY_OCTETS);
    else
        subkey(1, ret_key);
}

/* Returns the octets of ret_inner. */
static size_t take_apart(unsigned format, struct imapstate_span token, uint8_t ret_nonce[24],
                         uint8_t ret_inner[IMAPSTATE_TOKEN_MAX])
{
    uint8_t raw[IMAPSTATE_TOKEN_MAX], seal_key[IMAPSTATE_KEY_OCTETS];
    const uint8_t head[NONCE_AT] = { (uint8_t)format, 1, 2, 3, 4 };
    size_t raw_len;
    unsigned long long inner_len;
    decode(token, raw, &raw_len);
    seal_key_of(format, seal_key);
    memcpy(ret_nonce, raw + NONCE_AT, 24);
    assert_int_equal(crypto_aead_xchacha20poly1305_ietf_decrypt(ret_inner, &inner_len, NULL, raw + SEALED_AT,
                                                                raw_len - SEALED_AT, head, sizeof head, ret_nonce,
                                                                seal_key),
                     0);
    return (size_t)inner_len;
}

/* As P14 has it, with the key id that is the tests'. */
static void right_nonce(struct imapstate_span inner, uint8_t ret_nonce[24])
{
    static const uint8_t head[] = { 2, 1, 2, 3, 4 };
    uint8_t nonce_key[IMAPSTATE_KEY_OCTETS], text[sizeof head + IMAPSTATE_TOKEN_MAX];
    subkey(2, nonce_key);
    memcpy(text, head, sizeof head);
    if (inner.len > 0)
        memcpy(text + sizeof head, inner.at, inner.len);
    crypto_generichash(ret_nonce, 24, text, sizeof head + inner.len, nonce_key, sizeof nonce_key);
}

/* Seals octets that need not be what seal() writes, with the right key. */
static void seal_inner(unsigned format, const uint8_t nonce[24], struct imapstate_span inner, char *ret_token,
                       size_t size)
{
    uint8_t raw[IMAPSTATE_TOKEN_MAX] = { (uint8_t)format, 1, 2, 3, 4 }, seal_key[IMAPSTATE_KEY_OCTETS];
    unsigned long long sealed_len;
    seal_key_of(format, seal_key);
    memcpy(raw + NONCE_AT, nonce, 24);
    crypto_aead_xchacha20poly1305_ietf_encrypt(raw + SEALED_AT, &sealed_len, inner.at, inner.len, raw, NONCE_AT, NULL,
                                               nonce, seal_key);
    sodium_bin2base64(ret_token, size, raw, SEALED_AT + sealed_len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

static void seal_inner_rightly(unsigned format, struct imapstate_span inner, char *ret_token, size_t size)
{
    uint8_t nonce[24] = "a nonce for use in test";
    if (format == 2)
        right_nonce(inner, nonce);
    seal_inner(format, nonce, inner, ret_token, size);
}

static void check_what_was_sealed_comes_out_and_is_appended(unsigned format)
{
    static const uint8_t octets[] = { 0, 1, 0xff, '\r', '\n', 0 };
    struct imapstate_buf token = seal(format, (struct imapstate_span){ octets, sizeof octets });
    for (size_t i = 0; i < token.len; i++)
        assert_non_null(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", token.at[i]));
    struct imapstate_buf state;
    imapstate_buf_init(&state, 100);
    assert_true(imapstate_buf_put(&state, IMAPSTATE_SPAN("before")));
    assert_int_equal(open_at(imapstate_buf_span(&token), NOW_S, &state), IMAPSTATE_OK);
    CHECK_SPAN("state", imapstate_buf_span(&state), IMAPSTATE_SPAN("before\0\1\xff\r\n\0"));
    state.max = state.len + sizeof octets - 1;
    assert_int_equal(open_at(imapstate_buf_span(&token), NOW_S, &state), IMAPSTATE_NO_MEMORY);
    imapstate_buf_done(&state);
    imapstate_buf_done(&token);
}

TEST(what_was_sealed_comes_out_and_is_appended)
{
    EACH_FORMAT(format)
    check_what_was_sealed_comes_out_and_is_appended(format);
}

/* A token must open in later releases too. These were made by other code: Python's hashlib.blake2b for fingerprint,
 * subkeys and nonce, and libsodium's AEAD over octets that were put together by struct.pack(). */
#define FORMAT_1_TOKEN                                                                                                 \
    "AQECAwRhIG5vbmNlIGZvciB1c2UgaW4gdGVzdHOzcR1SgRW8Q5f3I4AUutpILZ9VKtulTWfkCRxQCW_rM1k94i01QFsqytUN1hGdhS8UM9o3_EvT" \
    "wc1uwVYq8VqyvGc94FpREL1veWmTscePSbTY"
#define FORMAT_2_TOKEN                                                                                                 \
    "AgECAwRUCJa-GivaV7JED8sV79jdCJ2yUEnaWmmUdi67AXvztb5ABLmiJhuB-DecepoZp3ir76XtVJJuLjAsZBBHi9g-ELsboGjKarjqemEB8t1V" \
    "kTwZJ8aL3I3yc7VRT2qzKagMO-Uhq9DRq5G3"

TEST(p14_format_2_is_as_documented)
{
    struct imapstate_buf token = seal(2, IMAPSTATE_SPAN("state"));
    CHECK_SPAN("token", imapstate_buf_span(&token), IMAPSTATE_SPAN(FORMAT_2_TOKEN));
    imapstate_buf_done(&token);
}

TEST(p14_format_1_is_as_it_was_released)
{
    uint8_t inner[IMAPSTATE_TOKEN_MAX], known[IMAPSTATE_TOKEN_MAX], nonce[24], other_nonce[24];
    struct imapstate_buf token = seal(1, IMAPSTATE_SPAN("state")), again = seal(1, IMAPSTATE_SPAN("state"));
    size_t known_len = take_apart(1, IMAPSTATE_SPAN(FORMAT_1_TOKEN), nonce, known);
    assert_int_equal(take_apart(1, imapstate_buf_span(&token), nonce, inner), known_len);
    assert_memory_equal(inner, known, known_len);
    /* The nonce is random; all else is known. */
    assert_int_equal(take_apart(1, imapstate_buf_span(&again), other_nonce, inner), known_len);
    assert_memory_equal(inner, known, known_len);
    assert_memory_not_equal(nonce, other_nonce, sizeof nonce);
    imapstate_buf_done(&token);
    imapstate_buf_done(&again);
}

TEST(there_is_no_other_format)
{
    static const unsigned others[] = { 0, IMAPSTATE_TOKEN_FORMAT + 1, 257, UINT32_MAX };
    struct imapstate_token_binding binding = binding_of("ann", "main", "IMAP4REV1 ENABLE");
    struct imapstate_buf token;
    uint64_t left_s;
    imapstate_buf_init(&token, IMAPSTATE_TOKEN_MAX);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_int_equal(imapstate_token_seal_as(others[i], &key, &binding, NOW_S, LIFETIME_S, IMAPSTATE_SPAN("state"),
                                                 &token, &left_s),
                         IMAPSTATE_TOKEN_VERSION);
    assert_int_equal(token.len, 0);
    imapstate_buf_done(&token);
}

TEST(p12_a_token_is_checked_by_the_fingerprint_of_its_format)
{
    static const struct {
        const char *name, *token, *names;
        enum imapstate_error want;
    } rows[] = {
        { "format 1", FORMAT_1_TOKEN, "IMAP4REV1 ENABLE", IMAPSTATE_OK },
        { "format 1, compression", FORMAT_1_TOKEN, "enable COMPRESS=DEFLATE IMAP4rev1 XIMAPPROXY", IMAPSTATE_OK },
        { "format 1, other names", FORMAT_1_TOKEN, "IMAP4REV1", IMAPSTATE_TOKEN_OTHER_FINGERPRINT },
        { "format 2", FORMAT_2_TOKEN, "IMAP4REV1 ENABLE", IMAPSTATE_OK },
        { "format 2, another order", FORMAT_2_TOKEN, "enable IMAP4rev1 AUTH=PLAIN", IMAPSTATE_OK },
        { "format 2, compression", FORMAT_2_TOKEN, "IMAP4REV1 ENABLE COMPRESS=DEFLATE",
          IMAPSTATE_TOKEN_OTHER_FINGERPRINT },
    };
    struct imapstate_keyring *keyring = keyring_of(KEY_ID, key_octets);
    struct imapstate_buf state;
    imapstate_buf_init(&state, 100);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct imapstate_token_binding binding = binding_of("ann", "main", rows[i].names);
        CHECK_ROW(rows[i].name, imapstate_token_open(keyring, &binding, NOW_S, imapstate_span_of(rows[i].token),
                                                     &state) == rows[i].want);
    }
    imapstate_buf_done(&state);
    imapstate_keyring_free(keyring);
}

TEST(p12_format_1_is_sealed_by_the_fingerprint_of_its_time)
{
    struct imapstate_token_binding compressed = binding_of("ann", "main", "IMAP4REV1 ENABLE COMPRESS=DEFLATE");
    struct imapstate_buf state;
    uint64_t left_s;
    imapstate_buf_init(&state, 100);
    EACH_FORMAT(format)
    {
        struct imapstate_buf token = seal_at(format, &compressed, NOW_S, LIFETIME_S, &left_s);
        assert_int_equal(open_at(imapstate_buf_span(&token), NOW_S, &state),
                         format == 1 ? IMAPSTATE_OK : IMAPSTATE_TOKEN_OTHER_FINGERPRINT);
        imapstate_buf_done(&token);
    }
    imapstate_buf_done(&state);
}

static void check_no_flipped_bit_opens(unsigned format)
{
    struct imapstate_buf token = seal(format, IMAPSTATE_SPAN("some state"));
    struct imapstate_buf state;
    imapstate_buf_init(&state, 100);
    for (size_t bit = 0; bit < token.len * 8; bit++) {
        token.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(open_at(imapstate_buf_span(&token), NOW_S, &state), IMAPSTATE_OK);
        token.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(open_at(imapstate_buf_span(&token), NOW_S, &state), IMAPSTATE_OK);
    imapstate_buf_done(&state);
    imapstate_buf_done(&token);
}

TEST(no_flipped_bit_opens)
{
    EACH_FORMAT(format)
    check_no_flipped_bit_opens(format);
}

static void check_no_flipped_bit_of_the_sealed_octets_opens(unsigned format)
{
    struct imapstate_buf token = seal(format, IMAPSTATE_SPAN("some state"));
    struct imapstate_buf state;
    uint8_t raw[IMAPSTATE_TOKEN_MAX];
    size_t raw_len;
    char again[IMAPSTATE_TOKEN_MAX + 1];
    imapstate_buf_init(&state, 100);
    decode(imapstate_buf_span(&token), raw, &raw_len);
    for (size_t bit = 0; bit < raw_len * 8; bit++) {
        raw[bit / 8] ^= (uint8_t)(1u << bit % 8);
        sodium_bin2base64(again, sizeof again, raw, raw_len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        enum imapstate_error want = bit < 8    ? IMAPSTATE_TOKEN_VERSION
                                    : bit < 40 ? IMAPSTATE_TOKEN_KEY_UNKNOWN
                                               : IMAPSTATE_TOKEN_FORGED;
        assert_int_equal(open_at(imapstate_span_of(again), NOW_S, &state), want);
        raw[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    imapstate_buf_done(&state);
    imapstate_buf_done(&token);
}

TEST(no_flipped_bit_of_the_sealed_octets_opens)
{
    EACH_FORMAT(format)
    check_no_flipped_bit_of_the_sealed_octets_opens(format);
}

/* Such as a release with a fault might have sealed. */
static void check_a_seal_around_a_wrong_length_is_malformed(unsigned format)
{
    enum { USER_AT = 16, UPSTREAM_AT = 21, FINGERPRINT_AT = 27, STATE_AT = FINGERPRINT_AT + 32, LEN = STATE_AT + 7 };
    uint8_t inner[LEN + 1] = "\0\0\0\0\x6b\x04\x6b\0\0\0\0\0\x6b\x04\xff\0\0\3ann\0\4main";
    static const size_t lengths_at[] = { USER_AT, USER_AT + 1, UPSTREAM_AT, UPSTREAM_AT + 1, STATE_AT, STATE_AT + 1 };
    char token[IMAPSTATE_TOKEN_MAX];
    assert_true(imapstate_token_fingerprint(IMAPSTATE_SPAN("IMAP4REV1 ENABLE"), 0, inner + FINGERPRINT_AT));
    memcpy(inner + STATE_AT, "\0\5state", 7);
    struct imapstate_buf state;
    imapstate_buf_init(&state, 100);
    for (size_t len = 0; len <= LEN + 1; len++) {
        seal_inner_rightly(format, (struct imapstate_span){ inner, len }, token, sizeof token);
        assert_int_equal(open_at(imapstate_span_of(token), NOW_S, &state),
                         len == LEN ? IMAPSTATE_OK : IMAPSTATE_TOKEN_MALFORMED);
    }
    for (size_t i = 0; i < ARRAY_LEN(lengths_at); i++)
        for (unsigned value = 0; value < 256; value++) {
            uint8_t before = inner[lengths_at[i]];
            inner[lengths_at[i]] = (uint8_t)value;
            seal_inner_rightly(format, (struct imapstate_span){ inner, LEN }, token, sizeof token);
            assert_int_equal(open_at(imapstate_span_of(token), NOW_S, &state),
                             value == before ? IMAPSTATE_OK : IMAPSTATE_TOKEN_MALFORMED);
            inner[lengths_at[i]] = before;
        }
    imapstate_buf_done(&state);
}

TEST(a_seal_around_a_wrong_length_is_malformed)
{
    EACH_FORMAT(format)
    check_a_seal_around_a_wrong_length_is_malformed(format);
}

static void check_no_truncated_or_lengthened_token_opens(unsigned format)
{
    struct imapstate_buf token = seal(format, IMAPSTATE_SPAN("some state"));
    struct imapstate_buf state;
    imapstate_buf_init(&state, 100);
    for (size_t len = 0; len < token.len; len++)
        assert_int_not_equal(open_at((struct imapstate_span){ token.at, len }, NOW_S, &state), IMAPSTATE_OK);
    static const char *const tails[] = { "A", "AA", "AAA", "AAAA", "=", "==", " ", "\r\n" };
    for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
        size_t len = token.len;
        assert_true(imapstate_buf_put(&token, imapstate_span_of(tails[i])));
        CHECK_ROW(tails[i], open_at(imapstate_buf_span(&token), NOW_S, &state) != IMAPSTATE_OK);
        token.len = len;
    }
    imapstate_buf_done(&state);
    imapstate_buf_done(&token);
}

TEST(no_truncated_or_lengthened_token_opens)
{
    EACH_FORMAT(format)
    check_no_truncated_or_lengthened_token_opens(format);
}

static void check_only_the_canonical_spelling_opens(unsigned format)
{
    /* The length of the state decides how many bits the last character has to spare: 0, 2 or 4. */
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t state_len = 1; state_len <= 3; state_len++) {
        struct imapstate_buf token = seal(format, (struct imapstate_span){ (const uint8_t *)"abc", state_len });
        struct imapstate_buf state;
        imapstate_buf_init(&state, 100);
        unsigned opened = 0;
        for (size_t i = 0; i < 64; i++) {
            token.at[token.len - 1] = (uint8_t)alphabet[i];
            opened += open_at(imapstate_buf_span(&token), NOW_S, &state) == IMAPSTATE_OK;
        }
        assert_int_equal(opened, 1);
        imapstate_buf_done(&state);
        imapstate_buf_done(&token);
    }
}

TEST(only_the_canonical_spelling_opens)
{
    EACH_FORMAT(format)
    check_only_the_canonical_spelling_opens(format);
}

static const struct {
    const char *name;
    struct imapstate_span token;
} malformed[] = {
    { "empty", IMAPSTATE_SPAN("") },
    { "NIL", IMAPSTATE_SPAN("NIL") },
    { "one letter", IMAPSTATE_SPAN("A") },
    { "a NUL", IMAPSTATE_SPAN("AAAA\0AAA") },
    { "8-bit", IMAPSTATE_SPAN("AAAA\xc3\xa4"
                              "AA") },
    { "base64, not base64url", IMAPSTATE_SPAN("++++////") },
    { "spaces", IMAPSTATE_SPAN("AQID BAAA") },
};

TEST(what_is_no_token_is_malformed)
{
    struct imapstate_buf state;
    imapstate_buf_init(&state, 100);
    for (size_t i = 0; i < ARRAY_LEN(malformed); i++)
        CHECK_ROW(malformed[i].name, open_at(malformed[i].token, NOW_S, &state) == IMAPSTATE_TOKEN_MALFORMED);
    static uint8_t longest[2 * IMAPSTATE_TOKEN_MAX];
    memset(longest, 'A', sizeof longest);
    assert_int_equal(open_at((struct imapstate_span){ longest, sizeof longest }, NOW_S, &state),
                     IMAPSTATE_TOKEN_MALFORMED);
    assert_int_equal(open_at((struct imapstate_span){ longest, IMAPSTATE_TOKEN_MAX + 1 }, NOW_S, &state),
                     IMAPSTATE_TOKEN_MALFORMED);
    assert_int_equal(open_at((struct imapstate_span){ longest, IMAPSTATE_TOKEN_MAX }, NOW_S, &state),
                     IMAPSTATE_TOKEN_VERSION);
    imapstate_buf_done(&state);
}

/* --- times --- */

static const struct {
    const char *name;
    uint64_t now_s;
    enum imapstate_error want_1, want_2;
} times[] = {
    { "at once", NOW_S, IMAPSTATE_OK, IMAPSTATE_OK },
    { "in its last second", NOW_S + LIFETIME_S - 1, IMAPSTATE_OK, IMAPSTATE_OK },
    { "after its last second", NOW_S + LIFETIME_S, IMAPSTATE_TOKEN_EXPIRED, IMAPSTATE_TOKEN_EXPIRED },
    { "at the end of time", UINT64_MAX, IMAPSTATE_TOKEN_EXPIRED, IMAPSTATE_TOKEN_EXPIRED },
    { "by a clock five minutes behind", NOW_S - 300, IMAPSTATE_OK, IMAPSTATE_OK },
    { "by a clock further behind", NOW_S - 301, IMAPSTATE_NOT_YET_VALID, IMAPSTATE_OK },
    { "in 1970", 0, IMAPSTATE_NOT_YET_VALID, IMAPSTATE_OK },
};

static void check_times(unsigned format)
{
    struct imapstate_buf token = seal(format, IMAPSTATE_SPAN("state"));
    struct imapstate_buf state;
    imapstate_buf_init(&state, 100);
    for (size_t i = 0; i < ARRAY_LEN(times); i++)
        CHECK_ROW(times[i].name, open_at(imapstate_buf_span(&token), times[i].now_s, &state) ==
                                     (format == 1 ? times[i].want_1 : times[i].want_2));
    imapstate_buf_done(&state);
    imapstate_buf_done(&token);
}

TEST(a_token_opens_within_its_lifetime)
{
    EACH_FORMAT(format)
    check_times(format);
}

#define DAY_S  86400u
#define HOUR_S 3600u

static const struct {
    const char *name;
    uint64_t now_s, lifetime_s, left_1_s, left_2_s;
} lifetimes[] = {
    { "14 days, at the edge of a day", NOW_S, 14 * DAY_S, 14 * DAY_S, 14 * DAY_S },
    { "a second behind it", NOW_S + 1, 14 * DAY_S, 14 * DAY_S, 15 * DAY_S - 1 },
    { "at noon", NOW_S + DAY_S / 2, 14 * DAY_S, 14 * DAY_S, 14 * DAY_S + DAY_S / 2 },
    { "in the day's last second", NOW_S + DAY_S - 1, 14 * DAY_S, 14 * DAY_S, 14 * DAY_S + 1 },
    { "14 days and an hour end in the next day", NOW_S, 14 * DAY_S + HOUR_S, 14 * DAY_S + HOUR_S, 15 * DAY_S },
    { "8 days: a granule of a day", NOW_S + 1, 8 * DAY_S, 8 * DAY_S, 9 * DAY_S - 1 },
    { "7 days: an eighth", NOW_S + 1, 7 * DAY_S, 7 * DAY_S, 626399 },
    { "less", NOW_S + 1, 8 * HOUR_S, 8 * HOUR_S, 9 * HOUR_S - 1 },
    { "an eighth that is no divisor", 1000, 80, 80, 80 },
    { "within it", 1001, 80, 80, 89 },
    { "15 seconds: a granule of one", 1001, 15, 15, 15 },
    { "16 seconds: a granule of two", 1001, 16, 16, 17 },
    { "a second", 1001, 1, 1, 1 },
    { "the longest that can be configured", NOW_S + 1, 3650u * DAY_S, 3650u * DAY_S, 3651u * DAY_S - 1 },
    { "past the end of time", NOW_S, UINT64_MAX, UINT64_MAX - NOW_S, UINT64_MAX - NOW_S },
    { "in its last day", UINT64_MAX - 10 * DAY_S, 10 * DAY_S - 1, 10 * DAY_S - 1, 10 * DAY_S },
};

TEST(p14_an_expiry_is_rounded_up_to_a_granule)
{
    struct imapstate_token_binding binding = binding_of("ann", "main", "IMAP4REV1 ENABLE");
    binding.revoked_s = 0; /* some are saved in 1970 */
    for (size_t i = 0; i < ARRAY_LEN(lifetimes); i++)
        EACH_FORMAT(format)
        {
            uint64_t left_s, now_s = lifetimes[i].now_s;
            struct imapstate_buf state, token = seal_at(format, &binding, now_s, lifetimes[i].lifetime_s, &left_s);
            imapstate_buf_init(&state, 100);
            uint64_t want_s = format == 1 ? lifetimes[i].left_1_s : lifetimes[i].left_2_s;
            CHECK_ROW(lifetimes[i].name, left_s == want_s);
            CHECK_ROW(lifetimes[i].name,
                      open_with(&binding, imapstate_buf_span(&token), now_s + left_s - 1, &state) == IMAPSTATE_OK);
            CHECK_ROW(lifetimes[i].name, open_with(&binding, imapstate_buf_span(&token), now_s + left_s, &state) ==
                                             IMAPSTATE_TOKEN_EXPIRED);
            imapstate_buf_done(&state);
            imapstate_buf_done(&token);
        }
}

static const struct {
    const char *name;
    uint64_t a_s, b_s;
    bool is_same;
} days[] = {
    { "at the same time", NOW_S + 1, NOW_S + 1, true },
    { "in the same day", NOW_S + 1, NOW_S + DAY_S, true },
    { "earlier in the day: a clock that was put back", NOW_S + HOUR_S, NOW_S + 1, true },
    { "in the next day", NOW_S + DAY_S, NOW_S + DAY_S + 1, false },
    { "in the day before", NOW_S + 1, NOW_S, false },
};

/* Whenever they ask, and however often. */
TEST(p14_all_devices_of_a_user_with_one_set_up_hold_the_same_token_in_a_day)
{
    struct imapstate_token_binding binding = binding_of("ann", "main", "IMAP4REV1 ENABLE");
    for (size_t i = 0; i < ARRAY_LEN(days); i++) {
        uint64_t left_s;
        struct imapstate_buf a = seal_at(2, &binding, days[i].a_s, LIFETIME_S, &left_s);
        struct imapstate_buf b = seal_at(2, &binding, days[i].b_s, LIFETIME_S, &left_s);
        CHECK_ROW(days[i].name,
                  imapstate_span_equal(imapstate_buf_span(&a), imapstate_buf_span(&b)) == days[i].is_same);
        imapstate_buf_done(&a);
        imapstate_buf_done(&b);
    }
}

/* --- the nonce --- */

static const uint8_t other_octets[IMAPSTATE_KEY_OCTETS] = { 1 };

/* No two are the same: each differs from the first in one thing, and some have the same octets, divided elsewhere. */
static const struct {
    const char *name;
    uint32_t key_id;
    const uint8_t *key;
    const char *user, *upstream, *names;
    uint64_t epoch, revoked_s, now_s;
    const char *state;
} contents[] = {
    { "the first", 1, key_octets, "ann", "main", "A B", 0, 7, NOW_S, "state" },
    { "another key's id", 2, key_octets, "ann", "main", "A B", 0, 7, NOW_S, "state" },
    { "another key", 1, other_octets, "ann", "main", "A B", 0, 7, NOW_S, "state" },
    { "another user", 1, key_octets, "bob", "main", "A B", 0, 7, NOW_S, "state" },
    { "the user's case", 1, key_octets, "Ann", "main", "A B", 0, 7, NOW_S, "state" },
    { "user and upstream divided elsewhere", 1, key_octets, "annm", "ain", "A B", 0, 7, NOW_S, "state" },
    { "another upstream", 1, key_octets, "ann", "more", "A B", 0, 7, NOW_S, "state" },
    { "other names", 1, key_octets, "ann", "main", "A", 0, 7, NOW_S, "state" },
    { "names joined", 1, key_octets, "ann", "main", "AB", 0, 7, NOW_S, "state" },
    { "another epoch", 1, key_octets, "ann", "main", "A B", 1, 7, NOW_S, "state" },
    { "another revocation", 1, key_octets, "ann", "main", "A B", 0, 8, NOW_S, "state" },
    { "no revocation", 1, key_octets, "ann", "main", "A B", 0, 0, NOW_S, "state" },
    { "another day", 1, key_octets, "ann", "main", "A B", 0, 7, NOW_S + 1, "state" },
    { "another state", 1, key_octets, "ann", "main", "A B", 0, 7, NOW_S, "stat" },
    { "a longer one", 1, key_octets, "ann", "main", "A B", 0, 7, NOW_S, "state." },
    { "no state", 1, key_octets, "ann", "main", "A B", 0, 7, NOW_S, "" },
};

static void seal_contents(size_t i, uint8_t ret_nonce[24])
{
    struct imapstate_key with = { .id = contents[i].key_id, .octets = contents[i].key };
    struct imapstate_token_binding binding = binding_of(contents[i].user, contents[i].upstream, contents[i].names);
    struct imapstate_buf token;
    uint8_t raw[IMAPSTATE_TOKEN_MAX];
    size_t raw_len;
    uint64_t left_s;
    binding.epoch = contents[i].epoch;
    binding.revoked_s = contents[i].revoked_s;
    imapstate_buf_init(&token, IMAPSTATE_TOKEN_MAX);
    assert_int_equal(imapstate_token_seal_as(2, &with, &binding, contents[i].now_s, LIFETIME_S,
                                             imapstate_span_of(contents[i].state), &token, &left_s),
                     IMAPSTATE_OK);
    decode(imapstate_buf_span(&token), raw, &raw_len);
    memcpy(ret_nonce, raw + NONCE_AT, 24);
    imapstate_buf_done(&token);
}

TEST(p14_no_two_contents_meet_under_one_nonce)
{
    uint8_t nonces[ARRAY_LEN(contents)][24], again[24];
    for (size_t i = 0; i < ARRAY_LEN(contents); i++) {
        seal_contents(i, nonces[i]);
        seal_contents(i, again);
        CHECK_ROW(contents[i].name, memcmp(nonces[i], again, sizeof again) == 0);
        for (size_t j = 0; j < i; j++)
            CHECK_ROW(contents[i].name, memcmp(nonces[i], nonces[j], sizeof again) != 0);
    }
}

/* Who has the key could seal so; what imapstate seals has this one. */
TEST(p14_a_seal_with_another_nonce_does_not_open)
{
    static const char *const formats[] = { FORMAT_1_TOKEN, FORMAT_2_TOKEN };
    EACH_FORMAT(format)
    {
        uint8_t inner[IMAPSTATE_TOKEN_MAX], right[24], nonce[24];
        char token[IMAPSTATE_TOKEN_MAX];
        struct imapstate_buf state;
        imapstate_buf_init(&state, 1000);
        size_t inner_len = take_apart(format, imapstate_span_of(formats[format - 1]), right, inner);
        for (size_t at = 0; at < sizeof nonce; at++) {
            memcpy(nonce, right, sizeof nonce);
            nonce[at] ^= 1;
            seal_inner(format, nonce, (struct imapstate_span){ inner, inner_len }, token, sizeof token);
            assert_int_equal(open_at(imapstate_span_of(token), NOW_S, &state),
                             format == 1 ? IMAPSTATE_OK : IMAPSTATE_TOKEN_FORGED);
        }
        imapstate_buf_done(&state);
    }
}

/* --- revocation --- */

static const struct {
    const char *name;
    uint64_t then_s, now_s; /* the last revocation, when it was saved and when it is opened; it was saved at NOW_S */
    enum imapstate_error want_1, want_2;
} revocations[] = {
    { "never", 0, 0, IMAPSTATE_OK, IMAPSTATE_OK },
    { "since", 0, NOW_S + 1, IMAPSTATE_TOKEN_REVOKED, IMAPSTATE_TOKEN_REVOKED },
    { "before it was saved", NOW_S - 1, NOW_S - 1, IMAPSTATE_OK, IMAPSTATE_OK },
    { "in the same second", NOW_S, NOW_S, IMAPSTATE_OK, IMAPSTATE_OK },
    { "once before, and again since", NOW_S - 1, NOW_S + 1, IMAPSTATE_TOKEN_REVOKED, IMAPSTATE_TOKEN_REVOKED },
    { "before, but who saved did not know yet", 0, NOW_S - 1, IMAPSTATE_OK, IMAPSTATE_TOKEN_REVOKED },
    { "by a clock that is ahead of who saved", NOW_S + 60, NOW_S + 60, IMAPSTATE_TOKEN_REVOKED, IMAPSTATE_OK },
    { "who opens does not know yet", NOW_S - 1, 0, IMAPSTATE_OK, IMAPSTATE_OK },
};

TEST(p14_a_token_is_good_if_it_was_saved_since_the_last_revocation)
{
    struct imapstate_token_binding binding = binding_of("ann", "main", "IMAP4REV1 ENABLE");
    for (size_t i = 0; i < ARRAY_LEN(revocations); i++)
        EACH_FORMAT(format)
        {
            uint64_t left_s;
            struct imapstate_buf state;
            imapstate_buf_init(&state, 100);
            binding.revoked_s = revocations[i].then_s;
            struct imapstate_buf token = seal_at(format, &binding, NOW_S, LIFETIME_S, &left_s);
            binding.revoked_s = revocations[i].now_s;
            CHECK_ROW(revocations[i].name, open_with(&binding, imapstate_buf_span(&token), NOW_S + 61, &state) ==
                                               (format == 1 ? revocations[i].want_1 : revocations[i].want_2));
            imapstate_buf_done(&state);
            imapstate_buf_done(&token);
        }
}

/* --- whom it is for --- */

static const struct {
    const char *name;
    const char *user, *upstream, *capabilities;
    enum imapstate_error want;
} bindings[] = {
    { "the same", "ann", "main", "IMAP4rev1 ENABLE", IMAPSTATE_OK },
    { "another user", "bob", "main", "IMAP4REV1 ENABLE", IMAPSTATE_TOKEN_OTHER_USER },
    { "the user in another case", "Ann", "main", "IMAP4REV1 ENABLE", IMAPSTATE_TOKEN_OTHER_USER },
    { "a longer user", "anna", "main", "IMAP4REV1 ENABLE", IMAPSTATE_TOKEN_OTHER_USER },
    { "nobody: such tokens would be everybody's", "", "main", "IMAP4REV1 ENABLE", IMAPSTATE_UNSUPPORTED },
    { "no upstream", "ann", "", "IMAP4REV1 ENABLE", IMAPSTATE_UNSUPPORTED },
    { "user and upstream divided elsewhere", "annm", "ain", "IMAP4REV1 ENABLE", IMAPSTATE_TOKEN_OTHER_USER },
    { "another upstream", "ann", "other", "IMAP4REV1 ENABLE", IMAPSTATE_TOKEN_OTHER_UPSTREAM },
    { "other capabilities", "ann", "main", "IMAP4REV1", IMAPSTATE_TOKEN_OTHER_FINGERPRINT },
    { "everything differs", "bob", "other", "IMAP4REV1", IMAPSTATE_TOKEN_OTHER_USER },
};

static void check_a_token_is_bound_to_user_upstream_and_fingerprint(unsigned format)
{
    struct imapstate_keyring *keyring = keyring_of(KEY_ID, key_octets);
    struct imapstate_buf token = seal(format, IMAPSTATE_SPAN("state"));
    struct imapstate_buf state;
    imapstate_buf_init(&state, 100);
    for (size_t i = 0; i < ARRAY_LEN(bindings); i++) {
        struct imapstate_token_binding binding =
            binding_of(bindings[i].user, bindings[i].upstream, bindings[i].capabilities);
        CHECK_ROW(bindings[i].name, imapstate_token_open(keyring, &binding, NOW_S, imapstate_buf_span(&token),
                                                         &state) == bindings[i].want);
    }
    imapstate_buf_done(&state);
    imapstate_buf_done(&token);
    imapstate_keyring_free(keyring);
}

TEST(no_token_is_sealed_for_nobody)
{
    static const char *const rows[][2] = { { "", "main" }, { "ann", "" }, { "", "" } };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct imapstate_token_binding binding = binding_of(rows[i][0], rows[i][1], "A");
        struct imapstate_buf token;
        uint64_t left_s;
        imapstate_buf_init(&token, IMAPSTATE_TOKEN_MAX);
        assert_int_equal(
            imapstate_token_seal(&key, &binding, NOW_S, LIFETIME_S, IMAPSTATE_SPAN("state"), &token, &left_s),
            IMAPSTATE_UNSUPPORTED);
        assert_int_equal(token.len, 0);
    }
}

TEST(a_token_is_bound_to_user_upstream_and_fingerprint)
{
    EACH_FORMAT(format)
    check_a_token_is_bound_to_user_upstream_and_fingerprint(format);
}

static void check_a_token_needs_the_key_that_it_names(unsigned format)
{
    struct imapstate_token_binding binding = binding_of("ann", "main", "IMAP4REV1 ENABLE");
    struct imapstate_buf token = seal(format, IMAPSTATE_SPAN("state"));
    struct imapstate_buf state;
    imapstate_buf_init(&state, 100);

    struct imapstate_keyring *keyring = imapstate_keyring_new();
    assert_int_equal(imapstate_token_open(keyring, &binding, NOW_S, imapstate_buf_span(&token), &state),
                     IMAPSTATE_TOKEN_KEY_UNKNOWN);
    assert_int_equal(imapstate_keyring_add(keyring, KEY_ID + 1, 0, key_octets), IMAPSTATE_OK);
    assert_int_equal(imapstate_token_open(keyring, &binding, NOW_S, imapstate_buf_span(&token), &state),
                     IMAPSTATE_TOKEN_KEY_UNKNOWN);
    assert_int_equal(imapstate_keyring_add(keyring, KEY_ID, UINT64_MAX, key_octets), IMAPSTATE_OK);
    assert_int_equal(imapstate_token_open(keyring, &binding, NOW_S, imapstate_buf_span(&token), &state), IMAPSTATE_OK);
    imapstate_keyring_free(keyring);

    keyring = keyring_of(KEY_ID, other_octets);
    assert_int_equal(imapstate_token_open(keyring, &binding, NOW_S, imapstate_buf_span(&token), &state),
                     IMAPSTATE_TOKEN_FORGED);
    imapstate_keyring_free(keyring);
    imapstate_buf_done(&state);
    imapstate_buf_done(&token);
}

TEST(a_token_needs_the_key_that_it_names)
{
    EACH_FORMAT(format)
    check_a_token_needs_the_key_that_it_names(format);
}

static void check_the_largest_state_fills_a_token_and_one_more_octet_is_too_large(unsigned format)
{
    uint64_t left_s;
    static uint8_t octets[IMAPSTATE_TOKEN_MAX];
    struct imapstate_token_binding binding = binding_of("ann", "main", "IMAP4REV1 ENABLE");
    struct imapstate_buf token, state;
    imapstate_buf_init(&token, 2 * IMAPSTATE_TOKEN_MAX);
    imapstate_buf_init(&state, sizeof octets);
    struct imapstate_span largest = { octets, imapstate_token_state_max(&binding) };
    assert_int_equal(imapstate_token_seal_as(format, &key, &binding, NOW_S, LIFETIME_S, largest, &token, &left_s),
                     IMAPSTATE_OK);
    assert_int_equal(token.len, IMAPSTATE_TOKEN_MAX);
    assert_int_equal(open_at(imapstate_buf_span(&token), NOW_S, &state), IMAPSTATE_OK);
    CHECK_SPAN("largest", imapstate_buf_span(&state), largest);
    largest.len++;
    assert_int_equal(imapstate_token_seal_as(format, &key, &binding, NOW_S, LIFETIME_S, largest, &token, &left_s),
                     IMAPSTATE_STATE_TOO_LARGE);
    assert_int_equal(token.len, IMAPSTATE_TOKEN_MAX);

    /* A user that leaves no room, by one octet and by far. */
    binding.user = (struct imapstate_span){ octets, largest.len - 1 + binding.user.len };
    assert_int_equal(imapstate_token_state_max(&binding), 0);
    assert_int_equal(
        imapstate_token_seal_as(format, &key, &binding, NOW_S, LIFETIME_S, IMAPSTATE_SPAN(""), &token, &left_s),
        IMAPSTATE_OK);
    binding.user.len++;
    assert_int_equal(
        imapstate_token_seal_as(format, &key, &binding, NOW_S, LIFETIME_S, IMAPSTATE_SPAN(""), &token, &left_s),
        IMAPSTATE_STATE_TOO_LARGE);
    binding.user.len = SIZE_MAX;
    assert_int_equal(imapstate_token_state_max(&binding), 0);
    assert_int_equal(
        imapstate_token_seal_as(format, &key, &binding, NOW_S, LIFETIME_S, IMAPSTATE_SPAN(""), &token, &left_s),
        IMAPSTATE_STATE_TOO_LARGE);
    imapstate_buf_done(&state);
    imapstate_buf_done(&token);
}

TEST(the_largest_state_fills_a_token_and_one_more_octet_is_too_large)
{
    EACH_FORMAT(format)
    check_the_largest_state_fills_a_token_and_one_more_octet_is_too_large(format);
}

static void check_a_token_that_does_not_fit_is_not_written(unsigned format)
{
    uint64_t left_s;
    struct imapstate_token_binding binding = binding_of("ann", "main", "IMAP4REV1 ENABLE");
    struct imapstate_buf token;
    imapstate_buf_init(&token, 100);
    assert_int_equal(
        imapstate_token_seal_as(format, &key, &binding, NOW_S, LIFETIME_S, IMAPSTATE_SPAN("state"), &token, &left_s),
        IMAPSTATE_NO_MEMORY);
    assert_int_equal(token.len, 0);
    imapstate_buf_done(&token);
}

TEST(a_token_that_does_not_fit_is_not_written)
{
    EACH_FORMAT(format)
    check_a_token_that_does_not_fit_is_not_written(format);
}

static const struct {
    const char *name, *names;
    uint64_t epoch;
    bool is_same; /* as "ENABLE IMAP4REV1 QRESYNC" with epoch 0 */
} fingerprints[] = {
    { "itself", "ENABLE IMAP4REV1 QRESYNC", 0, true },
    { "another order", "QRESYNC ENABLE IMAP4REV1", 0, true },
    { "another case", "enable IMAP4rev1 QResync", 0, true },
    { "names twice", "ENABLE QRESYNC IMAP4REV1 ENABLE enable", 0, true },
    { "more spaces", "  ENABLE  IMAP4REV1 QRESYNC ", 0, true },
    { "what is left out", "AUTH=PLAIN ENABLE STARTTLS IMAP4REV1 LOGINDISABLED QRESYNC SASL-IR", 0, true },
    { "left out in lower case", "auth=plain ENABLE starttls IMAP4REV1 QRESYNC sasl-ir", 0, true },
    { "compression", "ENABLE IMAP4REV1 QRESYNC COMPRESS=DEFLATE", 0, false },
    { "another epoch", "ENABLE IMAP4REV1 QRESYNC", 1, false },
    { "the largest epoch", "ENABLE IMAP4REV1 QRESYNC", UINT64_MAX, false },
    { "one name less", "ENABLE IMAP4REV1", 0, false },
    { "one name more", "ENABLE IMAP4REV1 QRESYNC STATE", 0, false },
    { "names joined", "ENABLEIMAP4REV1 QRESYNC", 0, false },
    { "names divided elsewhere", "ENABLE IMAP4REV 1QRESYNC", 0, false },
    { "a name that begins like one left out", "ENABLE IMAP4REV1 QRESYNC STARTTLS2", 0, false },
    { "a name cut", "ENABLE IMAP4REV1 QRESYN", 0, false },
    { "no names", "", 0, false },
    { "only what is left out", "AUTH=PLAIN", 0, false },
};

TEST(the_fingerprint_tells_capability_sets_apart)
{
    uint8_t want[IMAPSTATE_FINGERPRINT_OCTETS], got[IMAPSTATE_FINGERPRINT_OCTETS];
    assert_true(imapstate_token_fingerprint(IMAPSTATE_SPAN("ENABLE IMAP4REV1 QRESYNC"), 0, want));
    for (size_t i = 0; i < ARRAY_LEN(fingerprints); i++) {
        struct imapstate_span names = imapstate_span_of(fingerprints[i].names);
        assert_true(imapstate_token_fingerprint(names, fingerprints[i].epoch, got));
        CHECK_ROW(fingerprints[i].name, (memcmp(got, want, sizeof got) == 0) == fingerprints[i].is_same);
    }
}

TEST(the_hash_names_a_token_and_does_not_give_it_away)
{
    struct imapstate_buf token = seal(2, IMAPSTATE_SPAN("state"));
    char hash[17], other[17];
    imapstate_token_hash(imapstate_buf_span(&token), hash);
    assert_int_equal(strspn(hash, "0123456789abcdef"), 16);
    assert_int_equal(hash[16], 0);
    token.at[token.len - 1] ^= 1;
    imapstate_token_hash(imapstate_buf_span(&token), other);
    assert_string_not_equal(hash, other);
    imapstate_token_hash(IMAPSTATE_SPAN(""), other);
    assert_int_equal(strlen(other), 16);
    imapstate_buf_done(&token);
}

/* Of libsodium's generator. */
static size_t random_octets;

static uint32_t random_number(void)
{
    random_octets += 4;
    return randombytes_sysrandom_implementation.random();
}

static void random_buf(void *at, size_t len)
{
    random_octets += len;
    randombytes_sysrandom_implementation.buf(at, len);
}

TEST(p14_sealing_needs_no_random_numbers)
{
    struct imapstate_token_binding binding = binding_of("ann", "main", "IMAP4REV1 ENABLE");
    struct imapstate_buf token;
    uint64_t left_s;
    imapstate_buf_init(&token, IMAPSTATE_TOKEN_MAX);
    random_octets = 0;
    assert_int_equal(imapstate_token_seal(&key, &binding, NOW_S, LIFETIME_S, IMAPSTATE_SPAN("state"), &token, &left_s),
                     IMAPSTATE_OK);
    assert_int_equal(random_octets, 0);
    struct imapstate_buf newest = seal(IMAPSTATE_TOKEN_FORMAT, IMAPSTATE_SPAN("state"));
    CHECK_SPAN("the newest format", imapstate_buf_span(&token), imapstate_buf_span(&newest));
    assert_int_equal(random_octets, 0);
    struct imapstate_buf issued = seal(1, IMAPSTATE_SPAN("state"));
    assert_int_equal(random_octets, 24);
    imapstate_buf_done(&issued);
    imapstate_buf_done(&newest);
    imapstate_buf_done(&token);
}

/* A later version may know something to bind a token to that this one would not heed. */
static void check_what_a_binding_cannot_say_yet_is_refused(unsigned format)
{
    struct imapstate_buf good = seal(format, IMAPSTATE_SPAN("state")), token, state;
    struct imapstate_keyring *keyring = keyring_of(KEY_ID, key_octets);
    imapstate_buf_init(&token, IMAPSTATE_TOKEN_MAX);
    imapstate_buf_init(&state, IMAPSTATE_TOKEN_MAX);
    for (size_t i = 0; i < ARRAY_LEN(((struct imapstate_token_binding *)NULL)->reserved); i++) {
        struct imapstate_token_binding binding = binding_of("ann", "main", "IMAP4REV1 ENABLE");
        uint64_t left_s;
        binding.reserved[i] = UINT64_C(1) << 63;
        assert_int_equal(imapstate_token_seal_as(format, &key, &binding, NOW_S, LIFETIME_S, IMAPSTATE_SPAN("state"),
                                                 &token, &left_s),
                         IMAPSTATE_UNSUPPORTED);
        assert_int_equal(imapstate_token_open(keyring, &binding, NOW_S, imapstate_buf_span(&good), &state),
                         IMAPSTATE_UNSUPPORTED);
    }
    assert_true(token.len == 0 && state.len == 0);
    imapstate_keyring_free(keyring);
    imapstate_buf_done(&good);
}

TEST(what_a_binding_cannot_say_yet_is_refused)
{
    EACH_FORMAT(format)
    check_what_a_binding_cannot_say_yet_is_refused(format);
}

int main(void)
{
    static struct randombytes_implementation counted;
    counted = randombytes_sysrandom_implementation;
    counted.random = random_number;
    counted.uniform = NULL; /* made of random() then */
    counted.buf = random_buf;
    if (randombytes_set_implementation(&counted) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sealed_comes_out_and_is_appended),
        cmocka_unit_test(p14_format_2_is_as_documented),
        cmocka_unit_test(p14_format_1_is_as_it_was_released),
        cmocka_unit_test(there_is_no_other_format),
        cmocka_unit_test(p12_a_token_is_checked_by_the_fingerprint_of_its_format),
        cmocka_unit_test(p12_format_1_is_sealed_by_the_fingerprint_of_its_time),
        cmocka_unit_test(no_flipped_bit_opens),
        cmocka_unit_test(no_flipped_bit_of_the_sealed_octets_opens),
        cmocka_unit_test(a_seal_around_a_wrong_length_is_malformed),
        cmocka_unit_test(no_truncated_or_lengthened_token_opens),
        cmocka_unit_test(only_the_canonical_spelling_opens),
        cmocka_unit_test(what_is_no_token_is_malformed),
        cmocka_unit_test(a_token_opens_within_its_lifetime),
        cmocka_unit_test(p14_an_expiry_is_rounded_up_to_a_granule),
        cmocka_unit_test(p14_all_devices_of_a_user_with_one_set_up_hold_the_same_token_in_a_day),
        cmocka_unit_test(p14_no_two_contents_meet_under_one_nonce),
        cmocka_unit_test(p14_a_seal_with_another_nonce_does_not_open),
        cmocka_unit_test(p14_a_token_is_good_if_it_was_saved_since_the_last_revocation),
        cmocka_unit_test(no_token_is_sealed_for_nobody),
        cmocka_unit_test(a_token_is_bound_to_user_upstream_and_fingerprint),
        cmocka_unit_test(a_token_needs_the_key_that_it_names),
        cmocka_unit_test(the_largest_state_fills_a_token_and_one_more_octet_is_too_large),
        cmocka_unit_test(a_token_that_does_not_fit_is_not_written),
        cmocka_unit_test(the_fingerprint_tells_capability_sets_apart),
        cmocka_unit_test(p14_sealing_needs_no_random_numbers),
        cmocka_unit_test(what_a_binding_cannot_say_yet_is_refused),
        cmocka_unit_test(the_hash_names_a_token_and_does_not_give_it_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
