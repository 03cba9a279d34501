/* trial: what STATE is worth with a server. Up to three sessions: one that sets up and saves, one that is restored, and
 * one that sets up without STATE. Nothing is changed: the mailbox is opened with EXAMINE. */
#ifndef CTL_TRIAL_H
#define CTL_TRIAL_H

#include "account.h"

enum trial_result {
    TRIAL_RESTORED,     /* all three sessions went as they should */
    TRIAL_FAILED,       /* something other than STATE is wrong; see error and refusal */
    TRIAL_NO_STATE,     /* the server has no STATE; one session was set up without it */
    TRIAL_NOT_RESTORED, /* it claims to have it; see error and refusal */
};

enum trial_session { TRIAL_SAVING, TRIAL_RESTORING, TRIAL_WITHOUT, TRIAL_SESSIONS };

/* What a session took. The round trips are the flights from the greeting to the answer that the session was for, to
 * SAVESTATE or to EXAMINE. */
struct trial_measure {
    unsigned round_trips; /* 0: there was no such session */
    uint64_t connect_us;  /* from the beginning to the greeting: name, TCP, implicit TLS */
    uint64_t then_us;     /* from there to that answer */
};

/* Is STATE in a capability list? */
enum trial_offer { TRIAL_NO_LIST, TRIAL_OFFER_NO, TRIAL_OFFER_YES };

struct trial {
    const struct connection_target *target; /* borrowed */
    const struct account *account;          /* borrowed */
    struct transcript *transcript;          /* borrowed */
    struct account_login login;             /* chosen in the first session */
    const char *set_up[6];                  /* the commands; static */
    size_t set_up_count;
    struct imapstate_buf kept; /* between the first session and the second; secret */
    enum trial_offer in_greeting, before_login, with_login, after_login;
    const char *protocol; /* static: "TLSv1.3" */
    struct trial_measure measures[TRIAL_SESSIONS];
    struct imapstate_buf restored, not_stored; /* names of commands, separated by ", " */
    struct imapstate_buf error;                /* what went wrong, and */
    struct imapstate_buf refusal;              /* what the server said about it; may be empty */
};

/* The account's secret is hidden in the transcript. trial_done() ends the trial, and wipes. */
enum trial_result trial_run(struct trial *trial, const struct connection_target *target, const struct account *account,
                            struct transcript *transcript);
void trial_done(struct trial *trial);

#endif
