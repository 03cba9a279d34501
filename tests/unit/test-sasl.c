#include "check.h"

#include "sasl.h"

#include <stdlib.h>
#include <string.h>

#define S(text) IMAPSTATE_SPAN(text)

static const struct sasl_mechanism *mechanism_of(const char *name)
{
    const struct sasl_mechanism *mechanism = sasl_find(imapstate_span_of(name));
    assert_non_null(mechanism);
    return mechanism;
}

static const struct {
    const char *name;
    const char *want; /* NULL: cannot pass */
    enum sasl_id id;
    enum sasl_passing passing;
    bool is_client_first;
} mechanisms[] = {
    { "PLAIN", "PLAIN", SASL_PLAIN, SASL_CONVERTED, true },
    { "login", "LOGIN", SASL_LOGIN, SASL_CONVERTED, true },
    { "XOAuth2", "XOAUTH2", SASL_XOAUTH2, SASL_RELAYED, true },
    { "OAUTHBEARER", "OAUTHBEARER", SASL_OAUTHBEARER, SASL_RELAYED, true },
    { "CRAM-MD5", "CRAM-MD5", SASL_CRAM_MD5, SASL_PROVED, false },
    { "SCRAM-SHA-1", "SCRAM-SHA-1", SASL_SCRAM_SHA_1, SASL_PROVED, true },
    { "scram-sha-256", "SCRAM-SHA-256", SASL_SCRAM_SHA_256, SASL_PROVED, true },
    { "SCRAM-SHA-512", "SCRAM-SHA-512", SASL_SCRAM_SHA_512, SASL_PROVED, true },
    { .name = "EXTERNAL" },
    { .name = "GSSAPI" },
    { .name = "NTLM" },
    { .name = "DIGEST-MD5" },
    { .name = "SCRAM-SHA-256-PLUS" },
    { .name = "SCRAM-SHA" },
    { .name = "ANONYMOUS" },
    { .name = "" },
};

TEST(only_what_can_pass_is_in_the_table)
{
    for (size_t i = 0; i < ARRAY_LEN(mechanisms); i++) {
        const struct sasl_mechanism *found = sasl_find(imapstate_span_of(mechanisms[i].name));
        CHECK_ROW(mechanisms[i].name, (found != NULL) == (mechanisms[i].want != NULL));
        if (!found)
            continue;
        CHECK_ROW(mechanisms[i].name, strcmp(found->name, mechanisms[i].want) == 0);
        CHECK_ROW(mechanisms[i].name, found->id == mechanisms[i].id);
        CHECK_ROW(mechanisms[i].name, found->passing == mechanisms[i].passing);
        CHECK_ROW(mechanisms[i].name, found->is_client_first == mechanisms[i].is_client_first);
    }
}

static const struct {
    const char *name;
    struct imapstate_span line;
    bool is_initial;
    enum sasl_error want;
    struct imapstate_span message;
} lines[] = {
    { "a message", S("AGFubgBzZWNyZXQ="), false, SASL_OK, S("\0ann\0secret") },
    { "without padding where none is due", S("YWJj"), false, SASL_OK, S("abc") },
    { "two octets of padding", S("YQ=="), true, SASL_OK, S("a") },
    { "every kind of digit", S("+/9aeg=="), false, SASL_OK, S("\xfb\xff\x5a\x7a") },
    { "an empty line is an empty message", S(""), false, SASL_OK, S("") },
    { "= is an empty initial response", S("="), true, SASL_OK, S("") },
    { "but no answer to a challenge", S("="), false, SASL_BASE64, S("") },
    { "nor are two of them an initial response", S("=="), true, SASL_BASE64, S("") },
    { "padding is missing", S("YQ"), false, SASL_BASE64, S("") },
    { "padding is in part missing", S("YQ="), false, SASL_BASE64, S("") },
    { "padding is too much", S("YWJj="), false, SASL_BASE64, S("") },
    { "padding in the middle", S("YQ==YQ=="), false, SASL_BASE64, S("") },
    { "bits behind the last octet", S("YR=="), false, SASL_OK, S("a") },
    { "all of them", S("YWL/"), false, SASL_OK, S("ab\xff") },
    { "two of them", S("YWJ="), false, SASL_OK, S("ab") },
    { "all six of the last digit but two", S("Yf=="), false, SASL_OK, S("a") },
    { "no digit before the padding", S("Y%=="), false, SASL_BASE64, S("") },
    { "three of padding", S("Y==="), false, SASL_BASE64, S("") },
    { "a space in it", S("YW Jj"), false, SASL_BASE64, S("") },
    { "a space behind it", S("YWJj "), false, SASL_BASE64, S("") },
    { "a line end in it", S("YWJj\r\n"), false, SASL_BASE64, S("") },
    { "a NUL in it", S("YW\0j"), false, SASL_BASE64, S("") },
    { "8-bit octets, which libsodium takes", S("\xfe\xfe\xfe\xe4"), false, SASL_BASE64, S("") },
    { "the other alphabet", S("-_9aeg=="), false, SASL_BASE64, S("") },
    { "a cancelled exchange is no message", S("*"), false, SASL_BASE64, S("") },
};

