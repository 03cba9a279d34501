#include "check.h"

#include "alert.h"
#include "capability.h"
#include "offers.h"
#include "prelude.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define MEMBER "mx1:143"

static void end_round(const char *upstream, struct imapstate_span greeting_names, struct imapstate_span names,
                      struct imapstate_span id, uint64_t now_ms)
{
    struct prelude_lesson lesson = { .greeting_names = greeting_names, .names = names, .id = id };
    prelude_end_round(upstream, MEMBER, &lesson, now_ms);
}

static struct imapstate_buf heard;

/* Appends what is known, and gives back the reference to it. */
static bool put_names(struct offers *offers, struct imapstate_buf *ret_names)
{
    bool is_known = offers && imapstate_buf_put(ret_names, offers_names(offers));
    offers_unref(offers);
    return is_known;
}

static bool known_names(const char *upstream, struct imapstate_buf *ret_names)
{
    return put_names(prelude_offers(upstream, MEMBER), ret_names);
}

static bool names_for_greeting(const char *upstream, struct imapstate_span greeting, uint64_t now_ms,
                               struct imapstate_buf *ret_names)
{
    return put_names(prelude_offers_for_greeting(upstream, MEMBER, greeting, now_ms), ret_names);
}

static struct imapstate_span names_of(const char *upstream, uint64_t now_ms, bool *ret_known, bool *ret_fresh)
{
    imapstate_buf_done(&heard);
    imapstate_buf_init(&heard, CAPABILITY_LIST_MAX);
    *ret_known = known_names(upstream, &heard);
    uint32_t round;
    enum prelude_turn turn = prelude_take_turn(upstream, MEMBER, now_ms, &round);
    if (ret_fresh)
        *ret_fresh = turn == PRELUDE_FRESH;
    if (turn == PRELUDE_ASK)
        end_round(upstream, IMAPSTATE_SPAN(""), IMAPSTATE_SPAN(""), IMAPSTATE_SPAN(""), now_ms);
    return imapstate_buf_span(&heard);
}

static void prelude_learn_names(const char *upstream, struct imapstate_span greeting_names, struct imapstate_span names,
                                uint64_t now_ms)
{
    uint32_t round;
    prelude_take_turn(upstream, MEMBER, now_ms + 10 * PRELUDE_FRESH_MS, &round);
    end_round(upstream, greeting_names, names, IMAPSTATE_SPAN(""), now_ms);
}

static void forget(void)
{
    prelude_done();
    imapstate_buf_done(&heard);
}

TEST(nothing_is_known_of_an_upstream_that_was_never_asked)
{
    bool is_known, is_fresh = true;
    prelude_learn_names("other", IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("IMAP4rev1"), 1000);
    assert_int_equal(names_of("main", 1000, &is_known, &is_fresh).len, 0);
    assert_false(is_known || is_fresh);
    assert_int_equal(names_of("othe", 1000, &is_known, &is_fresh).len, 0);
    assert_false(is_known || is_fresh);
    assert_false(prelude_id("main", MEMBER, &heard));
    assert_false(names_for_greeting("main", IMAPSTATE_SPAN("IMAP4rev1"), 1000, &heard));
    forget();
}

TEST(what_was_learned_last_is_known_of_each_upstream)
{
    bool is_known, is_fresh;
    prelude_learn_names("a", IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("IMAP4rev1 ONE"), 1000);
    prelude_learn_names("b", IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("IMAP4rev1 TWO"), 1000);
    prelude_learn_names("a", IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("IMAP4rev1"), 1000);
    CHECK_SPAN("a", names_of("a", 1000, &is_known, &is_fresh), IMAPSTATE_SPAN("IMAP4rev1"));
    assert_true(is_known && is_fresh);
    CHECK_SPAN("b", names_of("b", 1000, &is_known, NULL), IMAPSTATE_SPAN("IMAP4rev1 TWO"));
    assert_true(is_known);
    forget();
    names_of("a", 1000, &is_known, NULL);
    assert_false(is_known);
    forget();
}

