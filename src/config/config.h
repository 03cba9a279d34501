/* config: the configuration that the daemon runs by.
 *
 * A config is immutable once configfile has made it, and counted: a session keeps the one that it began with, and a
 * reload replaces the pointer. All strings are NUL-terminated, owned by the config, and never NULL ("" means not given)
 * unless noted. schema.c has the allowed and default values of the options. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <imapstate/span.h>

#include "endpoint.h"
#include "language.h"
#include "log.h"
#include "network.h"
#include "pins.h"
#include "tlspolicy.h"

/* The longest lifetime that a configuration can give to tokens. */
#define CONFIG_TOKEN_LIFETIME_MAX_S (3650u * 86400u)

struct option;

enum config_tls { CONFIG_TLS_NONE, CONFIG_TLS_STARTTLS, CONFIG_TLS_IMPLICIT };
enum config_client_certificate {
    CONFIG_CLIENT_CERTIFICATE_NONE,
    CONFIG_CLIENT_CERTIFICATE_OPTIONAL,
    CONFIG_CLIENT_CERTIFICATE_REQUIRED
};
enum config_literals { CONFIG_LITERALS_WAIT, CONFIG_LITERALS_STREAM };
enum config_authorization { CONFIG_AUTHORIZATION_PASS, CONFIG_AUTHORIZATION_REFUSE };
enum config_balance { CONFIG_BALANCE_USER, CONFIG_BALANCE_LEAST_SESSIONS, CONFIG_BALANCE_ORDER };
enum config_client_address { CONFIG_CLIENT_ADDRESS_NONE, CONFIG_CLIENT_ADDRESS_ID, CONFIG_CLIENT_ADDRESS_PROXY_V2 };

/* Where a section begins, or an option is given. */
struct config_place {
    const char *file; /* borrowed from the config */
    unsigned line;
};

struct config_address {
    char *text; /* as written */
    struct endpoint endpoint;
};

/* Texts in the order in which they were given. */
struct config_texts {
    char **at;
    size_t count;
};

struct config_listener {
    char *name;
    struct config_place place;
    struct config_address *addresses;
    size_t address_count;
    enum config_tls tls;
    struct config_texts tls_cert_files, tls_key_files; /* PEM; as many of these as of those; chains with the
                                                        * certificates */
    struct tlspolicy tls_policy;
    enum config_client_certificate tls_client_certificate;
    char *tls_client_ca_file; /* given exactly if client certificates are asked for */
    bool require_tls;         /* starttls: no login and no STATE before TLS. Never set with tls = none. */
    bool accept_proxy;
    struct networks trusted_networks;       /* peers whose PROXY header is believed */
    struct networks id_trusted_networks;    /* peers that are believed when they give a client's address in ID */
    unsigned unix_mode;                     /* of a unix socket's file */
    uint32_t auth_mechanisms;               /* set of SASL_BIT(): which of the upstream's are offered; 0: all are taken,
                                             * and where it is safe only those shown that parking can match */
    bool imapproxy_compat;                  /* XIMAPPROXY and XPROXYREUSE in place of STATE */
    bool compress;                          /* COMPRESS=DEFLATE is offered */
    char *upstream_name;                    /* of the one that is meant, whether it was given or not; NULL: the route
                                             * decides */
    const struct config_upstream *upstream; /* borrowed: the one of that name, else the only one; NULL: by route */
};

/* The most members that an upstream may have. */
#define CONFIG_MEMBERS_MAX 32u

/* An entry of an upstream's address. */
struct config_member {
    struct config_place place;
    char *text;           /* "host:port", "[v6]:port", "unix:/path" or "srv:NAME": it is shown, and known by, this */
    char *host, *port;    /* of a unix socket the path, of a service the whole text; both with port "" */
    const char *tls_name; /* verified and sent as SNI; borrowed: the upstream's, else host, or the service's domain */
    bool is_unix, is_srv;
};

