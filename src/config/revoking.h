/* revoking: revocations that the operator makes while the daemon runs: they hold at once, and where there is a
 * revocations_file they are written into it, for later and for other gateways. Until they are read from there they are
 * held in memory, over what the file had. Main thread only. */
#ifndef CONFIG_REVOKING_H
#define CONFIG_REVOKING_H

#include <imapstate/span.h>
#include <stdbool.h>
#include <stdint.h>

struct revocations;

/* What a file had, with what is held over it; file is taken over, also on failure. NULL: out of memory. */
struct revocations *revoking_lay_over(struct revocations *file);

/* These are in force from now on; a reference is taken over. Accepts NULL: it changes nothing. */
void revoking_keep(struct revocations *revocations);

/* Revokes, at now_s, what was saved until now of the user's tokens, or with NULL of everybody's. The new revocations,
 * counted, are for revoking_keep() and for all who open tokens; NULL: out of memory, and nothing was revoked.
 * ret_second_s is the stamp: later than now_s, as a token of format 1 knows no more of its time than the second; and
 * later than any stamp of before. */
struct revocations *revoking_revoke(const struct imapstate_span *user, uint64_t now_s, uint64_t *ret_second_s);

/* Adds the line for it to a file, which is made if it is not there; what others have written stays, and no reader sees
 * half a line. NULL, or why it could not be written; then the file is as it was. */
const char *revoking_write(const char *path, const struct imapstate_span *user, uint64_t second_s);

/* What is held, for another process; and from there, before a file is read. False: give was not, or out of memory. user
 * NULL: everybody. */
bool revoking_give(bool (*give)(void *owner, const struct imapstate_span *user, uint64_t second_s), void *owner);
bool revoking_take(const struct imapstate_span *user, uint64_t second_s);

void revoking_done(void);

#endif
