#include "check.h"

#include "userlist.h"

#include <stdlib.h>
#include <string.h>

static void add_client(json_t *users, const char *user, const char *upstream, int age_s)
{
    json_t *row = json_pack("{ss? ss si}", "user", user, "upstream", upstream, "age_s", age_s);
    assert_true(userlist_add_client(users, row));
    json_decref(row);
}

static void add_parked(json_t *users, const char *user, const char *upstream)
{
    json_t *row = json_pack("{ss ss si}", "user", user, "upstream", upstream, "age_s", 9999);
    assert_true(userlist_add_parked(users, row));
    json_decref(row);
}

TEST(sessions_and_parked_connections_are_summed_up_by_user)
{
    json_t *users = userlist_new();
    add_client(users, "bob", "main", 5);
    add_client(users, "ann", "main", 5);
    add_client(users, "ann", "other", 70);
    add_client(users, "ann", "main", 6);
    add_client(users, NULL, "main", 1); /* nobody yet */
    add_parked(users, "cid", "main");
    add_parked(users, "bob", "main");
    add_parked(users, "abe", "main");
    json_t *rows = userlist_rows(users);
    char *text = json_dumps(rows, JSON_COMPACT);
    assert_string_equal(
        text, "[{\"user\":\"ann\",\"upstreams\":[\"main\",\"other\"],\"sessions\":3,\"parked\":0,\"oldest_s\":70},"
              "{\"user\":\"bob\",\"upstreams\":[\"main\"],\"sessions\":1,\"parked\":1,\"oldest_s\":5},"
              "{\"user\":\"abe\",\"upstreams\":[\"main\"],\"sessions\":0,\"parked\":1,\"oldest_s\":0},"
              "{\"user\":\"cid\",\"upstreams\":[\"main\"],\"sessions\":0,\"parked\":1,\"oldest_s\":0}]");
    free(text);
    json_decref(rows);
    json_decref(users);
}

TEST(nobody_is_no_row)
{
    json_t *users = userlist_new(), *rows = userlist_rows(users);
    assert_int_equal(json_array_size(rows), 0);
    json_decref(rows);
    json_decref(users);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_and_parked_connections_are_summed_up_by_user),
        cmocka_unit_test(nobody_is_no_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