TEST(the_sets_of_mechanisms_are_those_of_the_table)
{
    char names[SASL_NAMES_MAX];
    assert_string_equal(sasl_names(sasl_that_pass(SASL_CONVERTED), names), "PLAIN, LOGIN");
    assert_string_equal(sasl_names(sasl_that_pass(SASL_RELAYED), names), "XOAUTH2, OAUTHBEARER");
    assert_string_equal(sasl_names(sasl_that_pass(SASL_PROVED), names),
                        "CRAM-MD5, SCRAM-SHA-1, SCRAM-SHA-256, SCRAM-SHA-512");
    assert_string_equal(sasl_names(0, names), "");
    assert_non_null(strstr(sasl_names(SASL_BITS, names), "SCRAM-SHA-512")); /* all fit */
}

TEST(a_line_of_base64_is_decoded_as_servers_do)
{
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct imapstate_buf message;
        imapstate_buf_init(&message, 1024);
        CHECK_ROW(lines[i].name, sasl_decode(lines[i].line, lines[i].is_initial, &message) == lines[i].want);
        CHECK_SPAN(lines[i].name, imapstate_buf_span(&message), lines[i].message);
        imapstate_buf_done(&message);
    }
}

TEST(a_message_that_is_longer_than_its_limit_is_refused)
{
    struct imapstate_buf message;
    imapstate_buf_init(&message, 3);
    assert_int_equal(sasl_decode(S("YWJjZA=="), false, &message), SASL_TOO_LONG);
    assert_int_equal(message.len, 0);
    assert_int_equal(sasl_decode(S("YWJj"), false, &message), SASL_OK);
    CHECK_SPAN("it just fits", imapstate_buf_span(&message), S("abc"));
    imapstate_buf_done(&message);
}

TEST(what_was_encoded_is_decoded_to_the_same)
{
    uint8_t octets[70];

    for (size_t i = 0; i < sizeof octets; i++)
        octets[i] = (uint8_t)(i * 37 + 250);
    for (size_t len = 0; len <= sizeof octets; len++) {
        struct imapstate_span message = { octets, len };
        struct imapstate_buf line, again;
        imapstate_buf_init(&line, 128);
        imapstate_buf_init(&again, 128);
        assert_true(sasl_encode(message, &line));
        assert_int_equal(line.len, (len + 2) / 3 * 4);
        assert_int_equal(sasl_decode(imapstate_buf_span(&line), false, &again), SASL_OK);
        CHECK_SPAN("the same", imapstate_buf_span(&again), message);
        imapstate_buf_done(&line);
        imapstate_buf_done(&again);
    }
}

TEST(base64_that_does_not_fit_is_not_written)
{
    struct imapstate_buf line;
    imapstate_buf_init(&line, 7);
    assert_false(sasl_encode(S("abcd"), &line));
    assert_int_equal(line.len, 0);
    imapstate_buf_done(&line);
}

#define DIGEST "b913a602c7eda7a495b4e6e7334d3890"

