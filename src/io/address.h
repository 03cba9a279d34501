/* address: a socket address in 20 octets, and as text. */
#ifndef IO_ADDRESS_H
#define IO_ADDRESS_H

#include <imapstate/span.h>
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

/* Is it this host's own: loopback, or a unix socket? */
bool address_is_local(const struct address *address);

/* Where the other end of a socket is. False: it is not connected. */
bool address_of_peer(int fd, struct address *ret_address);

/* The reverse; not for AF_UNIX. Returns its length. */
socklen_t address_get(const struct address *address, struct sockaddr_storage *ret_sockaddr);

/* From the octets of an AF_INET (4) or AF_INET6 (16) address. */
void address_set_raw(struct address *address, int family, const uint8_t *octets, uint16_t port);

/* From text in the form of inet_pton(3): the octets of an address of this family. */
bool address_read_host(struct imapstate_span text, int family, uint8_t ret_octets[16]);

/* From text: decimal, no leading zero, at most 65535. */
bool address_read_port(struct imapstate_span text, uint16_t *ret_port);

/* Without port: "192.0.2.7", "2001:db8::7", "unix". Returns ret_text. */
const char *address_text(const struct address *address, char ret_text[ADDRESS_TEXT_MAX]);

/* With port: "192.0.2.7:50122", "[2001:db8::7]:50122", "unix". Returns ret_text. */
const char *address_text_with_port(const struct address *address, char ret_text[ADDRESS_TEXT_MAX]);

#endif
