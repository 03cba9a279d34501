#include "sasl.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue.h"

#define CRAM_DIGEST_DIGITS 32u
#define KV_SEPARATOR       0x01 /* RFC 7628 section 3.1 */

/* The draft of LOGIN lets the server speak first; but Dovecot and Cyrus take the user as an initial response, and there
 * are clients that rely on it. */
static const struct sasl_mechanism mechanisms[SASL_ID_MAX] = {
    { "PLAIN", SASL_PLAIN, SASL_CONVERTED, true },
    { "LOGIN", SASL_LOGIN, SASL_CONVERTED, true },
    { "XOAUTH2", SASL_XOAUTH2, SASL_RELAYED, true },
    { "OAUTHBEARER", SASL_OAUTHBEARER, SASL_RELAYED, true },
    { "CRAM-MD5", SASL_CRAM_MD5, SASL_PROVED, false },
    { "SCRAM-SHA-1", SASL_SCRAM_SHA_1, SASL_PROVED, true },
    { "SCRAM-SHA-256", SASL_SCRAM_SHA_256, SASL_PROVED, true },
    { "SCRAM-SHA-512", SASL_SCRAM_SHA_512, SASL_PROVED, true },
};

const struct sasl_mechanism *sasl_find(struct imapstate_span name)
{
    for (size_t i = 0; i < SASL_ID_MAX; i++)
        if (imapstate_span_equal_nocase(name, imapstate_span_of(mechanisms[i].name)))
            return &mechanisms[i];
    return NULL;
}

const struct sasl_mechanism *sasl_get(enum sasl_id id)
{
    return &mechanisms[id];
}

uint32_t sasl_that_pass(enum sasl_passing passing)
{
    uint32_t set = 0;
    for (size_t i = 0; i < SASL_ID_MAX; i++)
        if (mechanisms[i].passing == passing)
            set |= SASL_BIT(mechanisms[i].id);
    return set;
}

const char *sasl_names(uint32_t set, char ret_names[SASL_NAMES_MAX])
{
    size_t len = 0;
    *ret_names = '\0';
    for (size_t i = 0; i < SASL_ID_MAX && len < SASL_NAMES_MAX; i++)
        if (set & SASL_BIT(mechanisms[i].id))
            len += (size_t)snprintf(ret_names + len, SASL_NAMES_MAX - len, "%s%s", len > 0 ? ", " : "",
                                    mechanisms[i].name);
    return ret_names;
}

const char *sasl_strerror(enum sasl_error error)
{
    switch (error) {
    case SASL_OK:
        return "No error.";
    case SASL_BASE64:
        return N_("The message is not base64.");
    case SASL_SYNTAX:
        return N_("The message does not belong to this mechanism.");
    case SASL_NUL:
        return N_("NUL in an identity or a password.");
    case SASL_TOO_LONG:
        return N_("The message is too long.");
    }
    return "Unknown error.";
}

void sasl_identity_init(struct sasl_identity *identity)
{
    *identity = (struct sasl_identity){ 0 };
    imapstate_buf_init(&identity->authentication, SASL_NAME_MAX);
    imapstate_buf_init(&identity->authorization, SASL_NAME_MAX);
    imapstate_buf_init(&identity->password, SASL_PASSWORD_MAX);
}

void sasl_identity_done(struct sasl_identity *identity)
{
    imapstate_buf_done(&identity->authentication);
    imapstate_buf_done(&identity->authorization);
    imapstate_buf_done(&identity->password);
    identity->is_certain = false;
}

struct imapstate_span sasl_identity_user(const struct sasl_identity *identity)
{
    return imapstate_buf_span(identity->authorization.len ? &identity->authorization : &identity->authentication);
}

struct imapstate_span sasl_identity_acting(const struct sasl_identity *identity)
{
    bool is_acting = identity->authorization.len > 0 && identity->authentication.len > 0;
    return is_acting ? imapstate_buf_span(&identity->authentication) : (struct imapstate_span){ 0 };
}

/* libsodium 1.0.18 takes every octet above 0x7f for "/". */
static bool is_ascii(struct imapstate_span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] >= 0x80)
            return false;
    return true;
}

