/* command: the table of IMAP commands. One row holds everything that is known about a command; callers loop over the
 * rows or look one up.
 *
 * Threads: any number may call these at the same time. Rows never change. */
#ifndef IMAPSTATE_COMMAND_H
#define IMAPSTATE_COMMAND_H

#include <imapstate/api.h>
#include <imapstate/error.h>
#include <imapstate/span.h>
#include <imapstate/storable.h>

IMAPSTATE_BEGIN

/* RFC 9051 section 3: the connection states in which a command may be sent, as a set. */
enum imapstate_command_in {
    IMAPSTATE_IN_NOT_AUTHENTICATED = 1,
    IMAPSTATE_IN_AUTHENTICATED = 2,
    IMAPSTATE_IN_SELECTED = 4,
};
#define IMAPSTATE_IN_ANY (IMAPSTATE_IN_NOT_AUTHENTICATED | IMAPSTATE_IN_AUTHENTICATED | IMAPSTATE_IN_SELECTED)

/* Commands that some code treats specially have an id; all others are OTHER. The numbers stay; new ones are added at
 * the end. */
enum imapstate_command_id {
    IMAPSTATE_COMMAND_OTHER = 0,
    IMAPSTATE_COMMAND_APPEND = 1,
    IMAPSTATE_COMMAND_AUTHENTICATE = 2,
    IMAPSTATE_COMMAND_CAPABILITY = 3,
    IMAPSTATE_COMMAND_CLOSE = 4,
    IMAPSTATE_COMMAND_COMPARATOR = 5,
    IMAPSTATE_COMMAND_COMPRESS = 6,
    IMAPSTATE_COMMAND_ENABLE = 7,
    IMAPSTATE_COMMAND_EXAMINE = 8,
    IMAPSTATE_COMMAND_ID = 9,
    IMAPSTATE_COMMAND_IDLE = 10,
    IMAPSTATE_COMMAND_LANGUAGE = 11,
    IMAPSTATE_COMMAND_LOGIN = 12,
    IMAPSTATE_COMMAND_LOGOUT = 13,
    IMAPSTATE_COMMAND_NAMESPACE = 14,
    IMAPSTATE_COMMAND_NOOP = 15,
    IMAPSTATE_COMMAND_NOTIFY = 16,
    IMAPSTATE_COMMAND_SAVESTATE = 17,
    IMAPSTATE_COMMAND_SELECT = 18,
    IMAPSTATE_COMMAND_STARTTLS = 19,
    IMAPSTATE_COMMAND_STATE = 20,
    IMAPSTATE_COMMAND_UNAUTHENTICATE = 21,
    IMAPSTATE_COMMAND_UNSELECT = 22,
};

/* Which literals its arguments can hold. */
enum imapstate_command_literals {
    IMAPSTATE_LITERALS_NONE,       /* takes no string: a server may not look for a literal there, so one that comes
                                    * without being asked for ({n+}) cannot be framed with certainty */
    IMAPSTATE_LITERALS_STRING,     /* strings */
    IMAPSTATE_LITERALS_MESSAGE,    /* strings, and message data, which changes nothing in the session */
    IMAPSTATE_LITERALS_LOGIN,      /* credentials */
    IMAPSTATE_LITERALS_ANNOTATION, /* strings where the server has ANNOTATE-EXPERIMENT-1 (RFC 5257), else none */
};

/* Where its arguments can contain something that switches CONDSTORE on without ENABLE (RFC 7162 section 3.1). */
enum imapstate_command_enables {
    IMAPSTATE_ENABLES_NEVER,
    IMAPSTATE_ENABLES_OPTIONS,   /* after a mailbox's name: SELECT, EXAMINE, STATUS */
    IMAPSTATE_ENABLES_MODIFIERS, /* in the list after the messages: STORE */
    IMAPSTATE_ENABLES_RETURN,    /* after the patterns: LIST */
    IMAPSTATE_ENABLES_KEYS,      /* among search keys: SEARCH */
    IMAPSTATE_ENABLES_SORT_KEYS, /* the same, after a charset: SORT, THREAD */
    IMAPSTATE_ENABLES_ANYWHERE,
};

