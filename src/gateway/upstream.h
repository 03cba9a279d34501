/* upstream: a connection to the server that the gateway stands in front of.
 *
 *   RESOLVING -> CONNECTING -> SECURING ----> PREPARING -> READY -> LOGGING_IN -> ATTACHED -> LEAVING
 *        ^            |           |  ^            |  |  ^----'
 *        |            |           |  '-(STARTTLS)-'  '- READY -> PREPARING: to send an ID
 *        '---- next address ------'---------------'
 *   any of these -> DEAD            LEAVING: LOGOUT is on its way, the server's end of file is awaited
 *
 * PREPARING: the greeting, CAPABILITY, STARTTLS, ID; until READY the upstream speaks for itself. From LOGGING_IN on,
 * what it says goes to relay_up(). */
#ifndef GATEWAY_UPSTREAM_H
#define GATEWAY_UPSTREAM_H

#include <imapstate/frame.h>

#include "address.h"
#include "capability.h"
#include "service.h"
#include "stream.h"
#include "worker.h"

struct client;

/* Begins the tags of the gateway's own commands. They are in flight only when none of the client's is, so they cannot
 * be taken for one another. */
#define UPSTREAM_TAG "imapstate"

enum upstream_state {
    UPSTREAM_RESOLVING,
    UPSTREAM_CONNECTING,
    UPSTREAM_SECURING,
    UPSTREAM_PREPARING,
    UPSTREAM_READY,
    UPSTREAM_LOGGING_IN,
    UPSTREAM_ATTACHED,
    UPSTREAM_LEAVING,
    UPSTREAM_DEAD,
    UPSTREAM_STATE_MAX,
};

struct upstream {
    struct list link; /* in worker->upstreams[state] */
    struct grave grave;
    struct worker *worker;                /* borrowed */
    struct service *service;              /* counted */
    const struct config_upstream *config; /* of service */
    struct client *client;                /* borrowed: whom it works for; NULL when it has been released */
    struct upstream_opening *opening;     /* owned; only until READY */
    struct capabilities before_login;
    struct stream stream;
    struct imapstate_frame frame;
    struct event timer;
    uint8_t state;      /* enum upstream_state; upstream_enter() alone writes it */
    bool is_introduced; /* an ID has been sent */
    bool has_said_bye;
    bool is_hiding; /* the response that is passing is not the client's (relay.c) */
};

/* Begins to connect for client; client_upstream_ready() or client_upstream_lost() follows, never from within this call.
 * NULL if memory is out. */
struct upstream *upstream_open(struct client *client, const struct config_upstream *config);

/* READY: sends ID with these arguments; READY again follows. The upstream's untagged answer is in upstream_id_answer()
 * then. */
void upstream_introduce(struct upstream *upstream, struct imapstate_span arguments);

/* READY: the login begins; the caller writes it to the stream. */
void upstream_log_in(struct upstream *upstream);

/* LOGGING_IN: the login is through. */
void upstream_attach(struct upstream *upstream);

/* Restarts the clock that ends the connection if answers stay out (answer_timeout); stop: no answer is awaited. */
void upstream_await(struct upstream *upstream);
void upstream_await_nothing(struct upstream *upstream);

/* The client is done with it. clean: nothing is in flight, so that a LOGOUT can be said. */
void upstream_release(struct upstream *upstream, bool is_clean);

/* Ends all that were released, at the end. */
void upstream_abandon(struct upstream *upstream);

const char *upstream_state_name(const struct upstream *upstream);

#endif
