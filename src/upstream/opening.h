/* opening: what an upstream connection goes through until somebody can log in on it: name resolution, addresses tried
 * in turn, the PROXY header, TLS, the greeting, CAPABILITY, STARTTLS, ID. Never in clear by accident: STARTTLS that is
 * missing or refused, a PREAUTH greeting, octets before the handshake end it. It moves the upstream from RESOLVING to
 * READY, or loses it.
 *
 * A server that has no room for one more connection shows it by hanging up, or by BYE, in place of its greeting
 * (Courier's MAXPERIP), or by silence until another connection has ended (its MAXDAEMONS, Cyrus's maxchild). Parked
 * connections to it give way then, the oldest first: one for each of a few tries, or for each second of silence. */
#ifndef UPSTREAM_OPENING_H
#define UPSTREAM_OPENING_H

#include <imapstate/span.h>
#include <stdbool.h>

struct config_upstream;
struct service;
struct upstream;
struct upstream_ends;
struct upstreams;

/* Makes upstream->opening; false if memory is out. It is freed when the upstream is READY or dies. */
bool opening_new(struct upstream *upstream, const struct upstream_ends *ends);
void opening_free(struct upstream *upstream);

/* The upstream's timer is up: begins, tries the next address, or gives this one up. */
void opening_on_timer(struct upstream *upstream);

/* The stream: connected, under TLS, has input, has ended. */
void opening_connected(struct upstream *upstream);
void opening_secured(struct upstream *upstream);
void opening_prepare(struct upstream *upstream);
void opening_fail_address(struct upstream *upstream, const char *why);

/* The stream has ended: the same, but a server that has hung up is tried again if a parked connection can give way. */
void opening_hung_up(struct upstream *upstream, const char *why);

/* This address has been given up, and what its stream still tells is of no interest. */
bool opening_is_failing(const struct upstream *upstream);

/* READY: sends ID with these arguments; READY again follows. What it is answered is nobody's. */
void opening_introduce(struct upstream *upstream, struct imapstate_span arguments);

/* The round of the prelude that the caller has begun: a connection of the gateway's own asks for the list before login
 * and, where the server has ID, for the answer to that, says LOGOUT, and the round ends, maybe from within this call.
 * No client waits for one that parked connections would have to make room for. */
void opening_scout(struct upstreams *upstreams, struct service *service, const struct config_upstream *config);

#endif
