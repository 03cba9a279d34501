#include "check.h"

#include "capability.h"
#include "id.h"
#include "loop.h"
#include "offers.h"
#include "prelude.h"
#include "scout.h"

#include <stdlib.h>
#include <string.h>

static struct loop loop;
static unsigned pokes;

static void on_told(struct loop *told)
{
    pokes++;
}

/* A round has begun, and a scout is out for it. */
static struct scout *begin(uint32_t *ret_round)
{
    loop_init_bare(&loop, 0, on_told);
    loop_pass(&loop, 5000);
    pokes = 0;
    assert_int_equal(prelude_take_turn("main", "mx1:143", 5000, ret_round), PRELUDE_ASK);
    struct scout *scout = scout_new("main", "mx1:143", &loop);
    assert_non_null(scout);
    assert_false(prelude_round_has_ended("main", "mx1:143", *ret_round));
    return scout;
}

static void end(void)
{
    loop_done(&loop);
    prelude_done();
}

/* Feeds octets, in two reads, as the pieces that they are. */
static void hear(struct scout *scout, struct imapstate_span octets, size_t cut)
{
    struct imapstate_frame frame;
    imapstate_frame_init(&frame, IMAPSTATE_FRAME_RESPONSES);
    size_t from = 0;
    for (size_t until = cut; from < octets.len;) {
        struct imapstate_piece piece;
        struct imapstate_span in = { octets.at + from, until - from };
        if (imapstate_frame_next(&frame, in, &piece) == IMAPSTATE_FRAME_MORE) {
            assert_true(until < octets.len);
            until = octets.len;
            continue;
        }
        from += piece.octets.len;
        scout_hear_piece(scout, &piece);
    }
}

#define LISTED "(\"name\" \"X\" \"version\" NIL)"
static const struct {
    const char *name, *says, *want;
} answers[] = {
    { "one line", "* ID (\"name\" \"X\" \"version\" nil)\r\nimapstate OK\r\n", LISTED },
    { "literals", "* id ({4}\r\nname \"X\" {7}\r\nversion NIL)\r\nimapstate OK\r\n", LISTED },
    { "behind something else", "* X {5}\r\n* ID \r\n* ID (\"name\" \"X\" \"version\" NIL)\r\nimapstate OK\r\n",
      LISTED },
    { "NIL", "* ID NIL\r\nimapstate OK\r\n", "NIL" },
    { "none", "* OK (\"name\" \"X\")\r\nimapstate OK\r\n", "" },
    { "another word", "* IDENT (\"name\" \"X\")\r\nimapstate OK\r\n", "" },
    { "the first of two", "* ID (\"name\" \"X\" \"version\" NIL)\r\n* ID (\"name\" \"Y\")\r\nimapstate OK\r\n",
      LISTED },
    { "the first, though it is none", "* ID what\r\n* ID (\"name\" \"Y\")\r\nimapstate OK\r\n", "" },
};

TEST(the_answer_to_id_is_learned_wherever_it_is_cut)
{
    for (size_t i = 0; i < ARRAY_LEN(answers); i++)
        for (size_t cut = 0; cut <= strlen(answers[i].says); cut++) {
            uint32_t round;
            struct imapstate_buf id;
            struct scout *scout = begin(&round);
            scout_learn_names(scout, IMAPSTATE_SPAN("IMAP4rev1 ID"));
            hear(scout, imapstate_span_of(answers[i].says), cut);
            scout_free(scout);
            imapstate_buf_init(&id, ID_MAX);
            CHECK_ROW(answers[i].name, prelude_id("main", "mx1:143", &id) == (*answers[i].want != '\0'));
            CHECK_SPAN(answers[i].name, imapstate_buf_span(&id), imapstate_span_of(answers[i].want));
            imapstate_buf_done(&id);
            end();
        }
}

TEST(an_answer_that_is_too_long_is_none)
{
    uint32_t round;
    struct imapstate_buf id;
    struct scout *scout = begin(&round);
    char *octets = malloc(80000);
    size_t len = (size_t)sprintf(octets, "* ID (\"name\" {70000}\r\n");
    memset(octets + len, 'x', 70000);
    len += 70000 + (size_t)sprintf(octets + len + 70000, ")\r\nimapstate OK\r\n");
    scout_learn_names(scout, IMAPSTATE_SPAN("IMAP4rev1 ID"));
    hear(scout, (struct imapstate_span){ (const uint8_t *)octets, len }, len);
    scout_free(scout);
    free(octets);
    imapstate_buf_init(&id, ID_MAX);
    assert_false(prelude_id("main", "mx1:143", &id));
    end();
}