/* Of the last digit before "=" four bits count for nothing, or two before one "=". libsodium wants them to be zero, as
 * RFC 4648 section 3.5 allows; Dovecot, Cyrus and Courier do not. */
static void clear_spare_bits(uint8_t *text, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned padding = 0;
    while (padding < 2 && len > 0 && text[len - 1] == '=')
        padding++, len--;
    const char *digit = padding > 0 && len > 0 ? memchr(digits, text[len - 1], sizeof digits - 1) : NULL;
    if (digit)
        text[len - 1] = (uint8_t)digits[(size_t)(digit - digits) & (padding == 1 ? ~3u : ~15u)];
}

enum sasl_error sasl_decode(struct imapstate_span line, bool is_initial, struct imapstate_buf *ret_message)
{
    if (line.len == 0 || (is_initial && imapstate_span_equal(line, IMAPSTATE_SPAN("="))))
        return SASL_OK;
    if (!is_ascii(line))
        return SASL_BASE64;
    uint8_t *octets = malloc(2 * line.len), *text = octets + line.len;
    if (!octets)
        return SASL_TOO_LONG;
    size_t len = 0;
    enum sasl_error error = SASL_BASE64;
    memcpy(text, line.at, line.len);
    clear_spare_bits(text, line.len);
    if (sodium_base642bin(octets, line.len, (const char *)text, line.len, NULL, &len, NULL,
                          sodium_base64_VARIANT_ORIGINAL) == 0)
        error = imapstate_buf_put(ret_message, (struct imapstate_span){ octets, len }) ? SASL_OK : SASL_TOO_LONG;
    sodium_memzero(octets, 2 * line.len);
    free(octets);
    return error;
}

bool sasl_encode(struct imapstate_span message, struct imapstate_buf *ret_line)
{
    if (message.len == 0)
        return true;
    size_t size = sodium_base64_encoded_len(message.len, sodium_base64_VARIANT_ORIGINAL);
    char *text = malloc(size);
    if (!text)
        return false;
    sodium_bin2base64(text, size, message.at, message.len, sodium_base64_VARIANT_ORIGINAL);
    bool fits = imapstate_buf_put(ret_line, (struct imapstate_span){ (const uint8_t *)text, size - 1 });
    sodium_memzero(text, size);
    free(text);
    return fits;
}

bool sasl_may_answer_refusal(struct imapstate_span ahead)
{
    static const struct imapstate_span answers[] = {
        { (const uint8_t *)"AQ==\r\n", 6 }, { (const uint8_t *)"\r\n", 2 }, { (const uint8_t *)"*\r\n", 3 },
        { (const uint8_t *)"AQ==\n", 5 },   { (const uint8_t *)"\n", 1 },   { (const uint8_t *)"*\n", 2 }
    };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        size_t len = ahead.len < answers[i].len ? ahead.len : answers[i].len;
        if (len == 0 || memcmp(ahead.at, answers[i].at, len) == 0)
            return true;
    }
    return false;
}

static bool has_nul(struct imapstate_span text)
{
    return text.len && memchr(text.at, 0, text.len);
}

static void span_drop(struct imapstate_span *in, size_t len)
{
    in->at += len;
    in->len -= len;
}

/* If in begins with these octets, takes them off. */
static bool span_take(struct imapstate_span *in, struct imapstate_span octets)
{
    if (in->len < octets.len || !imapstate_span_equal((struct imapstate_span){ in->at, octets.len }, octets))
        return false;
    span_drop(in, octets.len);
    return true;
}

/* Takes off what stands before the first end, and end. */
static bool span_take_until(struct imapstate_span *in, uint8_t end, struct imapstate_span *ret_taken)
{
    const uint8_t *at = in->len ? memchr(in->at, end, in->len) : NULL;

    if (!at)
        return false;
    *ret_taken = (struct imapstate_span){ in->at, (size_t)(at - in->at) };
    span_drop(in, ret_taken->len + 1);
    return true;
}

static enum sasl_error field_put(struct imapstate_buf *field, struct imapstate_span value)
{
    if (value.len == 0)
        return SASL_SYNTAX;
    return imapstate_buf_put(field, value) ? SASL_OK : SASL_TOO_LONG;
}

