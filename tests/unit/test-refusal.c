#include "check.h"

#include "refusal.h"

#include <string.h>

static const struct {
    const char *line;
    bool is_passing, is_crowded, minds_address, may_be_way;
} refusals[] = {
    { "a NO [AUTHENTICATIONFAILED] Authentication failed.\r\n", false, false, false, false },
    { "a NO Login failed.\r\n", false, false, false, true },
    { "a NO [authorizationfailed] not for you\r\n", false, false, false, false },
    { "a NO [EXPIRED] Password has expired\r\n", false, false, false, false },
    { "a NO\r\n", false, false, false, true },
    { "a NO [] empty\r\n", false, false, false, true },
    { "a BAD [UNAVAILABLE] later\r\n", true, false, false, true },
    { "a BAD Request is throttled. Suggested Backoff Time: 89117 milliseconds\r\n", true, false, false, true },
    { "a BAD [AUTHENTICATIONFAILED] what?\r\n", true, false, false, false },
    { "a NO [THROTTLED] Request is throttled.\r\n", true, false, false, false },
    { "a NO [OVERQUOTA] Account exceeded command or bandwidth limits.\r\n", true, false, false, false },
    { "a NO [WEBALERT https://mail.example.org/unlock] Web login required.\r\n", true, false, false, false },
    { "a NO [ALERT] Please log in via your web browser.\r\n", true, false, false, false },
    { "a NO [PRIVACYREQUIRED] Plaintext authentication disallowed.\r\n", true, false, false, false },
    { "a NO [CORRUPTION] Mailbox index is damaged\r\n", true, false, false, false },
    { "a NO [UNAVAILABLE] Temporary authentication failure.\r\n", true, false, false, false },
    { "a NO [INUSE] another session\r\n", true, true, false, false },
    { "a NO [LIMIT] enough\r\n", true, true, false, false },
    { "a NO [SERVERBUG] oops\r\n", true, false, false, true },
    { "a NO [contactadmin] call\r\n", true, false, false, false },
    /* Dovecot */
    { "a NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)\r\n",
      true, true, false, false },
    /* Gmail */
    { "a NO [ALERT] Too many simultaneous connections. (Failure)\r\n", true, true, false, false },
    /* Cyrus */
    { "a NO Too many open connections (1 of 5 for ann)\r\n", true, true, false, false },
    { "a NO Too many open connections (7 of 100 from gateway [192.0.2.10], 5 of 5 for ann)\r\n", true, true, false,
      false },
    { "a NO Too many open connections (100 of 100 from gateway [192.0.2.10], 5 of 5 for ann)\r\n", true, true, true,
      false },
    { "a NO Too many open connections (5 of 5 for ann)\r\n", true, true, false, false },
    { "a NO Too many open connections (x of 100 from gateway)\r\n", true, true, true, false },
    { "a NO Too many open connections (1 of 9999999999 from gateway)\r\n", true, true, true, false },
    { "a NO Too many open connections (20 of 20 from gateway [192.0.2.10], 1 of 5 for ann)\r\n", true, true, true,
      false },
    { "a NO too many Connections\r\n", true, true, false, false },
    /* What the client chose is not to be taken for the server's word. */
    { "a NO no such user: Too many connections from x\r\n", false, true, false, false },
    { "a NO [X AUTHENTICATIONFAILED] no\r\n", true, false, false, false },
    { "a NO Too many bad passwords from here\r\n", false, false, false, true },
    { "a PERHAPS Too many connections\r\n", false, false, false, false },
    { "a NO [the code does not end\r\n", false, false, false, true },
};

TEST(the_reason_is_told_by_code_or_words)
{
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        struct refusal refusal = refusal_read(imapstate_span_of(refusals[i].line));
        CHECK_ROW(refusals[i].line, refusal.is_passing == refusals[i].is_passing);
        CHECK_ROW(refusals[i].line, refusal.is_crowded == refusals[i].is_crowded);
        CHECK_ROW(refusals[i].line, refusal.minds_address == refusals[i].minds_address);
        CHECK_ROW(refusals[i].line, refusal.may_be_way == refusals[i].may_be_way);
    }
}

/* A line that is cut short, though its end is there, tells nothing that the whole one does not. */
TEST(what_is_cut_short_tells_no_more)
{
    char cut[256];
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        struct refusal whole = refusal_read(imapstate_span_of(refusals[i].line));
        for (size_t len = 0; len + 2 < strlen(refusals[i].line); len++) {
            snprintf(cut, sizeof cut, "%.*s\r\n", (int)len, refusals[i].line);
            struct refusal refusal = refusal_read(imapstate_span_of(cut));
            CHECK_ROW(cut, whole.is_crowded || !refusal.is_crowded);
            CHECK_ROW(cut, whole.minds_address || !refusal.minds_address);
            CHECK_ROW(cut, whole.is_passing || !refusal.is_passing);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reason_is_told_by_code_or_words),
        cmocka_unit_test(what_is_cut_short_tells_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
