#include "check.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "loop.h"
#include "timer.h"

static unsigned told, unwound, ended;

static void count_told(struct loop *loop)
{
    told++;
}

static void count_unwound(struct loop *loop)
{
    unwound++;
}

static void begin(void)
{
    told = unwound = ended = 0;
}

struct corpse {
    struct grave grave;
};

static void end_corpse(struct grave *grave)
{
    ended++;
    free(list_entry(grave, struct corpse, grave));
}

static void bury_one(struct loop *loop)
{
    struct corpse *corpse = malloc(sizeof *corpse);
    assert_non_null(corpse);
    loop_bury(loop, &corpse->grave, end_corpse);
}

TEST(what_is_buried_lives_until_the_loop_has_unwound)
{
    struct loop loop;
    begin();
    loop_init_bare(&loop, 0, NULL);
    loop.unwound = count_unwound;
    bury_one(&loop);
    bury_one(&loop);
    assert_int_equal(ended, 0);
    loop_pass(&loop, 1);
    assert_int_equal(ended, 2);
    assert_int_equal(unwound, 1);
    loop_done(&loop);
}

TEST(the_end_of_a_loop_ends_what_is_buried)
{
    struct loop loop;
    begin();
    loop_init_bare(&loop, 0, NULL);
    bury_one(&loop);
    loop_done(&loop);
    assert_int_equal(ended, 1);
    assert_true(loop_init(&loop, 0, NULL));
    bury_one(&loop);
    loop_done(&loop);
    assert_int_equal(ended, 2);
}

TEST(two_loops_give_no_name_twice)
{
    struct loop one, other, many; /* as many as a configuration may have, and the janitor's */
    loop_init_bare(&one, 1, NULL);
    loop_init_bare(&other, 2, NULL);
    loop_init_bare(&many, 1024 + 1, NULL);
    uint64_t ids[] = { loop_new_id(&one),   loop_new_id(&one),  loop_new_id(&other),
                       loop_new_id(&other), loop_new_id(&many), loop_new_id(&many) };
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        for (size_t j = 0; j < i; j++)
            assert_true(ids[i] != ids[j]);
    loop_done(&one);
    loop_done(&other);
    loop_done(&many);
}

TEST(who_is_poked_is_told_once_in_its_next_turn)
{
    struct loop loop;
    begin();
    loop_init_bare(&loop, 0, count_told);
    loop_poke(&loop);
    loop_poke_all();
    assert_int_equal(told, 0);
    loop_pass(&loop, 1);
    assert_int_equal(told, 1);
    loop_pass(&loop, 2);
    assert_int_equal(told, 1);
    loop_done(&loop);
}

TEST(a_loop_that_has_ended_is_not_poked)
{
    struct loop loop;
    begin();
    loop_init_bare(&loop, 0, count_told);
    loop_done(&loop);
    memset(&loop, 0x5a, sizeof loop);
    loop_poke_all();
}

static void end_when_told(struct loop *loop)
{
    told++;
    bury_one(loop);
}

static void end_when_unwound(struct loop *loop)
{
    unwound++;
    loop_break(loop);
}

static void *poke_all(void *arg)
{
    loop_poke_all();
    return NULL;
}

/* From another thread, on libevent: told in its own, and what that buries has ended before the loop returns. */
TEST(on_an_event_base_another_thread_is_heard)
{
    struct loop loop;
    pthread_t thread;
    begin();
    assert_true(loop_init(&loop, 0, end_when_told));
    loop.unwound = end_when_unwound;
    assert_int_equal(pthread_create(&thread, NULL, poke_all, NULL), 0);
    assert_true(loop_run(&loop));
    pthread_join(thread, NULL);
    assert_int_equal(told, 1);
    assert_int_equal(ended, 1);
    assert_int_equal(unwound, 1);
    loop_done(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_buried_lives_until_the_loop_has_unwound),
        cmocka_unit_test(the_end_of_a_loop_ends_what_is_buried),
        cmocka_unit_test(two_loops_give_no_name_twice),
        cmocka_unit_test(who_is_poked_is_told_once_in_its_next_turn),
        cmocka_unit_test(a_loop_that_has_ended_is_not_poked),
        cmocka_unit_test(on_an_event_base_another_thread_is_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
