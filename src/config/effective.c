#include "effective.h"

#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "option.h"
#include "schema.h"

/* Where comments begin, if what is left of them is not longer. */
#define EFFECTIVE_COMMENT_COLUMN 48

struct effective {
    const struct config *config;
    FILE *out;
    size_t section, instance;
};

/* Whatever the file is called, it stays a comment. */
static void effective_place(const struct effective *effective, const struct config_place *place)
{
    for (const char *at = place->file; *at; at++)
        fputc((unsigned char)*at < 0x20 ? '?' : *at, effective->out);
    fprintf(effective->out, ":%u\n", place->line);
}

static void effective_option(const struct effective *effective, const struct option *option, const void *section)
{
    if (option_is_unset(option, section))
        return;
    const struct config_place *place =
        config_find_given(effective->config, option, effective->section, effective->instance);
    char *line = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&line, &len);
    if (!out)
        return;
    fprintf(out, "%s%s = ", effective->section == SCHEMA_FILE ? "" : "  ", option->name);
    option_print(option, section, out);
    fclose(out);
    fprintf(effective->out, "%-*s # ", EFFECTIVE_COMMENT_COLUMN, line);
    free(line);
    if (place)
        effective_place(effective, place);
    else
        fputs("default\n", effective->out);
}

static void effective_section(const struct effective *effective, const void *section, const char *name)
{
    const struct grammar_section *row = &schema[effective->section];
    if (row->keyword)
        fprintf(effective->out, row->is_named ? "\n%s \"%s\" {\n" : "\n%s {\n", row->keyword, name);
    for (const struct option *option = row->options; option->name; option++)
        effective_option(effective, option, section);
    if (row->keyword)
        fputs("}\n", effective->out);
}

void effective_print(const struct config *config, FILE *out)
{
    const void *section;
    const char *name;
    for (size_t i = 0; i < SCHEMA_SECTION_MAX; i++)
        for (size_t j = 0; (section = config_section(config, i, j, &name)); j++)
            effective_section(&(struct effective){ config, out, i, j }, section, name);
}
