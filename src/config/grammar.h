/* grammar: the text of a configuration file as sections, options and values, each with its line.
 *
 * It uses libconfuse, and checks what that lets pass: repeated or missing options and sections, sections that are not
 * closed. It knows how a file may be structured, from the tables
 * of its sections, and not what a value means. */
#ifndef CONFIG_GRAMMAR_H
#define CONFIG_GRAMMAR_H

#include "option.h"

/* Upper limits; asserted. */
#define GRAMMAR_OPTIONS_MAX  32u /* of a section */
#define GRAMMAR_SECTIONS_MAX 12u /* the file itself included */
#define GRAMMAR_NAME_MAX     64  /* octets of a section's name */

struct grammar_section {
    const char *keyword; /* "listener"; the first section is the file itself, whose keyword appears nowhere */
    const struct option *options;
    bool is_named;    /* listener "NAME" { ... }, any number of them; else once, without a name */
    bool is_required; /* at least once */
};

enum grammar_kind {
    GRAMMAR_BEGIN, /* of a section other than the file */
    GRAMMAR_VALUE, /* of the section that began last, or of the file if that has ended */
    GRAMMAR_END,   /* of a section; the file's comes last, and only if all of it could be read */
    GRAMMAR_WRONG, /* more may follow */
};

/* Its texts live as long as the call. */
struct grammar_event {
    enum grammar_kind kind;
    unsigned line;               /* BEGIN and END: where the section's brace opens; 0: no line is to blame */
    size_t section;              /* index among the sections; 0 is the file. Not with WRONG */
    const struct option *option; /* VALUE only */
    const char *text;            /* BEGIN: the section's name, "" for none; VALUE: the value; WRONG: what is wrong */
    const char *first;           /* VALUE of a list: the list's first value; NULL if text is that */
    unsigned first_line;         /* WRONG: of what is given twice; text ends in front of it. 0: there is no such line */
};

/* Reports everything in the text, which is a source's, to take, in order; if take returns false it stops. For one
 * thread at a time: libconfuse's lexer is global. */
void grammar_read(const char *text, const struct grammar_section *sections, size_t section_count,
                  bool (*take)(void *arg, const struct grammar_event *event), void *arg);

#endif
