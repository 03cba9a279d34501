/* dns: asks the hosts file and the name servers of resolv.conf for what the resolver wants, with c-ares, on one event
 * loop: the janitor's. There is one per process, so that only one thread uses c-ares.
 *
 * The hosts file comes first; if a name is in there, nobody else is asked. Otherwise the name servers are asked for
 * both families at once, for the name as it is and with the domains of "search" in resolv.conf, as the C library does.
 * For a service (RFC 2782) only name servers are asked, for its name as it is. An answer that was cut off is asked for
 * again over TCP.
 * Once one family has addresses, the other is only waited for briefly: some servers never answer for AAAA. */
#ifndef IO_DNS_H
#define IO_DNS_H

struct dns;
struct loop;

/* A name has lost an address that it had. */
typedef void dns_callback(const char *name);

/* NULL if out of memory or descriptors. Call it before the loop's thread begins. */
struct dns *dns_new(struct loop *loop, dns_callback *moved);

/* Call it when the loop's thread has ended. Accepts NULL. */
void dns_free(struct dns *dns);

#endif
