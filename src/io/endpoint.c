#include "endpoint.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENDPOINT_UNIX "unix:"

static const char not_ipv6[] = "that is not an IPv6 address between the brackets";
static const char not_port[] = "its port is not from 1 to 65535";

static const char *endpoint_unix_path(const char *text)
{
    return strncmp(text, ENDPOINT_UNIX, sizeof ENDPOINT_UNIX - 1) == 0 ? text + sizeof ENDPOINT_UNIX - 1 : NULL;
}

/* Takes "host:port" or "[v6]:port" apart; port is NULL if there is none. Both point into text, which is changed. */
static bool endpoint_split_port(char *text, const char **ret_host, const char **ret_port)
{
    char *end;
    *ret_port = NULL;
    if (text[0] == '[') {
        *ret_host = text + 1;
        end = strchr(text, ']');
        if (!end)
            return false;
        *end++ = '\0';
    } else {
        *ret_host = text;
        end = text + strcspn(text, ":");
    }
    if (*end == ':') {
        *end = '\0';
        *ret_port = end + 1;
        return **ret_host != '\0' && !strchr(*ret_port, ':');
    }
    return *end == '\0' && **ret_host != '\0';
}

static bool endpoint_take_port(const char *text, uint16_t *ret_port)
{
    uint32_t port = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9' && port <= UINT16_MAX; at++)
        port = port * 10 + (uint32_t)(*at - '0');
    if (*at != '\0' || port == 0 || port > UINT16_MAX)
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

/* IPv6 with an optional scope ("fe80::1%eth0"). */
static bool endpoint_take_ipv6(const char *host, struct sockaddr_in6 *ret_in6)
{
    struct addrinfo hints = { .ai_family = AF_INET6, .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found;
    if (!strchr(host, ':') || getaddrinfo(host, NULL, &hints, &found) != 0)
        return false;
    memcpy(ret_in6, found->ai_addr, sizeof *ret_in6);
    freeaddrinfo(found);
    return true;
}

static const char *endpoint_set_unix(struct endpoint *endpoint, const char *path)
{
    struct sockaddr_un *un = &endpoint->sockaddr.un;
    size_t len = strlen(path);
    if (path[0] != '/')
        return "the path of a unix socket begins with \"/\"";
    if (len >= sizeof un->sun_path)
        return "the path of a unix socket has 107 octets at most";
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, len + 1);
    endpoint->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    return NULL;
}

/* text is changed. */
static const char *endpoint_set_ip(struct endpoint *endpoint, char *text)
{
    bool is_bracketed = text[0] == '[';
    const char *host, *port_text;
    uint16_t port;
    if (!endpoint_split_port(text, &host, &port_text))
        return "write it as \"192.0.2.1:993\", \"[2001:db8::1]:993\", \"*:993\" or \"unix:/path\", in quotes";
    if (!port_text)
        return "it has no port";
    if (!endpoint_take_port(port_text, &port))
        return not_port;
    if (is_bracketed) {
        if (!endpoint_take_ipv6(host, &endpoint->sockaddr.in6))
            return not_ipv6;
        endpoint->sockaddr.in6.sin6_port = htons(port);
        endpoint->len = sizeof endpoint->sockaddr.in6;
        return NULL;
    }
    struct sockaddr_in *in = &endpoint->sockaddr.in;
    if (strcmp(host, "*") != 0 && inet_pton(AF_INET, host, &in->sin_addr) != 1)
        return "a listener takes no host name: write its IP address";
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    endpoint->len = sizeof *in;
    return NULL;
}

const char *endpoint_parse(const char *text, struct endpoint *ret_endpoint)
{
    struct endpoint endpoint = { .len = 0 };
    const char *path = endpoint_unix_path(text);
    const char *wrong;
    if (path) {
        wrong = endpoint_set_unix(&endpoint, path);
    } else {
        char *copy = strdup(text);
        wrong = copy ? endpoint_set_ip(&endpoint, copy) : "out of memory";
        free(copy);
    }
    if (!wrong)
        *ret_endpoint = endpoint;
    return wrong;
}

bool endpoint_is_equal(const struct endpoint *a, const struct endpoint *b)
{
    return a->len == b->len && memcmp(&a->sockaddr, &b->sockaddr, a->len) == 0;
}

bool endpoint_is_local(const struct endpoint *endpoint)
{
    switch (endpoint->sockaddr.any.sa_family) {
    case AF_INET:
        return ntohl(endpoint->sockaddr.in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    case AF_INET6:
        return IN6_IS_ADDR_LOOPBACK(&endpoint->sockaddr.in6.sin6_addr);
    default:
        return true;
    }
}

static bool endpoint_is_any(const struct endpoint *endpoint)
{
    switch (endpoint->sockaddr.any.sa_family) {
    case AF_INET:
        return endpoint->sockaddr.in.sin_addr.s_addr == htonl(INADDR_ANY);
    case AF_INET6:
        return IN6_IS_ADDR_UNSPECIFIED(&endpoint->sockaddr.in6.sin6_addr);
    default:
        return false;
    }
}

static bool endpoint_has_address_of(const struct endpoint *a, const struct endpoint *b)
{
    if (a->sockaddr.any.sa_family == AF_INET)
        return a->sockaddr.in.sin_addr.s_addr == b->sockaddr.in.sin_addr.s_addr;
    return IN6_ARE_ADDR_EQUAL(&a->sockaddr.in6.sin6_addr, &b->sockaddr.in6.sin6_addr);
}

/* Whoever talks to an address of this host does so from the same address. A datagram socket finds out without a word;
 * what is to be connected to, and cannot be, is not here. */
static bool endpoint_is_of_host(const struct endpoint *endpoint)
{
    struct endpoint own = { 0 };
    socklen_t len = sizeof own.sockaddr;
    if (endpoint_is_local(endpoint) || endpoint_is_any(endpoint))
        return true;
    int fd = socket(endpoint->sockaddr.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool is_known = fd >= 0 && connect(fd, &endpoint->sockaddr.any, endpoint->len) == 0 &&
                    getsockname(fd, &own.sockaddr.any, &len) == 0;
    if (fd >= 0)
        close(fd);
    return is_known && endpoint_has_address_of(&own, endpoint);
}

bool endpoint_leads_to(const struct endpoint *target, const struct endpoint *listening)
{
    sa_family_t family = target->sockaddr.any.sa_family;
    if (family != listening->sockaddr.any.sa_family)
        return false;
    if (family == AF_UNIX)
        return endpoint_is_equal(target, listening);
    /* The port is in the same place for both. */
    if (target->sockaddr.in.sin_port != listening->sockaddr.in.sin_port)
        return false;
    return endpoint_has_address_of(target, listening) || (endpoint_is_any(listening) && endpoint_is_of_host(target)) ||
           (endpoint_is_any(target) && endpoint_is_local(listening));
}

bool endpoint_from_host(const char *host, const char *port, bool is_unix, struct endpoint *ret_endpoint,
                        uint16_t *ret_port)
{
    struct endpoint endpoint = { .len = 0 };
    *ret_port = 0;
    if (is_unix) {
        endpoint_set_unix(&endpoint, host);
    } else {
        endpoint_take_port(port, ret_port);
        if (inet_pton(AF_INET, host, &endpoint.sockaddr.in.sin_addr) == 1) {
            endpoint.sockaddr.in.sin_family = AF_INET;
            endpoint.len = sizeof endpoint.sockaddr.in;
        } else if (endpoint_take_ipv6(host, &endpoint.sockaddr.in6)) {
            endpoint.len = sizeof endpoint.sockaddr.in6;
        }
        endpoint.sockaddr.in.sin_port = htons(*ret_port); /* is in the same place for both */
    }
    if (endpoint.len > 0)
        *ret_endpoint = endpoint;
    return endpoint.len > 0;
}

bool endpoint_is_host_name(const char *text)
{
    return text[0] != '-' &&
           text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")] == '\0';
}

const char *endpoint_split(char *text, const char **ret_host, const char **ret_port, bool *ret_is_unix)
{
    const char *path = endpoint_unix_path(text);
    struct endpoint endpoint;
    uint16_t port;
    if (path) {
        *ret_host = path;
        *ret_port = NULL;
        *ret_is_unix = true;
        return endpoint_set_unix(&endpoint, path);
    }
    *ret_is_unix = false;
    bool is_bracketed = text[0] == '[';
    if (!endpoint_split_port(text, ret_host, ret_port))
        return "write it as \"host:port\", \"[2001:db8::1]:port\" or \"unix:/path\"";
    if (is_bracketed && !endpoint_take_ipv6(*ret_host, &endpoint.sockaddr.in6))
        return not_ipv6;
    if (!is_bracketed && !endpoint_is_host_name(*ret_host))
        return "that is not a host name";
    return *ret_port && !endpoint_take_port(*ret_port, &port) ? not_port : NULL;
}

static const char *endpoint_skip_label(const char *text)
{
    const char *dot = text && *text == '_' ? strchr(text, '.') : NULL;
    return dot && dot > text + 1 ? dot + 1 : NULL;
}

const char *endpoint_service_domain(const char *text)
{
    bool is_service = strncmp(text, ENDPOINT_SERVICE, sizeof ENDPOINT_SERVICE - 1) == 0;
    const char *domain =
        is_service ? endpoint_skip_label(endpoint_skip_label(text + sizeof ENDPOINT_SERVICE - 1)) : NULL;
    return domain && *domain && *domain != '.' ? domain : NULL;
}
