#include "check.h"

#include "config.h"
#include "schema.h"

#include <stdlib.h>
#include <string.h>

#define FOR_EACH_OPTION(section, option)                                                                               \
    for (size_t section = 0; section < SCHEMA_SECTION_MAX; section++)                                                  \
        for (const struct option *option = schema[section].options; option->name; option++)

/* The file of the source tree; the caller's to free. */
static char *read_source(const char *name)
{
    char path[512], *text = NULL;
    size_t size = 0;
    snprintf(path, sizeof path, SOURCE_ROOT "/%s", name);
    FILE *file = fopen(path, "r");
    if (!file || getdelim(&text, &size, '\0', file) < 0)
        fail_msg("%s cannot be read", path);
    fclose(file);
    return text;
}

TEST(every_default_is_a_value)
{
    union {
        struct config config;
        struct config_listener listener;
        struct config_upstream upstream;
    } section;
    for (size_t i = 0; i < SCHEMA_SECTION_MAX; i++) {
        memset(&section, 0, sizeof section);
        assert_true(option_set_defaults(schema[i].options, &section));
        option_done_all(schema[i].options, &section);
    }
}

TEST(rows_are_complete)
{
    FOR_EACH_OPTION(section, option)
    {
        const struct option_type *type = option->type;
        CHECK_ROW(option->name, (type == &option_choice) == (option->words != NULL));
        bool has_bounds = type == &option_count || type == &option_number || type == &option_time_ms ||
                          type == &option_time_s || type == &option_mode;
        CHECK_ROW(option->name, has_bounds == (option->min < option->max));
        CHECK_ROW(option->name, type->parse != NULL && type->print != NULL);
        CHECK_ROW(option->name, type != &option_count || option->max <= UINT32_MAX);
        CHECK_ROW(option->name, !option->is_required || option->otherwise == NULL);
        CHECK_ROW(option->name, option->on_reload == OPTION_RELOADED || type->is_equal != NULL || type->size > 0);
    }
}

/* --- the documentation --- */

static const char *const headings[SCHEMA_SECTION_MAX] = {
    [SCHEMA_FILE] = "## For the whole daemon\n",
    [SCHEMA_PARK] = "## park { ... }\n",
    [SCHEMA_HTTP] = "## http { ... }\n",
    [SCHEMA_CONTROL] = "## control { ... }\n",
    [SCHEMA_LISTENER] = "## listener \"NAME\" { ... }\n",
    [SCHEMA_UPSTREAM] = "## upstream \"NAME\" { ... }\n",
    [SCHEMA_ROUTE] = "## route \"NAME\" { ... }\n",
    [SCHEMA_ROUTE_HTTP] = "## route_http { ... }\n",
};

#define AS_THE_DAEMON "as for the whole daemon"

/* Defaults that depend on other options. */
static const struct {
    enum schema_section section;
    const char *name, *told;
} told_otherwise[] = {
    { SCHEMA_LISTENER, "tls_cert_file", "required with TLS" }, { SCHEMA_LISTENER, "tls_key_file", "required with TLS" },
    { SCHEMA_LISTENER, "tls_min_version", AS_THE_DAEMON },     { SCHEMA_LISTENER, "tls_ciphers", AS_THE_DAEMON },
    { SCHEMA_LISTENER, "tls_ciphersuites", AS_THE_DAEMON },    { SCHEMA_LISTENER, "tls_groups", AS_THE_DAEMON },
    { SCHEMA_LISTENER, "upstream", "the only one" },           { SCHEMA_UPSTREAM, "tls_min_version", AS_THE_DAEMON },
    { SCHEMA_UPSTREAM, "tls_ciphers", AS_THE_DAEMON },         { SCHEMA_UPSTREAM, "tls_ciphersuites", AS_THE_DAEMON },
    { SCHEMA_UPSTREAM, "tls_groups", AS_THE_DAEMON },          { SCHEMA_UPSTREAM, "tls_name", "the host" },
    { SCHEMA_ROUTE_HTTP, "upstream", "the only one" },
};

static const char *told_default(size_t section, const struct option *option)
{
    for (size_t i = 0; i < ARRAY_LEN(told_otherwise); i++)
        if (told_otherwise[i].section == section && strcmp(told_otherwise[i].name, option->name) == 0)
            return told_otherwise[i].told;
    if (option->is_required)
        return "required";
    if (option->otherwise == NULL)
        return "{}";
    return *option->otherwise ? option->otherwise : "\"\"";
}

/* The text below the heading, cut at the next one. */
static char *find_section(const char *docs, const char *heading)
{
    const char *begin = strstr(docs, heading);
    if (!begin)
        fail_msg("no heading %s", heading);
    const char *end = strstr(begin + 3, "\n## ");
    return end ? strndup(begin, (size_t)(end - begin)) : strdup(begin);
}

/* "| `user`, `group` | default | meaning |": the line in whose first cell the name stands; the caller's to free. */
static char *find_row(const char *section, const char *name)
{
    char quoted[64];
    snprintf(quoted, sizeof quoted, "`%s`", name);
    for (const char *line = section; (line = strstr(line, "\n| ")); line++) {
        const char *cell_end = strstr(line + 3, " | "), *found = strstr(line, quoted);
        if (cell_end && found && found < cell_end)
            return strndup(line + 1, strcspn(line + 1, "\n"));
    }
    fail_msg("%s has no row", name);
    return NULL;
}

TEST(every_option_is_documented_with_its_default)
{
    char *docs = read_source("docs/configuration.md");
    FOR_EACH_OPTION(section, option)
    {
        char want[512];
        char *text = find_section(docs, headings[section]), *row = find_row(text, option->name);
        snprintf(want, sizeof want, "` | %s | ", told_default(section, option));
        if (!strstr(row, want))
            fail_msg("%s: the default is not%s in: %s", option->name, want, row);
        if ((option->on_reload != OPTION_RELOADED) != (strstr(row, "restart") != NULL))
            fail_msg("%s: a reload takes it or not, the documentation says otherwise: %s", option->name, row);
        free(row);
        free(text);
    }
    free(docs);
}

TEST(nothing_is_documented_that_there_is_not)
{
    char *docs = read_source("docs/configuration.md");
    size_t told = 0, known = 0;
    for (const char *line = docs; (line = strstr(line, "\n| `")); line++)
        for (const char *at = line, *end = strstr(line + 3, " | "); (at = strchr(at, '`')) && at < end; at++)
            told++;
    FOR_EACH_OPTION(section, option)
    known++;
    assert_int_equal(told, 2 * known); /* each name is between two ` */
    free(docs);
}

TEST(the_fuzz_target_knows_every_option)
{
    char *dictionary = read_source("fuzz/configfile.dict");
    FOR_EACH_OPTION(section, option)
    {
        char want[64];
        snprintf(want, sizeof want, "\n\"%s = \"\n", option->name);
        CHECK_ROW(option->name, strstr(dictionary, want) != NULL);
    }
    free(dictionary);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_default_is_a_value),
        cmocka_unit_test(rows_are_complete),
        cmocka_unit_test(every_option_is_documented_with_its_default),
        cmocka_unit_test(nothing_is_documented_that_there_is_not),
        cmocka_unit_test(the_fuzz_target_knows_every_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
