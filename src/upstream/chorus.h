/* chorus: what clients are told before it is known which of several upstreams is theirs: what all of them say. One of
 * which nothing is known, as it cannot be reached, has no say. */
#ifndef UPSTREAM_CHORUS_H
#define UPSTREAM_CHORUS_H

#include <imapstate/span.h>
#include <stdbool.h>
#include <stdint.h>

struct config_upstream;
struct offers;
struct service_reach;

/* A client has come. Asks those whose lists are old and that nobody is asking yet, by ask. False: the client waits for
 * the end of *ret_round. */
bool chorus_is_fresh(const struct service_reach *reach, uint64_t now_ms,
                     void (*ask)(void *owner, const struct config_upstream *upstream), void *owner,
                     uint32_t *ret_round);

/* Of several, nobody waits for one that had nothing to say when it was asked the last time. */
bool chorus_has_ended(const struct service_reach *reach, uint32_t round);

/* The names that all lists have, counted; NULL: no list is known, or they have nothing in common. */
struct offers *chorus_offers(const struct service_reach *reach);

/* Appends the arguments of the answer to ID, if all give the same. */
bool chorus_id(const struct service_reach *reach, struct imapstate_buf *ret_arguments);

#endif
