#include "routecache.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* Without this uthash ends the process when memory is out. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "address.h"
#include "config.h"
#include "routeanswer.h"

#define KEY_OCTETS 32u

struct entry {
    UT_hash_handle hh; /* in the order in which they were put */
    uint64_t good_until_ms;
    uint8_t key[KEY_OCTETS];
    char *server;
    size_t user_len;
    char user[];
};

static pthread_mutex_t cache_lock = PTHREAD_MUTEX_INITIALIZER;
static struct entry *entries;

static void cache_key(const struct config_route_http *http, struct imapstate_span user, const struct address *client,
                      uint8_t ret_key[KEY_OCTETS])
{
    const uint8_t between = 0; /* is in no URL */
    struct address address = *client;
    address.port = 0;
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, KEY_OCTETS);
    crypto_generichash_update(&state, (const uint8_t *)http->url, strlen(http->url));
    crypto_generichash_update(&state, &between, 1);
    crypto_generichash_update(&state, (const uint8_t *)&address, sizeof address);
    crypto_generichash_update(&state, user.at, user.len);
    crypto_generichash_final(&state, ret_key, KEY_OCTETS);
}

static void cache_drop(struct entry *entry)
{
    HASH_DEL(entries, entry);
    free(entry->server);
    free(entry);
}

bool routecache_find(const struct config_route_http *http, struct imapstate_span user, const struct address *client,
                     uint64_t now_ms, struct routeanswer *ret_answer)
{
    uint8_t key[KEY_OCTETS];
    struct entry *entry;
    cache_key(http, user, client, key);
    pthread_mutex_lock(&cache_lock);
    HASH_FIND(hh, entries, key, sizeof key, entry);
    bool is_good = entry && now_ms < entry->good_until_ms;
    if (is_good) {
        *ret_answer = (struct routeanswer){ .user_len = entry->user_len };
        snprintf(ret_answer->server, sizeof ret_answer->server, "%s", entry->server);
        memcpy(ret_answer->user, entry->user, entry->user_len);
    }
    pthread_mutex_unlock(&cache_lock);
    return is_good;
}

static struct entry *entry_new(const struct routeanswer *answer)
{
    struct entry *entry = calloc(1, sizeof *entry + answer->user_len);
    char *server = strdup(answer->server);
    if (!entry || !server) {
        free(entry);
        free(server);
        return NULL;
    }
    entry->server = server;
    entry->user_len = answer->user_len;
    memcpy(entry->user, answer->user, answer->user_len);
    return entry;
}

/* Takes entry. */
static void cache_add(struct entry *entry)
{
    struct entry *before;
    HASH_FIND(hh, entries, entry->key, KEY_OCTETS, before);
    if (before)
        cache_drop(before);
    else if (HASH_COUNT(entries) >= ROUTECACHE_MAX)
        cache_drop(entries); /* the oldest is the first */
    HASH_ADD(hh, entries, key, KEY_OCTETS, entry);
    if (entry->hh.tbl)
        return;
    free(entry->server);
    free(entry);
}

void routecache_put(const struct config_route_http *http, struct imapstate_span user, const struct address *client,
                    uint64_t now_ms, const struct routeanswer *answer)
{
    struct entry *entry = http->cache_ms > 0 ? entry_new(answer) : NULL;
    if (!entry)
        return;
    entry->good_until_ms = now_ms + http->cache_ms;
    cache_key(http, user, client, entry->key);
    pthread_mutex_lock(&cache_lock);
    cache_add(entry);
    pthread_mutex_unlock(&cache_lock);
}

void routecache_forget(void)
{
    pthread_mutex_lock(&cache_lock);
    while (entries)
        cache_drop(entries);
    pthread_mutex_unlock(&cache_lock);
}
