#include "check.h"

#include "errand.h"
#include "loop.h"

static char order[8];
static size_t run_count;
static struct loop *ran_on;

struct numbered {
    struct errand errand;
    char name;
    struct errands *sends_itself_to; /* once; or NULL */
};

static void note(struct errand *errand, struct loop *loop)
{
    struct numbered *numbered = list_entry(errand, struct numbered, errand);
    ran_on = loop;
    order[run_count++] = numbered->name;
    order[run_count] = '\0';
    struct errands *again = numbered->sends_itself_to;
    numbered->sends_itself_to = NULL;
    if (again)
        errands_add(again, errand);
}

static void begin(struct errands *errands)
{
    run_count = 0;
    order[0] = '\0';
    ran_on = NULL;
    errands_init(errands);
}

static void end(struct errands *errands)
{
    errands_close(errands);
    errands_done(errands);
}

TEST(errands_are_run_once_in_the_order_in_which_they_came)
{
    struct errands errands;
    struct loop loop;
    struct numbered a = { { .run = note }, 'a' }, b = { { .run = note }, 'b' };
    begin(&errands);
    assert_true(errands_add(&errands, &a.errand));
    assert_true(errands_add(&errands, &b.errand));
    errands_run(&errands, &loop);
    errands_run(&errands, &loop);
    assert_string_equal(order, "ab");
    assert_ptr_equal(ran_on, &loop);
    end(&errands);
}

TEST(an_errand_that_sends_itself_again_waits_for_the_next_time)
{
    struct errands errands;
    struct numbered a = { { .run = note }, 'a', &errands };
    begin(&errands);
    errands_add(&errands, &a.errand);
    errands_run(&errands, NULL);
    assert_string_equal(order, "a");
    errands_run(&errands, NULL);
    assert_string_equal(order, "aa");
    end(&errands);
}

TEST(after_the_end_what_waits_is_run_without_a_loop_and_nothing_is_taken)
{
    struct errands errands;
    struct loop loop;
    struct numbered a = { { .run = note }, 'a' }, b = { { .run = note }, 'b' };
    begin(&errands);
    ran_on = &loop;
    errands_add(&errands, &a.errand);
    errands_close(&errands);
    assert_string_equal(order, "a");
    assert_null(ran_on);
    assert_false(errands_add(&errands, &b.errand));
    errands_run(&errands, &loop);
    assert_string_equal(order, "a");
    end(&errands);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errands_are_run_once_in_the_order_in_which_they_came),
        cmocka_unit_test(an_errand_that_sends_itself_again_waits_for_the_next_time),
        cmocka_unit_test(after_the_end_what_waits_is_run_without_a_loop_and_nothing_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
