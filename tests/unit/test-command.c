#include "check.h"

#include <imapstate/command.h>

#include <stdlib.h>
#include <string.h>

TEST(the_table_is_sorted_and_every_name_finds_its_row)
{
    const struct imapstate_command *row, *before = NULL;
    for (size_t i = 0; (row = imapstate_command_at(i)); before = row, i++) {
        CHECK_ROW(row->name, !before || strcmp(before->name, row->name) < 0);
        CHECK_ROW(row->name, imapstate_command_find(imapstate_span_of(row->name)) == row);
        CHECK_ROW(row->name, row->is_known && row->allowed != 0);
    }
    assert_non_null(before);
    assert_null(imapstate_command_at(SIZE_MAX));
}

/* What programs that were built against an older library have in them. New ones come at the end, here too. */
TEST(ids_keep_their_numbers)
{
    static const char *const names[] = {
        "",        "APPEND",    "AUTHENTICATE", "CAPABILITY", "CLOSE", "COMPARATOR",     "COMPRESS",  "ENABLE",
        "EXAMINE", "ID",        "IDLE",         "LANGUAGE",   "LOGIN", "LOGOUT",         "NAMESPACE", "NOOP",
        "NOTIFY",  "SAVESTATE", "SELECT",       "STARTTLS",   "STATE", "UNAUTHENTICATE", "UNSELECT",
    };
    const struct imapstate_command *row;
    for (size_t id = 0; id < ARRAY_LEN(names); id++)
        CHECK_ROW(names[id], imapstate_command_find(imapstate_span_of(names[id]))->id == id);
    for (size_t i = 0; (row = imapstate_command_at(i)); i++)
        CHECK_ROW(row->name, row->id < ARRAY_LEN(names) &&
                                 (row->id == IMAPSTATE_COMMAND_OTHER || strcmp(names[row->id], row->name) == 0));
}

