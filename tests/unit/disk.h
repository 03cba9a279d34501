/* disk: configuration files in memory, for unit tests and fuzz targets alike. */
#ifndef TESTS_DISK_H
#define TESTS_DISK_H

#include <fnmatch.h>
#include <string.h>

#include "source.h"

struct disk_file {
    const char *path; /* NULL after the last one */
    const char *text; /* NULL: it is not a regular file */
};

struct disk {
    struct source_disk disk;
    const struct disk_file *files; /* in the order of their names */
};

/* One cannot look into "locked". */
static const char *disk_find(const struct source_disk *disk, const char *pattern,
                             bool (*take)(void *arg, const char *path), void *arg)
{
    if (strstr(pattern, "locked/"))
        return "Permission denied";
    for (const struct disk_file *file = ((const struct disk *)disk)->files; file->path; file++)
        if (fnmatch(pattern, file->path, FNM_PATHNAME | FNM_PERIOD) == 0 && !take(arg, file->path))
            break;
    return NULL;
}

static const char *disk_read(const struct source_disk *disk, const char *path, bool is_main, struct imapstate_buf *text)
{
    for (const struct disk_file *file = ((const struct disk *)disk)->files; file->path; file++)
        if (strcmp(file->path, path) == 0 && !file->text)
            return "not a regular file";
        else if (strcmp(file->path, path) == 0)
            return imapstate_buf_put(text, imapstate_span_of(file->text)) ? NULL : "larger than 1 MiB";
    return "No such file or directory";
}

static inline struct disk disk_of(const struct disk_file *files)
{
    return (struct disk){ { disk_find, disk_read }, files };
}

#endif
