/* queue: who may connect to an address of an upstream, and log in there. Shared by all workers, behind one lock.
 *
 * An address has as many places as max_sessions says: one for each connection, from its beginning to its end, parked or
 * not; and as many as max_logins says for logins under way: from the first packet to the answer to the login, as TCP,
 * TLS, greeting and password cost the server as one. Whoever finds no place free waits in the queue of that address.
 *
 * Whose turn is it? Those who wait are in lanes, by the address of their client. The lane goes first that has the
 * fewest logins under way, and among such lanes the one whose first has come first; within a lane it is the order of
 * coming. So nobody gets ahead of others by asking often, and a server that takes its time over wrong passwords is not
 * closed to everybody else by whoever sends many of them. There are QUEUE_LANES lanes, over which a keyed hash spreads
 * the addresses: what all of it takes is bounded, and who shares a lane with whom cannot be foreseen.
 *
 * Each wait belongs to the thread of a loop. Its turn may be called by any thread, which pokes that loop; the loop's
 * own thread then takes it out (queue_next_called()). */
#ifndef UPSTREAM_QUEUE_H
#define UPSTREAM_QUEUE_H

#include <imapstate/span.h>
#include <stdbool.h>
#include <stdint.h>

#include "list.h"

struct address;
struct config;
struct config_upstream;
struct loop;
struct queue;

#define QUEUE_LANES 64u

/* The places that a connection holds. All zero: none. It may pass from thread to thread. */
struct queue_stay {
    struct queue *queue; /* borrowed: exists as long as somebody holds a place of it or waits */
    uint8_t lane;
    bool is_login; /* one of those for logins, too */
};

/* Where a loop's own are called to. */
struct queue_desk {
    struct loop *loop;  /* borrowed */
    struct list called; /* under the lock */
};

/* One that waits, of the loop's thread alone but for what is under the lock. All zero: it does not. */
struct queue_wait {
    struct list link; /* under the lock, as are the next three */
    struct queue *queue;
    uint64_t number; /* in the order of coming */
    bool is_called;
    uint8_t lane;
    struct queue_desk *desk; /* borrowed */
    void *owner;             /* the caller's */
    uint64_t since_ms;       /* when it began to wait; it stays when the wait is over */
};

enum queue_answer {
    QUEUE_ADMITTED,
    QUEUE_WAITS,
    QUEUE_IS_FULL, /* and the caller does not wait */
    QUEUE_NO_MEMORY,
};

/* The lane of a client's address, of which the IPv6 addresses of one /64 are one; or, where many users share an
 * address, of one of them. */
uint8_t queue_lane_of_address(const struct address *address);
uint8_t queue_lane_of_user(struct imapstate_span user);

/* The limits in force, for those who wait as well. config is borrowed until the next call, or queue_done(). */
void queue_configure(const struct config *config);
void queue_done(void); /* nobody holds a place or waits any more */

void queue_desk_init(struct queue_desk *desk, struct loop *loop);

/* A connection to this address (as text) of the upstream is to begin, for a login of lane. ADMITTED: stay, which is
 * zero, has its places. WAITS: wait, which does not wait and whose desk and owner are set, is called when it is its
 * turn; with wait NULL it does not wait. */
enum queue_answer queue_enter(const struct config_upstream *upstream, const char *address, uint8_t lane,
                              struct queue_stay *stay, struct queue_wait *wait, uint64_t now_ms);

/* In the loop's own thread: one whose turn has come, whose places stay gets. NULL: there are no more. It may have been
 * called although nobody has looked here yet: false if it has not been, and goes on waiting. */
struct queue_wait *queue_next_called(struct queue_desk *desk);
bool queue_take_called(struct queue_wait *wait, struct queue_stay *stay);

/* It does not wait any more, whether it had been called or not; harmless if it does not wait. */
void queue_give_up(struct queue_wait *wait);

/* How much longer it waits, by the queue_timeout in force; 0: the time is over. It waits. */
uint64_t queue_left_ms(const struct queue_wait *wait, uint64_t now_ms);

/* The login has been answered, or waits for its client. */
void queue_end_login(struct queue_stay *stay);

/* The connection has ended. */
void queue_leave(struct queue_stay *stay);

/* Does somebody wait for nothing but a connection's end? Then parked ones give way. queue may be NULL. */
bool queue_is_short(const struct queue *queue);

/* How many wait for that address of the upstream. */
unsigned queue_waiting(const char *upstream, const char *address);

#endif
