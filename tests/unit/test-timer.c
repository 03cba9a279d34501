#include "check.h"

#include "loop.h"
#include "timer.h"

struct ringer {
    struct timer timer;
    unsigned rung;
};

static void ring(void *owner)
{
    struct ringer *ringer = owner;
    assert_true(timer_due_ms(&ringer->timer) == UINT64_MAX);
    ringer->rung++;
}

TEST(a_timer_rings_once_and_when_its_time_has_come)
{
    struct loop loop;
    struct ringer ringer = { .rung = 0 };
    loop_init_bare(&loop, 0, NULL);
    timer_init(&ringer.timer, &loop, ring, &ringer);
    loop_pass(&loop, 1000);
    assert_true(timer_due_ms(&ringer.timer) == UINT64_MAX);
    timer_set(&ringer.timer, 50);
    assert_int_equal(timer_due_ms(&ringer.timer), 1050);
    loop_pass(&loop, 1049);
    assert_int_equal(ringer.rung, 0);
    loop_pass(&loop, 1050);
    assert_int_equal(ringer.rung, 1);
    loop_pass(&loop, 5000);
    assert_int_equal(ringer.rung, 1);
    loop_done(&loop);
}

TEST(at_no_time_at_all_it_waits_for_the_next_turn)
{
    struct loop loop;
    struct ringer ringer = { .rung = 0 };
    loop_init_bare(&loop, 0, NULL);
    timer_init(&ringer.timer, &loop, ring, &ringer);
    timer_set(&ringer.timer, 0);
    assert_int_equal(ringer.rung, 0);
    loop_pass(&loop, 0);
    assert_int_equal(ringer.rung, 1);
    loop_done(&loop);
}

TEST(a_timer_that_was_stopped_does_not_ring)
{
    struct loop loop;
    struct ringer ringer = { .rung = 0 };
    loop_init_bare(&loop, 0, NULL);
    timer_init(&ringer.timer, &loop, ring, &ringer);
    timer_stop(&ringer.timer);
    timer_set(&ringer.timer, 10);
    timer_stop(&ringer.timer);
    loop_pass(&loop, 10);
    assert_int_equal(ringer.rung, 0);
    loop_done(&loop);
}

TEST(a_time_beyond_all_time_never_comes)
{
    struct loop loop;
    struct ringer ringer = { .rung = 0 };
    loop_init_bare(&loop, 0, NULL);
    timer_init(&ringer.timer, &loop, ring, &ringer);
    loop_pass(&loop, 10);
    timer_set(&ringer.timer, UINT64_MAX);
    loop_pass(&loop, UINT64_MAX - 1);
    assert_int_equal(ringer.rung, 0);
    loop_done(&loop);
}

static struct loop *ended;

static void end_the_loop(void *owner)
{
    ring(owner);
    loop_break(ended);
}

/* On libevent: the earlier one, though it was set later, and one that is put off by the other. */
TEST(on_an_event_base_timers_ring_in_their_order)
{
    struct loop loop;
    struct ringer first = { .rung = 0 }, last = { .rung = 0 }, never = { .rung = 0 };
    assert_true(loop_init(&loop, 0, NULL));
    ended = &loop;
    timer_init(&last.timer, &loop, end_the_loop, &last);
    timer_init(&first.timer, &loop, ring, &first);
    timer_init(&never.timer, &loop, ring, &never);
    uint64_t began_ms = loop_now_ms(&loop);
    timer_set(&never.timer, 1);
    timer_set(&last.timer, 60);
    timer_set(&first.timer, 20);
    timer_set(&never.timer, 3600000);
    assert_true(loop_run(&loop));
    assert_true(loop_now_ms(&loop) >= began_ms + 60);
    assert_int_equal(first.rung, 1);
    assert_int_equal(last.rung, 1);
    assert_int_equal(never.rung, 0);
    loop_done(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_timer_rings_once_and_when_its_time_has_come),
        cmocka_unit_test(at_no_time_at_all_it_waits_for_the_next_turn),
        cmocka_unit_test(a_timer_that_was_stopped_does_not_ring),
        cmocka_unit_test(a_time_beyond_all_time_never_comes),
        cmocka_unit_test(on_an_event_base_timers_ring_in_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
