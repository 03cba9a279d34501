/* peers: how many connections there are, in all and from each client address; the IPv6 addresses of one /64 count as one.
 * Shared by all workers. */
#ifndef GATEWAY_PEERS_H
#define GATEWAY_PEERS_H

#include "address.h"

enum peers_result { PEERS_OK, PEERS_FULL, PEERS_ADDRESS_FULL, PEERS_NO_MEMORY };

/* Counts a connection in; max_per_address 0 is no limit, and AF_UNIX peers have none. Only PEERS_OK has counted. */
enum peers_result peers_add(const struct address *address, unsigned max, unsigned max_per_address);

/* A connection that was counted in as from one address turns out to come from another (PROXY header). Only PEERS_OK has
 * moved it. */
enum peers_result peers_move(const struct address *from, const struct address *to, unsigned max_per_address);

/* Counts it out again. */
void peers_remove(const struct address *address);

unsigned peers_count(void);

#endif