TEST(the_round_ends_with_the_scout_whatever_it_has_learned)
{
    for (unsigned has_names = 0; has_names < 2; has_names++) {
        uint32_t round;
        struct imapstate_buf names, alerts;
        struct scout *scout = begin(&round);
        imapstate_buf_init(&names, CAPABILITY_LIST_MAX);
        imapstate_buf_init(&alerts, 4096);
        scout_hear_line(scout, IMAPSTATE_SPAN("* OK [ALERT] hello\r\n"));
        scout_hear_line(scout, IMAPSTATE_SPAN("* OK hello\r\n"));
        assert_false(scout_has_names(scout));
        if (has_names)
            scout_learn_names(scout, IMAPSTATE_SPAN("IMAP4rev1"));
        assert_int_equal(scout_has_names(scout), has_names);
        scout_free(scout);
        loop_pass(&loop, 5000);
        assert_int_equal(pokes, 1);
        assert_true(prelude_round_has_ended("main", "mx1:143", round));
        struct offers *offers = prelude_offers("main", "mx1:143");
        assert_int_equal(offers != NULL, has_names);
        offers_unref(offers);
        prelude_alerts("main", "mx1:143", &alerts);
        CHECK_SPAN("alerts", imapstate_buf_span(&alerts),
                   has_names ? IMAPSTATE_SPAN("* OK [ALERT] hello\r\n") : IMAPSTATE_SPAN(""));
        /* It was learned now, by the loop's time. */
        assert_int_equal(prelude_take_turn("main", "mx1:143", 5000 + PRELUDE_FRESH_MS - 1, &round),
                         has_names ? PRELUDE_FRESH : PRELUDE_ASK);
        imapstate_buf_done(&names);
        imapstate_buf_done(&alerts);
        end();
    }
}

TEST(what_the_server_before_has_said_counts_for_nothing)
{
    uint32_t round;
    struct imapstate_buf names, alerts;
    struct scout *scout = begin(&round);
    imapstate_buf_init(&names, CAPABILITY_LIST_MAX);
    imapstate_buf_init(&alerts, 4096);
    scout_hear_line(scout, IMAPSTATE_SPAN("* OK [ALERT] one\r\n"));
    scout_learn_greeting_names(scout, IMAPSTATE_SPAN("ONE"));
    scout_learn_names(scout, IMAPSTATE_SPAN("ONE"));
    scout_begin_anew(scout);
    scout_learn_greeting_names(scout, IMAPSTATE_SPAN("TWO"));
    scout_learn_names(scout, IMAPSTATE_SPAN("TWO THREE"));
    scout_free(scout);
    struct offers *offers = prelude_offers_for_greeting("main", "mx1:143", IMAPSTATE_SPAN("TWO"), 5000);
    CHECK_SPAN("names", offers_names(offers), IMAPSTATE_SPAN("TWO THREE"));
    offers_unref(offers);
    prelude_alerts("main", "mx1:143", &alerts);
    assert_int_equal(alerts.len, 0);
    imapstate_buf_done(&names);
    imapstate_buf_done(&alerts);
    end();
}

TEST(a_list_that_is_too_long_is_none)
{
    uint32_t round;
    struct scout *scout = begin(&round);
    uint8_t *names = malloc(CAPABILITY_LIST_MAX + 1);
    memset(names, 'x', CAPABILITY_LIST_MAX + 1);
    scout_learn_names(scout, (struct imapstate_span){ names, CAPABILITY_LIST_MAX + 1 });
    assert_false(scout_has_names(scout));
    free(names);
    scout_free(scout);
    scout_free(NULL);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer_to_id_is_learned_wherever_it_is_cut),
        cmocka_unit_test(an_answer_that_is_too_long_is_none),
        cmocka_unit_test(the_round_ends_with_the_scout_whatever_it_has_learned),
        cmocka_unit_test(what_the_server_before_has_said_counts_for_nothing),
        cmocka_unit_test(a_list_that_is_too_long_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
