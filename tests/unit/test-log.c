#include "check.h"

#include "capture.h"
#include "log.h"
#include "loguser.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool matches(const char *text, const char *pattern)
{
    regex_t regex;
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    bool is_match = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return is_match;
}

TEST(a_line_has_time_process_level_and_text)
{
    log_open(LOG_TO_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_DEBUG);
    capture_begin();
    errno = ENOENT;
    log_warning("two: %d %s", 2, "words");
    int errno_afterwards = errno;
    char *got = capture_end();
    assert_int_equal(errno_afterwards, ENOENT);
    if (!matches(got, "^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]{3}Z "
                      "imapstated\\[[0-9]+\\]: warning: two: 2 words\n$"))
        fail_msg("got %s", got);
    free(got);
}

TEST(a_level_lets_through_itself_and_what_is_worse)
{
    static const struct {
        enum log_level level;
        const char *want;
    } cases[] = {
        { LOG_LEVEL_ERROR, "e" }, { LOG_LEVEL_WARNING, "ew" }, { LOG_LEVEL_INFO, "ewi" }, { LOG_LEVEL_DEBUG, "ewid" }
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        log_open(LOG_TO_STDERR, LOG_FORMAT_TEXT, cases[i].level);
        capture_begin();
        log_error("e");
        log_warning("w");
        log_info("i");
        log_debug("d");
        char *got = capture_end();
        char seen[8] = "";
        size_t count = 0;
        for (char *at = strchr(got, '\n'); at != NULL; at = strchr(at + 1, '\n'))
            seen[count++] = at[-1];
        free(got);
        assert_string_equal(seen, cases[i].want);
        assert_true(log_is_on(cases[i].level));
        assert_true(cases[i].level == LOG_LEVEL_DEBUG || !log_is_on(cases[i].level + 1));
    }
}

TEST(a_line_that_is_too_long_or_broken_stays_one_line)
{
    char *text = malloc(5000);
    memset(text, 'x', 4999);
    text[4999] = '\0';
    log_open(LOG_TO_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
    capture_begin();
    log_info("%s", text);
    log_info("a\nb\rc\x1b[0m\x7f");
    char *got = capture_end();
    char *end = strchr(got, '\n');
    assert_non_null(end);
    assert_int_equal(strspn(strchr(got, 'x'), "x"), 2047);
    assert_non_null(strstr(end, ": info: a?b?c?[0m?\n"));
    assert_null(strchr(strchr(end + 1, '\n') + 1, '\n'));
    free(got);
    free(text);
}

static void put_in(const char *word)
{
    struct logline line;
    log_begin(&line, LOG_LEVEL_INFO);
    logline_words(&line, "word", word);
    log_end_with(&line, "behind %s", "it");
}

TEST(a_line_with_data_is_text_or_json_as_it_is_opened)
{
    static const struct {
        enum log_format format;
        const char *want;
    } cases[] = {
        { LOG_FORMAT_TEXT, "^20[0-9T:.-]+Z imapstated\\[[0-9]+\\]: info: word=w behind it\n"
                           "20[0-9T:.-]+Z imapstated\\[[0-9]+\\]: warning: only words\n$" },
        { LOG_FORMAT_JSON, "^\\{\"time\":\"20[0-9T:.-]+Z\",\"pid\":[0-9]+,\"level\":\"info\",\"word\":\"w\","
                           "\"message\":\"behind it\"\\}\n"
                           "\\{\"time\":\"20[0-9T:.-]+Z\",\"pid\":[0-9]+,\"level\":\"warning\","
                           "\"message\":\"only words\"\\}\n$" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        log_open(LOG_TO_STDERR, cases[i].format, LOG_LEVEL_INFO);
        capture_begin();
        put_in("w");
        log_warning("only words");
        char *got = capture_end();
        if (!matches(got, cases[i].want))
            fail_msg("row %zu: got %s", i, got);
        free(got);
    }
}

/* As systemd does it: the file that standard error is stands in the environment. */
TEST(the_journal_gets_priorities_and_neither_time_nor_process)
{
    char stream[64];
    struct stat status;
    capture_begin();
    assert_int_equal(fstat(STDERR_FILENO, &status), 0);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)status.st_dev, (unsigned long long)status.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_open(LOG_TO_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_DEBUG);
    log_error("e");
    log_warning("w");
    log_info("i");
    log_debug("d");
    log_open(LOG_TO_STDERR, LOG_FORMAT_JSON, LOG_LEVEL_INFO);
    log_warning("w");
    char *got = capture_end();
    assert_string_equal(got, "<3>e\n<4>w\n<6>i\n<7>d\n<4>{\"level\":\"warning\",\"message\":\"w\"}\n");
    free(got);
    setenv("JOURNAL_STREAM", "1:2", 1); /* another file */
    capture_begin();
    log_open(LOG_TO_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
    log_info("i");
    got = capture_end();
    assert_true(matches(got, "^20.*Z imapstated.*: info: i\n$"));
    free(got);
    unsetenv("JOURNAL_STREAM");
}

TEST(what_an_operator_sets_lasts_until_the_next_opening)
{
    log_open(LOG_TO_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING);
    log_set_level(LOG_LEVEL_DEBUG);
    assert_true(loguser_add(IMAPSTATE_SPAN("ann")));
    assert_true(log_is_on(LOG_LEVEL_DEBUG));
    log_open(LOG_TO_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING);
    assert_false(log_is_on(LOG_LEVEL_INFO));
    assert_false(loguser_has(IMAPSTATE_SPAN("ann")));
}

TEST(a_line_that_cannot_be_written_is_counted)
{
    uint64_t before = log_lost();
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC), was = dup(STDERR_FILENO);
    assert_true(full >= 0 && was >= 0);
    log_open(LOG_TO_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
    assert_true(dup2(full, STDERR_FILENO) >= 0);
    log_info("one");
    log_info("two");
    assert_true(dup2(was, STDERR_FILENO) >= 0);
    close(full);
    close(was);
    assert_int_equal(log_lost() - before, 2);
}

#define THREADS    4
#define LINES_EACH 500

static void *write_lines(void *text)
{
    for (int i = 0; i < LINES_EACH; i++)
        log_info("%s", (const char *)text);
    return NULL;
}

TEST(lines_of_several_threads_do_not_mix)
{
    static const char *const texts[THREADS] = { "aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc", "dddddddddd" };
    pthread_t threads[THREADS];
    log_open(LOG_TO_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
    capture_begin();
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, (void *)(uintptr_t)texts[i]), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    char *got = capture_end();
    size_t count[THREADS] = { 0 };
    char *rest = NULL;
    for (char *line = strtok_r(got, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        const char *text = strstr(line, ": info: ");
        assert_non_null(text);
        text += strlen(": info: ");
        assert_in_range(text[0], 'a', 'a' + THREADS - 1);
        assert_string_equal(text, texts[text[0] - 'a']);
        count[text[0] - 'a']++;
    }
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(count[i], LINES_EACH);
    free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_time_process_level_and_text),
        cmocka_unit_test(a_level_lets_through_itself_and_what_is_worse),
        cmocka_unit_test(a_line_that_is_too_long_or_broken_stays_one_line),
        cmocka_unit_test(a_line_with_data_is_text_or_json_as_it_is_opened),
        cmocka_unit_test(the_journal_gets_priorities_and_neither_time_nor_process),
        cmocka_unit_test(what_an_operator_sets_lasts_until_the_next_opening),
        cmocka_unit_test(a_line_that_cannot_be_written_is_counted),
        cmocka_unit_test(lines_of_several_threads_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
