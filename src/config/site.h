/* site: an upstream at an address that only a route names: all of its settings hold there, but not its addresses. Made
 * when somebody is first led there, and kept as long as the configuration that it belongs to. For any thread. */
#ifndef CONFIG_SITE_H
#define CONFIG_SITE_H

#include "config.h"

/* The most addresses that routes of one configuration can lead to. */
#define SITES_MAX 4096u

struct sites;
struct sites *sites_new(void);        /* NULL: out of memory */
void sites_free(struct sites *sites); /* accepts NULL */

/* The upstream at the address, "HOST:PORT" (endpoint_split()), without a port at its usual one; borrowed from sites.
 * Without a tls_name of its own the certificate is checked for that host. NULL: out of memory, the address is none, or
 * there are SITES_MAX others. */
const struct config_upstream *sites_get(struct sites *sites, const struct config_upstream *base, const char *address);

#endif
