/* peers: how many connections there are, in all and from each client address, and how many of these are newcomers; the
 * IPv6 addresses of one /64 count as one. Shared by all workers. */
#ifndef IO_PEERS_H
#define IO_PEERS_H

#include "address.h"

enum peers_result { PEERS_OK, PEERS_FULL, PEERS_ADDRESS_FULL, PEERS_NEWCOMERS_FULL, PEERS_NO_MEMORY };

/* What a connection is counted as. */
struct peers_place {
    struct address address;
    bool is_newcomer; /* it has not begun to log in, and nobody trusts where it comes from */
};

struct peers_limits {
    unsigned max;                       /* in all */
    unsigned max_per_address;           /* 0: no limit, as for newcomers */
    unsigned max_newcomers_per_address; /* AF_UNIX peers have neither */
};

/* Counts a connection in. Only PEERS_OK has counted; PEERS_FULL means that its address had room. */
enum peers_result peers_add(const struct peers_place *place, const struct peers_limits *limits);

/* A connection that was counted in turns out to come from another address (PROXY header). Only PEERS_OK has moved it,
 * and changed place. limits->max is nothing to it. */
enum peers_result peers_move(struct peers_place *place, const struct peers_place *to,
                             const struct peers_limits *limits);

/* It begins to log in, or is back before that: then no limit sends it away. Changes place. */
void peers_set_newcomer(struct peers_place *place, bool is_newcomer);

/* Counts it out again. */
void peers_remove(const struct peers_place *place);

unsigned peers_count(void);

#endif
