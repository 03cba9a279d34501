/* upstream: a connection to the server that the gateway stands in front of.
 *
 *   RESOLVING -> CONNECTING -> SECURING ----> PREPARING -> READY -> LOGGING_IN -> ATTACHED -> LEAVING
 *        ^            |           |  ^            |  |  ^----'
 *        |            |           |  '-(STARTTLS)-'  '- READY -> PREPARING: to send an ID
 *        '---- next address ------'---------------'
 *   any of these -> DEAD            LEAVING: LOGOUT is on its way, the server's end of file is awaited. A scout, which
 *                                   is nobody's, goes there from READY
 *
 *   ATTACHED -> SETTLING -> DEAD, and what lived on is parked; a parked connection begins as ATTACHED, or, to show a
 * sign of life, as SETTLING.
 *
 * PREPARING: the greeting, CAPABILITY, STARTTLS, ID; until READY the upstream speaks for itself. From LOGGING_IN on,
 * what it says is its owner's to read. */
#ifndef UPSTREAM_UPSTREAM_H
#define UPSTREAM_UPSTREAM_H

#include <imapstate/frame.h>

#include "address.h"
#include "capability.h"
#include "list.h"
#include "loop.h"
#include "park.h"
#include "service.h"
#include "stream.h"
#include "timer.h"

