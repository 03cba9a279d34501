/* visit: the client's half of STATE. One session of a client that saves its setup, and finds it again the next time.
 *
 * The client says what setup it wants and what an earlier visit left, and shows every response of the server. It is
 * told what to send: STATE, with or without the token; the setup commands that the server has not restored; and when
 * SAVESTATE is due. In the order of a session:
 *
 *     imapstate_visit_want()           for each set-up command, each time the same
 *     imapstate_visit_recall()         what the client has kept since the last visit, if anything
 *     imapstate_visit_put_state()      in the same write as LOGIN if imapstate_visit_has_token(), else once
 *                                      imapstate_visit_offer() tells that the server has STATE
 *     imapstate_visit_response()       each response, whichever command it belongs to
 *     imapstate_visit_next()           what is left to be sent, once it is known
 *     imapstate_visit_sent()           each command of the set-up that is sent
 *     imapstate_visit_put_savestate()  if imapstate_visit_is_due()
 *     imapstate_visit_keep()           if imapstate_visit_has_changed()
 *
 * Commands have no tag and no line end ("ENABLE QRESYNC"), and are compared octet for octet. No function blocks or
 * reads a clock. docs/protocol.md has the rules (P1 to P18).
 *
 * Threads: a visit is for one at a time. */
#ifndef IMAPSTATE_VISIT_H
#define IMAPSTATE_VISIT_H

#include <imapstate/api.h>
#include <imapstate/error.h>
#include <imapstate/span.h>

IMAPSTATE_BEGIN

/* Octets in the token of any server (P2 allows no longer one to be sent), and in the commands that it covers, counting
 * four more for each. What exceeds either is not kept, but sent again the next time. */
#define IMAPSTATE_VISIT_TOKEN_MAX    2048u
#define IMAPSTATE_VISIT_COMMANDS_MAX 16384u
/* The most octets that imapstate_visit_keep() appends. */
#define IMAPSTATE_VISIT_KEPT_MAX ((27u + IMAPSTATE_VISIT_TOKEN_MAX + IMAPSTATE_VISIT_COMMANDS_MAX) * 4 / 3 + 3)

/*     FRESH -> ASKED -> RESTORED, TRACKING or REFUSED
 *     REFUSED -> ASKED                                   RESTORED, TRACKING, REFUSED -> FRESH: UNAUTHENTICATE (P16) */
enum imapstate_visit_status {
    IMAPSTATE_VISIT_FRESH,    /* STATE was not sent */
    IMAPSTATE_VISIT_ASKED,    /* STATE was sent and is not answered */
    IMAPSTATE_VISIT_RESTORED, /* P4: the session is in the state that was saved; tracking is on */
    IMAPSTATE_VISIT_TRACKING, /* P3, P5: nothing was restored; tracking is on. A token that was sent is discarded. */
    IMAPSTATE_VISIT_REFUSED,  /* NO (P6) or BAD (P2): nothing was restored and nothing can be saved. The token is kept,
                               * as neither says anything about it, but discarded if the server's capability list has no
                               * STATE. It may be tried again, after BAD [CLIENTBUG] in another session. */
};

/* Is STATE in the capability list that the server sent last? Lists count wherever they appear: in the greeting, in the
 * answer to CAPABILITY, in the answer to a login. */
enum imapstate_visit_offer {
    IMAPSTATE_VISIT_OFFER_UNKNOWN, /* no list has come yet */
    IMAPSTATE_VISIT_OFFER_NO,
    IMAPSTATE_VISIT_OFFER_YES,
};

struct imapstate_visit;

/* A visit that wants nothing and recalls nothing; NULL if out of memory. imapstate_visit_free() wipes, and accepts
 * NULL. */
IMAPSTATE_API struct imapstate_visit *imapstate_visit_new(void);
IMAPSTATE_API void imapstate_visit_free(struct imapstate_visit *visit);

/* Adds a command to the setup that the client wants in every session, in the order in which it wants to send them.
 * Copied, including literals as they go over the wire. Commands that are never stored (ID, NAMESPACE) may be among
 * them, to be sent each time. If a server requires an ID before it opens a mailbox, the client had better put that
 * after STATE itself, in the same write, as it is right with any state. Call it before STATE. SYNTAX if it is empty, or
 * STATE or SAVESTATE; NO_MEMORY. */
IMAPSTATE_API enum imapstate_error imapstate_visit_want(struct imapstate_visit *visit, struct imapstate_span command);

