/* visit: the client's half of STATE. One session of a client that saves its set-up, and finds it again the next time.
 *
 * The client says what set-up it wants and what an earlier visit left, and shows every response of the server. It is
 * told what to send: STATE, with the token or without; the set-up commands that the server has not brought back; and
 * when SAVESTATE is due. In the order of a session:
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
 * Commands are without tag and line end ("ENABLE QRESYNC"), and compared octet for octet. No function blocks or asks
 * for the time. docs/protocol.md has the rules (P1 to P18). */
#ifndef IMAPSTATE_VISIT_H
#define IMAPSTATE_VISIT_H

#include <imapstate/error.h>
#include <imapstate/span.h>

/* Octets in the token of any server (P2 lets no longer one be sent), and in the commands that it stands for, four more
 * for each counted in. What passes either is not kept, but sent again the next time. */
#define IMAPSTATE_VISIT_TOKEN_MAX    2048u
#define IMAPSTATE_VISIT_COMMANDS_MAX 16384u
/* Octets that imapstate_visit_keep() appends at the most. */
#define IMAPSTATE_VISIT_KEPT_MAX ((27u + IMAPSTATE_VISIT_TOKEN_MAX + IMAPSTATE_VISIT_COMMANDS_MAX) * 4 / 3 + 3)

/*     FRESH -> ASKED -> RESTORED, TRACKING or REFUSED
 *     REFUSED -> ASKED                                   RESTORED, TRACKING, REFUSED -> FRESH: UNAUTHENTICATE (P16) */
enum imapstate_visit_status {
    IMAPSTATE_VISIT_FRESH,    /* STATE was not sent */
    IMAPSTATE_VISIT_ASKED,    /* STATE was sent and is not answered */
    IMAPSTATE_VISIT_RESTORED, /* P4: the session is in the state that was saved; tracking is on */
    IMAPSTATE_VISIT_TRACKING, /* P3, P5: nothing was restored; tracking is on. A token that was sent is forgotten. */
    IMAPSTATE_VISIT_REFUSED,  /* NO (P6) or BAD (P2): nothing was restored and nothing can be saved. The token is
                               * kept, as neither says anything about it; but forgotten if the server's capability list
                               * is without STATE. It may be tried again, after BAD [CLIENTBUG] in another session. */
};

/* Is STATE in the capability list that the server sent last? Lists count wherever they are: in the greeting, the answer
 * to CAPABILITY, the answer to a login. */
enum imapstate_visit_offer {
    IMAPSTATE_VISIT_OFFER_UNKNOWN, /* no list has come yet */
    IMAPSTATE_VISIT_OFFER_NO,
    IMAPSTATE_VISIT_OFFER_YES,
};

struct imapstate_visit;

/* A visit that wants nothing and recalls nothing; NULL if memory is out. imapstate_visit_free() wipes, and accepts
 * NULL. */
IMAPSTATE_API struct imapstate_visit *imapstate_visit_new(void);
IMAPSTATE_API void imapstate_visit_free(struct imapstate_visit *visit);

/* Adds a command to the set-up that the client wants in every session, in the order in which it wants to send them;
 * copied, literals included as they go over the wire. Commands that are never stored (ID, NAMESPACE) may be among them,
 * to be sent each time; an ID that a server wants before it opens a mailbox is rather put behind STATE by the client
 * itself, in the same write, as it is right with any state. Before STATE. SYNTAX if it is empty, or STATE or SAVESTATE;
 * NO_MEMORY. */
IMAPSTATE_API enum imapstate_error imapstate_visit_want(struct imapstate_visit *visit, struct imapstate_span command);

/* Recalls what imapstate_visit_keep() gave an earlier visit to the same server by the same user; an empty kept is
 * nothing. Before STATE. STATE_INVALID if it is damaged or of an unknown version, NO_MEMORY: then nothing is recalled,
 * and the visit goes on as if nothing had been kept. */
IMAPSTATE_API enum imapstate_error imapstate_visit_recall(struct imapstate_visit *visit, struct imapstate_span kept);

