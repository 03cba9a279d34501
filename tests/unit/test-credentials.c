#include "check.h"

#include "credentials.h"

#include <stdlib.h>
#include <string.h>

#define S(text) IMAPSTATE_SPAN(text)

/* base64 of "\0ann\0secret", "ann\0bob\0secret", "ann", "secret", and XOAUTH2's "user=ann\1auth=Bearer t\1\1". */
#define PLAIN_ANN    "AGFubgBzZWNyZXQ="
#define PLAIN_AS_ANN "YW5uAGJvYgBzZWNyZXQ="
#define USER_ANN     "YW5u"
#define SECRET       "c2VjcmV0"
#define XOAUTH2_ANN  "dXNlcj1hbm4BYXV0aD1CZWFyZXIgdAEB"
#define SCRAM_ANN    "biwsbj1hbm4scj1hYmM="

static struct capabilities offers_of(const char *names)
{
    struct capabilities offers;
    capability_parse(imapstate_span_of(names), &offers);
    return offers;
}

static void put(struct imapstate_buf *field, const char *value)
{
    assert_true(imapstate_buf_put(field, imapstate_span_of(value)));
}

/* What the LOGIN command gives. */
static struct credentials password_of(const char *user, const char *password)
{
    struct credentials credentials;
    credentials_init(&credentials, NULL);
    put(&credentials.identity.authentication, user);
    put(&credentials.identity.password, password);
    return credentials;
}

/* What a mechanism's messages give. */
static struct credentials read_of(const char *mechanism, const char *const *lines)
{
    struct credentials credentials;
    credentials_init(&credentials, sasl_find(imapstate_span_of(mechanism)));
    for (; *lines; lines++)
        assert_int_equal(credentials_read(&credentials, imapstate_span_of(*lines), false), SASL_OK);
    return credentials;
}

static void check_parts(const char *name, const struct credentials *credentials, const char *offered, enum way way,
                        enum credentials_result want, const char *const *want_parts)
{
    struct capabilities offers = offers_of(offered);
    struct credentials_parts parts;
    CHECK_ROW(name, credentials_write(credentials, &offers, way, &parts) == want);
    size_t count = 0;
    for (; count < CREDENTIALS_PARTS_MAX && want_parts[count]; count++) {
        CHECK_ROW(name, count < parts.count);
        CHECK_SPAN(name, imapstate_buf_span(&parts.part[count]), imapstate_span_of(want_parts[count]));
    }
    CHECK_ROW(name, want != CREDENTIALS_WRITTEN || parts.count == count);
    credentials_parts_done(&parts);
    assert_int_equal(parts.count, 0);
}

static const struct {
    const char *name, *offers, *user, *password;
    enum way way;
    const char *parts[CREDENTIALS_PARTS_MAX]; /* none: not offered */
} passwords[] = {
    { "PLAIN with an initial response",
      "SASL-IR AUTH=PLAIN",
      "ann",
      "secret",
      WAY_PLAIN,
      { "AUTHENTICATE PLAIN " PLAIN_ANN "\r\n" } },
    { "PLAIN without",
      "AUTH=PLAIN LOGINDISABLED",
      "ann",
      "secret",
      WAY_PLAIN,
      { "AUTHENTICATE PLAIN\r\n", PLAIN_ANN "\r\n" } },
    { "LOGIN", "", "ann", "secret", WAY_LOGIN, { "LOGIN \"ann\" \"secret\"\r\n" } },
    { "a backslash is not escaped", "", "DOM\\ann", "x", WAY_LOGIN, { "LOGIN {7}\r\n", "DOM\\ann \"x\"\r\n" } },
    { "nor is a quote", "", "ann", "a\"b", WAY_LOGIN, { "LOGIN \"ann\" {3}\r\n", "a\"b\r\n" } },
    { "the mechanism LOGIN",
      "LOGINDISABLED AUTH=LOGIN SASL-IR",
      "ann",
      "secret",
      WAY_AUTH_LOGIN,
      { "AUTHENTICATE LOGIN\r\n", USER_ANN "\r\n", SECRET "\r\n" } },
    { "no way", "LOGINDISABLED AUTH=CRAM-MD5", "ann", "secret", WAY_NONE, { NULL } },
    { "8-bit octets by PLAIN",
      "AUTH=PLAIN",
      "ann",
      "\xc3\xbc",
      WAY_PLAIN,
      { "AUTHENTICATE PLAIN\r\n", "AGFubgDDvA==\r\n" } },
    { "a literal waits whatever is offered",
      "LITERAL+",
      "\xc3\xbc",
      "secret",
      WAY_LOGIN,
      { "LOGIN {2}\r\n", "\xc3\xbc \"secret\"\r\n" } },
    { "and where nothing is", "", "ann", "\xc3\xbc", WAY_LOGIN, { "LOGIN \"ann\" {2}\r\n", "\xc3\xbc\r\n" } },
    { "two that are", "", "\xc3\xbc", "\xc3\xa4", WAY_LOGIN, { "LOGIN {2}\r\n", "\xc3\xbc {2}\r\n", "\xc3\xa4\r\n" } },
    { "an empty password", "", "ann", "", WAY_LOGIN, { "LOGIN \"ann\" \"\"\r\n" } },
};

