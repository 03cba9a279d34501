/* resolver: which addresses the names of upstreams have. Shared by all workers, so that what one has learned serves
 * all, and an outage of the name servers hits none that others are spared.
 *
 * It asks nobody itself. One asks, all hear: a name that has to be asked for is wanted, the asker (dns.h) takes it and
 * brings what it has learned, and loop_poke_all() tells those who wait. An answer is kept for its TTL. When that is
 * over, the next who looks the name up waits for a new answer, but not long: if the name servers fail or dally, the
 * last known addresses go on being used, for as long as that lasts (RFC 8767). That a name does not exist, or has no
 * address, is an answer as well, and ends what was known.
 *
 * Each of the two families is learned by itself, as name servers may fail for one of them only; what was known of that
 * one then stays. */
#ifndef IO_RESOLVER_H
#define IO_RESOLVER_H

#include <stdbool.h>
#include <stdint.h>

#include "address.h"

#define RESOLVER_NAME_MAX 256u

/* Addresses of one family of one name that are kept; what is beyond is never connected to. */
#define RESOLVER_FAMILY_MAX    32u
#define RESOLVER_ADDRESSES_MAX (2 * RESOLVER_FAMILY_MAX)

/* How long a new answer is waited for where there is an older one. */
#define RESOLVER_PATIENCE_MS 1000u

/* When a name is asked for again that could not be resolved, or has no address. */
#define RESOLVER_RETRY_MS 1000u

/* An answer is not kept longer, whatever its TTL: a mistake of somebody's must not last for days. */
#define RESOLVER_TTL_MAX_S 3600u

/* What stands in the hosts file is true until the file changes. */
#define RESOLVER_TTL_FOREVER UINT32_MAX

enum resolver_finding {
    RESOLVER_FAILED, /* nobody has said anything that could be used */
    RESOLVER_NONE,   /* the name does not exist, or has no address of the family */
    RESOLVER_FOUND,
};

/* A set, in the order in which they came. */
struct resolver_family {
    enum resolver_finding finding;
    unsigned count;
    bool has_more; /* than are kept: an address that is missing may be one of the name's all the same */
    uint32_t ttl_s;
    struct address addresses[RESOLVER_FAMILY_MAX]; /* port 0 */
};

enum { RESOLVER_IPV6, RESOLVER_IPV4, RESOLVER_FAMILIES };

struct resolver_answer {
    struct resolver_family families[RESOLVER_FAMILIES];
    const char *why; /* static; why there is no address */
};

/* --- for those who connect --- */

enum resolver_result {
    RESOLVER_KNOWN,   /* *ret_addresses has one at least */
    RESOLVER_ASKED,   /* look again when loop_poke_all() tells, and after RESOLVER_PATIENCE_MS */
    RESOLVER_UNKNOWN, /* ret_addresses->why tells */
};

/* IPv6 and IPv4 in turn; in each family the next lookup begins with the next address, as the answers of a name server
 * do. */
struct resolver_addresses {
    unsigned count;
    const char *why; /* static */
    struct address addresses[RESOLVER_ADDRESSES_MAX];
};

/* A lookup's, zero but for is_scouting before the first call. Whoever has waited hears the answer, be its TTL 0. */
struct resolver_wait {
    bool is_scouting; /* takes nobody's turn: it looks at what the next session will have */
    bool is_waiting;
    uint32_t round;
};

enum resolver_result resolver_look_up(const char *name, uint16_t port, struct resolver_wait *wait, uint64_t now_ms,
                                      struct resolver_addresses *ret_addresses);

/* --- for who looks after parked connections --- */

/* The name's TTL is over: it is asked for again. A name that nobody has looked up yet is not. */
void resolver_refresh(const char *name, uint64_t now_ms);

/* Does the name, as far as is known, lead to address, whatever its port? */
bool resolver_leads_to(const char *name, const struct address *address);

/* --- what makes everything be asked for again --- */

/* All names are asked for again at once, and what answers to earlier questions is not heard. */
void resolver_renew(uint64_t now_ms);

/* The same if resolv.conf or the hosts file is another than at the last call. Cheap enough for every login. */
void resolver_watch(uint64_t now_ms);

/* A reload: names that are not wanted any more are forgotten. is_wanted is called under the resolver's lock. */
void resolver_configure(bool (*is_wanted)(const void *arg, const char *name), const void *arg);

/* Forgets everything, at the end. */
void resolver_done(void);

/* --- for the asker --- */

/* Who is called, under the resolver's lock and from any thread, whenever a name is wanted; NULL: nobody. */
void resolver_set_asker(void (*wake)(void *arg), void *arg);

/* The next name that is wanted; it is taken to be asked for until it is learned or all is renewed. False: none. */
bool resolver_take_wanted(char ret_name[RESOLVER_NAME_MAX], uint32_t *ret_era);

/* Goes up with each resolver_renew(): name servers and hosts file are to be read anew. */
uint32_t resolver_era(void);

/* Puts an address into a family that has been found; once only. */
void resolver_add(struct resolver_family *family, const struct address *address);

/* An answer to a question that was taken in era. True: the name has lost an address that it had. */
bool resolver_learn(const char *name, uint32_t era, const struct resolver_answer *answer, uint64_t now_ms);

#endif
