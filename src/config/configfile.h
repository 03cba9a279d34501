/* configfile: the configuration file, read and checked as a whole.
 *
 * For one thread at a time. NULL on failure; errors have then been written to errors, one per line, as "FILE:LINE: what
 * is wrong" (or "FILE: ..." where no line is to blame). Opens no certificate and no key file. */
#ifndef CONFIG_CONFIGFILE_H
#define CONFIG_CONFIGFILE_H

#include "config.h"

struct source_disk;

struct config *configfile_read(const char *path, FILE *errors);

/* The same for files from elsewhere. */
struct config *configfile_read_from(const struct source_disk *disk, const char *path, FILE *errors);

/* The same for text in memory, as if there were no other file. */
struct config *configfile_parse(const char *path, const char *text, FILE *errors);

#endif
