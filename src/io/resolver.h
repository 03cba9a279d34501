/* resolver: which addresses the names of upstreams have, and which hosts offer a service. Shared by all workers, so
 * that what one has learned serves all, and an outage of the name servers hits all of them alike.
 *
 * It asks nobody itself. One asks and all are told: a name that has to be asked for is wanted, the asker (dns.h) takes
 * it and returns what it has learned, and loop_poke_all() tells those who wait. An answer is kept for its TTL. After
 * that, the next one to look up the name waits for a new answer, but not long: if the name servers fail or are slow,
 * the last known addresses stay in use for as long as that lasts (RFC 8767). "The name does not exist" and "it has no
 * address" are answers too, and replace what was known.
 *
 * The two families are learned separately, as name servers may fail for only one of them; what was known of that one
 * then stays.
 *
 * A service ("srv:_imaps._tcp.example.org", RFC 2782) is a name too. What it leads to are targets, each a host and a
 * port, and the hosts are looked up as names of their own. */
#ifndef IO_RESOLVER_H
#define IO_RESOLVER_H

#include <stdbool.h>
#include <stdint.h>

#include "address.h"
#include "endpoint.h"

#define RESOLVER_NAME_MAX 256u

/* How many addresses of one family of one name are kept; others are never connected to. */
#define RESOLVER_FAMILY_MAX    32u
#define RESOLVER_ADDRESSES_MAX (2 * RESOLVER_FAMILY_MAX)

/* What a service's text begins with, which no host name has. */
#define RESOLVER_SERVICE ENDPOINT_SERVICE

/* How many targets of a service are kept. */
#define RESOLVER_TARGETS_MAX 32u

/* How long to wait for a new answer if there is an older one. */
#define RESOLVER_PATIENCE_MS 1000u

/* When to ask again for a name that could not be resolved, or has no address. */
#define RESOLVER_RETRY_MS 1000u

/* An answer is not kept longer than this, whatever its TTL: somebody's mistake must not last for days. */
#define RESOLVER_TTL_MAX_S 3600u

/* What is in the hosts file is true until the file changes. */
#define RESOLVER_TTL_FOREVER UINT32_MAX

enum resolver_finding {
    RESOLVER_FAILED, /* there was no usable answer */
    RESOLVER_NONE,   /* the name does not exist, or has no address of the family */
    RESOLVER_FOUND,
};

/* A set of addresses, in the order in which they came. */
struct resolver_family {
    enum resolver_finding finding;
    unsigned count;
    bool has_more; /* than are kept: an address that is missing may still belong to the name */
    uint32_t ttl_s;
    struct address addresses[RESOLVER_FAMILY_MAX]; /* port 0 */
};

enum { RESOLVER_IPV6, RESOLVER_IPV4, RESOLVER_FAMILIES };

struct resolver_target {
    char host[RESOLVER_NAME_MAX];
    uint16_t port, priority, weight;
};

struct resolver_targets {
    enum resolver_finding finding;
    unsigned count;
    bool has_more; /* than are kept */
    uint32_t ttl_s;
    struct resolver_target at[RESOLVER_TARGETS_MAX];
};

struct resolver_answer {
    struct resolver_family families[RESOLVER_FAMILIES];
    struct resolver_targets *targets; /* of a service; borrowed. Else NULL */
    const char *why;                  /* static; why there is no address */
};

/* --- for those who connect --- */

enum resolver_result {
    RESOLVER_KNOWN,   /* *ret_addresses has at least one */
    RESOLVER_ASKED,   /* look again when loop_poke_all() tells you, and after RESOLVER_PATIENCE_MS */
    RESOLVER_UNKNOWN, /* see ret_addresses->why */
};

/* IPv6 and IPv4 alternate; in each family the next lookup begins with the next address, like the answers of a name
 * server. */
struct resolver_addresses {
    unsigned count;
    const char *why; /* static */
    struct address addresses[RESOLVER_ADDRESSES_MAX];
};

/* For one lookup; zero except is_scouting and is_peeking before the first call. Those who have waited get the answer,
 * even if its TTL is 0. */
struct resolver_wait {
    bool is_scouting; /* takes nobody's turn: it looks at the address that the next session will have */
    bool is_peeking;  /* asks nobody: what is known, however old it is */
    bool is_waiting;
    uint32_t round;
};

enum resolver_result resolver_look_up(const char *name, uint16_t port, struct resolver_wait *wait, uint64_t now_ms,
                                      struct resolver_addresses *ret_addresses);

/* The same for a service. UNKNOWN: ret_targets is empty, and *ret_why tells why. */
enum resolver_result resolver_look_up_service(const char *service, struct resolver_wait *wait, uint64_t now_ms,
                                              struct resolver_targets *ret_targets, const char **ret_why);

/* --- for who looks after parked connections --- */

/* If the name's TTL is over, it is asked for again, and so are a service's hosts. A name that nobody has looked up yet
 * is not. */
void resolver_refresh(const char *name, uint64_t now_ms);

/* As far as is known, does the name lead to address, whatever its port? A service does to its ports only. */
bool resolver_leads_to(const char *name, const struct address *address);

/* --- what makes everything be asked for again --- */

/* All names are asked for again at once, and answers to earlier questions are ignored. */
void resolver_renew(uint64_t now_ms);

/* The same if resolv.conf or the hosts file has changed since the last call. Cheap enough for every login. */
void resolver_watch(uint64_t now_ms);

/* A reload: names that are no longer wanted are forgotten, but for the hosts of services that are. is_wanted is called
 * under the resolver's lock. */
void resolver_configure(bool (*is_wanted)(const void *arg, const char *name), const void *arg);

/* Forgets everything, at the end. */
void resolver_done(void);

/* --- for the asker --- */

/* wake is called, under the resolver's lock and from any thread, whenever a name is wanted; NULL: nobody is. */
void resolver_set_asker(void (*wake)(void *arg), void *arg);

/* Goes up with each resolver_renew(): name servers and hosts file have to be read again. */
uint32_t resolver_era(void);

/* The next name that is wanted in this era; it counts as asked for until it is learned or everything is renewed. False:
 * none, or another era has begun, in which wake has been called. */
bool resolver_take_wanted(uint32_t era, char ret_name[RESOLVER_NAME_MAX]);

/* Puts an address into a family that has been found; once only. */
void resolver_add(struct resolver_family *family, const struct address *address);

/* Adds a target; once only. */
void resolver_add_target(struct resolver_targets *targets, const struct resolver_target *target);

/* An answer to a question that was taken in era. True: the name has lost an address that it had, or the service a
 * target. */
bool resolver_learn(const char *name, uint32_t era, const struct resolver_answer *answer, uint64_t now_ms);

#endif