TEST(a_password_goes_by_the_way_that_is_chosen)
{
    for (size_t i = 0; i < ARRAY_LEN(passwords); i++) {
        struct credentials credentials = password_of(passwords[i].user, passwords[i].password);
        check_parts(passwords[i].name, &credentials, passwords[i].offers, passwords[i].way,
                    passwords[i].parts[0] ? CREDENTIALS_WRITTEN : CREDENTIALS_NOT_OFFERED, passwords[i].parts);
        credentials_done(&credentials);
    }
}

static const struct {
    const char *name, *mechanism, *lines[3], *offers, *parts[CREDENTIALS_PARTS_MAX];
    enum sasl_passing passing;
    enum way own;
} messages[] = {
    { "PLAIN becomes LOGIN",
      "PLAIN",
      { PLAIN_ANN },
      "",
      { "LOGIN \"ann\" \"secret\"\r\n" },
      SASL_CONVERTED,
      WAY_PLAIN },
    { "the mechanism LOGIN becomes PLAIN",
      "LOGIN",
      { USER_ANN, SECRET },
      "SASL-IR AUTH=PLAIN",
      { "AUTHENTICATE PLAIN " PLAIN_ANN "\r\n" },
      SASL_CONVERTED,
      WAY_AUTH_LOGIN },
    { "an authorization identity needs PLAIN",
      "PLAIN",
      { PLAIN_AS_ANN },
      "AUTH=PLAIN",
      { "AUTHENTICATE PLAIN\r\n", PLAIN_AS_ANN "\r\n" },
      SASL_CONVERTED,
      WAY_PLAIN },
    { "and is not dropped", "PLAIN", { PLAIN_AS_ANN }, "AUTH=LOGIN SASL-IR", { NULL }, SASL_CONVERTED, WAY_PLAIN },
    { "a bearer token goes as it came",
      "XOAUTH2",
      { XOAUTH2_ANN },
      "AUTH=XOAUTH2 SASL-IR",
      { "AUTHENTICATE XOAUTH2 " XOAUTH2_ANN "\r\n" },
      SASL_RELAYED,
      WAY_NONE },
    { "or behind a +",
      "XOAUTH2",
      { XOAUTH2_ANN },
      "AUTH=XOAUTH2",
      { "AUTHENTICATE XOAUTH2\r\n", XOAUTH2_ANN "\r\n" },
      SASL_RELAYED,
      WAY_NONE },
    { "but by no other mechanism",
      "XOAUTH2",
      { XOAUTH2_ANN },
      "AUTH=OAUTHBEARER AUTH=PLAIN SASL-IR",
      { NULL },
      SASL_RELAYED,
      WAY_NONE },
    { "a proof can be used once",
      "SCRAM-SHA-1",
      { SCRAM_ANN },
      "AUTH=SCRAM-SHA-1 SASL-IR",
      { "AUTHENTICATE SCRAM-SHA-1 " SCRAM_ANN "\r\n" },
      SASL_PROVED,
      WAY_NONE },
    { "where the server speaks first nothing is sent",
      "CRAM-MD5",
      { NULL },
      "AUTH=CRAM-MD5 SASL-IR",
      { "AUTHENTICATE CRAM-MD5\r\n" },
      SASL_PROVED,
      WAY_NONE },
};

