/* replay: a state's entries as commands for a server, and the check of its answers (P17, P18 of docs/protocol.md).
 *
 * The replay says which octets to write, and is given the server's responses, one after the other, in the order in
 * which they arrive. It says of each whether it echoes a replayed command, and is to be hidden, or belongs to the
 * client.
 *
 * Threads: a replay is for one at a time. It keeps nothing of the state. */
#ifndef IMAPSTATE_REPLAY_H
#define IMAPSTATE_REPLAY_H

#include <imapstate/api.h>
#include <imapstate/error.h>
#include <imapstate/span.h>
#include <imapstate/state.h>

IMAPSTATE_BEGIN

/* What the server accepts, according to its capability list after login. */
struct imapstate_replay_literals {
    uint32_t nonsync_max; /* 0: no {n+}; UINT32_MAX: LITERAL+; 4096: LITERAL- (RFC 7888) */
};

enum imapstate_replay_status {
    IMAPSTATE_REPLAY_RUNNING,  /* answers are missing */
    IMAPSTATE_REPLAY_RESTORED, /* every command was answered OK and every entry has proved itself */
    IMAPSTATE_REPLAY_FAILED, /* all answers are in, and at least one is not as it must be; the connection is tainted */
};

enum imapstate_replay_answer {
    IMAPSTATE_REPLAY_HIDE,  /* echoes of the replay's own commands, their tagged answers, and anything that names their
                             * tags */
    IMAPSTATE_REPLAY_PASS,  /* belongs to the client: passed on at once, unchanged */
    IMAPSTATE_REPLAY_ALERT, /* a tagged answer with [ALERT]: passed on with "*" in place of the tag */
    IMAPSTATE_REPLAY_HOLD,  /* CAPABILITY, untagged or as the code of a status response: held until the result is
                             * decided */
};

struct imapstate_replay;

/* A replay of all entries of state; their values are copied. NULL if out of memory. An empty state is RESTORED at once.
 * tag_prefix (copied; atom characters, up to 16) begins the private tags: "prefix1", "prefix2", ... */
IMAPSTATE_API struct imapstate_replay *imapstate_replay_new(const struct imapstate_state *state,
                                                            struct imapstate_replay_literals literals,
                                                            const char *tag_prefix);
IMAPSTATE_API void imapstate_replay_free(struct imapstate_replay *replay);

/* What to write now: all commands at once where their literals allow it (as quoted strings or {n+}), else up to a "{n}"
 * whose "+" must come first. Borrowed; empty if there is nothing to write before the next answer. Each call counts as
 * written. */
IMAPSTATE_API struct imapstate_span imapstate_replay_output(struct imapstate_replay *replay);

/* One whole response, line end included: of a response with literals only the first line matters, and is given alone
 * (the result holds for the rest of the response; a language or comparator that comes as a literal proves nothing).
 * After each answer the caller asks for output and status again. A "+" belongs to the replay too. HOLD and ALERT may be
 * tagged answers that count: "tag OK [CAPABILITY ...]" is HOLD, because of its list. */
IMAPSTATE_API enum imapstate_replay_answer imapstate_replay_answer(struct imapstate_replay *replay,
                                                                   struct imapstate_span line);

IMAPSTATE_API enum imapstate_replay_status imapstate_replay_status(const struct imapstate_replay *replay);

/* Why it failed, for the log: the command (its name, static; "" if none is to blame), and in a few words (static) what
 * went wrong first. Meaningless before the status is FAILED. */
IMAPSTATE_API const char *imapstate_replay_reason(const struct imapstate_replay *replay, const char **ret_command);

IMAPSTATE_END

#endif
