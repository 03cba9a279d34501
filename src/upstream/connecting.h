/* connecting: what an upstream connection goes through until somebody can log in on it: name resolution, addresses
 * tried in turn, the PROXY header, TLS, the greeting, CAPABILITY, STARTTLS, ID. Never in clear by accident: STARTTLS
 * that is missing or refused, a PREAUTH greeting, octets before the handshake end it. It moves the upstream from
 * RESOLVING to READY and tells PREPARED, or loses it. How far it has come is in opening.h. */
#ifndef UPSTREAM_CONNECTING_H
#define UPSTREAM_CONNECTING_H

#include <imapstate/span.h>
#include <stdbool.h>
#include <stdint.h>

struct scout;
struct upstream;
struct upstream_ends;

/* RESOLVING: begins a turn of the event loop later, so that the caller has what it asked for before it hears of it. For
 * a client, whose ends are given (they are copied), or for scout, which is taken in any case; the other is NULL. False:
 * memory is out. */
bool connecting_begin(struct upstream *upstream, const struct upstream_ends *ends, struct scout *scout);

/* Before it has begun: it begins so much later, whatever becomes known of names until then. */
void connecting_put_off(struct upstream *upstream, uint64_t after_ms);

/* RESOLVING: names' addresses may be known now. */
void connecting_look_again(struct upstream *upstream);

/* The upstream's timer is up: begins, tries the next address, or gives this one up. */
void connecting_on_timer(struct upstream *upstream);

/* The stream: connected, under TLS, has input, has ended. */
void connecting_connected(struct upstream *upstream);
void connecting_secured(struct upstream *upstream);
void connecting_heard(struct upstream *upstream);
void connecting_ended(struct upstream *upstream);

/* This address has been given up, and what its stream still tells is of no interest. */
bool connecting_is_failing(const struct upstream *upstream);

/* READY: sends ID with these arguments; PREPARED again follows. What it is answered is nobody's. */
void connecting_introduce(struct upstream *upstream, struct imapstate_span arguments);

#endif
