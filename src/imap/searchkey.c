#include "searchkey.h"

#include <string.h>

#include "words.h"

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

/* What may stand in RETURN's list counts as a key that has no words. */
static const struct key {
    const char *name;
    unsigned words; /* that belong to it */
    bool is_string; /* the last of them is any string */
} keys[] = {
    { "ALL", 0, false },       { "ANSWERED", 0, false }, { "BCC", 1, true },         { "BEFORE", 1, false },
    { "BODY", 1, true },       { "CC", 1, true },        { "CHARSET", 1, false },    { "COUNT", 0, false },
    { "DELETED", 0, false },   { "DRAFT", 0, false },    { "FLAGGED", 0, false },    { "FROM", 1, true },
    { "HEADER", 2, true },     { "KEYWORD", 1, false },  { "LARGER", 1, false },     { "MAX", 0, false },
    { "MIN", 0, false },       { "NEW", 0, false },      { "NOT", 0, false },        { "OLD", 0, false },
    { "ON", 1, false },        { "OR", 0, false },       { "RECENT", 0, false },     { "RETURN", 0, false },
    { "SAVE", 0, false },      { "SEEN", 0, false },     { "SENTBEFORE", 1, false }, { "SENTON", 1, false },
    { "SENTSINCE", 1, false }, { "SINCE", 1, false },    { "SMALLER", 1, false },    { "SUBJECT", 1, true },
    { "TEXT", 1, true },       { "TO", 1, true },        { "UID", 1, false },        { "UNANSWERED", 0, false },
    { "UNDELETED", 0, false }, { "UNDRAFT", 0, false },  { "UNFLAGGED", 0, false },  { "UNKEYWORD", 1, false },
    { "UNSEEN", 0, false },
};

/* 1:5,7 */
static const struct key key_set = { "", 0, false };

static bool is_one_of(uint8_t octet, const char *set)
{
    return octet != '\0' && strchr(set, octet);
}

static bool take(struct imapstate_span *in, size_t len)
{
    in->at += len;
    in->len -= len;
    return len > 0;
}

/* Takes a quoted string, or octets up to a blank or a parenthesis. False where nobody can say what it is. */
static bool take_word(struct imapstate_span *in, struct imapstate_span *ret_word)
{
    bool is_quoted = in->len > 0 && *in->at == '"';
    size_t len = is_quoted;
    while (len < in->len && !is_one_of(in->at[len], is_quoted ? "\"\\\r\n" : " ()\"\\{\r\n"))
        len++;
    if (is_quoted && (len == in->len || in->at[len++] != '"'))
        return false;
    *ret_word = (struct imapstate_span){ in->at, len };
    return take(in, len) && (in->len == 0 || is_one_of(*in->at, " )"));
}

static bool is_set(struct imapstate_span word)
{
    for (size_t i = 0; i < word.len; i++)
        if (!is_one_of(word.at[i], "0123456789:,*"))
            return false;
    return true;
}

/* NULL: it is not known. */
static const struct key *find(struct imapstate_span word)
{
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (imapstate_span_equal_nocase(word, imapstate_span_of(keys[i].name)))
            return &keys[i];
    return is_set(word) ? &key_set : NULL;
}

bool searchkey_awaits_string(struct imapstate_span line)
{
    const uint8_t *brace = line.len > 0 ? memrchr(line.at, '{', line.len) : NULL;
    if (!brace || brace == line.at || brace[-1] != ' ')
        return false;
    struct imapstate_span in = { line.at, (size_t)(brace - line.at) }, word;
    const struct key *key = &key_set;
    unsigned left = 0; /* of the key's words */
    while (in.len > 0) {
        if (is_one_of(*in.at, left > 0 ? " " : " ()"))
            take(&in, 1);
        else if (!take_word(&in, &word))
            return false;
        else if (left > 0)
            left--;
        else if ((key = find(word)))
            left = key->words;
        else
            return false;
    }
    return left == 1 && key->is_string;
}

/* "(...) ", without another list inside. */
static bool take_list(struct imapstate_span *in)
{
    const uint8_t *end = in->len > 0 && *in->at == '(' ? memchr(in->at, ')', in->len) : NULL;
    size_t len = end ? (size_t)(end - in->at) : 0;
    return len > 0 && !memchr(in->at + 1, '(', len) && !memchr(in->at, '"', len) && take(in, len + 1) && in->len > 0 &&
           *in->at == ' ' && take(in, 1);
}

/* An atom and a blank. */
static bool take_atom(struct imapstate_span *in)
{
    struct imapstate_span word;
    return take_word(in, &word) && *word.at != '"' && in->len > 0 && *in->at == ' ' && take(in, 1);
}

bool searchkey_take_charset(struct imapstate_span *line)
{
    struct imapstate_span rest = *line;
    if (word_is(words_first(&(struct imapstate_span){ rest.at, rest.len }), "RETURN") &&
        (!take_atom(&rest) || !take_list(&rest)))
        return false;
    bool is_there = (rest.len > 0 && *rest.at == '(' ? take_list(&rest) : take_atom(&rest)) && take_atom(&rest);
    if (is_there)
        *line = rest;
    return is_there;
}
