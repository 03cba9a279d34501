/* peers: how many connections there are, in total and from each client address, and how many of these are newcomers.
 * The IPv6 addresses of one /64 count as one. Shared by all workers. */
#ifndef IO_PEERS_H
#define IO_PEERS_H

#include "address.h"

enum peers_result { PEERS_OK, PEERS_FULL, PEERS_ADDRESS_FULL, PEERS_NEWCOMERS_FULL, PEERS_NO_MEMORY };

/* What counts as one with it: without its port and, if it is IPv6, with its /64 alone. */
struct address peers_network(const struct address *address);

/* What a connection is counted as. */
struct peers_place {
    struct address address;
    bool is_newcomer; /* it has not begun to log in, and does not come from a trusted place */
};

struct peers_limits {
    unsigned max;                       /* in all */
    unsigned max_per_address;           /* 0: no limit; the same for newcomers */
    unsigned max_newcomers_per_address; /* neither applies to AF_UNIX peers */
};

/* Counts a connection. It is only counted on PEERS_OK; PEERS_FULL means that its address had room. */
enum peers_result peers_add(const struct peers_place *place, const struct peers_limits *limits);

/* A counted connection turns out to come from another address (PROXY header). Only PEERS_OK has moved it, and changed
 * place. limits->max does not matter here. */
enum peers_result peers_move(struct peers_place *place, const struct peers_place *to,
                             const struct peers_limits *limits);

/* It begins to log in, or is back before its login: then no limit sends it away. Changes place. */
void peers_set_newcomer(struct peers_place *place, bool is_newcomer);

/* Uncounts it. */
void peers_remove(const struct peers_place *place);

unsigned peers_count(void);

#endif
