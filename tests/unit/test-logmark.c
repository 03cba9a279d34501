#include "check.h"

#include "logmark.h"

#include "log.h"
#include "loguser.h"

#include <regex.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

TEST(a_session_has_a_name_that_dovecot_takes_and_keeps_it)
{
    struct logmark mark = { .client = 0x4f2a, .session = 0x4f2a }, other = { .client = 0x4f2b, .session = 0x4f2b };
    struct logmark last = { .client = UINT64_MAX, .session = UINT64_MAX };
    char one[LOGMARK_SESSION_MAX], two[LOGMARK_SESSION_MAX], three[LOGMARK_SESSION_MAX];
    regex_t regex;
    assert_int_equal(regcomp(&regex, "^[0-9a-f]{16}\\.4f2a$", REG_EXTENDED | REG_NOSUB), 0);
    assert_int_equal(regexec(&regex, logmark_session(&mark, one), 0, NULL, 0), 0);
    regfree(&regex);
    assert_string_equal(one, logmark_session(&mark, two));
    assert_string_not_equal(one, logmark_session(&other, two));
    assert_memory_equal(one, two, 17); /* of one process */
    assert_true(strlen(logmark_session(&last, three)) == LOGMARK_SESSION_MAX - 1);
    logmark_renew(&mark, 0x5000);
    assert_string_not_equal(one, logmark_session(&mark, two));
    assert_int_equal(mark.client, 0x4f2a);
}

/* Before it was asked for in this process. */
static void name_in_another_process(char ret_text[LOGMARK_SESSION_MAX])
{
    int ends[2];
    struct logmark mark = { .session = 1 };
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        char text[LOGMARK_SESSION_MAX] = "";
        logmark_session(&mark, text);
        _exit(write(ends[1], text, sizeof text) == sizeof text ? 0 : 1);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(read(ends[0], ret_text, LOGMARK_SESSION_MAX), LOGMARK_SESSION_MAX);
    close(ends[0]);
    close(ends[1]);
}

TEST(the_same_number_is_another_session_in_another_process)
{
    char one[LOGMARK_SESSION_MAX], two[LOGMARK_SESSION_MAX];
    name_in_another_process(one);
    name_in_another_process(two);
    assert_string_not_equal(one, two);
}

TEST(debug_is_on_for_a_user_on_the_list_alone)
{
    struct logmark ann = { .client = 1, .session = 1 }, bob = { .client = 2, .session = 2 };
    log_open(LOG_TO_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING);
    assert_false(logmark_is_stale(&ann));
    assert_true(loguser_add(IMAPSTATE_SPAN("ann")));
    assert_true(logmark_is_stale(&ann) && logmark_is_stale(&bob));
    logmark_set_user(&ann, IMAPSTATE_SPAN("ann"));
    logmark_set_user(&bob, IMAPSTATE_SPAN("bob"));
    assert_false(logmark_is_stale(&ann));
    assert_true(logmark_is_on(&ann, LOG_LEVEL_DEBUG) && logmark_is_on(&ann, LOG_LEVEL_INFO));
    assert_false(logmark_is_on(&bob, LOG_LEVEL_INFO));
    assert_true(logmark_is_on(&bob, LOG_LEVEL_WARNING));
    logmark_renew(&ann, 3); /* another user may come */
    assert_false(logmark_is_on(&ann, LOG_LEVEL_DEBUG));
    logmark_set_user(&ann, IMAPSTATE_SPAN("ann"));
    loguser_remove_all();
    assert_true(logmark_is_stale(&ann));
    logmark_set_user(&ann, IMAPSTATE_SPAN("ann"));
    assert_false(logmark_is_on(&ann, LOG_LEVEL_INFO));
}

TEST(a_line_begins_with_both_numbers)
{
    struct logmark mark = { .client = 0x4f2a, .session = 0x5000 };
    struct logline line;
    char want[128], session[LOGMARK_SESSION_MAX];
    logline_begin(&line, LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOGLINE_SYSLOG);
    logmark_put(&mark, &line);
    snprintf(want, sizeof want, "client=4f2a session=%s", logmark_session(&mark, session));
    assert_int_equal(line.len, strlen(want));
    assert_memory_equal(line.octets, want, line.len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_number_is_another_session_in_another_process),
        cmocka_unit_test(a_session_has_a_name_that_dovecot_takes_and_keeps_it),
        cmocka_unit_test(debug_is_on_for_a_user_on_the_list_alone),
        cmocka_unit_test(a_line_begins_with_both_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
