#include "check.h"

#include <imapstate/token.h>

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define NOW_S      1795478400u
#define LIFETIME_S (14u * 86400u)
#define KEY_ID     0x01020304u

static const uint8_t key_octets[IMAPSTATE_KEY_OCTETS] = "an example key, 32 octets long.";
static const uint8_t nonce[IMAPSTATE_TOKEN_NONCE_OCTETS] = "a nonce for use in tests";

static struct imapstate_token_binding binding_of(const char *user, const char *upstream, const char *names)
{
    return (struct imapstate_token_binding){ .user = imapstate_span_of(user),
                                             .upstream = imapstate_span_of(upstream),
                                             .names = imapstate_span_of(names) };
}

static struct imapstate_keyring *keyring_of(uint32_t id, const uint8_t *octets)
{
    struct imapstate_keyring *keyring = imapstate_keyring_new();
    assert_non_null(keyring);
    assert_int_equal(imapstate_keyring_add(keyring, id, 0, octets), IMAPSTATE_OK);
    return keyring;
}

/* A token for ann at main that seals state. */
static struct imapstate_buf seal(struct imapstate_span state)
{
    struct imapstate_key key = { .id = KEY_ID, .octets = key_octets };
    struct imapstate_token_binding binding = binding_of("ann", "main", "IMAP4REV1 ENABLE");
    struct imapstate_buf token;
    imapstate_buf_init(&token, IMAPSTATE_TOKEN_MAX);
    assert_int_equal(imapstate_token_seal(&key, &binding, NOW_S, LIFETIME_S, nonce, state, &token), IMAPSTATE_OK);
    return token;
}

/* Opens an exact copy, so that a sanitizer sees a read behind it. ret_state must stay as it was on error. */
static enum imapstate_error open_at(struct imapstate_span token, uint64_t now_s, struct imapstate_buf *ret_state)
{
    struct imapstate_keyring *keyring = keyring_of(KEY_ID, key_octets);
    struct imapstate_token_binding binding = binding_of("ann", "main", "IMAP4REV1 ENABLE");
    uint8_t *copy = malloc(token.len ? token.len : 1);
    assert_non_null(copy);
    if (token.len)
        memcpy(copy, token.at, token.len);
    size_t len_before = ret_state->len;
    enum imapstate_error error =
        imapstate_token_open(keyring, &binding, now_s, (struct imapstate_span){ copy, token.len }, ret_state);
    if (error != IMAPSTATE_OK)
        assert_int_equal(ret_state->len, len_before);
    free(copy);
    imapstate_keyring_free(keyring);
    return error;
}

