#include "pemfile.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* What was found in a file. */
struct findings {
    unsigned certificates, keys, others;
    bool has_encrypted_key;
    unsigned damaged_at; /* the first block that is one of these, and cannot be read, counted from 1; 0: none */
};

static bool pemfile_is_certificate(const char *name)
{
    return strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0 ||
           strcmp(name, PEM_STRING_X509_TRUSTED) == 0;
}

/* "RSA PRIVATE KEY" and the like too. */
static bool pemfile_is_key(const char *name)
{
    size_t len = strlen(name), key_len = strlen(PEM_STRING_PKCS8INF);
    return len >= key_len && strcmp(name + len - key_len, PEM_STRING_PKCS8INF) == 0;
}

static bool pemfile_is_readable(const char *name, const uint8_t *octets, long len)
{
    X509 *certificate =
        strcmp(name, PEM_STRING_X509_TRUSTED) == 0 ? d2i_X509_AUX(NULL, &octets, len) : d2i_X509(NULL, &octets, len);
    X509_free(certificate);
    return certificate;
}

static void pemfile_count(struct findings *findings, const char *name, const char *header, const uint8_t *octets,
                          long len)
{
    bool is_certificate = pemfile_is_certificate(name), is_key = pemfile_is_key(name);
    bool is_encrypted = is_key && (strcmp(name, PEM_STRING_PKCS8) == 0 || strstr(header, "ENCRYPTED"));
    findings->certificates += is_certificate;
    findings->keys += is_key;
    findings->others += !is_certificate && !is_key;
    findings->has_encrypted_key |= is_encrypted;
    if (is_certificate && findings->damaged_at == 0 && !pemfile_is_readable(name, octets, len))
        findings->damaged_at = findings->certificates;
}

/* False: what follows is not to be read as PEM. */
static bool pemfile_survey(BIO *file, struct findings *ret_findings)
{
    char *name, *header;
    uint8_t *octets;
    long len;
    *ret_findings = (struct findings){ 0 };
    ERR_clear_error();
    while (PEM_read_bio(file, &name, &header, &octets, &len) == 1) {
        pemfile_count(ret_findings, name, header, octets, len);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(octets, (size_t)len);
    }
    bool is_at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    return is_at_end;
}

/* --- words --- */

static bool pemfile_say(char *ret_words, size_t size, const char *words)
{
    snprintf(ret_words, size, "%s", words);
    return true;
}

static bool pemfile_say_denied(char *ret_words, size_t size)
{
    const struct passwd *user = getpwuid(geteuid());
    if (user)
        snprintf(ret_words, size, "not readable by user %s", user->pw_name);
    else
        snprintf(ret_words, size, "not readable by user %lu", (unsigned long)geteuid());
    return true;
}

static bool pemfile_is_der(const char *path)
{
    BIO *file = BIO_new_file(path, "r");
    X509 *certificate = file ? d2i_X509_bio(file, NULL) : NULL;
    if (file)
        (void)BIO_reset(file);
    EVP_PKEY *key = file && !certificate ? d2i_PrivateKey_bio(file, NULL) : NULL;
    bool is_der = certificate || key;
    X509_free(certificate);
    EVP_PKEY_free(key);
    BIO_free(file);
    ERR_clear_error();
    return is_der;
}

static bool pemfile_explain_nothing(const char *path, char *ret_words, size_t size)
{
    struct stat status;
    if (stat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_size == 0)
        return pemfile_say(ret_words, size, "the file is empty");
    return pemfile_say(ret_words, size,
                       pemfile_is_der(path) ? "it is in DER, and has to be in PEM (openssl x509 or pkey, -inform der)"
                                            : "there is nothing in PEM in it (-----BEGIN ...)");
}

static bool pemfile_explain_certificates(const struct findings *findings, char *ret_words, size_t size)
{
    if (findings->certificates == 0)
        return pemfile_say(ret_words, size,
                           findings->keys > 0 ? "there is a private key in it, and no certificate"
                                              : "there is no certificate in it");
    if (findings->damaged_at == 0)
        return false;
    snprintf(ret_words, size, "certificate %u in it is damaged", findings->damaged_at);
    return true;
}

static bool pemfile_explain_key(const struct findings *findings, char *ret_words, size_t size)
{
    if (findings->keys == 0)
        return pemfile_say(ret_words, size,
                           findings->certificates > 0 ? "there is a certificate in it, and no private key"
                                                      : "there is no private key in it");
    return findings->has_encrypted_key &&
           pemfile_say(ret_words, size,
                       "the key is encrypted, and nobody is there to give the passphrase (openssl pkey decrypts it)");
}

static bool pemfile_explain_open(BIO *file, const char *path, enum pemfile_kind kind, char *ret_words, size_t size)
{
    struct findings findings;
    bool is_whole = pemfile_survey(file, &findings);
    if (!is_whole)
        return pemfile_say(ret_words, size, "what is in PEM in it is damaged");
    if (findings.certificates + findings.keys + findings.others == 0)
        return pemfile_explain_nothing(path, ret_words, size);
    return kind == PEMFILE_KEY ? pemfile_explain_key(&findings, ret_words, size)
                               : pemfile_explain_certificates(&findings, ret_words, size);
}

bool pemfile_explain(const char *path, enum pemfile_kind kind, char *ret_words, size_t size)
{
    struct stat status;
    FILE *file = fopen(path, "re");
    if (!file)
        return errno == EACCES ? pemfile_say_denied(ret_words, size) : pemfile_say(ret_words, size, strerror(errno));
    BIO *octets = BIO_new_fp(file, BIO_NOCLOSE);
    bool is_folder = fstat(fileno(file), &status) == 0 && S_ISDIR(status.st_mode);
    bool is_explained = is_folder ? pemfile_say(ret_words, size, strerror(EISDIR))
                                  : octets && pemfile_explain_open(octets, path, kind, ret_words, size);
    BIO_free(octets);
    fclose(file);
    return is_explained;
}

/* --- time --- */

static void pemfile_put_day(const char *words, const ASN1_TIME *time, char *ret_words, size_t size)
{
    struct tm utc = { 0 };
    char day[16] = "?";
    if (ASN1_TIME_to_tm(time, &utc) == 1)
        strftime(day, sizeof day, "%Y-%m-%d", &utc);
    snprintf(ret_words, size, "%s %s", words, day);
}

bool pemfile_is_untimely(const SSL_CTX *context, char *ret_words, size_t size)
{
    const X509 *certificate = SSL_CTX_get0_certificate(context);
    bool is_expired = certificate && X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0;
    bool is_early = certificate && !is_expired && X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0;
    if (is_expired)
        pemfile_put_day("expired on", X509_get0_notAfter(certificate), ret_words, size);
    else if (is_early)
        pemfile_put_day("is not valid before", X509_get0_notBefore(certificate), ret_words, size);
    return is_expired || is_early;
}
