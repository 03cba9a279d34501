/* candidates: the addresses that the members of an upstream have, as far as is known, in the order in which they are to
 * be tried. A member that the operator has set down, or that drains, has none (outage.h). */
#ifndef UPSTREAM_CANDIDATES_H
#define UPSTREAM_CANDIDATES_H

#include <imapstate/span.h>

#include "address.h"
#include "config.h"
#include "endpoint.h"
#include "resolver.h"

/* Of an upstream, whatever its members' names lead to; others are never connected to. */
#define CANDIDATES_MAX 128u

/* How long the names of members are waited for when the addresses of others are known. */
#define CANDIDATES_PATIENCE_MS 250u

struct candidate {
    const struct config_member *member; /* borrowed */
    struct address address;             /* AF_UNIX: the member's path */
    uint16_t priority, weight;          /* of "srv:" (RFC 2782); of others 0, 0 */
    bool is_dead;                       /* as it was when they were put in order */
    bool is_again;                      /* it was put off (race.h) */
};

struct candidates {
    struct candidate *at; /* owned; NULL: there are none */
    unsigned count;
    const char *why; /* static: there is none */
};

void candidates_done(struct candidates *candidates);

/* The address as text, as it is known by (pulse.h): "192.0.2.7:993", or the path; in ret_text, or borrowed. */
const char *candidate_text(const struct candidate *candidate, char ret_text[ADDRESS_TEXT_MAX]);

/* ret_endpoint: to connect to. */
void candidate_get(const struct candidate *candidate, struct endpoint *ret_endpoint);

/* For one lookup, which may take several calls; zero before the first, but for these two (resolver.h). */
struct candidates_wait {
    bool is_scouting, is_peeking;
    uint64_t began_at_ms;
    struct resolver_wait members[CONFIG_MEMBERS_MAX];
    struct resolver_wait targets[RESOLVER_TARGETS_MAX]; /* of "srv:" */
};

/* Those of all members of upstream, or of this one only. KNOWN: *ret_candidates has at least one, and is the caller's.
 * ASKED: look again when loop_poke_all() tells you, and after *ret_wait_ms. UNKNOWN: see ret_candidates->why. */
enum resolver_result candidates_look_up(const struct config_upstream *upstream, const struct config_member *only,
                                        struct candidates_wait *wait, uint64_t now_ms,
                                        struct candidates *ret_candidates, uint64_t *ret_wait_ms);

/* Puts them in order: those that work in front (pulse.h), and among these as the upstream's balance has it.
 *
 *   user: the members by a hash of each with the user, so that a user comes to the same server as long as that is
 * there, and if one goes, only its users move; every gateway has the same order. Behind "srv:", the targets of a
 * priority by their weights in the same way. Of the addresses of a name the families alternate, IPv6 first (RFC 8305
 * section 4), as that may be one server with two; in each family it is the hash again. least-sessions: whichever has
 * the fewest sessions of this process, by weight. So it is for user, too, if nobody knows who the user is: user is
 * empty. order: the members as they are written; targets by chance, by their weights; addresses of a name take turns.
 */
void candidates_sort(struct candidates *candidates, const struct config_upstream *upstream, struct imapstate_span user);

#endif
