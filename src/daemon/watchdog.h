/* watchdog: as long as the loops of all workers turn, the service manager is told so. One that hangs takes no more
 * clients and leaves those that it has without an answer: better that the service is started anew. */
#ifndef DAEMON_WATCHDOG_H
#define DAEMON_WATCHDOG_H

#include <stdint.h>

#include "timer.h"

struct inquiries;

struct watchdog {
    struct timer timer;
    struct inquiries *inquiries; /* borrowed: those who are asked */
    uint64_t period_ms;
};

/* Does nothing if nobody waits for it. */
void watchdog_begin(struct watchdog *watchdog, struct inquiries *inquiries);
void watchdog_done(struct watchdog *watchdog); /* also without a beginning, if it is all zero */

#endif