TEST(names_are_found_in_any_case_and_nothing_else_is)
{
    static const struct {
        const char *name;
        struct imapstate_span in;
        const char *want; /* "" is unknown */
    } rows[] = {
        { "lower case", IMAPSTATE_SPAN("select"), "SELECT" },
        { "mixed case", IMAPSTATE_SPAN("uId fEtCh"), "UID FETCH" },
        { "a prefix of a name", IMAPSTATE_SPAN("SELEC"), "" },
        { "more than a name", IMAPSTATE_SPAN("SELECTS"), "" },
        { "a name that begins another", IMAPSTATE_SPAN("ID"), "ID" },
        { "and the other", IMAPSTATE_SPAN("IDLE"), "IDLE" },
        { "nothing", IMAPSTATE_SPAN(""), "" },
        { "UID alone", IMAPSTATE_SPAN("UID"), "" },
        { "two SP", IMAPSTATE_SPAN("UID  FETCH"), "" },
        { "NUL behind a name", IMAPSTATE_SPAN("NOOP\0"), "" },
        { "NUL behind the last name", IMAPSTATE_SPAN("XLIST\0Y"), "" },
        { "behind the last row", IMAPSTATE_SPAN("ZZZ"), "" },
        { "before the first row", IMAPSTATE_SPAN("AAA"), "" },
        { "8-bit octets", IMAPSTATE_SPAN("\xff\xfe"), "" },
        { "letters with bit 5 off are not letters", IMAPSTATE_SPAN("LIST\x13"), "" },
        { "only letters have cases", IMAPSTATE_SPAN("UID\0FETCH"), "" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct imapstate_command *command = imapstate_command_find(rows[i].in);
        CHECK_SPAN(rows[i].name, imapstate_span_of(command->name), imapstate_span_of(rows[i].want));
        CHECK_ROW(rows[i].name, command->is_known == (rows[i].want[0] != '\0'));
    }
}

TEST(an_unknown_command_is_neither_repeated_nor_parked_nor_trusted_with_literals)
{
    const struct imapstate_command *unknown = imapstate_command_find(IMAPSTATE_SPAN("XYZZY"));
    assert_int_equal(unknown->id, IMAPSTATE_COMMAND_OTHER);
    assert_int_equal(unknown->stored, IMAPSTATE_ENTRY_NONE);
    assert_int_equal(unknown->literals, IMAPSTATE_LITERALS_NONE);
    assert_int_equal(unknown->allowed, IMAPSTATE_IN_ANY);
    assert_false(unknown->repeatable || unknown->parkable || unknown->is_known);
}

/* docs/protocol.md, "What is stored", and the properties that are dangerous when wrong. */
TEST(rows_hold_what_the_protocol_says)
{
    static const struct {
        const char *name;
        uint8_t id, allowed, stored, literals;
        bool repeatable, parkable;
    } rows[] = {
        { "ENABLE", IMAPSTATE_COMMAND_ENABLE, 6, IMAPSTATE_ENTRY_ENABLE, IMAPSTATE_LITERALS_NONE, true, true },
        { "LANGUAGE", IMAPSTATE_COMMAND_LANGUAGE, 7, IMAPSTATE_ENTRY_LANGUAGE, IMAPSTATE_LITERALS_STRING, true, true },
        { "COMPARATOR", IMAPSTATE_COMMAND_COMPARATOR, 6, IMAPSTATE_ENTRY_COMPARATOR, IMAPSTATE_LITERALS_STRING, true,
          true },
        { "NOTIFY", IMAPSTATE_COMMAND_NOTIFY, 6, IMAPSTATE_ENTRY_NOTIFY, IMAPSTATE_LITERALS_STRING, true, true },
        { "STATE", IMAPSTATE_COMMAND_STATE, 2, IMAPSTATE_ENTRY_NONE, IMAPSTATE_LITERALS_STRING, false, true },
        { "SAVESTATE", IMAPSTATE_COMMAND_SAVESTATE, 6, IMAPSTATE_ENTRY_NONE, IMAPSTATE_LITERALS_NONE, false, true },
        { "SELECT", IMAPSTATE_COMMAND_SELECT, 6, IMAPSTATE_ENTRY_NONE, IMAPSTATE_LITERALS_STRING, true, true },
        { "APPEND", IMAPSTATE_COMMAND_APPEND, 6, IMAPSTATE_ENTRY_NONE, IMAPSTATE_LITERALS_MESSAGE, false, true },
        { "LOGIN", IMAPSTATE_COMMAND_LOGIN, 1, IMAPSTATE_ENTRY_NONE, IMAPSTATE_LITERALS_LOGIN, false, true },
        { "COMPRESS", IMAPSTATE_COMMAND_COMPRESS, 6, IMAPSTATE_ENTRY_NONE, IMAPSTATE_LITERALS_NONE, false, false },
        { "UNAUTHENTICATE", IMAPSTATE_COMMAND_UNAUTHENTICATE, 6, IMAPSTATE_ENTRY_NONE, IMAPSTATE_LITERALS_NONE, false,
          false },
        { "NOOP", IMAPSTATE_COMMAND_NOOP, 7, IMAPSTATE_ENTRY_NONE, IMAPSTATE_LITERALS_NONE, true, true },
        { "IDLE", IMAPSTATE_COMMAND_IDLE, 6, IMAPSTATE_ENTRY_NONE, IMAPSTATE_LITERALS_NONE, false, true },
        { "STORE", IMAPSTATE_COMMAND_OTHER, 4, IMAPSTATE_ENTRY_NONE, IMAPSTATE_LITERALS_ANNOTATION, false, true },
        { "UID STORE", IMAPSTATE_COMMAND_OTHER, 4, IMAPSTATE_ENTRY_NONE, IMAPSTATE_LITERALS_ANNOTATION, false, true },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct imapstate_command *command = imapstate_command_find(imapstate_span_of(rows[i].name));
        CHECK_ROW(rows[i].name, command->is_known && command->id == rows[i].id);
        CHECK_ROW(rows[i].name, command->allowed == rows[i].allowed && command->stored == rows[i].stored);
        CHECK_ROW(rows[i].name, command->literals == rows[i].literals);
        CHECK_ROW(rows[i].name, command->repeatable == rows[i].repeatable && command->parkable == rows[i].parkable);
    }
}

TEST(nothing_that_changes_a_mailbox_is_repeatable)
{
    static const char *const repeatable[] = { "CAPABILITY", "COMPARATOR", "ENABLE", "EXAMINE",   "ID",
                                              "LANGUAGE",   "LIST",       "LSUB",   "NAMESPACE", "NOOP",
                                              "NOTIFY",     "SELECT",     "STATUS" };
    const struct imapstate_command *row;
    size_t next = 0;
    for (size_t i = 0; (row = imapstate_command_at(i)); i++) {
        bool want = next < ARRAY_LEN(repeatable) && strcmp(row->name, repeatable[next]) == 0;
        CHECK_ROW(row->name, row->repeatable == want);
        next += want;
    }
    assert_int_equal(next, ARRAY_LEN(repeatable));
}

static const struct {
    const char *name;
    struct imapstate_span line;
    enum imapstate_error want;
    const char *tag, *command_name, *arguments, *row;
    bool has_arguments_sp;
} lines[] = {
    /* clang-format off */
    { "a command without arguments", IMAPSTATE_SPAN("a1 NOOP\r\n"), IMAPSTATE_OK, "a1", "NOOP", "", "NOOP", false },
    { "a line that ends in LF alone", IMAPSTATE_SPAN("a1 noop\n"), IMAPSTATE_OK, "a1", "noop", "", "NOOP", false },
    { "arguments", IMAPSTATE_SPAN("a LIST \"\" %\r\n"), IMAPSTATE_OK, "a", "LIST", "\"\" %", "LIST", true },
    { "an SP and no arguments", IMAPSTATE_SPAN("a STATE \r\n"), IMAPSTATE_OK, "a", "STATE", "", "STATE", true },
    { "two SP before arguments", IMAPSTATE_SPAN("a STATE  x\r\n"), IMAPSTATE_OK, "a", "STATE", " x", "STATE", true },
    { "UID with its command", IMAPSTATE_SPAN("a uid Fetch 1 FLAGS\r\n"), IMAPSTATE_OK, "a", "uid Fetch", "1 FLAGS", "UID FETCH", true },
    { "UID EXPUNGE without arguments", IMAPSTATE_SPAN("a UID EXPUNGE\r\n"), IMAPSTATE_OK, "a", "UID EXPUNGE", "", "UID EXPUNGE", false },
    { "UID alone", IMAPSTATE_SPAN("a UID\r\n"), IMAPSTATE_OK, "a", "UID", "", "", false },
    { "UID with an unknown command", IMAPSTATE_SPAN("a UID NONSENSE 1\r\n"), IMAPSTATE_OK, "a", "UID NONSENSE", "1", "", true },
    { "UID and nothing behind SP", IMAPSTATE_SPAN("a UID \r\n"), IMAPSTATE_SYNTAX, "a", "UID", "", "", false },
    { "UID and two SP", IMAPSTATE_SPAN("a UID  FETCH 1\r\n"), IMAPSTATE_SYNTAX, "a", "UID", "", "", false },
    { "UID and what is no atom", IMAPSTATE_SPAN("a UID FETCH\t1\r\n"), IMAPSTATE_SYNTAX, "a", "UID", "", "", false },
    { "an unknown command", IMAPSTATE_SPAN("a XYZZY {5}\r\n"), IMAPSTATE_OK, "a", "XYZZY", "{5}", "", true },
    { "a tag with ] and other characters", IMAPSTATE_SPAN("]a.b}~'& NOOP\r\n"), IMAPSTATE_OK, "]a.b}~'&", "NOOP", "", "NOOP", false },
    { "no line end at all", IMAPSTATE_SPAN("a NOOP"), IMAPSTATE_OK, "a", "NOOP", "", "NOOP", false },

    { "an empty line", IMAPSTATE_SPAN("\r\n"), IMAPSTATE_SYNTAX, "", "", "", "", false },
    { "no octets", IMAPSTATE_SPAN(""), IMAPSTATE_SYNTAX, "", "", "", "", false },
    { "a tag alone", IMAPSTATE_SPAN("a1\r\n"), IMAPSTATE_SYNTAX, "a1", "", "", "", false },
    { "a tag and SP", IMAPSTATE_SPAN("a1 \r\n"), IMAPSTATE_SYNTAX, "a1", "", "", "", false },
    { "two SP behind the tag", IMAPSTATE_SPAN("a1  NOOP\r\n"), IMAPSTATE_SYNTAX, "a1", "", "", "", false },
    { "an SP before the tag", IMAPSTATE_SPAN(" a1 NOOP\r\n"), IMAPSTATE_SYNTAX, "", "", "", "", false },
    { "TAB behind the tag", IMAPSTATE_SPAN("a1\tNOOP\r\n"), IMAPSTATE_SYNTAX, "", "", "", "", false },
    { "TAB behind the name", IMAPSTATE_SPAN("a1 NOOP\t\r\n"), IMAPSTATE_SYNTAX, "a1", "NOOP", "", "", false },
    { "NUL in the name", IMAPSTATE_SPAN("a1 NO\0OP\r\n"), IMAPSTATE_SYNTAX, "a1", "NO", "", "", false },
    { "NUL in the tag", IMAPSTATE_SPAN("a\0b NOOP\r\n"), IMAPSTATE_SYNTAX, "", "", "", "", false },
    { "a quoted name", IMAPSTATE_SPAN("a \"NOOP\"\r\n"), IMAPSTATE_SYNTAX, "a", "", "", "", false },
    { "a literal for a name", IMAPSTATE_SPAN("a {4+}\r\n"), IMAPSTATE_SYNTAX, "a", "", "", "", false },
    { "a name with ]", IMAPSTATE_SPAN("a NOOP]\r\n"), IMAPSTATE_SYNTAX, "a", "NOOP", "", "", false },
    { "a name with 8-bit octets", IMAPSTATE_SPAN("a NOOP\xc3\xa4\r\n"), IMAPSTATE_SYNTAX, "a", "NOOP", "", "", false },
    { "* for a tag", IMAPSTATE_SPAN("* NOOP\r\n"), IMAPSTATE_SYNTAX, "", "", "", "", false },
    { "+ for a tag", IMAPSTATE_SPAN("+ NOOP\r\n"), IMAPSTATE_SYNTAX, "", "", "", "", false },
    { "a tag with +", IMAPSTATE_SPAN("a+b NOOP\r\n"), IMAPSTATE_SYNTAX, "", "", "", "", false },
    { "a tag with a quote", IMAPSTATE_SPAN("a\"b NOOP\r\n"), IMAPSTATE_SYNTAX, "", "", "", "", false },
    { "a tag with 8-bit octets", IMAPSTATE_SPAN("\xc3\xa4 NOOP\r\n"), IMAPSTATE_SYNTAX, "", "", "", "", false },
    { "a tag with DEL", IMAPSTATE_SPAN("a\x7f NOOP\r\n"), IMAPSTATE_SYNTAX, "", "", "", "", false },
    /* clang-format on */
};

TEST(a_line_is_taken_apart_into_tag_name_and_arguments)
{
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct imapstate_command_line parts;
        CHECK_ROW(lines[i].name, imapstate_command_parse(lines[i].line, &parts) == lines[i].want);
        CHECK_SPAN(lines[i].name, parts.tag, imapstate_span_of(lines[i].tag));
        CHECK_SPAN(lines[i].name, parts.name, imapstate_span_of(lines[i].command_name));
        CHECK_SPAN(lines[i].name, parts.arguments, imapstate_span_of(lines[i].arguments));
        CHECK_SPAN(lines[i].name, imapstate_span_of(parts.command->name), imapstate_span_of(lines[i].row));
        CHECK_ROW(lines[i].name, parts.has_arguments_sp == lines[i].has_arguments_sp);
    }
}

