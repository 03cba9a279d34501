#include "check.h"

#include "handshake.h"

#include <string.h>

enum which { RSA_OF_A, ECDSA_OF_A, WILDCARD, EXACT, RSA_OF_B, NAMELESS, SECOND_OF_B, WHICH };

static const struct certificate_plan plans[WHICH] = {
    [RSA_OF_A] = { "rsa.a", "DNS:a.example,DNS:imap.a.example", CERTIFICATE_RSA },
    [ECDSA_OF_A] = { "ecdsa.a", "DNS:imap.A.example,DNS:more.example,DNS:a.example" },
    [WILDCARD] = { "wildcard", "DNS:*.wild.example" },
    [EXACT] = { "exact", "DNS:one.wild.example" },
    [RSA_OF_B] = { "rsa.b", "DNS:b.example", CERTIFICATE_RSA },
    [NAMELESS] = { "c.example", "email:c@c.example" },
    [SECOND_OF_B] = { "second.b", "DNS:b.example", CERTIFICATE_RSA },
};

static struct certificate all[WHICH];
static struct ticket_keys keys;

/* The certificate that is shown to whoever asks for the name (NULL: for none), and can only verify such signatures;
 * WHICH: the handshake fails. */
static enum which shown(SSL_CTX *own, const char *name, const char *signatures)
{
    struct ends ends;
    struct tls_peering peering = HANDSHAKE_PEERING("");
    peering.is_verified = false;
    SSL_CTX *peer = handshake_peer(&peering);
    if (signatures)
        assert_int_equal(SSL_CTX_set1_sigalgs_list(peer, signatures), 1);
    ends_begin(&ends, own, peer, name ? name : "192.0.2.1", NULL);
    enum which which = WHICH;
    if (ends_shake_hands(&ends))
        for (which = 0; which < WHICH; which++) {
            X509 *x509 = certificate_read(&all[which]);
            bool is_it = X509_cmp(x509, SSL_get0_peer_certificate(ends.client)) == 0;
            X509_free(x509);
            if (is_it)
                break;
        }
    ends_end(&ends);
    SSL_CTX_free(peer);
    return which;
}

static SSL_CTX *serve(const enum which *these, size_t count)
{
    const char *certs[WHICH], *key_files[WHICH];
    for (size_t i = 0; i < count; i++) {
        certs[i] = all[these[i]].cert_file;
        key_files[i] = all[these[i]].key_file;
    }
    struct tls_own own = HANDSHAKE_OWN(&all[0], &keys);
    own.cert_files = certs;
    own.key_files = key_files;
    own.count = count;
    return handshake_own(&own);
}

#define RSA_ONLY   "RSA-PSS+SHA256:RSA+SHA256"
#define ECDSA_ONLY "ECDSA+SHA256"

static const struct {
    const char *name;       /* that is asked for; NULL: none */
    const char *signatures; /* NULL: all of them */
    enum which shown;
} rows[] = {
    { "a.example", RSA_ONLY, RSA_OF_A },
    { "a.example", ECDSA_ONLY, ECDSA_OF_A },
    { "IMAP.a.EXAMPLE", ECDSA_ONLY, ECDSA_OF_A },
    { "imap.a.example", RSA_ONLY, RSA_OF_A },
    { "more.example", NULL, ECDSA_OF_A },
    { "more.example", RSA_ONLY, WHICH }, /* there is none for it */
    { "two.wild.example", NULL, WILDCARD },
    { "Two.Wild.Example", NULL, WILDCARD },
    { "one.wild.example", NULL, EXACT },
    { "b.example", NULL, RSA_OF_B }, /* the earlier one */
    /* The first, and the other kind that has all of its names. */
    { "b.example.org", RSA_ONLY, RSA_OF_A },
    { "b.example.org", ECDSA_ONLY, ECDSA_OF_A },
    { "deep.two.wild.example", RSA_ONLY, RSA_OF_A }, /* "*" is one label */
    { "wild.example", RSA_ONLY, RSA_OF_A },
    { "c.example", RSA_ONLY, RSA_OF_A }, /* RFC 9525 section 6.3: a subject is no name */
    { NULL, RSA_ONLY, RSA_OF_A },
    { NULL, ECDSA_ONLY, ECDSA_OF_A },
};

TEST(a_client_gets_the_certificate_of_the_name_that_it_asks_for)
{
    static const enum which these[] = { RSA_OF_A, ECDSA_OF_A, WILDCARD, EXACT, RSA_OF_B, NAMELESS, SECOND_OF_B };
    SSL_CTX *own = serve(these, ARRAY_LEN(these));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char row[64];
        snprintf(row, sizeof row, "%zu: %s", i, rows[i].name ? rows[i].name : "none");
        CHECK_ROW(row, shown(own, rows[i].name, rows[i].signatures) == rows[i].shown);
    }
    SSL_CTX_free(own);
}

TEST(the_order_decides_who_is_shown_if_nobody_has_the_name)
{
    static const enum which these[] = { RSA_OF_B, ECDSA_OF_A, RSA_OF_A };
    SSL_CTX *own = serve(these, ARRAY_LEN(these));
    assert_int_equal(shown(own, NULL, NULL), RSA_OF_B);
    assert_int_equal(shown(own, NULL, ECDSA_ONLY), WHICH); /* it is not b's */
    assert_int_equal(shown(own, "unknown.example", NULL), RSA_OF_B);
    SSL_CTX_free(own);
}

TEST(one_without_a_name_has_no_company)
{
    static const enum which these[] = { NAMELESS, RSA_OF_A };
    SSL_CTX *own = serve(these, ARRAY_LEN(these));
    assert_int_equal(shown(own, NULL, NULL), NAMELESS);
    assert_int_equal(shown(own, NULL, RSA_ONLY), WHICH);
    assert_int_equal(shown(own, "a.example", NULL), RSA_OF_A);
    SSL_CTX_free(own);
}

TEST(one_alone_is_shown_whatever_is_asked_for)
{
    static const enum which these[] = { EXACT };
    SSL_CTX *own = serve(these, ARRAY_LEN(these));
    assert_int_equal(shown(own, "a.example", NULL), EXACT);
    assert_int_equal(shown(own, NULL, NULL), EXACT);
    SSL_CTX_free(own);
}

static int begin(void **state)
{
    for (size_t i = 0; i < WHICH; i++)
        certificate_make_planned(&all[i], &plans[i]);
    ticket_keys_begin(&keys, 1);
    return 0;
}

static int end(void **state)
{
    for (size_t i = 0; i < WHICH; i++)
        certificate_done(&all[i]);
    ticket_keys_end(&keys);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_gets_the_certificate_of_the_name_that_it_asks_for),
        cmocka_unit_test(the_order_decides_who_is_shown_if_nobody_has_the_name),
        cmocka_unit_test(one_without_a_name_has_no_company),
        cmocka_unit_test(one_alone_is_shown_whatever_is_asked_for),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
