#include "check.h"

#include "certificate.h"
#include "pemfile.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/stat.h>

static char folder[] = "/tmp/test-pemfile-XXXXXX";

/* A file with these octets; its path is valid until the next call. */
static const char *write_file(const char *octets, size_t len)
{
    static char path[64];
    snprintf(path, sizeof path, "%s/file", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, octets, len), len);
    close(fd);
    return path;
}

/* What the test's certificate and key are in PEM. */
static size_t read_file(const char *path, char *ret_octets, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t len = read(fd, ret_octets, size - 1);
    assert_true(len > 0);
    close(fd);
    ret_octets[len] = '\0';
    return (size_t)len;
}

static char certificate_pem[4096], key_pem[4096], encrypted_pem[4096], der[4096], key_der[4096];
static size_t der_len, key_der_len;

static void encrypt_key(void)
{
    FILE *file = fmemopen(key_pem, strlen(key_pem), "r"), *out = fmemopen(encrypted_pem, sizeof encrypted_pem, "w");
    EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    char passphrase[] = "secret";
    uint8_t *at = (uint8_t *)key_der;
    assert_non_null(key);
    assert_int_equal(PEM_write_PKCS8PrivateKey(out, key, EVP_aes_128_cbc(), passphrase, 6, NULL, NULL), 1);
    fclose(out);
    key_der_len = (size_t)i2d_PrivateKey(key, &at);
    EVP_PKEY_free(key);
    fclose(file);
}

static void convert_certificate(void)
{
    FILE *file = fmemopen(certificate_pem, strlen(certificate_pem), "r");
    X509 *x509 = PEM_read_X509(file, NULL, NULL, NULL);
    uint8_t *at = (uint8_t *)der;
    assert_non_null(x509);
    der_len = (size_t)i2d_X509(x509, &at);
    X509_free(x509);
    fclose(file);
}

static int set_up(void **state)
{
    struct certificate certificate;
    certificate_make(&certificate, "localhost");
    read_file(certificate.cert_file, certificate_pem, sizeof certificate_pem);
    read_file(certificate.key_file, key_pem, sizeof key_pem);
    certificate_done(&certificate);
    encrypt_key();
    convert_certificate();
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    char path[64];
    snprintf(path, sizeof path, "%s/file", folder);
    unlink(path);
    return rmdir(folder);
}

static void check(const char *name, const char *path, enum pemfile_kind kind, const char *want)
{
    char words[256] = "nothing";
    bool is_explained = pemfile_explain(path, kind, words, sizeof words);
    if (is_explained != !!want || (want && strcmp(words, want) != 0))
        fail_msg("row \"%s\": got %s", name, words);
    CHECK_ROW(name, ERR_peek_error() == 0);
}

