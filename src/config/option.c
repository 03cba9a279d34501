#include "option.h"

#include <confuse.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

bool option_is_wrong(char ret_wrong[OPTION_WRONG_MAX], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(ret_wrong, OPTION_WRONG_MAX, format, arguments);
    va_end(arguments);
    return false;
}

/* --- numbers --- */

/* Decimal digits at the front of *text; false if there are none, or too many. Moves behind them. */
static bool option_take_digits(const char **text, uint64_t *ret_number)
{
    const char *at = *text;
    uint64_t number = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        unsigned digit = (unsigned)(*at - '0');
        if (__builtin_mul_overflow(number, 10u, &number) || __builtin_add_overflow(number, digit, &number))
            return false;
    }
    if (at == *text)
        return false;
    *text = at;
    *ret_number = number;
    return true;
}

static bool option_parse_number(const struct option *option, const char *text, const char *first, void *field,
                                char ret_wrong[OPTION_WRONG_MAX])
{
    uint64_t number;
    const char *at = text;
    if (!option_take_digits(&at, &number) || *at != '\0' || number < option->min || number > option->max)
        return option_is_wrong(ret_wrong, "%s must be a number from %" PRIu64 " to %" PRIu64 ", not \"%s\"",
                               option->name, option->min, option->max, text);
    *(uint64_t *)field = number;
    return true;
}

static void option_print_number(const struct option *option, const void *field, FILE *out)
{
    fprintf(out, "%" PRIu64, *(const uint64_t *)field);
}

static bool option_parse_count(const struct option *option, const char *text, const char *first, void *field,
                               char ret_wrong[OPTION_WRONG_MAX])
{
    uint64_t number = 0;
    if (!option_parse_number(option, text, first, &number, ret_wrong))
        return false;
    *(unsigned *)field = (unsigned)number;
    return true;
}

static void option_print_count(const struct option *option, const void *field, FILE *out)
{
    fprintf(out, "%u", *(const unsigned *)field);
}

static bool option_parse_mode(const struct option *option, const char *text, const char *first, void *field,
                              char ret_wrong[OPTION_WRONG_MAX])
{
    unsigned mode = 0;
    size_t digits = strspn(text, "01234567");
    if (digits == 0 || digits > 4 || text[digits] != '\0')
        return option_is_wrong(ret_wrong, "%s must be an octal mode such as \"0660\", not \"%s\"", option->name, text);
    for (size_t i = 0; i < digits; i++)
        mode = mode * 8 + (unsigned)(text[i] - '0');
    if (mode > option->max)
        return option_is_wrong(ret_wrong, "%s = \"%s\" has more than permission bits", option->name, text);
    *(unsigned *)field = mode;
    return true;
}

static void option_print_mode(const struct option *option, const void *field, FILE *out)
{
    fprintf(out, "\"%04o\"", *(const unsigned *)field);
}

/* --- times --- */

static const struct {
    const char *name;
    uint64_t ms;
} units[] = { { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 } };

const char *option_time_text(uint64_t ms, char ret_text[OPTION_TIME_TEXT_MAX])
{
    size_t unit = 0;
    while (unit < ARRAY_LEN(units) - 1 && (ms < units[unit].ms || ms % units[unit].ms != 0))
        unit++;
    snprintf(ret_text, OPTION_TIME_TEXT_MAX, "%" PRIu64 "%s", ms / units[unit].ms, ms == 0 ? "s" : units[unit].name);
    return ret_text;
}

static bool option_take_time(const struct option *option, const char *text, uint64_t *ret_ms,
                             char ret_wrong[OPTION_WRONG_MAX])
{
    uint64_t number;
    const char *at = text;
    if (!option_take_digits(&at, &number))
        return option_is_wrong(ret_wrong, "%s must be a time such as \"10s\" (units: ms s m h d), not \"%s\"",
                               option->name, text);
    if (*at == '\0')
        return option_is_wrong(ret_wrong,
                               "%s = \"%s\" has no unit: write \"%sms\", \"%ss\", \"%sm\", \"%sh\" or \"%sd\"",
                               option->name, text, text, text, text, text, text);
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (strcmp(at, units[i].name) != 0)
            continue;
        if (__builtin_mul_overflow(number, units[i].ms, ret_ms))
            return option_is_wrong(ret_wrong, "%s = \"%s\" is too long", option->name, text);
        return true;
    }
    return option_is_wrong(ret_wrong, "%s = \"%s\" has an unknown unit: use ms, s, m, h or d", option->name, text);
}

static bool option_parse_time_ms(const struct option *option, const char *text, const char *first, void *field,
                                 char ret_wrong[OPTION_WRONG_MAX])
{
    uint64_t ms = 0;
    char min[OPTION_TIME_TEXT_MAX], max[OPTION_TIME_TEXT_MAX];
    if (!option_take_time(option, text, &ms, ret_wrong))
        return false;
    option_time_text(option->min, min);
    if (ms < option->min && option->why_min)
        return option_is_wrong(ret_wrong, "%s = \"%s\" is below %s: %s", option->name, text, min, option->why_min);
    if (ms < option->min || ms > option->max)
        return option_is_wrong(ret_wrong, "%s must be from %s to %s, not \"%s\"", option->name, min,
                               option_time_text(option->max, max), text);
    *(uint64_t *)field = ms;
    return true;
}

static bool option_parse_time_s(const struct option *option, const char *text, const char *first, void *field,
                                char ret_wrong[OPTION_WRONG_MAX])
{
    uint64_t ms = 0;
    if (!option_parse_time_ms(option, text, first, &ms, ret_wrong))
        return false;
    if (ms % 1000 != 0)
        return option_is_wrong(ret_wrong, "%s must be in whole seconds, not \"%s\"", option->name, text);
    *(uint64_t *)field = ms / 1000;
    return true;
}

