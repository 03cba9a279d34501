#include "agenda.h"

#include <stddef.h>

static bool appointment_is_before(const struct appointment *a, const struct appointment *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

/* Of two roots, either of which may be NULL, the one becomes the other's first child. */
static struct appointment *appointment_meld(struct appointment *a, struct appointment *b)
{
    if (!a || !b)
        return a ? a : b;
    if (appointment_is_before(b, a))
        return appointment_meld(b, a);
    b->next = a->child;
    if (b->next)
        b->next->previous = b;
    b->previous = a;
    a->child = b;
    return a;
}

/* Melds siblings in pairs, and the pairs from the last to the first: without pairs the next one would take as long. */
static struct appointment *appointment_meld_siblings(struct appointment *first)
{
    struct appointment *pairs = NULL, *root = NULL;
    while (first) {
        struct appointment *a = first, *b = a->next;
        first = b ? b->next : NULL;
        a->next = a->previous = NULL;
        if (b)
            b->next = b->previous = NULL;
        a = appointment_meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    while (pairs) {
        struct appointment *pair = pairs;
        pairs = pair->next;
        pair->next = NULL;
        root = appointment_meld(root, pair);
    }
    return root;
}

static void appointment_cut(struct appointment *appointment)
{
    if (appointment->previous->child == appointment)
        appointment->previous->child = appointment->next;
    else
        appointment->previous->next = appointment->next;
    if (appointment->next)
        appointment->next->previous = appointment->previous;
}

void agenda_set(struct agenda *agenda, struct appointment *appointment, uint64_t at_ms)
{
    agenda_cancel(agenda, appointment);
    appointment->at_ms = at_ms > agenda->kept_ms ? at_ms : agenda->kept_ms;
    appointment->order = ++agenda->set_count;
    appointment->child = appointment->next = appointment->previous = NULL;
    appointment->is_set = true;
    agenda->first = appointment_meld(agenda->first, appointment);
}

void agenda_cancel(struct agenda *agenda, struct appointment *appointment)
{
    if (!appointment->is_set)
        return;
    appointment->is_set = false;
    struct appointment *children = appointment_meld_siblings(appointment->child);
    if (agenda->first == appointment) {
        agenda->first = children;
        return;
    }
    appointment_cut(appointment);
    agenda->first = appointment_meld(agenda->first, children);
}

uint64_t agenda_first_ms(const struct agenda *agenda)
{
    return agenda->first ? agenda->first->at_ms : UINT64_MAX;
}

bool agenda_keep(struct agenda *agenda, uint64_t now_ms)
{
    bool has_called = false;
    uint64_t last = agenda->set_count;
    agenda->kept_ms = now_ms;
    /* What is set meanwhile is behind all that is due: when it is the first, nothing else is left. */
    while (agenda->first && agenda->first->at_ms <= now_ms && agenda->first->order <= last) {
        struct appointment *due = agenda->first;
        agenda_cancel(agenda, due);
        due->callback(due->owner);
        has_called = true;
    }
    return has_called;
}
