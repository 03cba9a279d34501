/* server: the server's half of STATE: what P2 to P10 and P18 of docs/protocol.md demand of a server that has a parser
 * of its own. One object is one authenticated session, from the login to its end or to UNAUTHENTICATE (P16).
 *
 * The server tells what its commands have done, and hears what it has to announce. Asked to save, it gets a token.
 * Given a token, it gets the commands to run, tells how they went, and gets the answer. In the order of a session:
 *
 *     imapstate_server_new()             after the login
 *     imapstate_server_took_effect()     each ENABLE, LANGUAGE, COMPARATOR and NOTIFY that is completed with OK. True:
 *                                        imapstate_answer_put_statecmd() comes before its tagged OK
 *     imapstate_server_set_selected()    a mailbox is selected, or none is any more
 *     imapstate_server_set_pristine()    a command that is not stored has switched something on (P7)
 *     imapstate_server_track()           STATE without a token
 *     imapstate_server_restore()         STATE with a token. RUN: the entries of imapstate_server_restoring() are run
 * in their order; imapstate_server_ran() is told of each, and imapstate_server_verdict() has the answer
 *     imapstate_server_save()            SAVESTATE
 *     imapstate_answer_put()             the responses to these three
 *
 * The rest is the server's own: STATE is in its capability lists (P1). Both commands are refused before login, and
 * SAVESTATE with arguments (P2). Both act after every earlier command and before any later one (P11). The commands of a
 * restore do what they do when the client sends them, but their own responses are hidden; what else comes of them goes
 * to the client at once (P4, P17). The fingerprint of the binding is that of the list given with the login (P12).
 *
 * Threads: a session is for one at a time. No function blocks or reads a clock. */
#ifndef IMAPSTATE_SERVER_H
#define IMAPSTATE_SERVER_H

#include <imapstate/api.h>
#include <imapstate/error.h>
#include <imapstate/keyring.h>
#include <imapstate/span.h>
#include <imapstate/state.h>
#include <imapstate/token.h>

IMAPSTATE_BEGIN

/* What STATE and SAVESTATE are answered. The numbers are stable; new ones are added at the end. */
enum imapstate_answer {
    IMAPSTATE_ANSWER_RUN = 0,           /* nothing yet: there are commands to run */
    IMAPSTATE_ANSWER_UNDO = 1,          /* nothing yet: a command has failed, and what the others have changed has to be
                                         * undone (P18); imapstate_server_conclude() follows */
    IMAPSTATE_ANSWER_TRACKING = 2,      /* P3: OK */
    IMAPSTATE_ANSWER_RESTORED = 3,      /* P4: "* STATE token", then OK */
    IMAPSTATE_ANSWER_DECLINED = 4,      /* P5, P7: OK; the client forgets the token */
    IMAPSTATE_ANSWER_UNAVAILABLE = 5,   /* P6: NO [UNAVAILABLE]; the token may still be good */
    IMAPSTATE_ANSWER_ENDED = 6,         /* P18: the same, then BYE, and the session ends */
    IMAPSTATE_ANSWER_MALFORMED = 7,     /* P2: BAD; also for the server, if what follows STATE is not one astring */
    IMAPSTATE_ANSWER_SELECTED = 8,      /* P2: BAD: a mailbox is selected */
    IMAPSTATE_ANSWER_SAVED = 9,         /* P8: "* SAVESTATE token", then OK [STATEEXPIRES seconds] */
    IMAPSTATE_ANSWER_NOT_TRACKING = 10, /* P8: NO [CLIENTBUG] */
    IMAPSTATE_ANSWER_TOO_LARGE = 11,    /* P8: NO [LIMIT] */
    IMAPSTATE_ANSWER_NOT_SAVED = 12,    /* P8: NO [UNAVAILABLE]: no key, or out of memory */
    IMAPSTATE_ANSWER_NO_MEMORY = 13,    /* NO [UNAVAILABLE]; nothing has changed */
};

