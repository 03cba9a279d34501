#include "tables.h"

#include <stddef.h>
#include <string.h>

#include "table.h"

/* clang-format off */
static const struct table_column clients[] = {
    { "ID",    "id",     TABLE_TEXT, 9 },
    { "USER",  "user",   TABLE_TEXT, 16 },
    { "STATE", "state",  TABLE_TEXT, 17 },
    { "FROM",  "from",   TABLE_TEXT, 22 },
    { "AGE",   "age_s",  TABLE_TIME, 5 },
    { "IDLE",  "idle_s", TABLE_TIME, 5 },
    { NULL },
};
static const struct table_column upstreams[] = {
    { "NAME",      "name",       TABLE_TEXT,   10 },
    { "ADDRESS",   "address",    TABLE_TEXT,   17 },
    { "TLS",       "tls",        TABLE_TEXT,   8 },
    { "STATE",     "state",      TABLE_TEXT,   5 },
    { "WAIT",      "waiting",    TABLE_NUMBER, 5 },
    { "OPENING",   "connecting", TABLE_NUMBER, 7 },
    { "IN USE",    "connected",  TABLE_NUMBER, 6 },
    { "CLOSING",   "settling",   TABLE_NUMBER, 7 },
    { "PARKED",    "parked",     TABLE_NUMBER, 6 },
    { NULL },
};
static const struct table_column parked[] = {
    { "USER",     "user",     TABLE_TEXT, 22 },
    { "UPSTREAM", "upstream", TABLE_TEXT, 12 },
    { "SERVER",   "server",   TABLE_TEXT, 22 },
    { "KIND",     "kind",     TABLE_TEXT, 8 },
    { "SINCE",    "parked_s", TABLE_TIME, 5 },
    { "AGE",      "age_s",    TABLE_TIME, 5 },
    { NULL },
};
static const struct table_column listeners[] = {
    { "NAME",     "name",         TABLE_TEXT,   12 },
    { "ADDRESS",  "addresses",    TABLE_TEXT,   24 },
    { "TLS",      "tls",          TABLE_TEXT,   8 },
    { "STATE",    "state",        TABLE_TEXT,   8 },
    { "NEW",      "before_login", TABLE_NUMBER, 5 },
    { "SESSIONS", "sessions",     TABLE_NUMBER, 8 },
    { NULL },
};
static const struct table_column keys[] = {
    { "ID",         "id",         TABLE_TEXT, 8 },
    { "SEALS FROM", "seals_from", TABLE_TEXT, 20 },
    { "NOW",        "now",        TABLE_TEXT, 30 },
    { NULL },
};
static const struct table_column users[] = {
    { "USER",     "user",      TABLE_TEXT,   30 },
    { "UPSTREAM", "upstreams", TABLE_TEXT,   20 },
    { "SESSIONS", "sessions",  TABLE_NUMBER, 8 },
    { "PARKED",   "parked",    TABLE_NUMBER, 6 },
    { "OLDEST",   "oldest_s",  TABLE_TIME,   6 },
    { NULL },
};
static const struct table_column counters[] = {
    { "NAME",  "name",  TABLE_TEXT, 62 },
    { "VALUE", "value", TABLE_TEXT, 15 },
    { NULL },
};
/* clang-format on */

const struct table_column *tables_find(const char *what)
{
    static const struct {
        const char *what;
        const struct table_column *columns;
    } tables[] = { { "clients", clients },     { "upstreams", upstreams }, { "parked", parked },
                   { "listeners", listeners }, { "keys", keys },           { "users", users },
                   { "counters", counters } };
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (strcmp(tables[i].what, what) == 0)
            return tables[i].columns;
    return NULL;
}
