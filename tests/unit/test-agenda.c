#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "agenda.h"

#define THINGS 64u

static struct agenda agenda;
static struct appointment things[THINGS];
static char kept[256];

static struct appointment *thing(char name)
{
    return &things[name - 'a'];
}

static void keep(void *owner)
{
    const struct appointment *done = owner;
    size_t len = strlen(kept);
    assert_false(done->is_set);
    assert_true(len + 1 < sizeof kept);
    kept[len] = (char)('a' + (done - things));
    kept[len + 1] = '\0';
}

static void begin(void)
{
    agenda = (struct agenda){ 0 };
    *kept = '\0';
    for (size_t i = 0; i < THINGS; i++)
        things[i] = (struct appointment){ .callback = keep, .owner = &things[i] };
}

/* The names of those that are called, in their order. */
static const char *keep_until(uint64_t now_ms)
{
    *kept = '\0';
    agenda_keep(&agenda, now_ms);
    return kept;
}

TEST(an_empty_agenda_has_nothing_due)
{
    begin();
    assert_true(agenda_first_ms(&agenda) == UINT64_MAX);
    assert_string_equal(keep_until(UINT64_MAX), "");
}

TEST(the_earliest_comes_first_and_what_was_set_first_of_the_same_time)
{
    begin();
    agenda_set(&agenda, thing('a'), 30);
    agenda_set(&agenda, thing('b'), 10);
    agenda_set(&agenda, thing('c'), 20);
    agenda_set(&agenda, thing('d'), 10);
    assert_int_equal(agenda_first_ms(&agenda), 10);
    assert_string_equal(keep_until(9), "");
    assert_string_equal(keep_until(20), "bdc");
    assert_int_equal(agenda_first_ms(&agenda), 30);
    assert_string_equal(keep_until(30), "a");
    assert_string_equal(keep_until(1000), "");
}

TEST(what_is_set_anew_counts_from_then)
{
    begin();
    agenda_set(&agenda, thing('a'), 10);
    agenda_set(&agenda, thing('b'), 10);
    agenda_set(&agenda, thing('a'), 10);
    agenda_set(&agenda, thing('b'), 5);
    assert_string_equal(keep_until(10), "ba");
}

TEST(what_is_cancelled_is_not_called_and_may_be_cancelled_again)
{
    begin();
    agenda_cancel(&agenda, thing('a'));
    for (char name = 'a'; name <= 'e'; name++)
        agenda_set(&agenda, thing(name), 10);
    agenda_cancel(&agenda, thing('a'));
    agenda_cancel(&agenda, thing('c'));
    agenda_cancel(&agenda, thing('c'));
    agenda_cancel(&agenda, thing('e'));
    assert_string_equal(keep_until(10), "bd");
}

static void set_again(void *owner)
{
    keep(owner);
    agenda_set(&agenda, owner, 0);
}

TEST(what_a_callback_sets_waits_for_the_next_time)
{
    begin();
    thing('b')->callback = set_again;
    agenda_set(&agenda, thing('a'), 10);
    agenda_set(&agenda, thing('b'), 10);
    agenda_set(&agenda, thing('c'), 10);
    assert_string_equal(keep_until(10), "abc");
    assert_string_equal(keep_until(10), "b");
    assert_string_equal(keep_until(10), "b");
}

static void cancel_others(void *owner)
{
    keep(owner);
    for (size_t i = 0; i < THINGS; i++)
        if (&things[i] != owner)
            agenda_cancel(&agenda, &things[i]);
}

TEST(a_callback_may_cancel_what_is_due_as_well)
{
    begin();
    thing('b')->callback = cancel_others;
    for (char name = 'a'; name <= 'f'; name++)
        agenda_set(&agenda, thing(name), 10);
    assert_string_equal(keep_until(10), "ab");
    assert_true(agenda_first_ms(&agenda) == UINT64_MAX);
}

/* The first of those that are set, by a search. */
static struct appointment *first_by_search(void)
{
    struct appointment *first = NULL;
    for (size_t i = 0; i < THINGS; i++)
        if (things[i].is_set && (!first || things[i].at_ms < first->at_ms ||
                                 (things[i].at_ms == first->at_ms && things[i].order < first->order)))
            first = &things[i];
    return first;
}

TEST(whatever_is_set_and_cancelled_the_first_is_the_first)
{
    begin();
    srandom(1);
    for (unsigned step = 0; step < 200000; step++) {
        struct appointment *one = &things[(unsigned)random() % THINGS];
        switch (random() % 4) {
        case 0:
            agenda_cancel(&agenda, one);
            assert_false(one->is_set);
            break;
        case 1:
            if ((one = agenda.first))
                agenda_cancel(&agenda, one);
            break;
        default:
            agenda_set(&agenda, one, (unsigned)random() % 32);
        }
        assert_ptr_equal(agenda.first, first_by_search());
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_agenda_has_nothing_due),
        cmocka_unit_test(the_earliest_comes_first_and_what_was_set_first_of_the_same_time),
        cmocka_unit_test(what_is_set_anew_counts_from_then),
        cmocka_unit_test(what_is_cancelled_is_not_called_and_may_be_cancelled_again),
        cmocka_unit_test(what_a_callback_sets_waits_for_the_next_time),
        cmocka_unit_test(a_callback_may_cancel_what_is_due_as_well),
        cmocka_unit_test(whatever_is_set_and_cancelled_the_first_is_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