/* Is a mailbox selected? */
enum imapstate_selected {
    IMAPSTATE_SELECTED_NO = 0,
    IMAPSTATE_SELECTED_YES = 1,
    IMAPSTATE_SELECTED_UNKNOWN = 2, /* for a proxy: a SELECT was answered BAD, and nobody can know (P2) */
};

struct imapstate_server;

/* A session in which nothing has happened; NULL if out of memory. imapstate_server_free() wipes, and accepts NULL. */
IMAPSTATE_API struct imapstate_server *imapstate_server_new(void);
IMAPSTATE_API void imapstate_server_free(struct imapstate_server *server);

/* --- what commands have done --- */

/* A storable command was completed with OK, and this is its effect: for ENABLE those of its names that are on now
 * (separated by SP, any case), for LANGUAGE and COMPARATOR what was chosen, for NOTIFY the arguments as sent. Without
 * effect (no name is on; LANGUAGE without arguments, which asks) it is not reported. A command that fails is not
 * reported either (P9), but see imapstate_server_set_pristine(). True: "* OK [STATECMD tag] text" is due directly
 * before its tagged OK. False: tracking is off, or it cannot be stored; what it replaces is removed even then (P9). An
 * empty value is an effect that is not known, and cannot be stored. While a state is being restored nothing is
 * recorded, and it is false: so a restore may run commands as the client's are run. */
IMAPSTATE_API bool imapstate_server_took_effect(struct imapstate_server *server, struct imapstate_span tag,
                                                enum imapstate_entry_kind kind, struct imapstate_span value);

/* At first it is. False: something is on, or may be, that no storable command has set up, such as CONDSTORE after FETCH
 * (MODSEQ) (RFC 7162 section 3.1). Then no token restores (P7). True again: for a proxy that has another connection to
 * its server, which is. */
IMAPSTATE_API void imapstate_server_set_pristine(struct imapstate_server *server, bool is_pristine);

/* NOTIFICATIONOVERFLOW was sent: it is as if the client had sent NOTIFY NONE (RFC 5465 section 5.8). Does nothing if
 * the state has no NOTIFY. */
IMAPSTATE_API void imapstate_server_overflowed(struct imapstate_server *server);

/* At first none is. */
IMAPSTATE_API void imapstate_server_set_selected(struct imapstate_server *server, enum imapstate_selected selected);
IMAPSTATE_API enum imapstate_selected imapstate_server_selected(const struct imapstate_server *server);

/* --- STATE and SAVESTATE --- */

/* STATE without a token. TRACKING, SELECTED or NO_MEMORY; ENDED while a state is being restored. binding says how large
 * the state may become. */
IMAPSTATE_API enum imapstate_answer imapstate_server_track(struct imapstate_server *server,
                                                           const struct imapstate_token_binding *binding);

/* STATE with a token, which is the value of the astring. RUN: it is good, and its commands are to be run, of which
 * there may be none. Otherwise MALFORMED, SELECTED, DECLINED, UNAVAILABLE or NO_MEMORY; ENDED while another state is
 * being restored. ret_error, which may be NULL, has the reason, for the log and never for the client (P5). */
IMAPSTATE_API enum imapstate_answer imapstate_server_restore(struct imapstate_server *server,
                                                             const struct imapstate_keyring *keyring,
                                                             const struct imapstate_token_binding *binding,
                                                             uint64_t now_s, struct imapstate_span token,
                                                             enum imapstate_error *ret_error);

/* The state that is being restored; NULL if none is. Borrowed, until there is another answer than RUN and UNDO. */
IMAPSTATE_API const struct imapstate_state *imapstate_server_restoring(const struct imapstate_server *server);

/* The command of the entry with this index was run: with OK or not, and with this effect, given as to
 * imapstate_server_took_effect(). What is told twice, or of no entry, counts as a failure. */
IMAPSTATE_API void imapstate_server_ran(struct imapstate_server *server, size_t index, bool is_ok,
                                        struct imapstate_span value);

