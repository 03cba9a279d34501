/* grammar: the text of a configuration file as sections, options and values, each with its line.
 *
 * By libconfuse, and what that lets pass is looked after here: options and sections that are given twice or are
 * missing, sections that are not closed, comments by which it loses count of the lines, the environment. It knows how a
 * file may be built, by the tables of its sections, and not what a value means. */
#ifndef CONFIG_GRAMMAR_H
#define CONFIG_GRAMMAR_H

#include "option.h"

/* The most that there may be; asserted. */
#define GRAMMAR_OPTIONS_MAX  20u /* of a section */
#define GRAMMAR_SECTIONS_MAX 8u  /* the file itself included */
#define GRAMMAR_NAME_MAX     64  /* octets of a section's name */

struct grammar_section {
    const char *keyword; /* "listener"; the first section is the file itself, whose word stands nowhere */
    const struct option *options;
    bool is_named;    /* listener "NAME" { ... }, as many as there are names; else once, without a name */
    bool is_required; /* at least once */
};

enum grammar_kind {
    GRAMMAR_BEGIN, /* of a section other than the file */
    GRAMMAR_VALUE, /* of the section that has begun last, or of the file if that has ended */
    GRAMMAR_END,   /* of a section; the file's comes last, and only if the whole of it could be read */
    GRAMMAR_WRONG, /* there may be more behind it */
};

/* Its texts live as long as the call. */
struct grammar_event {
    enum grammar_kind kind;
    unsigned line;               /* BEGIN and END: where the section's brace opens; 0: no line is to blame */
    size_t section;              /* place among the sections; 0 is the file. Not with WRONG */
    const struct option *option; /* VALUE only */
    const char *text;            /* BEGIN: the section's name, "" for none; VALUE: the value; WRONG: what is wrong */
    const char *first;           /* VALUE of a list: the list's first value; NULL if text is that */
};

/* Tells take of all that is in the text, in its order; false from take ends it. For one thread at a time: libconfuse's
 * lexer is global. */
void grammar_read(const char *text, const struct grammar_section *sections, size_t section_count,
                  bool (*take)(void *arg, const struct grammar_event *event), void *arg);

#endif
