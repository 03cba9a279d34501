#include <imapstate/storable.h>

#include <imapstate/command.h>

#include <sodium.h>

#include "words.h"

#define ROWS (sizeof storables / sizeof *storables)

/* By kind. */
static const struct imapstate_storable storables[] = {
    { "ENABLE", "ENABLED", IMAPSTATE_ENTRY_ENABLE, IMAPSTATE_PROOF_NAMES, false },
    { "LANGUAGE", "LANGUAGE", IMAPSTATE_ENTRY_LANGUAGE, IMAPSTATE_PROOF_CHOICE_LISTED, true },
    { "COMPARATOR", "COMPARATOR", IMAPSTATE_ENTRY_COMPARATOR, IMAPSTATE_PROOF_CHOICE, true },
    { "NOTIFY", NULL, IMAPSTATE_ENTRY_NOTIFY, IMAPSTATE_PROOF_ANSWER, true },
};

const struct imapstate_storable *imapstate_storable_find(unsigned kind)
{
    return kind >= 1 && kind <= ROWS ? &storables[kind - 1] : NULL;
}

const struct imapstate_storable *imapstate_storable_of_response(struct imapstate_span name)
{
    for (size_t i = 0; i < ROWS; i++)
        if (storables[i].response && word_is(name, storables[i].response))
            return &storables[i];
    return NULL;
}

/* RFC 5255 section 3.3: with more than one tag the server lists what it has; with one it tells its choice. */
static enum imapstate_error read_listed(struct imapstate_span in, struct imapstate_buf *ret_value)
{
    if (in.len == 0 || *in.at != '(')
        return IMAPSTATE_SYNTAX;
    size_t len_before = ret_value->len;
    in = (struct imapstate_span){ in.at + 1, in.len - 1 };
    enum imapstate_error error = imapstate_command_astring(&in, ret_value);
    if (error != IMAPSTATE_OK || imapstate_span_equal(in, IMAPSTATE_SPAN(")")))
        return error;
    sodium_memzero(ret_value->at + len_before, ret_value->len - len_before);
    ret_value->len = len_before;
    return IMAPSTATE_SYNTAX;
}

enum imapstate_error imapstate_storable_choice(const struct imapstate_storable *storable,
                                               struct imapstate_span arguments, struct imapstate_buf *ret_value)
{
    struct imapstate_span in = words_behind_blanks(imapstate_span_without_line_end(arguments));
    switch ((enum imapstate_proof)storable->proof) {
    case IMAPSTATE_PROOF_CHOICE_LISTED:
        return read_listed(in, ret_value);
    case IMAPSTATE_PROOF_CHOICE: /* RFC 5255 section 4.8 */
        return imapstate_command_astring(&in, ret_value);
    case IMAPSTATE_PROOF_NAMES:
    case IMAPSTATE_PROOF_ANSWER:
        break;
    }
    return IMAPSTATE_SYNTAX;
}
