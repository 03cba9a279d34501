#include "check.h"

#include "configfile.h"
#include "disk.h"
#include "effective.h"
#include "option.h"
#include "schema.h"

#include <stdlib.h>
#include <string.h>

static struct config *read_good(const struct disk_file *files)
{
    struct disk disk = disk_of(files);
    struct config *config = configfile_read_from(&disk.disk, files[0].path, stderr);
    assert_non_null(config);
    return config;
}

/* The caller's to free. */
static char *print(const struct config *config)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    effective_print(config, out);
    fclose(out);
    return text;
}

static char *print_text(const char *text)
{
    struct config *config = read_good((const struct disk_file[]){ { "x.conf", text }, { NULL } });
    char *printed = print(config);
    config_unref(config);
    return printed;
}

/* "  name = value   # comment" becomes "name = value # comment" in place. */
static void squeeze(char *text)
{
    char *put = text;
    for (const char *at = text; *at; at++)
        if (*at != ' ' || (put > text && put[-1] != ' ' && put[-1] != '\n'))
            *put++ = *at;
    *put = '\0';
}

#define LISTENER "listener l { address = \"127.0.0.1:143\" tls = none }\n"
#define UPSTREAM "upstream u { address = \"mail.example.org\" }\n"

#define ROUTES   "route d { upstream = u }\nroute_http { url = \"http://127.0.0.1/\" upstream = u }\n"

TEST(every_option_is_there_and_what_was_not_given_is_a_default)
{
    char *printed = print_text(LISTENER UPSTREAM ROUTES "control { }\n");
    for (size_t section = 0; section < SCHEMA_SECTION_MAX; section++)
        for (const struct option *option = schema[section].options; option->name; option++) {
            char line[64];
            snprintf(line, sizeof line, "%s%s = ", section == SCHEMA_FILE ? "" : "  ", option->name);
            const char *at = strstr(printed, line);
            CHECK_ROW(option->name, at == printed || (at && at[-1] == '\n'));
        }
    squeeze(printed);
    CHECK_ROW(printed, strstr(printed, "\nlistener \"l\" {\naddress = { \"127.0.0.1:143\" } # x.conf:1\n"
                                       "tls = \"none\" # x.conf:1\n"
                                       "tls_cert_file = {} # default\n"));
    size_t lines = 0, defaults = 0, given = 0;
    for (const char *at = printed; (at = strstr(at, " = ")); at++)
        lines++;
    for (const char *at = printed; (at = strstr(at, " # default\n")); at++)
        defaults++;
    for (const char *at = printed; (at = strstr(at, " # x.conf:")); at++)
        given++;
    assert_int_equal(given, 6);
    assert_int_equal(lines, defaults + given);
    free(printed);
}

static const struct {
    const char *name, *text, *line;
} lines[] = {
    { "a number", "workers = 3\n" LISTENER UPSTREAM, "workers = 3 # x.conf:1\n" },
    { "the default, given", "workers = 0\n" LISTENER UPSTREAM, "workers = 0 # x.conf:1\n" },
    { "a large number", "epoch = 18446744073709551615\n" LISTENER UPSTREAM,
      "epoch = 18446744073709551615 # x.conf:1\n" },
    { "a time", LISTENER UPSTREAM "login_timeout = 90s\n", "login_timeout = \"90s\" # x.conf:3\n" },
    { "a time in its largest unit", LISTENER UPSTREAM "token_lifetime = 48h\n",
      "token_lifetime = \"2d\" # x.conf:3\n" },
    { "no time", LISTENER UPSTREAM "shutdown_timeout = 0m\n", "shutdown_timeout = \"0s\" # x.conf:3\n" },
    { "a flag", LISTENER UPSTREAM "park {\none_password = yes\n}", "one_password = true # x.conf:4\n" },
    { "a mode", "listener l { address = \"unix:/l\" tls = none\nunix_mode = 660 }\n" UPSTREAM,
      "unix_mode = \"0660\" # x.conf:2\n" },
    { "a list", LISTENER "languages = FR\nlanguages += { DE }\n" UPSTREAM,
      "languages = { \"FR\", \"i-default\", \"DE\" } # x.conf:2\n" },
    { "a word that stands for a list", LISTENER "languages = off\n" UPSTREAM, "languages = \"off\" # x.conf:2\n" },
    { "networks",
      "listener l { address = \"*:1\" tls = none\ntrusted_networks = { \"10.0.0.0/8\", \"::/0\",\n"
      "\"2001:db8::1/128\", unix } }\n" UPSTREAM,
      "trusted_networks = { \"10.0.0.0/8\", \"::/0\", \"2001:db8::1\", \"unix\" } # x.conf:2\n" },
    { "mechanisms", "listener l { address = \"*:1\" tls = none auth_mechanisms = { login, PLAIN } }\n" UPSTREAM,
      "auth_mechanisms = { \"PLAIN\", \"LOGIN\" } # x.conf:1\n" },
    { "what must be escaped", "keys_file = '\\\\a\"b${c}'\n" LISTENER UPSTREAM,
      "keys_file = \"\\\\a\\\"b\\x24{c}\" # x.conf:1\n" },
    { "a line end", "keys_file = \"a\\nb\"\n" LISTENER UPSTREAM, "keys_file = \"a\\x0ab\" # x.conf:1\n" },

    { "mechanisms, if none are named", LISTENER UPSTREAM, "auth_mechanisms = {} # default\n" },
    { "all of them in a word", "listener l { address = \"*:1\" tls = none auth_mechanisms = all }\n" UPSTREAM,
      "auth_mechanisms = \"all\" # x.conf:1\n" },
    { "the only upstream", LISTENER UPSTREAM, "upstream = \"u\" # default\n" },
    { "the port that TLS implies", LISTENER UPSTREAM, "address = { \"127.0.0.1:143\" } # x.conf:1\n" },
    { "the name that is expected", LISTENER UPSTREAM, "tls_name = \"\" # default\n" },
    { "what tls = none turns off", LISTENER UPSTREAM, "require_tls = false # default\n" },
    { "an IPv6 address", LISTENER "upstream u { address = \"[2001:db8::5]\" }\n",
      "address = \"[2001:db8::5]:993\" # x.conf:2\n" },
    { "a unix socket", LISTENER "upstream u { address = \"unix:/run/imap\" tls = none }\n",
      "address = \"unix:/run/imap\" # x.conf:2\n" },
};