/* Memory that ends where the octets end, so that a sanitizer sees a read behind them. */
static uint8_t *copy_new(struct imapstate_span span, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, span.at, len);
    return copy;
}

TEST(a_line_that_is_cut_off_anywhere_is_taken_apart_inside_its_octets)
{
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        for (size_t len = 0; len <= lines[i].line.len; len++) {
            uint8_t *copy = copy_new(lines[i].line, len);
            struct imapstate_command_line parts;
            imapstate_command_parse((struct imapstate_span){ copy, len }, &parts);
            CHECK_ROW(lines[i].name, parts.tag.len + parts.name.len + parts.arguments.len <= len);
            free(copy);
        }
}

static const struct {
    const char *name;
    struct imapstate_span in;
    size_t max;
    enum imapstate_error want;
    struct imapstate_span value, rest;
} astrings[] = {
    /* clang-format off */
    { "an atom", IMAPSTATE_SPAN("abc def"), 9, IMAPSTATE_OK, IMAPSTATE_SPAN("abc"), IMAPSTATE_SPAN(" def") },
    { "an atom with ]", IMAPSTATE_SPAN("a]b"), 9, IMAPSTATE_OK, IMAPSTATE_SPAN("a]b"), IMAPSTATE_SPAN("") },
    { "NIL is an atom", IMAPSTATE_SPAN("NIL"), 9, IMAPSTATE_OK, IMAPSTATE_SPAN("NIL"), IMAPSTATE_SPAN("") },
    { "an atom ends at )", IMAPSTATE_SPAN("a)"), 9, IMAPSTATE_OK, IMAPSTATE_SPAN("a"), IMAPSTATE_SPAN(")") },
    { "8-bit octets are in no atom", IMAPSTATE_SPAN("ab\xc3\xa4"), 9, IMAPSTATE_SYNTAX, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },
    { "a list is no astring", IMAPSTATE_SPAN("(a)"), 9, IMAPSTATE_SYNTAX, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },
    { "a wildcard is no astring", IMAPSTATE_SPAN("%"), 9, IMAPSTATE_SYNTAX, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },
    { "an SP is no astring", IMAPSTATE_SPAN(" a"), 9, IMAPSTATE_SYNTAX, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },
    { "nothing is no astring", IMAPSTATE_SPAN(""), 9, IMAPSTATE_SYNTAX, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },
    { "an atom that is too long", IMAPSTATE_SPAN("abcdefghij"), 9, IMAPSTATE_LITERAL_TOO_LARGE, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },

    { "a quoted string", IMAPSTATE_SPAN("\"a b\" c"), 9, IMAPSTATE_OK, IMAPSTATE_SPAN("a b"), IMAPSTATE_SPAN(" c") },
    { "an empty quoted string", IMAPSTATE_SPAN("\"\""), 9, IMAPSTATE_OK, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },
    { "escapes", IMAPSTATE_SPAN("\"\\\"a\\\\b\\\"\""), 9, IMAPSTATE_OK, IMAPSTATE_SPAN("\"a\\b\""), IMAPSTATE_SPAN("") },
    { "8-bit octets may be quoted", IMAPSTATE_SPAN("\"\xc3\xa4\""), 9, IMAPSTATE_OK, IMAPSTATE_SPAN("\xc3\xa4"), IMAPSTATE_SPAN("") },
    { "an escape that need not be", IMAPSTATE_SPAN("\"ab\\c\\\xc3\""), 9, IMAPSTATE_OK, IMAPSTATE_SPAN("abc\xc3"), IMAPSTATE_SPAN("") },
    { "an escaped NUL", IMAPSTATE_SPAN("\"a\\\0\""), 9, IMAPSTATE_SYNTAX, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },
    { "an escaped CR", IMAPSTATE_SPAN("\"a\\\r\""), 9, IMAPSTATE_SYNTAX, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },
    { "an escaped LF", IMAPSTATE_SPAN("\"a\\\n\""), 9, IMAPSTATE_SYNTAX, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },
    { "an open quoted string", IMAPSTATE_SPAN("\"a\\\""), 9, IMAPSTATE_SYNTAX, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },
    { "an escape of nothing", IMAPSTATE_SPAN("\"a\\"), 9, IMAPSTATE_SYNTAX, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },
    { "NUL in a quoted string", IMAPSTATE_SPAN("\"a\0\""), 9, IMAPSTATE_SYNTAX, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },
    { "CR in a quoted string", IMAPSTATE_SPAN("\"a\r\""), 9, IMAPSTATE_SYNTAX, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },
    { "LF in a quoted string", IMAPSTATE_SPAN("\"a\n\""), 9, IMAPSTATE_SYNTAX, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },
    { "a quoted string of just the limit", IMAPSTATE_SPAN("\"a\\\"c\""), 3, IMAPSTATE_OK, IMAPSTATE_SPAN("a\"c"), IMAPSTATE_SPAN("") },
    { "a quoted string that is too long", IMAPSTATE_SPAN("\"a\\\"cd\""), 3, IMAPSTATE_LITERAL_TOO_LARGE, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },

    { "a literal", IMAPSTATE_SPAN("{3}\r\na\r\n b"), 9, IMAPSTATE_OK, IMAPSTATE_SPAN("a\r\n"), IMAPSTATE_SPAN(" b") },
    { "a literal that does not wait", IMAPSTATE_SPAN("{3+}\r\n\"{\\"), 9, IMAPSTATE_OK, IMAPSTATE_SPAN("\"{\\"), IMAPSTATE_SPAN("") },
    { "a literal behind LF alone", IMAPSTATE_SPAN("{1}\na"), 9, IMAPSTATE_OK, IMAPSTATE_SPAN("a"), IMAPSTATE_SPAN("") },
    { "an empty literal", IMAPSTATE_SPAN("{0}\r\n x"), 9, IMAPSTATE_OK, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN(" x") },
    { "a literal that is not all there", IMAPSTATE_SPAN("{3}\r\nab"), 9, IMAPSTATE_SYNTAX, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },
    { "NUL in a literal", IMAPSTATE_SPAN("{3}\r\na\0b"), 9, IMAPSTATE_SYNTAX, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },
    { "a literal without digits", IMAPSTATE_SPAN("{}\r\n"), 9, IMAPSTATE_SYNTAX, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },
    { "a literal without its line end", IMAPSTATE_SPAN("{1}a"), 9, IMAPSTATE_SYNTAX, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },
    { "a literal with an SP behind", IMAPSTATE_SPAN("{1} \r\na"), 9, IMAPSTATE_SYNTAX, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },
    { "a literal with CR alone behind", IMAPSTATE_SPAN("{1}\ra"), 9, IMAPSTATE_SYNTAX, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },
    { "a literal that is not closed", IMAPSTATE_SPAN("{1\r\na"), 9, IMAPSTATE_SYNTAX, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },
    { "a literal of just the limit", IMAPSTATE_SPAN("{3}\r\nabc"), 3, IMAPSTATE_OK, IMAPSTATE_SPAN("abc"), IMAPSTATE_SPAN("") },
    { "a literal that is too long", IMAPSTATE_SPAN("{4}\r\nabcd"), 3, IMAPSTATE_LITERAL_TOO_LARGE, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },
    { "a literal over 32 bits", IMAPSTATE_SPAN("{4294967297}\r\na"), 9, IMAPSTATE_LITERAL_TOO_LARGE, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },
    /* clang-format on */
};