TEST(an_upstream_that_misses_id_is_news_once)
{
    assert_false(prelude_misses_id("a", MEMBER, true));
    assert_true(prelude_misses_id("a", MEMBER, false));
    assert_false(prelude_misses_id("a", MEMBER, false));
    assert_true(prelude_misses_id("b", MEMBER, false));
    assert_false(prelude_misses_id("a", MEMBER, true));
    assert_true(prelude_misses_id("a", MEMBER, false));
    forget();
}

TEST(that_something_of_an_upstream_is_not_shown_is_news_once)
{
    assert_true(prelude_hides("a", MEMBER));
    assert_false(prelude_hides("a", MEMBER));
    assert_true(prelude_hides("b", MEMBER));
    prelude_forget("a", MEMBER);
    assert_true(prelude_hides("a", MEMBER));
    assert_false(prelude_hides("b", MEMBER));
    forget();
}

static void learn_of(const char *member, struct imapstate_span names)
{
    uint32_t round;
    assert_int_equal(prelude_take_turn("a", member, 1000, &round), PRELUDE_ASK);
    prelude_end_round(
        "a", member, &(struct prelude_lesson){ .names = names, .greeting_names = IMAPSTATE_SPAN("SHORT"), .id = names },
        1000);
}

static void check_member(const char *member, struct imapstate_span want)
{
    struct imapstate_buf got;
    imapstate_buf_init(&got, CAPABILITY_LIST_MAX);
    put_names(prelude_offers_for_greeting("a", member, IMAPSTATE_SPAN("SHORT"), 1000), &got);
    CHECK_SPAN(member, imapstate_buf_span(&got), want);
    imapstate_buf_clear(&got);
    prelude_id("a", member, &got);
    CHECK_SPAN(member, imapstate_buf_span(&got), want);
    imapstate_buf_done(&got);
}

/* They even greet alike. */
TEST(what_is_known_of_a_member_is_true_of_no_other)
{
    static const char *const members[] = { "mx1:143", "mx2:143", "mx3:143", "mx4:143" };
    learn_of(members[0], IMAPSTATE_SPAN("ONE"));
    learn_of(members[1], IMAPSTATE_SPAN("TWO"));
    learn_of(members[2], IMAPSTATE_SPAN("THREE"));
    prelude_compare("a", members[1], IMAPSTATE_SPAN("OTHER")); /* no longer fresh */
    prelude_forget("a", members[2]);
    uint32_t round;
    assert_int_equal(prelude_take_turn("a", members[0], 1000, &round), PRELUDE_FRESH);
    assert_int_equal(prelude_take_turn("a", members[1], 1000, &round), PRELUDE_ASK);
    assert_true(prelude_round_has_ended("a", members[0], round));
    assert_false(prelude_round_has_ended("a", members[1], round));
    end_round("a", IMAPSTATE_SPAN(""), IMAPSTATE_SPAN(""), IMAPSTATE_SPAN(""), 1000); /* of another one */
    assert_false(prelude_round_has_ended("a", members[1], round));
    check_member(members[0], IMAPSTATE_SPAN("ONE"));
    check_member(members[2], IMAPSTATE_SPAN(""));
    check_member(members[3], IMAPSTATE_SPAN(""));
    learn_of(members[2], IMAPSTATE_SPAN("AGAIN"));
    check_member(members[2], IMAPSTATE_SPAN("AGAIN"));
    forget();
}

