#include "append.h"

#include <string.h>

#include "octet.h"
#include "words.h"

/* What a part of a CATENATE list must go on with. */
enum append_part { APPEND_PART_ENDS, APPEND_PART_STRING, APPEND_PART_LITERAL };

struct append {
    struct imapstate_span rest;
    unsigned names;        /* arguments that are still to come before there can be CATENATE */
    unsigned depth;        /* lists that are open */
    bool is_behind_name;   /* CATENATE */
    bool is_in_list;       /* of CATENATE */
    enum append_part part; /* of that list */
};

/* Wildcards and backslashes are not in RFC 9051's atoms, but in flags, and servers differ about mailboxes. */
static bool append_is_atom_octet(uint8_t byte)
{
    return octet_is(byte, OCTET_LIST) || byte == '\\';
}

static bool append_is_end(struct imapstate_span rest)
{
    return rest.len == 0 || *rest.at == ' ' || *rest.at == ')';
}

/* An atom, quoted string or list is here as an argument of the command or a part of the list of CATENATE. */
static bool append_heed(struct append *append, bool is_list, struct imapstate_span atom)
{
    append->is_behind_name = false;
    if (append->is_in_list) {
        bool is_string = append->part == APPEND_PART_STRING && !is_list;
        bool begins = append->part == APPEND_PART_ENDS;
        if (!is_string && !(begins && (word_is(atom, "URL") || word_is(atom, "TEXT"))))
            return false;
        append->part = is_string ? APPEND_PART_ENDS : word_is(atom, "URL") ? APPEND_PART_STRING : APPEND_PART_LITERAL;
    } else if (append->depth == 0 && append->names > 0) {
        append->names--;
    } else {
        append->is_behind_name = append->depth == 0 && word_is(atom, "CATENATE");
    }
    return true;
}

static bool append_take_atom(struct append *append)
{
    struct imapstate_span *rest = &append->rest, atom = { rest->at, 0 };
    while (atom.len < rest->len && append_is_atom_octet(rest->at[atom.len]))
        atom.len++;
    rest->at += atom.len;
    rest->len -= atom.len;
    return atom.len > 0 && append_is_end(*rest) && append_heed(append, false, atom);
}

/* The frame has seen that quotes are even, and that no line end is in them. */
static bool append_take_quoted(struct append *append)
{
    struct imapstate_span *rest = &append->rest;
    size_t at = 1;
    while (at < rest->len && rest->at[at] != '"')
        at += rest->at[at] == '\\' ? 2 : 1;
    if (at >= rest->len)
        return false;
    rest->at += at + 1;
    rest->len -= at + 1;
    return append_is_end(*rest) && append_heed(append, false, (struct imapstate_span){ 0 });
}

static bool append_open_list(struct append *append)
{
    bool is_catenate = append->is_behind_name;
    append->rest.at++, append->rest.len--;
    if (!append_heed(append, true, (struct imapstate_span){ 0 }))
        return false;
    append->is_in_list = is_catenate;
    append->part = APPEND_PART_ENDS;
    append->depth++;
    return true;
}

/* One that is open since the line before is not counted. */
static bool append_close_list(struct append *append)
{
    append->rest.at++, append->rest.len--;
    append->depth -= append->depth > 0;
    bool ends_well = !append->is_in_list || append->part == APPEND_PART_ENDS;
    append->is_in_list = false;
    return ends_well && append_is_end(append->rest);
}

/* All of rest, which is a line but for its end and for the literal that it announces. */
static bool append_is_certain(struct append *append)
{
    while (append->rest.len > 0) {
        bool is_taken = true;
        switch (*append->rest.at) {
        case ' ':
            append->rest.at++, append->rest.len--;
            break;
        case '(':
            is_taken = append_open_list(append);
            break;
        case ')':
            is_taken = append_close_list(append);
            break;
        case '"':
            is_taken = append_take_quoted(append);
            break;
        default:
            is_taken = append_take_atom(append);
        }
        if (!is_taken)
            return false;
    }
    return true;
}

/* Takes the announcement of a literal off its end. False: no string can begin there. */
static bool append_drop_announcement(struct imapstate_span *text, const struct imapstate_literal *literal)
{
    const uint8_t *brace = memrchr(text->at, '{', text->len);
    if (!brace)
        return false;
    text->len = (size_t)(brace - text->at) - (literal->binary ? 1 : 0);
    return text->len > 0 && (text->at[text->len - 1] == ' ' || text->at[text->len - 1] == '(');
}

static bool append_judge(struct append *append, const struct imapstate_piece *piece, bool *is_in_list)
{
    if (piece->literal.announced && !append_drop_announcement(&append->rest, &piece->literal))
        return false;
    if (!append_is_certain(append))
        return false;
    /* A literal may be the string of a part, but not its begin. */
    if (append->is_in_list && piece->literal.announced && append->part == APPEND_PART_ENDS)
        return false;
    *is_in_list = append->is_in_list;
    return true;
}

bool append_begins_well(const struct imapstate_command_line *line, const struct imapstate_piece *piece,
                        bool *ret_is_in_list)
{
    *ret_is_in_list = false;
    if (line->command->literals != IMAPSTATE_LITERALS_MESSAGE || !line->has_arguments_sp)
        return true;
    /* The SP before the arguments, where a literal may be announced at once. */
    struct append append = {
        .rest = { line->arguments.at - 1, line->arguments.len + 1 },
        .names = line->command->id == IMAPSTATE_COMMAND_APPEND ? 1 : 2,
    };
    return append_judge(&append, piece, ret_is_in_list);
}

bool append_goes_on_well(const struct imapstate_piece *piece, bool *is_in_list)
{
    struct append append = {
        .rest = imapstate_span_without_line_end(piece->octets),
        .is_in_list = *is_in_list,
    };
    return append_judge(&append, piece, is_in_list);
}
