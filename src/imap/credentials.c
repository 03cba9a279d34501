#include "credentials.h"

#include <imapstate/command.h>
#include <imapstate/frame.h>
#include <string.h>

void credentials_init(struct credentials *credentials, const struct sasl_mechanism *mechanism)
{
    credentials->mechanism = mechanism;
    sasl_identity_init(&credentials->identity);
    imapstate_buf_init(&credentials->given, SASL_NAME_MAX);
    imapstate_buf_init(&credentials->first_message, SASL_PASSWORD_MAX);
}

void credentials_done(struct credentials *credentials)
{
    sasl_identity_done(&credentials->identity);
    imapstate_buf_done(&credentials->given);
    imapstate_buf_done(&credentials->first_message);
}

const char *credentials_name(const struct credentials *credentials)
{
    return credentials->mechanism ? credentials->mechanism->name : "LOGIN";
}

enum sasl_passing credentials_passing(const struct credentials *credentials)
{
    return credentials->mechanism ? credentials->mechanism->passing : SASL_CONVERTED;
}

/* --- from the client --- */

static bool buf_set(struct imapstate_buf *buf, struct imapstate_span value)
{
    imapstate_buf_clear(buf);
    return imapstate_buf_put(buf, value);
}

static bool credentials_rename_message(struct credentials *credentials, struct imapstate_span user)
{
    struct imapstate_buf message;
    imapstate_buf_init(&message, credentials->first_message.max);
    bool is_written =
        sasl_rename(credentials->mechanism, imapstate_buf_span(&credentials->first_message), user, &message);
    imapstate_buf_done(&credentials->first_message);
    credentials->first_message = message;
    return is_written;
}

bool credentials_rename(struct credentials *credentials, struct imapstate_span user, struct imapstate_span acting)
{
    struct sasl_identity *identity = &credentials->identity;
    struct imapstate_span before = sasl_identity_user(identity);
    bool is_same = imapstate_span_equal(before, user) && imapstate_span_equal(sasl_identity_acting(identity), acting);
    if (is_same)
        return true;
    if (user.len == 0 || memchr(user.at, 0, user.len) || credentials_passing(credentials) == SASL_PROVED)
        return false;
    if (!imapstate_span_equal(before, user) && !buf_set(&credentials->given, before))
        return false;
    if (credentials_passing(credentials) == SASL_RELAYED && !credentials_rename_message(credentials, user))
        return false;
    if (identity->authorization.len == 0)
        return buf_set(&identity->authentication, user);
    bool is_acting = acting.len > 0 && !imapstate_span_equal(user, acting);
    return buf_set(&identity->authorization,
                   is_acting || identity->authentication.len == 0 ? user : (struct imapstate_span){ 0 }) &&
           (acting.len == 0 || buf_set(&identity->authentication, acting));
}

static bool credentials_are_auth_login(const struct credentials *credentials)
{
    return credentials->mechanism && credentials->mechanism->id == SASL_LOGIN;
}

bool credentials_want_user(const struct credentials *credentials)
{
    return credentials_are_auth_login(credentials) && !credentials->identity.is_certain;
}

/* The user, then the password, each as it is. */
static enum sasl_error credentials_read_auth_login(struct credentials *credentials, struct imapstate_span message)
{
    struct sasl_identity *identity = &credentials->identity;
    struct imapstate_buf *field = credentials_want_user(credentials) ? &identity->authentication : &identity->password;
    if (message.len > 0 && memchr(message.at, 0, message.len))
        return SASL_NUL;
    identity->is_certain = true;
    return imapstate_buf_put(field, message) ? SASL_OK : SASL_TOO_LONG;
}

static enum sasl_error credentials_read_message(struct credentials *credentials, struct imapstate_span message)
{
    if (credentials_are_auth_login(credentials))
        return credentials_read_auth_login(credentials, message);
    enum sasl_error error = sasl_read_identity(credentials->mechanism, message, &credentials->identity);
    bool is_kept = credentials_passing(credentials) != SASL_CONVERTED && credentials->mechanism->is_client_first;
    if (error == SASL_OK && is_kept && !imapstate_buf_put(&credentials->first_message, message))
        error = SASL_TOO_LONG;
    return error;
}

enum sasl_error credentials_read(struct credentials *credentials, struct imapstate_span line, bool is_initial)
{
    struct imapstate_buf message;
    imapstate_buf_init(&message, SASL_PASSWORD_MAX);
    enum sasl_error error = sasl_decode(line, is_initial, &message);
    if (error == SASL_OK)
        error = credentials_read_message(credentials, imapstate_buf_span(&message));
    imapstate_buf_done(&message);
    return error;
}

/* --- to the upstream --- */

static struct imapstate_buf *parts_last(struct credentials_parts *parts)
{
    return &parts->part[parts->count - 1];
}

static struct imapstate_buf *parts_add(struct credentials_parts *parts)
{
    parts->count++;
    imapstate_buf_init(parts_last(parts), 2 * IMAPSTATE_LINE_MAX);
    return parts_last(parts);
}

