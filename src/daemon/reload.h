/* reload: a running daemon goes over to what its configuration is now. */
#ifndef DAEMON_RELOAD_H
#define DAEMON_RELOAD_H

struct daemon;

/* What came of it is logged. Whatever cannot be used leaves everything as it was. */
void reload(struct daemon *daemon);

#endif
