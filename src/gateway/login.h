/* login: LOGIN and AUTHENTICATE, on both sides.
 *
 *   PROMPTING -> CONNECTING -> ANSWERING -> ASKING -> THROUGH
 *       |            |          |    ^  |
 *       |            |          |    '--' (a mechanism that is relayed: challenge, answer, ...)
 *       '------------'----------'-> DELAYING -> (gone)
 *   PROMPTING: the client's messages are being read. ANSWERING: the upstream has them. ASKING: it is logged in, and
 * asked for its capabilities, since it did not tell. THROUGH: kept for its credentials only, until they are not needed
 * any more. */
#ifndef GATEWAY_LOGIN_H
#define GATEWAY_LOGIN_H

#include <imapstate/frame.h>
#include <imapstate/span.h>

#include "sasl.h"

struct client;
struct upstream;

enum login_phase { LOGIN_PROMPTING, LOGIN_CONNECTING, LOGIN_ANSWERING, LOGIN_ASKING, LOGIN_DELAYING, LOGIN_THROUGH };

struct login {
    const struct sasl_mechanism *mechanism; /* static; NULL for the LOGIN command */
    struct sasl_identity identity;
    struct imapstate_buf first_message; /* decoded: what a relayed mechanism begins with, to be sent or sent again */
    struct imapstate_buf tag;           /* of the client's command */
    struct imapstate_buf answer;        /* the tagged answer while it is held back */
    struct imapstate_buf names;         /* the upstream's list after login */
    struct imapstate_buf owed[2];       /* what the upstream gets behind each "+" that it sends, line ends included */
    uint64_t delayed_until_ms;
    uint8_t phase;   /* enum login_phase; login_enter() alone writes it */
    uint8_t presses; /* how often it was tried again since parked connections were given up for it */
    uint8_t owed_count, owed_next;
    bool has_first_message;
    bool wants_line;      /* the client's next line belongs to the dialog */
    bool has_user;        /* AUTH=LOGIN: the user has been read, the password comes next */
    bool was_waiting;     /* the connection was made for the greeting and had to wait for the login */
    bool is_again;        /* the client does not know of it: it was accepted without, or a restore has failed (P18) */
    bool was_challenged;  /* the client has been passed a challenge */
    bool was_heard;       /* an octet of an answer has come */
    bool is_cancelled;    /* by the client: "*" has been sent */
    bool is_unanswerable; /* the upstream asks for what we do not have: we have sent "*" */
    bool is_counted;      /* refused: counts for max_login_failures */
};

void login_free(struct login *login); /* wipes; accepts NULL */

/* The client goes, or does without: its login, if there is one, ends without an answer. */
void login_abandon(struct client *client);

/* A login is under way. */
bool login_is_running(const struct login *login);

/* The client's commands; the request is complete. */
void login_command(struct client *client);
void login_authenticate(struct client *client);

/* The client's next line belongs to the dialog: reads it. False: nothing to do now. */
bool login_step(struct client *client);

/* An upstream is ready to be logged in to. */
void login_upstream_ready(struct client *client);

/* It is gone, or could not be reached. */
void login_upstream_lost(struct client *client, const struct upstream *lost, const char *why);

/* What the upstream says meanwhile: a whole line that begins a response. True: the line is the client's and is to be
 * passed on. */
bool login_hear(struct client *client, struct imapstate_span line);

/* The delay before a failed login is answered is over. */
void login_delay_is_over(struct client *client);

/* Logs in upstream, without the client's knowledge, with the credentials at hand. False: there are none.
 * choice_logged_in() or choice_login_failed() follows. */
bool login_again(struct client *client);

#endif
