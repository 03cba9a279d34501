/* introduction: the arguments of the first ID that an upstream gets (RFC 2971): who the client is, by address, and what
 * it said of itself. Dovecot believes x-originating-ip and its like only there, and only from login_trusted_networks.
 */
#ifndef GATEWAY_INTRODUCTION_H
#define GATEWAY_INTRODUCTION_H

#include <imapstate/error.h>
#include <imapstate/span.h>

#include "address.h"

#define INTRODUCTION_MAX 8192u

/* Appends the arguments, "(...)" or "NIL", made of what the client sent as its own ID (arguments as they came; empty if
 * it sent none) and of its address (source NULL: addresses are not passed on). Names that begin with "x-originating-",
 * "x-connected-", "x-forward-", "x-session-" or are "x-proxy-ttl" are taken out of the client's: it must not speak for
 * itself. So are values that no quoted string can carry. IMAPSTATE_SYNTAX: the client's arguments are not those of an
 * ID; NO_MEMORY: too long. */
enum imapstate_error introduction_write(struct imapstate_span client_arguments, const struct address *source,
                                        const struct address *destination, struct imapstate_buf *ret_arguments);

#endif
