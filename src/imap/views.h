/* views: what clients are shown of capability lists, remembered for one thread: most of its clients come with the same
 * options to the same upstream, and see what the last one saw. */
#ifndef IMAP_VIEWS_H
#define IMAP_VIEWS_H

#include "capability.h"
#include "offers.h"

/* A listener has up to five: before login and after it, each for clients that are safe from listeners and for others;
 * and under TLS. */
#define VIEWS_MAX 16u

struct views {
    struct view {
        struct offers *of, *shown; /* counted; NULL: nothing is remembered here */
        struct capability_view options;
    } entries[VIEWS_MAX];
    unsigned next; /* that gives its place away */
};

/* One that is all zero remembers nothing. */
void views_done(struct views *views);

/* A list that has been said: counted, and the same object as before if it was shown to somebody lately. NULL as for
 * offers_new(). */
struct offers *views_take(struct views *views, struct imapstate_span names);

/* What the client sees of it (capability_rewrite()), counted. NULL: it does not fit into CAPABILITY_LIST_MAX, or memory
 * is out. */
struct offers *views_show(struct views *views, struct offers *of, const struct capability_view *options);

#endif
