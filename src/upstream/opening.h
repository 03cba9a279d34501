/* opening: how far a connection to a server has come, and where else it could be made. It only knows; connecting.c acts
 * on it.
 *
 *   GREETING -> CAPABILITY -> (READY)              GREETING -> (READY): the list of the greeting is known already
 *       |           |    '--> STARTTLS -> CAPABILITY
 *       |-----------|-------> ID -> (READY)        a scout; or a client's ID, which has a connection to itself
 *       '-----------'---'---> FAILING -> GREETING  this address is given up, or tried again, as soon as its stream has
 *                                                  unwound
 *
 * The addresses of a server's name are tried in turn, and those that could not be connected to come last (deadlist.h).
 * A server that has no room for another connection shows it by hanging up, or with BYE, in place of its greeting
 * (Courier's MAXPERIP), or by silence until another connection has ended (Courier's MAXDAEMONS, Cyrus's maxchild).
 * Parked connections to it then give way, the oldest first: one for each of a few tries, or for each second of
 * silence. */
#ifndef UPSTREAM_OPENING_H
#define UPSTREAM_OPENING_H

#include <stdbool.h>
#include <stdint.h>

#include <imapstate/span.h>

#include "address.h"
#include "config.h"
#include "endpoint.h"
#include "queue.h"
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
    const struct config_member *member;   /* of config: being tried */
    struct scout *scout;                  /* owned; NULL: for a client */
    struct resolver_wait wait;
    struct resolver_addresses addresses; /* those of a name; else none */
    unsigned at;                         /* the index of the one being tried */
    struct endpoint endpoint;            /* being tried; len 0: none yet */
    struct address peer, local;          /* the client's ends, for the PROXY header; AF_UNIX: it has none */
    struct queue_wait queued;            /* QUEUED: its wait */
    uint16_t port;
    struct imapstate_buf names; /* CAPABILITY: the untagged answer */
    uint64_t began_at_us;       /* this try; 0: there is none */
    uint64_t deadline_ms;       /* for this address, or for the resolution of the name; 0: not begun */
    uint8_t step;               /* enum opening_step; opening_enter() alone writes it */
    uint8_t presses;            /* how often an address was tried again after a parked connection was given up for it */
    uint8_t lane;               /* that it waits in (queue.h) */
    bool is_looking;            /* no client waits for it: it takes nobody's place */
    bool is_secure;             /* TLS has begun, or was on from the beginning */
    char why[192];              /* why the last address failed */
};

/* NULL if out of memory. scout is taken in any case. */
struct opening *opening_new(const struct config_upstream *config, struct scout *scout);
void opening_free(struct opening *opening); /* accepts NULL */

/* False, with a line in the log: the move is not foreseen. */
bool opening_enter(struct opening *opening, enum opening_step next);

/* Where to connect to. KNOWN: opening_begin_try() gives it. ASKED: look again when told that names are known, and after
 * *ret_wait_ms, which is 0 when the time for it is over. UNKNOWN: see opening->addresses.why. */
enum resolver_result opening_look_up(struct opening *opening, uint64_t now_ms, uint64_t *ret_wait_ms);

/* The address that is being tried, or its path, or the name that has none; in ret_text, or borrowed. */
const char *opening_address(const struct opening *opening, char ret_text[ADDRESS_TEXT_MAX]);

/* The endpoint to try; its time begins now. */
const struct endpoint *opening_begin_try(struct opening *opening, uint64_t now_ms);

/* How long to wait from now: until its time is over, or until something has to be done about the silence. */
uint64_t opening_patience_ms(const struct opening *opening, uint64_t now_ms);
bool opening_is_late(const struct opening *opening, uint64_t now_ms);

/* A line in the log, for this session or, with NULL, for none: why nothing came of this address. */
void opening_complain(struct opening *opening, const struct logmark *mark, const char *why);

/* This address has failed, before it was connected to or later; why, for the log, and mark, of the session that it is
 * for, or NULL. True: there is another one. */
bool opening_fail(struct opening *opening, const struct logmark *mark, bool was_connecting, const char *why,
                  uint64_t now_ms);

/* It works. */
void opening_succeed(const struct opening *opening);

/* For a server that has no room: gives up a parked connection to it. False: there is none, or none may be given up for
 * this one. */
bool opening_makes_room(const struct opening *opening);

/* It has hung up in place of a greeting. True: it is tried again after this time, as a parked connection has given
 * way. */
bool opening_tries_again(struct opening *opening, uint64_t *ret_after_ms);

/* Is TLS yet to come, so that nobody knows who is speaking? */
bool opening_is_preliminary(const struct opening *opening);

#endif
