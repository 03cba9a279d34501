#include "userlist.h"

#include <stdlib.h>
#include <string.h>

json_t *userlist_new(void)
{
    return json_object();
}

static json_t *userlist_have(json_t *users, const char *name)
{
    json_t *user = json_object_get(users, name);
    if (user)
        return user;
    json_object_set_new(users, name,
                        json_pack("{ss s[] sI sI sI}", "user", name, "upstreams", "sessions", (json_int_t)0, "parked",
                                  (json_int_t)0, "oldest_s", (json_int_t)0));
    return json_object_get(users, name);
}

static json_int_t user_number(const json_t *user, const char *key)
{
    return json_integer_value(json_object_get(user, key));
}

static void user_add_upstream(json_t *user, const json_t *row)
{
    const char *name = json_string_value(json_object_get(row, "upstream"));
    json_t *upstreams = json_object_get(user, "upstreams");
    for (size_t i = 0; name && i < json_array_size(upstreams); i++)
        if (strcmp(json_string_value(json_array_get(upstreams, i)), name) == 0)
            return;
    if (name)
        json_array_append_new(upstreams, json_string(name));
}

/* One more, in the count of this key. */
static bool userlist_add(json_t *users, const json_t *row, const char *key, json_int_t age_s)
{
    const char *name = json_string_value(json_object_get(row, "user"));
    if (!name)
        return true;
    json_t *user = userlist_have(users, name);
    if (!user)
        return false;
    user_add_upstream(user, row);
    if (age_s > user_number(user, "oldest_s"))
        json_object_set_new(user, "oldest_s", json_integer(age_s));
    return json_object_set_new(user, key, json_integer(user_number(user, key) + 1)) == 0;
}

bool userlist_add_client(json_t *users, const json_t *row)
{
    return userlist_add(users, row, "sessions", user_number(row, "age_s"));
}

bool userlist_add_parked(json_t *users, const json_t *row)
{
    return userlist_add(users, row, "parked", 0);
}

static int userlist_compare(const void *a, const void *b)
{
    const json_t *one = *(json_t *const *)a, *other = *(json_t *const *)b;
    static const char *const keys[] = { "sessions", "parked" };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (user_number(one, keys[i]) != user_number(other, keys[i]))
            return user_number(one, keys[i]) < user_number(other, keys[i]) ? 1 : -1;
    return strcmp(json_string_value(json_object_get(one, "user")), json_string_value(json_object_get(other, "user")));
}

json_t *userlist_rows(const json_t *users)
{
    size_t count = 0;
    json_t **sorted = calloc(json_object_size(users) + 1, sizeof *sorted), *rows = json_array();
    for (void *at = json_object_iter((json_t *)users); at && sorted; at = json_object_iter_next((json_t *)users, at))
        sorted[count++] = json_object_iter_value(at);
    if (sorted)
        qsort(sorted, count, sizeof *sorted, userlist_compare);
    for (size_t i = 0; i < count; i++)
        json_array_append(rows, sorted[i]);
    free(sorted);
    if (sorted && json_array_size(rows) == count)
        return rows;
    json_decref(rows);
    return NULL;
}
