#include "refusal.h"

#include "status.h"
#include "words.h"

static bool has_any_code(const struct status *status, const char *const *codes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (status_has_code(status, codes[i]))
            return true;
    return false;
}

/* "Too many [open, simultaneous] connections": Cyrus says it without a code, Gmail with [ALERT]. Only where the text
 * begins: further on, a server may repeat what the client chose. */
static bool says_too_many(struct imapstate_span text)
{
    return word_is(words_at(text, 0), "Too") && word_is(words_at(text, 1), "many") &&
           (imapstate_span_contains_nocase(words_at(text, 2), IMAPSTATE_SPAN("connections")) ||
            imapstate_span_contains_nocase(words_at(text, 3), IMAPSTATE_SPAN("connections")));
}

/* "100", "(7". False: it is none, or too large for any limit. */
static bool read_count(struct imapstate_span word, unsigned *ret_count)
{
    size_t at = word.len > 0 && *word.at == '(';
    *ret_count = 0;
    if (word.len == at || word.len - at > 9)
        return false;
    for (; at < word.len && word.at[at] >= '0' && word.at[at] <= '9'; at++)
        *ret_count = *ret_count * 10 + (word.at[at] - '0');
    return at == word.len;
}

/* Cyrus counts for both limits, whichever was reached: "(7 of 100 from gateway [192.0.2.10], 5 of 5 for ann)" is about
 * ann alone. */
static bool names_address(struct imapstate_span text)
{
    unsigned i = 0, count, most;
    while (words_at(text, i).len > 0 && !word_is(words_at(text, i), "from"))
        i++;
    if (words_at(text, i).len == 0)
        return false;
    bool is_counted = i >= 3 && read_count(words_at(text, i - 3), &count) && word_is(words_at(text, i - 2), "of") &&
                      read_count(words_at(text, i - 1), &most);
    return !is_counted || count >= most;
}

/* RFC 5530 section 3 has the codes that judge credentials. Any other says that something else was in the way, in words
 * that only that server has ([THROTTLED], [OVERQUOTA], [WEBALERT url]: Gmail and Yahoo), and so does BAD: a command
 * that was not carried out is no verdict (Exchange Online, when there are too many). Dovecot: "NO [UNAVAILABLE] Maximum
 * number of connections from user+IP exceeded"; Gmail: "NO [ALERT] Too many simultaneous connections"; Cyrus: "NO Too
 * many open connections (20 of 20 from gateway [192.0.2.10], 1 of 5 for ann)". */
struct refusal refusal_read(struct imapstate_span line)
{
    static const char *const judging[] = { "AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED" };
    static const char *const crowded[] = { "LIMIT", "INUSE" };
    /* By these a server says no more of its reason than by none. */
    static const char *const vague[] = { "CANNOT", "CLIENTBUG", "SERVERBUG" };
    struct status status;
    if (!status_parse(line, &status))
        return (struct refusal){ 0 };
    bool has_too_many = says_too_many(status.text);
    bool has_judging = has_any_code(&status, judging, sizeof judging / sizeof *judging);
    bool is_judged = status.word == STATUS_NO && (status.code.len == 0 || has_judging);
    bool is_crowded = imapstate_span_contains_nocase(line, IMAPSTATE_SPAN("connections")) ||
                      has_any_code(&status, crowded, sizeof crowded / sizeof *crowded);
    bool is_vague = status.word == STATUS_BAD || (status.word == STATUS_NO && status.code.len == 0) ||
                    has_any_code(&status, vague, sizeof vague / sizeof *vague);
    return (struct refusal){
        .is_passing = has_too_many || (status.word <= STATUS_BAD && !is_judged),
        .is_crowded = is_crowded,
        .may_be_way = is_vague && !has_judging && !is_crowded,
        .minds_address = has_too_many && names_address(status.text),
    };
}
