/* tables: which columns "show" has for each kind of row. */
#ifndef CTL_TABLES_H
#define CTL_TABLES_H

struct table_column;

/* Of "show WHAT". NULL: it is no table; its rows are shown as they are. */
const struct table_column *tables_find(const char *what);

#endif
