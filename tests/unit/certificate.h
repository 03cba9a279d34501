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

enum certificate_kind { CERTIFICATE_ECDSA, CERTIFICATE_RSA };

/* What a certificate is to be. */
struct certificate_plan {
    const char *subject;      /* its common name */
    const char *alternatives; /* "DNS:a,DNS:b"; NULL: "DNS:" and the subject */
    enum certificate_kind kind;
    bool is_authority;            /* may sign others */
    long from_s, until_s;         /* seconds from now; both 0: good for an hour */
    const struct certificate *by; /* who signs it; NULL: itself */
};

static inline X509 *certificate_read(const struct certificate *certificate)
{
    FILE *file = fopen(certificate->cert_file, "r");
    X509 *x509 = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
    assert_non_null(x509);
    fclose(file);
    return x509;
}

static inline EVP_PKEY *certificate_read_key(const struct certificate *certificate)
{
    FILE *file = fopen(certificate->key_file, "r");
    EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
    assert_non_null(key);
    fclose(file);
    return key;
}

static inline void certificate_extend(X509 *x509, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    X509_add_ext(x509, extension, -1);
    X509_EXTENSION_free(extension);
}

static inline void certificate_sign(X509 *x509, EVP_PKEY *key, const struct certificate_plan *plan)
{
    char alternatives[256];
    snprintf(alternatives, sizeof alternatives, "DNS:%s", plan->subject);
    bool is_timed = plan->from_s != 0 || plan->until_s != 0;
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), is_timed ? plan->from_s : -3600);
    X509_gmtime_adj(X509_getm_notAfter(x509), is_timed ? plan->until_s : 3600);
    X509_set_pubkey(x509, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_UTF8, (const uint8_t *)plan->subject, -1, -1,
                               0);
    X509 *issuer = plan->by ? certificate_read(plan->by) : x509;
    EVP_PKEY *signer = plan->by ? certificate_read_key(plan->by) : key;
    X509_set_issuer_name(x509, X509_get_subject_name(issuer));
    certificate_extend(x509, NID_subject_alt_name, plan->alternatives ? plan->alternatives : alternatives);
    if (plan->is_authority)
        certificate_extend(x509, NID_basic_constraints, "critical,CA:TRUE");
    assert_true(X509_sign(x509, signer, EVP_sha256()) > 0);
    if (plan->by) {
        X509_free(issuer);
        EVP_PKEY_free(signer);
    }
}

static inline void certificate_make_planned(struct certificate *certificate, const struct certificate_plan *plan)
{
    EVP_PKEY *key = plan->kind == CERTIFICATE_RSA ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
    X509 *x509 = X509_new();
    assert_non_null(key);
    certificate_sign(x509, key, plan);
    FILE *file = certificate_new_file(&certificate->cert_fd, certificate->cert_file, sizeof certificate->cert_file);
    assert_int_equal(PEM_write_X509(file, x509), 1);
    fclose(file);
    file = certificate_new_file(&certificate->key_fd, certificate->key_file, sizeof certificate->key_file);
    assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
    X509_free(x509);
    EVP_PKEY_free(key);
}

/* Of name, signed by itself. From and until are seconds from now. */
static inline void certificate_make_timed(struct certificate *certificate, const char *name, long from_s, long until_s)
{
    certificate_make_planned(certificate,
                             &(struct certificate_plan){ .subject = name, .from_s = from_s, .until_s = until_s });
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
