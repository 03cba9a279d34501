/* language: which languages clients are offered, and which one a LANGUAGE command chooses (RFC 5255). Languages are
 * numbered as in catalogue.h. No I/O, no state. */
#ifndef IMAP_LANGUAGE_H
#define IMAP_LANGUAGE_H

#include <imapstate/span.h>

/* English, as RFC 2277 section 4.5 requires: used until another language is chosen. */
#define LANGUAGE_DEFAULT 0u

#define LANGUAGE_BIT(language) (UINT32_C(1) << (language))

struct languages {
    uint32_t offered;  /* set of LANGUAGE_BIT(); includes LANGUAGE_DEFAULT, unless it is empty: LANGUAGE is not
                        * offered */
    uint8_t preferred; /* the operator's, for clients that ask for "default" */
};

enum language_choice {
    LANGUAGE_LISTED, /* no arguments: the client wants the list */
    LANGUAGE_CHOSEN,
    LANGUAGE_NONE,    /* none of those asked for is offered */
    LANGUAGE_INVALID, /* the arguments are not astrings separated by one SP, or one is empty or over 1024 octets */
};

/* What a LANGUAGE command asks for; arguments as sent, literals included, without the line end. ret_language is written
 * for CHOSEN. The first range that matches counts, by the lookup of RFC 4647 section 3.4: it is shortened from its end,
 * subtag by subtag, until there is a language of that name. "*" is skipped unless it is the last, and is then the
 * preferred language, as "default" is anywhere (RFC 5255 section 3.2). */
enum language_choice language_choose(const struct languages *languages, struct imapstate_span arguments,
                                     uint8_t *ret_language);

/* The offered language with exactly this tag, in any case. */
bool language_find(const struct languages *languages, struct imapstate_span tag, uint8_t *ret_language);

/* Appends the tags of all that are offered, separated by SP. False if it does not fit. */
bool language_put_list(const struct languages *languages, struct imapstate_buf *ret_list);

#endif