/* Its members are one mail store, and anybody may be led to any of them. */
struct config_upstream {
    char *name;
    struct config_place place;
    struct config_member *members; /* at least one, and none twice */
    size_t member_count;
    enum config_tls tls;
    bool tls_verify;
    char *tls_ca_file, *tls_name; /* tls_name: what its members' certificates are to have; "": their host */
    struct tlspolicy tls_policy;
    char *tls_cert_file, *tls_key_file; /* our own, which it may ask for; both or none */
    struct pins tls_pins;
    enum config_balance balance;
    uint64_t check_interval_ms; /* an address of several is tried when nobody has proved so long that it works; 0: no */
    uint64_t fail_timeout_ms;   /* one that has failed is left out so long */
    uint64_t connect_timeout_ms; /* name resolution, TCP, TLS and greeting together, for each address anew */
    unsigned max_sessions;       /* connections to an address at a time, parked ones too; 0: no limit */
    unsigned max_logins;         /* under way at an address at a time; 0: no limit */
    uint64_t queue_timeout_ms;   /* how long a login waits for either */
    uint64_t answer_timeout_ms;  /* login and replay: how long to wait for each answer */
    enum config_client_address send_client_address;
    enum config_authorization authorization_identity; /* a login that names another user to act for */
    enum config_literals append_literals;             /* a message that comes without being asked for */
    bool user_strip_domain, user_lowercase;           /* it knows its users by such names */
    /* One that only routes lead to (site.h): another address of base. Else both NULL. */
    const struct config_upstream *base; /* borrowed */
    char *site;                         /* owned: the address as a route has it */
};

/* All users of a domain. */
struct config_route {
    char *domain;
    struct config_place place;
    char *upstream_name;
    const struct config_upstream *upstream; /* borrowed: of that name */
};

/* Who else is asked where a user's mail is. */
struct config_route_http {
    bool is_on; /* there is such a section */
    struct config_place place;
    char *url;
    char *host, *port, *path;               /* of url: "http://HOST:PORT/PATH" */
    struct endpoint endpoint;               /* of host and port */
    char *upstream_name;                    /* NULL: the only one */
    const struct config_upstream *upstream; /* borrowed: whose settings hold for the addresses that are answered */
    uint64_t cache_ms;                      /* how long an answer is good */
    uint64_t timeout_ms;                    /* from the question to the answer */
};

/* Upstream connections that wait for their client to come back. Only per_user may be 0. */
struct config_park {
    unsigned per_user;           /* per user; 0 turns parking off */
    unsigned max;                /* in all */
    uint64_t time_ms;            /* how long one may wait */
    uint64_t lifetime_ms;        /* how old one may become in total, counted from its login */
    uint64_t reauth_interval_ms; /* after this time the upstream is asked about credentials again */
    uint64_t keepalive_ms;       /* one that has been silent this long gets a NOOP; below every server's autologout */
    uint64_t wake_timeout_ms;    /* on one that is taken again, TCP must acknowledge octets in this time */
    uint64_t wake_check_ms;      /* one that was silent for longer must say something before a command that must not run
                                  * twice */
    bool one_password;           /* a successful upstream login with another password voids the older proofs */
};

/* Figures and health, for whoever asks by HTTP. */
struct config_http {
    struct config_address *addresses; /* none: nobody can ask */
    size_t address_count;
    unsigned unix_mode; /* of a unix socket's file */
    char **hosts;       /* names by which it may be asked, beside those that nobody else can have */
    size_t host_count;
};

/* The socket that an operator's commands come by. */
struct config_control {
    bool is_on;   /* there is such a section */
    char *socket; /* path */
    unsigned mode;
    char *group; /* whose members may give commands; "": the daemon's own group */
};

