#include "check.h"

#include "table.h"

#include <string.h>

static const struct table_column columns[] = {
    { "NAME", "name", TABLE_TEXT, 8 }, { "COUNT", "count", TABLE_NUMBER, 5 }, { "AGE", "age", TABLE_TIME, 4 },
    { "TLS", "tls", TABLE_FLAG, 3 },   { "REST", "rest", TABLE_TEXT, 10 },    { NULL },
};

static char text[1024];

static const char *row(json_t *json)
{
    FILE *out = fmemopen(text, sizeof text, "w");
    assert_non_null(out);
    assert_non_null(json);
    table_print_row(columns, json, out);
    fclose(out);
    json_decref(json);
    return text;
}

TEST(cells_stand_below_their_titles)
{
    FILE *out = fmemopen(text, sizeof text, "w");
    assert_non_null(out);
    table_print_titles(columns, out);
    fclose(out);
    assert_string_equal(text, "NAME     COUNT  AGE TLS REST\n");
    assert_string_equal(
        row(json_pack("{ss si si sb s[ss]}", "name", "main", "count", 12, "age", 59, "tls", 1, "rest", "a", "b")),
        "main        12  59s yes a b\n");
}

TEST(what_is_too_long_is_cut_and_what_is_missing_is_a_dash)
{
    assert_string_equal(row(json_pack("{ss si ss}", "name", "a.long.name", "count", 1234567, "rest", "12345678901")),
                        "a.lon... 12...    - no  1234567...\n");
    assert_string_equal(row(json_pack("{sn s[]}", "name", "rest")), "-            -    - no  \n");
}

TEST(what_a_terminal_would_obey_is_not_printed)
{
    assert_int_equal(strncmp(row(json_pack("{ss}", "name", "a\x1b[2J\n\xc3\xa4")), "a?[2J???", 8), 0);
}

TEST(times_have_the_unit_that_fits)
{
    static const struct {
        int seconds;
        const char *text;
    } rows[] = { { 0, "0s" },      { 119, "119s" },   { 120, "2m" },    { 7199, "119m" },   { 7200, "2h" },
                 { 86400, "24h" }, { 172799, "47h" }, { 172800, "2d" }, { 8640000, "100d" } };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char wanted[64];
        snprintf(wanted, sizeof wanted, "%-8s %5s %4s", "-", "-", rows[i].text);
        CHECK_ROW(rows[i].text, strncmp(row(json_pack("{si}", "age", rows[i].seconds)), wanted, strlen(wanted)) == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_stand_below_their_titles),
        cmocka_unit_test(what_is_too_long_is_cut_and_what_is_missing_is_a_dash),
        cmocka_unit_test(what_a_terminal_would_obey_is_not_printed),
        cmocka_unit_test(times_have_the_unit_that_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
