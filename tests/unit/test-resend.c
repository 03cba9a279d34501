#include "check.h"

#include "resend.h"

#include <string.h>

static uint8_t much[RESEND_MAX + 1];

static const struct {
    const char *name;
    bool is_repeatable; /* what goes up first */
    size_t then;        /* octets that may run twice */
    bool is_spoilt;     /* and what nobody else could be sent */
    bool unseen, seen;  /* may it go up again, if no octet was written, if some were? */
    size_t kept;
} rows[] = {
    { "what may run twice", true, 3, false, true, true, 4 },
    { "what may not", false, 3, false, true, false, 4 },
    { "nothing more restores that", false, RESEND_MAX - 1, false, true, false, RESEND_MAX },
    { "as much as is kept", true, RESEND_MAX - 1, false, true, true, RESEND_MAX },
    { "more", true, RESEND_MAX, false, false, false, 1 },
    { "what no other connection could be sent", true, 3, true, false, false, 4 },
};

static void say(struct resend *resend, size_t row)
{
    resend_add(resend, IMAPSTATE_SPAN("a"), rows[row].is_repeatable);
    resend_add(resend, (struct imapstate_span){ much, rows[row].then }, true);
    if (rows[row].is_spoilt)
        resend_spoil(resend);
}

TEST(what_goes_up_may_go_up_again_unless_it_could_run_twice)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct resend resend;
        resend_init(&resend);
        resend_begin(&resend);
        say(&resend, i);
        CHECK_ROW(rows[i].name, resend_is_allowed(&resend, false) == rows[i].unseen);
        CHECK_ROW(rows[i].name, resend_is_allowed(&resend, true) == rows[i].seen);
        CHECK_ROW(rows[i].name, resend.sent.len == rows[i].kept);
        resend_done(&resend);
    }
}

TEST(nothing_is_kept_behind_what_is_not)
{
    struct resend resend;
    resend_init(&resend);
    resend_begin(&resend);
    resend_spoil(&resend);
    resend_add(&resend, IMAPSTATE_SPAN("a"), true);
    assert_int_equal(resend.sent.len, 0);
    resend_done(&resend);
}

TEST(the_next_connection_begins_anew_unless_something_is_due_on_it)
{
    struct resend resend;
    resend_init(&resend);
    resend_add(&resend, IMAPSTATE_SPAN("a"), false);
    resend.is_due = true;
    resend_begin(&resend);
    assert_false(resend_is_allowed(&resend, true));
    resend_forget(&resend);
    assert_int_equal(resend.sent.len, 1);
    resend.is_due = false;
    resend_forget(&resend);
    assert_int_equal(resend.sent.len, 0);
    resend_begin(&resend);
    assert_true(resend_is_allowed(&resend, true));
    resend_done(&resend);
}

TEST(when_it_is_done_it_can_begin_again)
{
    struct resend resend;
    resend_init(&resend);
    resend_add(&resend, IMAPSTATE_SPAN("a"), false);
    resend_spoil(&resend);
    resend.is_due = resend.may_have_run = true;
    resend_done(&resend);
    assert_true(resend_is_allowed(&resend, true));
    assert_false(resend.is_due || resend.may_have_run);
    resend_add(&resend, IMAPSTATE_SPAN("b"), true);
    CHECK_SPAN("anew", imapstate_buf_span(&resend.sent), IMAPSTATE_SPAN("b"));
    resend_done(&resend);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_up_may_go_up_again_unless_it_could_run_twice),
        cmocka_unit_test(nothing_is_kept_behind_what_is_not),
        cmocka_unit_test(the_next_connection_begins_anew_unless_something_is_due_on_it),
        cmocka_unit_test(when_it_is_done_it_can_begin_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
