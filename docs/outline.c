/* outline: what the schema says of each option, a line "SECTION\tNAME\tDEFAULT\tVALUES" for each, at build time:
 * docs/conf-page.py makes imapstated.conf(5) of it and of docs/configuration.md. SECTION is that page's heading. */
#include <inttypes.h>
#include <stdio.h>

#include "config.h"
#include "schema.h"

static void outline_section(const struct grammar_section *section)
{
    if (!section->keyword)
        fputs("For the whole daemon", stdout);
    else
        printf("%s %s{ ... }", section->keyword, section->is_named ? "\"NAME\" " : "");
}

static void outline_default(const struct option *option)
{
    if (option->is_required)
        fputs("required", stdout);
    else if (!option->otherwise)
        fputs("{}", stdout);
    else
        fputs(*option->otherwise ? option->otherwise : "\"\"", stdout);
}

static void outline_words(const struct option *option)
{
    for (size_t i = 0; option->words[i]; i++)
        printf("%s%s", i == 0 ? "" : option->words[i + 1] ? ", " : " or ", option->words[i]);
}

static void outline_values(const struct option *option)
{
    char min[OPTION_TIME_TEXT_MAX], max[OPTION_TIME_TEXT_MAX];
    if (option->words)
        outline_words(option);
    else if (option->type == &option_time_ms || option->type == &option_time_s)
        printf("a time from %s to %s", option_time_text(option->min, min), option_time_text(option->max, max));
    else if (option->type == &option_mode)
        printf("octal, up to %04" PRIo64, option->max);
    else if (option->max == UINT64_MAX)
        fputs("a number", stdout);
    else if (option->max > 0)
        printf("a number from %" PRIu64 " to %" PRIu64, option->min, option->max);
    else if (option->type == &option_flag)
        fputs("true or false", stdout);
    else
        fputs(option->type->is_list ? "a list" : "a text", stdout);
}

int main(void)
{
    for (size_t i = 0; i < SCHEMA_SECTION_MAX; i++)
        for (const struct option *option = schema[i].options; option->name; option++) {
            outline_section(&schema[i]);
            printf("\t%s\t", option->name);
            outline_default(option);
            putchar('\t');
            outline_values(option);
            putchar('\n');
        }
    return ferror(stdout) ? 1 : 0;
}
