/* lookup: the addresses of a host, within a time limit. With c-ares, from the hosts file and the name servers, like the
 * gateway (dns.h): what does not resolve here does not resolve there. */
#ifndef CTL_LOOKUP_H
#define CTL_LOOKUP_H

#include <stdint.h>

#include "endpoint.h"

/* Addresses beyond this are not tried. */
#define LOOKUP_MAX 32u

struct lookup {
    struct endpoint endpoints[LOOKUP_MAX];
    unsigned count;
    const char *why; /* static; count 0: why. NULL: the time is up */
};

/* host is a name or an address; port is one. deadline_us is on the monotonic clock. */
void lookup_host(struct lookup *ret_lookup, const char *host, const char *port, uint64_t deadline_us);

#endif
