#include "check.h"

#include "table.h"
#include "tables.h"

#include <string.h>

static const char *const kinds[] = { "clients", "upstreams", "parked", "listeners", "keys", "users", "counters" };

TEST(each_table_fits_the_width_and_its_titles_fit_their_columns)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const struct table_column *column = tables_find(kinds[i]);
        int width = -1;
        CHECK_ROW(kinds[i], column);
        for (; column->title; column++) {
            CHECK_ROW(column->title, (int)strlen(column->title) <= column->width);
            CHECK_ROW(column->title, column->width > 3);
            width += column->width + 1;
        }
        CHECK_ROW(kinds[i], width <= TABLE_WIDTH - 1); /* some terminals wrap after the last column */
    }
}

TEST(what_is_no_table_has_none)
{
    assert_null(tables_find("config"));
    assert_null(tables_find("nix"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_table_fits_the_width_and_its_titles_fit_their_columns),
        cmocka_unit_test(what_is_no_table_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
