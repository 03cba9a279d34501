#include "condstore.h"

#include "octet.h"
#include "searchkey.h"

static bool take(struct imapstate_span *in, char octet)
{
    bool is_there = in->len > 0 && *in->at == (uint8_t)octet;
    if (is_there)
        in->at++, in->len--;
    return is_there;
}

/* A mailbox's name that every server reads alike: an atom, or a quoted string without escapes. */
static bool take_mailbox(struct imapstate_span *in)
{
    if (!take(in, '"'))
        return octets_take(in, OCTET_ASTRING).len > 0;
    while (in->len > 0 && *in->at != '"' && *in->at != '\\' && *in->at != '\r' && *in->at != '\n')
        in->at++, in->len--;
    return take(in, '"');
}

/* "mailbox (names)", to the end. is_only: there is no other name in the list. */
static bool lists(struct imapstate_span in, const char *name, bool *ret_is_only)
{
    bool is_there = false;
    *ret_is_only = true;
    in = imapstate_span_without_line_end(in);
    if (!take_mailbox(&in) || !take(&in, ' ') || !take(&in, '('))
        return false;
    do {
        struct imapstate_span word = octets_take(&in, OCTET_ATOM);
        bool is_it = imapstate_span_equal_nocase(word, imapstate_span_of(name));
        if (word.len == 0)
            return false;
        is_there |= is_it;
        *ret_is_only &= is_it;
    } while (take(&in, ' '));
    return is_there && take(&in, ')') && in.len == 0;
}

unsigned condstore_asked(const struct imapstate_command *command, struct imapstate_span arguments)
{
    bool is_only;
    if (command->id == IMAPSTATE_COMMAND_SELECT || command->id == IMAPSTATE_COMMAND_EXAMINE)
        return lists(arguments, "CONDSTORE", &is_only) && is_only ? CONDSTORE_BY_OTHERS : 0;
    bool is_status = imapstate_span_equal(imapstate_span_of(command->name), IMAPSTATE_SPAN("STATUS"));
    return is_status && lists(arguments, "HIGHESTMODSEQ", &is_only) ? CONDSTORE_BY_STATUS : 0;
}

/* Of the RFCs' commands, those whose places for the names are known; and FETCH. */
static bool is_limited(const struct imapstate_command *command)
{
    struct imapstate_span name = imapstate_span_of(command->name);
    return command->enables != IMAPSTATE_ENABLES_ANYWHERE || imapstate_span_equal(name, IMAPSTATE_SPAN("FETCH")) ||
           imapstate_span_equal(name, IMAPSTATE_SPAN("UID FETCH"));
}

/* The name of something else that FETCH and SELECT can bring, or an escape that may hide one. */
static bool names_more(struct imapstate_span arguments)
{
    static const char *const names[] = { "QRESYNC", "VANISHED", "FLAGCHANGE", "\\" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (imapstate_span_contains_nocase(arguments, imapstate_span_of(names[i])))
            return true;
    return false;
}

unsigned condstore_of(const struct imapstate_command *command, struct imapstate_span arguments)
{
    unsigned asked = condstore_asked(command, arguments);
    if (asked || !imapstate_command_may_enable(command, arguments))
        return asked;
    if (command->id == IMAPSTATE_COMMAND_ENABLE)
        return CONDSTORE_BY_ENABLE;
    return is_limited(command) && !names_more(arguments) ? CONDSTORE_BY_OTHERS : CONDSTORE_UNKNOWN;
}

unsigned condstore_of_rest(const struct imapstate_command *command, struct imapstate_span line)
{
    bool is_never = command->enables == IMAPSTATE_ENABLES_NEVER;
    return is_never ? 0 : condstore_of(imapstate_command_find((struct imapstate_span){ 0 }), line);
}

/* Servers take search keys, and even the names of items, as literals, which nobody looks into here. And Dovecot takes
 * one that is too many for a command of its own. */
static bool is_free(const struct imapstate_command *command, struct imapstate_span line, bool is_first)
{
    switch ((enum imapstate_command_enables)command->enables) {
    case IMAPSTATE_ENABLES_OPTIONS:
        return is_first && line.len > 0 && *line.at == '{';
    case IMAPSTATE_ENABLES_KEYS:
        return searchkey_awaits_string(line);
    case IMAPSTATE_ENABLES_SORT_KEYS:
        return (!is_first || searchkey_take_charset(&line)) && searchkey_awaits_string(line);
    default:
        return command->literals == IMAPSTATE_LITERALS_MESSAGE;
    }
}

unsigned condstore_of_literal(const struct imapstate_command *command, struct imapstate_span line, bool is_first)
{
    return is_free(command, line, is_first) ? 0 : CONDSTORE_UNKNOWN;
}
