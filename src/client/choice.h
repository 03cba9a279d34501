/* choice: which upstream connection serves a session, chosen as late as can be.
 *
 * Credentials that a parked connection's proof matches are accepted without the upstream (choice_accept()); that
 * connection is held in reserve. The first command that needs an upstream chooses it: STATE one in exactly the token's
 * state, else a pristine one; any other command a pristine one; else there is a new login. Until the chosen connection
 * has shown that it lives, the credentials and what was written to it are kept, so that another one can take its place.
 */
#ifndef CLIENT_CHOICE_H
#define CLIENT_CHOICE_H

#include <imapstate/span.h>
#include <stdbool.h>
#include <stdint.h>

#include "admission.h"
#include "park.h"
#include "resend.h"

struct client;
struct upstream;

/* A session without a command that needs an upstream gets one after this time. */
#define CHOICE_DELAY_MS 10000u

struct choice {
    struct parked *reserved; /* owned */
    struct proof *proof;     /* counted; NULL: the login went upstream */
    struct resend resend;    /* what went up on a woken connection */
    uint64_t accepted_at_ms;
    bool wants_new;   /* what is parked is in doubt: only a new login will do */
    bool has_doubted; /* one was, and another has taken its place: its answers stand */
};

/* Gives the reserved connection back, forgets everything. */
void choice_done(struct client *client);

/* A login whose credentials are known: may it be accepted without the upstream? *ret_names is then the list of the
 * parked connection that is held in reserve for it, or has been chosen; borrowed until the next choice. */
bool choice_accept(struct client *client, struct imapstate_span *ret_names);

/* A command other than STATE needs an upstream. True: there is one. False: it is being made, or the session has ended.
 */
bool choice_make(struct client *client);

enum choice_result {
    CHOICE_EXACT,    /* client->upstream is in the state */
    CHOICE_PRISTINE, /* client->upstream is pristine */
    CHOICE_WAITING,  /* a login is under way: the asker hears how it goes */
    CHOICE_NONE,     /* there is none, and no credentials to make one */
};

/* STATE needs one, in this state (encoded). */
enum choice_result choice_make_state(struct client *client, struct imapstate_span state,
                                     const struct admission_asker *asker);

/* Logs in upstream, without the client's knowledge, with the credentials at hand. False: there are none, or none that
 * can be used twice. */
bool choice_log_in(struct client *client, const struct admission_asker *asker);

/* What a login without the client's knowledge that has failed means for a command that waits for it. */
const char *choice_answer(enum admission_failure failure, const char *unavailable);

/* There is no connection and there will be none: what waits is answered so, and the session ends (P6). */
void choice_give_up(struct client *client, const char *answer);

/* The upstream's list after login is this. True: the client has been told of it, since it sees another one than before;
 * its tokens are dead then (P12). */
bool choice_heed_names(struct client *client, struct imapstate_span names);

/* A woken connection that has been silent for long may be dead without anybody knowing, and what is sent to it might,
 * or might not, run. So a command that is not repeatable waits until an octet has come; where nothing is in flight that
 * would bring one, a NOOP is sent. True: it must wait. */
bool choice_awaits_life(struct client *client, bool is_repeatable);

/* The first command was answered as by no connection that serves. True: the caller is to end it, and another one, by a
 * new login where that can be, then takes its place by choice_replace(). False: there is none, or it has been tried. */
bool choice_doubt(struct client *client);

/* Octets go up. */
void choice_sent(struct client *client, struct imapstate_span octets, bool is_repeatable);

/* An octet has come from the chosen connection: it lives. */
void choice_heard(struct client *client);

/* STATE is decided, or another command has been passed on: the credentials are forgotten, and what the client has said
 * of itself, unless the session has yet to choose its connection, or the chosen one may still have to be replaced. */
void choice_forget_credentials(struct client *client);

/* What was written to a connection that is gone goes up on the one that has taken its place, if there is any. */
void choice_resend(struct client *client);

enum choice_replacement {
    CHOICE_REPLACED, /* another one has taken its place, or is being made */
    CHOICE_RESTORE,  /* one in the same state is needed: restore_again(); if that fails, choice_cannot_replace() */
    CHOICE_LOST,     /* nothing can be done without running something twice */
};

/* The chosen connection turned out dead before that. lost has ended, but is still there. */
enum choice_replacement choice_replace(struct client *client, const struct upstream *lost);
void choice_cannot_replace(struct client *client);

/* Would nothing run twice if another took the place of this one, which has not shown yet that it lives? */
bool choice_may_replace(const struct client *client, const struct upstream *lost);

#endif
