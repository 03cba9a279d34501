#include "words.h"

static bool is_in_word(uint8_t octet)
{
    return octet != ' ' && octet != '\r' && octet != '\n';
}

static struct imapstate_span words_take(struct imapstate_span *rest)
{
    struct imapstate_span word = { rest->at, 0 };
    while (word.len < rest->len && is_in_word(rest->at[word.len]))
        word.len++;
    if (word.len > 0) /* at may be NULL otherwise */
        rest->at += word.len, rest->len -= word.len;
    return word;
}

struct imapstate_span words_next(struct imapstate_span *rest)
{
    while (rest->len > 0 && *rest->at == ' ')
        rest->at++, rest->len--;
    return words_take(rest);
}

struct imapstate_span words_at(struct imapstate_span line, unsigned index)
{
    struct imapstate_span word = words_take(&line);
    for (; index > 0; index--) {
        if (line.len == 0 || *line.at != ' ')
            return (struct imapstate_span){ line.at, 0 };
        line.at++, line.len--;
        word = words_take(&line);
    }
    return word;
}

bool word_is(struct imapstate_span word, const char *name)
{
    return imapstate_span_equal_nocase(word, imapstate_span_of(name));
}

bool words_have_end(struct imapstate_span line)
{
    return line.at[line.len - 1] == '\n';
}
