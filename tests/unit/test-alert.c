#include "check.h"

#include "alert.h"

#include <string.h>

static const struct {
    const char *name, *line, *want; /* NULL: it is no alert */
} lines[] = {
    { "untagged", "* OK [ALERT] The disk is full\r\n", "* OK [ALERT] The disk is full\r\n" },
    { "a warning", "* no [alert] full\r\n", "* no [alert] full\r\n" },
    { "a BAD", "* BAD [ALERT] no\r\n", "* BAD [ALERT] no\r\n" },
    { "tagged", "a1 OK [ALERT] full\r\n", "* OK [ALERT] full\r\n" },
    { "a refusal", "imapstate NO [ALERT] Log in by the web\r\n", "* NO [ALERT] Log in by the web\r\n" },
    { "another connection's end", "* BYE [ALERT] Down at noon\r\n", "* NO [ALERT] Down at noon\r\n" },
    { "a greeting", "* PREAUTH [ALERT] hello\r\n", "* OK [ALERT] hello\r\n" },
    { "without words", "* OK [ALERT]\r\n", "* OK [ALERT]\r\n" },
    { "8-bit octets", "* OK [ALERT] K\xc3\xb6ln\r\n", "* OK [ALERT] K\xc3\xb6ln\r\n" },
    { "another code", "* OK [ALERTS] x\r\n", NULL },
    { "in the text only", "* OK it says [ALERT] x\r\n", NULL },
    { "no status response", "* ALERT x\r\n", NULL },
    { "a continuation", "+ [ALERT] x\r\n", NULL },
    { "nothing", "\r\n", NULL },
};

TEST(an_alert_is_kept_untagged_and_once)
{
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct imapstate_buf alerts;
        imapstate_buf_init(&alerts, ALERTS_MAX);
        struct imapstate_span line = imapstate_span_of(lines[i].line);
        CHECK_ROW(lines[i].name, alerts_add(&alerts, line) == (lines[i].want != NULL));
        CHECK_ROW(lines[i].name, !alerts_add(&alerts, line));
        CHECK_SPAN(lines[i].name, imapstate_buf_span(&alerts), imapstate_span_of(lines[i].want ? lines[i].want : ""));
        CHECK_ROW(lines[i].name, alerts_have(imapstate_buf_span(&alerts), line) == (lines[i].want != NULL));
        imapstate_buf_done(&alerts);
    }
}

TEST(several_are_kept_in_order_whatever_word_they_came_by)
{
    struct imapstate_buf alerts;
    imapstate_buf_init(&alerts, ALERTS_MAX);
    assert_true(alerts_add(&alerts, IMAPSTATE_SPAN("* OK [ALERT] one\r\n")));
    assert_true(alerts_add(&alerts, IMAPSTATE_SPAN("* NO [ALERT] two\r\n")));
    assert_false(alerts_add(&alerts, IMAPSTATE_SPAN("a NO [ALERT] one\r\n")));
    assert_true(alerts_add(&alerts, IMAPSTATE_SPAN("* OK [ALERT] One\r\n")));
    struct imapstate_span all = imapstate_buf_span(&alerts), line;
    static const char *const want[] = { "* OK [ALERT] one\r\n", "* NO [ALERT] two\r\n", "* OK [ALERT] One\r\n" };
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_true(alerts_next(&all, &line));
        CHECK_SPAN(want[i], line, imapstate_span_of(want[i]));
    }
    assert_false(alerts_next(&all, &line));
    imapstate_buf_done(&alerts);
}

TEST(one_that_does_not_fit_is_not_cut)
{
    struct imapstate_buf alerts;
    imapstate_buf_init(&alerts, 40);
    assert_true(alerts_add(&alerts, IMAPSTATE_SPAN("* OK [ALERT] one\r\n")));
    assert_false(alerts_add(&alerts, IMAPSTATE_SPAN("* OK [ALERT] one that is too long\r\n")));
    CHECK_SPAN("kept", imapstate_buf_span(&alerts), IMAPSTATE_SPAN("* OK [ALERT] one\r\n"));
    assert_true(alerts_add(&alerts, IMAPSTATE_SPAN("* OK [ALERT] two\r\n")));
    imapstate_buf_done(&alerts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_alert_is_kept_untagged_and_once),
        cmocka_unit_test(several_are_kept_in_order_whatever_word_they_came_by),
        cmocka_unit_test(one_that_does_not_fit_is_not_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
