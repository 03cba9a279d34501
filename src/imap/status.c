#include "status.h"

#include "response.h"
#include "words.h"

static bool status_read_word(struct imapstate_span word, enum status_word *ret_word)
{
    static const char *const words[] = {
        [STATUS_OK] = "OK",   [STATUS_NO] = "NO",           [STATUS_BAD] = "BAD",
        [STATUS_BYE] = "BYE", [STATUS_PREAUTH] = "PREAUTH",
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!word_is(word, words[i]))
            continue;
        *ret_word = (enum status_word)i;
        return true;
    }
    return false;
}

bool status_has_code(const struct status *status, const char *name)
{
    return imapstate_response_is_code(status->code, name, NULL);
}

bool status_doubts_connection(const struct status *status)
{
    return status->word == STATUS_BAD || (status->word == STATUS_NO && (status_has_code(status, "UNAVAILABLE") ||
                                                                        status_has_code(status, "SERVERBUG")));
}

bool status_parse(struct imapstate_span line, struct status *ret_status)
{
    struct status status = { 0 };
    line = imapstate_span_without_line_end(line);
    status.tag = words_first(&line);
    if (status.tag.len == 0 || *status.tag.at == '+' || !status_read_word(words_next(&line), &status.word))
        return false;
    if (line.len == 0 || *line.at != '[' || imapstate_response_take_code(&line, &status.code))
        status.text = line;
    status.has_alert = status_has_code(&status, "ALERT");
    *ret_status = status;
    return true;
}

/* Octets in the UTF-8 character at the front of text (RFC 3629 section 4); 0 if it is none, or a control character. */
static size_t character_len(struct imapstate_span text)
{
    static const struct {
        uint8_t first, last, second_first, second_last, len;
    } forms[] = {
        { 0x20, 0x7e, 0, 0, 1 },       { 0xc2, 0xc2, 0xa0, 0xbf, 2 }, { 0xc3, 0xdf, 0x80, 0xbf, 2 },
        { 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 },
        { 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 },
        { 0xf4, 0xf4, 0x80, 0x8f, 4 },
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (text.at[0] < forms[i].first || text.at[0] > forms[i].last)
            continue;
        if (forms[i].len > text.len ||
            (forms[i].len > 1 && (text.at[1] < forms[i].second_first || text.at[1] > forms[i].second_last)))
            return 0;
        for (size_t at = 2; at < forms[i].len; at++)
            if ((text.at[at] & 0xc0) != 0x80)
                return 0;
        return forms[i].len;
    }
    return 0;
}

void status_quote(struct imapstate_span text, struct imapstate_buf *ret_words)
{
    bool fits = true;
    while (fits && text.len > 0) {
        size_t len = character_len(text);
        struct imapstate_span character = { text.at, len };
        fits = imapstate_buf_put(ret_words, len > 0 ? character : IMAPSTATE_SPAN("?"));
        len += len == 0;
        text.at += len;
        text.len -= len;
    }
}
