/* settled: who waits until all workers have done what they were told before. */
#ifndef DAEMON_SETTLED_H
#define DAEMON_SETTLED_H

struct inquiries;

/* settled is called when they have, or do not answer; at once, from within, if they cannot be asked. */
void settled_wait(struct inquiries *inquiries, void (*settled)(void *owner), void *owner);

#endif
