/* service: a configuration with everything it needs to run: TLS contexts, keys and revocations. Immutable once loaded,
 * and counted: sessions keep the one that they began with, and a reload replaces the pointer that new ones start from.
 */
#ifndef CONFIG_SERVICE_H
#define CONFIG_SERVICE_H

#include <imapstate/keyring.h>
#include <openssl/ssl.h>
#include <stdio.h>

#include "config.h"
#include "revocations.h"
#include "tickets.h"
#include "way.h"

struct service {
    struct config *config;             /* counted */
    SSL_CTX **listener_tls;            /* one per listener of config, in its order; NULL for tls = "none" */
    SSL_CTX **upstream_tls;            /* one per upstream, in the same way */
    struct ways **upstream_ways;       /* one per upstream, counted; they go on learning */
    struct imapstate_keyring *keyring; /* never NULL */
    struct ticketring *ticketring;     /* counted; of a service that was loaded, never NULL */
    struct tickets tickets;            /* of keyring and ticketring */
    bool has_ephemeral_key;
    struct revocations *revocations; /* counted; NULL behind service_forget_revocations() */
    struct routemap *map;            /* counted; NULL: there is none, or behind service_forget_revocations() */
    bool map_renames;                /* users are called otherwise by some line of it */
    /* Those that some route leads to, in the order of config; owned, borrowed from config. */
    const struct config_upstream **routed;
    size_t routed_count;
    struct sites *sites; /* owned: those that routes lead to at other addresses */
    unsigned references; /* atomic */
};

/* Takes config (the caller's reference becomes the service's, or is given back on failure). NULL on failure; errors
 * have then been written to errors, one per line. On success there may be warnings. Without a keys_file an ephemeral
 * key is generated, or taken over from previous (may be NULL) if that had one too, so that a reload does not void
 * tokens. The keys of TLS tickets that live in memory are taken over from any previous one. A revocations_file that
 * does not exist is an empty one, with a warning. What is known about the ways to log in to an upstream is taken over
 * from previous, if that has the upstream with this name at this place. */
struct service *service_load(struct config *config, const struct service *previous, FILE *errors);

/* A key that only lives in memory, for another process: its line is appended to line, which then contains a secret.
 * True as well if there is none; false: it did not fit. */
bool service_put_ephemeral_key(const struct service *service, struct imapstate_buf *line);

/* Only good as the previous one of a service_load(), for that key. NULL: it is no such line, or out of memory. */
struct service *service_of_ephemeral_key(struct imapstate_span line);

struct service *service_ref(struct service *service);
void service_unref(struct service *service); /* accepts NULL */

/* All who look them up have references of their own, and they are in force from now on (revoking.h); so is the
 * route_map, for whoever logs in from now on. Both may be large, and a session that keeps the service may last for
 * days: reloads shall not pile them up. */
void service_forget_revocations(struct service *service);

/* At the end of the process. */
void service_done(void);

/* The route_map that is in force, counted; NULL: there is none. */
struct routemap *service_routemap(const struct service *service);

/* Where the listener's clients may be led to; borrowed. */
struct service_reach {
    const struct config_upstream *const *at;
    size_t count;
};
struct service_reach service_upstreams_of(const struct service *service, const struct config_listener *listener);

SSL_CTX *service_listener_tls(const struct service *service, const struct config_listener *listener);
SSL_CTX *service_upstream_tls(const struct service *service, const struct config_upstream *upstream);
struct ways *service_ways(const struct service *service, const struct config_upstream *upstream);

#endif
