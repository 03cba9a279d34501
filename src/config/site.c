#include "site.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
/* Without this uthash ends the process when memory is out. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "endpoint.h"

struct site {
    struct config_upstream upstream;
    struct config_member member; /* its only one */
    char *key;                   /* owned */
    UT_hash_handle hh;
};

struct sites {
    pthread_mutex_t lock;
    struct site *all;
};

struct sites *sites_new(void)
{
    struct sites *sites = calloc(1, sizeof *sites);
    if (sites)
        pthread_mutex_init(&sites->lock, NULL);
    return sites;
}

static void site_free(struct site *site)
{
    if (!site)
        return;
    free(site->member.host);
    free(site->member.port);
    free(site->member.text);
    free(site->upstream.site);
    free(site->key);
    free(site);
}

void sites_free(struct sites *sites)
{
    struct site *site, *next;
    if (!sites)
        return;
    HASH_ITER(hh, sites->all, site, next)
    {
        HASH_DEL(sites->all, site);
        site_free(site);
    }
    pthread_mutex_destroy(&sites->lock);
    free(sites);
}

/* text is changed. */
static bool site_set(struct site *site, const struct config_upstream *base, const char *address, char *text)
{
    struct config_member *member = &site->member;
    const char *host, *port;
    if (endpoint_split(text, &host, &port, &member->is_unix))
        return false;
    const char *usual = member->is_unix ? "" : base->tls == CONFIG_TLS_IMPLICIT ? "993" : "143";
    site->upstream.site = strdup(address);
    member->host = strdup(host);
    member->port = strdup(port ? port : usual);
    return site->upstream.site && member->host && member->port && config_name_member(base, member);
}

static struct site *site_new(const struct config_upstream *base, const char *address, char *key)
{
    struct site *site = calloc(1, sizeof *site);
    char *text = strdup(address);
    if (site) {
        site->upstream = *base;
        site->upstream.base = base;
        site->upstream.site = NULL;
        site->upstream.members = &site->member;
        site->upstream.member_count = 1;
    }
    bool is_set = site && text && site_set(site, base, address, text);
    free(text);
    if (is_set) {
        site->key = key;
        return site;
    }
    site_free(site);
    return NULL;
}

/* Takes key. */
static struct site *sites_find(struct sites *sites, const struct config_upstream *base, const char *address, char *key)
{
    struct site *site;
    HASH_FIND_STR(sites->all, key, site);
    if (!site && HASH_COUNT(sites->all) < SITES_MAX && (site = site_new(base, address, key))) {
        HASH_ADD_KEYPTR(hh, sites->all, site->key, strlen(site->key), site);
        if (site->hh.tbl)
            return site;
        site_free(site);
        return NULL;
    }
    free(key);
    return site;
}

const struct config_upstream *sites_get(struct sites *sites, const struct config_upstream *base, const char *address)
{
    size_t size = strlen(base->name) + strlen(address) + 2;
    char *key = malloc(size);
    if (!key)
        return NULL;
    /* In an upstream's name there is no space. */
    snprintf(key, size, "%s %s", base->name, address);
    pthread_mutex_lock(&sites->lock);
    struct site *site = sites_find(sites, base, address, key);
    pthread_mutex_unlock(&sites->lock);
    return site ? &site->upstream : NULL;
}