enum upstream_state {
    UPSTREAM_RESOLVING,
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

/* What is left to do until a connection can be parked, as a set; the lowest is said first. */
enum upstream_chore {
    UPSTREAM_CHORE_DONE = 1,
    UPSTREAM_CHORE_UNSELECT = 2,
    UPSTREAM_CHORE_EXAMINE = 4, /* where there is no UNSELECT: one that fails leaves no mailbox selected ... */
    UPSTREAM_CHORE_CHECK = 8,   /* ... which the refusal of CHECK proves */
    UPSTREAM_CHORE_NOTIFY_NONE = 16,
    UPSTREAM_CHORE_NOOP = 32,
};

struct upstream;

enum upstream_event {
    UPSTREAM_PREPARED, /* READY: a login may begin */
    UPSTREAM_TOLD,     /* before that; words: a line of the server's that may be for the user, as ALERT and BYE are */
    UPSTREAM_HEARD,    /* LOGGING_IN, ATTACHED: there is input */
    UPSTREAM_DRAINED,  /* more may be written, as STREAM_DRAINED tells */
    UPSTREAM_RESTED,   /* SETTLING has ended, and with it the upstream, be it parked or not */
    UPSTREAM_LOST,     /* it has ended, but is still there for this call; words: why, for the log, with a NUL behind */
};

typedef void upstream_callback(void *owner, enum upstream_event event, struct upstream *upstream,
                               struct imapstate_span words);

/* Whom it works for. All zero: nobody. */
struct upstream_owner {
    upstream_callback *callback;
    void *owner;
    uint64_t id_number; /* for the log */
};

/* Those of one loop. */
struct upstreams {
    struct loop *loop;                        /* borrowed */
    struct list by_state[UPSTREAM_STATE_MAX]; /* counting and sweeping need no search */
};

struct upstream {
    struct list link; /* in upstreams->by_state[state] */
    struct grave grave;
    struct upstreams *upstreams;          /* borrowed */
    struct service *service;              /* counted */
    const struct config_upstream *config; /* of service */
    struct upstream_owner owner;          /* nobody when it has been released */
    struct opening *opening;              /* owned; only until READY */
    struct capabilities before_login;
    struct stream stream;
    struct imapstate_frame frame;
    struct timer timer;
    struct kept kept;
    struct flight *idle;    /* owned; SETTLING: the IDLE that UPSTREAM_CHORE_DONE ends */
    uint8_t chores;         /* set of enum upstream_chore; SETTLING: the lowest is answered next */
    bool may_fail_unselect; /* as far as is known, no mailbox is selected */
    bool is_asked_ahead;    /* an ID or a NOOP of ours is in flight, though the client's commands may be too */
    bool is_woken;          /* it was parked, and nothing has come since that shows that it serves */
    bool is_silent;         /* no octet has come since it was woken */
    bool is_doubtful;       /* nor in a long time before */
    uint8_t state;          /* enum upstream_state; upstream_enter() alone writes it */
    bool is_introduced;     /* an ID has been sent */
    bool has_said_bye;
    bool is_hiding; /* the response that is passing is not the client's (relay.c) */
};

void upstreams_init(struct upstreams *upstreams, struct loop *loop);
bool upstreams_are_gone(const struct upstreams *upstreams);

/* A name's addresses may be known now (loop_poke_all()). */
void upstreams_look_up(struct upstreams *upstreams);

/* The daemon is ending: all end that are nobody's. Before that, the scouts, which have nobody who would end them. */
void upstreams_abandon(struct upstreams *upstreams);
void upstreams_abandon_scouts(struct upstreams *upstreams);

/* Milliseconds on its loop's clock. */
static inline uint64_t upstream_now_ms(const struct upstream *upstream)
{
    return loop_now_ms(upstream->upstreams->loop);
}

/* The two ends of a client's connection, which a PROXY header tells the server. Borrowed for the call. */
struct upstream_ends {
    const struct address *peer, *local;
};

/* Begins to connect; PREPARED or LOST follows, never from within this call. NULL if memory is out. owner and ends NULL:
 * for no client (a scout's). */
struct upstream *upstream_open(struct upstreams *upstreams, struct service *service,
                               const struct config_upstream *config, const struct upstream_owner *owner,
                               const struct upstream_ends *ends);

/* READY, and nobody's: says LOGOUT, and ends. */
void upstream_take_leave(struct upstream *upstream);

/* READY: the login begins; the caller writes it to the stream. */
void upstream_log_in(struct upstream *upstream);

/* LOGGING_IN: the login is through. */
void upstream_attach(struct upstream *upstream);

/* Restarts the clock that ends the connection if answers stay out (answer_timeout); stop: no answer is awaited. */
void upstream_await(struct upstream *upstream);
void upstream_await_nothing(struct upstream *upstream);

/* Takes a parked connection over for owner, ATTACHED, or with NULL to show a sign of life, SETTLING. What has arrived
 * meanwhile is looked at: NULL if that shows that the connection is of no use any more; parked is taken in any case.
 * Alerts for the owner's user are appended to ret_alerts in any case, too; NULL if owner is. */
struct upstream *upstream_adopt(struct upstreams *upstreams, struct parked *parked, const struct upstream_owner *owner,
                                struct imapstate_buf *ret_alerts);

/* ATTACHED: the client is done with it, nothing is in flight (but upstream->idle, if DONE is a chore), and it may be
 * parked: once the chores are done, in the state that upstream->kept.state has. is_awaited: its owner hears
 * of its end by RESTED, unless upstream_disown() is called before. */
void upstream_settle(struct upstream *upstream, unsigned chores, bool is_awaited);

/* Nobody waits for anything of it any more. */
void upstream_disown(struct upstream *upstream);

/* An octet has come on a woken one. */
void upstream_is_heard(struct upstream *upstream);

/* Has anything been written for its owner? */
bool upstream_has_written(const struct upstream *upstream);

/* Its owner is done with it, and hears of nothing any more. is_clean: nothing is in flight, so that LOGOUT can be said.
 */
void upstream_release(struct upstream *upstream, bool is_clean);

/* From opening.c: tells the owner, if there is one; the one mover of the state; the timer; the end, of which the owner
 * is told; a stream anew. */
void upstream_tell(struct upstream *upstream, enum upstream_event event, struct imapstate_span words);
void upstream_enter(struct upstream *upstream, enum upstream_state next);
void upstream_set_timer(struct upstream *upstream, uint64_t after_ms);
void upstream_lose(struct upstream *upstream, const char *why);
void upstream_renew_stream(struct upstream *upstream);

/* Does a line begin with these words, in any case, and a word's end behind them? */
bool upstream_line_begins(struct imapstate_span line, const char *words);

#endif
