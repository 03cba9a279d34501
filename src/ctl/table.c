#include "table.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Longer ones are cut anyway. */
#define CELL_MAX 256

static void cell_from_list(const json_t *list, char ret_text[CELL_MAX])
{
    size_t len = 0;
    *ret_text = '\0';
    for (size_t i = 0; i < json_array_size(list) && len < CELL_MAX; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        len += (size_t)snprintf(ret_text + len, CELL_MAX - len, "%s%s", i > 0 ? " " : "", text ? text : "");
    }
}

static void cell_from_time(json_int_t seconds, char ret_text[CELL_MAX])
{
    static const struct {
        json_int_t seconds;
        char unit;
    } units[] = { { 2 * 86400, 'd' }, { 2 * 3600, 'h' }, { 2 * 60, 'm' }, { 0, 's' } };
    size_t i = 0;
    while (seconds < units[i].seconds)
        i++;
    json_int_t each = units[i].seconds / 2;
    snprintf(ret_text, CELL_MAX, "%" JSON_INTEGER_FORMAT "%c", each > 0 ? seconds / each : seconds, units[i].unit);
}

static void cell_from_json(const struct table_column *column, const json_t *value, char ret_text[CELL_MAX])
{
    const char *text = json_string_value(value);
    if (column->kind == TABLE_FLAG)
        text = json_is_true(value) ? "yes" : "no";
    if (json_is_array(value))
        cell_from_list(value, ret_text);
    else if (json_is_integer(value) && column->kind == TABLE_TIME)
        cell_from_time(json_integer_value(value), ret_text);
    else if (json_is_integer(value))
        snprintf(ret_text, CELL_MAX, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else
        snprintf(ret_text, CELL_MAX, "%s", text ? text : "-");
    for (char *at = ret_text; *at; at++)
        if ((unsigned char)*at < ' ' || (unsigned char)*at >= 0x7f)
            *at = '?';
}

static void cell_print(const struct table_column *column, const char *text, FILE *out)
{
    char cut[CELL_MAX];
    bool is_right = column->kind == TABLE_NUMBER || column->kind == TABLE_TIME, is_last = !column[1].title;
    int width = column->width;
    snprintf(cut, sizeof cut, "%s", text);
    if ((int)strlen(cut) > width)
        memcpy(cut + width - 3, "...", 4);
    if (is_last && !is_right)
        width = 0; /* no spaces at a line's end */
    fprintf(out, is_right ? "%*s" : "%-*s", width, cut);
    fputs(is_last ? "\n" : " ", out);
}

void table_print_titles(const struct table_column *columns, FILE *out)
{
    for (; columns->title; columns++)
        cell_print(columns, columns->title, out);
}

void table_print_row(const struct table_column *columns, const json_t *row, FILE *out)
{
    char text[CELL_MAX];
    for (; columns->title; columns++) {
        cell_from_json(columns, json_object_get(row, columns->key), text);
        cell_print(columns, text, out);
    }
}
