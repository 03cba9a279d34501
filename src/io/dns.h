/* dns: asks the hosts file and the name servers of resolv.conf for what the resolver wants, by c-ares, on one event
 * loop: the janitor's. There is one for the process, so that c-ares is used by one thread only.
 *
 * The hosts file comes first, and what stands there is all there is. Then the name servers are asked for both families
 * at a time, for the name as it is and with the domains of resolv.conf's "search", as the C library does. Once one
 * family has addresses the other is waited for only a moment: some servers never answer for AAAA. */
#ifndef IO_DNS_H
#define IO_DNS_H

struct dns;
struct loop;

/* A name has lost an address that it had. */
typedef void dns_callback(const char *name);

/* NULL if memory or descriptors are out. Before the loop's thread begins. */
struct dns *dns_new(struct loop *loop, dns_callback *moved);

/* When the loop's thread has ended. Accepts NULL. */
void dns_free(struct dns *dns);

#endif