TEST(an_astring_is_read_in_each_of_its_forms)
{
    for (size_t i = 0; i < ARRAY_LEN(astrings); i++) {
        struct imapstate_span in = astrings[i].in, want = astrings[i].want == IMAPSTATE_OK ? astrings[i].rest : in;
        struct imapstate_buf value;
        /* What is in the buffer already stays. */
        imapstate_buf_init(&value, astrings[i].max + 2);
        assert_true(imapstate_buf_put(&value, IMAPSTATE_SPAN("x:")));
        CHECK_ROW(astrings[i].name, imapstate_command_astring(&in, &value) == astrings[i].want);
        CHECK_SPAN(astrings[i].name, ((struct imapstate_span){ value.at + 2, value.len - 2 }), astrings[i].value);
        CHECK_ROW(astrings[i].name, memcmp(value.at, "x:", 2) == 0);
        CHECK_SPAN(astrings[i].name, in, want);
        imapstate_buf_done(&value);
    }
}

TEST(an_astring_that_is_cut_off_anywhere_is_not_read_beyond_its_octets)
{
    for (size_t i = 0; i < ARRAY_LEN(astrings); i++)
        for (size_t len = 0; len < astrings[i].in.len; len++) {
            uint8_t *copy = copy_new(astrings[i].in, len);
            struct imapstate_span in = { copy, len };
            struct imapstate_buf value;
            imapstate_buf_init(&value, astrings[i].max);
            bool is_read = imapstate_command_astring(&in, &value) == IMAPSTATE_OK;
            CHECK_ROW(astrings[i].name, in.at + in.len == copy + len && (is_read || in.at == copy));
            CHECK_ROW(astrings[i].name, value.len <= len && (is_read || value.len == 0));
            imapstate_buf_done(&value);
            free(copy);
        }
}

