/* Whatever LANGUAGE asks for, one that is offered is chosen, or none; the same again if its tag is asked for. */
#include "fuzz.h"

#include "catalogue.h"
#include "language.h"

/* The first octet tells which languages are offered. */
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    if (len < 1)
        return 0;
    struct languages languages = { .offered = at[0] | LANGUAGE_BIT(LANGUAGE_DEFAULT) };
    languages.preferred = (uint8_t)__builtin_ctz(languages.offered & -languages.offered);
    uint8_t language = 0xff, again = 0xff;
    struct imapstate_span arguments = { at + 1, len - 1 };
    enum language_choice choice = language_choose(&languages, arguments, &language);
    CHECK((choice == LANGUAGE_LISTED) == (arguments.len == 0));
    if (choice != LANGUAGE_CHOSEN)
        return 0;
    struct imapstate_span tag = imapstate_span_of(catalogue_tag(language));
    CHECK(language < catalogue_count() && (languages.offered & LANGUAGE_BIT(language)));
    CHECK(language_find(&languages, tag, &again) && again == language);
    again = 0xff;
    CHECK(language_choose(&languages, tag, &again) == LANGUAGE_CHOSEN && again == language);
    return 0;
}
