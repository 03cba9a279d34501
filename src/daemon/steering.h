/* steering: what a running daemon is told to do, by signals: to reload, to have another process take over, to drain, to
 * stop. */
#ifndef DAEMON_STEERING_H
#define DAEMON_STEERING_H

struct daemon;

/* Before there are threads: they inherit that they never see a signal. */
void steering_begin(struct daemon *daemon);

/* Until the daemon is to end. A draining one also ends when its workers have come to their end. */
void steering_run(struct daemon *daemon);

#endif