TEST(what_a_mechanism_brought_goes_up_converted_or_word_for_word)
{
    for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
        struct credentials credentials = read_of(messages[i].mechanism, messages[i].lines);
        CHECK_ROW(messages[i].name, strcmp(credentials_name(&credentials), messages[i].mechanism) == 0);
        CHECK_ROW(messages[i].name, credentials_passing(&credentials) == messages[i].passing);
        CHECK_ROW(messages[i].name, credentials_own_way(&credentials) == messages[i].own);
        struct capabilities offers = offers_of(messages[i].offers);
        enum way way = way_choose((struct way_lore){ 0 }, messages[i].own, &credentials.identity, &offers, 0);
        check_parts(messages[i].name, &credentials, messages[i].offers, way,
                    messages[i].parts[0] ? CREDENTIALS_WRITTEN : CREDENTIALS_NOT_OFFERED, messages[i].parts);
        credentials_done(&credentials);
    }
}

TEST(the_mechanism_login_wants_the_user_then_the_password_be_they_empty)
{
    struct credentials credentials;
    credentials_init(&credentials, sasl_get(SASL_LOGIN));
    assert_true(credentials_want_user(&credentials));
    assert_int_equal(credentials_read(&credentials, S(""), false), SASL_OK);
    assert_false(credentials_want_user(&credentials));
    assert_int_equal(credentials_read(&credentials, S(""), false), SASL_OK);
    assert_int_equal(credentials.identity.authentication.len + credentials.identity.password.len, 0);
    credentials_done(&credentials);
}

static const struct {
    const char *name, *mechanism, *line;
    enum sasl_error want;
} bad[] = {
    { "no base64", "PLAIN", "?", SASL_BASE64 },
    { "no message of the mechanism", "PLAIN", USER_ANN, SASL_SYNTAX },
    { "NUL in the user", "LOGIN", "YQBi", SASL_NUL },
    { "an empty first message", "XOAUTH2", "", SASL_SYNTAX },
    { "an empty first message of a proof", "SCRAM-SHA-1", "", SASL_SYNTAX },
};

TEST(what_cannot_be_read_is_an_error_and_leaves_no_first_message)
{
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct credentials credentials;
        credentials_init(&credentials, sasl_find(imapstate_span_of(bad[i].mechanism)));
        CHECK_ROW(bad[i].name, credentials_read(&credentials, imapstate_span_of(bad[i].line), false) == bad[i].want);
        CHECK_ROW(bad[i].name, credentials.first_message.len == 0);
        credentials_done(&credentials);
    }
}

TEST(what_is_too_long_for_a_line_is_not_sent)
{
    enum { LONG = 65536 };
    char *letters = malloc(LONG + 1);
    memset(letters, 'x', LONG);
    letters[LONG] = '\0';
    struct credentials credentials = password_of(letters, letters);
    check_parts("twice 64 KiB by LOGIN", &credentials, "", WAY_LOGIN, CREDENTIALS_TOO_LONG,
                (const char *const[]){ NULL });
    check_parts("171 KiB by PLAIN", &credentials, "AUTH=PLAIN SASL-IR", WAY_PLAIN, CREDENTIALS_TOO_LONG,
                (const char *const[]){ NULL });
    credentials_done(&credentials);
    free(letters);
}

TEST(the_login_command_has_a_name_for_the_log)
{
    struct credentials credentials = password_of("ann", "secret");
    assert_string_equal(credentials_name(&credentials), "LOGIN");
    assert_int_equal(credentials_own_way(&credentials), WAY_LOGIN);
    assert_false(credentials_want_user(&credentials));
    assert_int_equal(credentials_passing(&credentials), SASL_CONVERTED);
    credentials_done(&credentials);
}

