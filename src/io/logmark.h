/* logmark: what all log lines of one session have in common: which connection and which session it is, and whether they
 * are wanted at debug.
 *
 * A session's name is the same in all lines, and unique: over the workers of a process by its number, over restarts and
 * nodes by 64 random bits that the process draws once. It is made when it is written, so it costs a session nothing. */
#ifndef IO_LOGMARK_H
#define IO_LOGMARK_H

#include <imapstate/span.h>
#include <stdbool.h>
#include <stdint.h>

#include "logline.h"

struct logmark {
    uint64_t client;     /* the connection's number (loop_new_id()); 0: it is nobody's */
    uint64_t session;    /* the session's; on the first of a connection the same */
    uint32_t generation; /* of loguser.h, when the user was last looked up */
    bool is_debugged;
};

/* "9f86d081884c7d65.4f2a", with its NUL. Dovecot takes up to 64 octets for an x-session-id. */
#define LOGMARK_SESSION_MAX (16 + 1 + 16 + 1)
const char *logmark_session(const struct logmark *mark, char ret_text[LOGMARK_SESSION_MAX]);

/* From here on the lines are those of another session, or this user's; empty: nobody's yet. */
void logmark_renew(struct logmark *mark, uint64_t session);
void logmark_set_user(struct logmark *mark, struct imapstate_span user);

/* Has the list of users changed since the user was set? Then that is due again. */
bool logmark_is_stale(const struct logmark *mark);

/* Is a line at this level wanted? */
bool logmark_is_on(const struct logmark *mark, enum log_level level);

/* Adds client= and session=. */
void logmark_put(const struct logmark *mark, struct logline *line);

#endif
