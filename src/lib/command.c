#include <imapstate/command.h>

#include <sodium.h>
#include <string.h>

#include "octet.h"
#include "words.h"

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

/* Sets of states, and kinds of literals, short enough for a table. */
#define ANY       IMAPSTATE_IN_ANY
#define NOT_AUTH  IMAPSTATE_IN_NOT_AUTHENTICATED
#define AUTH      (IMAPSTATE_IN_AUTHENTICATED | IMAPSTATE_IN_SELECTED)
#define ONLY_AUTH IMAPSTATE_IN_AUTHENTICATED
#define SELECTED  IMAPSTATE_IN_SELECTED

/* name, id, allowed, stored, literals, enables, repeatable, parkable */
#define ROW(name_, id_, allowed_, stored_, literals_, enables_, repeatable_, parkable_)                                \
    {                                                                                                                  \
        .name = name_, .id = IMAPSTATE_COMMAND_##id_, .allowed = allowed_, .stored = IMAPSTATE_ENTRY_##stored_,        \
        .literals = IMAPSTATE_LITERALS_##literals_, .enables = IMAPSTATE_ENABLES_##enables_,                           \
        .repeatable = repeatable_, .parkable = parkable_, .is_known = true                                             \
    }

/* RFC 9051 and 3501, and the registered extensions. Repeatable are only those whose second run gives the client what
 * the first would have. Not parkable: what changes how later octets are read (COMPRESS, STARTTLS), who the user is
 * (UNAUTHENTICATE), or ends the connection. What belongs to a selected mailbox ends with it (searches that
 * update, RFC 5267); what the server keeps (ACL, METADATA, RESETKEY, ...) is no property of the connection. */
