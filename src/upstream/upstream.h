/* upstream: a connection to the server behind the gateway.
 *
 *   RESOLVING -> CONNECTING -> SECURING ----> PREPARING -> READY -> LOGGING_IN -> ATTACHED -> SETTLING
 *        |         ^  |           |  ^            |  |  ^----'                        |
 *        v         |  |           |  '-(STARTTLS)-'  |   READY -> PREPARING:          '----> LEAVING
 *      QUEUED -----|--'---- next address ------------'   to send an ID
 *        ^---------'
 *   any of these -> DEAD
 *
 *   QUEUED: waits for a place at the address (queue.h); nothing is connected. SETTLING: the session is over, and what
 * is left of the connection is parked. A parked connection begins as ATTACHED, or as SETTLING if it only has to show a
 * sign of life. LEAVING: LOGOUT has been sent, and the server is to hang up. A scout, which has no owner, goes there
 * from READY, and from PREPARING one that another was faster than.
 *
 * PREPARING: the greeting, CAPABILITY, STARTTLS, ID; until READY the upstream handles what it hears itself. From
 * LOGGING_IN on, its owner reads it. */
#ifndef UPSTREAM_UPSTREAM_H
#define UPSTREAM_UPSTREAM_H

#include <imapstate/frame.h>
#include <imapstate/span.h>

#include "address.h"
#include "capability.h"
#include "list.h"
#include "logline.h"
#include "logmark.h"
#include "loop.h"
#include "park.h"
#include "service.h"
#include "stream.h"
#include "timer.h"
#include "upstreamcounters.h"

enum upstream_state {
    UPSTREAM_RESOLVING,
    UPSTREAM_QUEUED,
    UPSTREAM_CONNECTING,
    UPSTREAM_SECURING,
    UPSTREAM_PREPARING,
    UPSTREAM_READY,
    UPSTREAM_LOGGING_IN,
    UPSTREAM_ATTACHED,
    UPSTREAM_SETTLING,
    UPSTREAM_LEAVING,
    UPSTREAM_DEAD,
    UPSTREAM_STATE_MAX,
};

struct upstream;

enum upstream_event {
    UPSTREAM_PREPARED, /* READY: a login may begin. upstream may be another one than the owner has, which has ended:
                        * then it is the owner's in its place */
    UPSTREAM_TOLD,     /* before that; words: a line from the server that may be for the user, such as ALERT and BYE */
    UPSTREAM_HEARD,    /* LOGGING_IN, ATTACHED: there is input */
    UPSTREAM_DRAINED,  /* more may be written, as for STREAM_DRAINED */
    UPSTREAM_RESTED,   /* SETTLING has ended, and with it the upstream, parked or not */
    UPSTREAM_LOST,     /* it has ended, but still exists during this call; words: why, for the log, followed by a NUL */
};

typedef void upstream_callback(void *owner, enum upstream_event event, struct upstream *upstream,
                               struct imapstate_span words);

/* Whom it works for. All zero: nobody. */
struct upstream_owner {
    upstream_callback *callback;
    void *owner;
    const struct logmark *mark; /* for the log; borrowed as long as it is the owner */
};

/* All upstreams of one loop. */
struct upstreams {
    struct loop *loop;                        /* borrowed */
    struct list by_state[UPSTREAM_STATE_MAX]; /* counting and sweeping need no search */
    struct queue_desk desk;                   /* where those hear that it is their turn */
    stream_callback *on_stream;               /* upstreams.c: told what happens to any of them */
    agenda_callback *on_timer;
    void (*on_end)(struct upstream *upstream); /* an upstream is about to end */
    struct upstream_counters counters;
};