/* RFC 4616 section 2. The password is all behind the second NUL, so that a third one is found in it. */
static enum sasl_error read_plain(struct imapstate_span message, struct sasl_identity *identity)
{
    struct imapstate_span authorization, authentication;

    if (!span_take_until(&message, 0, &authorization) || !span_take_until(&message, 0, &authentication))
        return SASL_SYNTAX;
    if (has_nul(message))
        return SASL_NUL;
    enum sasl_error error = field_put(&identity->authentication, authentication);
    if (error == SASL_OK && authorization.len)
        error = field_put(&identity->authorization, authorization);
    if (error == SASL_OK)
        error = field_put(&identity->password, message);
    identity->is_certain = true;
    return error;
}

static bool is_hex(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
}

/* RFC 2195 section 2: user SP digest. The user may hold spaces, the digest cannot. */
static enum sasl_error read_cram(struct imapstate_span message, struct sasl_identity *identity)
{
    if (message.len < CRAM_DIGEST_DIGITS + 1)
        return SASL_SYNTAX;
    struct imapstate_span user = { message.at, message.len - CRAM_DIGEST_DIGITS - 1 };
    if (message.at[user.len] != ' ')
        return SASL_SYNTAX;
    for (size_t i = user.len + 1; i < message.len; i++)
        if (!is_hex(message.at[i]))
            return SASL_SYNTAX;
    identity->is_certain = true;
    return field_put(&identity->authentication, user);
}

/* RFC 5802 section 7, saslname: "," and "=" stand there as =2C and =3D. */
static enum sasl_error read_saslname(struct imapstate_span name, struct imapstate_buf *field)
{
    if (name.len == 0)
        return SASL_SYNTAX;
    while (name.len) {
        uint8_t byte = name.at[0];
        if (span_take(&name, IMAPSTATE_SPAN("=2C")))
            byte = ',';
        else if (span_take(&name, IMAPSTATE_SPAN("=3D")))
            byte = '=';
        else if (byte == '=')
            return SASL_SYNTAX;
        else
            span_drop(&name, 1);
        if (!imapstate_buf_put_byte(field, byte))
            return SASL_TOO_LONG;
    }
    return SASL_OK;
}

/* RFC 5801 section 4: the gs2-header at the front of message, up to its last comma. Not "p=": that binds to one TLS
 * connection, which is the client's with us and not ours with the upstream. */
static enum sasl_error read_gs2(struct imapstate_span *message, struct sasl_identity *identity)
{
    struct imapstate_span name;

    if (!span_take(message, IMAPSTATE_SPAN("n,")) && !span_take(message, IMAPSTATE_SPAN("y,")))
        return SASL_SYNTAX;
    if (span_take(message, IMAPSTATE_SPAN(",")))
        return SASL_OK;
    if (!span_take(message, IMAPSTATE_SPAN("a=")) || !span_take_until(message, ',', &name))
        return SASL_SYNTAX;
    return read_saslname(name, &identity->authorization);
}

/* RFC 5802 section 7, client-first-message. It cannot begin with "m=": who does not know the extension must refuse. */
static enum sasl_error read_scram(struct imapstate_span message, struct sasl_identity *identity)
{
    struct imapstate_span name;
    enum sasl_error error = read_gs2(&message, identity);

    if (error != SASL_OK)
        return error;
    if (!span_take(&message, IMAPSTATE_SPAN("n=")) || !span_take_until(&message, ',', &name))
        return SASL_SYNTAX;
    if (!span_take(&message, IMAPSTATE_SPAN("r=")) || message.len == 0 || message.at[0] == ',')
        return SASL_SYNTAX;
    identity->is_certain = true;
    return read_saslname(name, &identity->authentication);
}

/* RFC 7628 section 3.1: takes one key, "=", value and separator off message. Keys are letters, and nothing else:
 * Dovecot looks for "n,a=" in every place where a key can stand. */