static const struct imapstate_command commands[] = {
    /* clang-format off */
    ROW("APPEND",              APPEND,          AUTH,       NONE,       MESSAGE,     NEVER,      false,  true),
    ROW("AUTHENTICATE",        AUTHENTICATE,    NOT_AUTH,   NONE,       LOGIN,       NEVER,      false,  true),
    ROW("CANCELUPDATE",        OTHER,           SELECTED,   NONE,       NONE,        NEVER,      false,  true),
    ROW("CAPABILITY",          CAPABILITY,      ANY,        NONE,       NONE,        NEVER,      true,   true),
    ROW("CHECK",               OTHER,           SELECTED,   NONE,       NONE,        NEVER,      false,  true),
    ROW("CLOSE",               CLOSE,           SELECTED,   NONE,       NONE,        NEVER,      false,  true),
    ROW("COMPARATOR",          COMPARATOR,      AUTH,       COMPARATOR, STRING,      NEVER,      true,   true),
    ROW("COMPRESS",            COMPRESS,        AUTH,       NONE,       NONE,        NEVER,      false,  false),
    ROW("CONVERSIONS",         OTHER,           AUTH,       NONE,       STRING,      NEVER,      false,  true),
    ROW("CONVERT",             OTHER,           SELECTED,   NONE,       STRING,      ANYWHERE,   false,  true),
    ROW("COPY",                OTHER,           SELECTED,   NONE,       STRING,      NEVER,      false,  true),
    ROW("CREATE",              OTHER,           AUTH,       NONE,       STRING,      NEVER,      false,  true),
    ROW("DELETE",              OTHER,           AUTH,       NONE,       STRING,      NEVER,      false,  true),
    ROW("DELETEACL",           OTHER,           AUTH,       NONE,       STRING,      NEVER,      false,  true),
    ROW("ENABLE",              ENABLE,          AUTH,       ENABLE,     NONE,        ANYWHERE,   true,   true),
    ROW("ESEARCH",             OTHER,           AUTH,       NONE,       STRING,      ANYWHERE,   false,  true),
    ROW("EXAMINE",             EXAMINE,         AUTH,       NONE,       STRING,      OPTIONS,    true,   true),
    ROW("EXPUNGE",             OTHER,           SELECTED,   NONE,       NONE,        NEVER,      false,  true),
    ROW("FETCH",               OTHER,           SELECTED,   NONE,       STRING,      ANYWHERE,   false,  true),
    ROW("GENURLAUTH",          OTHER,           AUTH,       NONE,       STRING,      NEVER,      false,  true),
    ROW("GETACL",              OTHER,           AUTH,       NONE,       STRING,      NEVER,      false,  true),
    ROW("GETANNOTATION",       OTHER,           AUTH,       NONE,       STRING,      NEVER,      false,  true),
    ROW("GETJMAPACCESS",       OTHER,           AUTH,       NONE,       NONE,        NEVER,      false,  true),
    ROW("GETMETADATA",         OTHER,           AUTH,       NONE,       STRING,      NEVER,      false,  true),
    ROW("GETQUOTA",            OTHER,           AUTH,       NONE,       STRING,      NEVER,      false,  true),
    ROW("GETQUOTAROOT",        OTHER,           AUTH,       NONE,       STRING,      NEVER,      false,  true),
    ROW("ID",                  ID,              ANY,        NONE,       STRING,      NEVER,      true,   true),
    ROW("IDLE",                IDLE,            AUTH,       NONE,       NONE,        NEVER,      false,  true),
    ROW("LANGUAGE",            LANGUAGE,        ANY,        LANGUAGE,   STRING,      NEVER,      true,   true),
    ROW("LIST",                OTHER,           AUTH,       NONE,       STRING,      RETURN,     true,   true),
    ROW("LISTRIGHTS",          OTHER,           AUTH,       NONE,       STRING,      NEVER,      false,  true),
    ROW("LOGIN",               LOGIN,           NOT_AUTH,   NONE,       LOGIN,       NEVER,      false,  true),
    ROW("LOGOUT",              LOGOUT,          ANY,        NONE,       NONE,        NEVER,      false,  false),
    ROW("LSUB",                OTHER,           AUTH,       NONE,       STRING,      NEVER,      true,   true),
    ROW("MOVE",                OTHER,           SELECTED,   NONE,       STRING,      NEVER,      false,  true),
    ROW("MYRIGHTS",            OTHER,           AUTH,       NONE,       STRING,      NEVER,      false,  true),
    ROW("NAMESPACE",           NAMESPACE,       AUTH,       NONE,       NONE,        NEVER,      true,   true),
    ROW("NOOP",                NOOP,            ANY,        NONE,       NONE,        NEVER,      true,   true),
    ROW("NOTIFY",              NOTIFY,          AUTH,       NOTIFY,     STRING,      ANYWHERE,   true,   true),
    ROW("RENAME",              OTHER,           AUTH,       NONE,       STRING,      NEVER,      false,  true),
    ROW("REPLACE",             OTHER,           SELECTED,   NONE,       MESSAGE,     NEVER,      false,  true),
    ROW("RESETKEY",            OTHER,           AUTH,       NONE,       STRING,      NEVER,      false,  true),
    ROW("RLIST",               OTHER,           AUTH,       NONE,       STRING,      RETURN,     false,  true),
    ROW("RLSUB",               OTHER,           AUTH,       NONE,       STRING,      NEVER,      false,  true),
    ROW("SAVESTATE",           SAVESTATE,       AUTH,       NONE,       NONE,        NEVER,      false,  true),
    ROW("SEARCH",              OTHER,           SELECTED,   NONE,       STRING,      KEYS,       false,  true),
    ROW("SELECT",              SELECT,          AUTH,       NONE,       STRING,      OPTIONS,    true,   true),
    ROW("SETACL",              OTHER,           AUTH,       NONE,       STRING,      NEVER,      false,  true),
    ROW("SETANNOTATION",       OTHER,           AUTH,       NONE,       STRING,      NEVER,      false,  true),
    ROW("SETMETADATA",         OTHER,           AUTH,       NONE,       STRING,      NEVER,      false,  true),
    ROW("SETQUOTA",            OTHER,           AUTH,       NONE,       STRING,      NEVER,      false,  true),
    ROW("SORT",                OTHER,           SELECTED,   NONE,       STRING,      SORT_KEYS,  false,  true),
    ROW("STARTTLS",            STARTTLS,        NOT_AUTH,   NONE,       NONE,        NEVER,      false,  false),
    ROW("STATE",               STATE,           ONLY_AUTH,  NONE,       STRING,      NEVER,      false,  true),
    ROW("STATUS",              OTHER,           AUTH,       NONE,       STRING,      OPTIONS,    true,   true),
    ROW("STORE",               OTHER,           SELECTED,   NONE,       ANNOTATION,  MODIFIERS,  false,  true),
    ROW("SUBSCRIBE",           OTHER,           AUTH,       NONE,       STRING,      NEVER,      false,  true),
    ROW("THREAD",              OTHER,           SELECTED,   NONE,       STRING,      SORT_KEYS,  false,  true),
    ROW("UID CONVERT",         OTHER,           SELECTED,   NONE,       STRING,      ANYWHERE,   false,  true),
    ROW("UID COPY",            OTHER,           SELECTED,   NONE,       STRING,      NEVER,      false,  true),
    ROW("UID EXPUNGE",         OTHER,           SELECTED,   NONE,       NONE,        NEVER,      false,  true),
    ROW("UID FETCH",           OTHER,           SELECTED,   NONE,       STRING,      ANYWHERE,   false,  true),
    ROW("UID MOVE",            OTHER,           SELECTED,   NONE,       STRING,      NEVER,      false,  true),
    ROW("UID REPLACE",         OTHER,           SELECTED,   NONE,       MESSAGE,     NEVER,      false,  true),
    ROW("UID SEARCH",          OTHER,           SELECTED,   NONE,       STRING,      KEYS,       false,  true),
    ROW("UID SORT",            OTHER,           SELECTED,   NONE,       STRING,      SORT_KEYS,  false,  true),
    ROW("UID STORE",           OTHER,           SELECTED,   NONE,       ANNOTATION,  MODIFIERS,  false,  true),
    ROW("UID THREAD",          OTHER,           SELECTED,   NONE,       STRING,      SORT_KEYS,  false,  true),
    ROW("UIDBATCHES",          OTHER,           SELECTED,   NONE,       NONE,        NEVER,      false,  true),
    ROW("UNAUTHENTICATE",      UNAUTHENTICATE,  AUTH,       NONE,       NONE,        NEVER,      false,  false),
    ROW("UNSELECT",            UNSELECT,        SELECTED,   NONE,       NONE,        NEVER,      false,  true),
    ROW("UNSUBSCRIBE",         OTHER,           AUTH,       NONE,       STRING,      NEVER,      false,  true),
    ROW("URLFETCH",            OTHER,           AUTH,       NONE,       STRING,      NEVER,      false,  true),
    ROW("XLIST",               OTHER,           AUTH,       NONE,       STRING,      RETURN,     false,  true),
    /* clang-format on */
};

