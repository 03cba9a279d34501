#include "check.h"
#include "password.h"

#include <poll.h>
#include <pty.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define EXIT_READ   0
#define EXIT_FAILED 1
#define EXIT_OTHER  2 /* read, but something else */

/* How a process that reads a secret, with fd as its standard input, ends; and what it says to standard error. */
static int read_in_child(int fd, const char *path, size_t max, struct imapstate_span want, char *ret_err, size_t size)
{
    int err = memfd_create("test-password", MFD_CLOEXEC), status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct imapstate_buf secret;
        imapstate_buf_init(&secret, max);
        dup2(fd, STDIN_FILENO);
        dup2(err, STDERR_FILENO);
        bool is_read = password_read(path, "Password: ", "password", &secret);
        bool is_wanted = imapstate_span_equal(imapstate_buf_span(&secret), want);
        _exit(!is_read ? EXIT_FAILED : is_wanted ? EXIT_READ : EXIT_OTHER);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    ssize_t len = pread(err, ret_err, size - 1, 0);
    ret_err[len > 0 ? len : 0] = '\0';
    close(err);
    return WEXITSTATUS(status);
}

static const struct {
    const char *name;
    struct imapstate_span file, want;
    const char *err; /* behind the file's name; NULL: it is read */
} rows[] = {
    { "a line", IMAPSTATE_SPAN("secret\n"), IMAPSTATE_SPAN("secret"), NULL },
    { "without an end", IMAPSTATE_SPAN("secret"), IMAPSTATE_SPAN("secret"), NULL },
    { "CRLF", IMAPSTATE_SPAN("secret\r\n"), IMAPSTATE_SPAN("secret"), NULL },
    { "a CR within", IMAPSTATE_SPAN("se\rcret\n"), IMAPSTATE_SPAN("se\rcret"), NULL },
    { "only the first", IMAPSTATE_SPAN("secret\nmore\n"), IMAPSTATE_SPAN("secret"), NULL },
    { "SP belong to it", IMAPSTATE_SPAN(" secret \n"), IMAPSTATE_SPAN(" secret "), NULL },
    { "8-bit octets", IMAPSTATE_SPAN("s\xc3\xa4\xff\n"), IMAPSTATE_SPAN("s\xc3\xa4\xff"), NULL },
    { "as long as may be", IMAPSTATE_SPAN("0123456789\n"), IMAPSTATE_SPAN("0123456789"), NULL },
    { "longer", IMAPSTATE_SPAN("0123456789a\n"), IMAPSTATE_SPAN(""), "the password is too long\n" },
    { "a NUL", IMAPSTATE_SPAN("a\0b\n"), IMAPSTATE_SPAN(""), "the password has a NUL\n" },
    { "an empty line", IMAPSTATE_SPAN("\nsecret\n"), IMAPSTATE_SPAN(""),
      "the password is missing: the first line is empty\n" },
    { "CRLF alone", IMAPSTATE_SPAN("\r\n"), IMAPSTATE_SPAN(""), "the password is missing: the first line is empty\n" },
    { "nothing", IMAPSTATE_SPAN(""), IMAPSTATE_SPAN(""), "the password is missing: the first line is empty\n" },
};

static void check_err(const char *name, const char *err, const char *where, const char *why)
{
    char want[256];
    snprintf(want, sizeof want, "imapstatectl: %s: %s", where, why);
    CHECK_ROW(name, strcmp(err, want) == 0);
}

TEST(a_secret_is_the_first_line_of_a_file_or_of_standard_input)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char path[64], err[256];
        int fd = memfd_create("secret", 0), want = rows[i].err ? EXIT_FAILED : EXIT_READ;
        assert_true(write(fd, rows[i].file.at, rows[i].file.len) == (ssize_t)rows[i].file.len);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        const struct {
            const char *path, *where;
        } ways[] = { { path, path }, { "-", "standard input" }, { NULL, "standard input" } };
        for (size_t way = 0; way < ARRAY_LEN(ways); way++) {
            lseek(fd, 0, SEEK_SET);
            CHECK_ROW(rows[i].name, read_in_child(fd, ways[way].path, 10, rows[i].want, err, sizeof err) == want);
            if (rows[i].err)
                check_err(rows[i].name, err, ways[way].where, rows[i].err);
        }
        close(fd);
    }
}

