/* What all workers have counted, as one sum. */
#include "check.h"

#include "desk.h"

#include <sodium.h>

struct asker {
    struct figures_request request;
    unsigned told;
    bool has_figures, asks_again;
    uint64_t saves, now;
    size_t late, workers;
};

static void on_figures(void *owner, const struct figures *figures)
{
    struct asker *asker = owner;
    asker->told++;
    asker->has_figures = figures;
    if (figures) {
        struct figures *all = (struct figures *)(uintptr_t)figures;
        asker->saves = figures->clients.saves;
        asker->now = client_counters_listener(&all->clients, "plain")->now[0];
        asker->late = figures->late_count;
        asker->workers = figures->worker_count;
    }
    if (asker->asks_again) {
        asker->asks_again = false;
        assert_true(figures_ask(desk.desk, &asker->request));
    }
}

static struct asker asker_new(void)
{
    return (struct asker){ .request.answered = on_figures };
}

static void ask(struct asker *asker)
{
    asker->request.asker = asker;
    assert_true(figures_ask(desk.desk, &asker->request));
}

TEST(what_the_workers_have_counted_is_summed)
{
    struct asker asker = asker_new();
    desk.workers[0].clients.counters.saves = 3;
    desk.workers[1].clients.counters.saves = 4;
    client_counters_listener(&desk.workers[1].clients.counters, "plain")->now[0] = 5;
    ask(&asker);
    assert_int_equal(asker.told, 0); /* never from within */
    desk_turn();
    assert_int_equal(asker.told, 1);
    assert_true(asker.has_figures);
    assert_int_equal(asker.saves, 7);
    assert_int_equal(asker.now, 5);
    assert_int_equal(asker.workers, 2);
    assert_int_equal(asker.late, 0);
}

TEST(whoever_asks_in_the_meantime_gets_the_same_answer)
{
    struct asker one = asker_new(), two = asker_new();
    ask(&one);
    ask(&two);
    assert_int_equal(desk.inquiries.open_count, 1);
    desk_turn();
    assert_int_equal(one.told, 1);
    assert_int_equal(two.told, 1);
}

TEST(whoever_asks_again_at_once_hears_what_is_counted_then)
{
    struct asker asker = asker_new();
    asker.asks_again = true;
    ask(&asker);
    desk.workers[0].clients.counters.saves = 1;
    desk_turn();
    assert_int_equal(asker.told, 1);
    desk.workers[0].clients.counters.saves = 2;
    desk_turn();
    assert_int_equal(asker.told, 2);
    assert_int_equal(asker.saves, 2);
}

TEST(a_worker_that_is_late_counts_with_what_it_has_said_last)
{
    struct asker asker = asker_new();
    desk.workers[0].clients.counters.saves = 3;
    desk.workers[1].clients.counters.saves = 4;
    ask(&asker);
    desk_turn();
    desk.workers[0].clients.counters.saves = 30;
    desk.workers[1].clients.counters.saves = 40;
    ask(&asker);
    desk_turn_worker(0);
    loop_pass(&desk.home, desk.home.bare_now_ms + INQUIRY_LIMIT_MS);
    assert_int_equal(asker.told, 2);
    assert_int_equal(asker.saves, 34);
    assert_int_equal(asker.late, 1);
    /* What it says too late is dropped, and the next time it is there again. */
    desk_turn();
    ask(&asker);
    desk_turn();
    assert_int_equal(asker.saves, 70);
    assert_int_equal(asker.late, 0);
}

TEST(whoever_has_withdrawn_is_not_told)
{
    struct asker asker = asker_new(), never = asker_new();
    figures_withdraw(&never.request);
    ask(&asker);
    figures_withdraw(&asker.request);
    desk_turn();
    assert_int_equal(asker.told, 0);
    figures_withdraw(&asker.request);
}

TEST(a_desk_that_is_closed_tells_nobody)
{
    struct asker asker = asker_new();
    ask(&asker);
    figures_desk_free(desk.desk);
    desk.desk = NULL;
    desk_turn();
    assert_int_equal(asker.told, 0);
}

TEST(more_than_can_be_asked_is_refused)
{
    struct asker asker = asker_new();
    desk.inquiries.open_count = INQUIRIES_OPEN_MAX;
    asker.request.asker = &asker;
    assert_false(figures_ask(desk.desk, &asker.request));
    desk.inquiries.open_count = 0;
}

int main(void)
{
#define EACH(sentence) cmocka_unit_test_setup_teardown(sentence, desk_begin, desk_end)
    const struct CMUnitTest tests[] = {
        EACH(what_the_workers_have_counted_is_summed),
        EACH(whoever_asks_in_the_meantime_gets_the_same_answer),
        EACH(whoever_asks_again_at_once_hears_what_is_counted_then),
        EACH(a_worker_that_is_late_counts_with_what_it_has_said_last),
        EACH(whoever_has_withdrawn_is_not_told),
        EACH(a_desk_that_is_closed_tells_nobody),
        EACH(more_than_can_be_asked_is_refused),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
