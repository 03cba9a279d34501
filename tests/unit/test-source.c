#include "check.h"

#include "disk.h"
#include "source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The lines of the source as "FILE:LINE text", or what is wrong; the caller's to free. */
static char *read_lines(const struct source_disk *disk, const char *path)
{
    char *shown = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&shown, &len);
    struct source source = { 0 };
    unsigned line = 0, place;
    if (source_read(&source, disk, path, out))
        for (char *rest = (char *)source.text.at, *text; (text = strsep(&rest, "\n")) && rest;) {
            const char *file = source_place(&source, ++line, &place);
            fprintf(out, "%s:%u %s\n", file, place, *text == '\001' ? text + 1 : text);
        }
    fclose(out);
    source_done(&source);
    return shown;
}

static void check_lines(const char *name, const struct disk_file *files, const char *want)
{
    struct disk disk = disk_of(files);
    char *lines = read_lines(&disk.disk, files[0].path);
    if (strcmp(lines, want) != 0)
        fail_msg("row \"%s\": got\n%swant\n%s", name, lines, want);
    free(lines);
}

/* --- one file --- */

static const struct {
    const char *name, *text, *lines;
} files[] = {
    { "comments go, whatever is in them", "a = 1 # b \" '\n#\n  # c\nb = \"#\" # \"#\nc = '#'",
      "x:1 a = 1 \nx:2 \nx:3   \nx:4 b = \"#\" \nx:5 c = '#'\nx:5 end = 1\n" },
    { "the end is where the last word is", "a = 1\r\n\n \t\n# b\n", "x:1 a = 1\r\nx:2 \nx:3  \t\nx:4 \nx:1 end = 1\n" },
    { "nothing", "", "x:0 end = 1\n" },
    { "octets beyond ASCII", "a = \"\xc3\xa4\"", "x:1 a = \"\xc3\xa4\"\nx:1 end = 1\n" },
    { "quotes in quotes", "a = \"'\\\"#\" b = '\"\\'#'", "x:1 a = \"'\\\"#\" b = '\"\\'#'\nx:1 end = 1\n" },
    { "words that begin as include does", "includes = 1\ninclude_ = 2\ninclude-it = 3\n",
      "x:1 includes = 1\nx:2 include_ = 2\nx:3 include-it = 3\nx:3 end = 1\n" },

    { "a string in double quotes that is not closed", "a = 1\nb = \"2\nc = \"3\"\n",
      "x:2: a string is not closed on the line that it begins on\n" },
    { "a string in single quotes that is not closed", "\nb = '2\n\nx",
      "x:2: a string is not closed on the line that it begins on\n" },
    { "a line end in a string, behind a backslash", "a = \"1\\\n2\"",
      "x:1: a string is not closed on the line that it begins on\n" },
    { "a NUL by one digit", "\na = \"1\\0\"", "x:2: a string contains a NUL\n" },
    { "a NUL by three digits", "a = \"1\\000x\"", "x:1: a string contains a NUL\n" },
    { "a NUL by its hexadecimal number", "a = \"1\\x00\"", "x:1: a string contains a NUL\n" },
    { "a NUL by one hexadecimal digit", "a = \"\\x0g\"", "x:1: a string contains a NUL\n" },
    { "what only looks like a NUL", "a = \"\\\\0\\x0a\\060\"\nb = '\\0'\n",
      "x:1 a = \"\\\\0\\x0a\\060\"\nx:2 b = '\\0'\nx:2 end = 1\n" },
    { "a control character", "a = 1\na = \"\001end\"\n", "x:2: control character 0x01\n" },
    { "a control character in a comment", "# \033[2J\n", "x:1: control character 0x1b\n" },
    { "an environment variable", "a = \"${HOME}\"",
      "x:1: \"${\": environment variables are not expanded; in single quotes it stands for itself\n" },
    { "an environment variable without quotes", "a = ${HOME}",
      "x:1: \"${\" is only allowed in quotes (a comment begins with \"#\")\n" },
    { "what stands for itself in single quotes", "a = '${HOME}'", "x:1 a = '${HOME}'\nx:1 end = 1\n" },
    { "another language's comment", "a = 1 // b",
      "x:1: \"//\" is only allowed in quotes (a comment begins with \"#\")\n" },
    { "an asterisk", "a = *", "x:1: \"*\" is only allowed in quotes (a comment begins with \"#\")\n" },
    { "a plus", "a += 1\na = +1", "x:2: \"+\" is only allowed in quotes (a comment begins with \"#\")\n" },
};

TEST(a_file_is_stripped_or_refused)
{
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        const struct disk_file disk[] = { { "x", files[i].text }, { NULL } };
        check_lines(files[i].name, disk, files[i].lines);
    }
}

/* --- includes --- */

#define INCLUDE_WANTS "include wants one name in quotes, on its line: include \"conf.d/*.conf\"\n"