static const struct {
    const char *name;
    struct imapstate_span in;
    enum imapstate_error want;
    struct imapstate_span value, rest;
} login_strings[] = {
    /* clang-format off */
    { "an atom", IMAPSTATE_SPAN("ann secret"), IMAPSTATE_OK, IMAPSTATE_SPAN("ann"), IMAPSTATE_SPAN(" secret") },
    { "what is in no atom", IMAPSTATE_SPAN("%*()a{5}\\]\x01\x7f\xc3\xa4"), IMAPSTATE_OK, IMAPSTATE_SPAN("%*()a{5}\\]\x01\x7f\xc3\xa4"), IMAPSTATE_SPAN("") },
    { "blanks before it", IMAPSTATE_SPAN(" \t ann"), IMAPSTATE_OK, IMAPSTATE_SPAN("ann"), IMAPSTATE_SPAN("") },
    { "blanks behind it", IMAPSTATE_SPAN("ann\t "), IMAPSTATE_OK, IMAPSTATE_SPAN("ann"), IMAPSTATE_SPAN("\t ") },
    { "NIL", IMAPSTATE_SPAN("NIL"), IMAPSTATE_OK, IMAPSTATE_SPAN("NIL"), IMAPSTATE_SPAN("") },
    { "a quote in an atom", IMAPSTATE_SPAN("a\"b\""), IMAPSTATE_SYNTAX, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },
    { "NUL in an atom", IMAPSTATE_SPAN("a\0b"), IMAPSTATE_SYNTAX, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },
    { "CR in an atom", IMAPSTATE_SPAN("a{1}\r\nb"), IMAPSTATE_SYNTAX, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },
    { "LF in an atom", IMAPSTATE_SPAN("a\nb"), IMAPSTATE_SYNTAX, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },
    { "a quoted string", IMAPSTATE_SPAN("  \"a b\"\"c\""), IMAPSTATE_OK, IMAPSTATE_SPAN("a b"), IMAPSTATE_SPAN("\"c\"") },
    { "a literal", IMAPSTATE_SPAN(" {3}\r\na\"b c"), IMAPSTATE_OK, IMAPSTATE_SPAN("a\"b"), IMAPSTATE_SPAN(" c") },
    { "an atom that could be a literal", IMAPSTATE_SPAN("{5x}"), IMAPSTATE_SYNTAX, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },
    { "nothing but blanks", IMAPSTATE_SPAN(" \t"), IMAPSTATE_SYNTAX, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },
    { "nothing", IMAPSTATE_SPAN(""), IMAPSTATE_SYNTAX, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("") },
    /* clang-format on */
};