static const struct {
    const char *name, *mechanism; /* NULL: the LOGIN command, whose two arguments are the messages */
    struct imapstate_span messages[2];
    struct imapstate_span user, acting;
    const char *given, *offers;
    enum way way;
    struct imapstate_span
        parts[CREDENTIALS_PARTS_MAX]; /* in AUTHENTICATE, of a message as it is; none: it cannot be said */
} renames[] = {
    { "LOGIN",
      NULL,
      { S("ann@x"), S("secret") },
      S("ann"),
      S(""),
      "ann@x",
      "",
      WAY_LOGIN,
      { S("LOGIN \"ann\" \"secret\"\r\n") } },
    { "LOGIN: a quote needs a literal",
      NULL,
      { S("ann"), S("secret") },
      S("a\"b"),
      S(""),
      "ann",
      "",
      WAY_LOGIN,
      { S("LOGIN {3}\r\n"), S("a\"b \"secret\"\r\n") } },
    { "LOGIN: no literal any more",
      NULL,
      { S("a\\b"), S("secret") },
      S("ab"),
      S(""),
      "a\\b",
      "",
      WAY_LOGIN,
      { S("LOGIN \"ab\" \"secret\"\r\n") } },
    { "LOGIN: 8-bit by PLAIN",
      NULL,
      { S("ann"), S("secret") },
      S("\xc3\xbc"),
      S(""),
      "ann",
      "AUTH=PLAIN SASL-IR",
      WAY_PLAIN,
      { S("\0\xc3\xbc\0secret") } },
    { "LOGIN: a name as before is none that was given",
      NULL,
      { S("ann"), S("secret") },
      S("ann"),
      S(""),
      "",
      "",
      WAY_LOGIN,
      { S("LOGIN \"ann\" \"secret\"\r\n") } },
    { "LOGIN: a NUL", NULL, { S("ann"), S("secret") }, S("a\0b"), S("") },
    { "LOGIN: nobody", NULL, { S("ann"), S("secret") }, S(""), S("") },
    { "PLAIN",
      "PLAIN",
      { S("\0ann@x\0secret") },
      S("ann"),
      S(""),
      "ann@x",
      "AUTH=PLAIN SASL-IR",
      WAY_PLAIN,
      { S("\0ann\0secret") } },
    { "PLAIN by LOGIN",
      "PLAIN",
      { S("\0ann@x\0secret") },
      S("ann"),
      S(""),
      "ann@x",
      "",
      WAY_LOGIN,
      { S("LOGIN \"ann\" \"secret\"\r\n") } },
    { "PLAIN: both names",
      "PLAIN",
      { S("bob@x\0Master\0secret") },
      S("bob"),
      S("master"),
      "bob@x",
      "AUTH=PLAIN SASL-IR",
      WAY_PLAIN,
      { S("bob\0master\0secret") } },
    { "PLAIN: the master's name alone",
      "PLAIN",
      { S("bob\0Master\0secret") },
      S("bob"),
      S("master"),
      "",
      "AUTH=PLAIN SASL-IR",
      WAY_PLAIN,
      { S("bob\0master\0secret") } },
    { "PLAIN: the two are one there",
      "PLAIN",
      { S("ANN@x\0ann@x\0secret") },
      S("ann"),
      S("ann"),
      "ANN@x",
      "AUTH=PLAIN SASL-IR",
      WAY_PLAIN,
      { S("\0ann\0secret") } },
    { "AUTH=LOGIN",
      "LOGIN",
      { S("ann@x"), S("secret") },
      S("ann"),
      S(""),
      "ann@x",
      "LOGINDISABLED AUTH=LOGIN",
      WAY_AUTH_LOGIN,
      { S(""), S("ann"), S("secret") } },
    { "XOAUTH2",
      "XOAUTH2",
      { S("user=ann@x\1auth=Bearer t\1\1") },
      S("ann"),
      S(""),
      "ann@x",
      "AUTH=XOAUTH2 SASL-IR",
      WAY_NONE,
      { S("user=ann\1auth=Bearer t\1\1") } },
    { "XOAUTH2: a separator", "XOAUTH2", { S("user=ann@x\1auth=Bearer t\1\1") }, S("a\1b"), S("") },
    { "OAUTHBEARER",
      "OAUTHBEARER",
      { S("n,a=ann@x,\1auth=Bearer t\1\1") },
      S("a,n"),
      S(""),
      "ann@x",
      "AUTH=OAUTHBEARER SASL-IR",
      WAY_NONE,
      { S("n,a=a=2Cn,\1auth=Bearer t\1\1") } },
    { "OAUTHBEARER that names nobody, and is told nobody",
      "OAUTHBEARER",
      { S("n,,\1auth=Bearer t\1\1") },
      S(""),
      S(""),
      "",
      "AUTH=OAUTHBEARER SASL-IR",
      WAY_NONE,
      { S("n,,\1auth=Bearer t\1\1") } },
    { "OAUTHBEARER that names nobody", "OAUTHBEARER", { S("n,,\1auth=Bearer t\1\1") }, S("ann"), S("") },
    { "SCRAM", "SCRAM-SHA-256", { S("n,,n=ann@x,r=abc") }, S("ann"), S("") },
    { "SCRAM, as before",
      "SCRAM-SHA-256",
      { S("n,,n=ann,r=abc") },
      S("ann"),
      S(""),
      "",
      "AUTH=SCRAM-SHA-256 SASL-IR",
      WAY_NONE,
      { S("n,,n=ann,r=abc") } },
};

