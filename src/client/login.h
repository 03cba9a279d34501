/* login: the dialog in which a client logs in, LOGIN or AUTHENTICATE: what it says, and how it is answered.
 *
 *   PROMPTING -> ROUTING -> TRYING -> DELAYING
 *       '-----------|----------^         ^
 *                   '--------------------'
 *   PROMPTING: the client's messages are asked for. ROUTING: somebody is asked where the user's mail is, if that is not
 * known at once (routing.h). TRYING: the upstream has been asked (admission.h), and may
 * challenge the client. DELAYING: an attacker waits for the NO. It may end in any of them, and is gone when the client
 * is logged in, or is not. */
#ifndef CLIENT_LOGIN_H
#define CLIENT_LOGIN_H

#include <imapstate/frame.h>
#include <imapstate/span.h>
#include <stdbool.h>
#include <stdint.h>

#include "routing.h"

struct client;
struct question;

enum login_phase { LOGIN_PROMPTING, LOGIN_ROUTING, LOGIN_TRYING, LOGIN_DELAYING, LOGIN_PHASE_MAX };

struct login {
    struct imapstate_buf tag;    /* of the client's command */
    struct imapstate_buf answer; /* DELAYING: what the client will be answered */
    struct question *question;   /* borrowed; ROUTING: it is cancelled with the login; else NULL */
    uint64_t began_at_us;
    uint64_t routed_at_ms; /* since when it is route_http, and then the upstream, that is waited for */
    uint64_t delayed_until_ms;
    uint8_t phase;     /* enum login_phase; login_enter() alone writes it */
    bool was_asked;    /* route_http, where the user is */
    bool has_answered; /* a challenge, with something other than "*" */
    bool is_ahead;     /* the client's next line had begun before it could see the challenge to a bearer token */
    bool is_overtaken; /* ... and was not an answer to that but a command: "*" went up in its place */
    bool is_malformed; /* its answer to the challenge: "*" went up in its place */
};

void login_free(struct login *login); /* wipes; accepts NULL */

/* The client's commands; the request is complete. */
void login_command(struct client *client);
void login_authenticate(struct client *client);

/* ROUTING: whoever was asked has answered. */
void login_is_routed(struct client *client, enum routing_result result);

/* Does the client's next line belong to the dialog? */
bool login_wants_line(const struct client *client);

/* Reads that line, which the caller consumes. */
void login_take_line(struct client *client, const struct imapstate_piece *piece);

/* Continues with anything that needs no further octet. False: there is nothing. */
bool login_go_on(struct client *client);

/* The connection ends in the middle of it. */
void login_is_abandoned(struct client *client);

/* The delay before a failed login is answered is over. */
void login_delay_is_over(struct client *client);

#endif
