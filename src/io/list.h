/* list: doubly linked, intrusive; a link is in one list at a time, and leaves it without a search. */
#ifndef IO_LIST_H
#define IO_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *previous;
};

static inline void list_init(struct list *list)
{
    list->next = list->previous = list;
}

static inline bool list_is_empty(const struct list *list)
{
    return list->next == list;
}

/* Removes it from the list it is in; an initialized link that is in no list stays so. */
static inline void list_remove(struct list *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    list_init(link);
}

/* Moves into the list that next is in, before it; next may be the list itself, then that is the end. */
static inline void list_move_before(struct list *link, struct list *next)
{
    list_remove(link);
    link->previous = next->previous;
    link->next = next;
    next->previous->next = link;
    next->previous = link;
}

/* Moves to the end of list. */
static inline void list_move(struct list *link, struct list *list)
{
    list_move_before(link, list);
}

#define list_entry(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

/* at may leave the list in the loop's body. */
#define list_each_safe(at, head)                                                                                       \
    for (struct list *at = (head)->next, *at##_next = at->next; at != (head); at = at##_next, at##_next = at->next)

#endif
