/* way: how a password goes to an upstream: by the command LOGIN, or by a mechanism (RFC 9051 sections 6.2.2 and 6.2.3).
 * No I/O.
 *
 * Some servers offer a way, refuse it, and accept the same password by another. Only a login that succeeds can show
 * which: a refusal may just as well be about the password. */
#ifndef IMAP_WAY_H
#define IMAP_WAY_H

#include "capability.h"
#include "sasl.h"

enum way { WAY_LOGIN, WAY_PLAIN, WAY_AUTH_LOGIN, WAY_NONE };
#define WAY_BIT(way) ((uint8_t)(1u << (way)))

/* What logins have shown about a server. All zero: nothing yet. */
struct way_lore {
    _Alignas(4) uint8_t worked; /* WAY_BIT() of the last way by which a password was accepted; 0: none */
    uint8_t broken;             /* set of WAY_BIT(): refused what another way then accepted */
    bool has_admitted;          /* some login has succeeded, even one without a password: refusals are final from then
                                 * on */
};

/* The way for a password: the client's own, if the upstream offers it and it is not known to be broken; else the one
 * that has worked; else the one with the fewest round trips. Never one in refused, a set of WAY_BIT(). WAY_NONE: none
 * is left. */
enum way way_choose(struct way_lore lore, enum way own, const struct sasl_identity *identity,
                    const struct capabilities *offers, uint8_t refused);

/* Does LOGIN have to wait for the "+" of a literal with this string? CR, LF and 8-bit octets can only travel like that.
 * So do quotes and backslashes (DOMAIN\user), as not every server understands an escape in a quoted string. */
bool way_waits(struct imapstate_span string);

/* The lore of one server, shared by all threads; counted. */
struct ways;
struct ways *ways_new(void); /* NULL: out of memory */
struct ways *ways_ref(struct ways *ways);
void ways_unref(struct ways *ways); /* accepts NULL */

struct way_lore ways_lore(const struct ways *ways);

/* A login has succeeded by this way (WAY_NONE: by no password), after those in refused had refused it. */
void ways_admit(struct ways *ways, enum way way, uint8_t refused);

#endif
