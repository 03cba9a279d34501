/* address: a socket address in 20 octets, and as words. */
#ifndef GATEWAY_ADDRESS_H
#define GATEWAY_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* family is AF_INET, AF_INET6 or AF_UNIX (then there is nothing else). An IPv4-mapped IPv6 address is kept as IPv4. */
struct address {
    uint16_t family;
    uint16_t port; /* host order */
    uint8_t octets[16];
};

#define ADDRESS_TEXT_MAX 64u

void address_set(struct address *address, const struct sockaddr *from);

/* Without port: "192.0.2.7", "2001:db8::7", "unix". Returns ret_text. */
const char *address_text(const struct address *address, char ret_text[ADDRESS_TEXT_MAX]);

/* With port: "192.0.2.7:50122", "[2001:db8::7]:50122", "unix". Returns ret_text. */
const char *address_text_with_port(const struct address *address, char ret_text[ADDRESS_TEXT_MAX]);

#endif