static const struct {
    const char *name;
    const char *mechanism;
    struct imapstate_span message;
    enum sasl_error want;
    const char *authentication, *authorization, *password;
    bool is_uncertain;
} messages[] = {
    { "PLAIN: RFC 4616's first example", "PLAIN", S("\0tim\0tanstaaftanstaaf"), SASL_OK, "tim", "",
      "tanstaaftanstaaf" },
    { "PLAIN: RFC 4616's second example", "PLAIN", S("Ursel\0Kurt\0xipj3plmq"), SASL_OK, "Kurt", "Ursel", "xipj3plmq" },
    { "PLAIN: an authzid that is the user says nothing", "PLAIN", S("ann\0ann\0secret"), SASL_OK, "ann", "", "secret" },
    { "PLAIN: other spelling is another identity", "PLAIN", S("Ann\0ann\0secret"), SASL_OK, "ann", "Ann", "secret" },
    { "PLAIN: 8-bit and spaces", "PLAIN", S("\0\xc3\xa4 b\0 \xff "), SASL_OK, "\xc3\xa4 b", "", " \xff " },
    { "PLAIN: without a NUL", "PLAIN", S("ann"), SASL_SYNTAX },
    { "PLAIN: with one NUL", "PLAIN", S("ann\0secret"), SASL_SYNTAX },
    { "PLAIN: a third NUL is in the password", "PLAIN", S("\0ann\0sec\0ret"), SASL_NUL },
    { "PLAIN: a NUL at the end too", "PLAIN", S("\0ann\0secret\0"), SASL_NUL },
    { "PLAIN: no user", "PLAIN", S("ann\0\0secret"), SASL_SYNTAX },
    { "PLAIN: no password", "PLAIN", S("\0ann\0"), SASL_SYNTAX },
    { "PLAIN: nothing", "PLAIN", S(""), SASL_SYNTAX },

    { "CRAM-MD5: RFC 2195's example", "CRAM-MD5", S("tim " DIGEST), SASL_OK, "tim", "", "" },
    { "CRAM-MD5: a user with a space", "CRAM-MD5", S("tim b " DIGEST), SASL_OK, "tim b", "", "" },
    { "CRAM-MD5: upper case digits", "CRAM-MD5", S("tim B913A602C7EDA7A495B4E6E7334D3890"), SASL_OK, "tim", "", "" },
    { "CRAM-MD5: no user", "CRAM-MD5", S(" " DIGEST), SASL_SYNTAX },
    { "CRAM-MD5: no space", "CRAM-MD5", S("timx" DIGEST), SASL_SYNTAX },
    { "CRAM-MD5: a digest alone", "CRAM-MD5", S(DIGEST), SASL_SYNTAX },
    { "CRAM-MD5: a digit too many", "CRAM-MD5", S("tim 0" DIGEST), SASL_SYNTAX },
    { "CRAM-MD5: no digest", "CRAM-MD5", S("tim x913a602c7eda7a495b4e6e7334d3890"), SASL_SYNTAX },
    { "CRAM-MD5: a NUL in the user", "CRAM-MD5", S("t\0m " DIGEST), SASL_NUL },
    { "CRAM-MD5: nothing", "CRAM-MD5", S(""), SASL_SYNTAX },

    { "SCRAM: RFC 5802's example", "SCRAM-SHA-1", S("n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"), SASL_OK, "user", "", "" },
    { "SCRAM: RFC 7677's example", "SCRAM-SHA-256", S("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"), SASL_OK, "user", "", "" },
    { "SCRAM: SHA-512 alike", "SCRAM-SHA-512", S("y,,n=user,r=x"), SASL_OK, "user", "", "" },
    { "SCRAM: an authzid", "SCRAM-SHA-1", S("n,a=bob,n=ann,r=x"), SASL_OK, "ann", "bob", "" },
    { "SCRAM: an authzid that is the user", "SCRAM-SHA-1", S("n,a=ann,n=ann,r=x"), SASL_OK, "ann", "", "" },
    { "SCRAM: escapes", "SCRAM-SHA-1", S("n,a==2C=3D,n=a=2Cb=3Dc,r=x"), SASL_OK, "a,b=c", ",=", "" },
    { "SCRAM: an escaped escape is resolved once", "SCRAM-SHA-1", S("n,,n==3D2C,r=x"), SASL_OK, "=2C", "", "" },
    { "SCRAM: equal but for escapes", "SCRAM-SHA-1", S("n,a=a=2Cb,n=a=2Cb,r=x"), SASL_OK, "a,b", "", "" },
    { "SCRAM: extensions behind the nonce", "SCRAM-SHA-1", S("n,,n=ann,r=x,y=z"), SASL_OK, "ann", "", "" },
    { "SCRAM: an escape in lower case", "SCRAM-SHA-1", S("n,,n=a=2c,r=x"), SASL_SYNTAX },
    { "SCRAM: another escape", "SCRAM-SHA-1", S("n,,n=a=41,r=x"), SASL_SYNTAX },
    { "SCRAM: an escape that is cut off", "SCRAM-SHA-1", S("n,,n=a=2,r=x"), SASL_SYNTAX },
    { "SCRAM: bound to a TLS connection", "SCRAM-SHA-1", S("p=tls-unique,,n=user,r=x"), SASL_SYNTAX },
    { "SCRAM: an extension that must be known", "SCRAM-SHA-1", S("n,,m=x,n=user,r=x"), SASL_SYNTAX },
    { "SCRAM: no user", "SCRAM-SHA-1", S("n,,n=,r=x"), SASL_SYNTAX },
    { "SCRAM: an empty authzid", "SCRAM-SHA-1", S("n,a=,n=ann,r=x"), SASL_SYNTAX },
    { "SCRAM: no nonce", "SCRAM-SHA-1", S("n,,n=ann"), SASL_SYNTAX },
    { "SCRAM: an empty nonce", "SCRAM-SHA-1", S("n,,n=ann,r="), SASL_SYNTAX },
    { "SCRAM: an empty nonce before an extension", "SCRAM-SHA-1", S("n,,n=ann,r=,y=z"), SASL_SYNTAX },
    { "SCRAM: no gs2-header", "SCRAM-SHA-1", S("n=ann,r=x"), SASL_SYNTAX },
    { "SCRAM: a NUL", "SCRAM-SHA-1", S("n,,n=a\0b,r=x"), SASL_NUL },
    { "SCRAM: nothing", "SCRAM-SHA-1", S(""), SASL_SYNTAX },

    { "XOAUTH2: as Google has it", "XOAUTH2", S("user=someuser@example.com\1auth=Bearer ya29.vF9dft4qmT==\1\1"),
      SASL_OK, "someuser@example.com", "", "ya29.vF9dft4qmT==" },
    { "XOAUTH2: the other order", "XOAUTH2", S("auth=Bearer x\1user=ann\1\1"), SASL_OK, "ann", "", "x" },
    { "XOAUTH2: the scheme in any case", "XOAUTH2", S("user=ann\1auth=bEARER x\1\1"), SASL_OK, "ann", "", "x" },
    { "XOAUTH2: more spaces before the token", "XOAUTH2", S("user=ann\1auth=Bearer   x y \1\1"), SASL_OK, "ann", "",
      "x y " },
    { "XOAUTH2: the key in any case", "XOAUTH2", S("user=ann\1Auth=Bearer x\1\1"), SASL_OK, "ann", "", "x" },
    { "XOAUTH2: an empty token", "XOAUTH2", S("user=ann\1auth=Bearer \1\1"), SASL_OK, "ann", "", "" },
    { "XOAUTH2: a scheme without a token", "XOAUTH2", S("user=ann\1auth=Bearer\1\1"), SASL_OK, "ann", "", "" },
    { "XOAUTH2: another scheme", "XOAUTH2", S("user=ann\1auth=MAC x\1\1"), SASL_OK, "ann", "", "" },
    { "XOAUTH2: a scheme that only begins so", "XOAUTH2", S("user=ann\1auth=BearerX y\1\1"), SASL_OK, "ann", "", "" },
    { "XOAUTH2: no token", "XOAUTH2", S("user=ann\1\1"), SASL_OK, "ann", "", "" },
    { "XOAUTH2: two tokens", "XOAUTH2", S("user=ann\1auth=Bearer x\1auth=Bearer y\1\1"), SASL_SYNTAX },
    { "XOAUTH2: two tokens, one in upper case", "XOAUTH2", S("user=ann\1auth=Bearer x\1AUTH=\1\1"), SASL_SYNTAX },
    { "XOAUTH2: two users", "XOAUTH2", S("user=ann\1auth=Bearer x\1user=bob\1\1"), SASL_SYNTAX },
    { "XOAUTH2: two users, one in upper case", "XOAUTH2", S("USER=ann\1user=bob\1auth=Bearer x\1\1"), SASL_SYNTAX },
    { "XOAUTH2: two users, one empty", "XOAUTH2", S("user=\1user=bob\1auth=Bearer x\1\1"), SASL_SYNTAX },
    { "XOAUTH2: an empty user", "XOAUTH2", S("user=\1auth=Bearer x\1\1"), SASL_SYNTAX },
    { "XOAUTH2: no user", "XOAUTH2", S("auth=Bearer x\1\1"), SASL_SYNTAX },
    { "XOAUTH2: the end is missing", "XOAUTH2", S("user=ann\1auth=Bearer x\1"), SASL_SYNTAX },
    { "XOAUTH2: something behind the end", "XOAUTH2", S("user=ann\1auth=Bearer x\1\1user=bob\1"), SASL_SYNTAX },
    { "XOAUTH2: a pair without =", "XOAUTH2", S("user=ann\1auth\1\1"), SASL_SYNTAX },
    { "XOAUTH2: a NUL", "XOAUTH2", S("user=ann\0bob\1auth=Bearer x\1\1"), SASL_NUL },
    { "XOAUTH2: only the end", "XOAUTH2", S("\1"), SASL_SYNTAX },
    { "XOAUTH2: nothing", "XOAUTH2", S(""), SASL_SYNTAX },

    { "OAUTHBEARER: RFC 7628's example", "OAUTHBEARER",
      S("n,a=user@example.com,\1host=server.example.com\1port=143\1auth=Bearer "
        "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\1\1"),
      SASL_OK, "", "user@example.com", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==" },
    { "OAUTHBEARER: without a= it is not certain who", "OAUTHBEARER", S("n,,\1auth=Bearer x\1\1"), SASL_OK, "", "", "x",
      true },
    { "OAUTHBEARER: the scheme in any case", "OAUTHBEARER", S("n,a=ann,\1auth=BEARER x\1\1"), SASL_OK, "", "ann", "x" },
    { "OAUTHBEARER: two tokens", "OAUTHBEARER", S("n,a=ann,\1auth=Bearer x\1auth=Bearer x\1\1"), SASL_SYNTAX },
    { "OAUTHBEARER: a question for discovery", "OAUTHBEARER", S("n,a=ann,\1\1"), SASL_OK, "", "ann", "" },
    { "OAUTHBEARER: escapes", "OAUTHBEARER", S("n,a=a=2Cb,\1auth=Bearer x\1\1"), SASL_OK, "", "a,b", "x" },
    { "OAUTHBEARER: a second gs2-header among the pairs", "OAUTHBEARER", S("n,a=ann,\1n,a=bob,\1auth=Bearer x\1\1"),
      SASL_SYNTAX },
    { "OAUTHBEARER: a header in disguise of a pair", "OAUTHBEARER", S("n,a=ann,\1n,a=bob,=\1auth=Bearer x\1\1"),
      SASL_SYNTAX },
    { "OAUTHBEARER: user= among the pairs", "OAUTHBEARER", S("n,a=ann,\1user=bob\1auth=Bearer x\1\1"), SASL_SYNTAX },
    { "OAUTHBEARER: an empty user= among the pairs", "OAUTHBEARER", S("n,a=ann,\1user=\1auth=Bearer x\1\1"),
      SASL_SYNTAX },
    { "OAUTHBEARER: no separator behind the header", "OAUTHBEARER", S("n,a=ann,auth=Bearer x\1\1"), SASL_SYNTAX },
    { "OAUTHBEARER: the answer to an error", "OAUTHBEARER", S("\1"), SASL_SYNTAX },
    { "OAUTHBEARER: the end is missing", "OAUTHBEARER", S("n,a=ann,\1auth=Bearer x\1"), SASL_SYNTAX },
    { "OAUTHBEARER: bound to a TLS connection", "OAUTHBEARER", S("p=tls-unique,a=ann,\1auth=Bearer x\1\1"),
      SASL_SYNTAX },
    { "OAUTHBEARER: an XOAUTH2 message", "OAUTHBEARER", S("user=ann\1auth=Bearer x\1\1"), SASL_SYNTAX },
    { "OAUTHBEARER: a NUL", "OAUTHBEARER", S("n,a=a\0nn,\1auth=Bearer x\1\1"), SASL_NUL },

    { "LOGIN has no message of this kind", "LOGIN", S("ann"), SASL_SYNTAX },
};

static void check_identity(size_t row, const struct sasl_identity *got)
{
    const char *name = messages[row].name;
    const char *user = *messages[row].authorization ? messages[row].authorization : messages[row].authentication;

    CHECK_SPAN(name, imapstate_buf_span(&got->authentication), imapstate_span_of(messages[row].authentication));
    CHECK_SPAN(name, imapstate_buf_span(&got->authorization), imapstate_span_of(messages[row].authorization));
    CHECK_SPAN(name, imapstate_buf_span(&got->password), imapstate_span_of(messages[row].password));
    CHECK_SPAN(name, sasl_identity_user(got), imapstate_span_of(user));
    CHECK_ROW(name, got->is_certain == !messages[row].is_uncertain);
}

/* One identity for all rows: a message replaces what an earlier one said, and one that is refused leaves it. */
TEST(p12_the_identity_is_what_the_message_says)
{
    const char *name = "before the first";
    struct sasl_identity identity;
    size_t last = 0;

    sasl_identity_init(&identity);
    for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
        name = messages[i].name;
        enum sasl_error got = sasl_read_identity(mechanism_of(messages[i].mechanism), messages[i].message, &identity);
        if (got != messages[i].want)
            fail_msg("row \"%s\": %s", name, sasl_strerror(got));
        last = got == SASL_OK ? i : last;
        check_identity(last, &identity);
    }
    sasl_identity_done(&identity);
    assert_int_equal(sasl_identity_user(&identity).len, 0);
    assert_false(identity.is_certain);
}