/* Whether those who wait may go on without, and when it is asked again. */
TEST(a_member_that_has_nothing_to_say_is_quiet_and_rests)
{
    static const struct prelude_lesson nothing, something = { .names = IMAPSTATE_SPAN("IMAP4rev1") };
    uint32_t round;
    prelude_stall("a", MEMBER); /* never asked */
    assert_false(prelude_is_quiet("a", MEMBER));
    prelude_take_turn("a", MEMBER, 1000, &round);
    assert_false(prelude_is_quiet("a", MEMBER));
    prelude_stall("a", MEMBER);
    assert_true(prelude_is_quiet("a", MEMBER) && !prelude_is_silent("a", MEMBER));
    assert_false(prelude_rests("a", MEMBER, 500, 1000));
    prelude_end_round("a", MEMBER, &nothing, 2000);
    assert_true(prelude_is_quiet("a", MEMBER) && prelude_is_silent("a", MEMBER));
    assert_true(prelude_rests("a", MEMBER, 500, 2499));
    assert_false(prelude_rests("a", MEMBER, 500, 2500));
    prelude_take_turn("a", MEMBER, 2499, &round);
    assert_true(prelude_is_quiet("a", MEMBER)); /* as long as nothing else is known */
    assert_false(prelude_rests("a", MEMBER, 500, 2499));
    prelude_stall("a", MEMBER);
    prelude_end_round("a", MEMBER, &something, 2499);
    prelude_stall("a", MEMBER); /* too late */
    assert_false(prelude_is_quiet("a", MEMBER) || prelude_rests("a", MEMBER, 500, 2499));
    prelude_take_turn("a", MEMBER, 2499 + PRELUDE_FRESH_MS, &round);
    prelude_end_round("a", MEMBER, &nothing, 100000);
    prelude_forget("a", MEMBER); /* another server, that nobody has asked yet */
    assert_false(prelude_is_quiet("a", MEMBER) || prelude_rests("a", MEMBER, 500, 100000));
    forget();
}

static const struct {
    const char *name;
    uint64_t now_ms;
    bool is_fresh;
} ages[] = {
    { "at once", 1000, true },
    { "just in time", 1000 + PRELUDE_FRESH_MS - 1, true },
    { "too late", 1000 + PRELUDE_FRESH_MS, false },
    { "by the clock of a thread that has waited for the lock", 999, true },
};

TEST(a_list_is_fresh_for_a_minute_and_known_for_ever)
{
    for (size_t i = 0; i < ARRAY_LEN(ages); i++) {
        bool is_known, is_fresh;
        prelude_learn_names("a", IMAPSTATE_SPAN("IMAP4rev1"), IMAPSTATE_SPAN("IMAP4rev1 ONE"), 1000);
        CHECK_SPAN(ages[i].name, names_of("a", ages[i].now_ms, &is_known, &is_fresh), IMAPSTATE_SPAN("IMAP4rev1 ONE"));
        CHECK_ROW(ages[i].name, is_known);
        CHECK_ROW(ages[i].name, is_fresh == ages[i].is_fresh);
        imapstate_buf_clear(&heard);
        CHECK_ROW(ages[i].name,
                  names_for_greeting("a", IMAPSTATE_SPAN("IMAP4rev1"), ages[i].now_ms, &heard) == ages[i].is_fresh);
        CHECK_SPAN(ages[i].name, imapstate_buf_span(&heard),
                   ages[i].is_fresh ? IMAPSTATE_SPAN("IMAP4rev1 ONE") : IMAPSTATE_SPAN(""));
        forget();
    }
}

static const struct {
    const char *name;
    struct imapstate_span learned, greeting;
    bool is_known;
} greetings[] = {
    { "the same greeting", IMAPSTATE_SPAN("IMAP4rev1 ID"), IMAPSTATE_SPAN("IMAP4rev1 ID"), true },
    { "another order and case", IMAPSTATE_SPAN("IMAP4rev1 ID"), IMAPSTATE_SPAN("id imap4REV1"), true },
    { "a longer one", IMAPSTATE_SPAN("IMAP4rev1 ID"), IMAPSTATE_SPAN("IMAP4rev1 ID X"), false },
    { "a shorter one", IMAPSTATE_SPAN("IMAP4rev1 ID"), IMAPSTATE_SPAN("IMAP4rev1"), false },
    { "one without a list", IMAPSTATE_SPAN("IMAP4rev1 ID"), IMAPSTATE_SPAN(""), false },
    { "learned after TLS had begun", IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("IMAP4rev1 ID"), false },
    { "learned after TLS had begun, without a list", IMAPSTATE_SPAN(""), IMAPSTATE_SPAN(""), false },
};