TEST(what_was_sealed_comes_out_and_is_appended)
{
    static const uint8_t octets[] = { 0, 1, 0xff, '\r', '\n', 0 };
    struct imapstate_buf token = seal((struct imapstate_span){ octets, sizeof octets });
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

/* A token must open in later releases too. This one was made by other code: Python's hashlib.blake2b for the
 * fingerprint, and libsodium's AEAD over octets that were put together by struct.pack(). */
#define FORMAT_TOKEN                                                                                                   \
    "AgECAwRhIG5vbmNlIGZvciB1c2UgaW4gdGVzdHOzcR1SgRW8Q5f3I4AUutpILZ9VKtulTWfkCRxQCW_rM1k94i01QFsqytUN1hGdhS8UM9o3_EvT" \
    "wc1uwVYq8VqyvGemgMNU-xQwcwfgqXPvrxey"
TEST(the_format_is_as_documented)
{
    struct imapstate_buf token = seal(IMAPSTATE_SPAN("state"));
    CHECK_SPAN("token", imapstate_buf_span(&token), IMAPSTATE_SPAN(FORMAT_TOKEN));
    imapstate_buf_done(&token);
}

/* Made in the same way. */
#define FORMAT_1_TOKEN                                                                                                 \
    "AQECAwRhIG5vbmNlIGZvciB1c2UgaW4gdGVzdHOzcR1SgRW8Q5f3I4AUutpILZ9VKtulTWfkCRxQCW_rM1k94i01QFsqytUN1hGdhS8UM9o3_EvT" \
    "wc1uwVYq8VqyvGc94FpREL1veWmTscePSbTY"
TEST(p12_a_token_is_checked_by_the_fingerprint_of_its_format)
{
    static const struct {
        const char *name, *token, *names;
        enum imapstate_error want;
    } rows[] = {
        { "format 1", FORMAT_1_TOKEN, "IMAP4REV1 ENABLE", IMAPSTATE_OK },
        { "format 1, compression", FORMAT_1_TOKEN, "enable COMPRESS=DEFLATE IMAP4rev1 XIMAPPROXY", IMAPSTATE_OK },
        { "format 1, other names", FORMAT_1_TOKEN, "IMAP4REV1", IMAPSTATE_TOKEN_OTHER_FINGERPRINT },
        { "format 2", FORMAT_TOKEN, "IMAP4REV1 ENABLE", IMAPSTATE_OK },
        { "format 2, another order", FORMAT_TOKEN, "enable IMAP4rev1 AUTH=PLAIN", IMAPSTATE_OK },
        { "format 2, compression", FORMAT_TOKEN, "IMAP4REV1 ENABLE COMPRESS=DEFLATE",
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

TEST(no_flipped_bit_opens)
{
    struct imapstate_buf token = seal(IMAPSTATE_SPAN("some state"));
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

TEST(no_flipped_bit_of_the_sealed_octets_opens)
{
    struct imapstate_buf token = seal(IMAPSTATE_SPAN("some state"));
    struct imapstate_buf state;
    uint8_t raw[IMAPSTATE_TOKEN_MAX];
    size_t raw_len;
    char again[IMAPSTATE_TOKEN_MAX + 1];
    imapstate_buf_init(&state, 100);
    assert_int_equal(sodium_base642bin(raw, sizeof raw, (const char *)token.at, token.len, NULL, &raw_len, NULL,
                                       sodium_base64_VARIANT_URLSAFE_NO_PADDING),
                     0);
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

/* Seals octets that need not be what seal() writes, with the right key. */
static void seal_inner(struct imapstate_span inner, char *ret_token, size_t size)
{
    static const uint8_t head[] = { IMAPSTATE_TOKEN_FORMAT, 1, 2, 3, 4 };
    uint8_t raw[IMAPSTATE_TOKEN_MAX];
    unsigned long long sealed_len;
    memcpy(raw, head, sizeof head);
    memcpy(raw + sizeof head, nonce, sizeof nonce);
    crypto_aead_xchacha20poly1305_ietf_encrypt(raw + sizeof head + sizeof nonce, &sealed_len, inner.at, inner.len, head,
                                               sizeof head, NULL, nonce, key_octets);
    sodium_bin2base64(ret_token, size, raw, sizeof head + sizeof nonce + sealed_len,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* Such as a release with a fault might have sealed. */
TEST(a_seal_around_a_wrong_length_is_malformed)
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
        seal_inner((struct imapstate_span){ inner, len }, token, sizeof token);
        assert_int_equal(open_at(imapstate_span_of(token), NOW_S, &state),
                         len == LEN ? IMAPSTATE_OK : IMAPSTATE_TOKEN_MALFORMED);
    }
    for (size_t i = 0; i < ARRAY_LEN(lengths_at); i++)
        for (unsigned value = 0; value < 256; value++) {
            uint8_t before = inner[lengths_at[i]];
            inner[lengths_at[i]] = (uint8_t)value;
            seal_inner((struct imapstate_span){ inner, LEN }, token, sizeof token);
            assert_int_equal(open_at(imapstate_span_of(token), NOW_S, &state),
                             value == before ? IMAPSTATE_OK : IMAPSTATE_TOKEN_MALFORMED);
            inner[lengths_at[i]] = before;
        }
    imapstate_buf_done(&state);
}

TEST(no_truncated_or_lengthened_token_opens)
{
    struct imapstate_buf token = seal(IMAPSTATE_SPAN("some state"));
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

TEST(only_the_canonical_spelling_opens)
{
    /* The length of the state decides how many bits the last character has to spare: 0, 2 or 4. */
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t state_len = 1; state_len <= 3; state_len++) {
        struct imapstate_buf token = seal((struct imapstate_span){ (const uint8_t *)"abc", state_len });
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

static const struct {
    const char *name;
    uint64_t now_s;
    enum imapstate_error want;
} times[] = {
    { "at once", NOW_S, IMAPSTATE_OK },
    { "in its last second", NOW_S + LIFETIME_S - 1, IMAPSTATE_OK },
    { "after its last second", NOW_S + LIFETIME_S, IMAPSTATE_TOKEN_EXPIRED },
    { "at the end of time", UINT64_MAX, IMAPSTATE_TOKEN_EXPIRED },
    { "by a clock five minutes behind", NOW_S - 300, IMAPSTATE_OK },
    { "by a clock further behind", NOW_S - 301, IMAPSTATE_NOT_YET_VALID },
    { "in 1970", 0, IMAPSTATE_NOT_YET_VALID },
};

TEST(a_token_opens_within_its_lifetime)
{
    struct imapstate_buf token = seal(IMAPSTATE_SPAN("state"));
    struct imapstate_buf state;
    imapstate_buf_init(&state, 100);
    for (size_t i = 0; i < ARRAY_LEN(times); i++)
        CHECK_ROW(times[i].name, open_at(imapstate_buf_span(&token), times[i].now_s, &state) == times[i].want);
    imapstate_buf_done(&state);
    imapstate_buf_done(&token);
}

TEST(a_lifetime_past_the_end_of_time_ends_there)
{
    struct imapstate_key key = { .id = KEY_ID, .octets = key_octets };
    struct imapstate_token_binding binding = binding_of("ann", "main", "IMAP4REV1 ENABLE");
    struct imapstate_buf token, state;
    imapstate_buf_init(&token, IMAPSTATE_TOKEN_MAX);
    imapstate_buf_init(&state, 100);
    assert_int_equal(imapstate_token_seal(&key, &binding, NOW_S, UINT64_MAX, nonce, IMAPSTATE_SPAN("state"), &token),
                     IMAPSTATE_OK);
    assert_int_equal(open_at(imapstate_buf_span(&token), UINT64_MAX - 1, &state), IMAPSTATE_OK);
    imapstate_buf_done(&state);
    imapstate_buf_done(&token);
}

static const struct {
    const char *name;
    const char *user, *upstream, *capabilities;
    enum imapstate_error want;
} bindings[] = {
    { "the same", "ann", "main", "IMAP4rev1 ENABLE", IMAPSTATE_OK },
    { "another user", "bob", "main", "IMAP4REV1 ENABLE", IMAPSTATE_TOKEN_OTHER_USER },
    { "the user in another case", "Ann", "main", "IMAP4REV1 ENABLE", IMAPSTATE_TOKEN_OTHER_USER },
    { "a longer user", "anna", "main", "IMAP4REV1 ENABLE", IMAPSTATE_TOKEN_OTHER_USER },
    { "an empty user", "", "main", "IMAP4REV1 ENABLE", IMAPSTATE_TOKEN_OTHER_USER },
    { "user and upstream divided elsewhere", "annm", "ain", "IMAP4REV1 ENABLE", IMAPSTATE_TOKEN_OTHER_USER },
    { "another upstream", "ann", "other", "IMAP4REV1 ENABLE", IMAPSTATE_TOKEN_OTHER_UPSTREAM },
    { "other capabilities", "ann", "main", "IMAP4REV1", IMAPSTATE_TOKEN_OTHER_FINGERPRINT },
    { "everything differs", "bob", "other", "IMAP4REV1", IMAPSTATE_TOKEN_OTHER_USER },
};

TEST(a_token_is_bound_to_user_upstream_and_fingerprint)
{
    struct imapstate_keyring *keyring = keyring_of(KEY_ID, key_octets);
    struct imapstate_buf token = seal(IMAPSTATE_SPAN("state"));
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

TEST(a_token_needs_the_key_that_it_names)
{
    static const uint8_t other_octets[IMAPSTATE_KEY_OCTETS] = { 1 };
    struct imapstate_token_binding binding = binding_of("ann", "main", "IMAP4REV1 ENABLE");
    struct imapstate_buf token = seal(IMAPSTATE_SPAN("state"));
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

TEST(the_largest_state_fills_a_token_and_one_more_octet_is_too_large)
{
    static uint8_t octets[IMAPSTATE_TOKEN_MAX];
    struct imapstate_key key = { .id = KEY_ID, .octets = key_octets };
    struct imapstate_token_binding binding = binding_of("ann", "main", "IMAP4REV1 ENABLE");
    struct imapstate_buf token, state;
    imapstate_buf_init(&token, 2 * IMAPSTATE_TOKEN_MAX);
    imapstate_buf_init(&state, sizeof octets);
    struct imapstate_span largest = { octets, imapstate_token_state_max(&binding) };
    assert_int_equal(imapstate_token_seal(&key, &binding, NOW_S, LIFETIME_S, nonce, largest, &token), IMAPSTATE_OK);
    assert_int_equal(token.len, IMAPSTATE_TOKEN_MAX);
    assert_int_equal(open_at(imapstate_buf_span(&token), NOW_S, &state), IMAPSTATE_OK);
    CHECK_SPAN("largest", imapstate_buf_span(&state), largest);
    largest.len++;
    assert_int_equal(imapstate_token_seal(&key, &binding, NOW_S, LIFETIME_S, nonce, largest, &token),
                     IMAPSTATE_STATE_TOO_LARGE);
    assert_int_equal(token.len, IMAPSTATE_TOKEN_MAX);

    /* A user that leaves no room, by one octet and by far. */
    binding.user = (struct imapstate_span){ octets, largest.len - 1 + binding.user.len };
    assert_int_equal(imapstate_token_state_max(&binding), 0);
    assert_int_equal(imapstate_token_seal(&key, &binding, NOW_S, LIFETIME_S, nonce, IMAPSTATE_SPAN(""), &token),
                     IMAPSTATE_OK);
    binding.user.len++;
    assert_int_equal(imapstate_token_seal(&key, &binding, NOW_S, LIFETIME_S, nonce, IMAPSTATE_SPAN(""), &token),
                     IMAPSTATE_STATE_TOO_LARGE);
    binding.user.len = SIZE_MAX;
    assert_int_equal(imapstate_token_state_max(&binding), 0);
    assert_int_equal(imapstate_token_seal(&key, &binding, NOW_S, LIFETIME_S, nonce, IMAPSTATE_SPAN(""), &token),
                     IMAPSTATE_STATE_TOO_LARGE);
    imapstate_buf_done(&state);
    imapstate_buf_done(&token);
}

TEST(a_token_that_does_not_fit_is_not_written)
{
    struct imapstate_key key = { .id = KEY_ID, .octets = key_octets };
    struct imapstate_token_binding binding = binding_of("ann", "main", "IMAP4REV1 ENABLE");
    struct imapstate_buf token;
    imapstate_buf_init(&token, 100);
    assert_int_equal(imapstate_token_seal(&key, &binding, NOW_S, LIFETIME_S, nonce, IMAPSTATE_SPAN("state"), &token),
                     IMAPSTATE_NO_MEMORY);
    assert_int_equal(token.len, 0);
    imapstate_buf_done(&token);
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
    struct imapstate_buf token = seal(IMAPSTATE_SPAN("state"));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sealed_comes_out_and_is_appended),
        cmocka_unit_test(the_format_is_as_documented),
        cmocka_unit_test(p12_a_token_is_checked_by_the_fingerprint_of_its_format),
        cmocka_unit_test(no_flipped_bit_opens),
        cmocka_unit_test(no_flipped_bit_of_the_sealed_octets_opens),
        cmocka_unit_test(a_seal_around_a_wrong_length_is_malformed),
        cmocka_unit_test(no_truncated_or_lengthened_token_opens),
        cmocka_unit_test(only_the_canonical_spelling_opens),
        cmocka_unit_test(what_is_no_token_is_malformed),
        cmocka_unit_test(a_token_opens_within_its_lifetime),
        cmocka_unit_test(a_lifetime_past_the_end_of_time_ends_there),
        cmocka_unit_test(a_token_is_bound_to_user_upstream_and_fingerprint),
        cmocka_unit_test(a_token_needs_the_key_that_it_names),
        cmocka_unit_test(the_largest_state_fills_a_token_and_one_more_octet_is_too_large),
        cmocka_unit_test(a_token_that_does_not_fit_is_not_written),
        cmocka_unit_test(the_fingerprint_tells_capability_sets_apart),
        cmocka_unit_test(the_hash_names_a_token_and_does_not_give_it_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
