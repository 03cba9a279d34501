/* schema: everything that can be configured: the sections of the configuration file, and a row for each option. */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include "grammar.h"

/* The struct that a section's options go to: struct config for the file, park, http and control, else the section's
 * own. */
enum schema_section {
    SCHEMA_FILE,
    SCHEMA_PARK,
    SCHEMA_HTTP,
    SCHEMA_CONTROL,
    SCHEMA_LISTENER,
    SCHEMA_UPSTREAM,
    SCHEMA_ROUTE,
    SCHEMA_ROUTE_HTTP,
    SCHEMA_SECTION_MAX
};

extern const struct grammar_section schema[SCHEMA_SECTION_MAX];

/* By enum config_tls; NULL at the end. */
extern const char *const schema_tls_words[];

#endif
