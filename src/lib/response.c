#include "response.h"

#include <string.h>

/* The octets up to the "]" that is in no quoted string and closes no "[" of the same word; 0: there is none. */
static size_t code_len_by_words(struct imapstate_span text)
{
    unsigned depth = 0;
    bool is_quoted = false;
    for (size_t at = 0; at < text.len; at++) {
        uint8_t octet = text.at[at];
        if (is_quoted && octet == '\\')
            at++;
        else if (octet == '"')
            is_quoted = !is_quoted;
        else if (!is_quoted && octet == '[')
            depth++;
        else if (!is_quoted && octet == ' ')
            depth = 1;
        else if (!is_quoted && octet == ']' && --depth == 0)
            return at + 1;
    }
    return 0;
}

/* The octets from "[" to "]", both included; 0: there is no code, or it has no end. */
static size_t code_len(struct imapstate_span text)
{
    if (text.len == 0 || *text.at != '[')
        return 0;
    size_t len = code_len_by_words(text);
    const uint8_t *first = len > 0 ? NULL : memchr(text.at, ']', text.len);
    return first ? (size_t)(first - text.at) + 1 : len;
}

bool imapstate_response_take_code(struct imapstate_span *text, struct imapstate_span *ret_code)
{
    size_t len = code_len(*text);
    if (len == 0)
        return false;
    *ret_code = (struct imapstate_span){ text->at + 1, len - 2 };
    len += len < text->len && text->at[len] == ' ';
    *text = (struct imapstate_span){ text->at + len, text->len - len };
    return true;
}

bool imapstate_response_is_code(struct imapstate_span code, const char *name, struct imapstate_span *ret_arguments)
{
    size_t len = strlen(name);
    if (code.len < len || (code.len > len && code.at[len] != ' ') ||
        !imapstate_span_equal_nocase((struct imapstate_span){ code.at, len }, imapstate_span_of(name)))
        return false;
    len += len < code.len;
    if (ret_arguments)
        *ret_arguments = (struct imapstate_span){ code.at + len, code.len - len };
    return true;
}

bool imapstate_response_has_code(struct imapstate_span text, const char *name, struct imapstate_span *ret_arguments)
{
    struct imapstate_span code;
    return imapstate_response_take_code(&text, &code) && imapstate_response_is_code(code, name, ret_arguments);
}

bool imapstate_response_code_names(struct imapstate_span text, struct imapstate_span tag)
{
    struct imapstate_span code;
    if (!imapstate_response_take_code(&text, &code))
        return false;
    for (size_t at = 0, begin = 0; at <= code.len; at++) {
        if (at < code.len && !memchr(" ()\"", code.at[at], 4))
            continue;
        if (imapstate_span_equal((struct imapstate_span){ code.at + begin, at - begin }, tag))
            return true;
        begin = at + 1;
    }
    return false;
}