/* Cut anywhere, a message says nothing, or the same, or less of it; never somebody else. */
TEST(a_message_that_is_cut_is_never_another_users)
{
    for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
        if (messages[i].want != SASL_OK)
            continue;
        for (size_t len = 0; len < messages[i].message.len; len++) {
            uint8_t *cut = malloc(len ? len : 1);
            struct sasl_identity identity;
            assert_non_null(cut);
            memcpy(cut, messages[i].message.at, len);
            sasl_identity_init(&identity);
            enum sasl_error error =
                sasl_read_identity(mechanism_of(messages[i].mechanism), (struct imapstate_span){ cut, len }, &identity);
            if (error == SASL_OK) {
                CHECK_SPAN(messages[i].name, imapstate_buf_span(&identity.authentication),
                           imapstate_span_of(messages[i].authentication));
                CHECK_SPAN(messages[i].name, imapstate_buf_span(&identity.authorization),
                           imapstate_span_of(messages[i].authorization));
            }
            sasl_identity_done(&identity);
            free(cut);
        }
    }
}

/* A message of a user whose name has len octets. */
static enum sasl_error read_long_user(const char *mechanism, const char *before, size_t before_len, size_t len,
                                      const char *behind, size_t behind_len)
{
    struct sasl_identity identity;
    struct imapstate_buf message;

    sasl_identity_init(&identity);
    imapstate_buf_init(&message, 2 * SASL_NAME_MAX);
    assert_true(imapstate_buf_put(&message, (struct imapstate_span){ (const uint8_t *)before, before_len }));
    while (len--)
        assert_true(imapstate_buf_put_byte(&message, 'a'));
    assert_true(imapstate_buf_put(&message, (struct imapstate_span){ (const uint8_t *)behind, behind_len }));
    enum sasl_error error = sasl_read_identity(mechanism_of(mechanism), imapstate_buf_span(&message), &identity);
    imapstate_buf_done(&message);
    sasl_identity_done(&identity);
    return error;
}

