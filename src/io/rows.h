/* rows: a row of counters for each name: of a listener, an upstream, an address. Names come from the configuration, and
 * from DNS; so that nobody who changes these often makes them grow without end, there are at most ROWS_MAX. All further
 * names, and those for which memory is out, share one row more.
 *
 * A row is a struct of the owner's whose first member is a struct row; the rest begins as zero. It stays where it is
 * until rows_done(). No locks. */
#ifndef IO_ROWS_H
#define IO_ROWS_H

#include <imapstate/span.h>
#include <stddef.h>

/* Without this uthash ends the process when out of memory. */
#ifndef HASH_NONFATAL_OOM
#define HASH_NONFATAL_OOM 1
#endif
#include <uthash.h>

#define ROWS_MAX 1024u

/* The name of the row that all further names share. */
#define ROWS_OTHER "other"

struct row {
    UT_hash_handle hh;
    struct imapstate_span name; /* owned, in front of a NUL; may hold NULs */
};

struct rows {
    struct row *first; /* next: row->hh.next, in the order in which they came */
    struct row *other; /* not in the list */
    size_t row_size;
    unsigned count;
};

/* other is a row of the owner's, which is zero and lives as long as the rows. */
void rows_init(struct rows *rows, size_t row_size, struct row *other);
void rows_done(struct rows *rows);

/* The row of that name, a new one if there was none. Never NULL. */
struct row *rows_have(struct rows *rows, struct imapstate_span name);

/* For each row of from: adds it to the row of the same name of into. */
typedef void rows_add_row(struct row *into, const struct row *from);
void rows_add(struct rows *into, const struct rows *from, rows_add_row *add);

#endif
