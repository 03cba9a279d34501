#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "exchange.h"

#define COMMANDS_MAX  3
#define STATES(token) "* STATE 1" token "\r\n* STATE 2" token "\r\n* SAVESTATE 3" token "\r\n* STATE 4" token "\r\n"

static const struct row {
    const char *name;
    const char *commands[COMMANDS_MAX]; /* one flight, behind the greeting if there is any in the octets */
    const char *octets;
    const char *statuses; /* a letter for each: O, N, B, or - for pending */
    const char *names, *refusal, *error;
    bool is_over;
    size_t left; /* octets that are not heard */
} rows[] = {
    { "a greeting", { NULL }, "* OK hi\r\n", "", "", "", NULL, true, 0 },
    { "a list in it", { NULL }, "* OK [CAPABILITY IMAP4rev1 STATE] hi\r\n", "", "IMAP4rev1 STATE", "", NULL, true, 0 },
    { "half a greeting", { NULL }, "* OK h", "", "", "", NULL, false, 6 },
    { "BYE", { NULL }, "* BYE full\r\n", "", "", "BYE full", "the server accepts no connections now", false, 0 },
    { "PREAUTH",
      { NULL },
      "* PREAUTH x\r\n",
      "",
      "",
      "",
      "the server has logged somebody in by itself (PREAUTH)",
      false,
      0 },
    { "another protocol", { NULL }, "220 mail ESMTP\r\n", "", "", "", "this is not an IMAP server", false, 0 },
    { "OK without a text is a greeting", { NULL }, "* OK\r\n", "", "", "", NULL, true, 0 },
    { "OK as part of a word is none", { NULL }, "* OKAY\r\n", "", "", "", "this is not an IMAP server", false, 0 },
    { "nothing is heard behind the greeting", { NULL }, "* OK hi\r\n* BYE x\r\n", "", "", "", NULL, true, 9 },
    { "an answer", { "NOOP" }, "* OK hi\r\nA1 OK done\r\n", "O", "", "", NULL, true, 0 },
    { "in any case", { "NOOP" }, "* ok hi\r\na1 ok done\r\n", "O", "", "", NULL, true, 0 },
    { "it is refused", { "NOOP" }, "* OK hi\r\nA1 NO [X] no\r\n", "N", "", "NO [X] no", NULL, true, 0 },
    { "what is neither OK nor NO is BAD", { "NOOP" }, "* OK hi\r\nA1 WHAT x\r\n", "B", "", "WHAT x", NULL, true, 0 },
    { "the answers come in another order",
      { "NOOP", "LIST \"\" *", "CHECK" },
      "* OK hi\r\nA3 OK x\r\nA1 OK x\r\nA2 BAD y\r\n",
      "OBO",
      "",
      "BAD y",
      NULL,
      true,
      0 },
    { "one is missing", { "NOOP", "CHECK" }, "* OK hi\r\nA2 OK x\r\n* 1 EXISTS\r\n", "-O", "", "", NULL, false, 0 },
    { "one comes twice",
      { "NOOP", "CHECK" },
      "* OK hi\r\nA2 OK x\r\nA2 OK x\r\n",
      "-O",
      "",
      "",
      "an answer came that belongs to no command",
      false,
      0 },
    { "a tag that begins like another",
      { "NOOP" },
      "* OK hi\r\nA12 OK x\r\n",
      "-",
      "",
      "",
      "an answer came that belongs to no command",
      false,
      0 },
    { "an answer before the greeting", { "NOOP" }, "A2 OK x\r\n", "-", "", "", "this is not an IMAP server", false, 0 },
    { "the server asks", { "AUTHENTICATE PLAIN" }, "* OK hi\r\n+ \r\nA1", "-", "", "", NULL, true, 2 },
    { "the list that came last counts",
      { "CAPABILITY" },
      "* OK [CAPABILITY A] hi\r\n* CAPABILITY B C\r\nA1 OK x\r\n",
      "O",
      "B C",
      "",
      NULL,
      true,
      0 },
    { "a tagged answer in a literal is none",
      { "FETCH 1 BODY[]" },
      "* OK hi\r\n* 1 FETCH (BODY[] {9}\r\nA1 NO x\r\n)\r\nA1 OK x\r\n",
      "O",
      "",
      "",
      NULL,
      true,
      0 },
    { "a literal in text is none", { "NOOP" }, "* OK hi\r\nA1 OK {9}\r\nA2 NO", "O", "", "", NULL, true, 5 },
    { "a literal that cannot be counted",
      { "NOOP" },
      "* OK hi\r\n* X {4294967296}\r\n",
      "-",
      "",
      "",
      "literal is too large",
      false,
      17 },
    { "more tokens than can be masked",
      { "NOOP" },
      "* OK hi\r\n" STATES("a") STATES("b") STATES("c") STATES("d") STATES("e"),
      "-",
      "",
      "",
      "the server has sent more tokens than can be masked",
      false,
      0 },
    { "BYE is remembered", { "NOOP" }, "* OK hi\r\n* BYE night\r\n", "-", "", "BYE night", NULL, false, 0 },
};

static void check_statuses(const struct row *row, const struct exchange *exchange)
{
    static const char letters[] = "-ONB";
    assert_int_equal(exchange->command_count, strlen(row->statuses));
    for (size_t i = 0; i < exchange->command_count; i++)
        CHECK_ROW(row->name, letters[exchange_status(exchange, i)] == row->statuses[i]);
}

