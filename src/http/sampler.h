/* sampler: notes the figures in the history, each HISTORY_POINT_MS. */
#ifndef HTTP_SAMPLER_H
#define HTTP_SAMPLER_H

struct figures_desk;
struct history;
struct loop;
struct sampler;

/* From here on. NULL: out of memory. Both are borrowed, and outlive it. */
struct sampler *sampler_new(struct loop *loop, struct figures_desk *desk);
void sampler_free(struct sampler *sampler); /* accepts NULL */

const struct history *sampler_history(const struct sampler *sampler);

#endif
