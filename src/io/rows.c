#include "rows.h"

#include <stdlib.h>
#include <string.h>

void rows_init(struct rows *rows, size_t row_size, struct row *other)
{
    *rows = (struct rows){ .row_size = row_size, .other = other };
    /* As often as an address may follow behind a NUL (upstreamcounters.h). */
    other->name = IMAPSTATE_SPAN(ROWS_OTHER "\0" ROWS_OTHER);
}

static void row_free(struct row *row)
{
    free((void *)(uintptr_t)row->name.at);
    free(row);
}

void rows_done(struct rows *rows)
{
    while (rows->first) {
        struct row *row = rows->first;
        HASH_DEL(rows->first, row);
        row_free(row);
    }
    rows->count = 0;
}

static struct row *row_new(struct rows *rows, struct imapstate_span name)
{
    uint8_t *copy = malloc(name.len + 1);
    struct row *row = copy ? calloc(1, rows->row_size) : NULL;
    if (!row) {
        free(copy);
        return NULL;
    }
    memcpy(copy, name.at, name.len);
    copy[name.len] = '\0';
    row->name = (struct imapstate_span){ copy, name.len };
    HASH_ADD_KEYPTR(hh, rows->first, copy, name.len, row);
    if (row->hh.tbl) {
        rows->count++;
        return row;
    }
    row_free(row);
    return NULL;
}

struct row *rows_have(struct rows *rows, struct imapstate_span name)
{
    struct row *row;
    HASH_FIND(hh, rows->first, name.at, name.len, row);
    if (!row && rows->count < ROWS_MAX)
        row = row_new(rows, name);
    return row ? row : rows->other;
}

void rows_add(struct rows *into, const struct rows *from, rows_add_row *add)
{
    for (const struct row *row = from->first; row; row = row->hh.next)
        add(rows_have(into, row->name), row);
    add(into->other, from->other);
}