static void check_row(const struct row *row, size_t cut)
{
    struct exchange exchange;
    struct transcript transcript;
    struct imapstate_span octets = imapstate_span_of(row->octets);
    FILE *to = fopen("/dev/null", "w");
    assert_non_null(to);
    transcript_init(&transcript, to);
    assert_true(exchange_init(&exchange, &transcript));
    for (size_t i = 0; i < COMMANDS_MAX && row->commands[i]; i++)
        assert_true(exchange_put(&exchange, imapstate_span_of(row->commands[i])));
    exchange_begin_flight(&exchange);
    assert_true(imapstate_buf_put(&exchange.in, (struct imapstate_span){ octets.at, cut }));
    bool is_heard = exchange_hear(&exchange);
    assert_true(imapstate_buf_put(&exchange.in, (struct imapstate_span){ octets.at + cut, octets.len - cut }));
    is_heard = is_heard && exchange_hear(&exchange);
    CHECK_ROW(row->name, is_heard == !row->error);
    CHECK_ROW(row->name, row->error ? exchange.error && strcmp(exchange.error, row->error) == 0 : !exchange.error);
    CHECK_ROW(row->name, row->error || exchange_is_over(&exchange) == row->is_over);
    CHECK_ROW(row->name, row->error || exchange.in.len == row->left);
    check_statuses(row, &exchange);
    CHECK_SPAN(row->name, imapstate_buf_span(&exchange.names), imapstate_span_of(row->names));
    CHECK_SPAN(row->name, imapstate_buf_span(&exchange.refusal), imapstate_span_of(row->refusal));
    exchange_done(&exchange);
    transcript_done(&transcript);
    fclose(to);
}

TEST(an_exchange_is_the_same_however_the_octets_are_cut)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t cut = 0; cut <= strlen(rows[i].octets); cut++)
            check_row(&rows[i], cut);
}

static void hear(struct exchange *exchange, const char *octets)
{
    exchange_begin_flight(exchange);
    assert_true(imapstate_buf_put(&exchange->in, imapstate_span_of(octets)));
    assert_true(exchange_hear(exchange));
    assert_true(exchange_is_over(exchange));
}

static void expect_flight(const struct exchange *exchange, const char *want)
{
    CHECK_SPAN("flight", imapstate_buf_span(&exchange->out), imapstate_span_of(want));
}

TEST(a_session_that_saves_goes_flight_by_flight)
{
    struct exchange exchange;
    struct transcript transcript;
    char *text = NULL;
    size_t text_len;
    FILE *to = open_memstream(&text, &text_len);
    assert_non_null(to);
    transcript_init(&transcript, to);
    assert_true(exchange_init(&exchange, &transcript));
    hear(&exchange, "* OK hi\r\n");
    assert_true(exchange_put(&exchange, IMAPSTATE_SPAN("AUTHENTICATE PLAIN")));
    expect_flight(&exchange, "A1 AUTHENTICATE PLAIN\r\n");
    hear(&exchange, "+ \r\n");
    assert_int_equal(exchange.question.len, 0);
    assert_true(exchange.is_asked && exchange_status(&exchange, 0) == EXCHANGE_PENDING);
    assert_true(exchange_put_continuation(&exchange, IMAPSTATE_SPAN("AGEAYg==")));
    assert_true(exchange_put_state(&exchange));
    expect_flight(&exchange, "AGEAYg==\r\nA2 STATE\r\n");
    hear(&exchange, "A1 OK [CAPABILITY state] in\r\nA2 OK on\r\n");
    assert_true(exchange_offers(&exchange, "STATE") && !exchange_offers(&exchange, "STAT"));
    assert_int_equal(exchange.command_count, 2);
    assert_true(exchange_put(&exchange, IMAPSTATE_SPAN("ENABLE QRESYNC")));
    assert_int_equal(exchange.command_count, 1);
    hear(&exchange, "+ YQ==\r\n");
    CHECK_SPAN("question", imapstate_buf_span(&exchange.question), IMAPSTATE_SPAN("YQ=="));
    hear(&exchange, "* OK [STATECMD A3] x\r\nA3 OK x\r\n");
    assert_true(exchange_put_savestate(&exchange, 1));
    hear(&exchange, "* SAVESTATE token\r\nA4 OK x\r\n");
    assert_true(imapstate_visit_has_changed(exchange.visit));
    exchange_done(&exchange);
    transcript_done(&transcript);
    fclose(to);
    assert_null(strstr(text, "token"));
    free(text);
}

TEST(what_was_announced_and_not_sent_is_not_saved)
{
    struct exchange exchange;
    struct transcript transcript;
    FILE *to = fopen("/dev/null", "w");
    assert_non_null(to);
    transcript_init(&transcript, to);
    assert_true(exchange_init(&exchange, &transcript));
    hear(&exchange, "* OK hi\r\n");
    assert_true(exchange_put_state(&exchange));
    hear(&exchange, "* OK [STATECMD X9] x\r\nA1 OK on\r\n");
    assert_false(exchange_put_savestate(&exchange, 1));
    assert_string_equal(exchange.error, "the server has announced a command as stored that was not sent");
    exchange_done(&exchange);
    transcript_done(&transcript);
    fclose(to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exchange_is_the_same_however_the_octets_are_cut),
        cmocka_unit_test(a_session_that_saves_goes_flight_by_flight),
        cmocka_unit_test(what_was_announced_and_not_sent_is_not_saved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