static bool take_pair(struct imapstate_span *message, struct imapstate_span *ret_key, struct imapstate_span *ret_value)
{
    if (!span_take_until(message, KV_SEPARATOR, ret_value) || !span_take_until(ret_value, '=', ret_key))
        return false;
    for (size_t i = 0; i < ret_key->len; i++) {
        uint8_t lower = ret_key->at[i] | 0x20;
        if (lower < 'a' || lower > 'z')
            return false;
    }
    return ret_key->len > 0;
}

/* What the gateway knows of the pairs; at is NULL without such a pair. */
struct pairs {
    struct imapstate_span user, auth;
};

/* Reads the pairs up to the separator that ends the message. Two of a kind are refused: which one counts would be the
 * server's choice, and the session another's. */
static enum sasl_error read_pairs(struct imapstate_span message, struct pairs *ret_pairs)
{
    struct imapstate_span key, value;

    *ret_pairs = (struct pairs){ .user = { NULL, 0 } };
    while (message.len != 1 || message.at[0] != KV_SEPARATOR) {
        if (!take_pair(&message, &key, &value))
            return SASL_SYNTAX;
        struct imapstate_span *kept = NULL;
        if (imapstate_span_equal_nocase(key, IMAPSTATE_SPAN("user")))
            kept = &ret_pairs->user;
        else if (imapstate_span_equal_nocase(key, IMAPSTATE_SPAN("auth")))
            kept = &ret_pairs->auth;
        if (kept && kept->at)
            return SASL_SYNTAX;
        if (kept)
            *kept = value;
    }
    return SASL_OK;
}

/* RFC 9110 section 11.4: the scheme in any case, and spaces behind it. Another scheme has no token that we could
 * compare. */
static enum sasl_error read_token(struct imapstate_span auth, struct imapstate_buf *field)
{
    const struct imapstate_span scheme = IMAPSTATE_SPAN("Bearer ");

    if (auth.len < scheme.len || !imapstate_span_equal_nocase((struct imapstate_span){ auth.at, scheme.len }, scheme))
        return SASL_OK;
    span_drop(&auth, scheme.len);
    while (span_take(&auth, IMAPSTATE_SPAN(" ")))
        ;
    return imapstate_buf_put(field, auth) ? SASL_OK : SASL_TOO_LONG;
}

static enum sasl_error read_xoauth2(struct imapstate_span message, struct sasl_identity *identity)
{
    struct pairs pairs;
    enum sasl_error error = read_pairs(message, &pairs);

    identity->is_certain = true;
    if (error == SASL_OK)
        error = field_put(&identity->authentication, pairs.user);
    return error == SASL_OK ? read_token(pairs.auth, &identity->password) : error;
}

/* A user= among the pairs would be a second identity beside a=; RFC 7628 knows none. */
static enum sasl_error read_oauthbearer(struct imapstate_span message, struct sasl_identity *identity)
{
    struct pairs pairs;
    enum sasl_error error = read_gs2(&message, identity);

    if (error != SASL_OK)
        return error;
    if (!span_take(&message, IMAPSTATE_SPAN("\x01")))
        return SASL_SYNTAX;
    identity->is_certain = identity->authorization.len > 0;
    error = read_pairs(message, &pairs);
    if (error == SASL_OK && pairs.user.at)
        return SASL_SYNTAX;
    return error == SASL_OK ? read_token(pairs.auth, &identity->password) : error;
}

static enum sasl_error read_message(enum sasl_id id, struct imapstate_span message, struct sasl_identity *identity)
{
    if (id == SASL_PLAIN)
        return read_plain(message, identity);
    if (has_nul(message))
        return SASL_NUL;
    switch (id) {
    case SASL_XOAUTH2:
        return read_xoauth2(message, identity);
    case SASL_OAUTHBEARER:
        return read_oauthbearer(message, identity);
    case SASL_CRAM_MD5:
        return read_cram(message, identity);
    case SASL_SCRAM_SHA_1:
    case SASL_SCRAM_SHA_256:
    case SASL_SCRAM_SHA_512:
        return read_scram(message, identity);
    case SASL_PLAIN:
    case SASL_LOGIN:
    case SASL_ID_MAX:
        break;
    }
    return SASL_SYNTAX;
}

