/* loguser: the few users whose sessions are logged at debug, whatever the level is for all. For all threads.
 *
 * Who asks does so again only if the generation is another one: as long as nobody is on the list, that costs a load. */
#ifndef IO_LOGUSER_H
#define IO_LOGUSER_H

#include <imapstate/span.h>
#include <stdbool.h>
#include <stdint.h>

/* The most users, and octets in a name. */
#define LOGUSER_MAX      32u
#define LOGUSER_NAME_MAX 255u

/* False: there are LOGUSER_MAX already, or nobody has such a name: empty, or too long. Twice is once. */
bool loguser_add(struct imapstate_span user);

/* False: the user was not on the list. */
bool loguser_remove(struct imapstate_span user);
void loguser_remove_all(void);

/* Capital letters or small ones make no difference. */
bool loguser_has(struct imapstate_span user);

/* Changes whenever the list does; 0 until there was anybody on it. */
uint32_t loguser_generation(void);

#endif
