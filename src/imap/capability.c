#include "capability.h"

#include <string.h>

#include "octet.h"
#include "response.h"
#include "sasl.h"
#include "words.h"
#include "wordset.h"

/* The words that the gateway itself has to say. */
#define OURS_MAX 7

/* If word begins with prefix, in any case: what is behind it. */
static bool word_behind(struct imapstate_span word, struct imapstate_span prefix, struct imapstate_span *ret_rest)
{
    if (word.len < prefix.len || !imapstate_span_equal_nocase((struct imapstate_span){ word.at, prefix.len }, prefix))
        return false;
    *ret_rest = (struct imapstate_span){ word.at + prefix.len, word.len - prefix.len };
    return true;
}

/* RFC 9051 appendix E: what a server that says IMAP4rev2 takes without listing it. */
static void capabilities_add_rev2(struct capabilities *capabilities)
{
    capabilities->literal_minus = true;
    capabilities->sasl_ir = true;
    capabilities->unselect = true;
    capabilities->namespace = true;
}

static void capabilities_add(struct capabilities *capabilities, struct imapstate_span word)
{
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {
        { "LITERAL+", &capabilities->literal_plus },
        { "LITERAL-", &capabilities->literal_minus },
        { "BINARY", &capabilities->binary },
        { "SASL-IR", &capabilities->sasl_ir },
        { "ID", &capabilities->id },
        { "STARTTLS", &capabilities->starttls },
        { "LOGINDISABLED", &capabilities->logindisabled },
        { "UNAUTHENTICATE", &capabilities->unauthenticate },
        { "UNSELECT", &capabilities->unselect },
        { "LANGUAGE", &capabilities->language },
        { "NAMESPACE", &capabilities->namespace },
    };
    struct imapstate_span mechanism_name;

    if (word_behind(word, IMAPSTATE_SPAN("AUTH="), &mechanism_name)) {
        const struct sasl_mechanism *mechanism = sasl_find(mechanism_name);
        if (mechanism)
            capabilities->mechanisms |= SASL_BIT(mechanism->id);
    }
    if (word_is(word, "IMAP4rev2"))
        capabilities_add_rev2(capabilities);
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (word_is(word, flags[i].name))
            *flags[i].flag = true;
}

void capability_parse(struct imapstate_span names, struct capabilities *ret_capabilities)
{
    struct imapstate_span word;

    *ret_capabilities = (struct capabilities){ 0 };
    while ((word = words_next(&names)).len > 0)
        capabilities_add(ret_capabilities, word);
}

uint32_t capability_hidden(const struct capabilities *offered, const struct capability_view *view)
{
    uint32_t usable = offered->mechanisms & view->mechanisms;
    bool is_hidden = view->hides_proofs && (usable & sasl_that_pass(SASL_CONVERTED));
    return is_hidden ? usable & sasl_that_pass(SASL_PROVED) : 0;
}

/* The view without what is hidden of these names. */
static struct capability_view view_of(struct imapstate_span names, const struct capability_view *view)
{
    struct capability_view seen = *view;
    struct capabilities offered;
    capability_parse(names, &offered);
    seen.mechanisms &= ~capability_hidden(&offered, view);
    return seen;
}

static bool mechanism_passes(struct imapstate_span name, const struct capability_view *view)
{
    const struct sasl_mechanism *mechanism = sasl_find(name);
    return mechanism && (view->mechanisms & SASL_BIT(mechanism->id));
}

/* Ours to say (COMPRESS=, the first four, and LITERAL+ in place of LITERAL-: RFC 7888 section 5), or what cannot pass:
 * a referral (RFC 2221, RFC 2193) would lead the client past the gateway. */
static bool word_passes(struct imapstate_span word, const struct capability_view *view)
{
    static const char *const removed[] = { "STATE",           "XIMAPPROXY",        "STARTTLS", "LOGINDISABLED",
                                           "LOGIN-REFERRALS", "MAILBOX-REFERRALS", "LITERAL-" };
    struct imapstate_span rest;

    /* RFC 9051 section 9: a capability is an atom. What is none could end the code that it stands in, or announce a
     * literal; and where a "[" stands in a code, its end is a guess (response.h). */
    if (!octets_are(word, OCTET_ATOM) || memchr(word.at, '[', word.len) ||
        word_behind(word, IMAPSTATE_SPAN("COMPRESS="), &rest))
        return false;
    for (size_t i = 0; i < sizeof removed / sizeof removed[0]; i++)
        if (word_is(word, removed[i]))
            return false;
    bool may_log_in = !view->is_before_login || view->may_login;
    if (word_behind(word, IMAPSTATE_SPAN("AUTH="), &rest))
        return may_log_in && mechanism_passes(rest, view);
    if (word_is(word, "SASL-IR"))
        return may_log_in;
    return !view->is_before_login || !word_is(word, "LANGUAGE");
}