/* A row. Rows are the library's, and grow at their end (api.h). */
struct imapstate_command {
    const char *name; /* upper case; with its UID prefix where it has one: "UID FETCH" */
    uint8_t id;       /* enum imapstate_command_id */
    uint8_t allowed;  /* set of enum imapstate_command_in */
    uint8_t stored;   /* enum imapstate_entry_kind: what its effect leaves in the session's state (storable.h) */
    uint8_t literals; /* enum imapstate_command_literals */
    uint8_t enables;  /* enum imapstate_command_enables */
    bool repeatable;  /* may run twice without harm, as long as no octet of an answer to the first has come */
    bool parkable;    /* a connection that ran it may serve another session of the same user */
    bool is_known;    /* false only in the row that represents all commands that are not in the table */
};

/* The first line of a command, taken apart. Spans borrow from the line. */
struct imapstate_command_line {
    struct imapstate_span tag;
    struct imapstate_span name;              /* as sent; "uid fetch" is one name */
    struct imapstate_span arguments;         /* after the SP that follows the name, up to the line end; may be empty */
    const struct imapstate_command *command; /* static; never NULL */
    bool has_arguments_sp;                   /* an SP follows the name, even if nothing else does */
    uint64_t reserved[4];
};

/* Takes the first line of a command apart; line includes its end (CRLF or LF). Returns IMAPSTATE_SYNTAX unless it is
 * tag SP name, where tag is an RFC 9051 "tag" and name an atom. What it could find is written even then (tag is empty
 * if there is none that an answer could carry), so that the caller can say "tag BAD". There must be exactly one SP
 * between the words, also in "UID FETCH": servers disagree about more than one. The arguments are not looked at. "UID"
 * alone and "UID" with a word that makes no command are unknown commands, not syntax errors. */
IMAPSTATE_API enum imapstate_error imapstate_command_parse(struct imapstate_span line,
                                                           struct imapstate_command_line *ret_line);

/* The row of a name in any case; for names that have no row, the row that represents all of them. */
IMAPSTATE_API const struct imapstate_command *imapstate_command_find(struct imapstate_span name);

/* The rows in the order of their names, from index 0 on; NULL behind the last one. */
IMAPSTATE_API const struct imapstate_command *imapstate_command_at(size_t index);

/* Can this part of the command's arguments (one line, to be judged apart from literals) switch CONDSTORE on without
 * ENABLE? It looks for MODSEQ, CHANGEDSINCE, UNCHANGEDSINCE, CONDSTORE, QRESYNC and FlagChange within any word, in any
 * case, quoted or not, even with backslashes in between. It does not look in strings that the user chooses freely
 * (names of mailboxes, keywords, search strings), unless the line can be read in two ways. */
IMAPSTATE_API bool imapstate_command_may_enable(const struct imapstate_command *command,
                                                struct imapstate_span arguments);

/* Reads one astring (RFC 9051 section 9: atom, quoted, or literal) at the front of *in and moves *in past it. A literal
 * is there as it came: "{n}" or "{n+}", CRLF or LF, its octets. The value is appended to ret_value, a quoted string
 * without the backslashes of its escapes, whether the octet after one needs it or not; it contains no NUL. The caller
 * judges what follows (SP or the end), except that an 8-bit octet does not end an atom. Otherwise IMAPSTATE_SYNTAX,
 * NO_MEMORY or LITERAL_TOO_LARGE (a value of any form that would exceed ret_value's max); then *in and ret_value are as
 * before. */
IMAPSTATE_API enum imapstate_error imapstate_command_astring(struct imapstate_span *in,
                                                             struct imapstate_buf *ret_value);

/* The same for an argument of LOGIN and any blanks (SP, HT) before it, as leniently as the most lenient server reads it
 * (docs/framing.md): its atoms may contain any octet but NUL, CR, LF, blanks and quotes, and do not begin with "{".
 * Blanks or the end must follow an atom. */
IMAPSTATE_API enum imapstate_error imapstate_command_login_string(struct imapstate_span *in,
                                                                  struct imapstate_buf *ret_value);

/* in without the blanks at its front. */
IMAPSTATE_API struct imapstate_span imapstate_command_behind_blanks(struct imapstate_span in);

/* Can a quoted string carry value, whatever was enabled? Not if it contains NUL, CR, LF, or 8-bit octets, which a
 * server accepts there only after UTF8=ACCEPT (RFC 6855 section 3). */
IMAPSTATE_API bool imapstate_command_is_quotable(struct imapstate_span value);

/* Appends value, which is quotable, as a quoted string. False if it does not fit; then what was appended is of no
 * use. */
IMAPSTATE_API bool imapstate_command_put_quoted(struct imapstate_buf *to, struct imapstate_span value);

IMAPSTATE_END

#endif
