/* counterlist: "show counters": what /metrics tells, for those who have no HTTP: a row for each figure but the buckets
 * of histograms: name, with its labels, and value, both as text. */
#ifndef DAEMON_COUNTERLIST_H
#define DAEMON_COUNTERLIST_H

struct figures_desk;
struct reply;

void counterlist_show(struct figures_desk *desk, struct reply *reply);

#endif
