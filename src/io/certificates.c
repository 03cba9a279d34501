#include "certificates.h"

#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct certificate {
    X509 *x509;
    EVP_PKEY *key;
    STACK_OF(X509) * chain; /* NULL: none */
};

/* Of a certificate. RFC 9525 section 6.3: the subject is no place to look for one. */
struct certificate_name {
    char *text; /* owned */
    size_t at;  /* whose */
};

/* One for each kind of key; more kinds than OpenSSL can show at a time. */
#define CERTIFICATES_KINDS_MAX 8u

struct certificates_choice {
    const struct certificate *of_kind[CERTIFICATES_KINDS_MAX]; /* borrowed */
    size_t count;
};

struct certificates {
    struct certificate *all;
    size_t count;
    struct certificate_name *names; /* sorted by text, then by order */
    size_t name_count;
    struct certificates_choice otherwise; /* if nobody has the name; once they are served */
};

struct certificates *certificates_new(void)
{
    return calloc(1, sizeof(struct certificates));
}

void certificates_free(struct certificates *certificates)
{
    if (!certificates)
        return;
    for (size_t i = 0; i < certificates->count; i++) {
        X509_free(certificates->all[i].x509);
        EVP_PKEY_free(certificates->all[i].key);
        sk_X509_pop_free(certificates->all[i].chain, X509_free);
    }
    for (size_t i = 0; i < certificates->name_count; i++)
        free(certificates->names[i].text);
    free(certificates->names);
    free(certificates->all);
    free(certificates);
}

/* --- names --- */

static int certificate_name_compare(const void *a, const void *b)
{
    const struct certificate_name *x = a, *y = b;
    int order = strcasecmp(x->text, y->text);
    return order != 0 ? order : (x->at > y->at) - (x->at < y->at);
}

static bool certificates_add_name(struct certificates *certificates, const ASN1_IA5STRING *name)
{
    struct certificate_name *more = reallocarray(certificates->names, certificates->name_count + 1, sizeof *more);
    if (!more)
        return false;
    certificates->names = more;
    char *text = strndup((const char *)ASN1_STRING_get0_data(name), (size_t)ASN1_STRING_length(name));
    if (text)
        more[certificates->name_count++] = (struct certificate_name){ text, certificates->count - 1 };
    return text;
}

/* Of the newest. */
static bool certificates_add_names(struct certificates *certificates, const X509 *x509)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
    bool are_added = true;
    for (int i = 0; are_added && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS)
            are_added = certificates_add_name(certificates, name->d.dNSName);
    }
    GENERAL_NAMES_free(names);
    return are_added;
}

bool certificates_add(struct certificates *certificates, SSL_CTX *context)
{
    struct certificate *more = reallocarray(certificates->all, certificates->count + 1, sizeof *more);
    X509 *x509 = SSL_CTX_get0_certificate(context);
    STACK_OF(X509) *chain = NULL;
    if (!more)
        return false;
    certificates->all = more;
    SSL_CTX_get0_chain_certs(context, &chain);
    struct certificate *certificate = &more[certificates->count++];
    *certificate =
        (struct certificate){ x509, SSL_CTX_get0_privatekey(context), chain ? X509_chain_up_ref(chain) : NULL };
    X509_up_ref(x509);
    EVP_PKEY_up_ref(certificate->key);
    return (!chain || certificate->chain) && certificates_add_names(certificates, x509);
}

/* --- the choice --- */

static size_t certificates_find(const struct certificates *certificates, const char *name)
{
    size_t from = 0, to = certificates->name_count;
    while (from < to) {
        size_t middle = (from + to) / 2;
        if (strcasecmp(certificates->names[middle].text, name) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

/* The earlier one of a kind stays. */
static void choice_add(struct certificates_choice *choice, const struct certificate *certificate)
{
    int kind = EVP_PKEY_get_base_id(certificate->key);
    for (size_t i = 0; i < choice->count; i++)
        if (EVP_PKEY_get_base_id(choice->of_kind[i]->key) == kind)
            return;
    if (choice->count < CERTIFICATES_KINDS_MAX)
        choice->of_kind[choice->count++] = certificate;
}

static void choice_add_named(struct certificates_choice *choice, const struct certificates *certificates,
                             const char *name)
{
    for (size_t i = certificates_find(certificates, name);
         i < certificates->name_count && strcasecmp(certificates->names[i].text, name) == 0; i++)
        choice_add(choice, &certificates->all[certificates->names[i].at]);
}

/* RFC 9525 section 6.3: "*" stands for a whole label, the first. One with the name itself comes before. */
static void choice_by_name(struct certificates_choice *choice, const struct certificates *certificates,
                           const char *name)
{
    char wildcard[TLSEXT_MAXLEN_host_name + 2];
    const char *dot = strchr(name, '.');
    choice_add_named(choice, certificates, name);
    if (dot && dot != name && (size_t)snprintf(wildcard, sizeof wildcard, "*%s", dot) < sizeof wildcard)
        choice_add_named(choice, certificates, wildcard);
}

static bool certificates_have_name(const struct certificates *certificates, size_t at, const char *name)
{
    for (size_t i = certificates_find(certificates, name);
         i < certificates->name_count && strcasecmp(certificates->names[i].text, name) == 0; i++)
        if (certificates->names[i].at == at)
            return true;
    return false;
}

/* Has it all names of the first, of which there are some? */
static bool certificates_is_like_first(const struct certificates *certificates, size_t at)
{
    size_t names = 0;
    for (size_t i = 0; i < certificates->name_count; i++) {
        if (certificates->names[i].at != 0)
            continue;
        names++;
        if (!certificates_have_name(certificates, at, certificates->names[i].text))
            return false;
    }
    return names > 0;
}

static void certificates_settle(struct certificates *certificates)
{
    struct certificates_choice *otherwise = &certificates->otherwise;
    if (certificates->name_count > 0)
        qsort(certificates->names, certificates->name_count, sizeof *certificates->names, certificate_name_compare);
    choice_add(otherwise, &certificates->all[0]);
    for (size_t i = 1; i < certificates->count; i++)
        if (certificates_is_like_first(certificates, i))
            choice_add(otherwise, &certificates->all[i]);
}

/* --- OpenSSL --- */

static int certificates_index; /* of a context's certificates */
static pthread_once_t certificates_once = PTHREAD_ONCE_INIT;

static void certificates_on_free(void *parent, void *ptr, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
    certificates_free(ptr);
}

static void certificates_make_index(void)
{
    certificates_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, certificates_on_free);
}

static int certificates_on_hello(SSL *ssl, void *arg)
{
    const struct certificates *certificates = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    struct certificates_choice choice = { 0 };
    if (name)
        choice_by_name(&choice, certificates, name);
    if (choice.count == 0)
        choice = certificates->otherwise;
    SSL_certs_clear(ssl);
    for (size_t i = 0; i < choice.count; i++) {
        const struct certificate *chosen = choice.of_kind[i];
        if (SSL_use_cert_and_key(ssl, chosen->x509, chosen->key, chosen->chain, 1) != 1)
            return 0;
    }
    return 1;
}

bool certificates_serve(SSL_CTX *context, struct certificates *certificates)
{
    pthread_once(&certificates_once, certificates_make_index);
    if (SSL_CTX_set_ex_data(context, certificates_index, certificates) != 1)
        return false;
    certificates_settle(certificates);
    if (certificates->count > 1)
        SSL_CTX_set_cert_cb(context, certificates_on_hello, certificates);
    return true;
}
