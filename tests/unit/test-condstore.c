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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_commands_may_have_switched_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
