#include "network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned network_bits_max(const struct network *network)
{
    return network->address.family == AF_INET ? 32 : 128;
}

static bool network_has_bits_behind_prefix(const struct network *network)
{
    for (unsigned bit = network->prefix_bits; bit < network_bits_max(network); bit++)
        if (network->address.octets[bit / 8] & (0x80u >> bit % 8))
            return true;
    return false;
}

static bool network_set_prefix(struct network *network, const char *digits)
{
    unsigned bits = 0;
    if (*digits == '\0')
        return false;
    for (; *digits >= '0' && *digits <= '9' && bits <= network_bits_max(network); digits++)
        bits = bits * 10 + (unsigned)(*digits - '0');
    network->prefix_bits = bits;
    return *digits == '\0' && bits <= network_bits_max(network);
}

const char *network_parse(const char *text, struct network *ret_network)
{
    struct network network = { .address = { .family = AF_UNIX } };
    if (strcmp(text, "unix") != 0) {
        char host[INET6_ADDRSTRLEN] = "";
        size_t len = strcspn(text, "/");
        if (len < sizeof host)
            memcpy(host, text, len);
        network.address.family = strchr(host, ':') ? AF_INET6 : AF_INET;
        if (inet_pton(network.address.family, host, network.address.octets) != 1)
            return "write it as \"10.0.0.0/8\", \"2001:db8::/32\", \"192.0.2.1\" or \"unix\"";
        if (network.address.family == AF_INET6 &&
            IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)network.address.octets))
            return "an IPv4 network is written as IPv4";
        network.prefix_bits = network_bits_max(&network);
        if (text[len] == '/' && !network_set_prefix(&network, text + len + 1))
            return "the number after \"/\" is not a prefix length";
        if (network_has_bits_behind_prefix(&network))
            return "its address has bits set beyond the prefix";
    }
    *ret_network = network;
    return NULL;
}

const char *network_text(const struct network *network, char ret_text[NETWORK_TEXT_MAX])
{
    char address[ADDRESS_TEXT_MAX];
    address_text(&network->address, address);
    if (network->address.family == AF_UNIX || network->prefix_bits == network_bits_max(network))
        snprintf(ret_text, NETWORK_TEXT_MAX, "%s", address);
    else
        snprintf(ret_text, NETWORK_TEXT_MAX, "%s/%u", address, network->prefix_bits);
    return ret_text;
}

bool network_holds(const struct network *network, const struct address *address)
{
    if (network->address.family != address->family)
        return false;
    unsigned whole = network->prefix_bits / 8;
    unsigned rest = network->prefix_bits % 8;
    if (memcmp(network->address.octets, address->octets, whole) != 0)
        return false;
    return rest == 0 || (network->address.octets[whole] ^ address->octets[whole]) >> (8 - rest) == 0;
}

bool networks_hold(const struct networks *networks, const struct address *address)
{
    for (size_t i = 0; i < networks->count; i++)
        if (network_holds(&networks->at[i], address))
            return true;
    return false;
}