TEST(a_full_list_goes_with_the_greeting_that_came_before_it)
{
    for (size_t i = 0; i < ARRAY_LEN(greetings); i++) {
        imapstate_buf_init(&heard, CAPABILITY_LIST_MAX);
        prelude_learn_names("a", greetings[i].learned, IMAPSTATE_SPAN("IMAP4rev1 ID FULL"), 1000);
        CHECK_ROW(greetings[i].name,
                  names_for_greeting("a", greetings[i].greeting, 1000, &heard) == greetings[i].is_known);
        forget();
    }
}

TEST(a_list_that_is_too_long_is_not_cut)
{
    bool is_fresh = true;
    uint8_t *long_names = malloc(CAPABILITY_LIST_MAX + 1);
    memset(long_names, 'x', CAPABILITY_LIST_MAX + 1);
    prelude_learn_names("a", IMAPSTATE_SPAN(""), (struct imapstate_span){ long_names, CAPABILITY_LIST_MAX + 1 }, 1000);
    bool is_known;
    names_of("a", 1000, &is_known, &is_fresh);
    assert_false(is_known || is_fresh);
    free(long_names);
    forget();
}

TEST(an_answer_to_id_is_known_until_the_next_round_has_another)
{
    uint32_t round;
    imapstate_buf_init(&heard, CAPABILITY_LIST_MAX);
    assert_int_equal(prelude_take_turn("a", MEMBER, 1000, &round), PRELUDE_ASK);
    end_round("a", IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("IMAP4rev1 ID"), IMAPSTATE_SPAN("(\"name\" \"x\")"), 1000);
    assert_true(prelude_id("a", MEMBER, &heard));
    CHECK_SPAN("a", imapstate_buf_span(&heard), IMAPSTATE_SPAN("(\"name\" \"x\")"));
    assert_false(prelude_id("b", MEMBER, &heard));
    assert_int_equal(prelude_take_turn("a", MEMBER, 1000 + PRELUDE_FRESH_MS, &round), PRELUDE_ASK);
    end_round("a", IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("IMAP4rev1 ID"), IMAPSTATE_SPAN(""), 2000);
    assert_false(prelude_id("a", MEMBER, &heard));
    forget();
}

TEST(one_asks_and_all_hear)
{
    uint32_t asks, waits, later;
    assert_int_equal(prelude_take_turn("a", MEMBER, 1000, &asks), PRELUDE_ASK);
    for (unsigned i = 0; i < 150; i++)
        assert_int_equal(prelude_take_turn("a", MEMBER, 1000 + i, &waits), PRELUDE_ASKED);
    assert_int_equal(waits, asks);
    assert_int_equal(prelude_take_turn("b", MEMBER, 1000, &later), PRELUDE_ASK);
    assert_false(prelude_round_has_ended("a", MEMBER, waits));
    end_round("a", IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("IMAP4rev1"), IMAPSTATE_SPAN(""), 2000);
    assert_true(prelude_round_has_ended("a", MEMBER, waits));
    assert_false(prelude_round_has_ended("b", MEMBER, later));
    assert_int_equal(prelude_take_turn("a", MEMBER, 2001, &later), PRELUDE_FRESH);
    forget();
}

