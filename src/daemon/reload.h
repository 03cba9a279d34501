/* reload: a running daemon goes over to what its configuration is now. */
#ifndef DAEMON_RELOAD_H
#define DAEMON_RELOAD_H

#include <stdbool.h>

struct daemon;

/* words: lines that say what came of it, each with its LF. is_whole: all that was wanted. */
typedef void reload_callback(void *asker, bool is_whole, const char *words);

/* What came of it is logged, and told to the asker when all workers have gone over (or do not answer), which may be
 * before this returns. A configuration that cannot be used leaves everything as it was; an address that cannot be had
 * is named, and everything else is taken. No session ends by it. */
void reload(struct daemon *daemon, reload_callback *answered, void *asker);

#endif
