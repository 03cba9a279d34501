#include "evidence.h"

#include <string.h>

#include "status.h"
#include "words.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* --- what a response is --- */

static bool is_number(struct imapstate_span word)
{
    for (size_t i = 0; i < word.len; i++)
        if (word.at[i] < '0' || word.at[i] > '9')
            return false;
    return word.len > 0;
}

/* Every FETCH response passes here, and hardly any has it: so what cannot have it is found without a look at each
 * octet. name is "MODSEQ (". */
static bool may_have(struct imapstate_span items, struct imapstate_span name)
{
    const uint8_t *end = items.at + items.len, *brace = items.at;
    size_t before = name.len - 1;
    while ((brace = memchr(brace, '(', (size_t)(end - brace)))) {
        if ((size_t)(brace - items.at) >= before && brace[-1] == ' ' &&
            imapstate_span_equal_nocase((struct imapstate_span){ brace - before, name.len }, name))
            return true;
        brace++;
    }
    return false;
}

/* RFC 7162 section 7: "MODSEQ" SP "(" among FETCH's items. In a quoted string it is somebody's text. */
static bool has_modseq(struct imapstate_span items)
{
    const struct imapstate_span name = IMAPSTATE_SPAN("MODSEQ (");
    bool is_quoted = false, is_possible = may_have(items, name);
    for (size_t at = 0; is_possible && at + name.len <= items.len; at++) {
        if (is_quoted && items.at[at] == '\\')
            at++;
        else if (items.at[at] == '"')
            is_quoted = !is_quoted;
        else if (!is_quoted && (items.at[at] | 0x20) == 'm' &&
                 imapstate_span_equal_nocase((struct imapstate_span){ items.at + at, name.len }, name))
            return true;
    }
    return false;
}

static unsigned evidence_of_numbered(struct imapstate_span rest)
{
    struct imapstate_span name = words_next(&rest);
    if (word_is(name, "UIDFETCH"))
        return EVIDENCE_UIDFETCH | (has_modseq(rest) ? EVIDENCE_MODSEQ : 0);
    return word_is(name, "FETCH") && has_modseq(rest) ? EVIDENCE_MODSEQ : 0;
}

static unsigned evidence_of_name(struct imapstate_span name)
{
    static const struct {
        const char *name;
        enum evidence evidence;
    } rows[] = {
        { "STATUS", EVIDENCE_STATUS },
        { "METADATA", EVIDENCE_METADATA },
        { "VANISHED", EVIDENCE_VANISHED },
        { "UIDFETCH", EVIDENCE_UIDFETCH },
    };
    const struct imapstate_storable *storable = imapstate_storable_of_response(name);
    if (storable)
        return EVIDENCE_OF_KIND(storable->kind);
    for (size_t i = 0; i < COUNT(rows); i++)
        if (word_is(name, rows[i].name))
            return rows[i].evidence;
    return 0;
}

unsigned evidence_read(struct imapstate_span line)
{
    struct imapstate_span rest = line;
    struct status status;
    if (!word_is(words_first(&rest), "*"))
        return 0;
    struct imapstate_span name = words_next(&rest);
    if (is_number(name))
        return evidence_of_numbered(rest);
    unsigned evidence = evidence_of_name(name);
    if (evidence == 0 && status_parse(line, &status) && status_has_code(&status, "NOTIFICATIONOVERFLOW"))
        return EVIDENCE_OVERFLOW;
    return evidence;
}

/* --- who asked for it --- */

/* The responses that commands ask for, but for those that prove a storable one. */
static const struct {
    enum evidence evidence;
    const char *command;
} answers[] = {
    { EVIDENCE_STATUS, "STATUS" },        { EVIDENCE_STATUS, "LIST" }, /* RFC 5819 */
    { EVIDENCE_STATUS, "XLIST" },         { EVIDENCE_METADATA, "GETMETADATA" },
    { EVIDENCE_METADATA, "SETMETADATA" }, { EVIDENCE_METADATA, "LIST" }, /* RFC 9590 */
};

static unsigned evidence_of_answer(const struct imapstate_command *command)
{
    const struct imapstate_storable *storable = imapstate_storable_find(command->stored);
    unsigned evidence = storable && storable->response ? EVIDENCE_OF_KIND(storable->kind) : 0;
    for (size_t i = 0; i < COUNT(answers); i++)
        if (strcmp(command->name, answers[i].command) == 0)
            evidence |= answers[i].evidence;
    return evidence;
}

unsigned evidence_unasked(unsigned evidence, const struct pipeline *pipeline)
{
    for (const struct flight *flight = pipeline->first; evidence && flight; flight = flight->next)
        if (!flight->is_answered)
            evidence &= ~evidence_of_answer(flight->command);
    return evidence;
}

/* --- what accounts for it --- */

bool evidence_names_enable(struct imapstate_span names, struct imapstate_span name)
{
    return words_have(names, name) || (word_is(name, "CONDSTORE") && words_have(names, IMAPSTATE_SPAN("QRESYNC")));
}

bool evidence_has_enabled(const struct imapstate_state *state, struct imapstate_span name)
{
    struct imapstate_entry entry;
    for (size_t i = 0; state && imapstate_state_at(state, i, &entry); i++)
        if (entry.kind == IMAPSTATE_ENTRY_ENABLE && evidence_names_enable(entry.value, name))
            return true;
    return false;
}

/* SET or NONE: what one has set before the other may still be on its way. */
static bool has_notify(const struct imapstate_state *state)
{
    struct imapstate_entry entry;
    for (size_t i = 0; state && imapstate_state_at(state, i, &entry); i++)
        if (entry.kind == IMAPSTATE_ENTRY_NOTIFY)
            return true;
    return false;
}

static unsigned evidence_of_state(const struct imapstate_state *state)
{
    static const struct {
        const char *name;
        unsigned evidence;
    } rows[] = {
        { "CONDSTORE", EVIDENCE_MODSEQ },
        { "QRESYNC", EVIDENCE_VANISHED },
        { "UIDONLY", EVIDENCE_UIDFETCH | EVIDENCE_VANISHED },
        { "METADATA", EVIDENCE_METADATA },
        { "METADATA-SERVER", EVIDENCE_METADATA },
    };
    unsigned evidence = has_notify(state) ? EVIDENCE_STATUS | EVIDENCE_METADATA : 0;
    for (size_t i = 0; i < COUNT(rows); i++)
        if (evidence_has_enabled(state, imapstate_span_of(rows[i].name)))
            evidence |= rows[i].evidence;
    return evidence;
}

bool evidence_is_accounted(unsigned evidence, const struct imapstate_state *state)
{
    return evidence == 0 || (evidence & ~evidence_of_state(state)) == 0;
}