struct config {
    char *path;
    char **files; /* the one at path, and those that it includes */
    size_t file_count;
    unsigned workers; /* as configured: 0 means one per CPU */
    char *keys_file;
    char *revocations_file;
    unsigned seal_format; /* of new tokens (token.h) */
    uint64_t token_lifetime_s;
    uint64_t epoch;
    enum log_level log_level;
    enum log_to log_to;
    enum log_format log_format;
    struct tlspolicy tls_policy; /* of all sections that do not say otherwise, and have it filled in */
    char *user, *group;          /* privileges are dropped to these; "" keeps them */
    unsigned max_clients;
    unsigned max_clients_per_address;
    /* Of those, the ones that have not begun to log in. */
    unsigned max_unauthenticated_per_address;
    uint64_t login_timeout_ms;       /* from connect to a successful login */
    uint64_t idle_timeout_ms;        /* autologout after login; at least 30 min (RFC 9051 section 5.4) */
    uint64_t login_failure_delay_ms; /* before a failed login is answered */
    unsigned max_login_failures;     /* on one connection, then BYE */
    uint64_t shutdown_timeout_ms;    /* SIGTERM: how long sessions may take to finish their commands */
    uint64_t drain_time_ms;          /* until those have left who may stay when nobody is accepted any more */
    struct languages languages;      /* for clients of upstreams that have no LANGUAGE */
    struct config_park park;
    struct config_http http;
    struct config_control control;
    struct config_listener *listeners;
    size_t listener_count;
    struct config_upstream *upstreams;
    size_t upstream_count;
    struct config_route *routes;
    size_t route_count;
    char *route_map; /* path */
    struct config_route_http route_http;
    char *route_default_name;                    /* "": an unknown user is refused */
    const struct config_upstream *route_default; /* borrowed: of that name, or NULL */
    struct config_given *given;                  /* what was given, in the order of the file */
    size_t given_count;
    char **warnings; /* what is allowed but hardly intended, each "FILE:LINE: ...": for the log, and for -t to print */
    size_t warning_count;
    unsigned references; /* atomic; config_ref() and config_unref() */
};

/* An option that was given. */
struct config_given {
    const struct option *option;
    size_t section, instance; /* as for config_section() */
    struct config_place place;
};

struct config *config_ref(struct config *config);
void config_unref(struct config *config); /* accepts NULL */

/* What has changed since the config that the daemon was started with and only counts at start: "FILE: warning: ...", a
 * line each. */
void config_name_kept(const struct config *config, const struct config *started, FILE *messages);

/* The struct that the options of a section of this kind (enum schema_section) go to; instance counts those of its kind
 * from 0. ret_name is "" if it has none. NULL: there are no more. */
const void *config_section(const struct config *config, size_t section, size_t instance, const char **ret_name);

/* Where the option was given first, in that section; NULL: it was not. */
const struct config_place *config_find_given(const struct config *config, const struct option *option, size_t section,
                                             size_t instance);

/* Set of SASL_BIT(): the mechanisms that its clients may use. */
uint32_t config_mechanisms(const struct config_listener *listener);

/* Does what goes to the member stay on this host? Is what goes to the upstream safe from whoever listens, or stands in
 * between? */
bool config_is_local(const struct config_member *member);
bool config_is_private(const struct config_upstream *upstream);

/* The listener that a connection to target reaches, as far as this host can tell; NULL: none. */
const struct config_listener *config_find_listener(const struct config *config, const struct endpoint *target);

/* --- for configfile, which makes a config --- */

/* A config with all defaults and no section; counted. NULL: out of memory. */
struct config *config_new(const char *path);

/* Adds a section with all defaults. NULL: out of memory; then the config is only good for config_unref(). Pointers to
 * the existing sections of its kind become invalid. */
struct config_listener *config_add_listener(struct config *config, const char *name, struct config_place place);
struct config_upstream *config_add_upstream(struct config *config, const char *name, struct config_place place);

struct config_route *config_add_route(struct config *config, const char *domain, struct config_place place);

/* False: out of memory. */
bool config_add_given(struct config *config, const struct config_given *given);

/* Takes line, which was allocated with malloc(), whether it succeeds or not. */
bool config_add_warning(struct config *config, char *line);

/* A member of the upstream whose host and port are known gets its text, and the name that its certificate is to have.
 * False: out of memory. */
bool config_name_member(const struct config_upstream *upstream, struct config_member *member);

/* Is anything said about where whose mail is? Then listeners that name no upstream go by that. */
bool config_has_routes(const struct config *config);

/* NULL: there is none of this name. */
const struct config_upstream *config_find_upstream(const struct config *config, struct imapstate_span name);

/* Has upstream this member of another one, by its address and certificate, whatever the upstreams' names? */
bool config_has_member(const struct config_upstream *upstream, const struct config_upstream *of,
                       const struct config_member *member);

/* Have the two a member in common? As those of one are one mail store, what is known of the one is true of the other.
 */
bool config_is_same_server(const struct config_upstream *a, const struct config_upstream *b);

#endif
