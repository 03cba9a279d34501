/* words: what a line consists of, for all readers: the words of a command or a response, capability lists, names of
 * ENABLE. Spans borrow from the line.
 *
 * RFC 9051 section 9 has exactly one SP between two words. These readers accept any number of SP and HT: so do the most
 * lenient servers in a client's line and the most lenient clients in a server's, and what one side would read must not
 * go unread here. (frame.h and imapstate_command_parse() judge what a client may send, and are strict.) Everything is
 * inline: a function here would be one more name in libimapstate.a. */
#ifndef LIB_WORDS_H
#define LIB_WORDS_H

#include <imapstate/span.h>
#include <string.h>

static inline bool words_is_blank(uint8_t octet)
{
    return octet == ' ' || octet == '\t';
}

static inline struct imapstate_span words_behind_blanks(struct imapstate_span in)
{
    while (in.len > 0 && words_is_blank(*in.at))
        in.at++, in.len--;
    return in;
}

/* Takes the next word, and the blanks before and after it, off *rest. It ends at a blank, CR or LF. Empty if there is
 * none. */
static inline struct imapstate_span words_next(struct imapstate_span *rest)
{
    struct imapstate_span word = words_behind_blanks(*rest), behind = word;
    while (behind.len > 0 && !words_is_blank(*behind.at) && *behind.at != '\r' && *behind.at != '\n')
        behind.at++, behind.len--;
    word.len -= behind.len;
    *rest = words_behind_blanks(behind);
    return word;
}

/* The same for the first word of a line, which is a tag, "*" or "+". Also empty if there are blanks before it: then it
 * is none of these. */
static inline struct imapstate_span words_first(struct imapstate_span *line)
{
    bool is_first = line->len > 0 && !words_is_blank(*line->at);
    return is_first ? words_next(line) : (struct imapstate_span){ line->at, 0 };
}

/* The word number index of a line, from 0. Empty if there are fewer. */
static inline struct imapstate_span words_at(struct imapstate_span line, unsigned index)
{
    struct imapstate_span word = words_first(&line);
    while (word.len > 0 && index-- > 0)
        word = words_next(&line);
    return word;
}

/* In any case. Most words are of another length, and every line is asked for many names. */
static inline bool word_is(struct imapstate_span word, const char *name)
{
    size_t len = strlen(name);
    return word.len == len && imapstate_span_equal_nocase(word, (struct imapstate_span){ (const uint8_t *)name, len });
}

/* Is word one of words, in any case? */
static inline bool words_have(struct imapstate_span words, struct imapstate_span word)
{
    struct imapstate_span other;
    while ((other = words_next(&words)).len > 0)
        if (imapstate_span_equal_nocase(other, word))
            return true;
    return false;
}

/* Does the line, which is not empty, have a line end? */
static inline bool words_have_end(struct imapstate_span line)
{
    return line.at[line.len - 1] == '\n';
}

#endif
