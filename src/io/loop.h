/* loop: what everything on one event loop shares: its time, its timers, buffers, names for the log, and an orderly end
 * for what ends on it.
 *
 * Only the loop's own thread touches what the loop holds; other threads reach it with loop_poke() and loop_send(). A
 * bare loop has no event base and no descriptor: a test sets its time and runs its turns (loop_pass()). */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "agenda.h"
#include "errand.h"
#include "list.h"
#include "loopcounters.h"
#include "pool.h"
#include "watch.h"

/* An object whose end has come: it is freed when the event loop has unwound, so that nobody up the stack still holds
 * it. */
struct grave {
    struct list link;
    void (*end)(struct grave *grave);
};

struct loop;
typedef void loop_callback(struct loop *loop);

struct loop {
    struct list link;        /* in the list of all, under its lock */
    struct event_base *base; /* owned; NULL: a bare loop */
    struct agenda agenda;    /* of its timers (timer.h) */
    struct pool pool;
    struct list graves;
    struct errands errands; /* that other threads have sent */
    loop_callback *told;    /* in its own thread, after a loop_poke() */
    loop_callback *unwound; /* everything that was buried has been freed; NULL: nobody wants to know */
    struct loop_counters counters;
    struct watches watches; /* everything that is watched on it */
    struct watch grave_watch, told_watch;
    struct event alarm_event;
    uint64_t alarm_at_ms; /* alarm_event is set for then; UINT64_MAX: it is not */
    uint64_t next_id;
    uint64_t bare_now_ms; /* bare: the current time */
    unsigned index;       /* in the process; below 65,536 (loop_new_id()) */
    int told_fd;          /* eventfd; -1: bare */
    bool is_stopping;     /* its owner's: what ends is no longer replaced */
};

/* False: out of memory or descriptors (errno). Then it is only good for loop_done(). */
bool loop_init(struct loop *loop, unsigned index, loop_callback *told);
void loop_init_bare(struct loop *loop, unsigned index, loop_callback *told);

/* Frees what is buried, and the base. Nothing else may still live on it. */
void loop_done(struct loop *loop);

/* Runs until loop_break(), and then takes no errands any more. False: it could not. */
bool loop_run(struct loop *loop);
void loop_break(struct loop *loop);

/* Bare: the time is now_ms, which is never earlier than before. One turn: timers that are due, then descriptors that
 * loop.watches.is_ready reports, and whatever follows from that. False: there was nothing to do. */
bool loop_pass(struct loop *loop, uint64_t now_ms);

/* Milliseconds on the monotonic clock. */
uint64_t loop_now_ms(const struct loop *loop);

/* The same clock in microseconds, and precise to that. For what is measured, not for what is waited for. */
uint64_t loop_now_us(const struct loop *loop);

/* Buries an object; once only. */
void loop_bury(struct loop *loop, struct grave *grave, void (*end)(struct grave *grave));

/* unwound is called a turn later, whether or not something is buried. */
void loop_unwind(struct loop *loop);

/* A name for a session in the log, unique in the process. */
uint64_t loop_new_id(struct loop *loop);

/* From any thread (for a bare loop: from its own): told is called, in the loop's own thread. */
void loop_poke(struct loop *loop);

/* From any thread: errand is run in the loop's own thread, after a poke. False: the loop has ended, and it is not run.
 * The errand is the caller's, and must exist until it has been run. */
bool loop_send(struct loop *loop, struct errand *errand);

/* From any thread: a round of the prelude has ended, or a name's addresses are known. All loops see to those that wait
 * for it. */
void loop_poke_all(void);

/* --- for timer --- */

/* The agenda's first appointment may have changed. */
void loop_arm(struct loop *loop);

#endif