TEST(an_identity_over_the_limit_is_too_long)
{
    static const struct {
        const char *mechanism;
        struct imapstate_span before, behind;
    } rows[] = {
        { "PLAIN", S("\0"), S("\0secret") },
        { "PLAIN", S(""), S("\0ann\0secret") },
        { "CRAM-MD5", S(""), S(" " DIGEST) },
        { "SCRAM-SHA-256", S("n,,n="), S(",r=x") },
        { "SCRAM-SHA-256", S("n,a="), S(",n=ann,r=x") },
        { "XOAUTH2", S("user="), S("\1auth=Bearer x\1\1") },
        { "OAUTHBEARER", S("n,a="), S(",\1auth=Bearer x\1\1") },
        { "OAUTHBEARER", S("n,a=ann,\1auth=Bearer "), S("\1\1") },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *before = (const char *)rows[i].before.at, *behind = (const char *)rows[i].behind.at;
        CHECK_ROW(rows[i].mechanism, read_long_user(rows[i].mechanism, before, rows[i].before.len, SASL_NAME_MAX,
                                                    behind, rows[i].behind.len) == SASL_OK);
        CHECK_ROW(rows[i].mechanism, read_long_user(rows[i].mechanism, before, rows[i].before.len, SASL_NAME_MAX + 1,
                                                    behind, rows[i].behind.len) == SASL_TOO_LONG);
    }
}

