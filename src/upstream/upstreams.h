/* upstreams: how connections to servers are made, and who is told what happens to them. */
#ifndef UPSTREAM_UPSTREAMS_H
#define UPSTREAM_UPSTREAMS_H

#include <imapstate/span.h>
#include <stdbool.h>

struct config_member;
struct config_upstream;
struct loop;
struct parked;
struct service;
struct upstream;
struct upstream_ends;
struct upstream_owner;
struct upstreams;

void upstreams_init(struct upstreams *upstreams, struct loop *loop);

/* When all are gone. */
void upstreams_done(struct upstreams *upstreams);
bool upstreams_are_gone(const struct upstreams *upstreams);

/* The loop was poked: a name's addresses may be known now, or it may be the turn of some that wait for a place. */
void upstreams_told(struct upstreams *upstreams);

/* The daemon is ending: all without an owner end. Before that, the scouts end, which have nobody who would end them. */
void upstreams_abandon(struct upstreams *upstreams);
void upstreams_abandon_scouts(struct upstreams *upstreams);

/* Begins to connect; PREPARED or LOST follows, never from within this call. NULL if out of memory. */
struct upstream *upstreams_open(struct upstreams *upstreams, struct service *service,
                                const struct config_upstream *config, const struct upstream_owner *owner,
                                const struct upstream_ends *ends);

/* Takes over a parked connection; parked is taken in any case. It looks at what has arrived on it in the meantime: NULL
 * if that shows that it is no longer of use, or if out of memory. owner, ret_alerts: as for waking_begin(). */
struct upstream *upstreams_wake(struct upstreams *upstreams, struct parked *parked, const struct upstream_owner *owner,
                                struct imapstate_buf *ret_alerts);

/* Is the upstream there? Connects to it as for a login, and leaves; what came of it is counted (upstreamcounters.h). */
void upstreams_probe(struct upstreams *upstreams, struct service *service, const struct config_upstream *config);

/* Tries each address of the upstream that it is time to try (pulse.h), if it has several: nobody waits for it. Nothing
 * is known of a name that no connection has led to yet. */
void upstreams_check(struct upstreams *upstreams, struct service *service, const struct config_upstream *config);

/* Carries out the round of the prelude that the caller has begun for a member: a connection of the gateway's own asks
 * for the list before login and, if the server has ID, for the answer to that, says LOGOUT, and the round ends,
 * possibly from within this call. No client waits for a scout for which parked connections would have to make room. */
void upstreams_scout(struct upstreams *upstreams, struct service *service, const struct config_upstream *config,
                     const struct config_member *member);

#endif
