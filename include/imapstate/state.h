/* state: the ordered log of what setup commands have changed in one session (P7 to P10 of docs/protocol.md).
 *
 * It takes confirmed commands by value, so a server with its own parser can use it as well as a proxy, and returns its
 * entries one by one. replay.h knows what they look like on the wire.
 *
 * Threads: any number may read the same state, as long as none changes it. */
#ifndef IMAPSTATE_STATE_H
#define IMAPSTATE_STATE_H

#include <imapstate/api.h>
#include <imapstate/error.h>
#include <imapstate/span.h>
#include <imapstate/storable.h>

IMAPSTATE_BEGIN

/* Octets in the encoding of any state. */
#define IMAPSTATE_STATE_MAX 65535u

struct imapstate_entry {
    enum imapstate_entry_kind kind;
    struct imapstate_span value; /* borrowed from the state; valid until it is next changed */
    uint64_t reserved[2];
};

struct imapstate_state;

/* An empty state whose encoding may take up to max octets, at most IMAPSTATE_STATE_MAX. NULL if out of memory.
 * imapstate_state_free() wipes, and accepts NULL. */
IMAPSTATE_API struct imapstate_state *imapstate_state_new(size_t max);
IMAPSTATE_API void imapstate_state_free(struct imapstate_state *state);

/* Records a confirmed command; the value must not be borrowed from the state itself. Returns STATE_TOO_LARGE if the
 * encoding would exceed max, NO_MEMORY, STATE_INVALID if kind is not a kind, or SYNTAX for a value that is empty or
 * cannot be put on the wire again: a name that is not an atom, a language or comparator that is not printable ASCII,
 * NOTIFY arguments that imapstate_notify_next() does not accept. On error ENABLE leaves the state as it was; the
 * others, which replace an earlier entry of their kind, have removed that entry anyway (P9): what was true no longer
 * is.
 *
 * For ENABLE the value is the names (separated by SP, any case) that are on after the command. Those already in the
 * state are left out; the rest becomes one entry, merged into the last one if that is an ENABLE too, but never across
 * another kind: UTF8=ACCEPT changes how NOTIFY's mailbox names are read. */
IMAPSTATE_API enum imapstate_error imapstate_state_record(struct imapstate_state *state, enum imapstate_entry_kind kind,
                                                          struct imapstate_span value);

/* A command of this kind took effect but cannot be stored: what it replaces is removed (P9). ENABLE replaces nothing,
 * so nothing is removed for it. */
IMAPSTATE_API void imapstate_state_remove(struct imapstate_state *state, enum imapstate_entry_kind kind);

/* The entries in their order. False if index is not below the count. */
IMAPSTATE_API size_t imapstate_state_count(const struct imapstate_state *state);
IMAPSTATE_API bool imapstate_state_at(const struct imapstate_state *state, size_t index,
                                      struct imapstate_entry *ret_entry);

/* NOTIFY's arguments in parts: text up to a literal, then its octets. */
struct imapstate_notify_part {
    struct imapstate_span text; /* without NUL, CR, LF */
    bool has_literal;
    struct imapstate_span literal; /* its octets, without the announcement */
    uint64_t reserved[2];
};

/* Takes the next part off *arguments, which must not be empty. Spans borrow. SYNTAX, with *arguments as before, for
 * what cannot be framed with certainty: a quoted string without its end, "{" anywhere but where a string can begin, an
 * octet that no line can contain. */
IMAPSTATE_API enum imapstate_error imapstate_notify_next(struct imapstate_span *arguments,
                                                         struct imapstate_notify_part *ret_part);

/* Takes the next name off the names of an ENABLE or ENABLED, which are its arguments or an entry's value: between any
 * number of blanks (SP, HT), up to the line end if there is one. Spans borrow. False if there is none left. */
IMAPSTATE_API bool imapstate_enable_next(struct imapstate_span *names, struct imapstate_span *ret_name);

/* Forgets all entries (UNAUTHENTICATE, P16). */
IMAPSTATE_API void imapstate_state_clear(struct imapstate_state *state);

/* Appends the encoding to ret_octets. Equal states have equal encodings. False if it does not fit. */
IMAPSTATE_API bool imapstate_state_encode(const struct imapstate_state *state, struct imapstate_buf *ret_octets);

/* Replaces the contents of state with a decoded one. STATE_INVALID, STATE_TOO_LARGE or NO_MEMORY leave it as it was. */
IMAPSTATE_API enum imapstate_error imapstate_state_decode(struct imapstate_state *state, struct imapstate_span octets);

IMAPSTATE_END

#endif
