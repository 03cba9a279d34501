#include "check.h"
#include "words.h"
#include "wordset.h"

#include <stdlib.h>

static size_t add_all(struct wordset *set, struct imapstate_span list)
{
    struct imapstate_span word;
    size_t added = 0;
    while ((word = words_next(&list)).len > 0)
        added += wordset_add(set, word);
    return added;
}

static const struct {
    const char *name, *list;
    size_t words; /* different ones */
} lists[] = {
    { "none", "", 0 },
    { "one", "IMAP4rev1", 1 },
    { "each once", "A B C", 3 },
    { "twice", "A B A", 2 },
    { "in another case", "idle IDLE Idle", 1 },
    { "what begins alike", "SORT SORT=DISPLAY", 2 },
    { "octets that differ by the bit of case", "a[ a{ a@ a`", 4 },
};

TEST(each_word_counts_once)
{
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        struct wordset set;
        assert_true(wordset_init(&set, imapstate_span_of(lists[i].list), 1));
        CHECK_ROW(lists[i].name, add_all(&set, imapstate_span_of(lists[i].list)) == lists[i].words);
        CHECK_ROW(lists[i].name, set.count == lists[i].words);
        CHECK_ROW(lists[i].name, add_all(&set, imapstate_span_of(lists[i].list)) == 0);
        CHECK_ROW(lists[i].name, wordset_add(&set, IMAPSTATE_SPAN("one-more")));
        wordset_done(&set);
    }
}

static uint64_t sum_of(const char *list)
{
    struct wordset set;
    assert_true(wordset_init(&set, imapstate_span_of(list), 0));
    add_all(&set, imapstate_span_of(list));
    uint64_t sum = set.sum;
    wordset_done(&set);
    return sum;
}

TEST(the_sum_is_of_the_set)
{
    assert_true(sum_of("A B C") == sum_of("c  b A a"));
    assert_true(sum_of("A B C") != sum_of("A B D") && sum_of("A B") != sum_of("A B C"));
    assert_true(sum_of("AB") != sum_of("A B") && sum_of("AB") != sum_of("BA"));
    assert_true(sum_of("a[") != sum_of("a{"));
}

/* More than find room without memory of the set's own. */
TEST(many_words_are_told_apart)
{
    const size_t count = 4000;
    char *list = malloc(count * 6 + 1);
    assert_non_null(list);
    for (size_t i = 0; i < count; i++)
        snprintf(list + 6 * i, 7, "w%04zu ", i);
    struct wordset set;
    assert_true(wordset_init(&set, imapstate_span_of(list), 0));
    assert_int_equal(add_all(&set, imapstate_span_of(list)), count);
    assert_int_equal(add_all(&set, imapstate_span_of(list)), 0);
    wordset_done(&set);
    free(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_word_counts_once),
        cmocka_unit_test(the_sum_is_of_the_set),
        cmocka_unit_test(many_words_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