TEST(both_bearer_mechanisms_bring_the_same_secret)
{
    struct sasl_identity older, newer;
    sasl_identity_init(&older);
    sasl_identity_init(&newer);
    assert_int_equal(sasl_read_identity(mechanism_of("XOAUTH2"), S("user=ann\1auth=Bearer a.b-c~d+e/f=\1\1"), &older),
                     SASL_OK);
    assert_int_equal(sasl_read_identity(mechanism_of("OAUTHBEARER"),
                                        S("n,a=ann,\1host=mail\1port=143\1auth=bearer a.b-c~d+e/f=\1\1"), &newer),
                     SASL_OK);
    CHECK_SPAN("secret", imapstate_buf_span(&older.password), S("a.b-c~d+e/f="));
    CHECK_SPAN("secret", imapstate_buf_span(&newer.password), imapstate_buf_span(&older.password));
    CHECK_SPAN("user", sasl_identity_user(&newer), sasl_identity_user(&older));
    sasl_identity_done(&older);
    sasl_identity_done(&newer);
}

TEST(a_plain_message_is_written_as_it_was_read)
{
    for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
        if (messages[i].want != SASL_OK || strcmp(messages[i].mechanism, "PLAIN") != 0)
            continue;
        struct sasl_identity identity, again;
        struct imapstate_buf message;
        sasl_identity_init(&identity);
        sasl_identity_init(&again);
        imapstate_buf_init(&message, 256);
        assert_int_equal(sasl_read_identity(mechanism_of("PLAIN"), messages[i].message, &identity), SASL_OK);
        CHECK_ROW(messages[i].name, sasl_write_plain(&identity, &message));
        CHECK_ROW(messages[i].name,
                  sasl_read_identity(mechanism_of("PLAIN"), imapstate_buf_span(&message), &again) == SASL_OK);
        check_identity(i, &again);
        imapstate_buf_done(&message);
        sasl_identity_done(&identity);
        sasl_identity_done(&again);
    }
}

TEST(a_plain_message_is_written_whole_or_not_at_all)
{
    const struct imapstate_span want = S("bob\0ann\0secret");
    struct sasl_identity identity;

    sasl_identity_init(&identity);
    assert_int_equal(sasl_read_identity(mechanism_of("PLAIN"), want, &identity), SASL_OK);
    for (size_t room = 0; room <= want.len; room++) {
        struct imapstate_buf message;
        imapstate_buf_init(&message, 1 + room);
        assert_true(imapstate_buf_put_byte(&message, '!'));
        assert_int_equal(sasl_write_plain(&identity, &message), room == want.len);
        assert_int_equal(message.len, room == want.len ? 1 + want.len : 1);
        imapstate_buf_done(&message);
    }
    sasl_identity_done(&identity);
}

