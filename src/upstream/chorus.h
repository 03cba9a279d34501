/* chorus: what clients are told before it is known which of several servers is theirs: what all of them say, be they
 * several upstreams or the members of one. One of which nothing is known, as it cannot be reached, has no say; nor has
 * a member that the operator has set down, while there are others. */
#ifndef UPSTREAM_CHORUS_H
#define UPSTREAM_CHORUS_H

#include <imapstate/span.h>
#include <stdbool.h>
#include <stdint.h>

struct config_member;
struct config_upstream;
struct offers;
struct service_reach;

/* Begins to ask the member: its round of the prelude has begun. */
typedef void chorus_ask(void *owner, const struct config_upstream *upstream, const struct config_member *member);

/* A client has come. Asks those whose lists are old and that nobody is asking yet, by ask; but no member again that had
 * nothing to say less than fail_timeout ago, while another has. False: the client waits for the end of *ret_round. */
bool chorus_is_fresh(const struct service_reach *reach, uint64_t now_ms, chorus_ask *ask, void *owner,
                     uint32_t *ret_round);

/* Of several upstreams, nobody waits for one that had nothing to say when it was asked the last time. Of several
 * members nobody waits for one that had nothing to say then, or is silent now, if a list of the upstream is known. */
bool chorus_has_ended(const struct service_reach *reach, uint32_t round);

/* The names that all lists have, counted; NULL: no list is known, or they have nothing in common. */
struct offers *chorus_offers(const struct service_reach *reach);

/* Appends the arguments of the answer to ID, if all upstreams give the same. Of members that is the first one's that
 * has answered, as they are written: they are one mail store, and what they are called in is nothing that clients go
 * by. */
bool chorus_id(const struct service_reach *reach, struct imapstate_buf *ret_arguments);

/* Appends what the upstream's members tell everybody who connects to them (alert.h), each alert once. */
void chorus_alerts(const struct config_upstream *upstream, struct imapstate_buf *ret_alerts);

#endif
