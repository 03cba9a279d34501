#include "check.h"

#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name;
    struct imapstate_span in;
    size_t size;
    const char *want;
} quotes[] = {
    { "plain text stays", IMAPSTATE_SPAN("ann@example.org"), 64, "ann@example.org" },
    { "nothing stays nothing", IMAPSTATE_SPAN(""), 64, "" },
    { "a space would end the field", IMAPSTATE_SPAN("a b"), 64, "a\\x20b" },
    { "a line end would begin a forged line", IMAPSTATE_SPAN("a\r\nlogin"), 64, "a\\x0d\\x0alogin" },
    { "quotes and backslashes", IMAPSTATE_SPAN("\"\\"), 64, "\\x22\\x5c" },
    { "NUL, DEL and UTF-8", IMAPSTATE_SPAN("\0\x7f\xc3\xa4"), 64, "\\x00\\x7f\\xc3\\xa4" },
    { "what just fits is whole", IMAPSTATE_SPAN("12345678"), 9, "12345678" },
    { "one more is cut", IMAPSTATE_SPAN("123456789"), 9, "12345..." },
    { "an escape is never cut in two", IMAPSTATE_SPAN("123\n\n"), 9, "123..." },
    { "an escape that just fits", IMAPSTATE_SPAN("1234\n"), 9, "1234\\x0a" },
    { "cut at an escape", IMAPSTATE_SPAN("\n\n\n"), 9, "\\x0a..." },
    { "room for the mark only", IMAPSTATE_SPAN("12345"), 4, "..." },
    { "no room for the mark", IMAPSTATE_SPAN("12345"), 3, "12" },
    { "no room at all", IMAPSTATE_SPAN("12345"), 1, "" },
};

TEST(text_from_outside_is_quoted)
{
    for (size_t i = 0; i < ARRAY_LEN(quotes); i++) {
        char *text = malloc(quotes[i].size); /* as small as told, for the sanitizer to watch */
        const char *got = log_quote(quotes[i].in, text, quotes[i].size);
        CHECK_ROW(quotes[i].name, got == text);
        if (strcmp(got, quotes[i].want) != 0)
            fail_msg("row \"%s\": got \"%s\"", quotes[i].name, got);
        free(text);
    }
}

static int captured_stderr = -1;
static FILE *capture_file;

static void capture_begin(void)
{
    capture_file = tmpfile();
    assert_non_null(capture_file);
    captured_stderr = dup(STDERR_FILENO);
    /* O_APPEND, as several threads write. */
    assert_int_equal(fcntl(fileno(capture_file), F_SETFL, O_APPEND), 0);
    assert_true(dup2(fileno(capture_file), STDERR_FILENO) >= 0);
}

/* What was written to standard error since capture_begin(); for the caller to free. */
static char *capture_end(void)
{
    assert_true(dup2(captured_stderr, STDERR_FILENO) >= 0);
    close(captured_stderr);
    long len = lseek(fileno(capture_file), 0, SEEK_END);
    assert_true(len >= 0);
    char *text = calloc(1, (size_t)len + 1);
    assert_int_equal(pread(fileno(capture_file), text, (size_t)len, 0), len);
    fclose(capture_file);
    return text;
}

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
    log_open(LOG_TO_STDERR, LOG_LEVEL_DEBUG);
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
        log_open(LOG_TO_STDERR, cases[i].level);
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
    log_open(LOG_TO_STDERR, LOG_LEVEL_INFO);
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
    log_open(LOG_TO_STDERR, LOG_LEVEL_INFO);
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
        cmocka_unit_test(text_from_outside_is_quoted),
        cmocka_unit_test(a_line_has_time_process_level_and_text),
        cmocka_unit_test(a_level_lets_through_itself_and_what_is_worse),
        cmocka_unit_test(a_line_that_is_too_long_or_broken_stays_one_line),
        cmocka_unit_test(lines_of_several_threads_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