TEST(a_nul_never_gets_into_a_plain_message)
{
    static const struct {
        const char *name;
        struct imapstate_span authorization, authentication, password;
    } rows[] = {
        { "in the authorization identity", S("b\0b"), S("ann"), S("secret") },
        { "in the user", S(""), S("ann\0bob"), S("secret") },
        { "in the password", S(""), S("ann"), S("secret\0") },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sasl_identity identity;
        struct imapstate_buf message;
        sasl_identity_init(&identity);
        imapstate_buf_init(&message, 256);
        assert_true(imapstate_buf_put(&identity.authorization, rows[i].authorization));
        assert_true(imapstate_buf_put(&identity.authentication, rows[i].authentication));
        assert_true(imapstate_buf_put(&identity.password, rows[i].password));
        CHECK_ROW(rows[i].name, !sasl_write_plain(&identity, &message));
        CHECK_ROW(rows[i].name, message.len == 0);
        imapstate_buf_done(&message);
        sasl_identity_done(&identity);
    }
}

TEST(every_error_has_words_of_its_own)
{
    for (int a = SASL_OK; a <= SASL_TOO_LONG; a++) {
        assert_string_not_equal(sasl_strerror(a), sasl_strerror(99));
        for (int b = SASL_OK; b < a; b++)
            assert_string_not_equal(sasl_strerror(a), sasl_strerror(b));
    }
}

static const struct {
    const char *name;
    struct imapstate_span ahead;
    bool may_answer;
} aheads[] = {
    { "the dummy response of OAUTHBEARER", S("AQ==\r\n"), true },
    { "XOAUTH2's empty one", S("\r\n"), true },
    { "cancelled", S("*\r\n"), true },
    { "by LF alone", S("\n"), true },
    { "and a command behind it", S("AQ==\r\nb STATE token\r\n"), true },
    { "an empty line, and a command behind it", S("\r\nb NOOP\r\n"), true },
    { "nothing yet", S(""), true },
    { "what may become the dummy response", S("A"), true },
    { "all of it but its end", S("AQ=="), true },
    { "CR", S("AQ==\r"), true },
    { "what may become *", S("*"), true },
    { "a command", S("b STATE token\r\n"), false },
    { "its tag", S("b"), false },
    { "a tag that begins likewise", S("AQ STATE token\r\n"), false },
    { "its part that differs", S("AQ "), false },
    { "another response", S("AQ=\r\n"), false },
    { "a longer one", S("AQ==x"), false },
    { "a space", S(" "), false },
    { "a tag that is *", S("* STATE token\r\n"), false },
    { "CR alone", S("\rx"), false },
};

TEST(p11_what_was_sent_ahead_of_a_refusal_is_an_answer_to_it_only_if_it_is_one_of_the_fixed_ones)
{
    for (size_t i = 0; i < ARRAY_LEN(aheads); i++)
        CHECK_ROW(aheads[i].name, sasl_may_answer_refusal(aheads[i].ahead) == aheads[i].may_answer);
}

static const struct {
    const char *name, *mechanism;
    struct imapstate_span message, user, want; /* want: empty: it cannot be said */
} renames[] = {
    { "XOAUTH2", "XOAUTH2", S("user=ann\1auth=Bearer t\1\1"), S("bob"), S("user=bob\1auth=Bearer t\1\1") },
    { "XOAUTH2: the user comes last", "XOAUTH2", S("auth=Bearer t\1User=ann\1\1"), S("b"),
      S("auth=Bearer t\1User=b\1\1") },
    { "XOAUTH2: the old name in the token", "XOAUTH2", S("auth=Bearer ann\1user=ann\1\1"), S("longer"),
      S("auth=Bearer ann\1user=longer\1\1") },
    { "XOAUTH2: nothing is escaped", "XOAUTH2", S("user=ann\1auth=Bearer t\1\1"), S("a,b=c \"\xc3\xbc"),
      S("user=a,b=c \"\xc3\xbc\1auth=Bearer t\1\1") },
    { "XOAUTH2: a separator in the name", "XOAUTH2", S("user=ann\1auth=Bearer t\1\1"), S("a\1user=b"), S("") },
    { "XOAUTH2: nobody", "XOAUTH2", S("user=ann\1auth=Bearer t\1\1"), S(""), S("") },
    { "XOAUTH2: names nobody", "XOAUTH2", S("auth=Bearer t\1\1"), S("bob"), S("") },
    { "OAUTHBEARER", "OAUTHBEARER", S("n,a=ann,\1host=x\1auth=Bearer t\1\1"), S("bob"),
      S("n,a=bob,\1host=x\1auth=Bearer t\1\1") },
    { "OAUTHBEARER: the flag stays", "OAUTHBEARER", S("y,a=ann,\1auth=Bearer t\1\1"), S("bob"),
      S("y,a=bob,\1auth=Bearer t\1\1") },
    { "OAUTHBEARER: escapes, of both", "OAUTHBEARER", S("n,a=a=2Cb=3D,\1auth=Bearer t\1\1"), S("=,2C\xc3\xbc"),
      S("n,a==3D=2C2C\xc3\xbc,\1auth=Bearer t\1\1") },
    { "OAUTHBEARER: a separator in the name", "OAUTHBEARER", S("n,a=ann,\1auth=Bearer t\1\1"), S("a\1auth=Bearer u"),
      S("") },
    { "OAUTHBEARER: nobody", "OAUTHBEARER", S("n,a=ann,\1auth=Bearer t\1\1"), S(""), S("") },
    { "OAUTHBEARER: names nobody", "OAUTHBEARER", S("n,,\1auth=Bearer t\1\1"), S("bob"), S("") },
    { "PLAIN is written from its parts", "PLAIN", S("\0ann\0secret"), S("bob"), S("") },
    { "SCRAM proves the name", "SCRAM-SHA-256", S("n,,n=ann,r=x"), S("bob"), S("") },
};

