/* response: a server's line in its words (RFC 9051 section 7). Spans borrow from the line. */
#ifndef LIB_RESPONSE_H
#define LIB_RESPONSE_H

#include <imapstate/span.h>
#include <string.h>

/* Takes the first word off *in, and the SP behind it. */
static inline struct imapstate_span response_word(struct imapstate_span *in)
{
    struct imapstate_span word = { in->at, 0 };
    while (word.len < in->len && in->at[word.len] != ' ')
        word.len++;
    size_t taken = word.len < in->len ? word.len + 1 : word.len;
    *in = (struct imapstate_span){ in->at + taken, in->len - taken };
    return word;
}

static inline bool response_is(struct imapstate_span word, const char *name)
{
    return imapstate_span_equal_nocase(word, imapstate_span_of(name));
}

/* Is name the response code at the front of text, which follows OK, NO, BAD, BYE or PREAUTH? What stands between it and
 * the "]" goes to ret_arguments, which may be NULL. */
static inline bool response_code(struct imapstate_span text, const char *name, struct imapstate_span *ret_arguments)
{
    struct imapstate_span word = imapstate_span_of(name);
    size_t end = 1 + word.len;
    if (text.len <= end || text.at[0] != '[' || (text.at[end] != ']' && text.at[end] != ' ') ||
        !imapstate_span_equal_nocase((struct imapstate_span){ text.at + 1, word.len }, word))
        return false;
    size_t begin = text.at[end] == ' ' ? end + 1 : end;
    for (end = begin; end < text.len && text.at[end] != ']'; end++)
        ;
    if (ret_arguments)
        *ret_arguments = (struct imapstate_span){ text.at + begin, end - begin };
    return true;
}

/* Does the response code at the front of text name tag, bare or in quotes? [INPROGRESS ("A1" 3 10)], RFC 9585. */
static inline bool response_code_names(struct imapstate_span text, struct imapstate_span tag)
{
    if (text.len == 0 || text.at[0] != '[')
        return false;
    for (size_t at = 1, begin = 1; at < text.len && text.at[begin - 1] != ']'; at++) {
        if (!memchr(" ()[]\"", text.at[at], 6))
            continue;
        if (imapstate_span_equal((struct imapstate_span){ text.at + begin, at - begin }, tag))
            return true;
        begin = at + 1;
    }
    return false;
}

#endif
