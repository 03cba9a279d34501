/* table: rows of JSON as lines for people, 80 columns wide at most. What is too long for its column is cut, with "..."
 * at its end; control characters, which may come from anywhere, become "?". */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#define TABLE_WIDTH 80

enum table_kind {
    TABLE_TEXT,   /* a string; a list of them, with spaces between; nothing for null */
    TABLE_NUMBER, /* an integer, at the right */
    TABLE_TIME,   /* seconds, in the unit that fits: "59s", "12m", "3h", "5d"; at the right */
    TABLE_FLAG,   /* "yes" or "no" */
};

struct table_column {
    const char *title; /* NULL: after the last column */
    const char *key;   /* in the row */
    enum table_kind kind;
    int width;
};

void table_print_titles(const struct table_column *columns, FILE *out);
void table_print_row(const struct table_column *columns, const json_t *row, FILE *out);

#endif