/* Recalls what imapstate_visit_keep() returned to an earlier visit to the same server by the same user; an empty kept
 * means nothing. Call it before STATE. STATE_INVALID if it is damaged or of an unknown version, or NO_MEMORY: then
 * nothing is recalled, and the visit continues as if nothing had been kept. */
IMAPSTATE_API enum imapstate_error imapstate_visit_recall(struct imapstate_visit *visit, struct imapstate_span kept);

/* Would STATE be sent with a token now? Not if none is recalled, nor if it covers a command that is not (or no longer)
 * wanted: what a restore enables cannot be taken back (P7). The server had STATE when it issued the token, so it may be
 * sent without having seen a capability list. */
IMAPSTATE_API bool imapstate_visit_has_token(const struct imapstate_visit *visit);

/* Appends the command STATE, including the line end, and expects its answer. A token that may not be sent is discarded.
 * Call it when the session is authenticated and no mailbox is selected, or after the login in the same write (P11),
 * before all setup. False, with nothing appended, if STATE was already sent (see the diagram), tag is not a tag, or out
 * or memory is full. */
IMAPSTATE_API bool imapstate_visit_put_state(struct imapstate_visit *visit, struct imapstate_span tag,
                                             struct imapstate_buf *out);

/* A command that the client is about to send, by its tag; copied. At least these must be reported: ENABLE, LANGUAGE,
 * COMPARATOR, NOTIFY, UNAUTHENTICATE, and everything else that was wanted; reporting others does no harm. SYNTAX if tag
 * or command is malformed, or if it is STATE or SAVESTATE. NO_MEMORY: then it must not be sent. */
IMAPSTATE_API enum imapstate_error imapstate_visit_sent(struct imapstate_visit *visit, struct imapstate_span tag,
                                                        struct imapstate_span command);

/* One complete response, including the line end; of one with literals only the first line, alone. A response of which
 * imapstate_frame_pass() has passed on a part need not be shown: it is longer than those that matter. If memory runs
 * out here, less is kept than could be. */
IMAPSTATE_API void imapstate_visit_response(struct imapstate_visit *visit, struct imapstate_span line);

IMAPSTATE_API enum imapstate_visit_status imapstate_visit_status(const struct imapstate_visit *visit);
IMAPSTATE_API enum imapstate_visit_offer imapstate_visit_offer(const struct imapstate_visit *visit);

/* The next wanted command that is to be sent: all of them, but after RESTORED without those that the token covers. None
 * while ASKED with a token, as that is not decided; without one they may go into the same write as STATE. *at is 0 for
 * the first call and moves on with each. False if there is none left. The command is borrowed; valid until
 * imapstate_visit_want() or the end of the visit. */
IMAPSTATE_API bool imapstate_visit_next(const struct imapstate_visit *visit, size_t *at,
                                        struct imapstate_span *ret_command);

/* Is it time for SAVESTATE? Yes if tracking is on and what the server has announced as stored (P9) differs from what
 * the token covers; also if the token is as old as age_max_s, or from the future. Its lifetime (14 days, unless the
 * operator of the server has chosen another; the code STATEEXPIRES of the answer has the seconds) starts again with
 * each SAVESTATE (P8). A day is a good age: within it a server may well give the same token again. After a SAVESTATE
 * that was answered NO (P8) it is still due; asking once per session is enough. */
IMAPSTATE_API bool imapstate_visit_is_due(const struct imapstate_visit *visit, uint64_t now_s, uint64_t age_max_s);

/* Appends the command SAVESTATE, including the line end; now_s is in seconds since 1970-01-01 UTC. It may be sent after
 * the setup in the same write (P11), although only the setup's answers show what is due. False, with nothing appended,
 * if tracking is off, a SAVESTATE is not answered yet, something was announced that the client has not reported (then
 * the state is not certain, and nothing more is saved), tag is not a tag, or out or memory is full. */
IMAPSTATE_API bool imapstate_visit_put_savestate(struct imapstate_visit *visit, struct imapstate_span tag,
                                                 uint64_t now_s, struct imapstate_buf *out);

/* Is there something to keep that differs from what was recalled? There may be a new token, or the token was
 * discarded. */
IMAPSTATE_API bool imapstate_visit_has_changed(const struct imapstate_visit *visit);

/* Appends what to keep until the next visit: printable ASCII without blanks, with a checksum; nothing if there is no
 * token. Like a password, it belongs to one user of one server and to nobody else. False if out or memory is full. */
IMAPSTATE_API bool imapstate_visit_keep(const struct imapstate_visit *visit, struct imapstate_buf *out);

IMAPSTATE_END

#endif