TEST(what_is_wrong_with_a_file_is_said)
{
    char both[8192], damaged[4096], cut[4096];
    snprintf(both, sizeof both, "%s%s", certificate_pem, key_pem);
    snprintf(damaged, sizeof damaged, "%s", certificate_pem);
    memcpy(damaged + 60, "AAAAAAAA", 8); /* still base64 */
    snprintf(cut, sizeof cut, "%.*s", (int)strlen(certificate_pem) - 40, certificate_pem);
    const struct {
        const char *name, *octets;
        enum pemfile_kind kind;
        const char *want;
    } rows[] = {
        { "empty", "", PEMFILE_CERTIFICATES, "the file is empty" },
        { "no PEM", "hello\n", PEMFILE_CERTIFICATES, "there is nothing in PEM in it (-----BEGIN ...)" },
        { "a certificate", certificate_pem, PEMFILE_CERTIFICATES, NULL },
        { "a key", key_pem, PEMFILE_KEY, NULL },
        { "both", both, PEMFILE_KEY, NULL },
        { "both, for the other", both, PEMFILE_CERTIFICATES, NULL },
        { "a key for a certificate", key_pem, PEMFILE_CERTIFICATES,
          "there is a private key in it, and no certificate" },
        { "a certificate for a key", certificate_pem, PEMFILE_KEY, "there is a certificate in it, and no private key" },
        { "something else", "-----BEGIN X-----\nAAAA\n-----END X-----\n", PEMFILE_KEY,
          "there is no private key in it" },
        { "something else for a certificate", "-----BEGIN X-----\nAAAA\n-----END X-----\n", PEMFILE_CERTIFICATES,
          "there is no certificate in it" },
        { "encrypted", encrypted_pem, PEMFILE_KEY,
          "the key is encrypted, and nobody is there to give the passphrase (openssl pkey decrypts it)" },
        { "encrypted, the old way",
          "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA "
          "PRIVATE "
          "KEY-----\n",
          PEMFILE_KEY, "the key is encrypted, and nobody is there to give the passphrase (openssl pkey decrypts it)" },
        { "damaged", damaged, PEMFILE_CERTIFICATES, "certificate 1 in it is damaged" },
        { "cut off", cut, PEMFILE_CERTIFICATES, "what is in PEM in it is damaged" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check(rows[i].name, write_file(rows[i].octets, strlen(rows[i].octets)), rows[i].kind, rows[i].want);
}

TEST(der_is_known)
{
    static const char want[] = "it is in DER, and has to be in PEM (openssl x509 or pkey, -inform der)";
    check("a certificate", write_file(der, der_len), PEMFILE_CERTIFICATES, want);
    check("a key", write_file(key_der, key_der_len), PEMFILE_KEY, want);
}

TEST(a_second_certificate_that_is_damaged_is_told_by_its_number)
{
    char chain[8192];
    int first = snprintf(chain, sizeof chain, "%s%s", certificate_pem, certificate_pem) / 2;
    memcpy(chain + first + 60, "AAAAAAAA", 8);
    check("chain", write_file(chain, strlen(chain)), PEMFILE_CERTIFICATES, "certificate 2 in it is damaged");
}

TEST(a_file_that_cannot_be_read_says_why)
{
    check("missing", "/nonexistent/file", PEMFILE_KEY, "No such file or directory");
    check("a folder", "/", PEMFILE_CERTIFICATES, "Is a directory");
    const char *path = write_file(key_pem, strlen(key_pem));
    uid_t user = geteuid();
    char words[256];
    assert_int_equal(chmod(path, user == 0 ? 0600 : 0), 0);
    if (user == 0)
        assert_int_equal(seteuid(65534), 0);
    assert_true(pemfile_explain(path, PEMFILE_KEY, words, sizeof words));
    assert_int_equal(seteuid(user), 0);
    assert_memory_equal(words, "not readable by user ", strlen("not readable by user "));
    assert_true(user != 0 || strcmp(words, "not readable by user nobody") == 0);
}

static bool is_untimely(long from_s, long to_s, char ret_words[64])
{
    struct certificate certificate;
    certificate_make_timed(&certificate, "localhost", from_s, to_s);
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    assert_int_equal(SSL_CTX_use_certificate_chain_file(context, certificate.cert_file), 1);
    bool is_so = pemfile_is_untimely(context, ret_words, 64);
    SSL_CTX_free(context);
    certificate_done(&certificate);
    return is_so;
}

TEST(a_certificate_out_of_its_time_is_told_with_the_day)
{
    char words[64];
    assert_false(is_untimely(-3600, 3600, words));
    assert_true(is_untimely(-7200, -3600, words));
    assert_memory_equal(words, "expired on 20", strlen("expired on 20"));
    assert_int_equal(strlen(words), strlen("expired on 2026-01-01"));
    assert_true(is_untimely(3600, 7200, words));
    assert_memory_equal(words, "is not valid before 20", strlen("is not valid before 20"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_with_a_file_is_said),
        cmocka_unit_test(der_is_known),
        cmocka_unit_test(a_second_certificate_that_is_damaged_is_told_by_its_number),
        cmocka_unit_test(a_file_that_cannot_be_read_says_why),
        cmocka_unit_test(a_certificate_out_of_its_time_is_told_with_the_day),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