TEST(an_argument_of_login_is_read_as_the_most_lenient_server_does)
{
    for (size_t i = 0; i < ARRAY_LEN(login_strings); i++) {
        uint8_t *copy = copy_new(login_strings[i].in, login_strings[i].in.len);
        struct imapstate_span in = { copy, login_strings[i].in.len };
        struct imapstate_buf value;
        imapstate_buf_init(&value, 64);
        CHECK_ROW(login_strings[i].name, imapstate_command_login_string(&in, &value) == login_strings[i].want);
        CHECK_SPAN(login_strings[i].name, imapstate_buf_span(&value), login_strings[i].value);
        CHECK_SPAN(login_strings[i].name, in,
                   login_strings[i].want == IMAPSTATE_OK ? login_strings[i].rest : login_strings[i].in);
        imapstate_buf_done(&value);
        free(copy);
    }
}

TEST(a_value_that_was_not_read_is_wiped)
{
    struct imapstate_buf value;
    imapstate_buf_init(&value, 64);
    struct imapstate_span in = IMAPSTATE_SPAN("\"secret\\\"more\0\"");
    assert_int_equal(imapstate_command_astring(&in, &value), IMAPSTATE_SYNTAX);
    assert_non_null(value.at);
    assert_null(memmem(value.at, 64, "secret", 6));
    assert_null(memmem(value.at, 64, "more", 4));
    imapstate_buf_done(&value);
}

