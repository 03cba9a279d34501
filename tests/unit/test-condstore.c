#include "check.h"

#include "condstore.h"

#include <stdlib.h>
#include <string.h>

#define ENABLED CONDSTORE_BY_ENABLE
#define STATUS  CONDSTORE_BY_STATUS
#define OTHERS  CONDSTORE_BY_OTHERS
#define UNKNOWN CONDSTORE_UNKNOWN

static const struct {
    const char *command, *arguments;
    unsigned done, asked;
} rows[] = {
    { "SELECT", "INBOX", 0, 0 },
    { "SELECT", "CONDSTORE", 0, 0 },
    { "SELECT", "INBOX (CONDSTORE)", OTHERS, OTHERS },
    { "SELECT", "INBOX (CONDSTORE)\r\n", OTHERS, OTHERS },
    { "EXAMINE", "\"a b\" (condstore)", OTHERS, OTHERS },
    { "SELECT", "\"a \\\" b\" (CONDSTORE)", UNKNOWN, 0 },
    { "SELECT", "INBOX (CONDSTORE CONDSTORE)", OTHERS, OTHERS },
    { "SELECT", "INBOX (X CONDSTORE)", OTHERS, 0 },
    { "SELECT", "INBOX (CONDSTORE) ", OTHERS, 0 },
    { "SELECT", "INBOX  (CONDSTORE)", OTHERS, 0 },
    { "SELECT", "INBOX CONDSTORE", OTHERS, 0 },
    { "SELECT", "INBOX ((CONDSTORE))", OTHERS, 0 },
    { "SELECT", "INBOX (\"CONDSTORE\")", OTHERS, 0 },
    { "SELECT", "INBOX (QRESYNC (1 2))", UNKNOWN, 0 },
    { "SELECT", "INBOX (CONDSTORE QRESYNC (1 2))", UNKNOWN, 0 },
    { "SELECT", "INBOX (X-CONDSTORE)", OTHERS, 0 },
    { "STATUS", "INBOX (MESSAGES)", 0, 0 },
    { "STATUS", "HIGHESTMODSEQ (MESSAGES)", 0, 0 },
    { "STATUS", "INBOX (HIGHESTMODSEQ)", STATUS, STATUS },
    { "STATUS", "INBOX (MESSAGES HighestModSeq UNSEEN)\r\n", STATUS, STATUS },
    { "STATUS", "INBOX HIGHESTMODSEQ", OTHERS, 0 },
    { "STATUS", "INBOX (XHIGHESTMODSEQ)", OTHERS, 0 },
    { "STATUS", "INBOX (HIGHESTMODSEQ", OTHERS, 0 },
    { "STATUS", "INBOX (\"MOD\\SEQ\")", UNKNOWN, 0 },
    { "FETCH", "1 FLAGS", 0, 0 },
    { "FETCH", "1 (FLAGS MODSEQ)", OTHERS, 0 },
    { "UID FETCH", "1:* FLAGS (CHANGEDSINCE 5)", OTHERS, 0 },
    { "UID FETCH", "1:* FLAGS (CHANGEDSINCE 5 VANISHED)", UNKNOWN, 0 },
    { "STORE", "1 (UNCHANGEDSINCE 5) FLAGS (x)", OTHERS, 0 },
    { "STORE", "1 FLAGS (MODSEQ)", 0, 0 },
    { "UID SEARCH", "MODSEQ 5", OTHERS, 0 },
    { "SORT", "(DATE) UTF-8 MODSEQ 5", OTHERS, 0 },
    { "LIST", "\"\" * RETURN (STATUS (HIGHESTMODSEQ))", OTHERS, 0 },
    { "NOTIFY", "SET (selected (MessageNew MessageExpunge FlagChange))", UNKNOWN, 0 },
    { "NOTIFY", "SET STATUS (personal (MessageNew (MODSEQ) MessageExpunge))", UNKNOWN, 0 },
    { "ESEARCH", "MODSEQ 5", UNKNOWN, 0 },
    { "XYZZY", "MODSEQ", UNKNOWN, 0 },
    { "ENABLE", "CONDSTORE", ENABLED, 0 },
    { "ENABLE", "X QRESYNC", ENABLED, 0 },
    { "ENABLE", "UTF8=ACCEPT", 0, 0 },
    { "NOOP", "CONDSTORE", 0, 0 },
};

