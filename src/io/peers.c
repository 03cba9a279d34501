#include "peers.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Without this uthash ends the process when memory is out; with it, the peer is left out of the table. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct peer {
    struct address network; /* the key; port 0 */
    unsigned count;         /* its connections; never 0 */
    unsigned newcomers;     /* among them */
    UT_hash_handle hh;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct peer *peers; /* guarded by lock, as is total */
static unsigned total;

/* RFC 4291 section 2.5.1: the lower 64 bits are the interface's, so that one host has as many IPv6 addresses as it
 * likes. */
#define INTERFACE_ID_OCTETS 8

struct address peers_network(const struct address *address)
{
    struct address network = *address;

    network.port = 0; /* each connection of a client has another */
    if (network.family == AF_INET6)
        memset(network.octets + sizeof network.octets - INTERFACE_ID_OCTETS, 0, INTERFACE_ID_OCTETS);
    return network;
}

/* Guarded by lock. NULL if the address has no connection. */
static struct peer *peer_find(const struct address *address)
{
    struct address key = peers_network(address);
    struct peer *peer;

    HASH_FIND(hh, peers, &key, sizeof key, peer);
    return peer;
}

/* Guarded by lock. NULL if memory is out. */
static struct peer *peer_new(const struct address *address)
{
    struct peer *peer = calloc(1, sizeof *peer);

    if (!peer)
        return NULL;
    peer->network = peers_network(address);
    HASH_ADD(hh, peers, network, sizeof peer->network, peer);
    if (!peer->hh.tbl) {
        free(peer);
        return NULL;
    }
    return peer;
}

/* Guarded by lock. Has the address room for one more? */
static enum peers_result peer_may_add(const struct peers_place *place, const struct peers_limits *limits)
{
    const struct peer *peer = peer_find(&place->address);

    if (!peer)
        return PEERS_OK;
    if (limits->max_per_address && peer->count >= limits->max_per_address)
        return PEERS_ADDRESS_FULL;
    if (place->is_newcomer && limits->max_newcomers_per_address && peer->newcomers >= limits->max_newcomers_per_address)
        return PEERS_NEWCOMERS_FULL;
    return PEERS_OK;
}

/* Guarded by lock. */
static enum peers_result peer_add(const struct peers_place *place)
{
    struct peer *peer = peer_find(&place->address);

    if (!peer)
        peer = peer_new(&place->address);
    if (!peer)
        return PEERS_NO_MEMORY;
    peer->count++;
    peer->newcomers += place->is_newcomer;
    return PEERS_OK;
}

static bool peers_count_address(const struct peers_place *place)
{
    return place->address.family != AF_UNIX;
}

enum peers_result peers_add(const struct peers_place *place, const struct peers_limits *limits)
{
    enum peers_result result = PEERS_OK;

    pthread_mutex_lock(&lock);
    if (peers_count_address(place))
        result = peer_may_add(place, limits);
    if (result == PEERS_OK && total >= limits->max)
        result = PEERS_FULL;
    if (result == PEERS_OK && peers_count_address(place))
        result = peer_add(place);
    if (result == PEERS_OK)
        total++;
    pthread_mutex_unlock(&lock);
    return result;
}

/* Guarded by lock. */
static void peer_remove(const struct peers_place *place)
{
    struct peer *peer = peer_find(&place->address);

    assert(peer);
    peer->newcomers -= place->is_newcomer;
    if (--peer->count)
        return;
    HASH_DEL(peers, peer);
    free(peer);
}

void peers_remove(const struct peers_place *place)
{
    pthread_mutex_lock(&lock);
    assert(total > 0);
    total--;
    if (peers_count_address(place))
        peer_remove(place);
    pthread_mutex_unlock(&lock);
}

void peers_set_newcomer(struct peers_place *place, bool is_newcomer)
{
    if (place->is_newcomer == is_newcomer)
        return;
    pthread_mutex_lock(&lock);
    struct peer *peer = peers_count_address(place) ? peer_find(&place->address) : NULL;
    if (peer)
        peer->newcomers += is_newcomer ? 1u : -1u;
    pthread_mutex_unlock(&lock);
    place->is_newcomer = is_newcomer;
}

static bool peers_are_one(const struct address *one, const struct address *other)
{
    struct address a = peers_network(one), b = peers_network(other);

    return memcmp(&a, &b, sizeof a) == 0;
}

enum peers_result peers_move(struct peers_place *place, const struct peers_place *to, const struct peers_limits *limits)
{
    enum peers_result result = PEERS_OK;

    if (peers_are_one(&place->address, &to->address)) {
        peers_set_newcomer(place, to->is_newcomer);
        *place = *to;
        return PEERS_OK;
    }
    pthread_mutex_lock(&lock);
    if (peers_count_address(to))
        result = peer_may_add(to, limits);
    if (result == PEERS_OK && peers_count_address(to))
        result = peer_add(to);
    if (result == PEERS_OK && peers_count_address(place))
        peer_remove(place);
    pthread_mutex_unlock(&lock);
    if (result == PEERS_OK)
        *place = *to;
    return result;
}

unsigned peers_count(void)
{
    pthread_mutex_lock(&lock);
    unsigned count = total;
    pthread_mutex_unlock(&lock);
    return count;
}
