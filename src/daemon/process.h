/* process: what the process may do: its limits, its user, and who may look into its memory. */
#ifndef DAEMON_PROCESS_H
#define DAEMON_PROCESS_H

#include <stdbool.h>
#include <stdio.h>

struct config;

/* P15: no core dump, and no debugger of the same user's, sees passwords and tokens. A change of user allows both again.
 */
void process_forbid_dumps(void);

/* As many descriptors as the configuration needs, as far as the limit goes; a warning if it is too low. */
void process_raise_descriptors(const struct config *config);

/* Becomes the configuration's user and group, if it has any. False after writing why not to errors. */
bool process_drop_privileges(const struct config *config, FILE *errors);

/* Whoever finds a fault in what reads everybody's octets would have the whole host by it: a warning if it is root. */
void process_warn_of_root(const struct config *config);

#endif
