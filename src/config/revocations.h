/* revocations: since when whose tokens are good, as an operator's file has it (P14).
 *
 * The file is text, a line each: "USER SECONDS" for one user, "* SECONDS" for all; seconds since 1970-01-01 UTC. All
 * that was saved before is revoked. Of several lines for one user the latest second counts. Empty lines and lines that
 * begin with "#" are skipped. A user is written as in the log (log_quote()): \xHH for a space, a quote, a backslash and
 * controls; also for a "*" that is a name, and for a "#" in front. Other octets above 127 may stand as they are. ASCII
 * letters match in either case, as they may at the server: one revocation too many costs a set-up, one too few is none.
 *
 * Made for a million lines. In memory: the file's text, and 22 to 43 octets a line. Immutable and counted, for any
 * thread. */
#ifndef CONFIG_REVOCATIONS_H
#define CONFIG_REVOCATIONS_H

#include <imapstate/span.h>

/* Octets in a file's text. */
#define REVOCATIONS_TEXT_MAX (256u << 20)

struct revocations;

/* Reads a file's text, which is used up, whatever comes of it: its octets become the revocations', or end. What was
 * revoked before forget_before_s is left out, as no token lives so long. NULL: ret_wrong is what is wrong (static), and
 * ret_line in which line, from 1; 0 if memory is out. The last line may lack its LF; CRLF is wrong. */
struct revocations *revocations_read(struct imapstate_buf *text, uint64_t forget_before_s, size_t *ret_line,
                                     const char **ret_wrong);

/* The same, but what is revoked by base is so too. Takes a reference of its own to base. */
struct revocations *revocations_read_over(struct revocations *base, struct imapstate_buf *text);

/* Those that they lie over; themselves, if there are none. Borrowed. */
struct revocations *revocations_base(struct revocations *revocations);

/* Were they read later, in this process? */
bool revocations_are_newer(const struct revocations *revocations, const struct revocations *than);

struct revocations *revocations_ref(struct revocations *revocations);
void revocations_unref(struct revocations *revocations); /* accepts NULL */

/* The second of the last revocation that concerns the user, else 0; and of the last one for all. */
uint64_t revocations_second(const struct revocations *revocations, struct imapstate_span user);
uint64_t revocations_second_for_all(const struct revocations *revocations);

/* Of how many users there are lines; one for all is none of them. */
size_t revocations_count(const struct revocations *revocations);

#endif
