#include "check.h"

#include "chorus.h"
#include "config.h"
#include "offers.h"
#include "prelude.h"
#include "service.h"

#include <string.h>

#define NOW 1000000u
#define MAX 3

static char names[MAX][8] = { "one", "two", "three" };
static char places[MAX][8] = { "mx1:143", "mx2:143", "mx3:143" };
#define MEMBER places[0]
static struct config_member members[MAX] = { { .text = places[0] }, { .text = places[1] }, { .text = places[2] } };
static const struct config_upstream upstreams[MAX] = { { .name = names[0], .members = members, .member_count = 1 },
                                                       { .name = names[1], .members = members, .member_count = 1 },
                                                       { .name = names[2], .members = members, .member_count = 1 } };
static const struct config_upstream *const at[MAX] = { &upstreams[0], &upstreams[1], &upstreams[2] };

static struct service_reach reach_of(size_t count)
{
    return (struct service_reach){ at, count };
}

/* list: NULL: it says nothing. */
static void learn(size_t upstream, const char *list, const char *id, uint64_t now_ms)
{
    uint32_t round;
    prelude_take_turn(names[upstream], MEMBER, now_ms, &round);
    struct prelude_lesson lesson = { .names = imapstate_span_of(list ? list : ""), .id = imapstate_span_of(id) };
    prelude_end_round(names[upstream], MEMBER, &lesson, now_ms);
}

static const struct {
    const char *name, *lists[MAX], *common;
    size_t count;
} lists[] = {
    { "nobody is known", { NULL, NULL, NULL }, NULL, 3 },
    { "one", { "IMAP4rev1 A" }, "IMAP4rev1 A", 1 },
    { "all alike", { "IMAP4rev1 A", "A IMAP4rev1", "IMAP4rev1 A B" }, "IMAP4rev1 A", 3 },
    { "case does not matter", { "IMAP4rev1 Sasl-IR", "imap4REV1 SASL-ir" }, "IMAP4rev1 Sasl-IR", 2 },
    { "who is not known has no say", { "IMAP4rev1 A B", NULL, "IMAP4rev1 B C" }, "IMAP4rev1 B", 3 },
    { "nor the first", { NULL, "IMAP4rev1 A B", "IMAP4rev1 B C" }, "IMAP4rev1 B", 3 },
    { "a part of a name is another name", { "IMAP4rev1 AUTH=PLAINX", "IMAP4rev1 AUTH=PLAIN" }, "IMAP4rev1", 2 },
    { "nothing in common", { "IMAP4rev1", "IMAP4rev2" }, NULL, 2 },
    { "nothing in common, and a third", { "IMAP4rev1", "IMAP4rev2", "IMAP4rev2 B" }, NULL, 3 },
};

/* Be they upstreams or the members of one. */
TEST(what_all_members_say_is_common)
{
    static char pool_name[] = "pool";
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        const struct config_upstream pool = { .name = pool_name, .members = members, .member_count = lists[i].count };
        const struct config_upstream *const only = &pool;
        struct service_reach reach = { &only, 1 };
        for (size_t j = 0; j < lists[i].count; j++) {
            uint32_t round;
            prelude_take_turn("pool", places[j], NOW, &round);
            struct prelude_lesson lesson = { .names = imapstate_span_of(lists[i].lists[j] ? lists[i].lists[j] : "") };
            prelude_end_round("pool", places[j], &lesson, NOW);
        }
        struct offers *common = chorus_offers(&reach);
        CHECK_SPAN(lists[i].name, offers_names(common), imapstate_span_of(lists[i].common ? lists[i].common : ""));
        offers_unref(common);
        prelude_done();
    }
}

TEST(what_all_say_is_common)
{
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        for (size_t j = 0; j < lists[i].count; j++)
            learn(j, lists[i].lists[j], "", NOW);
        struct service_reach reach = reach_of(lists[i].count);
        struct offers *common = chorus_offers(&reach);
        CHECK_ROW(lists[i].name, (common != NULL) == (lists[i].common != NULL));
        if (common)
            CHECK_SPAN(lists[i].name, offers_names(common), imapstate_span_of(lists[i].common));
        offers_unref(common);
        prelude_done();
    }
    struct service_reach nobody = reach_of(0);
    assert_null(chorus_offers(&nobody));
}

