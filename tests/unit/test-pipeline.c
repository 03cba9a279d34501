#include "check.h"

#include "pipeline.h"

#include <imapstate/frame.h>

#include <string.h>

static struct flight *push(struct pipeline *pipeline, const char *tag, const char *command)
{
    const struct imapstate_command *row = imapstate_command_find(imapstate_span_of(command));
    struct flight *flight = pipeline_push(pipeline, row, imapstate_span_of(tag));
    assert_non_null(flight);
    return flight;
}

/* The tags in flight, in their order, "a b c". */
static const char *tags_of(const struct pipeline *pipeline)
{
    static char text[64];
    size_t len = 0;
    text[0] = '\0';
    for (const struct flight *flight = pipeline->first; flight; flight = flight->next)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%.*s", len ? " " : "", (int)flight->tag_len,
                                (const char *)flight->tag);
    return text;
}

static const struct {
    const char *name, *sent, *answered, *left;
} orders[] = {
    { "the only one", "a", "a", "" },
    { "in order", "a b c", "a b c", "" },
    { "the other way round", "a b c", "c b a", "" },
    { "from the middle", "a b c", "b", "a c" },
    { "the last of several", "a b c", "c", "a b" },
    { "the first of several", "a b c", "a", "b c" },
    { "tags that begin alike", "a aa aaa", "aa", "a aaa" },
    { "none of ours", "a b", "x", "a b" },
    { "an empty tag is none", "a b", "", "a b" },
    { "tags differ in case", "a B", "A b", "a B" },
};

TEST(an_answer_finds_its_command_in_whatever_order_it_comes)
{
    for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
        struct pipeline pipeline = { 0 };
        char words[64];
        snprintf(words, sizeof words, "%s", orders[i].sent);
        for (char *rest = words, *tag; (tag = strsep(&rest, " "));)
            push(&pipeline, tag, "NOOP");
        CHECK_SPAN(orders[i].name, imapstate_span_of(tags_of(&pipeline)), imapstate_span_of(orders[i].sent));
        snprintf(words, sizeof words, "%s", orders[i].answered);
        for (char *rest = words, *tag; (tag = strsep(&rest, " "));) {
            bool is_there = pipeline_has_tag(&pipeline, imapstate_span_of(tag));
            unsigned count = pipeline.count;
            struct flight *flight = pipeline_take(&pipeline, imapstate_span_of(tag));
            CHECK_ROW(orders[i].name, (flight != NULL) == is_there);
            CHECK_ROW(orders[i].name, pipeline.count == count - is_there);
            CHECK_ROW(orders[i].name, !pipeline_has_tag(&pipeline, imapstate_span_of(tag)));
            flight_free(flight);
        }
        CHECK_SPAN(orders[i].name, imapstate_span_of(tags_of(&pipeline)), imapstate_span_of(orders[i].left));
        /* What comes next stands behind what is left. */
        push(&pipeline, "z", "NOOP");
        const char *all = tags_of(&pipeline);
        CHECK_ROW(orders[i].name, all[strlen(all) - 1] == 'z');
        CHECK_ROW(orders[i].name, strlen(all) == strlen(orders[i].left) + (*orders[i].left ? 2 : 1));
        pipeline_done(&pipeline);
        CHECK_ROW(orders[i].name, pipeline.count == 0 && !pipeline.first && !pipeline.last);
    }
}

TEST(a_command_in_flight_is_found_by_its_row)
{
    struct pipeline pipeline = { 0 };
    const struct imapstate_command *enable = imapstate_command_find(IMAPSTATE_SPAN("enable"));
    push(&pipeline, "a", "NOOP");
    assert_false(pipeline_has_command(&pipeline, enable));
    struct flight *flight = push(&pipeline, "b", "ENABLE");
    push(&pipeline, "c", "NOOP");
    assert_true(pipeline_has_command(&pipeline, enable));
    assert_ptr_equal(flight->command, enable);
    flight_free(pipeline_take(&pipeline, IMAPSTATE_SPAN("b")));
    assert_false(pipeline_has_command(&pipeline, enable));
    pipeline_done(&pipeline);
}

TEST(a_new_flight_has_nothing_in_it_and_a_copy_of_the_tag)
{
    struct pipeline pipeline = { 0 };
    char tag[] = "a]\xff";
    struct flight *flight = push(&pipeline, tag, "NOTIFY");
    assert_false(flight->is_capturing || flight->has_unasked_literal || flight->is_too_large);
    assert_int_equal(flight->arguments.len, 0);
    assert_true(imapstate_buf_put(&flight->arguments, IMAPSTATE_SPAN("NONE")));
    memset(tag, 'x', sizeof tag);
    assert_ptr_equal(pipeline_take(&pipeline, IMAPSTATE_SPAN("a]\xff")), flight);
    flight_free(flight);
    flight_free(NULL);
}

