/* admission: credentials are put before the upstream, until it has let them in or has not. Who asks for that, the
 * client's login or the gateway itself, is who hears how it went.
 *
 *   CONNECTING -> ANSWERING -----> ASKING -> (through)
 *        ^         |  |   ^          ^
 *        |         |  |   '-> CHALLENGED
 *        |         |  v          |   |
 *        '---------'  WITHDRAWN <'   |
 *        '----------------'          |
 *   ANSWERING: the upstream has the credentials. Back, from WITHDRAWN too: others were given up for it, or the password
 * is tried by another way (way.h). CHALLENGED: the client's next line is the answer. WITHDRAWN: "*" was sent; the
 * upstream's answer is awaited all the same. ASKING: it is through but for the capability list, which the upstream did
 * not tell and is asked for. It ends from any of them, and is gone when the asker hears of it. */
#ifndef CLIENT_ADMISSION_H
#define CLIENT_ADMISSION_H

#include "catalogue.h"
#include "credentials.h"

struct client;
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
    ADMISSION_UNAVAILABLE, /* the upstream cannot be reached, or says that they may be good all the same */
    ADMISSION_NOT_OFFERED, /* it offers no way to log in with these */
    ADMISSION_CANCELLED,   /* "*" has its answer */
};

/* Of an upstream that cannot be reached, where it has said nothing itself: a status, and text that is translated. */
#define ADMISSION_UNREACHABLE "NO [UNAVAILABLE] " N_("The mail server cannot be reached.")

/* Who asks, and hears how it went when client->admission is gone. Spans and words are borrowed for the call. */
struct admission_asker {
    /* The upstream challenges, by the whole line. True: that is passed on to the client, and admission_relay() or
     * admission_withdraw() follows. False: there is nobody to answer it. NULL: there never is. */
    bool (*challenged)(struct client *client, struct imapstate_span line);
    /* answer: the upstream's tagged line. names: its capability list. */
    void (*admitted)(struct client *client, struct imapstate_span answer, struct imapstate_span names);
    /* answer: the upstream's tagged line; empty, where there is none. unavailable: the answer to what cannot be done
     * without an upstream, in its own words if it has hung up with any. */
    void (*failed)(struct client *client, enum admission_failure failure, struct imapstate_span answer,
                   const char *unavailable);
};

struct admission {
    const struct admission_asker *asker; /* static */
    struct imapstate_span tag;           /* of the command upstream; borrowed */
    struct credentials_parts parts;      /* what goes up: the command, then one behind each "+" */
    struct imapstate_buf answer;         /* ASKING: the tagged OK, which the client has not got yet */
    struct imapstate_buf names;          /* the upstream's list after login, as far as it has told one */
    struct imapstate_buf alerts;         /* that have come with it */
    struct imapstate_buf refusal;        /* the tagged answer to the first way, if another is being tried */
    char *unavailable;                   /* owned: NO in the upstream's words, if it has hung up with any; else NULL */
    uint16_t evidence;                   /* enum evidence: what the upstream has shown to be on meanwhile */
    uint8_t way;                         /* enum way: by which a password goes up */
    uint8_t refused;                     /* set of WAY_BIT(): that the upstream has refused it by */
    uint8_t failure;                     /* enum admission_failure: what refusal would be */
    uint8_t phase;                       /* enum admission_phase; admission_enter() alone writes it */
    uint8_t sent;                        /* of parts */
    uint8_t presses;     /* how often it was tried again since parked connections were given up for it */
    bool was_challenged; /* the client has seen a challenge, which cannot be had again */
};

void admission_free(struct admission *admission); /* wipes; accepts NULL */

/* Begins with the client's credentials, on client->upstream or, without one, a new one. tag lives as long as the
 * admission. The asker hears of its end, maybe from within this call. */
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

/* What the upstream says meanwhile: a whole line that begins a response. True: the line is the client's and is to be
 * passed on. */
bool admission_hear(struct client *client, struct imapstate_span line);

/* Before that: the greeting, or what stands in its place, may tell the user something (ALERT), or why nobody is let in
 * (BYE). Any other line is of no interest. */
void admission_told(struct client *client, struct imapstate_span line);

#endif
