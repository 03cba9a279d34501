#include "check.h"

#include "rows.h"

struct tally {
    struct row row;
    unsigned count;
};

struct tallies {
    struct rows rows;
    struct tally other;
};

static struct tallies tallies, more;

static int begin(void **state)
{
    tallies = more = (struct tallies){ 0 };
    rows_init(&tallies.rows, sizeof(struct tally), &tallies.other.row);
    rows_init(&more.rows, sizeof(struct tally), &more.other.row);
    return 0;
}

static int end(void **state)
{
    rows_done(&tallies.rows);
    rows_done(&more.rows);
    return 0;
}

static struct tally *of(struct tallies *all, const char *name)
{
    return (struct tally *)rows_have(&all->rows, imapstate_span_of(name));
}

static void fill_up(struct tallies *all)
{
    char name[16];
    while (all->rows.count < ROWS_MAX) {
        snprintf(name, sizeof name, "%u", all->rows.count);
        of(all, name)->count = 1;
    }
}

static void add(struct row *into, const struct row *from)
{
    ((struct tally *)into)->count += ((const struct tally *)from)->count;
}

TEST(a_name_has_the_same_row_each_time)
{
    struct tally *mail = of(&tallies, "mail");
    assert_int_equal(mail->count, 0);
    assert_ptr_equal(of(&tallies, "mail"), mail);
    assert_ptr_not_equal(of(&tallies, "mai"), mail);
    assert_int_equal(tallies.rows.count, 2);
    CHECK_SPAN("its name", mail->row.name, IMAPSTATE_SPAN("mail"));
}

TEST(a_name_may_hold_a_NUL_and_ends_with_one)
{
    struct row *row = rows_have(&tallies.rows, IMAPSTATE_SPAN("mail\0"
                                                              "192.0.2.7:143"));
    assert_ptr_not_equal(row, rows_have(&tallies.rows, IMAPSTATE_SPAN("mail")));
    assert_string_equal((const char *)row->name.at + 5, "192.0.2.7:143");
}

TEST(a_row_stays_where_it_is_when_others_come)
{
    struct tally *first = of(&tallies, "0");
    fill_up(&tallies);
    assert_ptr_equal(of(&tallies, "0"), first);
}

TEST(beyond_the_limit_all_share_a_row)
{
    fill_up(&tallies);
    assert_ptr_equal(of(&tallies, "one more"), &tallies.other);
    assert_ptr_equal(of(&tallies, "and another"), &tallies.other);
    assert_int_equal(tallies.rows.count, ROWS_MAX);
    assert_ptr_not_equal(of(&tallies, "7"), &tallies.other);
}

TEST(rows_are_summed_by_name_and_what_no_longer_fits_is_not_lost)
{
    fill_up(&tallies);
    of(&more, "7")->count = 20;
    of(&more, "elsewhere")->count = 300;
    more.other.count = 4000;
    rows_add(&tallies.rows, &more.rows, add);
    assert_int_equal(of(&tallies, "7")->count, 21);
    assert_int_equal(tallies.other.count, 4300);
}

TEST(a_copy_is_a_sum_of_one)
{
    of(&more, "a")->count = 1;
    of(&more, "b")->count = 2;
    rows_add(&tallies.rows, &more.rows, add);
    assert_int_equal(tallies.rows.count, 2);
    assert_int_equal(of(&tallies, "b")->count, 2);
    CHECK_SPAN("in their order", tallies.rows.first->name, IMAPSTATE_SPAN("a"));
}

int main(void)
{
#define EACH(sentence) cmocka_unit_test_setup_teardown(sentence, begin, end)
    const struct CMUnitTest tests[] = {
        EACH(a_name_has_the_same_row_each_time),
        EACH(a_name_may_hold_a_NUL_and_ends_with_one),
        EACH(a_row_stays_where_it_is_when_others_come),
        EACH(beyond_the_limit_all_share_a_row),
        EACH(rows_are_summed_by_name_and_what_no_longer_fits_is_not_lost),
        EACH(a_copy_is_a_sum_of_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
