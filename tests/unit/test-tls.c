#include "check.h"

#include "certificate.h"
#include "tls.h"

#include <openssl/err.h>
#include <string.h>

static struct certificate localhost, other;

/* Two ends that are connected in memory. */
struct pair {
    SSL_CTX *own, *peer;
    SSL *server, *client;
};

static void pair_begin(struct pair *pair, bool is_verified, const char *ca_file, const char *name)
{
    enum tls_wrong wrong;
    BIO *one, *two;
    pair->own = tls_own_context(localhost.cert_file, localhost.key_file, &wrong);
    pair->peer = tls_peer_context(is_verified, ca_file);
    assert_true(pair->own && pair->peer);
    pair->server = tls_accept(pair->own);
    pair->client = tls_peer(pair->peer, name);
    assert_true(pair->server && pair->client);
    assert_int_equal(BIO_new_bio_pair(&one, 0, &two, 0), 1);
    SSL_set_bio(pair->server, one, one);
    SSL_set_bio(pair->client, two, two);
}

static void pair_end(struct pair *pair)
{
    SSL_free(pair->server);
    SSL_free(pair->client);
    SSL_CTX_free(pair->own);
    SSL_CTX_free(pair->peer);
    ERR_clear_error();
}

/* True: both sides are through. */
static bool pair_shakes_hands(struct pair *pair)
{
    for (int turns = 0; turns < 20; turns++) {
        int client = SSL_do_handshake(pair->client), server = SSL_do_handshake(pair->server);
        if (client == 1 && server == 1)
            return true;
        if (client != 1 && SSL_get_error(pair->client, client) != SSL_ERROR_WANT_READ)
            return false;
    }
    return false;
}

static const struct {
    const char *name;
    bool is_verified;
    const struct certificate *ca;
    const char *peer;    /* whom the side that connects takes the other for */
    const char *failure; /* NULL: it is taken */
    const char *sni;     /* that the other is told; NULL: none */
} peers[] = {
    { "by its name", true, &localhost, "localhost", NULL, "localhost" },
    { "in another case", true, &localhost, "LOCALHOST", NULL, "LOCALHOST" },
    { "another name", true, &localhost, "example.org", "hostname mismatch", NULL },
    { "a name that only begins alike", true, &localhost, "localhost.example", "hostname mismatch", NULL },
    { "an address is not sent", false, &localhost, "127.0.0.1", NULL, NULL },
    { "an address that is not in it", true, &localhost, "127.0.0.1", "IP address mismatch", NULL },
    { "nor this one", true, &localhost, "::1", "IP address mismatch", NULL },
    { "signed by nobody who is trusted", true, &other, "localhost", "self-signed certificate", NULL },
    { "not looked at", false, &other, "example.org", NULL, "example.org" },
};

TEST(the_other_side_is_verified_by_its_name)
{
    for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
        struct pair pair;
        pair_begin(&pair, peers[i].is_verified, peers[i].ca->cert_file, peers[i].peer);
        bool is_taken = pair_shakes_hands(&pair);
        const char *failure = tls_verify_failure(pair.client);
        CHECK_ROW(peers[i].name, is_taken == !peers[i].failure);
        CHECK_ROW(peers[i].name, !peers[i].failure || (failure && strcmp(failure, peers[i].failure) == 0));
        const char *sni = is_taken ? SSL_get_servername(pair.server, TLSEXT_NAMETYPE_host_name) : NULL;
        CHECK_ROW(peers[i].name, peers[i].sni ? sni && strcmp(sni, peers[i].sni) == 0 : !sni);
        pair_end(&pair);
    }
    assert_null(tls_verify_failure(NULL));
}

TEST(what_is_wrong_with_an_own_certificate_is_named)
{
    const struct {
        const char *name, *cert, *key;
        int want; /* -1: nothing */
    } rows[] = {
        { "a pair", localhost.cert_file, localhost.key_file, -1 },
        { "no certificate", "/nonexistent", localhost.key_file, TLS_WRONG_CERTIFICATE },
        { "a key in its place", localhost.key_file, localhost.key_file, TLS_WRONG_CERTIFICATE },
        { "no key", localhost.cert_file, "/nonexistent", TLS_WRONG_KEY },
        { "another's key", localhost.cert_file, other.key_file, TLS_WRONG_PAIR },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum tls_wrong wrong;
        SSL_CTX *context = tls_own_context(rows[i].cert, rows[i].key, &wrong);
        CHECK_ROW(rows[i].name, (context == NULL) == (rows[i].want >= 0));
        CHECK_ROW(rows[i].name, context || (int)wrong == rows[i].want);
        CHECK_ROW(rows[i].name, context || ERR_peek_error() != 0); /* which tells why */
        SSL_CTX_free(context);
        ERR_clear_error();
    }
}

TEST(a_file_of_trusted_certificates_has_some)
{
    assert_null(tls_peer_context(true, "/nonexistent"));
    assert_true(ERR_peek_error() != 0);
    assert_null(tls_peer_context(true, localhost.key_file));
    SSL_CTX *system = tls_peer_context(true, "");
    assert_non_null(system);
    assert_int_equal(SSL_CTX_get_verify_mode(system), SSL_VERIFY_PEER);
    SSL_CTX_free(system);
    ERR_clear_error();
}

/* RFC 9051 section 11.1 */
TEST(older_versions_than_tls_1_2_are_not_spoken)
{
    struct pair pair;
    pair_begin(&pair, true, localhost.cert_file, "localhost");
    assert_int_equal(SSL_CTX_get_min_proto_version(pair.own), TLS1_2_VERSION);
    assert_int_equal(SSL_CTX_get_min_proto_version(pair.peer), TLS1_2_VERSION);
    SSL_set_min_proto_version(pair.client, TLS1_VERSION);
    SSL_set_max_proto_version(pair.client, TLS1_1_VERSION);
    SSL_set_security_level(pair.client, 0);
    assert_false(pair_shakes_hands(&pair));
    pair_end(&pair);
}

static int begin(void **state)
{
    certificate_make(&localhost, "localhost");
    certificate_make(&other, "other.example");
    return 0;
}

static int end(void **state)
{
    certificate_done(&localhost);
    certificate_done(&other);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_other_side_is_verified_by_its_name),
        cmocka_unit_test(what_is_wrong_with_an_own_certificate_is_named),
        cmocka_unit_test(a_file_of_trusted_certificates_has_some),
        cmocka_unit_test(older_versions_than_tls_1_2_are_not_spoken),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
