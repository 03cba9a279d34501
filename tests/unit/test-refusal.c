#include "check.h"

#include "refusal.h"

static const struct {
    const char *line;
    bool is_passing, is_crowded, minds_address;
} refusals[] = {
    { "a NO [AUTHENTICATIONFAILED] Authentication failed.\r\n", false, false, false },
    { "a NO Login failed.\r\n", false, false, false },
    { "a BAD [UNAVAILABLE] later\r\n", true, false, false },
    { "a NO [UNAVAILABLE] Temporary authentication failure.\r\n", true, false, false },
    { "a NO [INUSE] another session\r\n", true, true, false },
    { "a NO [LIMIT] enough\r\n", true, true, false },
    { "a NO [SERVERBUG] oops\r\n", true, false, false },
    { "a NO [contactadmin] call\r\n", true, false, false },
    /* Dovecot */
    { "a NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)\r\n",
      true, true, false },
    /* Gmail */
    { "a NO [ALERT] Too many simultaneous connections. (Failure)\r\n", true, true, false },
    /* Cyrus */
    { "a NO Too many open connections (1 of 5 for ann)\r\n", true, true, false },
    { "a NO Too many open connections (20 of 20 from gateway [192.0.2.10], 1 of 5 for ann)\r\n", true, true, true },
    { "a NO too many Connections\r\n", true, true, false },
    /* What the client chose is not to be taken for the server's word. */
    { "a NO no such user: Too many connections from x\r\n", false, true, false },
    { "a NO [X UNAVAILABLE] no\r\n", false, false, false },
    { "a NO Too many bad passwords from here\r\n", false, false, false },
    { "a PERHAPS Too many connections\r\n", false, false, false },
};

TEST(the_reason_is_told_by_code_or_words)
{
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        struct refusal refusal = refusal_read(imapstate_span_of(refusals[i].line));
        CHECK_ROW(refusals[i].line, refusal.is_passing == refusals[i].is_passing);
        CHECK_ROW(refusals[i].line, refusal.is_crowded == refusals[i].is_crowded);
        CHECK_ROW(refusals[i].line, refusal.minds_address == refusals[i].minds_address);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reason_is_told_by_code_or_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