TEST(a_message_gets_another_name_and_is_otherwise_as_it_was)
{
    for (size_t i = 0; i < ARRAY_LEN(renames); i++) {
        const struct sasl_mechanism *mechanism = mechanism_of(renames[i].mechanism);
        struct sasl_identity before, after;
        struct imapstate_buf message;
        imapstate_buf_init(&message, SASL_PASSWORD_MAX);
        bool is_renamed = sasl_rename(mechanism, renames[i].message, renames[i].user, &message);
        CHECK_ROW(renames[i].name, is_renamed == (renames[i].want.len > 0));
        if (is_renamed) {
            sasl_identity_init(&before);
            sasl_identity_init(&after);
            CHECK_SPAN(renames[i].name, imapstate_buf_span(&message), renames[i].want);
            assert_int_equal(sasl_read_identity(mechanism, renames[i].message, &before), SASL_OK);
            assert_int_equal(sasl_read_identity(mechanism, imapstate_buf_span(&message), &after), SASL_OK);
            CHECK_SPAN(renames[i].name, sasl_identity_user(&after), renames[i].user);
            CHECK_SPAN(renames[i].name, imapstate_buf_span(&after.password), imapstate_buf_span(&before.password));
            sasl_identity_done(&before);
            sasl_identity_done(&after);
        }
        imapstate_buf_done(&message);
    }
}

TEST(a_message_that_does_not_fit_gets_no_other_name)
{
    const struct imapstate_span said[] = { S("user=ann\1auth=Bearer t\1\1"), S("n,a=ann,\1auth=Bearer t\1\1") };
    for (size_t i = 0; i < ARRAY_LEN(said); i++) {
        const struct sasl_mechanism *mechanism = sasl_get(i == 0 ? SASL_XOAUTH2 : SASL_OAUTHBEARER);
        for (size_t max = 1; max <= said[i].len; max++) {
            struct imapstate_buf message;
            imapstate_buf_init(&message, max);
            assert_int_equal(sasl_rename(mechanism, said[i], S("bob"), &message), max == said[i].len);
            imapstate_buf_done(&message);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_can_pass_is_in_the_table),
        cmocka_unit_test(the_sets_of_mechanisms_are_those_of_the_table),
        cmocka_unit_test(a_line_of_base64_is_decoded_as_servers_do),
        cmocka_unit_test(a_message_that_is_longer_than_its_limit_is_refused),
        cmocka_unit_test(what_was_encoded_is_decoded_to_the_same),
        cmocka_unit_test(base64_that_does_not_fit_is_not_written),
        cmocka_unit_test(p12_the_identity_is_what_the_message_says),
        cmocka_unit_test(a_message_that_is_cut_is_never_another_users),
        cmocka_unit_test(an_identity_over_the_limit_is_too_long),
        cmocka_unit_test(both_bearer_mechanisms_bring_the_same_secret),
        cmocka_unit_test(a_plain_message_is_written_as_it_was_read),
        cmocka_unit_test(a_plain_message_is_written_whole_or_not_at_all),
        cmocka_unit_test(a_nul_never_gets_into_a_plain_message),
        cmocka_unit_test(every_error_has_words_of_its_own),
        cmocka_unit_test(a_message_gets_another_name_and_is_otherwise_as_it_was),
        cmocka_unit_test(a_message_that_does_not_fit_gets_no_other_name),
        cmocka_unit_test(p11_what_was_sent_ahead_of_a_refusal_is_an_answer_to_it_only_if_it_is_one_of_the_fixed_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
