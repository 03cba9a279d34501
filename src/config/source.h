/* source: the text of a configuration file and of all that it includes, as one text for the grammar, and where each of
 * its lines comes from.
 *
 * A line
 *
 *     include "conf.d/[0-9]*.conf"
 *
 * is replaced by the files that match, in the order of their names; a name without a leading "/" is relative to the
 * file that it stands in. Comments are blanked out, and what libconfuse would misread is refused: it drops some
 * characters silently, takes others from the environment, and counts lines wrongly behind comments. */
#ifndef CONFIG_SOURCE_H
#define CONFIG_SOURCE_H

#include <imapstate/span.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Octets of all files together, and how deep includes may be nested. */
#define SOURCE_OCTETS_MAX (1u << 20)
#define SOURCE_DEPTH_MAX  8u

/* On lines of their own before and behind what is included, and behind the file itself: options that libconfuse has to
 * find in the file's own scope, else a section is still open. Nobody writes them by mistake, as control characters are
 * refused. */
#define SOURCE_BEGIN_MARK "\001begin"
#define SOURCE_END_MARK   "\001end"

/* Where files come from. */
struct source_disk {
    /* Hands the paths that match the pattern to take, in order, until that returns false. A pattern is that of glob(3)
     * with some of "*?[" in it. Returns NULL, or why it cannot be looked for. */
    const char *(*find)(const struct source_disk *disk, const char *pattern, bool (*take)(void *arg, const char *path),
                        void *arg);
    /* Appends what is in the file. Returns NULL, or why it cannot. is_main: the one that was asked for, not included.
     */
    const char *(*read)(const struct source_disk *disk, const char *path, bool is_main, struct imapstate_buf *text);
};

/* The real one. An included file must be a regular one: to open anything else may have effects, or wait. */
extern const struct source_disk source_disk;

struct source {
    struct imapstate_buf text; /* NUL-terminated once it has been read */
    char **files;              /* owned; [0] is the first one. An included one is there as often as it is included */
    size_t file_count;
    struct source_piece *pieces; /* owned; by line */
    size_t piece_count;
    unsigned lines; /* complete ones in text */
};

/* source is all zero before. False if anything is wrong, which has been written to errors, "FILE:LINE: what is wrong"
 * or "FILE: ..."; source_done() is due even so. */
bool source_read(struct source *source, const struct source_disk *disk, const char *path, FILE *errors);

/* The file and the line of it that a line of the text stands for. Borrowed from source->files. 0 is no line, of the
 * first file. */
const char *source_place(const struct source *source, unsigned line, unsigned *ret_line);

void source_done(struct source *source);

#endif
