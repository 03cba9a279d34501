#include "check.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "inquiry.h"
#include "loop.h"
#include "worker.h"

#define WORKERS 3

/* Workers without threads: a test runs their turns. */
static struct loop home;
static struct inquiries inquiries;
static struct worker workers[WORKERS];

static unsigned asked, answered, missing, freed_slots, freed_arguments;
static int answers[WORKERS]; /* -1: none */

struct slot {
    int answer;
    char *more;
};

static void on_told(struct loop *loop)
{
}

static void ask(struct worker *worker, void *slot, const void *argument)
{
    struct slot *mine = slot;
    assert_int_equal(mine->answer, 0);
    assert_null(mine->more);
    __atomic_add_fetch(&asked, 1, __ATOMIC_RELAXED);
    mine->answer = *(const int *)argument + (int)worker->loop.index;
    mine->more = strdup("more");
}

static void on_answered(const struct inquiry *inquiry, void *asker)
{
    assert_ptr_equal(asker, &home);
    assert_int_equal(*(const int *)inquiry_argument(inquiry), 40);
    answered++;
    missing = (unsigned)inquiry_missing(inquiry);
    for (size_t i = 0; i < WORKERS; i++)
        answers[i] = -1;
    for (size_t i = 0; i < inquiry_count(inquiry); i++) {
        const struct slot *slot = inquiry_slot(inquiry, i);
        if (slot)
            answers[i] = slot->answer;
    }
}

static void free_argument(void *argument)
{
    freed_arguments++;
    free(argument);
}

static void free_slot(void *slot)
{
    freed_slots++;
    free(((struct slot *)slot)->more);
}

static const struct question question = {
    .ask = ask,
    .answered = on_answered,
    .argument_done = free_argument,
    .slot_done = free_slot,
    .slot_octets = sizeof(struct slot),
    .limit_ms = 1000,
};

static void begin(void)
{
    asked = answered = missing = freed_slots = freed_arguments = 0;
    loop_init_bare(&home, 254, on_told);
    inquiries_init(&inquiries, &home);
    for (unsigned i = 0; i < WORKERS; i++) {
        loop_init_bare(&workers[i].loop, i, on_told);
        assert_true(inquiries_add(&inquiries, &workers[i]));
    }
}

static void end(void)
{
    for (unsigned i = 0; i < WORKERS; i++)
        loop_done(&workers[i].loop);
    inquiries_done(&inquiries);
    loop_done(&home);
}

static struct inquiry *inquire(void)
{
    int *argument = malloc(sizeof *argument);
    assert_non_null(argument);
    *argument = 40;
    return inquiry_begin(&inquiries, &question, argument, &home);
}

static void assert_answers(int first, int second, int third)
{
    assert_int_equal(answers[0], first);
    assert_int_equal(answers[1], second);
    assert_int_equal(answers[2], third);
}

TEST(all_workers_are_asked_in_their_own_turn_and_then_the_asker_is_told)
{
    begin();
    assert_non_null(inquire());
    assert_int_equal(asked, 0);
    for (unsigned i = 0; i < WORKERS; i++) {
        loop_pass(&home, 1);
        assert_int_equal(answered, 0);
        loop_pass(&workers[i].loop, 1);
        assert_int_equal(asked, i + 1);
    }
    assert_int_equal(answered, 0);
    loop_pass(&home, 1);
    assert_int_equal(answered, 1);
    assert_int_equal(missing, 0);
    assert_answers(40, 41, 42);
    assert_int_equal(freed_slots, WORKERS);
    assert_int_equal(freed_arguments, 1);
    loop_pass(&home, 5000);
    assert_int_equal(answered, 1);
    end();
}

TEST(when_the_time_is_over_the_asker_gets_what_there_is_and_late_answers_are_dropped)
{
    begin();
    assert_non_null(inquire());
    loop_pass(&workers[2].loop, 1);
    loop_pass(&home, 999);
    assert_int_equal(answered, 0);
    loop_pass(&home, 1000);
    assert_int_equal(answered, 1);
    assert_int_equal(missing, 2);
    assert_answers(-1, -1, 42);
    assert_int_equal(freed_slots + freed_arguments, 0); /* workers may still write there */
    loop_pass(&workers[0].loop, 2000);
    loop_pass(&workers[1].loop, 2000);
    loop_pass(&home, 2000);
    assert_int_equal(answered, 1);
    assert_int_equal(freed_slots, WORKERS);
    assert_int_equal(freed_arguments, 1);
    end();
}

