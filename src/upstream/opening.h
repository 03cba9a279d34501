/* opening: how far a connection to a server has come, and where else it could be made. It only knows; connecting.c acts
 * on it.
 *
 *   GREETING -> CAPABILITY -> (READY)              GREETING -> (READY): the list of the greeting is known already
 *       |           |    '--> STARTTLS -> CAPABILITY
 *       |-----------|-------> ID -> (READY)        a scout; or a client's ID, which has a connection to itself
 *       '-----------'---'---> FAILING -> GREETING  this address is given up, or tried again, as soon as its stream has
 *                                                  unwound
 *
 * The addresses of an upstream are tried in the order in which candidates.h has them, at first one by one, and while
 * one is silent another beside it (race.h). A server that has no room for another connection shows it by hanging up, or
 * with BYE, in place of its greeting (Courier's MAXPERIP), or by silence until another connection has ended (Courier's
 * MAXDAEMONS, Cyrus's maxchild). Parked connections to it then give way, the oldest first: one for each of a few tries,
 * or for each second of silence. */
#ifndef UPSTREAM_OPENING_H
#define UPSTREAM_OPENING_H

#include <stdbool.h>
#include <stdint.h>

#include <imapstate/span.h>

#include "address.h"
#include "candidates.h"
#include "config.h"
#include "endpoint.h"
#include "queue.h"
#include "race.h"
#include "resolver.h"

struct logmark;

enum opening_step {
    OPENING_GREETING, /* until there is a greeting; including RESOLVING and CONNECTING */
    OPENING_CAPABILITY,
    OPENING_STARTTLS,
    OPENING_ID,
    OPENING_FAILING,
    OPENING_STEP_MAX,
};

struct opening {
    const struct config_upstream *config; /* borrowed */
    const struct config_member *only;     /* of config: no other is tried; NULL: any may be */
    struct scout *scout;                  /* owned; NULL: for a client */
    struct candidates_wait wait;
    struct runner runner;
    struct candidate candidate; /* being tried; member NULL: none yet */
    struct endpoint endpoint;   /* its */
    struct address peer, local; /* the client's ends, for the PROXY header; AF_UNIX: it has none */
    struct imapstate_buf user;  /* whose login it is for; empty: nobody knows */
    struct queue_wait queued;   /* QUEUED: its wait */
    struct imapstate_buf names; /* CAPABILITY: the untagged answer */
    uint64_t began_at_us;       /* this try; 0: there is none */
    uint64_t deadline_ms;       /* for this address, or for the resolution of the name; 0: not begun */
    uint64_t stalls_at_ms;      /* when it has been silent for RACE_STALL_MS; 0: that has been seen */
    uint64_t room_at_ms;        /* when parked connections give way */
    uint8_t step;               /* enum opening_step; opening_enter() alone writes it */
    uint8_t presses;            /* how often an address was tried again after a parked connection was given up for it */
    uint8_t lane;               /* that it waits in (queue.h) */
    bool is_looking;            /* no client waits for it: it takes nobody's place */
    bool is_secure;             /* TLS has begun, or was on from the beginning */
    bool has_stalled;           /* at this address */
    char why[192];              /* why the last address failed */
};

/* NULL if out of memory. scout is taken in any case. */
struct opening *opening_new(const struct config_upstream *config, struct scout *scout);
void opening_free(struct opening *opening); /* accepts NULL */

/* False, with a line in the log: the move is not foreseen. */
bool opening_enter(struct opening *opening, enum opening_step next);

/* Where to connect to. KNOWN: opening_begin_try() gives it. ASKED: look again when told that names are known, and after
 * *ret_wait_ms, which is 0 when the time for it is over. UNKNOWN: see ret_why. */
enum resolver_result opening_look_up(struct opening *opening, uint64_t now_ms, uint64_t *ret_wait_ms,
                                     const char **ret_why);

/* The address that is being tried, or its path, or the name that has none; in ret_text, or borrowed. */
const char *opening_address(const struct opening *opening, char ret_text[ADDRESS_TEXT_MAX]);

/* The next address that is to be tried. False: there is none. */
bool opening_advance(struct opening *opening);

/* Its endpoint; its time begins now. */
const struct endpoint *opening_begin_try(struct opening *opening, uint64_t now_ms);

/* The server does something. */
void opening_progress(struct opening *opening, uint64_t now_ms);

/* How long to wait from now: until its time is over, or until something has to be done about the silence. */
uint64_t opening_patience_ms(const struct opening *opening, uint64_t now_ms);
bool opening_is_late(const struct opening *opening, uint64_t now_ms);

/* It has been silent for RACE_STALL_MS: true once for each address. */
bool opening_stalls(struct opening *opening, uint64_t now_ms);

/* A line in the log, for this session or, with NULL, for none: why nothing came of this address. */
void opening_complain(struct opening *opening, const struct logmark *mark, const char *why);

/* This address has failed, or, with is_ours, something here has; why, for the log, and mark, of the session that it is
 * for, or NULL. */
void opening_fail(struct opening *opening, const struct logmark *mark, bool is_ours, const char *why, uint64_t now_ms);

/* Is there an address that was not tried, and is that worth it? */
bool opening_goes_on(const struct opening *opening);

/* It works. */
void opening_succeed(const struct opening *opening, uint64_t now_ms);

/* It was silent, and another one works. True: it is to be found out whether this one does, too. */
bool opening_lose(const struct opening *opening, uint64_t now_ms);

/* Of a scout, that has no rivals: this address is silent, and comes last. False: it is the last one. */
bool opening_puts_off(struct opening *opening, uint64_t now_ms);

/* This address has no place (queue.h): may another one be tried before anybody waits for it? */
bool opening_may_pass(const struct opening *opening);

/* It is passed, and comes again behind the others that work. */
void opening_pass(struct opening *opening);

/* Those that could be tried in place of the one that is waited for: the n-th, from 0; NULL: there are not so many. */
const struct candidate *opening_other(const struct opening *opening, unsigned n);
void opening_change_to(struct opening *opening, unsigned n);

/* Is it time that parked connections give way? True once for each second; never where max_sessions says how many the
 * server has room for. */
bool opening_wants_room(struct opening *opening, uint64_t now_ms);

/* For a server that has no room: gives up a parked connection to it. False: there is none, or none may be given up for
 * this one. */
bool opening_makes_room(const struct opening *opening);

/* It has hung up in place of a greeting. True: it is tried again after this time, as a parked connection has given
 * way. */
bool opening_tries_again(struct opening *opening, uint64_t *ret_after_ms);

/* Is TLS yet to come, so that nobody knows who is speaking? */
bool opening_is_preliminary(const struct opening *opening);

#endif
