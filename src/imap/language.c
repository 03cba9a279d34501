#include "language.h"

#include <imapstate/command.h>

#include "catalogue.h"

/* RFC 5646 section 4.4.1 asks for 35 octets. A longer range is taken too, and cut by the lookup. */
#define LANGUAGE_RANGE_MAX 1024u

bool language_find(const struct languages *languages, struct imapstate_span tag, uint8_t *ret_language)
{
    for (unsigned language = 0; language < catalogue_count(); language++) {
        bool is_offered = languages->offered & LANGUAGE_BIT(language);
        if (!is_offered || !imapstate_span_equal_nocase(tag, imapstate_span_of(catalogue_tag(language))))
            continue;
        *ret_language = (uint8_t)language;
        return true;
    }
    return false;
}

/* RFC 4647 section 3.4: the last subtag goes, and with it a single letter before it, which only introduces others. */
static void language_shorten(struct imapstate_span *range)
{
    do {
        while (range->len > 0 && range->at[range->len - 1] != '-')
            range->len--;
        if (range->len > 0)
            range->len--;
    } while (range->len >= 2 && range->at[range->len - 2] == '-');
}

static bool language_look_up(const struct languages *languages, struct imapstate_span range, uint8_t *ret_language)
{
    if (imapstate_span_equal_nocase(range, IMAPSTATE_SPAN("default"))) {
        *ret_language = languages->preferred;
        return true;
    }
    for (; range.len > 0; language_shorten(&range))
        if (language_find(languages, range, ret_language))
            return true;
    return false;
}

/* Takes the next range, and the SP before all but the first, off *in. */
static bool language_take_range(struct imapstate_span *in, bool is_first, struct imapstate_buf *ret_range)
{
    if (!is_first) {
        if (*in->at != ' ')
            return false;
        in->at++;
        in->len--;
    }
    imapstate_buf_clear(ret_range);
    return imapstate_command_astring(in, ret_range) == IMAPSTATE_OK && ret_range->len > 0;
}

enum language_choice language_choose(const struct languages *languages, struct imapstate_span arguments,
                                     uint8_t *ret_language)
{
    enum language_choice choice = arguments.len > 0 ? LANGUAGE_NONE : LANGUAGE_LISTED;
    struct imapstate_span rest = arguments;
    struct imapstate_buf range;
    imapstate_buf_init(&range, LANGUAGE_RANGE_MAX);
    while (rest.len > 0 && choice != LANGUAGE_INVALID) {
        bool is_first = rest.at == arguments.at;
        if (!language_take_range(&rest, is_first, &range)) {
            choice = LANGUAGE_INVALID;
        } else if (choice != LANGUAGE_CHOSEN) {
            struct imapstate_span asked = imapstate_buf_span(&range);
            if (imapstate_span_equal(asked, IMAPSTATE_SPAN("*")) && rest.len == 0)
                asked = IMAPSTATE_SPAN("default");
            choice = language_look_up(languages, asked, ret_language) ? LANGUAGE_CHOSEN : LANGUAGE_NONE;
        }
    }
    imapstate_buf_done(&range);
    return choice;
}

bool language_put_list(const struct languages *languages, struct imapstate_buf *ret_list)
{
    bool fits = true;
    for (unsigned language = 0; language < catalogue_count(); language++) {
        if (!(languages->offered & LANGUAGE_BIT(language)))
            continue;
        fits = fits && (ret_list->len == 0 || imapstate_buf_put_byte(ret_list, ' ')) &&
               imapstate_buf_put(ret_list, imapstate_span_of(catalogue_tag(language)));
    }
    return fits;
}
