/* userlist: "show users": what "show clients" and "show parked" say, summed up for each user. */
#ifndef CTL_USERLIST_H
#define CTL_USERLIST_H

#include <jansson.h>
#include <stdbool.h>

/* An object by user's names; json_decref() ends it. NULL: out of memory. */
json_t *userlist_new(void);

/* A row of the one or the other. A client who has not logged in is no user. False: out of memory. */
bool userlist_add_client(json_t *users, const json_t *row);
bool userlist_add_parked(json_t *users, const json_t *row);

/* The rows, those with most sessions first: user, upstreams (a list), sessions, parked, oldest_s (of the sessions). A
 * new array; NULL: out of memory. */
json_t *userlist_rows(const json_t *users);

#endif
