/* redo: the commands of a state are run again, and each has to show that it has the effect that it had
 * (P17, "What is stored" of docs/protocol.md). The one place that knows how a command proves itself. */
#ifndef LIB_REDO_H
#define LIB_REDO_H

#include <imapstate/state.h>

struct redo_step {
    const struct imapstate_storable *storable;
    struct imapstate_buf left; /* the entry's value. Of ENABLE, names that are known to be on are overwritten by SP. */
    bool is_answered;          /* the command is completed */
    bool is_proven;            /* and has the effect; NOTIFY has nothing to prove but its OK */
};

struct redo {
    struct redo_step *steps; /* owned */
    size_t count;
    const char *fault, *fault_command; /* static: what went wrong first; NULL: nothing did */
};

enum redo_status {
    REDO_RUNNING, /* a command is not completed */
    REDO_DONE,    /* all are, and each has the effect */
    REDO_FAILED,  /* all are, and one has not */
};

/* All entries of state; their values are copied. False if out of memory; imapstate_redo_done() is needed even then. */
bool imapstate_redo_init(struct redo *redo, const struct imapstate_state *state);
void imapstate_redo_done(struct redo *redo); /* wipes; accepts one that is all zero */

/* These names (separated by SP, any case) are on. */
void imapstate_redo_names_are_on(struct redo *redo, struct imapstate_span names);

/* The step's command has chosen this language or comparator. */
void imapstate_redo_chose(struct redo_step *step, struct imapstate_span value);

/* The step's command is completed: fault NULL: with OK. fault is static, in a few words. */
void imapstate_redo_completed(struct redo *redo, struct redo_step *step, const char *fault);

/* It has failed, whatever the commands prove. command is static; "": none is to blame. The first fault counts. */
void imapstate_redo_fail(struct redo *redo, const char *command, const char *fault);

/* NOTIFICATIONOVERFLOW came: what a NOTIFY has set is not in effect any more (RFC 5465 section 5.8). */
void imapstate_redo_overflowed(struct redo *redo);

enum redo_status imapstate_redo_status(const struct redo *redo);

/* Why it failed, as imapstate_replay_reason() says it. */
const char *imapstate_redo_reason(const struct redo *redo, const char **ret_command);

#endif
