/* tlspolicy: which versions, ciphers and groups of TLS may be agreed on, in OpenSSL's words. What they mean is
 * OpenSSL's to say: it is asked. */
#ifndef IO_TLSPOLICY_H
#define IO_TLSPOLICY_H

#include <stdbool.h>
#include <stddef.h>

/* RFC 9051 section 11.1: no older one. */
enum tls_version { TLS_VERSION_1_2, TLS_VERSION_1_3, TLS_VERSION_COUNT };

/* Mozilla's "intermediate" (version 5.7): forward secrecy and authenticated encryption throughout, so no RSA key
 * exchange and no CBC. */
#define TLSPOLICY_CIPHERS                                                                                              \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"                         \
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"                           \
    "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305"
#define TLSPOLICY_CIPHERSUITES "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define TLSPOLICY_GROUPS       "X25519:prime256v1:secp384r1"

struct tlspolicy {
    enum tls_version min_version;
    char *ciphers;      /* of TLS 1.2; all three are owned by whoever has the policy */
    char *ciphersuites; /* of TLS 1.3 */
    char *groups;       /* for the key exchange */
};

/* Is it a list that OpenSSL takes, and does it know each name in it that adds something? What it does not know it would
 * mostly pass over in silence. False: ret_wrong, cut to size, has words for what is wrong. */
bool tlspolicy_check_ciphers(const char *text, char *ret_wrong, size_t size);
bool tlspolicy_check_ciphersuites(const char *text, char *ret_wrong, size_t size);
bool tlspolicy_check_groups(const char *text, char *ret_wrong, size_t size);

/* From here on the context keeps to it. NULL, or the name of the option that OpenSSL refuses; its error queue says
 * why. */
struct ssl_ctx_st;
const char *tlspolicy_apply(const struct tlspolicy *policy, struct ssl_ctx_st *context);

bool tlspolicy_is_equal(const struct tlspolicy *a, const struct tlspolicy *b);

#endif