struct upstream {
    struct list link; /* in upstreams->by_state[state] */
    struct grave grave;
    struct upstreams *upstreams;          /* borrowed */
    struct service *service;              /* counted */
    const struct config_upstream *config; /* of service */
    const struct config_member *member;   /* of config: where it leads; NULL: nowhere yet */
    struct upstream_owner owner;          /* nobody once it has been released */
    struct upstream_place *place;         /* of upstreams->counters: where it leads; NULL: nobody knows yet */
    struct opening *opening;              /* owned; only until READY */
    struct capabilities before_login;
    struct stream stream;
    struct imapstate_frame frame;
    struct timer timer;
    struct kept kept;
    struct logmark *past;   /* owned: of the session that it was, where that is wanted at debug; else NULL */
    struct flight *idle;    /* owned; SETTLING: the IDLE that SETTLING_DONE ends */
    uint32_t queued_ms;     /* how long it has waited for its place */
    uint8_t chores;         /* SETTLING: set of enum settling_chore; settling.c alone writes it */
    bool may_fail_unselect; /* as far as is known, no mailbox is selected */
    bool is_asked_ahead;    /* an ID or a NOOP of ours is in flight, although the client's commands may be too */
    bool is_woken;          /* it was parked, and nothing has come since to show that it works */
    bool is_ahead;          /* it was taken in the state that the session's command in flight is to lead to: choice.c */
    bool is_silent;         /* no octet has come since it was woken */
    bool is_doubtful;       /* nor for a long time before */
    uint8_t state;          /* enum upstream_state; upstream_enter() alone writes it */
    bool has_sent_id;       /* an ID has been sent */
    bool has_said_bye;
    bool is_hiding; /* the response that is passing is not the client's (its owner's to write) */
};

/* For whom a connection is made: the two ends of a client's connection, for a PROXY header to the server; who the user
 * is, empty if nobody knows; and the lane that it waits in (queue.h). Borrowed for the call. */
struct upstream_ends {
    const struct address *peer, *local;
    struct imapstate_span user;
    uint8_t lane;
};

/* READY, and without an owner: says LOGOUT, and ends. */
void upstream_take_leave(struct upstream *upstream);

/* The end: the connection is of no more use. Its owner is told LOST, which may free why. */
void upstream_lose(struct upstream *upstream, const char *why);

/* Counts why it has come to nothing, at the address where it leads. */
void upstream_count_failure(struct upstream *upstream, enum upstream_failure failure);

/* READY: the login begins; the caller writes it to the stream. */
void upstream_log_in(struct upstream *upstream);

/* LOGGING_IN: its place is free for other logins, as this one has its answer, or waits for the client. */
void upstream_end_login(struct upstream *upstream);

/* LOGGING_IN: the login is through. */
void upstream_attach(struct upstream *upstream);

/* Restarts the clock that ends the connection if answers do not come (answer_timeout); the second stops it: no answer
 * is awaited. */
void upstream_await(struct upstream *upstream);
void upstream_await_nothing(struct upstream *upstream);

/* Nobody waits for anything from it any more. */
void upstream_disown(struct upstream *upstream);

/* Has anything been written for its owner? */
bool upstream_has_written(const struct upstream *upstream);

/* Its owner has finished with it, and is told nothing any more. is_clean: nothing is in flight, so LOGOUT can be
 * sent. */
void upstream_release(struct upstream *upstream, bool is_clean);

/* Milliseconds on its loop's clock. */
static inline uint64_t upstream_now_ms(const struct upstream *upstream)
{
    return loop_now_ms(upstream->upstreams->loop);
}

/* --- for its floor --- */

/* A new one in state, without an owner. NULL if out of memory. */
struct upstream *upstream_new(struct upstreams *upstreams, struct service *service,
                              const struct config_upstream *config, enum upstream_state state);

/* The one mover of the state. */
void upstream_enter(struct upstream *upstream, enum upstream_state next);

/* It leads to this address of its upstream, or is to be connected to it. */
void upstream_set_place(struct upstream *upstream, const char *address);
struct upstream_place *upstream_have_place(struct upstream *upstream); /* never NULL */
/* A session's connection is not parked: counted, and told at debug. */
void upstream_count_unparked(struct upstream *upstream, enum upstream_unparked why);

/* A line at debug about what becomes of a session's connection, with its client, and the user whose proof it is (NULL:
 * nobody's). Is it wanted? */
bool upstream_tells_park(const struct upstream *upstream);
void upstream_log_park(const struct upstream *upstream, const struct proof *proof, const char *what, const char *why);

/* A log line about it, with the name of the session that it works for. */
void upstream_log(const struct upstream *upstream, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Tells the owner, if there is one. */
void upstream_tell(struct upstream *upstream, enum upstream_event event, struct imapstate_span words);

void upstream_set_timer(struct upstream *upstream, uint64_t after_ms);

/* The end. If it is SETTLING, RESTED tells the owner. */
void upstream_die(struct upstream *upstream);

/* Gives it a new stream, with the same callback. */
void upstream_renew_stream(struct upstream *upstream);

#endif