/* A list that is being made. */
struct shown {
    struct imapstate_buf *buf;
    size_t begin; /* in buf */
    struct wordset words;
    bool fits;
};

/* Adds word, unless it is there. */
static void shown_put(struct shown *shown, struct imapstate_span word)
{
    if (shown->fits && wordset_add(&shown->words, word))
        shown->fits = (shown->buf->len == shown->begin || imapstate_buf_put_byte(shown->buf, ' ')) &&
                      imapstate_buf_put(shown->buf, word);
}

/* offers_language: we do, as the upstream does not. */
static void shown_put_ours(struct shown *shown, const struct capability_view *view, bool offers_language)
{
    const struct {
        struct imapstate_span word;
        bool is_offered;
    } ours[] = {
        /* The gateway asks the upstream for each literal by itself (docs/framing.md). */
        { IMAPSTATE_SPAN("LITERAL+"), true },
        { IMAPSTATE_SPAN("STARTTLS"), view->is_before_login && view->offers_starttls },
        { IMAPSTATE_SPAN("LOGINDISABLED"), view->is_before_login && !capability_may_use_login(view) },
        { IMAPSTATE_SPAN("LANGUAGE"), offers_language },
        { IMAPSTATE_SPAN("STATE"), view->has_state },
        { IMAPSTATE_SPAN("XIMAPPROXY"), view->has_ximapproxy },
        /* RFC 4978 section 3: the command is for authenticated clients. */
        { IMAPSTATE_SPAN("COMPRESS=DEFLATE"), view->has_compress && !view->is_before_login },
    };
    _Static_assert(sizeof ours / sizeof ours[0] == OURS_MAX, "there is room for them among the words");
    for (size_t i = 0; i < OURS_MAX; i++)
        if (ours[i].is_offered)
            shown_put(shown, ours[i].word);
}

bool capability_may_use_login(const struct capability_view *view)
{
    return view->may_login && (view->mechanisms & (SASL_BIT(SASL_PLAIN) | SASL_BIT(SASL_LOGIN)));
}

bool capability_rewrite(struct imapstate_span names, const struct capability_view *view,
                        struct imapstate_buf *ret_names)
{
    struct shown shown = { .buf = ret_names, .begin = ret_names->len };
    const struct capability_view seen = view_of(names, view);
    struct imapstate_span left = names, word;
    shown.fits = wordset_init(&shown.words, names, OURS_MAX);
    while (shown.fits && (word = words_next(&left)).len > 0)
        if (word_passes(word, &seen))
            shown_put(&shown, word);
    shown_put_ours(&shown, view, view->has_language && !words_have(names, IMAPSTATE_SPAN("LANGUAGE")));
    wordset_done(&shown.words);
    if (!shown.fits)
        ret_names->len = shown.begin;
    return shown.fits;
}

static bool is_status(struct imapstate_span word)
{
    return word_is(word, "OK") || word_is(word, "NO") || word_is(word, "BAD") || word_is(word, "BYE") ||
           word_is(word, "PREAUTH");
}

/* The line end too, and a CR of which the LF is still to come. */
static struct imapstate_span without_blanks_behind(struct imapstate_span in)
{
    while (in.len > 0 && (words_is_blank(in.at[in.len - 1]) || in.at[in.len - 1] == '\r' || in.at[in.len - 1] == '\n'))
        in.len--;
    return in;
}

bool capability_find(struct imapstate_span line, struct imapstate_span *ret_names)
{
    if (line.len == 0 || (*line.at != '*' && !memchr(line.at, '[', line.len)))
        return false; /* an answer without a code, as most are */
    struct imapstate_span in = line, names;
    struct imapstate_span tag = words_first(&in), word = words_next(&in);
    if (tag.len == 0 || word_is(tag, "+"))
        return false;
    if (is_status(word) ? !imapstate_response_has_code(in, "CAPABILITY", &names)
                        : !word_is(tag, "*") || !word_is(word, "CAPABILITY"))
        return false;
    names = without_blanks_behind(words_behind_blanks(is_status(word) ? names : in));
    if (names.len > 0)
        *ret_names = names;
    return names.len > 0;
}

uint32_t capability_nonsync_max(const struct capabilities *capabilities)
{
    if (capabilities->literal_plus)
        return UINT32_MAX;
    return capabilities->literal_minus ? 4096 : 0;
}
