/* session: one authenticated use, from login to logout: whose it is, and what its commands have changed. It is told
 * what passes, and never writes. It finds out what a command's answer means; what follows for STATE is the server's
 * half of the library (server.h). */
#ifndef IMAP_SESSION_H
#define IMAP_SESSION_H

#include <imapstate/server.h>
#include <imapstate/state.h>
#include <imapstate/token.h>

#include "offers.h"
#include "pipeline.h"
#include "status.h"

enum session_restored { SESSION_RESTORED_NO, SESSION_RESTORED_COLD, SESSION_RESTORED_WARM };

struct record;

struct session {
    struct imapstate_buf user;         /* the authorization identity */
    char *acting;                      /* owned: for the log, if somebody else acts for user; else NULL */
    struct offers *shown;              /* counted: what the client was given with its login, or later */
    struct offers *offers;             /* counted: the upstream's, after login */
    struct imapstate_server *server;   /* owned: what STATE and SAVESTATE answer; NULL before the login */
    struct imapstate_state *in_effect; /* owned: everything that was ever done to the connection, announced or not;
                                        * NULL: nothing */
    struct imapstate_buf enabled;      /* names that ENABLED has confirmed since login, upper case, an SP before each */
    struct imapstate_buf language, comparator; /* chosen by the last untagged answer to the command in flight */
    struct record *record;  /* owned: what was answered to its ENABLEs, as long as nothing else is stored; or NULL */
    uint64_t epoch;         /* the operator's, when the session began */
    bool is_certain : 1;    /* it is known whose session this is, so it may have a token */
    bool is_uncertain : 1;  /* something was done to the connection that in_effect cannot express */
    bool has_selected : 1;  /* a SELECT or EXAMINE was sent */
    bool was_refused : 1;   /* the last answer was not OK */
    bool is_in_doubt : 1;   /* an answer said so (status_doubts_connection()), and no good one has come since */
    bool had_literal : 1;   /* one other than message data (P7) */
    bool has_said_done : 1; /* DONE was sent, and no command after it has been answered */
    uint8_t condstore; /* set of enum condstore: how commands may have switched it on, whether ENABLED told or not */
    uint8_t chosen;    /* enum evidence: the untagged answer that the command in flight has had; of NOTIFY: it has
                          overflowed */
    uint16_t seen;     /* enum evidence: what the upstream has shown to be on without being asked */
    uint8_t restored;  /* enum session_restored */
};

void session_init(struct session *session);
void session_done(struct session *session); /* wipes; the session can begin again */

/* The login is through. offers: the upstream's; shown: what the client sees of them. The session takes a reference of
 * its own to both. False if out of memory. */
bool session_begin(struct session *session, struct imapstate_span user, bool is_certain, struct offers *offers,
                   struct offers *shown, uint64_t epoch);

/* The upstream now offers this; the client has been shown this. References as above. */
void session_set_offers(struct session *session, struct offers *offers);
void session_set_shown(struct session *session, struct offers *shown);

/* The password is another user's: acting is its name, as it appears in the log; copied. Empty: it is not. False if
 * out of memory. */
bool session_begin_acting(struct session *session, const char *acting);

/* What a token of this session is bound to; borrows from the session and from upstream. */
struct imapstate_token_binding session_binding(const struct session *session, const char *upstream);

/* Is this, by its fingerprint, the list that the client was given (P12)? Also false if out of memory. */
bool session_is_shown(const struct session *session, const struct offers *shown);

/* The session now has another connection: nothing is known to be on, and nothing was seen. */
void session_forget_enabled(struct session *session);

/* The session is in exactly the state that session->server was to restore (P4); in_effect is the part of it that was
 * done to the connection: everything except what the gateway itself has set. It is taken over. */
void session_restore(struct session *session, struct imapstate_state *in_effect, enum session_restored restored);

/* May the connection serve another session? If so, ret_state has the key (setup.h) of the state that it is in. */
bool session_is_parkable(const struct session *session, struct imapstate_buf *ret_state);

/* What was answered to the ENABLEs that it began with; it is the caller's then. NULL: nobody knows, or there were none.
 */
struct record *session_take_record(struct session *session);

/* The connection that the session has got is in the session's state, and has this record, which may be NULL and is the
 * session's then. */
void session_give_record(struct session *session, struct record *record);

/* An ENABLE with this tag and these arguments is answered from a record: names is what its ENABLED said; NULL: there
 * was none. True if that is to be announced by STATECMD (P9). */
bool session_tell_enabled(struct session *session, struct imapstate_span tag, struct imapstate_span arguments,
                          const struct imapstate_span *names);

/* A NAMESPACE is answered from a record, by this line. */
void session_tell_namespace(struct session *session, struct imapstate_span line);

/* Has a storable command taken effect? Then its connection has to be in that state. */
bool session_is_set_up(const struct session *session);

/* The connection is in the session's state again. */
void session_is_set_up_again(struct session *session);

/* The key (setup.h) of the state that its connection is in once this command, the session's next, has been answered OK,
 * and has the effect that it asks for. False: the command changes nothing, or nobody can say what, or out of memory. */
bool session_would_be(const struct session *session, const struct imapstate_command_line *line,
                      struct imapstate_buf *ret_state);

/* A copy; NULL if out of memory. */
struct imapstate_state *session_copy(const struct imapstate_state *state);

/* The gateway itself has set the language, by the command with this tag; the connection does not know. True if that is
 * to be announced by STATECMD (P9). */
bool session_set_language(struct session *session, struct imapstate_span tag, struct imapstate_span language);

/* Are mailbox names in UTF-8 (RFC 6855 section 3, RFC 9051 section 5.1)? */
bool session_has_utf8(const struct session *session);

/* Is NOTIFY SET in effect? */
bool session_is_notified(const struct session *session);

/* A command goes up: its first line, from its arguments on. */
void session_sent_line(struct session *session, const struct imapstate_command *command,
                       struct imapstate_span arguments);

/* A further line of it goes up, behind a literal. */
void session_sent_rest(struct session *session, const struct imapstate_command *command, struct imapstate_span line);

/* A literal of it goes up, which this line announces; is_first: the first one, from its arguments on. */
void session_sent_literal(struct session *session, const struct imapstate_command *command, struct imapstate_span line,
                          bool is_first);

/* An untagged response came while these commands are in flight: its first line, or the part of it that has arrived.
 * ENABLED, LANGUAGE, COMPARATOR and [NOTIFICATIONOVERFLOW] are complete. */
void session_saw_response(struct session *session, const struct pipeline *pipeline, struct imapstate_span line);

/* One came that answers a replay, and is not for the client. */
void session_saw_echo(struct session *session, struct imapstate_span line);

/* The upstream has shown that this (enum evidence) was already on when it accepted the login. */
void session_saw_at_login(struct session *session, unsigned evidence);

/* As far as can be known, is nothing on that the storable commands of this session have not set up (P7)? */
bool session_is_pristine(const struct session *session);

/* Is a mailbox selected, as far as can be known? */
enum imapstate_selected session_selected(const struct session *session);

/* Notes whether the answer to a command says that the connection works, or that it may not. */
void session_judge(struct session *session, const struct imapstate_command *command, const struct status *status);

/* A command was answered: OK, NO or BAD. True if it is to be announced by STATECMD (P9). */
bool session_completed(struct session *session, const struct flight *flight, enum status_word status);

#endif