static const struct {
    const char *name, *ids[MAX], *common; /* NULL: there is none */
    size_t count;
} ids[] = {
    { "one", { "(\"name\" \"x\")" }, "(\"name\" \"x\")", 1 },
    { "one that has none", { "" }, NULL, 1 },
    { "all alike", { "(\"name\" \"x\")", "(\"name\" \"x\")", "(\"name\" \"x\")" }, "(\"name\" \"x\")", 3 },
    { "the last is another", { "(\"name\" \"x\")", "(\"name\" \"x\")", "(\"name\" \"y\")" }, NULL, 3 },
    { "the second has none", { "(\"name\" \"x\")", "", "(\"name\" \"x\")" }, NULL, 3 },
    { "the first has none", { "", "(\"name\" \"x\")" }, NULL, 2 },
    { "nobody has one", { "", "" }, NULL, 2 },
    { "the one begins as the other", { "(\"name\" \"x\")", "(\"name\" \"x\") " }, NULL, 2 },
};

TEST(an_answer_to_id_is_shown_if_all_give_it)
{
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        struct imapstate_buf arguments;
        imapstate_buf_init(&arguments, 4096);
        for (size_t j = 0; j < ids[i].count; j++)
            learn(j, "IMAP4rev1", ids[i].ids[j], NOW);
        struct service_reach reach = reach_of(ids[i].count);
        CHECK_ROW(ids[i].name, chorus_id(&reach, &arguments) == (ids[i].common != NULL));
        CHECK_SPAN(ids[i].name, imapstate_buf_span(&arguments), imapstate_span_of(ids[i].common ? ids[i].common : ""));
        imapstate_buf_done(&arguments);
        prelude_done();
    }
    struct service_reach nobody = reach_of(0);
    struct imapstate_buf arguments;
    imapstate_buf_init(&arguments, 4096);
    assert_false(chorus_id(&nobody, &arguments));
    imapstate_buf_done(&arguments);
}

static char asked[64];

static void ask(void *owner, const struct config_upstream *upstream, const struct config_member *member)
{
    strcat(strcat(asked, " "), upstream->name);
}

static bool is_fresh(size_t count, uint64_t now_ms, uint32_t *ret_round)
{
    struct service_reach reach = reach_of(count);
    *asked = '\0';
    return chorus_is_fresh(&reach, now_ms, ask, NULL, ret_round);
}

TEST(only_those_that_are_old_are_asked_and_by_one_client)
{
    uint32_t round, later;
    struct service_reach reach = reach_of(3);
    learn(1, "IMAP4rev1", "", NOW);
    assert_false(is_fresh(3, NOW, &round));
    assert_string_equal(asked, " one three");
    assert_false(chorus_has_ended(&reach, round));
    assert_false(is_fresh(3, NOW, &later)); /* the next client waits for the same */
    assert_string_equal(asked, "");
    assert_int_equal(later, round);
    struct prelude_lesson lesson = { .names = imapstate_span_of("IMAP4rev1") };
    prelude_end_round("one", MEMBER, &lesson, NOW);
    assert_false(chorus_has_ended(&reach, round)); /* three has not said anything yet */
    prelude_end_round("three", MEMBER, &lesson, NOW);
    assert_true(chorus_has_ended(&reach, round));
    assert_true(is_fresh(3, NOW + 1, &round));
    assert_string_equal(asked, "");
    prelude_done();
}

TEST(whoever_asks_more_waits_for_all)
{
    uint32_t before, round;
    struct service_reach reach = reach_of(3);
    struct prelude_lesson lesson = { .names = imapstate_span_of("IMAP4rev1") };
    learn(1, "IMAP4rev1", "", NOW);
    prelude_take_turn("three", MEMBER, NOW, &before); /* by another listener's client */
    assert_false(is_fresh(3, NOW, &round));
    assert_string_equal(asked, " one");
    prelude_end_round("three", MEMBER, &lesson, NOW);
    assert_false(chorus_has_ended(&reach, round));
    prelude_end_round("one", MEMBER, &lesson, NOW);
    assert_true(chorus_has_ended(&reach, round));
    prelude_done();
}

TEST(nobody_waits_again_for_one_that_was_silent_but_for_the_only_one)
{
    uint32_t round;
    struct service_reach three = reach_of(3), one = reach_of(1);
    learn(0, NULL, "", NOW);
    learn(1, "IMAP4rev1", "", NOW);
    learn(2, "IMAP4rev1", "", NOW);
    assert_false(is_fresh(3, NOW + 1, &round));
    assert_string_equal(asked, " one");
    assert_true(chorus_has_ended(&three, round));
    assert_false(chorus_has_ended(&one, round));
    prelude_done();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_all_say_is_common),
        cmocka_unit_test(what_all_members_say_is_common),
        cmocka_unit_test(an_answer_to_id_is_shown_if_all_give_it),
        cmocka_unit_test(only_those_that_are_old_are_asked_and_by_one_client),
        cmocka_unit_test(whoever_asks_more_waits_for_all),
        cmocka_unit_test(nobody_waits_again_for_one_that_was_silent_but_for_the_only_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
