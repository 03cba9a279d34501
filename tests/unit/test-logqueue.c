#include "check.h"

#include "logqueue.h"

#include <stdio.h>
#include <string.h>

static struct logqueue_entry entry;

static void put(struct logqueue *queue, unsigned number)
{
    char line[64];
    int len = snprintf(line, sizeof line, "line %u, and what makes it longer", number);
    logqueue_put(queue, (uint8_t)(number % 7), line, (size_t)len);
}

static void assert_line(struct logqueue *queue, unsigned number)
{
    char want[64];
    int len = snprintf(want, sizeof want, "line %u, and what makes it longer", number);
    assert_true(logqueue_take(queue, &entry));
    assert_int_equal(entry.lost, 0);
    assert_int_equal(entry.mark, number % 7);
    assert_int_equal(entry.len, len);
    assert_memory_equal(entry.line, want, (size_t)len);
}

TEST(lines_come_in_the_order_in_which_they_were_put)
{
    struct logqueue queue;
    assert_true(logqueue_init(&queue));
    assert_false(logqueue_take(&queue, &entry));
    unsigned put_count = 0, taken = 0;
    /* Often round the ring, never full. */
    while (put_count < 200000) {
        for (unsigned i = 0; i < 1000; i++)
            put(&queue, put_count++);
        for (unsigned i = 0; i < 990 && taken < put_count; i++)
            assert_line(&queue, taken++);
    }
    while (taken < put_count)
        assert_line(&queue, taken++);
    assert_false(logqueue_take(&queue, &entry));
    logqueue_done(&queue);
}

TEST(what_does_not_fit_is_counted_where_it_is_missing)
{
    struct logqueue queue;
    assert_true(logqueue_init(&queue));
    unsigned count = 0, taken = 0;
    while (queue.lost == 0)
        put(&queue, count++);
    unsigned kept = count - 1;
    for (unsigned i = 0; i < 99; i++)
        put(&queue, 0);
    assert_int_equal(queue.lost, 100);
    assert_true(queue.len <= LOGQUEUE_OCTETS_MAX);
    while (queue.len > LOGQUEUE_OCTETS_MAX / 2)
        assert_line(&queue, taken++);
    put(&queue, kept); /* there is room again */
    while (taken < kept)
        assert_line(&queue, taken++);
    assert_true(logqueue_take(&queue, &entry));
    assert_int_equal(entry.lost, 100);
    assert_int_equal(queue.lost_in_all, 100);
    assert_int_equal(entry.len, 0);
    assert_line(&queue, kept);
    assert_false(logqueue_take(&queue, &entry));
    logqueue_done(&queue);
}

TEST(a_loss_is_told_though_no_line_follows)
{
    struct logqueue queue;
    assert_true(logqueue_init(&queue));
    unsigned count = 0;
    while (queue.lost == 0)
        put(&queue, count++);
    for (unsigned i = 0; i + 1 < count; i++)
        assert_line(&queue, i);
    assert_true(logqueue_take(&queue, &entry));
    assert_int_equal(entry.lost, 1);
    assert_false(logqueue_take(&queue, &entry));
    logqueue_done(&queue);
}

TEST(a_line_that_is_too_long_is_cut)
{
    static char line[2 * LOGQUEUE_LINE_MAX];
    struct logqueue queue;
    memset(line, 'x', sizeof line);
    assert_true(logqueue_init(&queue));
    logqueue_put(&queue, 3, line, sizeof line);
    assert_true(logqueue_take(&queue, &entry));
    assert_int_equal(entry.len, LOGQUEUE_LINE_MAX);
    assert_int_equal(entry.mark, 3);
    logqueue_done(&queue);
    logqueue_done(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_in_the_order_in_which_they_were_put),
        cmocka_unit_test(what_does_not_fit_is_counted_where_it_is_missing),
        cmocka_unit_test(a_loss_is_told_though_no_line_follows),
        cmocka_unit_test(a_line_that_is_too_long_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