static void option_print_ms(uint64_t ms, FILE *out)
{
    char text[OPTION_TIME_TEXT_MAX];
    fprintf(out, "\"%s\"", option_time_text(ms, text));
}

static void option_print_time_ms(const struct option *option, const void *field, FILE *out)
{
    option_print_ms(*(const uint64_t *)field, out);
}

static void option_print_time_s(const struct option *option, const void *field, FILE *out)
{
    option_print_ms(*(const uint64_t *)field * 1000, out);
}

/* --- words --- */

/* In double quotes "${" would be taken for a variable of the environment. */
void option_print_quoted(const char *text, FILE *out)
{
    fputc('"', out);
    for (const char *at = text; *at; at++) {
        if ((unsigned char)*at < 0x20 || strncmp(at, "${", 2) == 0)
            fprintf(out, "\\x%02x", (unsigned char)*at);
        else
            fprintf(out, strchr("\"\\", *at) ? "\\%c" : "%c", *at);
    }
    fputc('"', out);
}

static bool option_parse_flag(const struct option *option, const char *text, const char *first, void *field,
                              char ret_wrong[OPTION_WRONG_MAX])
{
    int flag = cfg_parse_boolean(text);
    if (flag != 0 && flag != 1)
        return option_is_wrong(ret_wrong, "%s must be true or false, not \"%s\"", option->name, text);
    *(bool *)field = flag == 1;
    return true;
}

static void option_print_flag(const struct option *option, const void *field, FILE *out)
{
    fputs(*(const bool *)field ? "true" : "false", out);
}

static bool option_parse_choice(const struct option *option, const char *text, const char *first, void *field,
                                char ret_wrong[OPTION_WRONG_MAX])
{
    char known[128] = "";
    size_t len = 0;
    for (size_t i = 0; option->words[i]; i++) {
        if (strcmp(option->words[i], text) == 0) {
            *(int *)field = (int)i;
            return true;
        }
        if (len < sizeof known)
            len += (size_t)snprintf(known + len, sizeof known - len, "%s%s", i > 0 ? ", " : "", option->words[i]);
    }
    return option_is_wrong(ret_wrong, "%s must be one of %s, not \"%s\"", option->name, known, text);
}
_Static_assert(sizeof(enum option_reload) == sizeof(int), "an enum without negative values is as wide as an int");

static void option_print_choice(const struct option *option, const void *field, FILE *out)
{
    option_print_quoted(option->words[*(const int *)field], out);
}

static bool option_parse_text(const struct option *option, const char *text, const char *first, void *field,
                              char ret_wrong[OPTION_WRONG_MAX])
{
    char **held = field;
    if (!*text && option->if_empty)
        return option_is_wrong(ret_wrong, "%s is empty: %s", option->name, option->if_empty);
    char *copy = strdup(text);
    if (!copy)
        return option_is_wrong(ret_wrong, "out of memory");
    free(*held);
    *held = copy;
    return true;
}

static void option_print_text(const struct option *option, const void *field, FILE *out)
{
    option_print_quoted(*(char *const *)field, out);
}

static bool option_is_same_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b) == 0;
}

static void option_done_text(void *field)
{
    free(*(char **)field);
}

const struct option_type option_count = { sizeof(unsigned), option_parse_count, option_print_count };
const struct option_type option_number = { sizeof(uint64_t), option_parse_number, option_print_number };
const struct option_type option_time_ms = { sizeof(uint64_t), option_parse_time_ms, option_print_time_ms };
const struct option_type option_time_s = { sizeof(uint64_t), option_parse_time_s, option_print_time_s };
const struct option_type option_flag = { sizeof(bool), option_parse_flag, option_print_flag };
const struct option_type option_choice = { sizeof(int), option_parse_choice, option_print_choice };
const struct option_type option_mode = { sizeof(unsigned), option_parse_mode, option_print_mode };
const struct option_type option_text = { sizeof(char *), option_parse_text, option_print_text, option_is_same_text,
                                         option_done_text };

/* --- rows --- */

static void *option_field(const struct option *option, void *section)
{
    return (char *)section + option->offset;
}

bool option_parse(const struct option *option, const char *text, const char *first, void *section,
                  char ret_wrong[OPTION_WRONG_MAX])
{
    char words[OPTION_WRONG_MAX];
    if (option->check && *text && !option->check(text, words, sizeof words))
        return option_is_wrong(ret_wrong, "%s: %s", option->name, words);
    return option->type->parse(option, text, first, option_field(option, section), ret_wrong);
}

void option_print(const struct option *option, const void *section, FILE *out)
{
    option->type->print(option, (const char *)section + option->offset, out);
}

bool option_is_unset(const struct option *option, const void *section)
{
    return option->type == &option_text && !*(char *const *)((const char *)section + option->offset);
}

bool option_set_defaults(const struct option *options, void *section)
{
    char wrong[OPTION_WRONG_MAX];
    bool is_set = true;
    for (const struct option *option = options; option->name; option++)
        if (option->otherwise)
            is_set &= option->type->parse(option, option->otherwise, NULL, option_field(option, section), wrong);
    return is_set;
}

void option_done_all(const struct option *options, void *section)
{
    for (const struct option *option = options; option->name; option++)
        if (option->type->done)
            option->type->done(option_field(option, section));
}

bool option_is_equal(const struct option *option, const void *section_a, const void *section_b)
{
    const void *a = (const char *)section_a + option->offset, *b = (const char *)section_b + option->offset;
    return option->type->is_equal ? option->type->is_equal(a, b) : memcmp(a, b, option->type->size) == 0;
}