static struct credentials said_of(const char *mechanism, const struct imapstate_span said[2])
{
    struct credentials credentials;
    credentials_init(&credentials, mechanism ? sasl_find(imapstate_span_of(mechanism)) : NULL);
    for (size_t i = 0; i < 2 && said[i].len > 0; i++) {
        struct imapstate_buf line;
        imapstate_buf_init(&line, SASL_PASSWORD_MAX);
        assert_true(sasl_encode(said[i], &line));
        if (mechanism)
            assert_int_equal(credentials_read(&credentials, imapstate_buf_span(&line), false), SASL_OK);
        else
            assert_true(imapstate_buf_put(
                i == 0 ? &credentials.identity.authentication : &credentials.identity.password, said[i]));
        imapstate_buf_done(&line);
    }
    return credentials;
}

/* The part as it goes out, but for the base64 of what the row has decoded. */
static void check_part(const char *name, struct imapstate_span part, struct imapstate_span want, bool is_message)
{
    struct imapstate_buf message;
    imapstate_buf_init(&message, SASL_PASSWORD_MAX);
    const uint8_t *space = memrchr(part.at, ' ', part.len);
    size_t from = space ? (size_t)(space + 1 - part.at) : 0;
    if (is_message &&
        sasl_decode((struct imapstate_span){ part.at + from, part.len - from - 2 }, false, &message) == SASL_OK)
        part = imapstate_buf_span(&message);
    CHECK_SPAN(name, part, want);
    imapstate_buf_done(&message);
}

static void check_renamed(size_t row, const struct credentials *credentials)
{
    const char *name = renames[row].name;
    struct capabilities offers = offers_of(renames[row].offers);
    struct credentials_parts parts;
    CHECK_SPAN(name, imapstate_buf_span(&credentials->given), imapstate_span_of(renames[row].given));
    CHECK_SPAN(name, sasl_identity_user(&credentials->identity), renames[row].user);
    CHECK_ROW(name, credentials_write(credentials, &offers, renames[row].way, &parts) == CREDENTIALS_WRITTEN);
    for (size_t i = renames[row].way == WAY_AUTH_LOGIN; i < parts.count; i++)
        check_part(name, imapstate_buf_span(&parts.part[i]), renames[row].parts[i], renames[row].way != WAY_LOGIN);
    CHECK_ROW(name, parts.count == CREDENTIALS_PARTS_MAX || !renames[row].parts[parts.count].at);
    credentials_parts_done(&parts);
}

TEST(what_goes_up_has_the_names_that_are_known_there)
{
    for (size_t i = 0; i < ARRAY_LEN(renames); i++) {
        struct credentials credentials = said_of(renames[i].mechanism, renames[i].messages);
        bool is_renamed = credentials_rename(&credentials, renames[i].user, renames[i].acting);
        CHECK_ROW(renames[i].name, is_renamed == (renames[i].offers != NULL));
        if (is_renamed)
            check_renamed(i, &credentials);
        credentials_done(&credentials);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_password_goes_by_the_way_that_is_chosen),
        cmocka_unit_test(what_goes_up_has_the_names_that_are_known_there),
        cmocka_unit_test(what_a_mechanism_brought_goes_up_converted_or_word_for_word),
        cmocka_unit_test(the_mechanism_login_wants_the_user_then_the_password_be_they_empty),
        cmocka_unit_test(what_cannot_be_read_is_an_error_and_leaves_no_first_message),
        cmocka_unit_test(what_is_too_long_for_a_line_is_not_sent),
        cmocka_unit_test(the_login_command_has_a_name_for_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
