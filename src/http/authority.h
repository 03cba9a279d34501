/* authority: the name by which whoever asks has reached us (RFC 9110 section 7.2, Host), and whether it may be ours.
 *
 * A web site can let a name of its own lead to any address, also to 127.0.0.1 and to those of a network that it cannot
 * reach itself, and a browser there then takes what it reads here for that site's own ("DNS rebinding"). Such a name is
 * a domain's. So names with a dot are only taken if they are known to be ours. */
#ifndef HTTP_AUTHORITY_H
#define HTTP_AUTHORITY_H

#include <stdbool.h>
#include <stddef.h>

/* host: the header's value; NULL: there is none, so it is no browser that asks. Taken are IP addresses, names without a
 * dot, the name of this host, and those in names; with a port or without, in letters of either case. */
bool authority_is_ours(const char *host, char *const *names, size_t count);

#endif
