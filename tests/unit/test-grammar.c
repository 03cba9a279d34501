#include "check.h"

#include "disk.h"
#include "grammar.h"
#include "source.h"

#include <stdlib.h>
#include <string.h>

static bool never_parsed(const struct option *option, const char *text, const char *first, void *field, char *ret_wrong)
{
    fail_msg("the grammar does not look at values");
    return false;
}

static const struct option_type one = { .parse = never_parsed };
static const struct option_type list = { .parse = never_parsed, .is_list = true };

static const struct option file_options[] = { { "a", &one }, { "b", &one }, { "many", &list }, { NULL } };
static const struct option pond_options[] = { { "a", &one }, { NULL } };
static const struct option river_options[] = {
    { "from", &one, .is_required = true },
    { "over", &list, .is_required = true },
    { "ford", &list },
    { NULL },
};
static const struct grammar_section sections[] = {
    { .options = file_options },
    { "pond", pond_options },
    { "river", river_options, .is_named = true, .is_required = true },
};

#define RIVER        "river r { from = x over = y }\n"
#define RIVER_EVENTS "1 river 'r'\n1 2.from='x'\n1 2.over='y'\n1 end of 2\n"

struct reading {
    FILE *out;
    const struct source *source;
    unsigned events, most; /* most: after so many it has heard enough; 0: never */
};

static bool write_event(void *arg, const struct grammar_event *event)
{
    struct reading *reading = arg;
    unsigned line;
    const char *file = source_place(reading->source, event->line, &line);
    fprintf(reading->out, *file == 'x' ? "%.0s%u " : "%s:%u ", file, line);
    switch (event->kind) {
    case GRAMMAR_BEGIN:
        fprintf(reading->out, "%s '%s'", sections[event->section].keyword, event->text);
        break;
    case GRAMMAR_VALUE:
        fprintf(reading->out, "%zu.%s='%s'", event->section, event->option->name, event->text);
        if (event->first)
            fprintf(reading->out, " behind '%s'", event->first);
        break;
    case GRAMMAR_END:
        fprintf(reading->out, "end of %zu", event->section);
        break;
    default:
        fprintf(reading->out, "WRONG %s", event->text);
        if (event->first_line != 0)
            fprintf(reading->out, " %u", event->first_line);
    }
    fputc('\n', reading->out);
    return ++reading->events != reading->most;
}

/* The events, a line each; the caller's to free. */
static char *read_events(const char *text, unsigned most)
{
    char *events = NULL;
    size_t len = 0;
    const struct disk_file files[] = {
        { "x", text },
        { "1", "\n" RIVER },
        { "2", "\na = 2\n\n" },
        { "3", "\npond {\na = 1\n\n" },
        { "4", "}\n" },
        { "5", "many = { 1 \n\n" },
        { NULL },
    };
    struct disk disk = disk_of(files);
    struct source source = { 0 };
    struct reading reading = { .out = open_memstream(&events, &len), .source = &source, .most = most };
    assert_true(source_read(&source, &disk.disk, "x", stderr));
    grammar_read((const char *)source.text.at, sections, ARRAY_LEN(sections), write_event, &reading);
    source_done(&source);
    fclose(reading.out);
    return events;
}

