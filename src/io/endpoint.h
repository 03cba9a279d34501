/* endpoint: where to listen, and where to connect to, as an operator writes it. */
#ifndef IO_ENDPOINT_H
#define IO_ENDPOINT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

/* To listen on. */
struct endpoint {
    socklen_t len; /* of sockaddr; the rest of it is zero */
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
        struct sockaddr_storage storage;
    } sockaddr;
};

/* From "192.0.2.1:143", "[::1]:1993", "*:143" (all of IPv4), "[::]:143" (all of IPv6), "unix:/path". Returns NULL, or
 * what is wrong with the text. */
const char *endpoint_parse(const char *text, struct endpoint *ret_endpoint);

bool endpoint_is_equal(const struct endpoint *a, const struct endpoint *b);

/* Can only this host connect to it? */
bool endpoint_is_local(const struct endpoint *endpoint);

/* Does who connects to target reach who listens on listening, on this host? As far as this host can tell: what others
 * pass on to it is theirs. */
bool endpoint_leads_to(const struct endpoint *target, const struct endpoint *listening);

/* To connect to: "host:port", "192.0.2.1:143", "[2001:db8::1]:993", all of these also without the port, or
 * "unix:/path". The text is cut into pieces, which the results point into: host has no brackets, or is the path of a
 * unix socket; port is NULL if there is none. Returns NULL, or what is wrong; even then the text may be changed. */
const char *endpoint_split(char *text, const char **ret_host, const char **ret_port, bool *ret_is_unix);

/* What endpoint_split() has found without an error, as an endpoint to connect to. False: host is a name, and only
 * ret_port is written. */
bool endpoint_from_host(const char *host, const char *port, bool is_unix, struct endpoint *ret_endpoint,
                        uint16_t *ret_port);

/* "srv:_imaps._tcp.example.org": a service (RFC 2782). Gives its domain, which is in text; NULL: it is none. */
#define ENDPOINT_SERVICE "srv:"
const char *endpoint_service_domain(const char *text);

/* Letters, digits, ".", "-" and "_", with no "-" at the front. */
bool endpoint_is_host_name(const char *text);

#endif
