/* effective: the configuration as it is in effect, with all that was not given. */
#ifndef CONFIG_EFFECTIVE_H
#define CONFIG_EFFECTIVE_H

#include <stdio.h>

struct config;

/* Writes a configuration file that is read as the same configuration. A comment says where an option was given, or that
 * it is a default. There is no secret in it, as a configuration holds only the names of the files that do. */
void effective_print(const struct config *config, FILE *out);

#endif
