#include "check.h"

#include <string.h>

#include "account.h"
#include "sasl.h"

#define TOKEN "ya29.a0-B_c~d+e/f=="

/* Which way is chosen for a list: "LOGIN", or the mechanism, with a "!" behind it if its message goes with the command;
 * else the error. */
static const struct {
    const char *name, *list, *user, *secret;
    bool has_token, is_clear;
    const char *want;
} rows[] = {
    { "a password by LOGIN", "IMAP4rev1 SASL-IR AUTH=PLAIN", "ann", "secret", false, false, "LOGIN" },
    { "if nothing is offered", "IMAP4rev1", "ann", "secret", false, false, "LOGIN" },
    { "or by PLAIN", "LOGINDISABLED AUTH=PLAIN", "ann", "secret", false, false, "PLAIN" },
    { "at once", "LOGINDISABLED AUTH=PLAIN SASL-IR", "ann", "secret", false, false, "PLAIN!" },
    { "what LOGIN cannot say", "AUTH=PLAIN", "ann", "pässwörd", false, false, "PLAIN" },
    { "nor anybody", "AUTH=CRAM-MD5", "ann", "pässwörd", false, false,
      "user or password has octets that only AUTH=PLAIN can carry, which is not offered" },
    { "no way", "LOGINDISABLED", "ann", "x", false, false, "the server offers neither LOGIN nor AUTH=PLAIN" },
    { "not without TLS", "LOGINDISABLED", "ann", "x", false, true,
      "the server accepts no unencrypted passwords: leave out --plain, or use --starttls" },
    { "tokens only", "LOGINDISABLED AUTH=XOAUTH2", "ann", "x", false, false,
      "the server offers neither LOGIN nor AUTH=PLAIN; it does accept access tokens: --oauth" },
    { "a token by the standard", "AUTH=XOAUTH2 AUTH=OAUTHBEARER SASL-IR", "ann", TOKEN, true, false, "OAUTHBEARER!" },
    { "or by its predecessor", "AUTH=PLAIN auth=xoauth2", "ann", TOKEN, true, false, "XOAUTH2" },
    { "by nothing else", "AUTH=PLAIN", "ann", TOKEN, true, false,
      "the server offers neither AUTH=OAUTHBEARER nor AUTH=XOAUTH2" },
    { "not without TLS either", "LOGINDISABLED", "ann", TOKEN, true, true,
      "without TLS the server offers neither AUTH=OAUTHBEARER nor AUTH=XOAUTH2: leave out --plain, or use --starttls" },
    { "a token is no JSON", "AUTH=OAUTHBEARER", "ann", "{\"access_token\":\"x\"}", true, false,
      "this is not an access token: it has octets that no token has (RFC 6750). It must be alone on the first line" },
    { "nor has it a separator", "AUTH=OAUTHBEARER", "ann", "x\1user=bob", true, false,
      "this is not an access token: it has octets that no token has (RFC 6750). It must be alone on the first line" },
    { "nor the name", "AUTH=XOAUTH2", "ann\1user=bob", TOKEN, true, false,
      "the user name has a control character, which is not possible with an access token" },
    { "a name with what is escaped", "AUTH=OAUTHBEARER", "a=b,c@example.org", TOKEN, true, false, "OAUTHBEARER" },
    { "and where it is not", "AUTH=XOAUTH2", "a=b,c Ünï", TOKEN, true, false, "XOAUTH2" },
};

/* What is written says the user and the secret, as the gateway reads it. */
static void check_message(size_t row, const struct account_login *login)
{
    struct sasl_identity identity;
    struct imapstate_buf message;
    sasl_identity_init(&identity);
    imapstate_buf_init(&message, 65536);
    assert_int_equal(sasl_decode(imapstate_buf_span(&login->text), false, &message), SASL_OK);
    const struct sasl_mechanism *mechanism = sasl_find(imapstate_span_of(login->mechanism));
    CHECK_ROW(rows[row].name, sasl_read_identity(mechanism, imapstate_buf_span(&message), &identity) == SASL_OK);
    CHECK_SPAN(rows[row].name, sasl_identity_user(&identity), imapstate_span_of(rows[row].user));
    CHECK_SPAN(rows[row].name, imapstate_buf_span(&identity.password), imapstate_span_of(rows[row].secret));
    CHECK_ROW(rows[row].name, identity.is_certain);
    sasl_identity_done(&identity);
    imapstate_buf_done(&message);
}

static void check_row(size_t row)
{
    struct exchange exchange;
    struct transcript transcript;
    struct account_login login;
    char way[32];
    struct connection_target target = { .host = "mail.example.org",
                                        .port = "993",
                                        .tls = rows[row].is_clear ? CONNECTION_PLAIN : CONNECTION_IMPLICIT };
    struct account account = { imapstate_span_of(rows[row].user), imapstate_span_of(rows[row].secret),
                               rows[row].has_token };
    transcript_init(&transcript, stderr);
    assert_true(exchange_init(&exchange, &transcript));
    assert_true(imapstate_buf_put(&exchange.names, imapstate_span_of(rows[row].list)));
    account_login_init(&login);
    const char *error = account_write_login(&account, &exchange, &target, &login);
    snprintf(way, sizeof way, "%s%s", login.mechanism ? login.mechanism : "LOGIN",
             login.mechanism && login.is_initial ? "!" : "");
    CHECK_SPAN(rows[row].name, imapstate_span_of(error ? error : way), imapstate_span_of(rows[row].want));
    CHECK_ROW(rows[row].name, (login.text.len > 0) == !error);
    if (!error && login.mechanism)
        check_message(row, &login);
    account_login_done(&login);
    exchange_done(&exchange);
    transcript_done(&transcript);
}

TEST(a_login_is_chosen_by_the_list_and_says_who_it_is)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_row(i);
}

TEST(the_question_why_a_token_is_refused_is_answered_as_the_mechanism_wants_it)
{
    struct account_login login = { .mechanism = "OAUTHBEARER" };
    CHECK_SPAN("RFC 7628 section 3.2.3", account_answer_refusal(&login), IMAPSTATE_SPAN("AQ=="));
    login.mechanism = "XOAUTH2";
    CHECK_SPAN("XOAUTH2", account_answer_refusal(&login), IMAPSTATE_SPAN(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_login_is_chosen_by_the_list_and_says_who_it_is),
        cmocka_unit_test(the_question_why_a_token_is_refused_is_answered_as_the_mechanism_wants_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
