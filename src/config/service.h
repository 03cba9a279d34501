/* service: a configuration with all that it needs to run: TLS contexts and keys. Immutable once loaded, and counted:
 * sessions keep the one that they began with, a reload replaces the pointer that new ones start from. */
#ifndef CONFIG_SERVICE_H
#define CONFIG_SERVICE_H

#include <imapstate/keyring.h>
#include <openssl/ssl.h>
#include <stdio.h>

#include "config.h"
#include "way.h"

struct service {
    struct config *config;             /* counted */
    SSL_CTX **listener_tls;            /* one a listener of config, in its order; NULL for tls = "none" */
    SSL_CTX **upstream_tls;            /* one an upstream, likewise */
    struct ways **upstream_ways;       /* one an upstream, counted; what they hold goes on being learned */
    struct imapstate_keyring *keyring; /* never NULL */
    bool has_ephemeral_key;
    unsigned references; /* atomic */
};

/* Takes config (the caller's reference becomes the service's, or is given back on failure). On failure NULL, and what
 * is wrong has been written to errors, a line each; on success there may be warnings. Without a keys_file an ephemeral
 * key is made, or taken over from previous (may be NULL) if that had one too, so that a reload does not void tokens.
 * What is known of the ways to log in to an upstream is previous's, if that has it by this name and at this place. */
struct service *service_load(struct config *config, const struct service *previous, FILE *errors);

struct service *service_ref(struct service *service);
void service_unref(struct service *service); /* accepts NULL */

SSL_CTX *service_listener_tls(const struct service *service, const struct config_listener *listener);
SSL_CTX *service_upstream_tls(const struct service *service, const struct config_upstream *upstream);
struct ways *service_ways(const struct service *service, const struct config_upstream *upstream);

#endif
