#include "check.h"

#include "evidence.h"

static const struct {
    const char *name;
    struct imapstate_span line;
    unsigned evidence;
} lines[] = {
    { "ENABLED", IMAPSTATE_SPAN("* ENABLED QRESYNC\r\n"), EVIDENCE_ENABLED },
    { "in any case", IMAPSTATE_SPAN("* enAbled x\r\n"), EVIDENCE_ENABLED },
    { "with no name", IMAPSTATE_SPAN("* ENABLED\r\n"), EVIDENCE_ENABLED },
    { "with more spaces than one", IMAPSTATE_SPAN("*  ENABLED  QRESYNC\r\n"), EVIDENCE_ENABLED },
    { "a longer name", IMAPSTATE_SPAN("* ENABLEDX QRESYNC\r\n"), 0 },
    { "a tagged line", IMAPSTATE_SPAN("a ENABLED QRESYNC\r\n"), 0 },
    { "a text", IMAPSTATE_SPAN("* OK ENABLED QRESYNC\r\n"), 0 },
    { "LANGUAGE", IMAPSTATE_SPAN("* LANGUAGE (DE)\r\n"), EVIDENCE_LANGUAGE },
    { "COMPARATOR", IMAPSTATE_SPAN("* COMPARATOR i;octet\r\n"), EVIDENCE_COMPARATOR },
    { "STATUS", IMAPSTATE_SPAN("* STATUS x (MESSAGES 1)\r\n"), EVIDENCE_STATUS },
    { "STATUS with a literal", IMAPSTATE_SPAN("* STATUS {3}\r\n"), EVIDENCE_STATUS },
    { "METADATA", IMAPSTATE_SPAN("* METADATA x (/shared/comment)\r\n"), EVIDENCE_METADATA },
    { "VANISHED", IMAPSTATE_SPAN("* VANISHED 1:3\r\n"), EVIDENCE_VANISHED },
    { "VANISHED, cut", IMAPSTATE_SPAN("* VANISHED 1:"), EVIDENCE_VANISHED },
    { "an overflow", IMAPSTATE_SPAN("* OK [NOTIFICATIONOVERFLOW] x\r\n"), EVIDENCE_OVERFLOW },
    { "an overflow in the text", IMAPSTATE_SPAN("* OK x [NOTIFICATIONOVERFLOW]\r\n"), 0 },
    { "EXISTS", IMAPSTATE_SPAN("* 3 EXISTS\r\n"), 0 },
    { "FETCH", IMAPSTATE_SPAN("* 3 FETCH (FLAGS ())\r\n"), 0 },
    { "MODSEQ", IMAPSTATE_SPAN("* 3 FETCH (MODSEQ (7))\r\n"), EVIDENCE_MODSEQ },
    { "MODSEQ behind others, in any case", IMAPSTATE_SPAN("* 3 fetch (FLAGS (\\Seen) modseq (7))\r\n"),
      EVIDENCE_MODSEQ },
    { "MODSEQ in a text", IMAPSTATE_SPAN("* 3 FETCH (ENVELOPE (NIL \"a \\\" MODSEQ (7)\"))\r\n"), 0 },
    { "MODSEQ behind a text", IMAPSTATE_SPAN("* 3 FETCH (ENVELOPE (\"\\\\\") MODSEQ (7))\r\n"), EVIDENCE_MODSEQ },
    { "what only ends like it", IMAPSTATE_SPAN("* 3 FETCH (X-MODSEQ7 (7) ODSEQ (\"MODSEQ (\"))\r\n"), 0 },
    { "behind many others", IMAPSTATE_SPAN("* 3 FETCH (BODY ((NIL) (\"(\" (NIL))) MODSEQ (7))\r\n"), EVIDENCE_MODSEQ },
    { "a keyword of that name", IMAPSTATE_SPAN("* 3 FETCH (FLAGS (MODSEQ))\r\n"), 0 },
    { "UIDFETCH", IMAPSTATE_SPAN("* 3 UIDFETCH (FLAGS ())\r\n"), EVIDENCE_UIDFETCH },
    { "UIDFETCH with MODSEQ", IMAPSTATE_SPAN("* 3 UIDFETCH (MODSEQ (7))\r\n"), EVIDENCE_UIDFETCH | EVIDENCE_MODSEQ },
    { "nothing", IMAPSTATE_SPAN(""), 0 },
    { "a star", IMAPSTATE_SPAN("*"), 0 },
    { "a star and a space", IMAPSTATE_SPAN("* "), 0 },
    { "a number alone", IMAPSTATE_SPAN("* 3\r\n"), 0 },
};

TEST(a_response_shows_what_is_on)
{
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        CHECK_ROW(lines[i].name, evidence_read(lines[i].line) == lines[i].evidence);
}

TEST(a_line_that_is_cut_shows_no_more_than_the_whole)
{
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        for (size_t len = 0; len <= lines[i].line.len; len++) {
            unsigned shown = evidence_read((struct imapstate_span){ lines[i].line.at, len });
            /* A name that is cut may be another's: the relay waits for the whole word. */
            bool is_word = len == lines[i].line.len || lines[i].line.at[len] == ' ';
            CHECK_ROW(lines[i].name, !is_word || (shown & ~lines[i].evidence) == 0);
        }
}