TEST(who_asked_in_vain_ends_the_round_all_the_same_and_the_next_asks)
{
    uint32_t first, waits, second;
    bool is_known, is_fresh;
    prelude_learn_names("a", IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("IMAP4rev1 OLD"), 1000);
    assert_int_equal(prelude_take_turn("a", MEMBER, 1000 + PRELUDE_FRESH_MS, &first), PRELUDE_ASK);
    assert_int_equal(prelude_take_turn("a", MEMBER, 1000 + PRELUDE_FRESH_MS, &waits), PRELUDE_ASKED);
    end_round("a", IMAPSTATE_SPAN(""), IMAPSTATE_SPAN(""), IMAPSTATE_SPAN(""), 1001 + PRELUDE_FRESH_MS);
    assert_true(prelude_round_has_ended("a", MEMBER, waits));
    assert_int_equal(prelude_take_turn("a", MEMBER, 1001 + PRELUDE_FRESH_MS, &second), PRELUDE_ASK);
    assert_false(prelude_round_has_ended("a", MEMBER, second));
    assert_true(prelude_round_has_ended("a", MEMBER, waits));
    CHECK_SPAN("what was known stays", names_of("a", 1001 + PRELUDE_FRESH_MS, &is_known, &is_fresh),
               IMAPSTATE_SPAN("IMAP4rev1 OLD"));
    assert_true(is_known && !is_fresh);
    forget();
}

TEST(another_list_than_is_known_makes_it_old)
{
    uint32_t round;
    prelude_compare("a", MEMBER, IMAPSTATE_SPAN("IMAP4rev1"));
    prelude_learn_names("a", IMAPSTATE_SPAN("G"), IMAPSTATE_SPAN("IMAP4rev1"), 1000);
    prelude_compare("a", MEMBER, IMAPSTATE_SPAN("IMAP4rev1"));
    assert_int_equal(prelude_take_turn("a", MEMBER, 1000, &round), PRELUDE_FRESH);
    prelude_compare("a", MEMBER, IMAPSTATE_SPAN("imap4rev1 "));
    assert_int_equal(prelude_take_turn("a", MEMBER, 1000, &round), PRELUDE_FRESH);
    prelude_compare("a", MEMBER, IMAPSTATE_SPAN("IMAP4rev1 X"));
    imapstate_buf_init(&heard, CAPABILITY_LIST_MAX);
    assert_false(names_for_greeting("a", IMAPSTATE_SPAN("G"), 1000, &heard));
    assert_int_equal(prelude_take_turn("a", MEMBER, 1000, &round), PRELUDE_ASK);
    end_round("a", IMAPSTATE_SPAN("G"), IMAPSTATE_SPAN("IMAP4rev1 X"), IMAPSTATE_SPAN(""), 1000);
    assert_int_equal(prelude_take_turn("a", MEMBER, 1000, &round), PRELUDE_FRESH);
    forget();
}

static atomic_uint faults;

/* Whoever reads gets one of the lists that somebody learned, never a mixture. */
static void *learn_and_look(void *arg)
{
    const char *name = arg;
    char names[600];
    memset(names, *name, sizeof names);
    for (unsigned i = 0; i < 5000; i++) {
        struct imapstate_buf got;
        imapstate_buf_init(&got, CAPABILITY_LIST_MAX);
        prelude_learn_names("shared", (struct imapstate_span){ (const uint8_t *)names, 1 },
                            (struct imapstate_span){ (const uint8_t *)names, i % sizeof names + 1 }, i);
        faults += !known_names("shared", &got);
        for (size_t at = 1; at < got.len; at++)
            faults += got.at[at] != got.at[0];
        imapstate_buf_done(&got);
    }
    return NULL;
}

TEST(of_a_server_that_has_moved_nothing_is_known_and_nothing_is_learned_late)
{
    struct imapstate_span none = { 0 };
    struct imapstate_buf got;
    uint32_t round;
    imapstate_buf_init(&got, CAPABILITY_LIST_MAX);
    prelude_forget("moved", MEMBER); /* never asked */
    assert_int_equal(prelude_take_turn("moved", MEMBER, 1, &round), PRELUDE_ASK);
    end_round("moved", none, IMAPSTATE_SPAN("IMAP4rev1 X-OLD"), IMAPSTATE_SPAN("(\"a\" \"b\")"), 1);
    prelude_forget("moved", MEMBER);
    assert_false(known_names("moved", &got));
    assert_false(prelude_id("moved", MEMBER, &got));
    assert_int_equal(prelude_take_turn("moved", MEMBER, 2, &round), PRELUDE_ASK);
    prelude_forget("moved", MEMBER);
    end_round("moved", none, IMAPSTATE_SPAN("IMAP4rev1 X-OLD"), none, 3);
    assert_true(prelude_round_has_ended("moved", MEMBER, round));
    assert_false(known_names("moved", &got));
    assert_int_equal(prelude_take_turn("moved", MEMBER, 4, &round), PRELUDE_ASK);
    end_round("moved", none, IMAPSTATE_SPAN("IMAP4rev1 X-NEW"), none, 5);
    assert_true(known_names("moved", &got));
    imapstate_buf_done(&got);
    forget();
}