/* Would STATE be sent with a token now? Not if none is recalled, nor if it stands for a command that is not wanted (any
 * more): what a restore brings cannot be taken back (P7). The server had STATE when it gave the token, so it may be
 * sent without having seen a capability list. */
IMAPSTATE_API bool imapstate_visit_has_token(const struct imapstate_visit *visit);

/* Appends the command STATE, line end included, and waits for its answer. A token that may not be sent is forgotten.
 * Once the session is authenticated and no mailbox selected, or behind the login in the same write (P11), before all
 * set-up. False, with nothing appended, if STATE was sent already (see the diagram), tag is none, or out or memory is
 * full. */
IMAPSTATE_API bool imapstate_visit_put_state(struct imapstate_visit *visit, struct imapstate_span tag,
                                             struct imapstate_buf *out);

/* A command that the client is about to send, by its tag; copied. At least all of these must be told: ENABLE, LANGUAGE,
 * COMPARATOR, NOTIFY, UNAUTHENTICATE, and whatever else was wanted; telling others does no harm. SYNTAX if tag or
 * command is none, or it is STATE or SAVESTATE. NO_MEMORY: then it must not be sent. */
IMAPSTATE_API enum imapstate_error imapstate_visit_sent(struct imapstate_visit *visit, struct imapstate_span tag,
                                                        struct imapstate_span command);

/* One whole response, line end included; of one with literals only the first line, alone. A response of which a part
 * was passed on by imapstate_frame_pass() need not be shown: it is longer than those that matter. If memory runs out
 * here, less is kept than could be. */
IMAPSTATE_API void imapstate_visit_response(struct imapstate_visit *visit, struct imapstate_span line);

IMAPSTATE_API enum imapstate_visit_status imapstate_visit_status(const struct imapstate_visit *visit);
IMAPSTATE_API enum imapstate_visit_offer imapstate_visit_offer(const struct imapstate_visit *visit);

/* The next wanted command that is to be sent: all of them, but after RESTORED without those that the token stands for.
 * None while ASKED with a token, as it is not decided; without one they may go into the same write as STATE. *at is 0
 * for the first and moved on with each. False if there is none left. The command is borrowed; valid until
 * imapstate_visit_want() or the end of the visit. */
IMAPSTATE_API bool imapstate_visit_next(const struct imapstate_visit *visit, size_t *at,
                                        struct imapstate_span *ret_command);

/* Is it time for SAVESTATE? If tracking is on, and what the server has announced as stored (P9) is something else than
 * what the token stands for; or if the token is as old as age_max_s, or from the future: its lifetime (14 days, if the
 * operator of the server has not chosen another) begins anew with each SAVESTATE (P8), and nothing tells when it ends.
 * A day is a good age. After a SAVESTATE that was answered NO (P8) it is still due; to ask once in a session is
 * enough. */
IMAPSTATE_API bool imapstate_visit_is_due(const struct imapstate_visit *visit, uint64_t now_s, uint64_t age_max_s);

/* Appends the command SAVESTATE, line end included; now_s is in seconds since 1970-01-01 UTC. It may be sent behind the
 * set-up in the same write (P11), though only that tells what is due. False, with nothing appended, if tracking is
 * off, a SAVESTATE is not answered yet, something was announced that the client has not told (then the state is not
 * certain, and nothing more is saved), tag is none, or out or memory is full. */
IMAPSTATE_API bool imapstate_visit_put_savestate(struct imapstate_visit *visit, struct imapstate_span tag,
                                                 uint64_t now_s, struct imapstate_buf *out);

/* Is there something else to be kept than what was recalled? Because there is a new token, or because it was forgotten.
 */
IMAPSTATE_API bool imapstate_visit_has_changed(const struct imapstate_visit *visit);

/* Appends what is to be kept until the next visit: printable ASCII without blanks, with a checksum; nothing if there is
 * no token. Like a password it belongs to one user of one server, and to nobody else. False if out or memory is full.
 */
IMAPSTATE_API bool imapstate_visit_keep(const struct imapstate_visit *visit, struct imapstate_buf *out);

#endif