TEST(what_a_command_asks_for_is_no_evidence)
{
    static const struct {
        const char *command;
        unsigned answers;
    } rows[] = {
        { "ENABLE", EVIDENCE_ENABLED },
        { "LANGUAGE", EVIDENCE_LANGUAGE },
        { "COMPARATOR", EVIDENCE_COMPARATOR },
        { "STATUS", EVIDENCE_STATUS },
        { "LIST", EVIDENCE_STATUS | EVIDENCE_METADATA },
        { "XLIST", EVIDENCE_STATUS },
        { "GETMETADATA", EVIDENCE_METADATA },
        { "SETMETADATA", EVIDENCE_METADATA },
        { "NOOP", 0 },
        { "NOTIFY", 0 },
        { "SELECT", 0 },
    };
    const unsigned all = EVIDENCE_OVERFLOW * 2 - 1;
    struct pipeline pipeline = { 0 };
    unsigned left = all;
    CHECK_ROW("nothing in flight", evidence_unasked(all, &pipeline) == all);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pipeline alone = { 0 };
        const struct imapstate_command *command = imapstate_command_find(imapstate_span_of(rows[i].command));
        assert_non_null(pipeline_push(&alone, command, IMAPSTATE_SPAN("a")));
        CHECK_ROW(rows[i].command, evidence_unasked(all, &alone) == (all & ~rows[i].answers));
        pipeline_done(&alone);
        assert_non_null(pipeline_push(&pipeline, command, imapstate_span_of(rows[i].command)));
        left &= ~rows[i].answers;
        CHECK_ROW(rows[i].command, evidence_unasked(all, &pipeline) == left);
    }
    pipeline_done(&pipeline);
}

TEST(a_state_accounts_for_what_it_says_and_for_nothing_else)
{
    static const struct {
        const char *enabled, *notify;
        unsigned accounted;
    } rows[] = {
        { NULL, NULL, 0 },
        { "X-ONE", NULL, 0 },
        { "CONDSTORE", NULL, EVIDENCE_MODSEQ },
        { "QRESYNC", NULL, EVIDENCE_MODSEQ | EVIDENCE_VANISHED },
        { "X QRESYNC", NULL, EVIDENCE_MODSEQ | EVIDENCE_VANISHED },
        { "UIDONLY", NULL, EVIDENCE_UIDFETCH | EVIDENCE_VANISHED },
        { "METADATA", NULL, EVIDENCE_METADATA },
        { "METADATA-SERVER", NULL, EVIDENCE_METADATA },
        { NULL, "SET (personal (MessageNew))", EVIDENCE_STATUS | EVIDENCE_METADATA },
        { NULL, "NONE", EVIDENCE_STATUS | EVIDENCE_METADATA },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct imapstate_state *state = imapstate_state_new(IMAPSTATE_STATE_MAX);
        if (rows[i].enabled)
            assert_int_equal(imapstate_state_record(state, IMAPSTATE_ENTRY_ENABLE, imapstate_span_of(rows[i].enabled)),
                             IMAPSTATE_OK);
        if (rows[i].notify)
            assert_int_equal(imapstate_state_record(state, IMAPSTATE_ENTRY_NOTIFY, imapstate_span_of(rows[i].notify)),
                             IMAPSTATE_OK);
        for (unsigned bit = 1; bit <= EVIDENCE_OVERFLOW; bit *= 2) {
            CHECK_ROW(rows[i].enabled  ? rows[i].enabled
                      : rows[i].notify ? rows[i].notify
                                       : "nothing",
                      evidence_is_accounted(bit, state) == ((rows[i].accounted & bit) != 0));
            CHECK_ROW("pristine", !evidence_is_accounted(bit, NULL));
        }
        CHECK_ROW("nothing seen", evidence_is_accounted(0, state) && evidence_is_accounted(0, NULL));
        imapstate_state_free(state);
    }
}

TEST(a_name_is_enabled_by_itself_or_by_what_brings_it)
{
    static const struct {
        const char *enabled, *name;
        bool is_on;
    } rows[] = {
        { "QRESYNC", "QRESYNC", true },    { "QRESYNC", "qresync", true }, { "QRESYNC", "CONDSTORE", true },
        { "CONDSTORE", "QRESYNC", false }, { "A BC", "B", false },         { "A BC", "BC", true },
        { "A BC", "BCD", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct imapstate_state *state = imapstate_state_new(IMAPSTATE_STATE_MAX);
        assert_int_equal(imapstate_state_record(state, IMAPSTATE_ENTRY_ENABLE, imapstate_span_of(rows[i].enabled)),
                         IMAPSTATE_OK);
        CHECK_ROW(rows[i].name, evidence_has_enabled(state, imapstate_span_of(rows[i].name)) == rows[i].is_on);
        imapstate_state_free(state);
    }
    assert_false(evidence_has_enabled(NULL, IMAPSTATE_SPAN("A")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_response_shows_what_is_on),
        cmocka_unit_test(a_line_that_is_cut_shows_no_more_than_the_whole),
        cmocka_unit_test(what_a_command_asks_for_is_no_evidence),
        cmocka_unit_test(a_state_accounts_for_what_it_says_and_for_nothing_else),
        cmocka_unit_test(a_name_is_enabled_by_itself_or_by_what_brings_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
