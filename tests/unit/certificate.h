/* certificate: a certificate and its key, made by the test and kept in memory files. Behind check.h. */
#ifndef TEST_CERTIFICATE_H
#define TEST_CERTIFICATE_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <sys/mman.h>
#include <unistd.h>

struct certificate {
    int cert_fd, key_fd;
    char cert_file[64], key_file[64]; /* paths by which this process can open them */
};

static inline FILE *certificate_new_file(int *ret_fd, char *ret_path, size_t size)
{
    *ret_fd = memfd_create("certificate", MFD_CLOEXEC);
    assert_true(*ret_fd >= 0);
    snprintf(ret_path, size, "/proc/self/fd/%d", *ret_fd);
    FILE *file = fdopen(dup(*ret_fd), "w");
    assert_non_null(file);
    return file;
}

/* From and until are seconds from now. */
static inline void certificate_sign(X509 *x509, EVP_PKEY *key, const char *name, long from_s, long until_s)
{
    char alternative[80];
    snprintf(alternative, sizeof alternative, "DNS:%s", name);
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), from_s);
    X509_gmtime_adj(X509_getm_notAfter(x509), until_s);
    X509_set_pubkey(x509, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC, (const uint8_t *)name, -1, -1, 0);
    X509_set_issuer_name(x509, X509_get_subject_name(x509));
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alternative);
    X509_add_ext(x509, extension, -1);
    X509_EXTENSION_free(extension);
    assert_true(X509_sign(x509, key, EVP_sha256()) > 0);
}

/* Of name, signed by itself. */
static inline void certificate_make_timed(struct certificate *certificate, const char *name, long from_s, long until_s)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x509 = X509_new();
    assert_non_null(key);
    certificate_sign(x509, key, name, from_s, until_s);
    FILE *file = certificate_new_file(&certificate->cert_fd, certificate->cert_file, sizeof certificate->cert_file);
    assert_int_equal(PEM_write_X509(file, x509), 1);
    fclose(file);
    file = certificate_new_file(&certificate->key_fd, certificate->key_file, sizeof certificate->key_file);
    assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
    X509_free(x509);
    EVP_PKEY_free(key);
}

/* Good for an hour. */
static inline void certificate_make(struct certificate *certificate, const char *name)
{
    certificate_make_timed(certificate, name, -3600, 3600);
}

static inline void certificate_done(struct certificate *certificate)
{
    close(certificate->cert_fd);
    close(certificate->key_fd);
}

#endif
