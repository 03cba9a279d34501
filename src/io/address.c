#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = { [10] = 0xff, [11] = 0xff };

static void address_set_in6(struct address *address, const struct sockaddr_in6 *from)
{
    const uint8_t *octets = from->sin6_addr.s6_addr;
    /* What a socket for both families tells of an IPv4 client (RFC 4291 section 2.5.5.2): one client, one address. */
    bool is_mapped = memcmp(octets, mapped_prefix, sizeof mapped_prefix) == 0;

    address->family = is_mapped ? AF_INET : AF_INET6;
    address->port = ntohs(from->sin6_port);
    memcpy(address->octets, is_mapped ? octets + sizeof mapped_prefix : octets, is_mapped ? 4 : 16);
}

void address_set(struct address *address, const struct sockaddr *from)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;

    *address = (struct address){ .family = AF_UNIX };
    if (from->sa_family == AF_INET) {
        memcpy(&in, from, sizeof in);
        address->family = AF_INET;
        address->port = ntohs(in.sin_port);
        memcpy(address->octets, &in.sin_addr, 4);
    } else if (from->sa_family == AF_INET6) {
        memcpy(&in6, from, sizeof in6);
        address_set_in6(address, &in6);
    }
}

bool address_is_local(const struct address *address)
{
    if (address->family == AF_INET6)
        return memcmp(address->octets, &in6addr_loopback, sizeof in6addr_loopback) == 0;
    return address->family == AF_UNIX || (address->family == AF_INET && address->octets[0] == IN_LOOPBACKNET);
}

bool address_of_peer(int fd, struct address *ret_address)
{
    struct sockaddr_storage peer = { 0 };
    socklen_t len = sizeof peer;
    if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0)
        return false;
    address_set(ret_address, (const struct sockaddr *)&peer);
    return true;
}

socklen_t address_get(const struct address *address, struct sockaddr_storage *ret_sockaddr)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(address->port) };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(address->port) };

    memset(ret_sockaddr, 0, sizeof *ret_sockaddr);
    if (address->family == AF_INET) {
        memcpy(&in.sin_addr, address->octets, sizeof in.sin_addr);
        memcpy(ret_sockaddr, &in, sizeof in);
        return sizeof in;
    }
    memcpy(&in6.sin6_addr, address->octets, sizeof in6.sin6_addr);
    memcpy(ret_sockaddr, &in6, sizeof in6);
    return sizeof in6;
}

void address_set_raw(struct address *address, int family, const uint8_t *octets, uint16_t port)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

    if (family == AF_INET) {
        memcpy(&in.sin_addr, octets, 4);
        address_set(address, (const struct sockaddr *)&in);
    } else {
        memcpy(&in6.sin6_addr, octets, 16);
        address_set(address, (const struct sockaddr *)&in6);
    }
}

bool address_read_host(struct imapstate_span field, int family, uint8_t ret_octets[16])
{
    char text[INET6_ADDRSTRLEN] = { 0 };

    if (field.len == 0 || field.len >= sizeof text || memchr(field.at, 0, field.len))
        return false;
    memcpy(text, field.at, field.len);
    return inet_pton(family, text, ret_octets) == 1;
}

bool address_read_port(struct imapstate_span field, uint16_t *ret_port)
{
    uint32_t port = 0;

    if (field.len == 0 || field.len > 5 || (field.len > 1 && field.at[0] == '0'))
        return false;
    for (size_t i = 0; i < field.len; i++) {
        if (field.at[i] < '0' || field.at[i] > '9')
            return false;
        port = port * 10 + (field.at[i] - '0');
    }
    if (port > UINT16_MAX)
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

/* By hand, as is IPv4 below: each line of the log has addresses, and inet_ntop() and printf() take a thousand
 * instructions for each. Returns its end. */
static char *address_put_number(char *at, unsigned number)
{
    char digits[10];
    size_t len = 0;
    do
        digits[len++] = (char)('0' + number % 10);
    while (number /= 10);
    while (len > 0)
        *at++ = digits[--len];
    return at;
}

static char *address_put_ipv4(char *at, const uint8_t octets[4])
{
    for (size_t i = 0; i < 4; i++) {
        at = address_put_number(at, octets[i]);
        *at++ = i < 3 ? '.' : '\0';
    }
    return at - 1;
}

const char *address_text(const struct address *address, char ret_text[ADDRESS_TEXT_MAX])
{
    if (address->family == AF_INET)
        address_put_ipv4(ret_text, address->octets);
    else if (address->family == AF_UNIX || !inet_ntop(address->family, address->octets, ret_text, ADDRESS_TEXT_MAX))
        snprintf(ret_text, ADDRESS_TEXT_MAX, "unix");
    return ret_text;
}

const char *address_text_with_port(const struct address *address, char ret_text[ADDRESS_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN];
    if (address->family == AF_INET) {
        char *at = address_put_ipv4(ret_text, address->octets);
        *at++ = ':';
        *address_put_number(at, address->port) = '\0';
    } else if (address->family == AF_INET6 && inet_ntop(AF_INET6, address->octets, host, sizeof host)) {
        snprintf(ret_text, ADDRESS_TEXT_MAX, "[%s]:%u", host, address->port);
    } else {
        snprintf(ret_text, ADDRESS_TEXT_MAX, "unix");
    }
    return ret_text;
}
