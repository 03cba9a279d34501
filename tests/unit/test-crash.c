#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash.h"
#include "log.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1 /* has taken the signals itself, and crash_init() leaves them to it */
#else
#define IS_SANITIZED 0
#endif

/* What a process says that runs the fault; and how it ends. */
static int last_words(void (*fault)(void), bool is_json, char *ret_text, size_t size)
{
    int ends[2];
    size_t len = 0;
    if (IS_SANITIZED)
        skip();
    ssize_t got;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit none = { 0, 0 };
        setrlimit(RLIMIT_CORE, &none);
        dup2(ends[1], STDERR_FILENO);
        for (int number = 1; number < NSIG; number++)
            signal(number, SIG_DFL); /* cmocka's */
        crash_init("1.2.3");
        crash_set_json(is_json);
        fault();
        _exit(0);
    }
    close(ends[1]);
    while (len < size - 1 && (got = read(ends[0], ret_text + len, size - 1 - len)) > 0)
        len += (size_t)got;
    ret_text[len] = '\0';
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void __attribute__((noinline)) write_to_null(void)
{
    volatile int *volatile nowhere = NULL;
    *nowhere = 1;
}

static void give_up(void)
{
    abort();
}

static volatile unsigned depth;

static void __attribute__((noinline)) dive(volatile char *above)
{
    volatile char here[4096];
    here[0] = above[0];
    depth++;
    if (depth < UINT32_MAX)
        dive(here);
    here[1] = above[1];
}

static void *dive_in_a_thread(void *arg)
{
    volatile char nothing[2] = { 0 };
    crash_begin_thread();
    dive(nothing);
    return NULL;
}

static void overflow_a_stack(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, dive_in_a_thread, NULL) == 0)
        pthread_join(thread, NULL);
}

static void raise_in_many(void)
{
    raise(SIGFPE);
}

static const struct {
    const char *name;
    void (*fault)(void);
    int signal_number;
    const char *begins;
} faults[] = {
    { "a NULL pointer", write_to_null, SIGSEGV, "SIGSEGV (a NULL pointer), version 1.2.3, stack: test-crash+0x" },
    { "abort()", give_up, SIGABRT, "SIGABRT, version 1.2.3, stack: libc.so.6+0x" },
    { "a stack that overflows", overflow_a_stack, SIGSEGV, "SIGSEGV, version 1.2.3, stack: test-crash+0x" },
    { "a signal that is sent", raise_in_many, SIGFPE, "SIGFPE, version 1.2.3, stack: " },
};

TEST(a_crash_leaves_one_line_and_the_signal_does_what_it_does)
{
    char text[8192], begins[256];
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        int status = last_words(faults[i].fault, false, text, sizeof text);
        CHECK_ROW(faults[i].name, WIFSIGNALED(status) && WTERMSIG(status) == faults[i].signal_number);
        snprintf(begins, sizeof begins, "]: error: crash: %s", faults[i].begins);
        if (strncmp(text, "imapstated[", 11) != 0 || !strstr(text, begins))
            fail_msg("row \"%s\": %s", faults[i].name, text);
        CHECK_ROW(faults[i].name, strchr(text, '\n') == text + strlen(text) - 1);
    }
}

TEST(the_stack_of_this_program_is_in_it)
{
    char text[8192];
    size_t places = 0;
    last_words(give_up, false, text, sizeof text);
    for (const char *at = text; (at = strstr(at, "test-crash+0x")); at++)
        places++;
    assert_true(places >= 3); /* give_up, last_words, main */
}

TEST(it_can_be_an_object_of_json)
{
    char text[8192];
    last_words(write_to_null, true, text, sizeof text);
    assert_true(strncmp(text, "{\"level\":\"error\",\"pid\":", 23) == 0);
    assert_non_null(strstr(text, ",\"message\":\"crash: SIGSEGV (a NULL pointer), version 1.2.3, stack: "));
    assert_string_equal(text + strlen(text) - 3, "\"}\n");
}

static void say_and_give_up(void)
{
    log_open(LOG_TO_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
    if (!log_start())
        _exit(1);
    log_write(LOG_LEVEL_INFO, "what led here");
    log_write(LOG_LEVEL_INFO, "and this");
    abort();
}

TEST(the_last_lines_of_the_log_stand_before_it)
{
    char text[8192];
    last_words(say_and_give_up, false, text, sizeof text);
    const char *led = strstr(text, "what led here"), *last = strstr(text, "and this"), *crash = strstr(text, "crash: ");
    assert_true(led && last && crash && led < last && last < crash);
}

static void on_signal(int number)
{
    _exit(7);
}

static void take_it_first(void)
{
    signal(SIGSEGV, SIG_DFL);
    signal(SIGFPE, on_signal);
    crash_init("again");
    raise(SIGFPE);
}

TEST(a_signal_that_somebody_has_taken_already_stays_his)
{
    char text[8192];
    int status = last_words(take_it_first, false, text, sizeof text);
    /* The first crash_init() of last_words() has taken it, and was replaced. */
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_leaves_one_line_and_the_signal_does_what_it_does),
        cmocka_unit_test(the_stack_of_this_program_is_in_it),
        cmocka_unit_test(it_can_be_an_object_of_json),
        cmocka_unit_test(the_last_lines_of_the_log_stand_before_it),
        cmocka_unit_test(a_signal_that_somebody_has_taken_already_stays_his),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
