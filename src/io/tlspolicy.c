#include "tlspolicy.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

/* The longest name in a list; there is none of that length. */
#define TLSPOLICY_NAME_MAX 127u

/* --- asked --- */

static bool tlspolicy_takes_ciphers(SSL_CTX *context, const char *text)
{
    return SSL_CTX_set_cipher_list(context, text) == 1;
}

/* It passes over names that it does not know. */
static bool tlspolicy_takes_ciphersuites(SSL_CTX *context, const char *text)
{
    bool has_one = false;
    if (SSL_CTX_set_ciphersuites(context, text) != 1)
        return false;
    const STACK_OF(SSL_CIPHER) *ciphers = SSL_CTX_get_ciphers(context);
    for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++)
        has_one |= strcmp(SSL_CIPHER_get_version(sk_SSL_CIPHER_value(ciphers, i)), "TLSv1.3") == 0;
    return has_one;
}

static bool tlspolicy_takes_groups(SSL_CTX *context, const char *text)
{
    return SSL_CTX_set1_groups_list(context, text) == 1;
}

/* What a list's separators are, what its names may begin with that takes away or orders, and what its names are. */
struct tlspolicy_kind {
    bool (*takes)(SSL_CTX *context, const char *text);
    const char *separators, *marks, *words;
};

static const struct tlspolicy_kind ciphers_kind = { tlspolicy_takes_ciphers, ":, ;", "!-+@",
                                                    "cipher of TLS 1.2 (those of TLS 1.3 are for tls_ciphersuites)" };
static const struct tlspolicy_kind ciphersuites_kind = { tlspolicy_takes_ciphersuites, ":", "",
                                                         "cipher of TLS 1.3 (those of TLS 1.2 are for tls_ciphers)" };
static const struct tlspolicy_kind groups_kind = { tlspolicy_takes_groups, ":", "?-*", "group" };

static bool tlspolicy_knows(const struct tlspolicy_kind *kind, SSL_CTX *context, const char *at, size_t len)
{
    char name[TLSPOLICY_NAME_MAX + 1];
    if (len > TLSPOLICY_NAME_MAX)
        return false;
    memcpy(name, at, len);
    name[len] = '\0';
    return kind->takes(context, name);
}

static bool tlspolicy_check_names(const struct tlspolicy_kind *kind, SSL_CTX *context, const char *text,
                                  char *ret_wrong, size_t size)
{
    for (const char *at = text; *at; at += strspn(at, kind->separators)) {
        size_t len = strcspn(at, kind->separators);
        bool adds = len > 0 && !strchr(kind->marks, *at);
        if (adds && !tlspolicy_knows(kind, context, at, len)) {
            snprintf(ret_wrong, size, "OpenSSL knows \"%.*s\" as no %s", (int)len, at, kind->words);
            return false;
        }
        at += len;
    }
    return true;
}

static bool tlspolicy_check(const struct tlspolicy_kind *kind, const char *text, char *ret_wrong, size_t size)
{
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    if (!context) {
        snprintf(ret_wrong, size, "out of memory");
        return false;
    }
    bool is_good = tlspolicy_check_names(kind, context, text, ret_wrong, size);
    if (is_good && !kind->takes(context, text)) {
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());
        snprintf(ret_wrong, size, "OpenSSL refuses \"%s\": %s", text, reason ? reason : "it stands for nothing");
        is_good = false;
    }
    SSL_CTX_free(context);
    ERR_clear_error();
    return is_good;
}

bool tlspolicy_check_ciphers(const char *text, char *ret_wrong, size_t size)
{
    return tlspolicy_check(&ciphers_kind, text, ret_wrong, size);
}

bool tlspolicy_check_ciphersuites(const char *text, char *ret_wrong, size_t size)
{
    return tlspolicy_check(&ciphersuites_kind, text, ret_wrong, size);
}

bool tlspolicy_check_groups(const char *text, char *ret_wrong, size_t size)
{
    return tlspolicy_check(&groups_kind, text, ret_wrong, size);
}

/* --- kept to --- */

const char *tlspolicy_apply(const struct tlspolicy *policy, SSL_CTX *context)
{
    static const int versions[TLS_VERSION_COUNT] = { TLS1_2_VERSION, TLS1_3_VERSION };
    if (SSL_CTX_set_min_proto_version(context, versions[policy->min_version]) != 1)
        return "tls_min_version";
    if (SSL_CTX_set_cipher_list(context, policy->ciphers) != 1)
        return "tls_ciphers";
    if (SSL_CTX_set_ciphersuites(context, policy->ciphersuites) != 1)
        return "tls_ciphersuites";
    if (SSL_CTX_set1_groups_list(context, policy->groups) != 1)
        return "tls_groups";
    return NULL;
}

bool tlspolicy_is_equal(const struct tlspolicy *a, const struct tlspolicy *b)
{
    return a->min_version == b->min_version && strcmp(a->ciphers, b->ciphers) == 0 &&
           strcmp(a->ciphersuites, b->ciphersuites) == 0 && strcmp(a->groups, b->groups) == 0;
}