static const struct {
    const char *name;
    struct disk_file files[8];
    const char *lines;
} trees[] = {
    { "a file by its name, beside the one that names it",
      { { "/etc/x", "a\n  include \"y\"  # why\nb\n" }, { "/etc/y", "c\n\n" }, { "y", "no" } },
      "/etc/x:1 a\n/etc/x:2 begin = 1\n/etc/y:1 c\n/etc/y:2 \n/etc/y:1 end = 1\n/etc/x:3 b\n/etc/x:3 end = 1\n" },
    { "a file by its whole name",
      { { "/etc/x", "include '/y'" }, { "/y", "c" } },
      "/etc/x:1 begin = 1\n/y:1 c\n/y:1 end = 1\n/etc/x:1 end = 1\n" },
    { "all that match, in their order, and no hidden one",
      { { "x", "include\t\"d/*.conf\"\n\nb" },
        { "d/.c.conf", "no" },
        { "d/1.conf", "c\nd" },
        { "d/2.conf", "e\n" },
        { "d/3", "no" } },
      "x:1 begin = 1\nd/1.conf:1 c\nd/1.conf:2 d\nd/1.conf:2 end = 1\nd/2.conf:1 e\nd/2.conf:1 end = 1\n"
      "x:2 \nx:3 b\nx:3 end = 1\n" },
    { "none that matches",
      { { "x", "include \"d/*.conf\"\nb" }, { "d/3", "no" } },
      "x:1 begin = 1\nx:2 b\nx:2 end = 1\n" },
    { "what is included includes, from where it is",
      { { "x", "include \"d/1\"\nb" }, { "d/1", "include \"2\"\nc" }, { "d/2", "d" } },
      "x:1 begin = 1\nd/1:1 begin = 1\nd/2:1 d\nd/2:1 end = 1\nd/1:2 c\nd/1:2 end = 1\nx:2 b\nx:2 end = 1\n" },
    { "twice is no loop",
      { { "x", "include \"y\"\ninclude \"y\"" }, { "y", "" } },
      "x:1 begin = 1\ny:0 end = 1\nx:2 begin = 1\ny:0 end = 1\nx:2 end = 1\n" },
    { "a folder's name is no pattern",
      { { "[ab]?\\/x", "include \"*y\"" }, { "[ab]?\\/y", "c" }, { "a0/y", "no" } },
      "[ab]?\\/x:1 begin = 1\n[ab]?\\/y:1 c\n[ab]?\\/y:1 end = 1\n[ab]?\\/x:1 end = 1\n" },

    { "one that is not there", { { "x", "\ninclude \"y\"" } }, "x:2: y: No such file or directory\n" },
    { "one that is no file", { { "x", "include \"y\"" }, { "y", NULL } }, "x:1: y: not a regular file\n" },
    { "a folder that nobody may look into",
      { { "x", "a\ninclude \"locked/*\"" } },
      "x:2: locked/*: Permission denied\n" },
    { "what is wrong is told with its own file and line",
      { { "x", "\n\ninclude \"d/*\"\n" }, { "d/1", "a" }, { "d/2", "\n\"" }, { "d/3", "'" } },
      "d/2:2: a string is not closed on the line that it begins on\n" },
    { "itself", { { "d/x", "\ninclude \"*\"" } }, "d/x:2: d/x would include itself\n" },
    { "itself, by way of others",
      { { "x", "include \"1\"" }, { "1", "\ninclude \"2\"" }, { "2", "a\nb\ninclude \"1\"" } },
      "2:3: 1 would include itself\n" },
    { "without quotes", { { "x", "include y" } }, "x:1: " INCLUDE_WANTS },
    { "with half of them", { { "x", "include y\"a\"" } }, "x:1: " INCLUDE_WANTS },
    { "like an option", { { "x", "include = \"y\"" } }, "x:1: " INCLUDE_WANTS },
    { "of nothing", { { "x", "a\ninclude" } }, "x:2: " INCLUDE_WANTS },
    { "of an empty name", { { "x", "include \"\"" } }, "x:1: " INCLUDE_WANTS },
    { "of two", { { "x", "include \"y\" \"z\"" } }, "x:1: " INCLUDE_WANTS },
    { "and more on the line", { { "x", "include \"y\" a = 1" } }, "x:1: " INCLUDE_WANTS },
};

TEST(what_is_included_stands_in_the_place_of_the_line)
{
    for (size_t i = 0; i < ARRAY_LEN(trees); i++)
        check_lines(trees[i].name, trees[i].files, trees[i].lines);
}