TEST(a_worker_that_has_ended_is_not_waited_for)
{
    begin();
    assert_non_null(inquire());
    loop_pass(&workers[0].loop, 1);
    loop_pass(&workers[1].loop, 1);
    errands_close(&workers[2].loop.errands); /* ends with the question unread */
    loop_pass(&home, 1);
    assert_int_equal(answered, 1);
    assert_int_equal(missing, 0);
    assert_answers(40, 41, -1);
    assert_non_null(inquire()); /* it had ended before */
    loop_pass(&workers[0].loop, 1);
    loop_pass(&workers[1].loop, 1);
    loop_pass(&home, 1);
    assert_int_equal(answered, 2);
    assert_answers(40, 41, -1);
    end();
}

TEST(where_nobody_is_there_the_answer_comes_later_all_the_same)
{
    begin();
    for (unsigned i = 0; i < WORKERS; i++)
        inquiries_leave_out(&inquiries, &workers[i]);
    assert_non_null(inquire());
    assert_int_equal(answered, 0);
    loop_pass(&home, 1);
    assert_int_equal(answered, 1);
    assert_answers(-1, -1, -1);
    end();
}

TEST(an_asker_who_has_gone_is_told_nothing)
{
    begin();
    inquiry_abandon(inquire());
    for (unsigned i = 0; i < WORKERS; i++)
        loop_pass(&workers[i].loop, 1);
    loop_pass(&home, 1);
    inquiry_abandon(inquire());
    loop_pass(&home, 3000); /* its time is over */
    assert_int_equal(answered, 0);
    assert_int_equal(freed_arguments, 1);
    end();
    assert_int_equal(freed_arguments, 2);
}

TEST(too_many_that_nobody_answers_are_refused)
{
    begin();
    for (unsigned i = 0; i < INQUIRIES_OPEN_MAX; i++)
        assert_non_null(inquire());
    assert_null(inquire());
    assert_int_equal(freed_arguments, 1);
    for (unsigned i = 0; i < WORKERS; i++)
        loop_pass(&workers[i].loop, 1);
    loop_pass(&home, 1);
    assert_int_equal(answered, INQUIRIES_OPEN_MAX);
    assert_non_null(inquire());
    end();
}

/* --- with threads --- */

static void *run(void *loop)
{
    loop_run(loop);
    return NULL;
}

static void stop(struct errand *errand, struct loop *loop)
{
    loop_break(loop);
}

/* Asks again until it has been answered often enough. */
static void on_answered_in_threads(const struct inquiry *inquiry, void *asker);

static const struct question threads_question = {
    .ask = ask,
    .answered = on_answered_in_threads,
    .argument_done = free_argument,
    .slot_done = free_slot,
    .slot_octets = sizeof(struct slot),
    .limit_ms = 600000,
};

static void on_answered_in_threads(const struct inquiry *inquiry, void *asker)
{
    on_answered(inquiry, asker);
    assert_answers(40, 41, 42);
    if (answered == 1000) {
        loop_break(&home);
        return;
    }
    int *argument = malloc(sizeof *argument);
    assert_non_null(argument);
    *argument = 40;
    assert_non_null(inquiry_begin(&inquiries, &threads_question, argument, &home));
}

TEST(workers_answer_in_threads_of_their_own)
{
    struct errand stops[WORKERS];
    asked = answered = 0;
    assert_true(loop_init(&home, 254, on_told));
    inquiries_init(&inquiries, &home);
    for (unsigned i = 0; i < WORKERS; i++) {
        assert_true(loop_init(&workers[i].loop, i, on_told));
        assert_true(inquiries_add(&inquiries, &workers[i]));
        assert_int_equal(pthread_create(&workers[i].thread, NULL, run, &workers[i].loop), 0);
    }
    int *argument = malloc(sizeof *argument);
    assert_non_null(argument);
    *argument = 40;
    assert_non_null(inquiry_begin(&inquiries, &threads_question, argument, &home));
    assert_true(loop_run(&home));
    assert_int_equal(asked, 1000 * WORKERS);
    for (unsigned i = 0; i < WORKERS; i++) {
        stops[i].run = stop;
        assert_true(loop_send(&workers[i].loop, &stops[i]));
        pthread_join(workers[i].thread, NULL);
    }
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_workers_are_asked_in_their_own_turn_and_then_the_asker_is_told),
        cmocka_unit_test(when_the_time_is_over_the_asker_gets_what_there_is_and_late_answers_are_dropped),
        cmocka_unit_test(a_worker_that_has_ended_is_not_waited_for),
        cmocka_unit_test(where_nobody_is_there_the_answer_comes_later_all_the_same),
        cmocka_unit_test(an_asker_who_has_gone_is_told_nothing),
        cmocka_unit_test(too_many_that_nobody_answers_are_refused),
        cmocka_unit_test(workers_answer_in_threads_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
