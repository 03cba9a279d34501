#include "check.h"

#include "option.h"

#include <string.h>

enum colour { COLOUR_RED, COLOUR_GREEN };

struct section {
    unsigned count;
    uint64_t number, time_ms, time_s, patience_ms;
    bool flag;
    enum colour colour;
    unsigned mode;
    char *text, *name;
};

static const char *const colours[] = { "red", "green", NULL };

#define FIELD(member) offsetof(struct section, member)
static const struct option options[] = {
    { "count", &option_count, FIELD(count), "7", 1, 1024 },
    { "number", &option_number, FIELD(number), "0", 0, UINT64_MAX },
    { "time", &option_time_ms, FIELD(time_ms), "10s", 1000, 3600000 },
    { "seconds", &option_time_s, FIELD(time_s), "14d", 1000, UINT64_MAX },
    { "patience", &option_time_ms, FIELD(patience_ms), "35m", 1800000, 604800000, "the RFC says so" },
    { "flag", &option_flag, FIELD(flag), "true" },
    { "colour", &option_choice, FIELD(colour), "green", .words = colours },
    { "mode", &option_mode, FIELD(mode), "0600", 0, 0777 },
    { "text", &option_text, FIELD(text), "" },
    { "name", &option_text, FIELD(name), .if_empty = "write a name" },
    { NULL },
};

static const struct option *find(const char *name)
{
    for (size_t i = 0; options[i].name; i++)
        if (strcmp(options[i].name, name) == 0)
            return &options[i];
    fail_msg("there is no %s", name);
    return NULL;
}

TEST(defaults_are_what_their_texts_say)
{
    struct section section = { 0 };
    assert_true(option_set_defaults(options, &section));
    assert_int_equal(section.count, 7);
    assert_int_equal(section.number, 0);
    assert_int_equal(section.time_ms, 10000);
    assert_int_equal(section.time_s, 14 * 86400);
    assert_int_equal(section.patience_ms, 35 * 60 * 1000);
    assert_true(section.flag);
    assert_int_equal(section.colour, COLOUR_GREEN);
    assert_int_equal(section.mode, 0600);
    assert_string_equal(section.text, "");
    assert_null(section.name);
    option_done_all(options, &section);
}

/* The number that the field has; of all types that are one. */
static uint64_t number_of(const struct section *section, const struct option *option)
{
    const char *field = (const char *)section + option->offset;
    uint64_t number = 0;
    memcpy(&number, field, option->type->size); /* little endian, as far as the tests run */
    return number;
}

static const struct {
    const char *option, *text;
    uint64_t number;
} goods[] = {
    { "count", "1", 1 },
    { "count", "0001024", 1024 },
    { "number", "18446744073709551615", UINT64_MAX },
    { "time", "1s", 1000 },
    { "time", "1000ms", 1000 },
    { "time", "1h", 3600000 },
    { "seconds", "2m", 120 },
    { "seconds", "213503982334d", UINT64_C(213503982334) * 86400 },
    { "patience", "30m", 1800000 },
    { "patience", "7d", 604800000 },
    { "flag", "true", 1 },
    { "flag", "YES", 1 },
    { "flag", "on", 1 },
    { "flag", "false", 0 },
    { "flag", "no", 0 },
    { "flag", "off", 0 },
    { "colour", "red", COLOUR_RED },
    { "colour", "green", COLOUR_GREEN },
    { "mode", "0660", 0660 },
    { "mode", "7", 7 },
    { "mode", "777", 0777 },
};

TEST(a_text_becomes_its_value)
{
    for (size_t i = 0; i < ARRAY_LEN(goods); i++) {
        struct section section = { 0 };
        char wrong[OPTION_WRONG_MAX];
        const struct option *option = find(goods[i].option);
        if (!option_parse(option, goods[i].text, NULL, &section, wrong))
            fail_msg("%s = %s: %s", goods[i].option, goods[i].text, wrong);
        CHECK_ROW(goods[i].text, number_of(&section, option) == goods[i].number);
    }
}

#define COUNT "count must be a number from 1 to 1024, not "

