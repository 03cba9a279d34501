/* admission: credentials are put before the upstream, until it has let them in or has not.
 *
 *   CONNECTING -> ANSWERING -> ASKING -> (through)
 *        ^         |    |        ^
 *        '---------'    '-> WITHDRAWN
 *   ANSWERING: the upstream has the credentials. Back, from WITHDRAWN too: others were given up for it, or the password
 * is tried by another way (way.h). WITHDRAWN: "*" was sent; the answer is awaited all the same. ASKING: it is through
 * but for the capability list, which the upstream did not tell and is asked for. It ends from any of them, and is gone
 * when login.c hears of it. */
#ifndef CLIENT_ADMISSION_H
#define CLIENT_ADMISSION_H

#include "credentials.h"

struct client;
struct upstream;

enum admission_phase { ADMISSION_CONNECTING, ADMISSION_ANSWERING, ADMISSION_WITHDRAWN, ADMISSION_ASKING };

struct admission {
    struct imapstate_span tag;      /* of the command upstream; borrowed */
    struct credentials_parts parts; /* what goes up: the command, then one behind each "+" */
    struct imapstate_buf answer;    /* ASKING: the tagged OK, which the client has not got yet */
    struct imapstate_buf names;     /* the upstream's list after login, as far as it has told one */
    struct imapstate_buf alerts;    /* that have come with it */
    struct imapstate_buf refusal;   /* the tagged answer to the first way, if another is being tried */
    uint16_t evidence;              /* enum evidence: what the upstream has shown to be on meanwhile */
    uint8_t way;                    /* enum way: by which a password goes up */
    uint8_t refused;                /* set of WAY_BIT(): that the upstream has refused it by */
    uint8_t failure;                /* enum admission_failure: what refusal would be */
    uint8_t phase;                  /* enum admission_phase; admission_enter() alone writes it */
    uint8_t sent;                   /* of parts */
    uint8_t presses;                /* how often it was tried again since parked connections were given up for it */
};

/* Why it ended without the credentials being accepted. */
enum admission_failure {
    ADMISSION_REFUSED,
    ADMISSION_UNAVAILABLE, /* the upstream cannot be reached, or says that they may be good all the same */
    ADMISSION_NOT_OFFERED, /* it offers no way to log in with these */
    ADMISSION_CANCELLED,   /* "*" has its answer */
};

void admission_free(struct admission *admission); /* wipes; accepts NULL */

/* Begins with client->login's credentials, on client->upstream or, without one, a new one. tag lives as long as the
 * login. login_admitted() or login_not_admitted() follows, maybe from within this call. */
void admission_begin(struct client *client, struct imapstate_span tag);

/* The client's message in a mechanism that is relayed: its line, without the end. */
void admission_relay(struct client *client, struct imapstate_span line);

/* ANSWERING, and the upstream waits for a message: it gets "*" instead (RFC 9051 section 6.2.2). */
void admission_withdraw(struct client *client);

/* The upstream is ready to be logged in to. */
void admission_upstream_ready(struct client *client);

/* It is gone, or could not be reached. lost has ended, but is still there. */
void admission_upstream_lost(struct client *client, const struct upstream *lost, const char *why);

/* What the upstream says meanwhile: a whole line that begins a response. True: the line is the client's and is to be
 * passed on. */
bool admission_hear(struct client *client, struct imapstate_span line);

#endif
