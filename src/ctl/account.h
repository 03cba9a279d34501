/* account: who logs in with which secret, and what is said for it. */
#ifndef CTL_ACCOUNT_H
#define CTL_ACCOUNT_H

#include "connection.h"
#include "exchange.h"

struct account {
    struct imapstate_span user, secret; /* borrowed */
    bool has_token;                     /* the secret is an OAuth access token (RFC 6750), not a password */
};

/* One that is all zero is empty. */
struct account_login {
    const char *mechanism;     /* of AUTHENTICATE, static; NULL: the command LOGIN */
    bool is_initial;           /* its message goes with the command (RFC 4959) */
    struct imapstate_buf text; /* the command, without tag and line end, or the message in base64; secret */
};

void account_login_init(struct account_login *login);
void account_login_done(struct account_login *login); /* wipes */

/* Chooses how to log in to the target, by the last capability list, and writes the text. NULL, or why nothing was
 * written, in static words. */
const char *account_write_login(const struct account *account, const struct exchange *exchange,
                                const struct connection_target *target, struct account_login *login);

/* The answer to the challenge in which the server says why it refuses a token (RFC 7628 section 3.2.3). Static. */
struct imapstate_span account_answer_refusal(const struct account_login *login);

#endif