TEST(includes_are_nested_as_deep_as_promised)
{
    char names[SOURCE_DEPTH_MAX + 2][8], texts[SOURCE_DEPTH_MAX + 2][32];
    struct disk_file nested[SOURCE_DEPTH_MAX + 3] = { { NULL } };
    for (unsigned i = 0; i < SOURCE_DEPTH_MAX + 2; i++) {
        snprintf(names[i], sizeof names[i], "f%u", i);
        snprintf(texts[i], sizeof texts[i], "include \"f%u\"", i + 1);
        nested[i] = (struct disk_file){ names[i], texts[i] };
    }
    check_lines("one too many", nested, "f8:1: f9: includes are nested more than 8 deep\n");
    nested[SOURCE_DEPTH_MAX].text = "a";
    struct disk disk = disk_of(nested);
    char *lines = read_lines(&disk.disk, "f0");
    CHECK_ROW(lines, strstr(lines, "f7:1 begin = 1\nf8:1 a\nf8:1 end = 1\nf7:1 end = 1\n") != NULL);
    free(lines);
}

/* Each file would double what the next one brings. */
TEST(the_limit_is_on_all_files_together)
{
    char *large = malloc(300001);
    memset(large, 'a', 300000);
    large[300000] = '\0';
    const struct disk_file disk[] = {
        { "x", "include \"y\"\ninclude \"y\"\n" }, { "y", "include \"z\"\ninclude \"z\"\n" }, { "z", large }, { NULL }
    };
    check_lines("four of them", disk, "z:1: all files together are larger than 1 MiB\n");
    free(large);
}

TEST(a_file_may_be_as_large_as_promised)
{
    for (unsigned more = 0; more < 2; more++) {
        char *large = malloc(SOURCE_OCTETS_MAX + more + 1);
        memset(large, 'a', SOURCE_OCTETS_MAX + more);
        large[SOURCE_OCTETS_MAX + more] = '\0';
        const struct disk_file one[] = { { "x", large }, { NULL } };
        struct disk disk = disk_of(one);
        char *lines = read_lines(&disk.disk, "x");
        CHECK_ROW(lines, (strcmp(lines, "x: larger than 1 MiB\n") == 0) == (more == 1));
        CHECK_ROW(lines, more == 1 || strlen(lines) > SOURCE_OCTETS_MAX);
        free(lines);
        free(large);
    }
}

TEST(line_0_is_no_line_of_the_first_file)
{
    const struct disk_file one[] = { { "x", "a\n" }, { NULL } };
    struct disk disk = disk_of(one);
    struct source source = { 0 };
    unsigned line = 7;
    assert_true(source_read(&source, &disk.disk, "x", stderr));
    assert_string_equal(source_place(&source, 0, &line), "x");
    assert_int_equal(line, 0);
    assert_string_equal(source_place(&source, 99, &line), "x");
    assert_int_equal(line, 1);
    source_done(&source);
}

/* --- the real disk --- */

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* What is read of the folder's x, without the folder's name; the caller's to free. */
static char *read_folder(const char *folder)
{
    char path[64];
    snprintf(path, sizeof path, "%s/x", folder);
    char *lines = read_lines(&source_disk, path);
    for (char *at; (at = strstr(lines, folder));)
        memmove(at, at + strlen(folder) + 1, strlen(at + strlen(folder) + 1) + 1);
    return lines;
}

static void check_folder(const char *folder, const char *text, const char *want)
{
    write_file(folder, "x", text);
    char *lines = read_folder(folder);
    assert_string_equal(lines, want);
    free(lines);
}

TEST(files_are_found_and_read_on_the_disk)
{
    char folder[] = "/tmp/test-source-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/d", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    write_file(folder, "d/b.conf", "b");
    write_file(folder, "d/a.conf", "a");
    write_file(folder, "d/B.conf", "B");
    write_file(folder, "d/.c.conf", "c");
    write_file(folder, "d/a.conf~", "no");
    check_folder(folder, "include \"d/*.conf\"\n",
                 "x:1 begin = 1\nd/B.conf:1 B\nd/B.conf:1 end = 1\nd/a.conf:1 a\nd/a.conf:1 end = 1\n"
                 "d/b.conf:1 b\nd/b.conf:1 end = 1\nx:1 end = 1\n");
    check_folder(folder, "include \"none/*.conf\"\n", "x:1 begin = 1\nx:1 end = 1\n");
    check_folder(folder, "include \"d\"\n", "x:1: d: not a regular file\n");
    check_folder(folder, "include \"none\"\n", "x:1: none: No such file or directory\n");
    snprintf(path, sizeof path, "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0); /* whoever opens it without care waits */
    check_folder(folder, "include \"p*\"\n", "x:1: pipe: not a regular file\n");
    static const char *const names[] = { "x",         "pipe",      "d/a.conf", "d/b.conf", "d/B.conf",
                                         "d/.c.conf", "d/a.conf~", "d",        "" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        assert_int_equal(remove(path), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_stripped_or_refused),
        cmocka_unit_test(what_is_included_stands_in_the_place_of_the_line),
        cmocka_unit_test(includes_are_nested_as_deep_as_promised),
        cmocka_unit_test(the_limit_is_on_all_files_together),
        cmocka_unit_test(a_file_may_be_as_large_as_promised),
        cmocka_unit_test(line_0_is_no_line_of_the_first_file),
        cmocka_unit_test(files_are_found_and_read_on_the_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
