/* catalogue: the languages that human text can be in, and the text in each. It is part of the program: nothing is
 * loaded, so nothing can be missing, and every thread may ask at any time. docs/translations.md says where the texts
 * come from. */
#ifndef IMAP_CATALOGUE_H
#define IMAP_CATALOGUE_H

/* Marks a text for translators: xgettext collects its argument. Status and response code stay outside, so that nobody
 * can translate them: "NO [LIMIT] " N_("State is too large to be saved."). */
#define N_(text) text
/* The same for a text that depends on a number: the arguments msgid and msgid_plural of catalogue_plural(). */
#define P_(text, text_plural) text, text_plural

/* Languages are numbered from 0. 0 is "i-default" (RFC 2277 section 4.5) and 1 is "EN": the msgids themselves. */
unsigned catalogue_count(void);

/* As shown on the wire: "i-default", "EN", "DE", ... Static. */
const char *catalogue_tag(unsigned language);

/* How many texts are not translated yet; 0: the language is complete. */
unsigned catalogue_missing(unsigned language);

/* The translation, UTF-8, one line without its end; msgid if there is none. Static, except for the caller's msgid. A
 * language that does not exist counts as 0. */
const char *catalogue_text(unsigned language, const char *msgid) __attribute__((format_arg(2)));

/* The form for the number n of the text with the two English forms msgid (for 1) and msgid_plural. */
const char *catalogue_plural(unsigned language, const char *msgid, const char *msgid_plural, unsigned long n)
    __attribute__((format_arg(2), format_arg(3)));

#endif
