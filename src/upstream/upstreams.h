/* upstreams: how connections to servers come about, and who hears what happens to them. */
#ifndef UPSTREAM_UPSTREAMS_H
#define UPSTREAM_UPSTREAMS_H

#include <imapstate/span.h>
#include <stdbool.h>

struct config_upstream;
struct loop;
struct parked;
struct service;
struct upstream;
struct upstream_ends;
struct upstream_owner;
struct upstreams;

void upstreams_init(struct upstreams *upstreams, struct loop *loop);
bool upstreams_are_gone(const struct upstreams *upstreams);

/* A name's addresses may be known now (loop_poke_all()). */
void upstreams_look_up(struct upstreams *upstreams);

/* The daemon is ending: all end that are nobody's. Before that, the scouts, which have nobody who would end them. */
void upstreams_abandon(struct upstreams *upstreams);
void upstreams_abandon_scouts(struct upstreams *upstreams);

/* Begins to connect; PREPARED or LOST follows, never from within this call. NULL if memory is out. */
struct upstream *upstreams_open(struct upstreams *upstreams, struct service *service,
                                const struct config_upstream *config, const struct upstream_owner *owner,
                                const struct upstream_ends *ends);

/* Takes a parked connection over: parked is taken in any case. What has arrived on it meanwhile is looked at: NULL if
 * that shows that it is of no use any more, or memory is out. owner, ret_alerts: as for waking_begin(). */
struct upstream *upstreams_wake(struct upstreams *upstreams, struct parked *parked, const struct upstream_owner *owner,
                                struct imapstate_buf *ret_alerts);

/* The round of the prelude that the caller has begun: a connection of the gateway's own asks for the list before login
 * and, where the server has ID, for the answer to that, says LOGOUT, and the round ends, maybe from within this call.
 * No client waits for one that parked connections would have to make room for. */
void upstreams_scout(struct upstreams *upstreams, struct service *service, const struct config_upstream *config);

#endif
