#include "check.h"

#include <imapstate/command.h>
#include <imapstate/storable.h>

#include <stdlib.h>
#include <string.h>

TEST(a_row_is_found_by_its_kind_and_by_its_response)
{
    for (unsigned kind = 0; kind <= 300; kind++) {
        const struct imapstate_storable *storable = imapstate_storable_find(kind);
        assert_true((storable != NULL) == (kind >= IMAPSTATE_ENTRY_ENABLE && kind <= IMAPSTATE_ENTRY_NOTIFY));
        if (!storable)
            continue;
        assert_int_equal(storable->kind, kind);
        CHECK_ROW(storable->command, (storable->response == NULL) == (storable->proof == IMAPSTATE_PROOF_ANSWER));
        if (storable->response)
            CHECK_ROW(storable->command,
                      imapstate_storable_of_response(imapstate_span_of(storable->response)) == storable);
    }
    assert_int_equal(imapstate_storable_of_response(IMAPSTATE_SPAN("enabled"))->kind, IMAPSTATE_ENTRY_ENABLE);
    assert_null(imapstate_storable_of_response(IMAPSTATE_SPAN("ENABLE")));
    assert_null(imapstate_storable_of_response(IMAPSTATE_SPAN("NOTIFY")));
    assert_null(imapstate_storable_of_response(IMAPSTATE_SPAN("")));
}

/* The command table says by its kind only that a command is stored. */
TEST(the_command_table_and_this_one_name_the_same_commands)
{
    const struct imapstate_command *row;
    size_t stored = 0;
    for (size_t i = 0; (row = imapstate_command_at(i)); i++) {
        const struct imapstate_storable *storable = imapstate_storable_find(row->stored);
        stored += storable != NULL;
        CHECK_ROW(row->name,
                  !storable ? row->stored == IMAPSTATE_ENTRY_NONE : strcmp(row->name, storable->command) == 0);
    }
    assert_int_equal(stored, 4);
}

#define LANGUAGE   IMAPSTATE_ENTRY_LANGUAGE
#define COMPARATOR IMAPSTATE_ENTRY_COMPARATOR

static const struct {
    const char *name;
    unsigned kind;
    const char *arguments, *value; /* NULL: it says none */
} choices[] = {
    { "a language", LANGUAGE, "(de)\r\n", "de" },
    { "without a line end", LANGUAGE, "(de)", "de" },
    { "LF alone", LANGUAGE, "(de)\n", "de" },
    { "SP before", LANGUAGE, "  (de)\r\n", "de" },
    { "in quotes", LANGUAGE, "(\"de-AT\")\r\n", "de-AT" },
    { "an offer", LANGUAGE, "(de en)\r\n", NULL },
    { "no list", LANGUAGE, "de\r\n", NULL },
    { "an empty list", LANGUAGE, "()\r\n", NULL },
    { "a list that does not end", LANGUAGE, "(de\r\n", NULL },
    { "more behind it", LANGUAGE, "(de) x\r\n", NULL },
    { "a literal that is not there", LANGUAGE, "({2}\r\n", NULL },
    { "no language", LANGUAGE, "\r\n", NULL },
    { "a comparator", COMPARATOR, "i;ascii-casemap\r\n", "i;ascii-casemap" },
    { "a quoted one, and those that there are", COMPARATOR, "\"i;octet\" (i;octet i;unicode-casemap)\r\n", "i;octet" },
    { "only those that there are", COMPARATOR, "(i;octet)\r\n", NULL },
    { "no comparator", COMPARATOR, "\r\n", NULL },
    { "names are no choice", IMAPSTATE_ENTRY_ENABLE, "CONDSTORE\r\n", NULL },
    { "nor are a NOTIFY's arguments", IMAPSTATE_ENTRY_NOTIFY, "NONE\r\n", NULL },
};

TEST(a_choice_is_read_from_the_response)
{
    for (size_t i = 0; i < ARRAY_LEN(choices); i++) {
        struct imapstate_buf value;
        imapstate_buf_init(&value, 64);
        assert_true(imapstate_buf_put_byte(&value, '<'));
        enum imapstate_error error = imapstate_storable_choice(imapstate_storable_find(choices[i].kind),
                                                               imapstate_span_of(choices[i].arguments), &value);
        CHECK_ROW(choices[i].name, (error == IMAPSTATE_OK) == (choices[i].value != NULL));
        CHECK_ROW(choices[i].name, error == IMAPSTATE_OK || error == IMAPSTATE_SYNTAX);
        CHECK_ROW(choices[i].name, value.at[0] == '<');
        struct imapstate_span appended = { value.at + 1, value.len - 1 };
        CHECK_SPAN(choices[i].name, appended, imapstate_span_of(choices[i].value ? choices[i].value : ""));
        imapstate_buf_done(&value);
    }
}

/* On memory of the exact size, so that a sanitizer sees a read behind the end. A list that is cut says nothing, and a
 * string what of it is there. */
TEST(a_choice_that_is_cut_is_never_another_language)
{
    for (size_t i = 0; i < ARRAY_LEN(choices); i++)
        for (size_t len = 0; len < strlen(choices[i].arguments); len++) {
            struct imapstate_buf value;
            uint8_t *cut = malloc(len ? len : 1);
            assert_non_null(cut);
            memcpy(cut, choices[i].arguments, len);
            imapstate_buf_init(&value, 64);
            struct imapstate_span arguments = { cut, len };
            enum imapstate_error error =
                imapstate_storable_choice(imapstate_storable_find(choices[i].kind), arguments, &value);
            if (choices[i].kind == LANGUAGE && error == IMAPSTATE_OK)
                CHECK_SPAN(choices[i].name, imapstate_buf_span(&value),
                           imapstate_span_of(choices[i].value ? choices[i].value : "de"));
            CHECK_ROW(choices[i].name, (error == IMAPSTATE_OK) == (value.len > 0));
            imapstate_buf_done(&value);
            free(cut);
        }
}

TEST(a_choice_that_does_not_fit_is_none)
{
    for (size_t max = 0; max < 4; max++) {
        struct imapstate_buf value;
        imapstate_buf_init(&value, max);
        enum imapstate_error want = max < 2 ? IMAPSTATE_LITERAL_TOO_LARGE : IMAPSTATE_OK;
        assert_int_equal(imapstate_storable_choice(imapstate_storable_find(LANGUAGE), IMAPSTATE_SPAN("(de)"), &value),
                         want);
        assert_int_equal(value.len, want == IMAPSTATE_OK ? 2 : 0);
        imapstate_buf_done(&value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_is_found_by_its_kind_and_by_its_response),
        cmocka_unit_test(the_command_table_and_this_one_name_the_same_commands),
        cmocka_unit_test(a_choice_is_read_from_the_response),
        cmocka_unit_test(a_choice_that_is_cut_is_never_another_language),
        cmocka_unit_test(a_choice_that_does_not_fit_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
