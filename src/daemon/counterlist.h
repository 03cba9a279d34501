/* counterlist: "show counters": what /metrics tells, for those who have no HTTP: a row for each figure: name, with its
 * labels, and value, both as text. Buckets of histograms are of use to programs only, which say --all. */
#ifndef DAEMON_COUNTERLIST_H
#define DAEMON_COUNTERLIST_H

#include <stdbool.h>

struct figures_desk;
struct reply;

void counterlist_show(struct figures_desk *desk, bool is_all, struct reply *reply);

#endif
