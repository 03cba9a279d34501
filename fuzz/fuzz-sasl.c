/* SASL: base64 says one thing, though bits to spare may differ; an identity has no NUL, is within its limits and is the
 * one that a careless reader of the same message would see. */
#include "fuzz.h"

#include "sasl.h"

#include <string.h>

static void check_base64(struct imapstate_span line, bool is_initial)
{
    struct imapstate_buf message, again, decoded;

    imapstate_buf_init(&message, SASL_PASSWORD_MAX);
    imapstate_buf_init(&again, SASL_PASSWORD_MAX);
    imapstate_buf_init(&decoded, SASL_PASSWORD_MAX);
    if (sasl_decode(line, is_initial, &message) != SASL_OK) {
        CHECK(message.len == 0);
    } else if (!is_initial || !imapstate_span_equal(line, IMAPSTATE_SPAN("="))) {
        CHECK(sasl_encode(imapstate_buf_span(&message), &again));
        CHECK(again.len == line.len && sasl_decode(imapstate_buf_span(&again), false, &decoded) == SASL_OK);
        CHECK(imapstate_span_equal(imapstate_buf_span(&decoded), imapstate_buf_span(&message)));
    }
    imapstate_buf_done(&message);
    imapstate_buf_done(&again);
    imapstate_buf_done(&decoded);
}

static void check_field(const struct imapstate_buf *field)
{
    CHECK(field->len <= field->max);
    CHECK(field->len == 0 || !memchr(field->at, 0, field->len));
}

static bool buf_equal(const struct imapstate_buf *a, const struct imapstate_buf *b)
{
    return imapstate_span_equal(imapstate_buf_span(a), imapstate_buf_span(b));
}

static void check_plain(const struct sasl_mechanism *mechanism, const struct sasl_identity *identity)
{
    struct imapstate_buf message;
    struct sasl_identity again;

    imapstate_buf_init(&message, 2 * SASL_PASSWORD_MAX);
    sasl_identity_init(&again);
    CHECK(sasl_write_plain(identity, &message));
    CHECK(sasl_read_identity(mechanism, imapstate_buf_span(&message), &again) == SASL_OK);
    CHECK(buf_equal(&again.authentication, &identity->authentication));
    CHECK(buf_equal(&again.authorization, &identity->authorization));
    CHECK(buf_equal(&again.password, &identity->password));
    imapstate_buf_done(&message);
    sasl_identity_done(&again);
}

/* What a server sees that splits the message at 0x01 and takes the last field which begins with prefix, as Dovecot
 * does. */
static struct imapstate_span last_field(struct imapstate_span message, struct imapstate_span prefix)
{
    struct imapstate_span found = { NULL, 0 };

    for (size_t begin = 0, end; begin < message.len; begin = end + 1) {
        for (end = begin; end < message.len && message.at[end] != 1; end++)
            ;
        struct imapstate_span field = { message.at + begin, end - begin };
        if (field.len >= prefix.len && memcmp(field.at, prefix.at, prefix.len) == 0)
            found = (struct imapstate_span){ field.at + prefix.len, field.len - prefix.len };
    }
    return found;
}

static void check_token(struct imapstate_span message, const struct sasl_identity *identity)
{
    struct imapstate_span token = last_field(message, IMAPSTATE_SPAN("auth=Bearer "));
    while (token.len && *token.at == ' ')
        token.at++, token.len--;
    CHECK(!token.at || imapstate_span_equal(token, imapstate_buf_span(&identity->password)));
}

static void check_bearer(enum sasl_id id, struct imapstate_span message, const struct sasl_identity *identity)
{
    check_token(message, identity);
    if (id == SASL_XOAUTH2) {
        struct imapstate_span user = last_field(message, IMAPSTATE_SPAN("user="));
        /* A key in other case is not Dovecot's; but then there is no other that it could take. */
        CHECK(!user.at || imapstate_span_equal(user, imapstate_buf_span(&identity->authentication)));
        return;
    }
    struct imapstate_span user = last_field(message, IMAPSTATE_SPAN("n,a="));
    const uint8_t *comma = user.len ? memchr(user.at, ',', user.len) : NULL;
    if (!comma)
        return;
    user.len = (size_t)(comma - user.at);
    CHECK(memchr(user.at, '=', user.len) || imapstate_span_equal(user, imapstate_buf_span(&identity->authorization)));
}

static void check_identity(const struct sasl_mechanism *mechanism, struct imapstate_span message,
                           const struct sasl_identity *identity)
{
    check_field(&identity->authentication);
    check_field(&identity->authorization);
    check_field(&identity->password);
    CHECK(identity->is_certain == (sasl_identity_user(identity).len > 0));
    CHECK(identity->authorization.len == 0 || !buf_equal(&identity->authorization, &identity->authentication));
    if (mechanism->id == SASL_PLAIN) {
        CHECK(identity->password.len > 0);
        check_plain(mechanism, identity);
    }
    if (mechanism->passing == SASL_PROVED)
        CHECK(identity->password.len == 0);
    if (mechanism->id == SASL_XOAUTH2 || mechanism->id == SASL_OAUTHBEARER)
        check_bearer(mechanism->id, message, identity);
}

static void check_message(const struct sasl_mechanism *mechanism, struct imapstate_span message)
{
    const struct imapstate_span before = IMAPSTATE_SPAN("who was there before");
    struct sasl_identity identity;

    sasl_identity_init(&identity);
    CHECK(imapstate_buf_put(&identity.authentication, before));
    if (sasl_read_identity(mechanism, message, &identity) == SASL_OK)
        check_identity(mechanism, message, &identity);
    else
        CHECK(imapstate_span_equal(sasl_identity_user(&identity), before));
    sasl_identity_done(&identity);
}

/* The first octet chooses the mechanism, and what a message of it begins with: so the fuzzer gets further. */
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    static const struct {
        const char *mechanism;
        struct imapstate_span begin;
    } begins[] = {
        { "PLAIN", IMAPSTATE_SPAN("") },
        { "PLAIN", IMAPSTATE_SPAN("\0ann\0") },
        { "LOGIN", IMAPSTATE_SPAN("") },
        { "CRAM-MD5", IMAPSTATE_SPAN("") },
        { "SCRAM-SHA-1", IMAPSTATE_SPAN("") },
        { "SCRAM-SHA-256", IMAPSTATE_SPAN("n,,n=") },
        { "SCRAM-SHA-512", IMAPSTATE_SPAN("y,a=") },
        { "XOAUTH2", IMAPSTATE_SPAN("") },
        { "XOAUTH2", IMAPSTATE_SPAN("user=ann\x01") },
        { "OAUTHBEARER", IMAPSTATE_SPAN("") },
        { "OAUTHBEARER", IMAPSTATE_SPAN("n,a=ann,\x01") },
    };
    struct imapstate_buf message;

    if (len == 0)
        return 0;
    size_t row = at[0] % (sizeof begins / sizeof begins[0]);
    struct imapstate_span rest = { at + 1, len - 1 };
    check_base64(rest, at[0] & 0x80);
    imapstate_buf_init(&message, begins[row].begin.len + len);
    CHECK(imapstate_buf_put(&message, begins[row].begin) && imapstate_buf_put(&message, rest));
    check_message(sasl_find(imapstate_span_of(begins[row].mechanism)), imapstate_buf_span(&message));
    imapstate_buf_done(&message);
    return 0;
}