TEST(arguments_that_may_switch_condstore_on_are_seen_and_no_names_are_taken_for_them)
{
    static const struct {
        const char *name;
        struct imapstate_span in;
        bool want;
    } rows[] = {
        /* clang-format off */
        { "XYZZY", IMAPSTATE_SPAN("INBOX (CONDSTORE)"), true },
        { "XYZZY", IMAPSTATE_SPAN("INBOX (qresync (1 2))"), true },
        { "XYZZY", IMAPSTATE_SPAN("1 FLAGS (CHANGEDSINCE 1)"), true },
        { "XYZZY", IMAPSTATE_SPAN("1 (UnchangedSince 5) FLAGS ()"), true },
        { "XYZZY", IMAPSTATE_SPAN("MODSEQ"), true },
        { "XYZZY", IMAPSTATE_SPAN("SET (SELECTED (flagchange))"), true },
        { "XYZZY", IMAPSTATE_SPAN("\"MOD\\SEQ\" 1"), true },
        { "XYZZY", IMAPSTATE_SPAN("\"\\M\\O\\D\\S\\E\\Q\" 1"), true },
        { "XYZZY", IMAPSTATE_SPAN("xxMODSEQxx"), true },
        { "XYZZY", IMAPSTATE_SPAN("MODMODSEQ"), true },
        { "XYZZY", IMAPSTATE_SPAN("MODSE"), false },
        { "XYZZY", IMAPSTATE_SPAN("MODSE\\"), false },
        { "XYZZY", IMAPSTATE_SPAN("MOD SEQ"), false },
        { "XYZZY", IMAPSTATE_SPAN("CHANGEDSINC CONDSTOR QRESYN FLAGCHANG"), false },
        { "XYZZY", IMAPSTATE_SPAN("1:* (FLAGS BODY[HEADER.FIELDS (DATE)])"), false },
        { "XYZZY", IMAPSTATE_SPAN("MOD\0SEQ"), false },
        { "XYZZY", IMAPSTATE_SPAN(""), false },
        { "SELECT", IMAPSTATE_SPAN("INBOX (CONDSTORE)\r\n"), true },
        { "EXAMINE", IMAPSTATE_SPAN("qresync (QRESYNC (1 2))"), true },
        { "SELECT", IMAPSTATE_SPAN("modseq"), false },
        { "SELECT", IMAPSTATE_SPAN("\"x (CONDSTORE)\""), false },
        { "SELECT", IMAPSTATE_SPAN("\"x\\\" y\" (CONDSTORE)"), true },
        { "SELECT", IMAPSTATE_SPAN("\"x\"(CONDSTORE)"), true },
        { "SELECT", IMAPSTATE_SPAN("x(CONDSTORE)"), true },
        { "SELECT", IMAPSTATE_SPAN("x\"y (CONDSTORE)\""), true },
        { "SELECT", IMAPSTATE_SPAN("(CONDSTORE)"), true },
        { "SELECT", IMAPSTATE_SPAN("modseq)"), false },
        { "SELECT", IMAPSTATE_SPAN("\"CONDSTORE"), true },
        { "SELECT", IMAPSTATE_SPAN("  x   (condstore)"), true },
        { "SELECT", IMAPSTATE_SPAN(" \"\\\"CONDSTORE\""), false },
        { "SELECT", IMAPSTATE_SPAN("\"CONDSTORE\\"), true },
        { "STATUS", IMAPSTATE_SPAN("modseq (MESSAGES)"), false },
        { "STATUS", IMAPSTATE_SPAN("modseq (HIGHESTMODSEQ)"), true },
        { "STATUS", IMAPSTATE_SPAN("INBOX (\"HIGHEST\\MODSEQ\")"), true },
        { "STATUS", IMAPSTATE_SPAN("INBOX MODSEQ"), true },
        { "STORE", IMAPSTATE_SPAN("1 +FLAGS (modseq $qresync)"), false },
        { "STORE", IMAPSTATE_SPAN("1 (UNCHANGEDSINCE 1) FLAGS ()"), true },
        { "UID STORE", IMAPSTATE_SPAN("1 (\"UNCHANGED\\SINCE\" 1) FLAGS ()"), true },
        { "STORE", IMAPSTATE_SPAN("1 FLAGS (x) (UNCHANGEDSINCE 1)"), false },
        { "STORE", IMAPSTATE_SPAN("1  (UNCHANGEDSINCE 1) FLAGS ()"), true },
        { "STORE", IMAPSTATE_SPAN("1 FLAGS modseq"), false },
        { "STORE", IMAPSTATE_SPAN("(UNCHANGEDSINCE 1)"), true },
        { "STORE", IMAPSTATE_SPAN("1(UNCHANGEDSINCE 1) FLAGS ()"), true },
        { "STORE", IMAPSTATE_SPAN("1 (UNCHANGEDSINCE 1"), true },
        { "LIST", IMAPSTATE_SPAN("\"\" \"modseq*\""), false },
        { "LIST", IMAPSTATE_SPAN("modseq qresync"), false },
        { "LIST", IMAPSTATE_SPAN("\"\" (modseq \"qresync\")"), false },
        { "LIST", IMAPSTATE_SPAN("(SUBSCRIBED) modseq qresync"), false },
        { "LIST", IMAPSTATE_SPAN("\"\" % RETURN (STATUS (HIGHESTMODSEQ))"), true },
        { "LIST", IMAPSTATE_SPAN("(SUBSCRIBED) \"\" (% x) RETURN (STATUS (HIGHESTMODSEQ))"), true },
        { "LIST", IMAPSTATE_SPAN("\"\" \"%\" \"MODSEQ\""), true },
        { "LIST", IMAPSTATE_SPAN("\"\" %modseq"), false },
        { "LIST", IMAPSTATE_SPAN("\"\"\"\" RETURN (STATUS (HIGHESTMODSEQ))"), true },
        { "LIST", IMAPSTATE_SPAN("\"\" x(HIGHESTMODSEQ)"), true },
        { "LIST", IMAPSTATE_SPAN("() () () (HIGHESTMODSEQ)"), true },
        { "LSUB", IMAPSTATE_SPAN("\"\" \"modseq*\""), false },
        { "GETQUOTAROOT", IMAPSTATE_SPAN("\"qresync\""), false },
        { "CREATE", IMAPSTATE_SPAN("modseq (CONDSTORE)"), false },
        { "ID", IMAPSTATE_SPAN("(\"name\" \"qresync\")"), false },
        { "APPEND", IMAPSTATE_SPAN("modseq ($qresync)"), false },
        { "COPY", IMAPSTATE_SPAN("1 modseq"), false },
        { "SEARCH", IMAPSTATE_SPAN("MODSEQ 1"), true },
        { "UID SEARCH", IMAPSTATE_SPAN("modseq 1"), true },
        { "SEARCH", IMAPSTATE_SPAN("SUBJECT \"modseq\""), false },
        { "SEARCH", IMAPSTATE_SPAN("SUBJECT modseq OR TEXT \"qresync\" (BODY modseq KEYWORD $condstore UNKEYWORD modseq)"), false },
        { "SEARCH", IMAPSTATE_SPAN("HEADER modseq \"qresync\" FROM modseq TO modseq CC modseq BCC modseq"), false },
        { "SEARCH", IMAPSTATE_SPAN("HEADER modseq x MODSEQ 5"), true },
        { "SEARCH", IMAPSTATE_SPAN("SUBJECT x MODSEQ 5"), true },
        { "SEARCH", IMAPSTATE_SPAN("(SUBJECT x (MODSEQ 5))"), true },
        { "SEARCH", IMAPSTATE_SPAN("NOT (MODSEQ 5)"), true },
        { "SEARCH", IMAPSTATE_SPAN("\"SUBJECT\" MODSEQ 5"), true },
        { "SEARCH", IMAPSTATE_SPAN("SUBJECT (MODSEQ 5)"), true },
        { "SEARCH", IMAPSTATE_SPAN("SUBJECT) MODSEQ 5"), true },
        { "SEARCH", IMAPSTATE_SPAN("SUBJECT"), false },
        { "SEARCH", IMAPSTATE_SPAN("X-GM-RAW \"modseq\""), true },
        { "SEARCH", IMAPSTATE_SPAN("SUBJECT x\"MODSEQ 5\""), true },
        { "SEARCH", IMAPSTATE_SPAN("SUBJECT \"x\"MODSEQ 5"), true },
        { "SEARCH", IMAPSTATE_SPAN("SUBJECT \"\"MODSEQ 5"), true },
        { "SEARCH", IMAPSTATE_SPAN("RETURN (ALL) CHARSET UTF-8 SUBJECT modseq"), false },
        { "SEARCH", IMAPSTATE_SPAN("TEXT a MODSEQ \"/flags/x\" all 1"), true },
        { "SEARCH", IMAPSTATE_SPAN("((((((TEXT modseq))))))"), false },
        { "SEARCH", IMAPSTATE_SPAN("SUBJECT \"a\\\"b\" MODSEQ 5"), true },
        { "SEARCH", IMAPSTATE_SPAN("SUBJECT \"modseq"), true },
        { "SORT", IMAPSTATE_SPAN("(SUBJECT) UTF-8 MODSEQ 5"), true },
        { "SORT", IMAPSTATE_SPAN("(SUBJECT FROM) UTF-8 SUBJECT modseq"), false },
        { "UID SORT", IMAPSTATE_SPAN("RETURN (ALL) (DATE) UTF-8 FROM modseq"), false },
        { "UID SORT", IMAPSTATE_SPAN("RETURN (ALL) (SUBJECT) UTF-8 MODSEQ 5"), true },
        { "SORT", IMAPSTATE_SPAN("(SUBJECT) MODSEQ"), false },
        { "SORT", IMAPSTATE_SPAN("SUBJECT (MODSEQ 5)"), true },
        { "THREAD", IMAPSTATE_SPAN("REFERENCES UTF-8 SUBJECT qresync"), false },
        { "UID THREAD", IMAPSTATE_SPAN("REFERENCES UTF-8 MODSEQ 5"), true },
        { "FETCH", IMAPSTATE_SPAN("1 (MODSEQ)"), true },
        { "UID FETCH", IMAPSTATE_SPAN("1 (FLAGS) (CHANGEDSINCE 1)"), true },
        { "FETCH", IMAPSTATE_SPAN("1 FLAGS"), false },
        { "NOTIFY", IMAPSTATE_SPAN("SET (personal (FlagChange))"), true },
        { "ENABLE", IMAPSTATE_SPAN("CONDSTORE"), true },
        { "ESEARCH", IMAPSTATE_SPAN("IN (personal) MODSEQ 5"), true },
        /* clang-format on */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t *copy = copy_new(rows[i].in, rows[i].in.len);
        const struct imapstate_command *command = imapstate_command_find(imapstate_span_of(rows[i].name));
        bool got = imapstate_command_may_enable(command, (struct imapstate_span){ copy, rows[i].in.len });
        CHECK_ROW((const char *)rows[i].in.at, got == rows[i].want);
        free(copy);
    }
}

