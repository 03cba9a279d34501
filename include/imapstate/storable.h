/* storable: the commands whose effect is part of a session's state (docs/protocol.md, "What is stored"). One row holds
 * everything that is known about a kind, for all who record, announce, replay or check one.
 *
 * Threads: any number may call these at the same time. Rows never change. */
#ifndef IMAPSTATE_STORABLE_H
#define IMAPSTATE_STORABLE_H

#include <imapstate/api.h>
#include <imapstate/error.h>
#include <imapstate/span.h>

IMAPSTATE_BEGIN

/* What kind of entry a command leaves in the state. The numbers are those of its encoding. */
enum imapstate_entry_kind {
    IMAPSTATE_ENTRY_NONE = 0,       /* the command leaves no entry */
    IMAPSTATE_ENTRY_ENABLE = 1,     /* RFC 5161; value: capability names, upper case, separated by SP */
    IMAPSTATE_ENTRY_LANGUAGE = 2,   /* RFC 5255; value: the language tag chosen */
    IMAPSTATE_ENTRY_COMPARATOR = 3, /* RFC 5255; value: the comparator chosen */
    IMAPSTATE_ENTRY_NOTIFY = 4,     /* RFC 5465; value: the arguments as sent ("NONE", "SET ..."), including literals as
                                     * "{n}" or "{n+}", CRLF, octets; without the command's line end */
};

/* What shows that the command has taken effect, and with which value. */
enum imapstate_proof {
    IMAPSTATE_PROOF_NAMES,         /* the response has the names that are on: each must be in one of them */
    IMAPSTATE_PROOF_CHOICE_LISTED, /* the response has only the value, as a list: "(de)"; several values are an offer.
                                    * The command without arguments is a question */
    IMAPSTATE_PROOF_CHOICE,        /* the first string of the response is the value. Without arguments, a question
                                    * too */
    IMAPSTATE_PROOF_ANSWER,        /* no response, but the command's OK; the value is its arguments */
};

/* A row. Rows are the library's, and grow at their end (api.h). */
struct imapstate_storable {
    const char *command;  /* the command's name, upper case */
    const char *response; /* the name of the untagged response; NULL: there is none */
    uint8_t kind;         /* enum imapstate_entry_kind */
    uint8_t proof;        /* enum imapstate_proof */
    bool replaces;        /* a later one replaces it and moves to the end; otherwise it adds what is new */
};

/* The row of a kind; static. NULL for NONE and for numbers that are not a kind. */
IMAPSTATE_API const struct imapstate_storable *imapstate_storable_find(unsigned kind);

/* The row that the untagged response of this name (any case) proves. NULL if none. */
IMAPSTATE_API const struct imapstate_storable *imapstate_storable_of_response(struct imapstate_span name);

/* Appends the chosen value, according to the response's arguments (what follows its name, with or without the line
 * end). IMAPSTATE_SYNTAX if they name none (for example, if it came as a literal that is not there), and for kinds
 * without a choice; NO_MEMORY; LITERAL_TOO_LARGE if it would exceed ret_value's max. Then nothing was appended. */
IMAPSTATE_API enum imapstate_error imapstate_storable_choice(const struct imapstate_storable *storable,
                                                             struct imapstate_span arguments,
                                                             struct imapstate_buf *ret_value);

IMAPSTATE_END

#endif