void credentials_parts_done(struct credentials_parts *parts)
{
    for (size_t i = 0; i < parts->count; i++)
        imapstate_buf_done(&parts->part[i]);
    parts->count = 0;
}

/* SP and a string, quoted or as a literal, which waits for its "+". */
static bool parts_put_string(struct credentials_parts *parts, const struct imapstate_buf *string)
{
    struct imapstate_span value = imapstate_buf_span(string);
    struct imapstate_buf *last = parts_last(parts);
    if (!imapstate_buf_put_byte(last, ' '))
        return false;
    if (!way_waits(value))
        return imapstate_command_put_quoted(last, value);
    return imapstate_buf_printf(last, "{%zu}\r\n", value.len) && imapstate_buf_put(parts_add(parts), value);
}

static bool parts_put_login(struct credentials_parts *parts, const struct capabilities *offers __attribute__((unused)),
                            const struct sasl_identity *identity)
{
    return imapstate_buf_put(parts_add(parts), IMAPSTATE_SPAN("LOGIN")) &&
           parts_put_string(parts, &identity->authentication) && parts_put_string(parts, &identity->password) &&
           imapstate_buf_put(parts_last(parts), IMAPSTATE_SPAN("\r\n"));
}

static bool put_base64_line(struct imapstate_buf *part, struct imapstate_span message)
{
    return sasl_encode(message, part) && imapstate_buf_put(part, IMAPSTATE_SPAN("\r\n"));
}

/* AUTHENTICATE and the first message, which is empty if there is none: with the command where the server takes that
 * (RFC 4959), else behind its "+". */
static bool parts_put_authenticate(struct credentials_parts *parts, const struct capabilities *offers,
                                   const char *mechanism, struct imapstate_span message)
{
    bool is_initial = message.len > 0 && offers->sasl_ir;
    if (!imapstate_buf_printf(parts_add(parts), "AUTHENTICATE %s%s", mechanism, is_initial ? " " : "\r\n"))
        return false;
    return message.len == 0 || put_base64_line(is_initial ? parts_last(parts) : parts_add(parts), message);
}

static bool parts_put_plain(struct credentials_parts *parts, const struct capabilities *offers,
                            const struct sasl_identity *identity)
{
    struct imapstate_buf message;
    imapstate_buf_init(&message, SASL_PASSWORD_MAX + 2 * SASL_NAME_MAX + 2);
    bool fits = sasl_write_plain(identity, &message) &&
                parts_put_authenticate(parts, offers, "PLAIN", imapstate_buf_span(&message));
    imapstate_buf_done(&message);
    return fits;
}

static bool parts_put_auth_login(struct credentials_parts *parts, const struct capabilities *offers,
                                 const struct sasl_identity *identity)
{
    return parts_put_authenticate(parts, offers, "LOGIN", (struct imapstate_span){ 0 }) &&
           put_base64_line(parts_add(parts), imapstate_buf_span(&identity->authentication)) &&
           put_base64_line(parts_add(parts), imapstate_buf_span(&identity->password));
}

enum way credentials_own_way(const struct credentials *credentials)
{
    if (!credentials->mechanism)
        return WAY_LOGIN;
    switch (credentials->mechanism->id) {
    case SASL_PLAIN:
        return WAY_PLAIN;
    case SASL_LOGIN:
        return WAY_AUTH_LOGIN;
    default:
        return WAY_NONE;
    }
}

static enum credentials_result credentials_write_password(const struct credentials *credentials,
                                                          const struct capabilities *offers, enum way way,
                                                          struct credentials_parts *ret_parts)
{
    static bool (*const put[WAY_NONE])(struct credentials_parts *, const struct capabilities *,
                                       const struct sasl_identity *) = {
        [WAY_LOGIN] = parts_put_login,
        [WAY_PLAIN] = parts_put_plain,
        [WAY_AUTH_LOGIN] = parts_put_auth_login,
    };
    if (way == WAY_NONE)
        return CREDENTIALS_NOT_OFFERED;
    return put[way](ret_parts, offers, &credentials->identity) ? CREDENTIALS_WRITTEN : CREDENTIALS_TOO_LONG;
}

enum credentials_result credentials_write(const struct credentials *credentials, const struct capabilities *offers,
                                          enum way way, struct credentials_parts *ret_parts)
{
    const struct sasl_mechanism *mechanism = credentials->mechanism;
    ret_parts->count = 0;
    if (credentials_passing(credentials) == SASL_CONVERTED)
        return credentials_write_password(credentials, offers, way, ret_parts);
    if (!(offers->mechanisms & SASL_BIT(mechanism->id)))
        return CREDENTIALS_NOT_OFFERED;
    return parts_put_authenticate(ret_parts, offers, mechanism->name, imapstate_buf_span(&credentials->first_message))
               ? CREDENTIALS_WRITTEN
               : CREDENTIALS_TOO_LONG;
}