TEST(what_may_switch_condstore_on_is_looked_for_inside_of_the_arguments)
{
    static const struct imapstate_span in = IMAPSTATE_SPAN("(\"a\\\"b\" (x SUBJECT \"\\\\\" y)) \"c\" MODSE (d\\");
    const struct imapstate_command *row;
    for (size_t len = 0; len <= in.len; len++)
        for (size_t i = 0; (row = imapstate_command_at(i)); i++) {
            uint8_t *copy = copy_new(in, len);
            assert_false(imapstate_command_may_enable(row, (struct imapstate_span){ copy, len }));
            free(copy);
        }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_sorted_and_every_name_finds_its_row),
        cmocka_unit_test(ids_keep_their_numbers),
        cmocka_unit_test(names_are_found_in_any_case_and_nothing_else_is),
        cmocka_unit_test(an_unknown_command_is_neither_repeated_nor_parked_nor_trusted_with_literals),
        cmocka_unit_test(rows_hold_what_the_protocol_says),
        cmocka_unit_test(nothing_that_changes_a_mailbox_is_repeatable),
        cmocka_unit_test(a_line_is_taken_apart_into_tag_name_and_arguments),
        cmocka_unit_test(a_line_that_is_cut_off_anywhere_is_taken_apart_inside_its_octets),
        cmocka_unit_test(an_astring_is_read_in_each_of_its_forms),
        cmocka_unit_test(an_astring_that_is_cut_off_anywhere_is_not_read_beyond_its_octets),
        cmocka_unit_test(an_argument_of_login_is_read_as_the_most_lenient_server_does),
        cmocka_unit_test(a_value_that_was_not_read_is_wiped),
        cmocka_unit_test(arguments_that_may_switch_condstore_on_are_seen_and_no_names_are_taken_for_them),
        cmocka_unit_test(what_may_switch_condstore_on_is_looked_for_inside_of_the_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
