/* admission: presents credentials to the upstream, until it has accepted them or has not. The asker, either the
 * client's login or the gateway itself, is told how it went.
 *
 *   CONNECTING -> ANSWERING -----> ASKING -> (through)
 *        ^         |  |   ^          ^
 *        |         |  |   '-> CHALLENGED
 *        |         |  v          |   |
 *        '---------'  WITHDRAWN <'   |
 *        '----------------'          |
 *   ANSWERING: the upstream has the credentials. Back to CONNECTING, from WITHDRAWN too: parked connections were given
 * up for it, or the password is tried another way (way.h). CHALLENGED: the client's next line is the answer. WITHDRAWN:
 * "*" was sent; the upstream's answer is still awaited. ASKING: the login is through except for the capability list,
 * which the upstream did not send and is asked for. It may end in any of them, and is gone when the asker hears of it.
 */
#ifndef CLIENT_ADMISSION_H
#define CLIENT_ADMISSION_H

#include "catalogue.h"
#include "credentials.h"

struct client;
struct offers;
struct upstream;

enum admission_phase {
    ADMISSION_CONNECTING,
    ADMISSION_ANSWERING,
    ADMISSION_CHALLENGED,
    ADMISSION_WITHDRAWN,
    ADMISSION_ASKING,
    ADMISSION_PHASE_MAX,
};

/* Why it ended without the credentials being accepted. */
enum admission_failure {
    ADMISSION_REFUSED,
    ADMISSION_UNAVAILABLE, /* the upstream cannot be reached, or says that they may be good after all */
    ADMISSION_NOT_OFFERED, /* it offers no way to log in with these */
    ADMISSION_CANCELLED,   /* "*" was answered */
};

/* The answer when an upstream cannot be reached and has said nothing itself: a status, and text that is translated. */
#define ADMISSION_UNREACHABLE "NO [UNAVAILABLE] " N_("The mail server cannot be reached.")

/* Who asks, and hears how it went once client->admission is gone. Spans and words are borrowed for the call. */
struct admission_asker {
    /* The upstream sends a challenge, the whole line. True: it is passed on to the client, and admission_relay() or
     * admission_withdraw() follows. False: there is nobody to answer it. NULL: there never is. */
    bool (*challenged)(struct client *client, struct imapstate_span line);
    /* answer: the upstream's tagged line. offers: its capability list; NULL if out of memory. */
    void (*admitted)(struct client *client, struct imapstate_span answer, struct offers *offers);
    /* answer: the upstream's tagged line; empty if there is none. unavailable: the answer to anything that cannot be
     * done without an upstream, in the upstream's own words if it gave any when it hung up. */
    void (*failed)(struct client *client, enum admission_failure failure, struct imapstate_span answer,
                   const char *unavailable);
};

struct admission {
    const struct admission_asker *asker; /* static */
    struct imapstate_span tag;           /* of the command upstream; borrowed */
    struct credentials_parts parts;      /* what goes up: the command, then one part after each "+" */
    struct imapstate_buf answer;         /* ASKING: the tagged OK, which the client has not got yet */
    struct imapstate_buf names;          /* the upstream's list after login, if it has sent one */
    struct imapstate_buf alerts;         /* those that have come with it */
    struct imapstate_buf refusal;        /* the tagged answer to the first way, if another is being tried */
    char *unavailable;                   /* owned: NO in the upstream's words, if it gave any when it hung up; else
                                          * NULL */
    uint16_t evidence;                   /* enum evidence: what the upstream has shown to be on in the meantime */
    uint8_t way;                         /* enum way: by which a password goes up */
    uint8_t refused;                     /* set of WAY_BIT(): the ways that the upstream has refused */
    uint8_t failure;                     /* enum admission_failure: what a refusal would mean */
    uint8_t phase;                       /* enum admission_phase; admission_enter() alone writes it */
    uint8_t sent;                        /* of parts */
    uint8_t presses;     /* how often it was tried again after parked connections were given up for it */
    bool was_challenged; /* the client has seen a challenge, which cannot be repeated */
};

void admission_free(struct admission *admission); /* wipes; accepts NULL */

/* Begins with the client's credentials, on client->upstream or, if there is none, on a new one. tag lives as long as
 * the admission. The asker is told of its end, possibly from within this call. */
void admission_begin(struct client *client, struct imapstate_span tag, const struct admission_asker *asker);

/* Is the client's next line for the upstream? admission accepts NULL. */
bool admission_wants_line(const struct admission *admission);

/* CHALLENGED: the client's message in a mechanism that is relayed: its line, without the end. */
void admission_relay(struct client *client, struct imapstate_span line);

/* The upstream waits for a message: it gets "*" instead (RFC 9051 section 6.2.2). */
void admission_withdraw(struct client *client);

/* The upstream is ready to be logged in to. */
void admission_upstream_ready(struct client *client);

/* It is gone, or could not be reached. lost has ended, but is still there. */
void admission_upstream_lost(struct client *client, const struct upstream *lost, const char *why);

/* What the upstream says in the meantime: a whole line that begins a response. True: the line is for the client and is
 * to be passed on. */
bool admission_hear(struct client *client, struct imapstate_span line);

/* Before that, the greeting, or what comes in its place, may tell the user something (ALERT), or say why nobody is let
 * in (BYE). Any other line does not matter. */
void admission_told(struct client *client, struct imapstate_span line);

#endif