enum sasl_error sasl_read_identity(const struct sasl_mechanism *mechanism, struct imapstate_span message,
                                   struct sasl_identity *ret_identity)
{
    struct sasl_identity identity;

    sasl_identity_init(&identity);
    enum sasl_error error = read_message(mechanism->id, message, &identity);
    if (error != SASL_OK) {
        sasl_identity_done(&identity);
        return error;
    }
    if (imapstate_span_equal(imapstate_buf_span(&identity.authorization), imapstate_buf_span(&identity.authentication)))
        imapstate_buf_done(&identity.authorization);
    sasl_identity_done(ret_identity);
    *ret_identity = identity;
    return SASL_OK;
}

bool sasl_write_plain(const struct sasl_identity *identity, struct imapstate_buf *ret_message)
{
    struct imapstate_span authorization = imapstate_buf_span(&identity->authorization);
    struct imapstate_span authentication = imapstate_buf_span(&identity->authentication);
    struct imapstate_span password = imapstate_buf_span(&identity->password);
    size_t before = ret_message->len;

    /* It would divide the message elsewhere, and somebody else would log in. */
    if (has_nul(authorization) || has_nul(authentication) || has_nul(password))
        return false;
    if (imapstate_buf_put(ret_message, authorization) && imapstate_buf_put_byte(ret_message, 0) &&
        imapstate_buf_put(ret_message, authentication) && imapstate_buf_put_byte(ret_message, 0) &&
        imapstate_buf_put(ret_message, password))
        return true;
    ret_message->len = before; /* the password came last: it is not in what is dropped */
    return false;
}

/* XOAUTH2: the value of user=, wherever it stands. */
static bool rename_pair(struct imapstate_span message, struct imapstate_span user, struct imapstate_buf *ret_message)
{
    struct pairs pairs;
    if (read_pairs(message, &pairs) != SASL_OK || !pairs.user.at)
        return false;
    const uint8_t *behind = pairs.user.at + pairs.user.len;
    return imapstate_buf_put(ret_message,
                             (struct imapstate_span){ message.at, (size_t)(pairs.user.at - message.at) }) &&
           imapstate_buf_put(ret_message, user) &&
           imapstate_buf_put(ret_message,
                             (struct imapstate_span){ behind, (size_t)(message.at + message.len - behind) });
}

/* RFC 5801 section 4: saslname. */
static bool put_saslname(struct imapstate_span name, struct imapstate_buf *ret_message)
{
    bool fits = true;
    for (size_t i = 0; i < name.len && fits; i++)
        fits = name.at[i] == ','   ? imapstate_buf_put(ret_message, IMAPSTATE_SPAN("=2C"))
               : name.at[i] == '=' ? imapstate_buf_put(ret_message, IMAPSTATE_SPAN("=3D"))
                                   : imapstate_buf_put_byte(ret_message, name.at[i]);
    return fits;
}

/* OAUTHBEARER: a= of the gs2 header. */
static bool rename_gs2(struct imapstate_span message, struct imapstate_span user, struct imapstate_buf *ret_message)
{
    struct imapstate_span rest = message, flag, name;
    if (!span_take_until(&rest, ',', &flag) || !span_take(&rest, IMAPSTATE_SPAN("a=")) ||
        !span_take_until(&rest, ',', &name))
        return false;
    return imapstate_buf_put(ret_message, flag) && imapstate_buf_put(ret_message, IMAPSTATE_SPAN(",a=")) &&
           put_saslname(user, ret_message) && imapstate_buf_put_byte(ret_message, ',') &&
           imapstate_buf_put(ret_message, rest);
}

bool sasl_rename(const struct sasl_mechanism *mechanism, struct imapstate_span message, struct imapstate_span user,
                 struct imapstate_buf *ret_message)
{
    /* It would end what names the user, and others read on there. */
    if (user.len == 0 || memchr(user.at, KV_SEPARATOR, user.len))
        return false;
    switch (mechanism->id) {
    case SASL_XOAUTH2:
        return rename_pair(message, user, ret_message);
    case SASL_OAUTHBEARER:
        return rename_gs2(message, user, ret_message);
    default:
        return false;
    }
}