/* Stands for all commands that are not in the table. What they do to a connection nobody can know; and a server may
 * not look for literals in a command that it does not know either. */
static const struct imapstate_command command_unknown = {
    .name = "",
    .id = IMAPSTATE_COMMAND_OTHER,
    .allowed = IMAPSTATE_IN_ANY,
    .stored = IMAPSTATE_ENTRY_NONE,
    .literals = IMAPSTATE_LITERALS_NONE,
    .enables = IMAPSTATE_ENABLES_ANYWHERE,
};

const struct imapstate_command *imapstate_command_at(size_t index)
{
    return index < ARRAY_LEN(commands) ? &commands[index] : NULL;
}

/* Not toupper(): that depends on the locale, and IMAP is ASCII. */
static uint8_t byte_upper(uint8_t byte)
{
    return byte >= 'a' && byte <= 'z' ? (uint8_t)(byte - ('a' - 'A')) : byte;
}

/* Orders a name from the wire against a row's, as memcmp() and strcmp() would. */
static int name_compare(struct imapstate_span name, const char *row_name)
{
    for (size_t i = 0; i < name.len; i++) {
        int difference = byte_upper(name.at[i]) - (uint8_t)row_name[i];
        /* A NUL in name is equal to the end of row_name, and must not lead behind it. */
        if (difference != 0 || row_name[i] == '\0')
            return difference != 0 ? difference : 1;
    }
    return row_name[name.len] == '\0' ? 0 : -1;
}

