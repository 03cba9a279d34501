/* config: the configuration file, read and checked as a whole.
 *
 * A config is immutable once read, and counted: a session keeps the one that it began with, a reload replaces the
 * pointer. All strings are NUL-terminated, owned by the config, never NULL ("" means not given).
 *
 * Reading is for one thread at a time (libconfuse's lexer is global); the rest is safe from all threads. */
#ifndef GATEWAY_CONFIG_H
#define GATEWAY_CONFIG_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "language.h"
#include "log.h"

enum config_tls { CONFIG_TLS_NONE, CONFIG_TLS_STARTTLS, CONFIG_TLS_IMPLICIT };
enum config_authorization { CONFIG_AUTHORIZATION_PASS, CONFIG_AUTHORIZATION_REFUSE };
enum config_client_address { CONFIG_CLIENT_ADDRESS_NONE, CONFIG_CLIENT_ADDRESS_ID, CONFIG_CLIENT_ADDRESS_PROXY_V2 };

/* An address to listen on: "192.0.2.1:143", "[::1]:1993", "*:143" (all of IPv4), "[::]:143", "unix:/path". */
struct config_address {
    char *text; /* as written */
    socklen_t len;
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
        struct sockaddr_storage storage;
    } sockaddr;
};

/* A network of trusted_networks: "10.0.0.0/8", "2001:db8::/32", "192.0.2.1", "unix" (every peer of a unix socket). */
struct config_network {
    int family; /* AF_INET, AF_INET6 or AF_UNIX */
    uint8_t address[16];
    unsigned prefix_bits;
};

struct config_listener {
    char *name;
    unsigned line; /* of the section, for messages */
    struct config_address *addresses;
    size_t address_count;
    enum config_tls tls;
    char *tls_cert_file, *tls_key_file; /* PEM; chain in the certificate file */
    bool require_tls;                   /* starttls: no login and no STATE in clear. Never set with tls = none. */
    bool accept_proxy;
    struct config_network *trusted_networks; /* peers whose PROXY header is believed */
    size_t trusted_network_count;
    unsigned unix_mode;                     /* of a unix socket's file; 0600 octal by default */
    uint32_t auth_mechanisms;               /* set of SASL_BIT(): which of the upstream's are offered; never empty */
    bool imapproxy_compat;                  /* XIMAPPROXY and XPROXYREUSE in place of STATE */
    bool compress;                          /* COMPRESS=DEFLATE is offered */
    const struct config_upstream *upstream; /* borrowed: the one named by upstream = "NAME", else the only one */
};

struct config_upstream {
    char *name;
    unsigned line;
    char *host, *port; /* of address = "host:port", "[v6]:port"; or path of "unix:/path" in host with port "" */
    bool is_unix;
    enum config_tls tls;
    bool tls_verify;
    char *tls_ca_file, *tls_name; /* tls_name: verified and sent as SNI; host by default */
    uint64_t connect_timeout_ms;  /* name resolution, TCP, TLS and greeting together, for each address anew */
    uint64_t answer_timeout_ms;   /* login and replay: how long for each answer */
    enum config_client_address send_client_address;
    enum config_authorization authorization_identity; /* a login that names another user to act for */
};

/* Upstream connections that wait for their client to come back. Only per_user may be 0. */
struct config_park {
    unsigned per_user;           /* of one user; 0 turns parking off */
    unsigned max;                /* in all */
    uint64_t time_ms;            /* how long one may wait */
    uint64_t lifetime_ms;        /* how old one may get in all, since its login */
    uint64_t reauth_interval_ms; /* credentials are proved to the upstream again after this */
    uint64_t keepalive_ms;       /* a NOOP after this time without one; below every server's autologout */
    bool one_password;           /* an upstream success with another password voids the older proofs */
};

struct config {
    char *path;
    unsigned workers; /* as configured: 0 is one per CPU */
    char *keys_file;
    uint64_t token_lifetime_s;
    uint64_t epoch;
    enum log_level log_level;
    enum log_to log_to;
    char *user, *group; /* privileges are dropped to these; "" keeps them */
    unsigned max_clients;
    unsigned max_clients_per_address;
    uint64_t login_timeout_ms;       /* from connect to a successful login; 3 min by default */
    uint64_t idle_timeout_ms;        /* autologout after login; at least 30 min (RFC 9051 section 5.4) */
    uint64_t login_failure_delay_ms; /* before a failed login is answered; 2 s by default */
    unsigned max_login_failures;     /* in one connection, then BYE; 3 by default */
    uint64_t shutdown_timeout_ms;    /* SIGTERM: how long sessions may finish their commands; 5 s by default */
    struct languages languages;      /* for clients of upstreams that have no LANGUAGE; the complete ones by default */
    struct config_park park;
    struct config_listener *listeners;
    size_t listener_count;
    struct config_upstream *upstreams;
    size_t upstream_count;
    char **warnings; /* what is allowed but hardly meant, "FILE:LINE: ..." each: for the log, and for -t to print */
    size_t warning_count;
    unsigned references; /* atomic; config_ref() and config_unref() */
};

/* Reads and checks the file. On failure NULL; then what is wrong has been written to errors, a line each, as
 * "FILE:LINE: what is wrong" (or "FILE: ..." where no line is to blame). Opens no certificate and no key file. */
struct config *config_read(const char *path, FILE *errors);

/* The same for text in memory; path is only for messages. For tests and the fuzz target. */
struct config *config_parse(const char *path, const char *text, FILE *errors);

struct config *config_ref(struct config *config);
void config_unref(struct config *config); /* accepts NULL */

/* Is a peer within one of the listener's trusted networks? An IPv4-mapped IPv6 address counts as IPv4. */
bool config_is_trusted(const struct config_listener *listener, const struct sockaddr *peer);

#endif
