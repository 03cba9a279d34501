/* connecting: how an upstream connection gets to the point where somebody can log in on it: name resolution, addresses
 * tried in turn and beside each other (race.h), the PROXY header, TLS, the greeting, CAPABILITY, STARTTLS, ID. Never
 * unencrypted by accident: if STARTTLS is missing or refused, if the greeting is PREAUTH, or if octets come before the
 * handshake, it ends. Before it connects for a client it has a place at the address (queue.h), or waits for one. It
 * moves the upstream from RESOLVING to READY and tells PREPARED, or loses it. opening.h has how far it has come. */
#ifndef UPSTREAM_CONNECTING_H
#define UPSTREAM_CONNECTING_H

#include <imapstate/span.h>
#include <stdbool.h>
#include <stdint.h>

struct candidate;
struct config_member;
struct scout;
struct upstream;
struct upstream_ends;

/* RESOLVING: begins a turn of the event loop later, so that the caller has the upstream before it hears from it. For a
 * client, whose ends are given (they are copied); NULL: only to see whether somebody is there. False: out of memory. */
bool connecting_begin(struct upstream *upstream, const struct upstream_ends *ends);

/* The same for scout, which is taken in any case, at this member. */
bool connecting_begin_scout(struct upstream *upstream, const struct config_member *member, struct scout *scout);

/* The same to see whether this address works. */
bool connecting_begin_check(struct upstream *upstream, const struct candidate *candidate);

/* Its owner wants it no more: those that run beside it end. */
void connecting_abandon(struct upstream *upstream);

/* Before it has begun: it begins so much later, whatever becomes known of names until then. */
void connecting_put_off(struct upstream *upstream, uint64_t after_ms);

/* RESOLVING: names' addresses may be known now. */
void connecting_look_again(struct upstream *upstream);

/* QUEUED: it is its turn. */
void connecting_is_called(struct upstream *upstream);

/* The upstream's timer has fired: begins, tries the next address, or gives this one up. */
void connecting_on_timer(struct upstream *upstream);

/* The stream: connected, under TLS, has input, has ended. */
void connecting_connected(struct upstream *upstream);
void connecting_secured(struct upstream *upstream);
void connecting_heard(struct upstream *upstream);
void connecting_ended(struct upstream *upstream);

/* Has this address been given up? Then what its stream still tells does not matter. */
bool connecting_is_failing(const struct upstream *upstream);

/* READY: sends ID with these arguments; PREPARED follows again. The answer goes to nobody. */
void connecting_send_id(struct upstream *upstream, struct imapstate_span arguments);

#endif
