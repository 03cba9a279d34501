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
    UT_hash_handle hh;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct peer *peers; /* guarded by lock, as is total */
static unsigned total;

/* RFC 4291 section 2.5.1: the lower 64 bits are the interface's, so that one host has as many IPv6 addresses as it
 * likes. */
#define INTERFACE_ID_OCTETS 8

static struct address peer_network(const struct address *address)
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
    struct address key = peer_network(address);
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
    peer->network = peer_network(address);
    HASH_ADD(hh, peers, network, sizeof peer->network, peer);
    if (!peer->hh.tbl) {
        free(peer);
        return NULL;
    }
    return peer;
}

/* Guarded by lock. */
static enum peers_result peer_add(const struct address *address, unsigned max_per_address)
{
    struct peer *peer = peer_find(address);

    if (peer && max_per_address && peer->count >= max_per_address)
        return PEERS_ADDRESS_FULL;
    if (!peer)
        peer = peer_new(address);
    if (!peer)
        return PEERS_NO_MEMORY;
    peer->count++;
    return PEERS_OK;
}

enum peers_result peers_add(const struct address *address, unsigned max, unsigned max_per_address)
{
    enum peers_result result = PEERS_OK;

    pthread_mutex_lock(&lock);
    if (total >= max)
        result = PEERS_FULL;
    else if (address->family != AF_UNIX)
        result = peer_add(address, max_per_address);
    if (result == PEERS_OK)
        total++;
    pthread_mutex_unlock(&lock);
    return result;
}

/* Guarded by lock. */
static void peer_remove(const struct address *address)
{
    struct peer *peer = peer_find(address);

    assert(peer);
    if (--peer->count)
        return;
    HASH_DEL(peers, peer);
    free(peer);
}

void peers_remove(const struct address *address)
{
    pthread_mutex_lock(&lock);
    assert(total > 0);
    total--;
    if (address->family != AF_UNIX)
        peer_remove(address);
    pthread_mutex_unlock(&lock);
}

enum peers_result peers_move(const struct address *from, const struct address *to, unsigned max_per_address)
{
    enum peers_result result = PEERS_OK;

    struct address old = peer_network(from), new = peer_network(to);
    if (memcmp(&old, &new, sizeof old) == 0)
        return PEERS_OK;
    pthread_mutex_lock(&lock);
    if (to->family != AF_UNIX)
        result = peer_add(to, max_per_address);
    if (result == PEERS_OK && from->family != AF_UNIX)
        peer_remove(from);
    pthread_mutex_unlock(&lock);
    return result;
}

unsigned peers_count(void)
{
    pthread_mutex_lock(&lock);
    unsigned count = total;
    pthread_mutex_unlock(&lock);
    return count;
}
