/* routemap: which users' mail is where, as an operator's file has it (route_map).
 *
 * The file is text, a line each:
 *
 *     KEY UPSTREAM [user=NAME] [address=HOST:PORT]
 *
 * with blanks between. KEY is a user, or "@domain" for all users of a domain that have no line of their own; UPSTREAM
 * the name of an upstream section. user= is what the user is called there, and address= one of its servers. From a word
 * that begins with "#" to the end of the line is a comment; empty lines are skipped. KEY and NAME are written as in the
 * log (writtenname.h). Of KEY ASCII letters match in either case; the same KEY twice is an error, as one of the two
 * would be of no effect.
 *
 * Made for a million lines. In memory: the file's text, and 11 to 22 octets a line. Immutable and counted, for any
 * thread. */
#ifndef CONFIG_ROUTEMAP_H
#define CONFIG_ROUTEMAP_H

#include <imapstate/span.h>
#include <stdbool.h>
#include <stddef.h>

/* Octets in a file's text, in a key, and in what is wrong, including its NUL. */
#define ROUTEMAP_TEXT_MAX  (256u << 20)
#define ROUTEMAP_KEY_MAX   1023u
#define ROUTEMAP_WRONG_MAX 256u

struct routemap;

/* Is there an upstream of this name? Asked for each line, while the file is read. */
typedef bool routemap_has_upstream(void *owner, struct imapstate_span name);

/* Reads a file's text, which is used up, whatever comes of it: its octets become the map's, or end. NULL: ret_wrong
 * says what is wrong, and ret_line in which line, from 1; 0 if memory is out. The last line may lack its LF. */
struct routemap *routemap_read(struct imapstate_buf *text, routemap_has_upstream *has_upstream, void *owner,
                               size_t *ret_line, char ret_wrong[ROUTEMAP_WRONG_MAX]);

struct routemap *routemap_ref(struct routemap *map); /* accepts NULL */
void routemap_unref(struct routemap *map);           /* accepts NULL */

/* A line of it. The spans borrow from the map. */
struct routemap_line {
    struct imapstate_span upstream;
    struct imapstate_span user;    /* as it is written; empty: as the client has given it */
    struct imapstate_span address; /* empty: any of the upstream's */
};

/* The line with this key. key: a user's name, or "@domain". map accepts NULL, and has none then. */
bool routemap_find(const struct routemap *map, struct imapstate_span key, struct routemap_line *ret_line);

/* Which line of the file it is, from 1. Reads the text up to there: for an operator's question, not for a login. */
size_t routemap_line_number(const struct routemap *map, const struct routemap_line *line);

size_t routemap_count(const struct routemap *map);

/* Has a line user=? */
bool routemap_renames(const struct routemap *map);

#endif
