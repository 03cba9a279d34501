/* agenda: what is to be done when: the earliest first; at the same time, what was set first. Intrusive, so that setting
 * an appointment never fails, and cancelling one needs no search. */
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

/* All zero is an empty one. */
struct agenda {
    struct appointment *first;
    uint64_t set_count, kept_ms; /* kept_ms: the time of the last agenda_keep() */
};

/* Sets it, or changes its time; a time that has passed counts as now. The caller writes callback and owner before
 * that. */
void agenda_set(struct agenda *agenda, struct appointment *appointment, uint64_t at_ms);
void agenda_cancel(struct agenda *agenda, struct appointment *appointment); /* one that is not set stays so */

/* When the first is due; UINT64_MAX if there is none. */
uint64_t agenda_first_ms(const struct agenda *agenda);

/* Calls all that are due. Each is no longer set when it is called, and its callback may free it. What is set in the
 * meantime waits for the next call, even if it is due. False: none was due. */
bool agenda_keep(struct agenda *agenda, uint64_t now_ms);

#endif
