/* Credentials: whatever the upstream offers, it reads the user and the password that the client has given; and it gets
 * no octet of a literal that it has not said "+" to. */
#include "fuzz.h"

#include <imapstate/command.h>
#include <string.h>

#include "credentials.h"

static struct capabilities offers_of(uint8_t bits)
{
    return (struct capabilities){
        .literal_plus = bits & 1,
        .literal_minus = bits & 2,
        .sasl_ir = bits & 4,
        .logindisabled = bits & 8,
        .mechanisms = (bits & 16 ? SASL_BIT(SASL_PLAIN) : 0) | (bits & 32 ? SASL_BIT(SASL_LOGIN) : 0),
    };
}

static bool starts_with(struct imapstate_span in, struct imapstate_span with)
{
    return in.len >= with.len && memcmp(in.at, with.at, with.len) == 0;
}

static void check_equal(const struct imapstate_buf *a, const struct imapstate_buf *b)
{
    CHECK(imapstate_span_equal(imapstate_buf_span(a), imapstate_buf_span(b)));
}

static void skip(struct imapstate_span *in, size_t octets)
{
    CHECK(in->len >= octets);
    in->at += octets;
    in->len -= octets;
}

static struct imapstate_span take_line(struct imapstate_span *in)
{
    const uint8_t *end = in->len > 0 ? memchr(in->at, '\r', in->len) : NULL;
    CHECK(end);
    struct imapstate_span line = { in->at, (size_t)(end - in->at) };
    skip(in, line.len + 2);
    return line;
}

static bool is_waited_for(const struct imapstate_buf *string)
{
    return way_waits(imapstate_buf_span(string));
}

/* LOGIN has one part more for each literal that is waited for, and all but the last end with such a one. */
static void check_parts(const struct credentials_parts *parts, const struct sasl_identity *identity,
                        const struct capabilities *offers)
{
    CHECK(parts->count == 1 + is_waited_for(&identity->authentication) + is_waited_for(&identity->password));
    for (size_t i = 0; i + 1 < parts->count; i++) {
        struct imapstate_span part = imapstate_buf_span(&parts->part[i]);
        CHECK(part.len > 4 && memcmp(part.at + part.len - 3, "}\r\n", 3) == 0 && part.at[part.len - 4] != '+');
    }
}

static void read_login(struct imapstate_span sent, struct sasl_identity *ret_identity)
{
    skip(&sent, strlen("LOGIN "));
    CHECK(imapstate_command_astring(&sent, &ret_identity->authentication) == IMAPSTATE_OK);
    skip(&sent, 1);
    CHECK(imapstate_command_astring(&sent, &ret_identity->password) == IMAPSTATE_OK);
    CHECK(imapstate_span_equal(sent, IMAPSTATE_SPAN("\r\n")));
}

static void read_plain(struct imapstate_span sent, bool is_initial, struct sasl_identity *ret_identity)
{
    struct imapstate_buf message;
    imapstate_buf_init(&message, 2 * SASL_PASSWORD_MAX);
    skip(&sent, strlen("AUTHENTICATE PLAIN") + (is_initial ? 1 : 2));
    CHECK(sasl_decode(take_line(&sent), is_initial, &message) == SASL_OK && sent.len == 0);
    CHECK(sasl_read_identity(sasl_get(SASL_PLAIN), imapstate_buf_span(&message), ret_identity) == SASL_OK);
    imapstate_buf_done(&message);
}

static void read_auth_login(struct imapstate_span sent, struct sasl_identity *ret_identity)
{
    skip(&sent, strlen("AUTHENTICATE LOGIN\r\n"));
    CHECK(sasl_decode(take_line(&sent), false, &ret_identity->authentication) == SASL_OK);
    CHECK(sasl_decode(take_line(&sent), false, &ret_identity->password) == SASL_OK && sent.len == 0);
}

/* As a server does that says "+" to whatever waits for it. */
static void read_parts(const struct credentials_parts *parts, const struct sasl_identity *identity,
                       const struct capabilities *offers, struct sasl_identity *ret_identity)
{
    struct imapstate_buf all;
    imapstate_buf_init(&all, 1 << 20);
    for (size_t i = 0; i < parts->count; i++)
        CHECK(imapstate_buf_put(&all, imapstate_buf_span(&parts->part[i])));
    struct imapstate_span sent = imapstate_buf_span(&all);
    if (starts_with(sent, IMAPSTATE_SPAN("LOGIN "))) {
        CHECK(!offers->logindisabled);
        check_parts(parts, identity, offers);
        read_login(sent, ret_identity);
    } else if (starts_with(sent, IMAPSTATE_SPAN("AUTHENTICATE PLAIN"))) {
        CHECK(parts->count == (offers->sasl_ir ? 1 : 2));
        read_plain(sent, offers->sasl_ir, ret_identity);
    } else {
        CHECK(parts->count == 3);
        read_auth_login(sent, ret_identity);
    }
    imapstate_buf_done(&all);
}

static void check_written(const struct credentials *credentials, const struct capabilities *offers, enum way own)
{
    struct credentials_parts parts;
    struct sasl_identity seen;
    sasl_identity_init(&seen);
    enum way way = way_choose((struct way_lore){ 0 }, own, &credentials->identity, offers, 0);
    if (credentials_write(credentials, offers, way, &parts) == CREDENTIALS_WRITTEN) {
        read_parts(&parts, &credentials->identity, offers, &seen);
        check_equal(&seen.authentication, &credentials->identity.authentication);
        check_equal(&seen.password, &credentials->identity.password);
    } else {
        CHECK(offers->logindisabled && offers->mechanisms == 0);
    }
    credentials_parts_done(&parts);
    sasl_identity_done(&seen);
}

static bool read_field(struct credentials *credentials, struct imapstate_span field)
{
    struct imapstate_buf line;
    imapstate_buf_init(&line, 2 * SASL_PASSWORD_MAX);
    CHECK(sasl_encode(field, &line));
    bool is_read = credentials_read(credentials, imapstate_buf_span(&line), false) == SASL_OK;
    imapstate_buf_done(&line);
    return is_read;
}

/* The first octet says what is offered, the second where the user ends and the password begins. */
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    if (len < 4)
        return 0;
    struct capabilities offers = offers_of(at[0]);
    size_t user_len = 1 + at[1] % (len - 3);
    struct imapstate_span user = { at + 2, user_len }, password = { at + 2 + user_len, len - 2 - user_len };
    struct credentials credentials;
    credentials_init(&credentials, sasl_get(SASL_LOGIN));
    bool is_read = read_field(&credentials, user) && read_field(&credentials, password);
    CHECK(is_read == !memchr(at + 2, 0, len - 2));
    if (is_read)
        for (enum way own = WAY_LOGIN; own < WAY_NONE; own++)
            check_written(&credentials, &offers, own);
    credentials_done(&credentials);
    return 0;
}