static const struct {
    const char *option, *text, *wrong;
} wrongs[] = {
    { "count", "", COUNT "\"\"" },
    { "count", "many", COUNT "\"many\"" },
    { "count", "0", COUNT "\"0\"" },
    { "count", "-1", COUNT "\"-1\"" },
    { "count", "+1", COUNT "\"+1\"" },
    { "count", " 1", COUNT "\" 1\"" },
    { "count", "1k", COUNT "\"1k\"" },
    { "count", "1025", COUNT "\"1025\"" },
    { "count", "4294967297", COUNT "\"4294967297\"" },
    { "count", "18446744073709551617", COUNT "\"18446744073709551617\"" },
    { "number", "18446744073709551616",
      "number must be a number from 0 to 18446744073709551615, not \"18446744073709551616\"" },
    { "time", "s", "time must be a time such as \"10s\" (units: ms s m h d), not \"s\"" },
    { "time", "", "time must be a time such as \"10s\" (units: ms s m h d), not \"\"" },
    { "time", "10", "time = \"10\" has no unit: write \"10ms\", \"10s\", \"10m\", \"10h\" or \"10d\"" },
    { "time", "10 s", "time = \"10 s\" has an unknown unit: use ms, s, m, h or d" },
    { "time", "10S", "time = \"10S\" has an unknown unit: use ms, s, m, h or d" },
    { "time", "1.5h", "time = \"1.5h\" has an unknown unit: use ms, s, m, h or d" },
    { "time", "18446744073709551615d", "time = \"18446744073709551615d\" is too long" },
    { "time", "99999999999999999999s",
      "time must be a time such as \"10s\" (units: ms s m h d), not \"99999999999999999999s\"" },
    { "time", "999ms", "time must be from 1s to 1h, not \"999ms\"" },
    { "time", "3601s", "time must be from 1s to 1h, not \"3601s\"" },
    { "seconds", "1500ms", "seconds must be in whole seconds, not \"1500ms\"" },
    { "patience", "29m", "patience = \"29m\" is below 30m: the RFC says so" },
    { "patience", "8d", "patience must be from 30m to 7d, not \"8d\"" },
    { "flag", "1", "flag must be true or false, not \"1\"" },
    { "flag", "", "flag must be true or false, not \"\"" },
    { "colour", "blue", "colour must be one of red, green, not \"blue\"" },
    { "colour", "Red", "colour must be one of red, green, not \"Red\"" },
    { "mode", "", "mode must be an octal mode such as \"0660\", not \"\"" },
    { "mode", "0680", "mode must be an octal mode such as \"0660\", not \"0680\"" },
    { "mode", "00660", "mode must be an octal mode such as \"0660\", not \"00660\"" },
    { "mode", "rw", "mode must be an octal mode such as \"0660\", not \"rw\"" },
    { "mode", "4600", "mode = \"4600\" has more than permission bits" },
    { "name", "", "name is empty: write a name" },
};

TEST(what_is_no_value_is_told_and_changes_nothing)
{
    for (size_t i = 0; i < ARRAY_LEN(wrongs); i++) {
        struct section section, before;
        char wrong[OPTION_WRONG_MAX];
        memset(&section, 0, sizeof section);
        assert_true(option_set_defaults(options, &section));
        before = section;
        if (option_parse(find(wrongs[i].option), wrongs[i].text, NULL, &section, wrong))
            fail_msg("%s = \"%s\" is accepted", wrongs[i].option, wrongs[i].text);
        assert_string_equal(wrong, wrongs[i].wrong);
        assert_memory_equal(&section, &before, sizeof section);
        option_done_all(options, &section);
    }
}

TEST(what_is_wrong_with_a_long_text_is_cut)
{
    struct section section = { 0 };
    char text[2 * OPTION_WRONG_MAX], wrong[OPTION_WRONG_MAX];
    memset(text, '9', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_false(option_parse(find("count"), text, NULL, &section, wrong));
    assert_int_equal(strlen(wrong), OPTION_WRONG_MAX - 1);
}

TEST(a_text_is_owned_and_replaced)
{
    struct section section = { 0 };
    char wrong[OPTION_WRONG_MAX], text[] = "first";
    assert_true(option_parse(find("text"), text, NULL, &section, wrong));
    text[0] = 'X';
    assert_string_equal(section.text, "first");
    assert_true(option_parse(find("text"), "second", NULL, &section, wrong));
    assert_string_equal(section.text, "second");
    option_done_all(options, &section);
}

TEST(values_are_equal_whatever_way_they_are_written)
{
    static const struct {
        const char *option, *a, *b;
        bool is_equal;
    } pairs[] = {
        { "mode", "0600", "600", true },  { "mode", "0600", "0660", false },   { "time", "60s", "1m", true },
        { "time", "60s", "61s", false },  { "text", "mail", "mail", true },    { "text", "mail", "", false },
        { "flag", "yes", "true", true },  { "colour", "red", "green", false }, { "count", "8", "08", true },
        { "count", "256", "512", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        struct section a = { 0 }, b = { 0 };
        char wrong[OPTION_WRONG_MAX];
        const struct option *option = find(pairs[i].option);
        assert_true(option_parse(option, pairs[i].a, NULL, &a, wrong) &&
                    option_parse(option, pairs[i].b, NULL, &b, wrong));
        CHECK_ROW(pairs[i].a, option_is_equal(option, &a, &b) == pairs[i].is_equal);
        option_done_all(options, &a);
        option_done_all(options, &b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_what_their_texts_say),
        cmocka_unit_test(a_text_becomes_its_value),
        cmocka_unit_test(what_is_no_value_is_told_and_changes_nothing),
        cmocka_unit_test(what_is_wrong_with_a_long_text_is_cut),
        cmocka_unit_test(a_text_is_owned_and_replaced),
        cmocka_unit_test(values_are_equal_whatever_way_they_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
