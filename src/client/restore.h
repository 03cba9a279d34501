/* restore: STATE and SAVESTATE (P2 to P8, P17, P18). */
#ifndef CLIENT_RESTORE_H
#define CLIENT_RESTORE_H

#include <imapstate/command.h>
#include <imapstate/replay.h>
#include <imapstate/state.h>

struct client;
struct offers;
struct upstream;

/*   CHOOSING <-> REPLAYING -> REPLACING     Back to CHOOSING: a parked connection has turned out dead. */
enum restore_phase {
    RESTORE_CHOOSING,  /* a connection is being made */
    RESTORE_REPLAYING, /* the upstream is being brought into the state */
    RESTORE_REPLACING, /* that has failed; the connection is being replaced (P18) */
    RESTORE_PHASE_MAX,
};

/* A STATE token under way. */
struct restore {
    struct imapstate_buf tag, token; /* the client's */
    struct imapstate_state *share;   /* owned: the part of the token's state that the upstream is to be brought into */
    struct imapstate_buf encoded;    /* share, encoded */
    struct imapstate_replay *replay; /* owned; NULL before REPLAYING */
    struct offers *held; /* counted: a capability list that came in the meantime, for after the decision; or NULL */
    uint8_t language;    /* of state, by catalogue.h's number */
    uint8_t phase;       /* enum restore_phase; restore_enter() alone writes it */
    bool is_warm;        /* the connection was already in the state */
    bool was_lost;       /* it broke: P6 rather than P5 */
    bool is_again;       /* restore_again(): no client has asked for it, so there is no tag and no token */
};

enum restore_verdict { RESTORE_PASS, RESTORE_HIDE };

void restore_free(struct restore *restore); /* wipes; accepts NULL */

/* The client's commands; the request is complete, nothing is in flight. */
void restore_state(struct client *client);
void restore_savestate(struct client *client);

/* The connection of a restored session is gone before it has shown that it is alive: brings another one into everything
 * that is in effect. The client notices nothing; then choice_resend() follows, or choice_give_up(). False if out of
 * memory. */
bool restore_again(struct client *client);

/* A command other than STATE needs an upstream: one in the state that the session is in, which it may have been told
 * without having one (choice_look_up()). line: the command, whole, if it is one that is stored: a connection that is in
 * the state that it leads to serves, too; else NULL. True: there is one. False: one is being made, or the session has
 * ended. */
bool restore_make_upstream(struct client *client, const struct imapstate_command_line *line);

/* What the upstream says during a replay: a whole line that begins a response. */
enum restore_verdict restore_hear(struct client *client, struct imapstate_span line);

/* The upstream is gone during a replay. lost has ended, but still exists. */
void restore_upstream_lost(struct client *client, const struct upstream *lost, const char *why);

#endif
