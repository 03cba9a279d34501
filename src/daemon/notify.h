/* notify: what the service manager is told (sd_notify(3)). Without one nobody is told anything. */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Everything listens. */
void notify_ready(const char *status);

/* One line about what it does now. */
void notify_status(const char *status);

/* It ends. */
void notify_stopping(void);

/* Another process is the service from now on; it cannot say so itself before. */
void notify_main(pid_t pid);

/* All is well. Milliseconds within which the next one is due; 0: nobody waits for it. */
void notify_watchdog(void);
uint64_t notify_watchdog_ms(void);

/* Whom the service manager has started, it also knows by number: this process has taken the place of that one. */
void notify_take_place(void);

#endif
