/* network: a network whose hosts are trusted, as an operator writes it; networks: a list of them. */
#ifndef IO_NETWORK_H
#define IO_NETWORK_H

#include "address.h"

struct network {
    struct address address; /* its port is 0; no bit beyond the prefix is set */
    unsigned prefix_bits;
};

struct networks {
    struct network *at; /* owned; NULL if there is none */
    size_t count;
};

/* From "10.0.0.0/8", "2001:db8::/32", "192.0.2.1", or "unix": every peer of a unix socket. Returns NULL, or what is
 * wrong with the text. */
const char *network_parse(const char *text, struct network *ret_network);

/* Octets of a network as text, including its NUL. */
#define NETWORK_TEXT_MAX (ADDRESS_TEXT_MAX + 4)

/* As network_parse() reads it. Returns ret_text. */
const char *network_text(const struct network *network, char ret_text[NETWORK_TEXT_MAX]);

/* Is the address within it? */
bool network_holds(const struct network *network, const struct address *address);

/* Is it within one of them? */
bool networks_hold(const struct networks *networks, const struct address *address);

#endif