/* Whoever reads on finds what is behind the line. */
TEST(nothing_behind_the_line_is_taken)
{
    char err[256], rest[16] = { 0 };
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "secret\nrest", 11), 11);
    assert_int_equal(read_in_child(fds[0], NULL, 10, IMAPSTATE_SPAN("secret"), err, sizeof err), EXIT_READ);
    assert_int_equal(read(fds[0], rest, sizeof rest), 4);
    assert_string_equal(rest, "rest");
    close(fds[0]);
    close(fds[1]);
}

TEST(a_line_may_arrive_octet_by_octet)
{
    char err[256];
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        for (const char *at = "secret\n"; *at; at++)
            if (write(fds[1], at, 1) != 1)
                _exit(1);
        _exit(0);
    }
    assert_int_equal(read_in_child(fds[0], "-", 10, IMAPSTATE_SPAN("secret"), err, sizeof err), EXIT_READ);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(fds[0]);
    close(fds[1]);
}

TEST(a_file_that_cannot_be_read_is_named)
{
    char err[256];
    assert_int_equal(read_in_child(STDIN_FILENO, "/nonexistent", 10, IMAPSTATE_SPAN(""), err, sizeof err), EXIT_FAILED);
    check_err("none", err, "/nonexistent", "No such file or directory\n");
    assert_int_equal(read_in_child(STDIN_FILENO, "/", 10, IMAPSTATE_SPAN(""), err, sizeof err), EXIT_FAILED);
    check_err("a folder", err, "/", "Is a directory\n");
}

static const struct {
    const char *name, *typed;
    size_t max;
    int want;
} terminals[] = {
    { "a line", "secret\n", 10, EXIT_READ },
    { "an empty one", "\n", 10, EXIT_FAILED },
    { "longer than there is room for", "0123456789a\n", 10, EXIT_FAILED },
};

/* OpenSSL turns it off behind the prompt. False: the process has ended. */
static bool echo_goes_off(int terminal)
{
    struct termios settings;
    struct pollfd gone = { .fd = terminal };
    while (tcgetattr(terminal, &settings) == 0 && (settings.c_lflag & ECHO))
        if (poll(&gone, 1, 1) > 0)
            return false;
    return true;
}

/* Gives the exit status of a process whose terminal a person types at, once he is asked. */
static int read_at_terminal(const char *typed, size_t max, char *shown, size_t size)
{
    int terminal, status;
    size_t len = 0;
    fflush(NULL);
    pid_t pid = forkpty(&terminal, NULL, NULL, NULL);
    assert_true(pid >= 0);
    if (pid == 0) {
        struct imapstate_buf secret;
        imapstate_buf_init(&secret, max);
        bool is_read = password_read(NULL, "Password: ", "password", &secret);
        _exit(!is_read                                                                      ? EXIT_FAILED
              : imapstate_span_equal(imapstate_buf_span(&secret), IMAPSTATE_SPAN("secret")) ? EXIT_READ
                                                                                            : EXIT_OTHER);
    }
    ssize_t got;
    bool is_typed = false;
    while (len + 1 < size && (got = read(terminal, shown + len, size - 1 - len)) > 0) {
        shown[len += (size_t)got] = '\0';
        if (!is_typed && strstr(shown, "Password: ") && echo_goes_off(terminal))
            is_typed = write(terminal, typed, strlen(typed)) == (ssize_t)strlen(typed);
    }
    close(terminal);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(at_a_terminal_it_is_asked_for_and_not_shown)
{
    for (size_t i = 0; i < ARRAY_LEN(terminals); i++) {
        char shown[1024] = { 0 };
        CHECK_ROW(terminals[i].name,
                  read_at_terminal(terminals[i].typed, terminals[i].max, shown, sizeof shown) == terminals[i].want);
        CHECK_ROW(terminals[i].name, !strstr(shown, "secret") && !strstr(shown, "0123"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_is_the_first_line_of_a_file_or_of_standard_input),
        cmocka_unit_test(nothing_behind_the_line_is_taken),
        cmocka_unit_test(a_line_may_arrive_octet_by_octet),
        cmocka_unit_test(a_file_that_cannot_be_read_is_named),
        cmocka_unit_test(at_a_terminal_it_is_asked_for_and_not_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
