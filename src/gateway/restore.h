/* restore: STATE and SAVESTATE (P2 to P8, P17, P18). */
#ifndef GATEWAY_RESTORE_H
#define GATEWAY_RESTORE_H

#include <imapstate/replay.h>
#include <imapstate/state.h>

struct client;

/* A STATE token under way. */
struct restore {
    struct imapstate_buf tag, token; /* the client's */
    struct imapstate_state *state;   /* owned: what the token holds */
    struct imapstate_replay *replay; /* owned */
    struct imapstate_buf held_names; /* a capability list that came meanwhile, for after the decision */
    bool was_lost;                   /* the connection broke: P6 rather than P5 */
};

enum restore_verdict { RESTORE_PASS, RESTORE_HIDE };

void restore_free(struct restore *restore); /* wipes; accepts NULL */

/* The client's commands; the request is complete, nothing is in flight. */
void restore_state(struct client *client);
void restore_savestate(struct client *client);

/* What the upstream says during a replay: a whole line that begins a response. */
enum restore_verdict restore_hear(struct client *client, struct imapstate_span line);

/* The upstream is gone. */
void restore_upstream_lost(struct client *client, const char *why);

/* How login_again() went. names: the list that the client sees now. is_refused: the upstream does not take the
 * credentials any more. */
void restore_logged_in(struct client *client, struct imapstate_span names);
void restore_login_failed(struct client *client, bool is_refused);

#endif
