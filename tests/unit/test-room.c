#include "check.h"

#include "peers.h"
#include "rig.h"
#include "room.h"

#define LIST "IMAP4rev1"

static unsigned told;

static void count_told(struct loop *loop)
{
    told++;
}

static struct config config = { .max_clients = 10 };
static struct service service = { .config = &config };

/* A worker, as far as it is of interest: how many of its clients have not begun to log in. */
struct other {
    struct loop loop;
    struct clients clients;
    struct room room;
};

static void other_init(struct other *other, unsigned silent)
{
    loop_init_bare(&other->loop, 0, count_told);
    other->clients = (struct clients){ .loop = &other->loop, .service = &service, .silent = silent };
    room_init(&other->room, &other->clients);
    room_open(&other->room);
}

static void other_done(struct other *other)
{
    room_done(&other->room);
    loop_done(&other->loop);
}

static const struct {
    const char *name;
    unsigned own, richer;
    bool is_asked;
} rows[] = {
    { "nobody has any", 0, 0, false },
    { "it has as many itself", 4, 4, false },
    { "a small difference is not worth it", 4, 7, false },
    { "twice as many are", 4, 8, true },
    { "it has none itself", 0, 1, true },
};

TEST(who_has_many_more_silent_clients_is_asked_and_told)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct other poor, rich;
        other_init(&poor, rows[i].own);
        other_init(&rich, rows[i].richer);
        told = 0;
        CHECK_ROW(rows[i].name, room_ask(&poor.room) == rows[i].is_asked);
        loop_pass(&poor.loop, 0);
        CHECK_ROW(rows[i].name, told == 0);
        loop_pass(&rich.loop, 0);
        CHECK_ROW(rows[i].name, told == rows[i].is_asked);
        CHECK_ROW(rows[i].name, room_owed_in_all() == rows[i].is_asked);
        room_pay(&rich.room);
        CHECK_ROW(rows[i].name, room_owed_in_all() == 0);
        other_done(&poor);
        other_done(&rich);
    }
}

TEST(what_is_owed_already_counts)
{
    struct other poor, rich;
    other_init(&poor, 1);
    other_init(&rich, 4);
    assert_true(room_ask(&poor.room));
    assert_true(room_ask(&poor.room));
    assert_true(room_ask(&poor.room));
    assert_false(room_ask(&poor.room)); /* one each is left */
    assert_int_equal(room_owed_in_all(), 3);
    room_pay(&rich.room);
    assert_int_equal(room_owed_in_all(), 0);
    other_done(&poor);
    other_done(&rich);
}

TEST(there_are_never_many_more_clients_than_there_may_be)
{
    struct other poor, rich;
    unsigned asked = 0;
    other_init(&poor, 0);
    other_init(&rich, 1000);
    while (room_ask(&poor.room))
        asked++;
    assert_int_equal(asked, 64);
    room_pay(&rich.room);
    other_done(&poor);
    other_done(&rich);
}

/* With real clients. One that has left by itself has made room. */
TEST(who_is_asked_ends_as_many_as_there_are_too_many)
{
    struct rig rig;
    struct other poor;
    struct room room;
    rig_begin(&rig, "max_clients = 3\n" RIG_CONFIG);
    other_init(&poor, 0);
    room_init(&room, &rig.clients);
    room_open(&room);
    struct wire *first = rig_greet(&rig, LIST), *second = rig_greet(&rig, LIST);
    rig_greet(&rig, LIST);
    rig_reload(&rig, "max_clients = 2\n" RIG_CONFIG);
    assert_true(room_ask(&poor.room));
    assert_true(room_ask(&poor.room));
    room_pay(&room);
    rig_pass(&rig, 0);
    assert_true(first->is_closed);
    assert_false(second->is_closed);
    assert_int_equal(peers_count(), 2);
    assert_int_equal(room_owed_in_all(), 0);
    room_done(&room);
    other_done(&poor);
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_many_more_silent_clients_is_asked_and_told),
        cmocka_unit_test(what_is_owed_already_counts),
        cmocka_unit_test(there_are_never_many_more_clients_than_there_may_be),
        cmocka_unit_test(who_is_asked_ends_as_many_as_there_are_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
