/* octet: which octets the words of IMAP are made of (RFC 9051 section 9, "Formal Syntax"). */
#ifndef LIB_OCTET_H
#define LIB_OCTET_H

#include <imapstate/span.h>

/* Sets of octets. None holds SP, controls or 8-bit octets. */
enum octet {
    OCTET_ATOM = 1,    /* ATOM-CHAR: not ( ) { % * " \ ] */
    OCTET_ASTRING = 2, /* ASTRING-CHAR: ATOM-CHAR and ] */
    OCTET_TAG = 4,     /* of a tag: ASTRING-CHAR but + */
    OCTET_LIST = 8,    /* list-char: ASTRING-CHAR, % and * */
};

/* For each octet, the sets that it belongs to. */
extern const uint8_t imapstate_octets[256];

static inline bool octet_is(uint8_t octet, enum octet set)
{
    return imapstate_octets[octet] & set;
}

/* Not tolower(): that depends on the locale, and IMAP is ASCII. */
static inline uint8_t octet_lower(uint8_t octet)
{
    return octet >= 'A' && octet <= 'Z' ? (uint8_t)(octet | 0x20) : octet;
}

/* Is value such a word: only octets of the set, and at least one? */
static inline bool octets_are(struct imapstate_span value, enum octet set)
{
    size_t at = 0;
    while (at < value.len && octet_is(value.at[at], set))
        at++;
    return at > 0 && at == value.len;
}

/* Takes the octets of the set that are at the front of *in off it; may be empty. */
static inline struct imapstate_span octets_take(struct imapstate_span *in, enum octet set)
{
    struct imapstate_span word = { in->at, 0 };
    while (word.len < in->len && octet_is(in->at[word.len], set))
        word.len++;
    if (word.len > 0) /* at may be NULL otherwise */
        in->at += word.len, in->len -= word.len;
    return word;
}

#endif
