/* option: an option of the configuration file. Its row in a table holds everything that is known about it; its type
 * turns its text into a value, in a field of its section's struct. */
#ifndef CONFIG_OPTION_H
#define CONFIG_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Octets of a text that says what is wrong, including its NUL; a longer one is cut. */
#define OPTION_WRONG_MAX 1024u

/* Of a time as text, including its NUL. */
#define OPTION_TIME_TEXT_MAX 32u

struct option_type;

enum option_reload {
    OPTION_RELOADED, /* a reload takes over a new value */
    OPTION_KEPT,     /* it only counts at start: a reload leaves it as it is, with a warning */
};

struct option {
    const char *name; /* NULL after the last row of a table */
    const struct option_type *type;
    size_t offset;            /* of the field in the section's struct */
    const char *otherwise;    /* its default, as it would be written; NULL: the field stays zero */
    uint64_t min, max;        /* of a number, a mode or, in milliseconds, a time */
    const char *why_min;      /* of a time: what requires min; NULL: nothing in particular */
    const char *if_empty;     /* of a text: what to write instead; NULL: it may be empty */
    const char *const *words; /* of a choice, by its enum; NULL after the last one */
    /* Of a text that was given, not of the default: is it good? False: ret_wrong has words for what is wrong. NULL: any
     * text is. */
    bool (*check)(const char *text, char *ret_wrong, size_t size);
    bool is_required;
    enum option_reload on_reload;
};

struct option_type {
    size_t size; /* of the field */
    /* Writes to field, which is zero or holds a value. For a list it is called for each of its values; first is the
     * first one, or NULL if text is that. False: the field is as it was, and ret_wrong says what is wrong, in a line
     * that begins with the option's name. */
    bool (*parse)(const struct option *option, const char *text, const char *first, void *field,
                  char ret_wrong[OPTION_WRONG_MAX]);
    /* As it would be written, such that it is read again as the same; a list with its braces. */
    void (*print)(const struct option *option, const void *field, FILE *out);
    bool (*is_equal)(const void *a, const void *b); /* NULL: if all octets are */
    void (*done)(void *field);                      /* frees what the field owns; NULL: nothing */
    bool is_list;
};

extern const struct option_type option_count;   /* unsigned */
extern const struct option_type option_number;  /* uint64_t */
extern const struct option_type option_time_ms; /* uint64_t */
extern const struct option_type option_time_s;  /* uint64_t; whole seconds */
extern const struct option_type option_flag;    /* bool */
extern const struct option_type option_choice;  /* an enum: the index among the words */
extern const struct option_type option_mode;    /* unsigned; octal digits, as for chmod(1) */
extern const struct option_type option_text;    /* char *, owned; never NULL once option_set_defaults() has succeeded */

/* As it would be written, in the largest unit that fits: "90s". Returns ret_text. */
const char *option_time_text(uint64_t ms, char ret_text[OPTION_TIME_TEXT_MAX]);

/* For types: in double quotes. */
void option_print_quoted(const char *text, FILE *out);

/* For types: writes what is wrong. Always false. */
bool option_is_wrong(char ret_wrong[OPTION_WRONG_MAX], const char *format, ...) __attribute__((format(printf, 2, 3)));

/* For the options up to the row without a name: sets the fields in section, which is zero, to their defaults. False if
 * out of memory; the section can be freed even so. */
bool option_set_defaults(const struct option *options, void *section);
/* Frees what the fields own. */
void option_done_all(const struct option *options, void *section);

bool option_parse(const struct option *option, const char *text, const char *first, void *section,
                  char ret_wrong[OPTION_WRONG_MAX]);
void option_print(const struct option *option, const void *section, FILE *out);
/* It has no default, and was not given. */
bool option_is_unset(const struct option *option, const void *section);
bool option_is_equal(const struct option *option, const void *section_a, const void *section_b);

#endif