/* RUN: not all were run. RESTORED: each has the effect that it had. UNDO: at least one has not. Only while a state is
 * being restored; else ENDED. */
IMAPSTATE_API enum imapstate_answer imapstate_server_verdict(struct imapstate_server *server);

/* How a restore ends where imapstate_server_verdict() does not decide: after UNDO; or for a proxy, to which replay.h
 * tells how the commands went. */
enum imapstate_outcome {
    IMAPSTATE_OUTCOME_RESTORED = 0,    /* the session is exactly in the state. RESTORED; ENDED if none is restored */
    IMAPSTATE_OUTCOME_UNDONE = 1,      /* the session is as it was before STATE. DECLINED or NO_MEMORY */
    IMAPSTATE_OUTCOME_INTERRUPTED = 2, /* the same, but not for a fault of the token's. UNAVAILABLE */
    IMAPSTATE_OUTCOME_TAINTED = 3,     /* the session is in half a state. ENDED */
};
IMAPSTATE_API enum imapstate_answer imapstate_server_conclude(struct imapstate_server *server,
                                                              const struct imapstate_token_binding *binding,
                                                              enum imapstate_outcome outcome);

/* SAVESTATE. SAVED: the token was appended to ret_token, and ret_left_s is how long it lives; both as
 * imapstate_token_seal_as() says, which also explains format and lifetime_s. Otherwise NOT_TRACKING, TOO_LARGE or
 * NOT_SAVED, and ret_left_s is not written. ret_error, which may be NULL, has the reason, for the log: KEY_NONE,
 * TOKEN_VERSION, UNSUPPORTED or NO_MEMORY (ret_token's max included). */
IMAPSTATE_API enum imapstate_answer imapstate_server_save(const struct imapstate_server *server,
                                                          const struct imapstate_keyring *keyring,
                                                          const struct imapstate_token_binding *binding,
                                                          unsigned format, uint64_t now_s, uint64_t lifetime_s,
                                                          struct imapstate_buf *ret_token, uint64_t *ret_left_s,
                                                          enum imapstate_error *ret_error);

/* Are STATECMD codes being sent? */
IMAPSTATE_API bool imapstate_server_is_tracking(const struct imapstate_server *server);

/* Has a storable command taken effect, or was a state restored (P7)? */
IMAPSTATE_API bool imapstate_server_has_changed(const struct imapstate_server *server);

/* What SAVESTATE would save; NULL before the first successful STATE. Borrowed, until anything changes. */
IMAPSTATE_API const struct imapstate_state *imapstate_server_state(const struct imapstate_server *server);

/* --- on the wire --- */

/* The tagged response without its tag and line end, such as "OK [STATEEXPIRES 1209600] State saved."; left_s counts for
 * SAVED only. Empty for RUN and UNDO. Returns ret_text. */
#define IMAPSTATE_ANSWER_SIZE 96u
IMAPSTATE_API const char *imapstate_answer_text(enum imapstate_answer answer, uint64_t left_s,
                                                char ret_text[IMAPSTATE_ANSWER_SIZE]);

/* Appends the untagged response that comes before it: "* STATE token" or "* SAVESTATE token"; else nothing. Both
 * functions: false if out or memory is full; then nothing was appended. */
IMAPSTATE_API bool imapstate_answer_put_untagged(enum imapstate_answer answer, struct imapstate_span token,
                                                 struct imapstate_buf *out);

/* Appends all responses, line ends included: the untagged one, the tagged one and, for ENDED, "* BYE". */
IMAPSTATE_API bool imapstate_answer_put(enum imapstate_answer answer, struct imapstate_span tag,
                                        struct imapstate_span token, uint64_t left_s, struct imapstate_buf *out);

/* Appends "* OK [STATECMD tag] text" with its line end (P9). False as above. */
IMAPSTATE_API bool imapstate_answer_put_statecmd(struct imapstate_span tag, struct imapstate_buf *out);

IMAPSTATE_END

#endif