TEST(values_are_printed_as_they_are_in_effect)
{
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        char *printed = print_text(lines[i].text);
        squeeze(printed);
        if (!strstr(printed, lines[i].line))
            fail_msg("row \"%s\": no %s in\n%s", lines[i].name, lines[i].line, printed);
        free(printed);
    }
}

/* Cuts the comments off, which say where something was given. No value here has a "#" in it. */
static void cut_comments(char *text)
{
    char *put = text;
    for (const char *at = text; *at; at++) {
        at += *at == '#' ? strcspn(at, "\n") : 0;
        *put++ = *at;
    }
    *put = '\0';
}

TEST(what_is_printed_is_read_as_the_same)
{
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        char *printed = print_text(lines[i].text), *again = print_text(printed);
        cut_comments(printed);
        cut_comments(again);
        if (strcmp(printed, again) != 0)
            fail_msg("row \"%s\": printed\n%sand again\n%s", lines[i].name, printed, again);
        CHECK_ROW(lines[i].name, strlen(printed) > 1000);
        free(printed);
        free(again);
    }
}

TEST(what_was_given_elsewhere_is_told_with_its_file)
{
    struct config *config = read_good((const struct disk_file[]){ { "/etc/x", "include \"d/*\"\n" UPSTREAM },
                                                                  { "/etc/d/1\n", "\nworkers = 5\n" },
                                                                  { "/etc/d/2", LISTENER },
                                                                  { NULL } });
    char *printed = print(config);
    config_unref(config);
    squeeze(printed);
    CHECK_ROW(printed, strstr(printed, "workers = 5 # /etc/d/1?:2\n"));
    CHECK_ROW(printed, strstr(printed, "address = { \"127.0.0.1:143\" } # /etc/d/2:1\n"));
    CHECK_ROW(printed, strstr(printed, "address = \"mail.example.org:993\" # /etc/x:2\n"));
    free(printed);
}

TEST(several_sections_of_a_kind_each_have_their_own)
{
    char *printed =
        print_text(LISTENER "listener m {\naddress = \"127.0.0.1:1\" tls = none\ncompress = yes\n}\n" UPSTREAM);
    squeeze(printed);
    const char *first = strstr(printed, "compress = false # default\n"),
               *second = strstr(printed, "compress = true # x.conf:4\n");
    CHECK_ROW(printed, first && second && first < second);
    free(printed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_is_there_and_what_was_not_given_is_a_default),
        cmocka_unit_test(values_are_printed_as_they_are_in_effect),
        cmocka_unit_test(what_is_printed_is_read_as_the_same),
        cmocka_unit_test(what_was_given_elsewhere_is_told_with_its_file),
        cmocka_unit_test(several_sections_of_a_kind_each_have_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
