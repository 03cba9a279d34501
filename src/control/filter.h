/* filter: which rows a command is about: --user, --upstream and --address. Read by any thread, counted by the main one
 * alone. */
#ifndef CONTROL_FILTER_H
#define CONTROL_FILTER_H

#include <imapstate/span.h>
#include <stdbool.h>

#include "address.h"

struct controlline;

struct filter {
    bool has_user, has_address;
    struct imapstate_buf user; /* its octets */
    char *upstream;            /* owned; NULL: any */
    struct address address;    /* port 0 */
    unsigned references;
};

/* NULL after *ret_wrong is what is wrong (static). */
struct filter *filter_new(const struct controlline *line, const char **ret_wrong);
struct filter *filter_ref(struct filter *filter);
void filter_unref(struct filter *filter); /* accepts NULL */

bool filter_admits_user(const struct filter *filter, struct imapstate_span user);
bool filter_admits_upstream(const struct filter *filter, const char *name);
bool filter_admits_address(const struct filter *filter, const struct address *address); /* of any port */

#endif