TEST(threads_learn_and_look_at_the_same_time)
{
    static char names[] = "abcd";
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, learn_and_look, &names[i]), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(faults, 0);
    forget();
}

#define ALERT "* OK [ALERT] Maintenance at noon\r\n"

static struct imapstate_span alerts_of(const char *upstream)
{
    imapstate_buf_done(&heard);
    imapstate_buf_init(&heard, ALERTS_MAX);
    prelude_alerts(upstream, MEMBER, &heard);
    return imapstate_buf_span(&heard);
}

TEST(what_an_upstream_tells_whoever_connects_is_known_until_the_next_round)
{
    uint32_t round;
    struct prelude_lesson lesson = { .names = IMAPSTATE_SPAN("IMAP4rev1"), .alerts = IMAPSTATE_SPAN(ALERT) };
    CHECK_SPAN("nothing", alerts_of("a"), IMAPSTATE_SPAN(""));
    for (int times = 0; times < 2; times++) {
        prelude_take_turn("a", MEMBER, 1000, &round);
        prelude_end_round("a", MEMBER, &lesson, 1000);
        CHECK_SPAN("learned", alerts_of("a"), IMAPSTATE_SPAN(ALERT));
        prelude_take_turn("a", MEMBER, 1000, &round);
        prelude_end_round("a", MEMBER, &(struct prelude_lesson){ 0 }, 1000);
        CHECK_SPAN("a round that learned nothing", alerts_of("a"), IMAPSTATE_SPAN(ALERT));
        if (times == 0)
            prelude_forget("a", MEMBER);
        else
            end_round("a", IMAPSTATE_SPAN(""), IMAPSTATE_SPAN("IMAP4rev1"), IMAPSTATE_SPAN(""), 1000);
        CHECK_SPAN("gone", alerts_of("a"), IMAPSTATE_SPAN(""));
    }
    forget();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_of_an_upstream_that_was_never_asked),
        cmocka_unit_test(what_is_known_of_a_member_is_true_of_no_other),
        cmocka_unit_test(a_member_that_has_nothing_to_say_is_quiet_and_rests),
        cmocka_unit_test(an_upstream_that_misses_id_is_news_once),
        cmocka_unit_test(that_something_of_an_upstream_is_not_shown_is_news_once),
        cmocka_unit_test(what_was_learned_last_is_known_of_each_upstream),
        cmocka_unit_test(a_list_is_fresh_for_a_minute_and_known_for_ever),
        cmocka_unit_test(a_full_list_goes_with_the_greeting_that_came_before_it),
        cmocka_unit_test(a_list_that_is_too_long_is_not_cut),
        cmocka_unit_test(an_answer_to_id_is_known_until_the_next_round_has_another),
        cmocka_unit_test(one_asks_and_all_hear),
        cmocka_unit_test(who_asked_in_vain_ends_the_round_all_the_same_and_the_next_asks),
        cmocka_unit_test(another_list_than_is_known_makes_it_old),
        cmocka_unit_test(of_a_server_that_has_moved_nothing_is_known_and_nothing_is_learned_late),
        cmocka_unit_test(threads_learn_and_look_at_the_same_time),
        cmocka_unit_test(what_an_upstream_tells_whoever_connects_is_known_until_the_next_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
