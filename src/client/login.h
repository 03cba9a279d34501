/* login: what a client says to log in, by LOGIN or AUTHENTICATE, and what it is answered.
 *
 *   PROMPTING -> TRYING ---> CHALLENGED <-> RESPONDED
 *       |          |             |             |
 *       |          '-------------'-------------'----> DELAYING -> (gone)
 *       '----------'-------------'-------------'----> THROUGH
 *   PROMPTING: the client's messages are asked for. TRYING: the upstream has been asked (admission.h). CHALLENGED: it
 * has challenged, and the client's next line is for it. RESPONDED: it has that line. DELAYING: an attacker waits for
 * the NO. THROUGH: the client is logged in; kept for the credentials only, until they are not needed any more. It can
 * be gone at any time. */
#ifndef CLIENT_LOGIN_H
#define CLIENT_LOGIN_H

#include "admission.h"

enum login_phase {
    LOGIN_PROMPTING,
    LOGIN_TRYING,
    LOGIN_CHALLENGED,
    LOGIN_RESPONDED,
    LOGIN_DELAYING,
    LOGIN_THROUGH,
};

struct login {
    struct credentials credentials;
    struct imapstate_buf tag;    /* of the client's command */
    struct imapstate_buf answer; /* DELAYING: what the client will be answered */
    uint64_t delayed_until_ms;
    struct imapstate_buf told;   /* alerts that the client has been told since the login began */
    char *unavailable;           /* owned: NO in the upstream's words, if it has hung up with any; else NULL */
    struct admission *admission; /* owned: while the upstream is being asked, be it for a login that is THROUGH */
    uint8_t phase;               /* enum login_phase; login_enter() alone writes it */
    bool has_answered;           /* a challenge, by something else than "*" */
    bool is_ahead;     /* the client's next line had begun before it could see the challenge to a bearer token */
    bool is_overtaken; /* ... and was no answer to that but a command: "*" went up in its place */
    bool is_malformed; /* its answer to the challenge: "*" went up in its place */
};

void login_free(struct login *login); /* wipes; accepts NULL */

/* The client's commands; the request is complete. */
void login_command(struct client *client);
void login_authenticate(struct client *client);

/* Is an upstream being asked to admit it? login accepts NULL. */
bool login_is_at_upstream(const struct login *login);

/* Does the client's next line belong to the dialog? login accepts NULL. */
bool login_wants_line(const struct login *login);

/* Reads that line. False: nothing to do now. */
bool login_step(struct client *client);

/* The connection ends in the middle of it. */
void login_is_abandoned(struct client *client);

/* The delay before a failed login is answered is over. */
void login_delay_is_over(struct client *client);

/* Logs in upstream, without the client's knowledge, with the credentials at hand. False: there are none.
 * choice_logged_in() or choice_login_failed() follows. */
bool login_again(struct client *client);

/* From admission.c: may it be tried again without the client's help? */
bool login_may_repeat(const struct login *login);

/* The upstream challenges, by the whole line. True: that is passed on to the client, and admission_relay() or
 * admission_withdraw() follows. False: there is nobody to answer it. */
bool login_challenged(struct client *client, struct imapstate_span line);

/* Tells the client those alerts that it has not been told since its login began, of which there need be none under way:
 * each reaches a session once, from wherever it is known. */
void login_tell_alerts(struct client *client, struct imapstate_span alerts);

/* The same for a line of the upstream's that may be one. Both accept what is none. */
void login_hear_alert(struct client *client, struct imapstate_span line);

/* The upstream hangs up on the login. Its words are for the client, if there is no other way. */
void login_hear_bye(struct client *client, struct imapstate_span line);

/* The answer to what cannot be done without an upstream. login accepts NULL; borrowed. */
const char *login_unavailable(const struct login *login);

/* How it went; the admission is over. answer: the upstream's tagged line; empty, where there can be a failure without
 * one. names: its capability list. */
void login_admitted(struct client *client, struct imapstate_span answer, struct imapstate_span names);
void login_not_admitted(struct client *client, enum admission_failure failure, struct imapstate_span answer);

#endif