static const struct {
    const char *name, *text, *events;
} cases[] = {
    { "values and sections come in their order, with their lines",
      "a = 1\nriver \"r\"\n{\n  over = { y,\n  z }\n  from = 'x'\n}\npond { a = 2 }\nb = \"3 \\\" 4\"\n",
      "1 0.a='1'\n3 river 'r'\n4 2.over='y'\n5 2.over='z' behind 'y'\n6 2.from='x'\n3 end of 2\n"
      "8 pond ''\n8 1.a='2'\n8 end of 1\n9 0.b='3 \" 4'\n0 end of 0\n" },
    { "an empty section begins and ends", RIVER "pond { }", RIVER_EVENTS "2 pond ''\n2 end of 1\n0 end of 0\n" },
    { "a list may be appended to", RIVER "many = 1\nmany += { 2, 3 }\n",
      RIVER_EVENTS "2 0.many='1'\n3 0.many='2' behind '1'\n3 0.many='3' behind '1'\n0 end of 0\n" },
    { "an empty list is no value", RIVER "many = {}\n", RIVER_EVENTS "0 end of 0\n" },
    { "comments are no values", RIVER "# a = 1\na = '#' # \" '\n\nb = \"#\"#",
      RIVER_EVENTS "3 0.a='#'\n5 0.b='#'\n0 end of 0\n" },
    { "octets beyond ASCII are", RIVER "a = \"\xc3\xa4\"\n", RIVER_EVENTS "2 0.a='\xc3\xa4'\n0 end of 0\n" },

    { "an option twice", RIVER "a = 1\nb = 1\na = 1\n",
      RIVER_EVENTS "2 0.a='1'\n3 0.b='1'\n4 WRONG a is given more than once\n0 end of 0\n" },
    { "a list twice is told once", RIVER "many = { 1, 2 }\nmany = 3\n",
      RIVER_EVENTS "2 0.many='1'\n2 0.many='2' behind '1'\n3 WRONG many is given more than once\n0 end of 0\n" },
    { "a list that is emptied again", "river r {\nfrom = x\nover = y\nford = 1\nford = {}\n}",
      "1 river 'r'\n2 2.from='x'\n3 2.over='y'\n4 2.ford='1'\n1 WRONG ford is given more than once\n1 end of 2\n"
      "0 end of 0\n" },
    { "options that are missing", "river r { over = {} }\n",
      "1 river 'r'\n1 WRONG river \"r\" has no from\n1 WRONG river \"r\" has no over\n1 end of 2\n0 end of 0\n" },
    { "options of two sections are not one twice", RIVER "river s { from = x over = y }\npond { a = 1 }\na = 1\n",
      RIVER_EVENTS "2 river 's'\n2 2.from='x'\n2 2.over='y'\n2 end of 2\n3 pond ''\n3 1.a='1'\n3 end of 1\n4 0.a='1'\n"
                   "0 end of 0\n" },
    { "a section without a name that is there three times", RIVER "pond {}\n\npond {}\npond { a = 1 }\n",
      RIVER_EVENTS "2 pond ''\n2 end of 1\n4 WRONG pond is given more than once: first 2\n4 pond ''\n"
                   "4 end of 1\n5 WRONG pond is given more than once: first 2\n5 pond ''\n5 1.a='1'\n"
                   "5 end of 1\n0 end of 0\n" },
    { "a name twice", RIVER RIVER, RIVER_EVENTS "2 WRONG found duplicate title 'r'\n" },
    { "a section that is missing", "a = 1\n", "1 0.a='1'\n0 WRONG there is no river section\n0 end of 0\n" },
    { "a section that is not closed", RIVER "\npond {\na = 1\n",
      RIVER_EVENTS "3 pond ''\n4 1.a='1'\n3 WRONG a section is not closed: \"}\" is missing at the end of "
                   "the file\n" },
    { "a list that is not closed", "many = { 1,\n2\n",
      "1 0.many='1'\n2 0.many='2' behind '1'\n"
      "2 WRONG unexpected end of the file\n" },

    { "an option that there is not", RIVER "c = 1\na = 1\n", RIVER_EVENTS "2 WRONG no such option 'c'\n" },
    { "an option without a name", RIVER "\n'' = 1\n", RIVER_EVENTS "3 WRONG no such option ''\n" },
    { "an option without a value", "a =\n", "1 WRONG a has no value\n" },
    { "an option of a list without a value", "\nmany = # none\n\n", "2 WRONG many has no value\n" },
    { "an option of a section, from outside", RIVER "river|from = z\na = 1",
      RIVER_EVENTS "2 WRONG from does not belong here\n3 0.a='1'\n0 end of 0\n" },
    { "an octal number that is none", "\na = \"1\\0002\"", "2 WRONG bad escape sequence '\\0002'\n" },
    { "what only looks like a NUL", RIVER "a = \"\\\\0\\x0a\\060\"\nb = '\\0'\n",
      RIVER_EVENTS "2 0.a='\\0\n0'\n3 0.b='\\0'\n0 end of 0\n" },

    { "a section that is included whole", "include \"1\"\na = 1\n",
      "1:2 river 'r'\n1:2 2.from='x'\n1:2 2.over='y'\n1:2 end of 2\n2 0.a='1'\n0 end of 0\n" },
    { "an option twice, in two files", RIVER "a = 1\ninclude \"2\"",
      RIVER_EVENTS "2 0.a='1'\n2:2 WRONG a is given more than once\n0 end of 0\n" },
    { "a section that is not closed where its file ends", "include \"3\"\n" RIVER,
      "3:2 pond ''\n3:3 1.a='1'\n"
      "3:2 WRONG a section is not closed: \"}\" is missing at the end of the file\n" },
    { "a section that an included file closes", "pond {\n a = 1\ninclude \"4\"\n" RIVER,
      "1 pond ''\n2 1.a='1'\n3 WRONG include cannot stand in a section\n" },
    { "a brace too many, in an included file", "include \"4\"\n" RIVER, "4:1 WRONG unexpected closing brace\n" },
    { "a value that an included file would have", "a =\ninclude \"2\"", "2 WRONG a has no value\n" },
    { "an included list that is not closed", "include \"5\"\n" RIVER,
      "5:1 0.many='1'\n5:1 WRONG unexpected end of the file\n" },
    { "a list that is included", "many = { 1,\ninclude \"5\"\n}", "1 0.many='1'\n2 WRONG many has no value\n" },
    { "a list that goes on in another file", "many = { 1\ninclude \"5\"\n}",
      "1 0.many='1'\n2 WRONG unexpected include\n" },
    { "a section with its name in another file", "pond\ninclude \"5\"\n",
      "2 WRONG missing opening brace for section 'pond'\n" },
};

TEST(a_text_becomes_events)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *events = read_events(cases[i].text, 0);
        if (strcmp(events, cases[i].events) != 0)
            fail_msg("row \"%s\": got\n%swant\n%s", cases[i].name, events, cases[i].events);
        free(events);
    }
}

TEST(it_ends_when_it_is_told_to)
{
    static const char text[] = "a = 1\nriver r { from = 1 over = { 2, 3 } }\npond { }\na = 2\n";
    char *all = read_events(text, 0);
    unsigned count = 0;
    for (const char *at = all; (at = strchr(at, '\n')); at++)
        count++;
    assert_int_equal(count, 10);
    for (unsigned most = 1; most <= count; most++) {
        char *events = read_events(text, most);
        unsigned heard = 0;
        for (const char *at = events; (at = strchr(at, '\n')); at++)
            heard++;
        assert_int_equal(heard, most);
        assert_memory_equal(events, all, strlen(events));
        free(events);
    }
    free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_becomes_events),
        cmocka_unit_test(it_ends_when_it_is_told_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