const struct imapstate_command *imapstate_command_find(struct imapstate_span name)
{
    size_t low = 0, high = ARRAY_LEN(commands);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = name_compare(name, commands[middle].name);
        if (order == 0)
            return &commands[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return &command_unknown;
}

static bool is_loose_char(uint8_t byte)
{
    return !words_is_blank(byte) && byte != '"' && byte != '\r' && byte != '\n' && byte != '\0';
}

static bool sp_take(struct imapstate_span *in)
{
    if (in->len == 0 || in->at[0] != ' ')
        return false;
    in->at++;
    in->len--;
    return true;
}

static bool is_word_end(struct imapstate_span in)
{
    return in.len == 0 || in.at[0] == ' ';
}

/* Takes the name: one word, or "UID" and the one behind it. */
static enum imapstate_error name_take(struct imapstate_span *in, struct imapstate_span *ret_name)
{
    *ret_name = octets_take(in, OCTET_ATOM);
    if (ret_name->len == 0 || !is_word_end(*in))
        return IMAPSTATE_SYNTAX;
    if (in->len == 0 || !imapstate_span_equal_nocase(*ret_name, IMAPSTATE_SPAN("UID")))
        return IMAPSTATE_OK;
    struct imapstate_span behind = *in;
    sp_take(&behind);
    struct imapstate_span second = octets_take(&behind, OCTET_ATOM);
    if (second.len == 0 || !is_word_end(behind))
        return IMAPSTATE_SYNTAX;
    ret_name->len += 1 + second.len;
    *in = behind;
    return IMAPSTATE_OK;
}

enum imapstate_error imapstate_command_parse(struct imapstate_span line, struct imapstate_command_line *ret_line)
{
    struct imapstate_span in = imapstate_span_without_line_end(line);
    *ret_line = (struct imapstate_command_line){ .command = &command_unknown };
    struct imapstate_span tag = octets_take(&in, OCTET_TAG);
    if (tag.len == 0 || !is_word_end(in))
        return IMAPSTATE_SYNTAX;
    ret_line->tag = tag;
    if (!sp_take(&in))
        return IMAPSTATE_SYNTAX;
    enum imapstate_error error = name_take(&in, &ret_line->name);
    if (error != IMAPSTATE_OK)
        return error;
    ret_line->command = imapstate_command_find(ret_line->name);
    ret_line->has_arguments_sp = sp_take(&in);
    ret_line->arguments = in;
    return IMAPSTATE_OK;
}

/* Does in begin with word (upper case)? A backslash in between counts for nothing: in a quoted string Dovecot drops it
 * before any octet, so that "MOD\SEQ" is MODSEQ to it. */
static bool begins_with_word(struct imapstate_span in, const char *word)
{
    size_t at = 0;
    for (; *word != '\0' && at < in.len; at++) {
        if (in.at[at] == '\\')
            continue;
        if (byte_upper(in.at[at]) != (uint8_t)*word)
            return false;
        word++;
    }
    return *word == '\0';
}

static bool names_enabling(struct imapstate_span arguments)
{
    /* UNCHANGEDSINCE has CHANGEDSINCE in it. */
    for (; arguments.len > 0; arguments.at++, arguments.len--) {
        switch (byte_upper(arguments.at[0])) {
        case 'C':
            if (begins_with_word(arguments, "CHANGEDSINCE") || begins_with_word(arguments, "CONDSTORE"))
                return true;
            break;
        case 'F':
            if (begins_with_word(arguments, "FLAGCHANGE"))
                return true;
            break;
        case 'M':
            if (begins_with_word(arguments, "MODSEQ"))
                return true;
            break;
        case 'Q':
            if (begins_with_word(arguments, "QRESYNC"))
                return true;
            break;
        }
    }
    return false;
}

/* The octets of an argument at the front of in, a list with all that is in it; 0 if it has no end, or is none. */
static size_t argument_len(struct imapstate_span in)
{
    size_t at = 0, depth = 0;
    bool is_quoted = false;
    for (; at < in.len && in.at[at] != '\r' && in.at[at] != '\n'; at++) {
        uint8_t byte = in.at[at];
        if (is_quoted && byte == '\\')
            at++;
        else if (byte == '"')
            is_quoted = !is_quoted;
        else if (!is_quoted && byte == '(')
            depth++;
        else if (!is_quoted && byte == ')' && depth-- == 0)
            return at;
        else if (!is_quoted && byte == ' ' && depth == 0)
            return at;
    }
    return !is_quoted && depth == 0 && at <= in.len ? at : 0;
}

/* Takes the next argument off *in, and what SP there are before it. False if servers might see another there: a quote
 * or a parenthesis stands within an atom, or behind a string. */
static bool argument_take(struct imapstate_span *in, struct imapstate_span *ret_argument)
{
    while (sp_take(in))
        ;
    struct imapstate_span argument = { in->at, argument_len(*in) };
    if (argument.len == 0)
        return false;
    uint8_t first = argument.at[0], last = argument.at[argument.len - 1];
    bool is_list = first == '(', is_quoted = first == '"';
    for (size_t i = 1; i + 1 < argument.len && !is_list; i++) {
        if (argument.at[i] == '\\' && is_quoted)
            i++;
        else if (argument.at[i] == '"' || (argument.at[i] == '(' && !is_quoted))
            return false;
    }
    if ((is_list && last != ')') || (is_quoted && (last != '"' || argument.len == 1)) ||
        (!is_list && !is_quoted && (last == '"' || last == '(')))
        return false;
    in->at += argument.len;
    in->len -= argument.len;
    *ret_argument = argument;
    return true;
}

static bool is_list(struct imapstate_span argument)
{
    return argument.at[0] == '(';
}

/* SELECT mailbox (CONDSTORE), STATUS mailbox (HIGHESTMODSEQ): what stands behind the name. */
static bool options_may_enable(struct imapstate_span arguments)
{
    struct imapstate_span rest = arguments, mailbox;
    bool is_read = argument_take(&rest, &mailbox) && !is_list(mailbox);
    return names_enabling(is_read ? rest : arguments);
}

/* STORE set (UNCHANGEDSINCE 5) FLAGS (...): the list before the item. Keywords are free. */
static bool modifiers_may_enable(struct imapstate_span arguments)
{
    struct imapstate_span rest = arguments, set, modifiers;
    if (!argument_take(&rest, &set) || is_list(set) || !argument_take(&rest, &modifiers))
        return names_enabling(arguments);
    return is_list(modifiers) && names_enabling(modifiers);
}

/* LIST (options) reference patterns RETURN (STATUS (HIGHESTMODSEQ)): what stands behind the patterns. */
static bool return_may_enable(struct imapstate_span arguments)
{
    struct imapstate_span rest = arguments, argument;
    bool is_read = argument_take(&rest, &argument);
    if (is_read && is_list(argument))
        is_read = argument_take(&rest, &argument) && !is_list(argument);
    is_read = is_read && argument_take(&rest, &argument);
    return names_enabling(is_read ? rest : arguments);
}

/* How many strings follow a search key; of keys that are not here nobody knows. */
static unsigned key_strings(struct imapstate_span key)
{
    static const char *const keys[] = { "BCC", "BODY", "CC", "FROM", "KEYWORD", "SUBJECT", "TEXT", "TO", "UNKEYWORD" };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (imapstate_span_equal_nocase(key, imapstate_span_of(keys[i])))
            return 1;
    return imapstate_span_equal_nocase(key, IMAPSTATE_SPAN("HEADER")) ? 2 : 0;
}

/* SEARCH keys, in however many parentheses: all but the strings that keys are followed by. */
static bool keys_may_enable(struct imapstate_span rest)
{
    while (rest.len > 0) {
        struct imapstate_span before = rest, key, string;
        if (*rest.at == ' ' || *rest.at == '(' || *rest.at == ')' || *rest.at == '\r' || *rest.at == '\n') {
            rest.at++, rest.len--;
            continue;
        }
        if (!argument_take(&rest, &key))
            return names_enabling(rest);
        if (names_enabling(key))
            return true;
        for (unsigned left = key_strings(key); left > 0; left--)
            if (!argument_take(&rest, &string) || is_list(string))
                return names_enabling(before);
    }
    return false;
}

/* SORT RETURN (options) (criteria) charset keys, and THREAD algorithm charset keys: a criterion may be named as a key.
 */
static bool sort_keys_may_enable(struct imapstate_span arguments)
{
    struct imapstate_span rest = arguments, argument;
    bool is_read = argument_take(&rest, &argument);
    if (is_read && imapstate_span_equal_nocase(argument, IMAPSTATE_SPAN("RETURN")))
        is_read = argument_take(&rest, &argument) && argument_take(&rest, &argument);
    is_read = is_read && argument_take(&rest, &argument) && !is_list(argument);
    return is_read ? keys_may_enable(rest) : names_enabling(arguments);
}

bool imapstate_command_may_enable(const struct imapstate_command *command, struct imapstate_span arguments)
{
    switch ((enum imapstate_command_enables)command->enables) {
    case IMAPSTATE_ENABLES_NEVER:
        return false;
    case IMAPSTATE_ENABLES_OPTIONS:
        return options_may_enable(arguments);
    case IMAPSTATE_ENABLES_MODIFIERS:
        return modifiers_may_enable(arguments);
    case IMAPSTATE_ENABLES_RETURN:
        return return_may_enable(arguments);
    case IMAPSTATE_ENABLES_KEYS:
        return keys_may_enable(arguments);
    case IMAPSTATE_ENABLES_SORT_KEYS:
        return sort_keys_may_enable(arguments);
    case IMAPSTATE_ENABLES_ANYWHERE:
        break;
    }
    return names_enabling(arguments);
}

static enum imapstate_error value_put(struct imapstate_buf *value, struct imapstate_span more)
{
    if (imapstate_buf_put(value, more))
        return IMAPSTATE_OK;
    return more.len > value->max - value->len ? IMAPSTATE_LITERAL_TOO_LARGE : IMAPSTATE_NO_MEMORY;
}

static enum imapstate_error atom_read(struct imapstate_span *in, struct imapstate_buf *value)
{
    struct imapstate_span atom = octets_take(in, OCTET_ASTRING);
    if (atom.len == 0 || (in->len > 0 && in->at[0] >= 0x80))
        return IMAPSTATE_SYNTAX;
    return value_put(value, atom);
}

/* What servers take for an atom in LOGIN, each of them a little more than RFC 9051 section 9 has there. A quote within
 * none of them takes. */
static enum imapstate_error loose_atom_read(struct imapstate_span *in, struct imapstate_buf *value)
{
    struct imapstate_span atom = { in->at, 0 };
    while (atom.len < in->len && is_loose_char(in->at[atom.len]))
        atom.len++;
    in->at += atom.len;
    in->len -= atom.len;
    if (atom.len == 0 || (in->len > 0 && !words_is_blank(in->at[0])))
        return IMAPSTATE_SYNTAX;
    return value_put(value, atom);
}

/* RFC 9051 section 9: quoted. 8-bit octets are UTF-8 there; which, is the server's to judge. A backslash counts for
 * nothing before any octet, not only before those that want one: so Dovecot, Cyrus and Courier read it. */
static enum imapstate_error quoted_read(struct imapstate_span *in, struct imapstate_buf *value)
{
    size_t run = 1; /* begin of the octets that have not been put yet */
    for (size_t at = 1; at < in->len; at++) {
        uint8_t byte = in->at[at];
        if (byte == '\0' || byte == '\r' || byte == '\n')
            return IMAPSTATE_SYNTAX;
        if (byte != '"' && byte != '\\')
            continue;
        enum imapstate_error error = value_put(value, (struct imapstate_span){ in->at + run, at - run });
        if (error != IMAPSTATE_OK)
            return error;
        if (byte == '"') {
            *in = (struct imapstate_span){ in->at + at + 1, in->len - at - 1 };
            return IMAPSTATE_OK;
        }
        run = ++at;
        if (at == in->len || in->at[at] == '\0' || in->at[at] == '\r' || in->at[at] == '\n')
            return IMAPSTATE_SYNTAX;
    }
    return IMAPSTATE_SYNTAX;
}

/* Takes "{n}" or "{n+}" and the line end behind it off the front of *in. */
static enum imapstate_error literal_head_take(struct imapstate_span *in, uint32_t *ret_octets)
{
    uint32_t octets = 0;
    size_t at = 1;
    for (; at < in->len && in->at[at] >= '0' && in->at[at] <= '9'; at++)
        if (__builtin_mul_overflow(octets, 10u, &octets) ||
            __builtin_add_overflow(octets, (uint32_t)(in->at[at] - '0'), &octets))
            return IMAPSTATE_LITERAL_TOO_LARGE;
    bool has_digits = at > 1;
    at += at < in->len && in->at[at] == '+';
    bool is_closed = at < in->len && in->at[at] == '}';
    at += is_closed;
    at += at < in->len && in->at[at] == '\r';
    if (!has_digits || !is_closed || at >= in->len || in->at[at] != '\n')
        return IMAPSTATE_SYNTAX;
    *in = (struct imapstate_span){ in->at + at + 1, in->len - at - 1 };
    *ret_octets = octets;
    return IMAPSTATE_OK;
}

static enum imapstate_error literal_read(struct imapstate_span *in, struct imapstate_buf *value)
{
    uint32_t octets;
    enum imapstate_error error = literal_head_take(in, &octets);
    if (error != IMAPSTATE_OK)
        return error;
    /* RFC 9051 section 9: a literal is of CHAR8, which is any octet but NUL. */
    if (octets > in->len || (octets > 0 && memchr(in->at, '\0', octets)))
        return IMAPSTATE_SYNTAX;
    struct imapstate_span literal = { in->at, octets };
    *in = (struct imapstate_span){ in->at + octets, in->len - octets };
    return value_put(value, literal);
}

typedef enum imapstate_error atom_reader(struct imapstate_span *in, struct imapstate_buf *value);

static enum imapstate_error string_read(struct imapstate_span *in, struct imapstate_buf *ret_value,
                                        atom_reader *read_atom)
{
    if (in->len == 0)
        return IMAPSTATE_SYNTAX;
    struct imapstate_span rest = *in;
    size_t len_before = ret_value->len;
    enum imapstate_error error = rest.at[0] == '"'   ? quoted_read(&rest, ret_value)
                                 : rest.at[0] == '{' ? literal_read(&rest, ret_value)
                                                     : read_atom(&rest, ret_value);
    if (error == IMAPSTATE_OK) {
        *in = rest;
    } else if (ret_value->len > len_before) {
        sodium_memzero(ret_value->at + len_before, ret_value->len - len_before);
        ret_value->len = len_before;
    }
    return error;
}

enum imapstate_error imapstate_command_astring(struct imapstate_span *in, struct imapstate_buf *ret_value)
{
    return string_read(in, ret_value, atom_read);
}

enum imapstate_error imapstate_command_login_string(struct imapstate_span *in, struct imapstate_buf *ret_value)
{
    struct imapstate_span rest = words_behind_blanks(*in);
    enum imapstate_error error = string_read(&rest, ret_value, loose_atom_read);
    if (error == IMAPSTATE_OK)
        *in = rest;
    return error;
}

struct imapstate_span imapstate_command_behind_blanks(struct imapstate_span in)
{
    return words_behind_blanks(in);
}

bool imapstate_command_is_quotable(struct imapstate_span value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.at[i] == '\0' || value.at[i] == '\r' || value.at[i] == '\n' || value.at[i] >= 0x80)
            return false;
    return true;
}

bool imapstate_command_put_quoted(struct imapstate_buf *to, struct imapstate_span value)
{
    bool fits = imapstate_buf_put_byte(to, '"');
    for (size_t i = 0; i < value.len && fits; i++) {
        if (value.at[i] == '"' || value.at[i] == '\\')
            fits = imapstate_buf_put_byte(to, '\\');
        fits = fits && imapstate_buf_put_byte(to, value.at[i]);
    }
    return fits && imapstate_buf_put_byte(to, '"');
}