TEST(what_commands_may_have_switched_on)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t len = strlen(rows[i].arguments);
        uint8_t *copy = malloc(len); /* of its own, so that a look behind its end is seen */
        memcpy(copy, rows[i].arguments, len);
        const struct imapstate_command *command = imapstate_command_find(imapstate_span_of(rows[i].command));
        struct imapstate_span arguments = { copy, len };
        CHECK_ROW(rows[i].arguments, condstore_of(command, arguments) == rows[i].done);
        CHECK_ROW(rows[i].arguments, condstore_asked(command, arguments) == rows[i].asked);
        free(copy);
    }
}

static const struct {
    const char *command, *line;
    bool is_first, is_free;
} literals[] = {
    { "SELECT", "{5}\r\n", true, true },
    { "EXAMINE", "{5+}\r\n", true, true },
    { "STATUS", "{5}\n", true, true },
    { "STATUS", "{5}\r\n", false, false },
    { "STATUS", "x ({13}\r\n", true, false },
    { "STATUS", "x (MESSAGES) {5}\r\n", true, false },
    { "SELECT", " {5}\r\n", true, false },
    { "SEARCH", "SUBJECT {5}\r\n", true, true },
    { "UID SEARCH", " OR FROM {5}\r\n", false, true },
    { "SEARCH", "{6}\r\n", true, false },
    { "SORT", "(DATE) UTF-8 SUBJECT {5}\r\n", true, true },
    { "SORT", "(CC) UTF-8 {6}\r\n", true, false },
    { "SORT", "(CC {6}\r\n", true, false },
    { "UID THREAD", "REFERENCES UTF-8 SUBJECT {5}\r\n", true, true },
    { "THREAD", "SUBJECT {6}\r\n", true, false },
    { "SORT", " SUBJECT {5}\r\n", false, true },
    { "APPEND", "x {5}\r\n", true, true },
    { "APPEND", "{1}\r\n", true, true },
    /* Dovecot takes what is too many for a command of its own */
    { "CREATE", "x {5}\r\n", true, false },
    { "CREATE", "{1}\r\n", true, false },
    { "NOOP", "{5}\r\n", true, false },
    { "LIST", "\"\" {1}\r\n", true, false },
    { "STORE", "1 FLAGS ({1}\r\n", true, false },
    { "FETCH", "1 ({6}\r\n", true, false },
    { "XYZZY", "{5}\r\n", true, false },
};

TEST(what_literals_may_have_switched_on)
{
    for (size_t i = 0; i < ARRAY_LEN(literals); i++) {
        const struct imapstate_command *command = imapstate_command_find(imapstate_span_of(literals[i].command));
        CHECK_ROW(literals[i].line, condstore_of_literal(command, imapstate_span_of(literals[i].line),
                                                         literals[i].is_first) == (literals[i].is_free ? 0 : UNKNOWN));
    }
}

/* Behind a literal nobody looks for where the names may stand: they may stand nowhere. */
static const struct {
    const char *command, *line;
    unsigned done;
} rests[] = {
    { "SELECT", "\r\n", 0 },
    { "SELECT", " (CONDSTORE)\r\n", UNKNOWN },
    { "SELECT", " CONDSTORE\r\n", UNKNOWN },
    { "STATUS", " (MESSAGES)\r\n", 0 },
    { "STATUS", " (MESSAGES HIGHESTMODSEQ)\r\n", UNKNOWN },
    { "SEARCH", " SEEN\r\n", 0 },
    { "SORT", " MODSEQ 5 SEEN\r\n", UNKNOWN },
    { "SEARCH", " SUBJECT modseq\r\n", UNKNOWN },
    { "APPEND", " (MODSEQ) {5}\r\n", 0 },
    { "RENAME", " qresync\r\n", 0 },
};

TEST(what_is_behind_a_literal_is_searched_everywhere)
{
    for (size_t i = 0; i < ARRAY_LEN(rests); i++) {
        const struct imapstate_command *command = imapstate_command_find(imapstate_span_of(rests[i].command));
        CHECK_ROW(rests[i].line, condstore_of_rest(command, imapstate_span_of(rests[i].line)) == rests[i].done);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_commands_may_have_switched_on),
        cmocka_unit_test(what_literals_may_have_switched_on),
        cmocka_unit_test(what_is_behind_a_literal_is_searched_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
