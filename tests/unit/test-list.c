#include "check.h"

#include "list.h"

struct thing {
    struct list link;
    char name;
};

/* The names in their order, walked forwards; backwards it must be the same. */
static const char *names_of(const struct list *head)
{
    static char names[16];
    size_t len = 0;
    for (const struct list *link = head->next; link != head; link = link->next)
        names[len++] = list_entry(link, const struct thing, link)->name;
    names[len] = '\0';
    for (const struct list *link = head->previous; link != head; link = link->previous)
        assert_int_equal(list_entry(link, const struct thing, link)->name, names[--len]);
    assert_int_equal(len, 0);
    return names;
}

static void fill(struct thing things[4], struct list *head)
{
    list_init(head);
    for (unsigned i = 0; i < 4; i++) {
        things[i].name = (char)('a' + i);
        list_init(&things[i].link);
        list_move(&things[i].link, head);
    }
}

TEST(moving_appends)
{
    struct thing things[4];
    struct list head;
    list_init(&head);
    assert_true(list_is_empty(&head));
    fill(things, &head);
    assert_false(list_is_empty(&head));
    assert_string_equal(names_of(&head), "abcd");
}

TEST(moving_leaves_the_list_before)
{
    struct thing things[4];
    struct list one, two;
    fill(things, &one);
    list_init(&two);
    list_move(&things[1].link, &two);
    list_move(&things[0].link, &two);
    assert_string_equal(names_of(&one), "cd");
    assert_string_equal(names_of(&two), "ba");
    list_move(&things[2].link, &one);
    assert_string_equal(names_of(&one), "dc");
}

TEST(what_was_removed_is_in_no_list_and_may_be_removed_again)
{
    struct thing things[4];
    struct list head;
    fill(things, &head);
    for (int times = 0; times < 2; times++) {
        list_remove(&things[3].link);
        assert_string_equal(names_of(&head), "abc");
        assert_true(list_is_empty(&things[3].link));
    }
    list_remove(&things[0].link);
    list_remove(&things[2].link);
    list_remove(&things[1].link);
    assert_true(list_is_empty(&head));
}

TEST(a_loop_goes_on_when_its_place_leaves_the_list)
{
    struct thing things[4];
    struct list head, other;
    char seen[5] = "";
    unsigned count = 0;
    fill(things, &head);
    list_init(&other);
    list_each_safe(link, &head)
    {
        seen[count++] = list_entry(link, struct thing, link)->name;
        if (count % 2)
            list_move(link, &other);
        else
            list_remove(link);
    }
    assert_string_equal(seen, "abcd");
    assert_true(list_is_empty(&head));
    assert_string_equal(names_of(&other), "ac");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moving_appends),
        cmocka_unit_test(moving_leaves_the_list_before),
        cmocka_unit_test(what_was_removed_is_in_no_list_and_may_be_removed_again),
        cmocka_unit_test(a_loop_goes_on_when_its_place_leaves_the_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
