/* controlline: one line of the control socket: a command, as a JSON array of its words (RFC 8259):
 *
 *     ["show", "clients", "--user", "ann"]
 *
 * They are the words of imapstatectl(1)'s command line. Options may stand anywhere among them, as two words or as
 * "--user=ann". A name is written as in the log: \xHH stands for an octet, and a backslash for nothing else. */
#ifndef CONTROL_CONTROLLINE_H
#define CONTROL_CONTROLLINE_H

#include <imapstate/span.h>
#include <jansson.h>
#include <stdbool.h>

/* Octets of a line, without its LF. */
#define CONTROLLINE_MAX 8192u

#define CONTROLLINE_WORDS_MAX 8u
#define CONTROLLINE_WRONG_MAX 128u

struct controlline {
    json_t *json; /* owned; what follows points into it */
    const char *words[CONTROLLINE_WORDS_MAX];
    size_t word_count;                     /* at least 1 */
    const char *user, *upstream, *address; /* of --user and so on; NULL: not given */
    bool is_all;                           /* --all */
};

/* False after writing what is wrong; then there is nothing to be freed by controlline_done(). */
bool controlline_read(struct imapstate_span line, struct controlline *ret_line, char ret_wrong[CONTROLLINE_WRONG_MAX]);
void controlline_done(struct controlline *line);

#endif
