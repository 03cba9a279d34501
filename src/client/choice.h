/* choice: which upstream connection serves a session, chosen as late as possible.
 *
 * Credentials that match a parked connection's proof are accepted without the upstream (choice_accept()), and that
 * connection is held in reserve. The first command that needs an upstream chooses: STATE takes one in exactly the
 * token's state, else a pristine one; any other command takes a pristine one; failing that there is a new login. Until
 * the chosen connection has shown that it is alive, the credentials and what was written to it are kept, so that
 * another one can take its place. */
#ifndef CLIENT_CHOICE_H
#define CLIENT_CHOICE_H

#include <imapstate/span.h>
#include <stdbool.h>
#include <stdint.h>

#include "admission.h"
#include "park.h"
#include "resend.h"

struct client;
struct offers;
struct upstream;

/* A session that has sent no command that needs an upstream gets one after this time; and one that was answered from a
 * record, after this. */
#define CHOICE_DELAY_MS 10000u
#define CHOICE_TOLD_MS  5000u

struct choice {
    struct parked *reserved; /* owned */
    struct proof *proof;     /* counted; NULL: the login went upstream */
    struct record *record;   /* owned: from which the session was answered; NULL: it was not */
    struct resend resend;    /* what went up on a woken connection */
    uint64_t due_at_ms;      /* when one is made at the latest */
    bool wants_new;          /* what is parked is in doubt: only a new login will do */
    bool has_doubted;        /* a connection was in doubt, and another has taken its place, whose answers stand */
};

/* Gives back the reserved connection, and forgets everything. */
void choice_done(struct client *client);

/* The credentials of a login are known: may it be accepted without the upstream? If so, *ret_offers is the list of the
 * parked connection that is held in reserve for it, or has been chosen; borrowed until the next choice. */
bool choice_accept(struct client *client, struct offers **ret_offers);

/* What a server has answered to this ENABLE in a session that began like this one (record.h), which has not chosen yet.
 * From then on it has to be in the state that the client was told of. */
enum record_answer choice_look_up(struct client *client, struct imapstate_span request,
                                  struct imapstate_buf *ret_names);

/* What it has answered to NAMESPACE in such a session; false: nobody knows. */
bool choice_namespace(struct client *client, struct imapstate_buf *ret_line);

/* The session has been answered from a record. From here on that is what is held in reserve for it, for CHOICE_TOLD_MS
 * at most, and no connection. */
void choice_was_told(struct client *client);

/* A command other than STATE needs an upstream, and the session is not set up. True: there is one. False: one is being
 * made, or the session has ended. */
bool choice_make(struct client *client);

/* Takes a parked one with this key (setup.h), which is that of the state that the session's next command is to lead to.
 * False: there is none. True: it is ahead of the session until that command has been answered, and nothing else may go
 * up before. */
bool choice_make_equal(struct client *client, struct imapstate_span state);

/* That command was answered OK: the session is where its connection is. */
void choice_arrive(struct client *client);

/* It was refused: the session is not where its connection is, and must get another one, on which the command is sent
 * again. True: the caller is to end the connection, and choice_replace() then puts another in its place. False: there
 * is none. */
bool choice_retreat(struct client *client);

enum choice_result {
    CHOICE_EXACT,    /* client->upstream is in the state */
    CHOICE_PRISTINE, /* client->upstream is pristine */
    CHOICE_WAITING,  /* a login is under way: the asker is told how it goes */
    CHOICE_NONE,     /* there is none, and no credentials to make one */
};

/* STATE needs one, in this state (encoded). */
enum choice_result choice_make_state(struct client *client, struct imapstate_span state,
                                     const struct admission_asker *asker);

/* Logs in upstream without the client's knowledge, with the credentials at hand. False: there are none, or none that
 * can be used twice. */
bool choice_log_in(struct client *client, const struct admission_asker *asker);

/* The answer to a command that waits for a login without the client's knowledge, if that login has failed. */
const char *choice_answer(enum admission_failure failure, const char *unavailable);

/* There is no connection and there will be none: what waits gets this answer, and the session ends (P6). */
void choice_give_up(struct client *client, const char *answer);

/* This is the upstream's list after login; NULL: there is none other than before. True: the client has been sent it,
 * since it sees another one than before; its tokens are then dead (P12). */
bool choice_heed_offers(struct client *client, struct offers *offers);

/* A woken connection that has been silent for long may be dead without anybody knowing, and what is sent to it may or
 * may not run. So a command that is not repeatable waits until an octet has come; if nothing in flight will bring one,
 * a NOOP is sent. True: it must wait. */
bool choice_awaits_life(struct client *client, bool is_repeatable);

/* The first command got an answer that no working connection gives. True: the caller is to end the connection, and
 * choice_replace() then puts another in its place, with a new login if possible. False: there is none, or that has been
 * tried. */
bool choice_doubt(struct client *client);

/* Octets go up. */
void choice_sent(struct client *client, struct imapstate_span octets, bool is_repeatable);

/* An octet has come from the chosen connection: it is alive. */
void choice_heard(struct client *client);

/* STATE is decided, or another command has been passed on: the credentials are forgotten, together with what the client
 * has said about itself, unless the session has yet to choose its connection, or the chosen one may still have to be
 * replaced. */
void choice_forget_credentials(struct client *client);

/* What was written to a lost connection goes up on the one that has taken its place, if there is one. */
void choice_resend(struct client *client);

enum choice_replacement {
    CHOICE_REPLACED, /* another one has taken its place, or is being made */
    CHOICE_RESTORE,  /* one in the same state is needed: restore_again(); if that fails, choice_cannot_replace() */
    CHOICE_LOST,     /* nothing can be done without running something twice */
};

/* The chosen connection turned out to be dead before that. lost has ended, but still exists. */
enum choice_replacement choice_replace(struct client *client, const struct upstream *lost);
void choice_cannot_replace(struct client *client);

/* If another took the place of this one, which has not shown yet that it is alive, or is ahead of the session, is it
 * certain that nothing runs twice? */
bool choice_may_replace(const struct client *client, const struct upstream *lost);

#endif
