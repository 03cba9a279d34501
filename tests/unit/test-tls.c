#include "check.h"

#include "handshake.h"
#include "pins.h"

#include <openssl/err.h>
#include <string.h>

static struct certificate localhost, other, rsa;
static struct certificate ann, late, stranger; /* of clients; other is the CA of two */

static struct ticket_keys keys;

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

/* The side that connects. */
static void check_peer(size_t row)
{
    struct ends ends;
    struct tls_peering peering = HANDSHAKE_PEERING(peers[row].ca->cert_file);
    peering.is_verified = peers[row].is_verified;
    SSL_CTX *own = handshake_own(&HANDSHAKE_OWN(&localhost, &keys)), *peer = handshake_peer(&peering);
    ends_begin(&ends, own, peer, peers[row].peer, NULL);
    bool is_taken = ends_shake_hands(&ends);
    const char *failure = tls_verify_failure(ends.client);
    CHECK_ROW(peers[row].name, is_taken == !peers[row].failure);
    CHECK_ROW(peers[row].name, !peers[row].failure || (failure && strcmp(failure, peers[row].failure) == 0));
    const char *sni = is_taken ? SSL_get_servername(ends.server, TLSEXT_NAMETYPE_host_name) : NULL;
    CHECK_ROW(peers[row].name, peers[row].sni ? sni && strcmp(sni, peers[row].sni) == 0 : !sni);
    ends_end(&ends);
    SSL_CTX_free(own);
    SSL_CTX_free(peer);
}

TEST(the_other_side_is_verified_by_its_name)
{
    for (size_t i = 0; i < ARRAY_LEN(peers); i++)
        check_peer(i);
    assert_null(tls_verify_failure(NULL));
}

