#include "check.h"

#include "clients.h"
#include "drain.h"
#include "rig.h"

#define LIST "IMAP4rev1 AUTH=PLAIN"
#define BYE  "* BYE imapstate is shutting down.\r\n"

static unsigned over;

static void on_over(void *owner)
{
    over++;
}

/* Four sessions that are at rest, and one client that has only been greeted. */
struct scene {
    struct rig rig;
    struct drain drain;
    struct wire *clients[5];
    struct wire *servers[4];
};

static void scene_begin(struct scene *scene, const char *drain_time)
{
    char config[512];
    snprintf(config, sizeof config, "languages = \"off\"\npark { per_user = 0 }\n%s\n" RIG_CONFIG, drain_time);
    rig_begin(&scene->rig, config);
    for (size_t i = 0; i < 5; i++) {
        scene->clients[i] = rig_greet(&scene->rig, LIST);
        if (i < 4)
            assert_non_null(scene->servers[i] = rig_log_in(&scene->rig, scene->clients[i], "ann", LIST));
        rig_pass(&scene->rig, 10);
    }
    over = 0;
    drain_init(&scene->drain, &scene->rig.loop);
    drain_begin(&scene->drain, &scene->rig.clients, on_over, NULL);
}

static void scene_end(struct scene *scene)
{
    drain_done(&scene->drain);
    rig_end(&scene->rig);
}

static bool has_bye(const struct wire *client)
{
    return imapstate_span_equal(imapstate_buf_span(&client->out), imapstate_span_of(BYE));
}

static size_t byes(struct scene *scene)
{
    size_t count = 0;
    for (size_t i = 0; i < 5; i++)
        count += has_bye(scene->clients[i]);
    return count;
}

TEST(nobody_is_asked_to_leave_in_the_first_half)
{
    struct scene scene;
    scene_begin(&scene, "drain_time = \"100s\"");
    rig_pass(&scene.rig, 49999);
    assert_int_equal(byes(&scene), 0);
    rig_pass(&scene.rig, 1);
    assert_int_equal(byes(&scene), 1);
    scene_end(&scene);
}

TEST(who_has_not_logged_in_goes_first_and_then_the_oldest_session)
{
    struct scene scene;
    scene_begin(&scene, "drain_time = \"100s\"");
    rig_pass(&scene.rig, 50000);
    assert_true(has_bye(scene.clients[4]));
    rig_pass(&scene.rig, 12500);
    assert_true(has_bye(scene.clients[0]));
    scene_end(&scene);
}

TEST(they_go_one_after_the_other_over_the_second_half)
{
    struct scene scene;
    size_t seen[5];
    scene_begin(&scene, "drain_time = \"100s\"");
    rig_pass(&scene.rig, 50000);
    for (size_t i = 0; i < 5; i++) {
        seen[i] = byes(&scene);
        rig_pass(&scene.rig, 10000);
    }
    for (size_t i = 0; i < 5; i++)
        assert_in_range(seen[i], i + (i < 4), i + 1 + (i == 0));
    assert_int_equal(byes(&scene), 5);
    assert_int_equal(over, 1);
    scene_end(&scene);
}

TEST(who_is_in_the_middle_of_something_is_left_to_the_end)
{
    struct scene scene;
    scene_begin(&scene, "drain_time = \"10s\"");
    rig_say(&scene.rig, scene.clients[0], "a FETCH 1 BODY[]\r\n");
    rig_say(&scene.rig, scene.servers[0], "* 1 FETCH (BODY[] {30000000}\r\nabc");
    wire_take(scene.clients[0]);
    rig_pass(&scene.rig, 9999);
    assert_int_equal(byes(&scene), 4);
    assert_false(scene.clients[0]->is_closed);
    assert_int_equal(over, 0);
    rig_pass(&scene.rig, 1);
    assert_int_equal(over, 1);
    scene_end(&scene);
}

TEST(who_waits_in_idle_is_in_the_middle_of_nothing)
{
    struct scene scene;
    scene_begin(&scene, "drain_time = \"10s\"");
    rig_say(&scene.rig, scene.clients[0], "a IDLE\r\n");
    rig_say(&scene.rig, scene.servers[0], "+ idling\r\n");
    wire_take(scene.clients[0]);
    rig_pass(&scene.rig, 9999);
    assert_int_equal(byes(&scene), 5);
    scene_end(&scene);
}

TEST(without_time_it_is_over_at_once)
{
    struct scene scene;
    scene_begin(&scene, "drain_time = \"0s\"");
    assert_int_equal(over, 0); /* not from within */
    rig_pass(&scene.rig, 0);
    assert_int_equal(over, 1);
    assert_int_equal(byes(&scene), 0);
    scene_end(&scene);
}

TEST(many_in_little_time_go_several_at_once)
{
    struct scene scene;
    scene_begin(&scene, "drain_time = \"400ms\"");
    rig_pass(&scene.rig, 300);
    assert_in_range(byes(&scene), 3, 5);
    rig_pass(&scene.rig, 99);
    assert_int_equal(byes(&scene), 5);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_asked_to_leave_in_the_first_half),
        cmocka_unit_test(who_has_not_logged_in_goes_first_and_then_the_oldest_session),
        cmocka_unit_test(they_go_one_after_the_other_over_the_second_half),
        cmocka_unit_test(who_is_in_the_middle_of_something_is_left_to_the_end),
        cmocka_unit_test(who_waits_in_idle_is_in_the_middle_of_nothing),
        cmocka_unit_test(without_time_it_is_over_at_once),
        cmocka_unit_test(many_in_little_time_go_several_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
