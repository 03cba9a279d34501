#include "account.h"

#include <imapstate/command.h>

#include <string.h>

#include "sasl.h"

#define MESSAGE_MAX 262144u /* user and secret, each octet escaped or in base64, with room */

static const char too_long[] = "user and secret are too long";

void account_login_init(struct account_login *login)
{
    *login = (struct account_login){ 0 };
    imapstate_buf_init(&login->text, MESSAGE_MAX);
}

void account_login_done(struct account_login *login)
{
    imapstate_buf_done(&login->text);
}

static bool put_text(struct imapstate_buf *buf, const char *text)
{
    return imapstate_buf_put(buf, imapstate_span_of(text));
}

/* --- by a password --- */

static bool write_command(const struct account *account, struct imapstate_buf *text)
{
    return put_text(text, "LOGIN ") && imapstate_command_put_quoted(text, account->user) && put_text(text, " ") &&
           imapstate_command_put_quoted(text, account->secret);
}

static bool write_plain(const struct account *account, struct imapstate_buf *message)
{
    struct sasl_identity identity;
    sasl_identity_init(&identity);
    bool is_written = imapstate_buf_put(&identity.authentication, account->user) &&
                      imapstate_buf_put(&identity.password, account->secret) && sasl_write_plain(&identity, message);
    sasl_identity_done(&identity);
    return is_written;
}

/* --- by an access token --- */

/* RFC 6750 section 2.1, b64token. Anything else in it could be read as another part of the message. */
static bool is_token(struct imapstate_span secret)
{
    static const char others[] = "-._~+/=";
    for (size_t i = 0; i < secret.len; i++) {
        uint8_t octet = secret.at[i], lower = octet | 0x20;
        bool is_alphanumeric = (octet >= '0' && octet <= '9') || (lower >= 'a' && lower <= 'z');
        if (!is_alphanumeric && !memchr(others, octet, sizeof others - 1))
            return false;
    }
    return true;
}

static bool has_control(struct imapstate_span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < ' ')
            return true;
    return false;
}

/* RFC 5801 section 4, saslname. */
static bool put_saslname(struct imapstate_buf *buf, struct imapstate_span name)
{
    bool is_put = true;
    for (size_t i = 0; i < name.len && is_put; i++)
        is_put = name.at[i] == ','   ? put_text(buf, "=2C")
                 : name.at[i] == '=' ? put_text(buf, "=3D")
                                     : imapstate_buf_put_byte(buf, name.at[i]);
    return is_put;
}

/* RFC 7628 section 3.1. Host and port are those that one has connected to. */
static bool write_oauthbearer(const struct account *account, const struct connection_target *target,
                              struct imapstate_buf *message)
{
    return put_text(message, "n,a=") && put_saslname(message, account->user) &&
           imapstate_buf_printf(message, ",\1host=%s\1port=%s\1auth=Bearer ", target->host, target->port) &&
           imapstate_buf_put(message, account->secret) && put_text(message, "\1\1");
}

/* https://developers.google.com/workspace/gmail/imap/xoauth2-protocol */
static bool write_xoauth2(const struct account *account, struct imapstate_buf *message)
{
    return put_text(message, "user=") && imapstate_buf_put(message, account->user) &&
           put_text(message, "\1auth=Bearer ") && imapstate_buf_put(message, account->secret) &&
           put_text(message, "\1\1");
}

struct imapstate_span account_answer_refusal(const struct account_login *login)
{
    return strcmp(login->mechanism, "OAUTHBEARER") == 0 ? IMAPSTATE_SPAN("AQ==") : IMAPSTATE_SPAN("");
}

/* --- which of them --- */

/* What is wrong; NULL if a mechanism, or the command LOGIN, was chosen. */
static const char *choose_by_password(const struct account *account, const struct exchange *exchange, bool is_clear,
                                      struct account_login *login)
{
    bool is_quotable = imapstate_command_is_quotable(account->user) && imapstate_command_is_quotable(account->secret);
    bool is_disabled = exchange_offers(exchange, "LOGINDISABLED");

    if (!is_disabled && is_quotable)
        return NULL;
    login->mechanism = "PLAIN";
    if (exchange_offers(exchange, "AUTH=PLAIN"))
        return NULL;
    if (is_disabled && is_clear)
        return "the server accepts no unencrypted passwords: leave out --plain, or use --starttls";
    if (!is_disabled)
        return "user or password has octets that only AUTH=PLAIN can carry, which is not offered";
    return exchange_offers(exchange, "AUTH=OAUTHBEARER") || exchange_offers(exchange, "AUTH=XOAUTH2")
               ? "the server offers neither LOGIN nor AUTH=PLAIN; it does accept access tokens: --oauth"
               : "the server offers neither LOGIN nor AUTH=PLAIN";
}

static const char *choose_by_token(const struct account *account, const struct exchange *exchange, bool is_clear,
                                   struct account_login *login)
{
    if (!is_token(account->secret))
        return "this is not an access token: it has octets that no token has (RFC 6750). It must be alone on the first "
               "line";
    if (has_control(account->user))
        return "the user name has a control character, which is not possible with an access token";
    login->mechanism = exchange_offers(exchange, "AUTH=OAUTHBEARER") ? "OAUTHBEARER"
                       : exchange_offers(exchange, "AUTH=XOAUTH2")   ? "XOAUTH2"
                                                                     : NULL;
    if (login->mechanism)
        return NULL;
    return is_clear ? "without TLS the server offers neither AUTH=OAUTHBEARER nor AUTH=XOAUTH2: leave out --plain, or "
                      "use --starttls"
                    : "the server offers neither AUTH=OAUTHBEARER nor AUTH=XOAUTH2";
}

static bool write_message(const struct account *account, const struct connection_target *target,
                          struct account_login *login)
{
    struct imapstate_buf message;
    imapstate_buf_init(&message, MESSAGE_MAX);
    bool is_written = !account->has_token                            ? write_plain(account, &message)
                      : strcmp(login->mechanism, "OAUTHBEARER") == 0 ? write_oauthbearer(account, target, &message)
                                                                     : write_xoauth2(account, &message);
    is_written = is_written && sasl_encode(imapstate_buf_span(&message), &login->text);
    imapstate_buf_done(&message);
    return is_written;
}

const char *account_write_login(const struct account *account, const struct exchange *exchange,
                                const struct connection_target *target, struct account_login *login)
{
    bool is_clear = target->tls == CONNECTION_PLAIN;
    const char *error = account->has_token ? choose_by_token(account, exchange, is_clear, login)
                                           : choose_by_password(account, exchange, is_clear, login);
    if (error)
        return error;
    login->is_initial = exchange_offers(exchange, "SASL-IR");
    bool is_written = login->mechanism ? write_message(account, target, login) : write_command(account, &login->text);
    return is_written ? NULL : too_long;
}
