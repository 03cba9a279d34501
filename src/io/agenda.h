/* agenda: what is to be done when: the earliest first, of the same time whatever was set first. Intrusive, so that
 * setting one never fails, and whatever has been set can be cancelled without a search. */
#ifndef IO_AGENDA_H
#define IO_AGENDA_H

#include <stdbool.h>
#include <stdint.h>

typedef void agenda_callback(void *owner);

/* A pairing heap's node. */
struct appointment {
    struct appointment *child, *next, *previous; /* previous: the sibling before, or the parent */
    uint64_t at_ms, order;
    agenda_callback *callback;
    void *owner;
    bool is_set;
};

/* All zeros is an empty one. */
struct agenda {
    struct appointment *first;
    uint64_t set_count, kept_ms; /* kept_ms: the time of the last agenda_keep() */
};

/* Sets it, or sets it anew; a time that has passed counts as now. callback and owner are the caller's to write, before
 * that. */
void agenda_set(struct agenda *agenda, struct appointment *appointment, uint64_t at_ms);
void agenda_cancel(struct agenda *agenda, struct appointment *appointment); /* one that is not set stays so */

/* When the first is due; UINT64_MAX if there is none. */
uint64_t agenda_first_ms(const struct agenda *agenda);

/* Calls all that are due, each of which is not set any more then, and may be freed by its callback. What is set
 * meanwhile waits for the next time, even if it is due. False: none was. */
bool agenda_keep(struct agenda *agenda, uint64_t now_ms);

#endif