TEST(what_is_wrong_with_an_own_certificate_is_named)
{
    const struct {
        const char *name;
        const char *cert, *key;
        int want; /* -1: nothing */
        const char *option;
    } rows[] = {
        { "a pair", localhost.cert_file, localhost.key_file, -1 },
        { "no certificate", "/nonexistent", localhost.key_file, TLS_WRONG_CERTIFICATE, "tls_cert_file" },
        { "a key in its place", localhost.key_file, localhost.key_file, TLS_WRONG_CERTIFICATE, "tls_cert_file" },
        { "no key", localhost.cert_file, "/nonexistent", TLS_WRONG_KEY, "tls_key_file" },
        { "another's key", localhost.cert_file, other.key_file, TLS_WRONG_PAIR, "tls_key_file" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct tls_fault fault;
        struct tls_own own = HANDSHAKE_OWN(&localhost, &keys);
        /* Behind one that is good. */
        own.cert_files = (const char *[]){ other.cert_file, rows[i].cert };
        own.key_files = (const char *[]){ other.key_file, rows[i].key };
        own.count = 2;
        SSL_CTX *context = tls_own_context(&own, &fault);
        CHECK_ROW(rows[i].name, (context == NULL) == (rows[i].want >= 0));
        CHECK_ROW(rows[i].name, context || ((int)fault.what == rows[i].want && fault.at == 1));
        CHECK_ROW(rows[i].name, context || strcmp(fault.option, rows[i].option) == 0);
        CHECK_ROW(rows[i].name, context || ERR_peek_error() != 0); /* which tells why */
        SSL_CTX_free(context);
        ERR_clear_error();
    }
}

static void check_no_authorities(const char *ca_file)
{
    struct tls_fault fault;
    assert_null(tls_peer_context(&HANDSHAKE_PEERING(ca_file), &fault));
    assert_true(ERR_peek_error() != 0 && fault.what == TLS_WRONG_CA && strcmp(fault.option, "tls_ca_file") == 0);
    struct tls_own own = HANDSHAKE_OWN(&localhost, &keys);
    own.client_certificate = TLS_CLIENT_CERTIFICATE_OPTIONAL;
    own.client_ca_file = ca_file;
    assert_null(tls_own_context(&own, &fault));
    assert_true(ERR_peek_error() != 0 && fault.what == TLS_WRONG_CA);
    assert_string_equal(fault.option, "tls_client_ca_file");
}

TEST(a_file_of_trusted_certificates_has_some)
{
    check_no_authorities("/nonexistent");
    check_no_authorities(localhost.key_file);
    SSL_CTX *system = handshake_peer(&HANDSHAKE_PEERING(""));
    assert_int_equal(SSL_CTX_get_verify_mode(system), SSL_VERIFY_PEER);
    SSL_CTX_free(system);
    ERR_clear_error();
}

/* RFC 9051 section 11.1 */
TEST(older_versions_than_tls_1_2_are_not_spoken)
{
    struct ends ends;
    struct tls_peering without_policy = HANDSHAKE_PEERING(localhost.cert_file);
    without_policy.policy = NULL;
    SSL_CTX *own = handshake_own(&HANDSHAKE_OWN(&localhost, &keys)), *peer = handshake_peer(&without_policy);
    assert_int_equal(SSL_CTX_get_min_proto_version(own), TLS1_2_VERSION);
    assert_int_equal(SSL_CTX_get_min_proto_version(peer), TLS1_2_VERSION);
    ends_begin(&ends, own, peer, "localhost", NULL);
    SSL_set_min_proto_version(ends.client, TLS1_VERSION);
    SSL_set_max_proto_version(ends.client, TLS1_1_VERSION);
    SSL_set_security_level(ends.client, 0);
    assert_false(ends_shake_hands(&ends));
    ends_end(&ends);
    SSL_CTX_free(own);
    SSL_CTX_free(peer);
}

TEST(nothing_is_renegotiated_compressed_or_taken_early)
{
    SSL_CTX *own = handshake_own(&HANDSHAKE_OWN(&localhost, &keys));
    SSL_CTX *peer = handshake_peer(&HANDSHAKE_PEERING(localhost.cert_file));
    uint64_t wanted = SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION;
    assert_true((SSL_CTX_get_options(own) & wanted) == wanted && (SSL_CTX_get_options(peer) & wanted) == wanted);
    assert_int_equal(SSL_CTX_get_max_early_data(own), 0);
    SSL_CTX_free(own);
    SSL_CTX_free(peer);
}

/* --- policies --- */

/* What a peer offers that is as permissive as OpenSSL can be; fewer is what it takes to agree on nothing. */
static const struct {
    const char *name;
    int version;         /* the only one that the peer speaks */
    const char *ciphers; /* of the peer, of TLS 1.2 or 1.3 */
    bool is_rsa;         /* the certificate */
    bool is_taken;
} offered[] = {
    { "ECDHE with AES-GCM", TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", false, true },
    { "ECDHE with ChaCha20", TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305", false, true },
    { "ECDHE with RSA's signature", TLS1_2_VERSION, "ECDHE-RSA-AES256-GCM-SHA384", true, true },
    { "DHE with AES-GCM", TLS1_2_VERSION, "DHE-RSA-AES128-GCM-SHA256", true, true },
    { "RSA key exchange", TLS1_2_VERSION, "AES128-GCM-SHA256", true, false },
    { "RSA key exchange and CBC", TLS1_2_VERSION, "AES256-SHA", true, false },
    { "CBC", TLS1_2_VERSION, "ECDHE-RSA-AES128-SHA256", true, false },
    { "CBC and SHA-1", TLS1_2_VERSION, "ECDHE-ECDSA-AES256-SHA", false, false },
    { "CCM", TLS1_2_VERSION, "ECDHE-ECDSA-AES128-CCM", false, false },
    { "nobody's signature", TLS1_2_VERSION, "ADH-AES128-GCM-SHA256", true, false },
    { "TLS 1.3 with AES-GCM", TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384", false, true },
    { "TLS 1.3 with ChaCha20", TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256", false, true },
    { "TLS 1.3 with CCM", TLS1_3_VERSION, "TLS_AES_128_CCM_SHA256", false, false },
    { "TLS 1.1", TLS1_1_VERSION, "ALL", true, false },
};

static void restrict_to(SSL_CTX *context, size_t row)
{
    bool is_newest = offered[row].version == TLS1_3_VERSION;
    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_min_proto_version(context, offered[row].version);
    SSL_CTX_set_max_proto_version(context, offered[row].version);
    assert_int_equal(is_newest ? SSL_CTX_set_ciphersuites(context, offered[row].ciphers)
                               : SSL_CTX_set_cipher_list(context, offered[row].ciphers),
                     1);
}

/* is_server: it is the server that is as permissive as can be. */
static bool takes_offer(size_t row, const struct certificate *certificate, bool is_server)
{
    struct ends ends;
    SSL_CTX *own = handshake_own(&HANDSHAKE_OWN(certificate, &keys));
    SSL_CTX *peer = handshake_peer(&HANDSHAKE_PEERING(certificate->cert_file));
    restrict_to(is_server ? own : peer, row);
    ends_begin(&ends, own, peer, "localhost", NULL);
    bool is_taken = ends_shake_hands(&ends);
    const char *words = tls_error_words(is_server ? ends.client_error : ends.server_error, is_server);
    bool is_told = strstr(words, is_server ? "tls_ciphers" : "no shared cipher") ||
                   strstr(words, is_server ? "tls_min_version" : "protocol");
    CHECK_ROW(offered[row].name, is_taken || is_told);
    ends_end(&ends);
    SSL_CTX_free(own);
    SSL_CTX_free(peer);
    return is_taken;
}

TEST(what_is_agreed_on_is_forward_secret_and_authenticated_encryption)
{
    for (size_t i = 0; i < ARRAY_LEN(offered); i++) {
        const struct certificate *certificate = offered[i].is_rsa ? &rsa : &localhost;
        CHECK_ROW(offered[i].name, takes_offer(i, certificate, false) == offered[i].is_taken);
        CHECK_ROW(offered[i].name, takes_offer(i, certificate, true) == offered[i].is_taken);
    }
}

TEST(a_policy_that_was_configured_is_kept_to)
{
    struct ends ends;
    struct tlspolicy policy = { TLS_VERSION_1_3, HANDSHAKE_LIST("AES128-SHA"), HANDSHAKE_LIST("TLS_AES_128_CCM_SHA256"),
                                HANDSHAKE_LIST("secp521r1") };
    struct tls_own strict = HANDSHAKE_OWN(&localhost, &keys);
    struct tls_peering usual = HANDSHAKE_PEERING(localhost.cert_file), alike = usual;
    strict.policy = alike.policy = &policy;
    SSL_CTX *own = handshake_own(&strict), *one = handshake_peer(&usual), *other_one = handshake_peer(&alike);
    ends_begin(&ends, own, one, "localhost", NULL);
    assert_false(ends_shake_hands(&ends));
    ends_end(&ends);
    ends_begin(&ends, own, other_one, "localhost", NULL);
    assert_true(ends_shake_hands(&ends));
    assert_string_equal(SSL_get_cipher_name(ends.client), "TLS_AES_128_CCM_SHA256");
    assert_int_equal(SSL_get_negotiated_group(ends.client), NID_secp521r1);
    ends_end(&ends);
    SSL_CTX_free(own);
    SSL_CTX_free(one);
    SSL_CTX_free(other_one);
}

/* --- client certificates --- */

static const struct {
    const char *name;
    enum tls_client_certificate wanted;
    const struct certificate *shown; /* NULL: none */
    bool is_taken;
    const char *failure; /* of the certificate; NULL: it is not to blame */
} shows[] = {
    { "none where it is optional", TLS_CLIENT_CERTIFICATE_OPTIONAL, NULL, true, NULL },
    { "none where it is required", TLS_CLIENT_CERTIFICATE_REQUIRED, NULL, false, NULL },
    { "a good one where it is optional", TLS_CLIENT_CERTIFICATE_OPTIONAL, &ann, true, NULL },
    { "a good one where it is required", TLS_CLIENT_CERTIFICATE_REQUIRED, &ann, true, NULL },
    { "somebody else's CA, where it is optional", TLS_CLIENT_CERTIFICATE_OPTIONAL, &stranger, false,
      "self-signed certificate" },
    { "somebody else's CA, where it is required", TLS_CLIENT_CERTIFICATE_REQUIRED, &stranger, false,
      "self-signed certificate" },
    { "expired, where it is optional", TLS_CLIENT_CERTIFICATE_OPTIONAL, &late, false, "certificate has expired" },
    { "expired, where it is required", TLS_CLIENT_CERTIFICATE_REQUIRED, &late, false, "certificate has expired" },
    { "one that nobody has asked for", TLS_CLIENT_CERTIFICATE_NONE, &late, true, NULL },
};

static void check_shown(size_t row, int version)
{
    struct ends ends;
    char subject[64], fingerprint[TLS_FINGERPRINT_SIZE];
    struct tls_own own = HANDSHAKE_OWN(&localhost, &keys);
    struct tls_peering peering = HANDSHAKE_PEERING(localhost.cert_file);
    own.client_certificate = shows[row].wanted;
    own.client_ca_file = own.client_certificate == TLS_CLIENT_CERTIFICATE_NONE ? "" : other.cert_file;
    peering.cert_file = shows[row].shown ? shows[row].shown->cert_file : "";
    peering.key_file = shows[row].shown ? shows[row].shown->key_file : "";
    SSL_CTX *server = handshake_own(&own), *client = handshake_peer(&peering);
    ends_begin(&ends, server, client, "localhost", NULL);
    SSL_set_max_proto_version(ends.client, version);
    CHECK_ROW(shows[row].name, ends_shake_hands(&ends) == shows[row].is_taken);
    const char *failure = tls_verify_failure(ends.server);
    CHECK_ROW(shows[row].name, shows[row].failure ? failure && strcmp(failure, shows[row].failure) == 0 : !failure);
    if (shows[row].is_taken) {
        bool is_told = tls_certificate_of_peer(ends.server, subject, sizeof subject, fingerprint);
        CHECK_ROW(shows[row].name, is_told == (shows[row].shown == &ann));
        CHECK_ROW(shows[row].name, !is_told || strcmp(subject, "CN=ann\\, \\\"\\E2\\82\\AC\\0A\\\"") == 0);
        CHECK_ROW(shows[row].name, !is_told || strlen(fingerprint) == 64);
    }
    ends_end(&ends);
    SSL_CTX_free(server);
    SSL_CTX_free(client);
}

TEST(a_client_shows_what_is_asked_for)
{
    for (size_t i = 0; i < ARRAY_LEN(shows); i++) {
        check_shown(i, TLS1_2_VERSION);
        check_shown(i, TLS1_3_VERSION);
    }
}

/* --- pins --- */

static void put_pin(struct pins *pins, const struct certificate *certificate)
{
    uint8_t *der = NULL, hash[PIN_OCTETS], encoded[PIN_TEXT_SIZE];
    char text[PIN_TEXT_SIZE];
    X509 *x509 = certificate_read(certificate);
    int len = i2d_PUBKEY(X509_get0_pubkey(x509), &der);
    assert_int_equal(EVP_Digest(der, (size_t)len, hash, NULL, EVP_sha256(), NULL), 1);
    EVP_EncodeBlock(encoded, hash, sizeof hash);
    snprintf(text, sizeof text, "sha256//%.44s", (char *)encoded);
    assert_int_equal(pins_add(pins, text), PINS_ADDED);
    OPENSSL_free(der);
    X509_free(x509);
}

static const struct {
    const char *name;
    bool is_verified;
    const struct certificate *ca;
    const struct certificate *pins[2];
    const char *failure; /* NULL: it is taken */
} pinned[] = {
    { "its key, and its CA", true, &localhost, { &localhost }, NULL },
    { "one of two", true, &localhost, { &other, &localhost }, NULL },
    { "another key, and its CA", true, &localhost, { &other }, "its key is none of tls_pin" },
    { "its key, and another CA", true, &other, { &localhost }, "self-signed certificate" },
    { "its key alone", false, &other, { &localhost }, NULL },
    { "another key alone", false, &other, { &other }, "its key is none of tls_pin" },
};

TEST(a_pin_holds_besides_the_certificate_or_alone)
{
    for (size_t i = 0; i < ARRAY_LEN(pinned); i++) {
        struct ends ends;
        struct pins pins = { 0 };
        struct tls_peering peering = HANDSHAKE_PEERING(pinned[i].ca->cert_file);
        for (size_t j = 0; j < 2 && pinned[i].pins[j]; j++)
            put_pin(&pins, pinned[i].pins[j]);
        peering.is_verified = pinned[i].is_verified;
        peering.pins = &pins;
        SSL_CTX *own = handshake_own(&HANDSHAKE_OWN(&localhost, &keys)), *peer = handshake_peer(&peering);
        ends_begin(&ends, own, peer, "localhost", NULL);
        CHECK_ROW(pinned[i].name, ends_shake_hands(&ends) == !pinned[i].failure);
        const char *failure = tls_verify_failure(ends.client);
        CHECK_ROW(pinned[i].name, pinned[i].failure ? failure && strcmp(failure, pinned[i].failure) == 0 : !failure);
        ends_end(&ends);
        SSL_CTX_free(own);
        SSL_CTX_free(peer);
        pins_done(&pins);
    }
}

static int begin(void **state)
{
    certificate_make(&localhost, "localhost");
    certificate_make_planned(&other, &(struct certificate_plan){ .subject = "other.example", .is_authority = true });
    certificate_make(&stranger, "stranger");
    certificate_make_planned(&rsa, &(struct certificate_plan){ .subject = "localhost", .kind = CERTIFICATE_RSA });
    certificate_make_planned(&ann, &(struct certificate_plan){ .subject = "ann, \"\u20ac\n\"",
                                                               .by = &other,
                                                               .alternatives = "email:ann@example.org" });
    certificate_make_planned(
        &late, &(struct certificate_plan){ .subject = "late", .by = &other, .from_s = -7200, .until_s = -60 });
    ticket_keys_begin(&keys, 1);
    return 0;
}

static int end(void **state)
{
    struct certificate *all[] = { &localhost, &other, &stranger, &rsa, &ann, &late };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        certificate_done(all[i]);
    ticket_keys_end(&keys);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_other_side_is_verified_by_its_name),
        cmocka_unit_test(what_is_wrong_with_an_own_certificate_is_named),
        cmocka_unit_test(a_file_of_trusted_certificates_has_some),
        cmocka_unit_test(older_versions_than_tls_1_2_are_not_spoken),
        cmocka_unit_test(nothing_is_renegotiated_compressed_or_taken_early),
        cmocka_unit_test(what_is_agreed_on_is_forward_secret_and_authenticated_encryption),
        cmocka_unit_test(a_policy_that_was_configured_is_kept_to),
        cmocka_unit_test(a_client_shows_what_is_asked_for),
        cmocka_unit_test(a_pin_holds_besides_the_certificate_or_alone),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