static struct imapstate_span octets_of(size_t len)
{
    static uint8_t octets[IMAPSTATE_LINE_MAX];
    assert_true(len <= sizeof octets);
    memset(octets, 't', sizeof octets);
    return (struct imapstate_span){ octets, len };
}

/* Commands with tags of this length are added for as long as there is room; gives how many that were. */
static unsigned fill(struct pipeline *pipeline, size_t tag_len)
{
    const struct imapstate_command *noop = imapstate_command_find(IMAPSTATE_SPAN("NOOP"));
    unsigned count = 0;
    for (; pipeline_has_room(pipeline, tag_len); count++)
        assert_non_null(pipeline_push(pipeline, noop, octets_of(tag_len)));
    return count;
}

static const struct {
    const char *name;
    size_t tag_len;
    unsigned count;
} tags[] = {
    { "short tags: so many as are looked at", 4, PIPELINE_FLIGHTS_MAX },
    { "tags of 8 KiB", 8192, PIPELINE_OCTETS_MAX / (8192 + sizeof(struct flight)) },
    { "tags as long as lines: one", IMAPSTATE_LINE_MAX - 8, 1 },
};

TEST(what_all_in_flight_hold_is_bounded_as_a_sum)
{
    for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
        struct pipeline pipeline = { 0 };
        for (int round = 0; round < 3; round++) {
            CHECK_ROW(tags[i].name, fill(&pipeline, tags[i].tag_len) == (round ? 1 : tags[i].count));
            CHECK_ROW(tags[i].name, pipeline.octets <= PIPELINE_OCTETS_MAX);
            /* An answer makes room for one more, and no more than one. */
            flight_free(pipeline_take(&pipeline, octets_of(tags[i].tag_len)));
        }
        while (pipeline.count > 0)
            flight_free(pipeline_take(&pipeline, octets_of(tags[i].tag_len)));
        CHECK_ROW(tags[i].name, pipeline.octets == 0);
    }
}

TEST(captured_arguments_count_until_they_are_given_up_or_answered)
{
    struct pipeline pipeline = { 0 };
    struct flight *flight = push(&pipeline, "n", "NOTIFY");
    uint32_t before = pipeline.octets;
    pipeline_capture(&pipeline, flight, octets_of(1000));
    assert_int_equal(pipeline.octets, before); /* nobody has said that they are to be kept */
    flight->is_capturing = true;
    pipeline_capture(&pipeline, flight, octets_of(50000));
    assert_int_equal(pipeline.octets, before + 50000);
    assert_false(pipeline_has_room(&pipeline, 50000));
    assert_true(pipeline_has_room(&pipeline, 40000));
    pipeline_capture(&pipeline, flight, octets_of(50000));
    assert_true(flight->is_too_large && !flight->is_capturing);
    assert_int_equal(pipeline.octets, before);
    assert_true(pipeline_has_room(&pipeline, 50000));
    flight_free(pipeline_take(&pipeline, IMAPSTATE_SPAN("n")));
    assert_int_equal(pipeline.octets, 0);
}

TEST(the_only_command_goes_whatever_it_carries)
{
    struct pipeline pipeline = { 0 };
    assert_true(pipeline_has_room(&pipeline, 2 * PIPELINE_OCTETS_MAX));
    push(&pipeline, "a", "NOOP");
    assert_false(pipeline_has_room(&pipeline, 2 * PIPELINE_OCTETS_MAX));
    flight_free(pipeline_take(&pipeline, IMAPSTATE_SPAN("a")));
    assert_true(pipeline_has_room(&pipeline, 2 * PIPELINE_OCTETS_MAX));
}

TEST(a_command_is_held_back_until_any_answer_comes)
{
    struct pipeline pipeline = { 0 };
    push(&pipeline, "a", "NOOP");
    push(&pipeline, "b", "NOOP");
    pipeline.holds_back = true;
    assert_null(pipeline_take(&pipeline, IMAPSTATE_SPAN("x")));
    assert_true(pipeline.holds_back);
    flight_free(pipeline_take(&pipeline, IMAPSTATE_SPAN("b")));
    assert_false(pipeline.holds_back);
    pipeline.holds_back = true;
    pipeline_done(&pipeline);
    assert_false(pipeline.holds_back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_finds_its_command_in_whatever_order_it_comes),
        cmocka_unit_test(a_command_in_flight_is_found_by_its_row),
        cmocka_unit_test(a_new_flight_has_nothing_in_it_and_a_copy_of_the_tag),
        cmocka_unit_test(what_all_in_flight_hold_is_bounded_as_a_sum),
        cmocka_unit_test(captured_arguments_count_until_they_are_given_up_or_answered),
        cmocka_unit_test(the_only_command_goes_whatever_it_carries),
        cmocka_unit_test(a_command_is_held_back_until_any_answer_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
