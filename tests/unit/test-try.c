#include "check.h"

#include "certificate.h"
#include "try.h"

#include <errno.h>

#include "scripted.h"

#define WORDS_MAX 12

/* What a run of the command has given. */
struct outcome {
    int status;
    char out[16384], err[4096];
};

static int file_with(const char *text)
{
    int fd = memfd_create("test-try", MFD_CLOEXEC);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

static void read_back(int fd, char *text, size_t size)
{
    ssize_t len = pread(fd, text, size - 1, 0);
    assert_true(len >= 0);
    text[len] = '\0';
    close(fd);
}

/* In a process of its own: getopt_long() keeps where it is, and the command its streams. */
static void run(const char *const *words, const char *in, struct outcome *ret_outcome)
{
    char name[] = "try", *argv[WORDS_MAX + 2] = { name };
    int argc = 1, fds[] = { file_with(in), file_with(""), file_with("") };
    for (; words[argc - 1]; argc++)
        argv[argc] = (char *)words[argc - 1];
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 3; i++)
            dup2(fds[i], i);
        int status = try_command(argc, argv);
        fflush(NULL);
        _exit(status);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    ret_outcome->status = WEXITSTATUS(status);
    close(fds[0]);
    read_back(fds[1], ret_outcome->out, sizeof ret_outcome->out);
    read_back(fds[2], ret_outcome->err, sizeof ret_outcome->err);
}

static const struct {
    const char *words[WORDS_MAX + 1];
    const char *err; /* the first line */
} wrong[] = {
    { { "host" }, "imapstatectl try: --user is missing" },
    { { "host", "--user", "" }, "imapstatectl try: --user is missing" },
    { { "--user", "ann" }, "imapstatectl try: HOST is missing" },
    { { "", "--user", "ann" }, "imapstatectl try: HOST is missing" },
    { { "host", "more", "--user", "ann" }, "imapstatectl try: one word too many: more" },
    { { "host", "--user", "ann", "--port", "0" }, "imapstatectl try: --port: not from 1 to 65535: 0" },
    { { "host", "--user", "ann", "--port", "65536" }, "imapstatectl try: --port: not from 1 to 65535: 65536" },
    { { "host", "--user", "ann", "--port", "4294967297" },
      "imapstatectl try: --port: not from 1 to 65535: 4294967297" },
    { { "host", "--user", "ann", "--port", "imaps" }, "imapstatectl try: --port: not from 1 to 65535: imaps" },
    { { "host", "--user", "ann", "--timeout", "0" }, "imapstatectl try: --timeout: not from 1 to 3600 seconds: 0" },
    { { "host", "--user", "ann", "--timeout", "3601" },
      "imapstatectl try: --timeout: not from 1 to 3600 seconds: 3601" },
    { { "host", "--user", "ann", "--timeout", "1s" }, "imapstatectl try: --timeout: not from 1 to 3600 seconds: 1s" },
    { { "host", "--user", "ann", "--ca-file", "" }, "imapstatectl try: --ca-file: a file is missing" },
    { { "host", "--user", "ann", "--starttls", "--plain" },
      "imapstatectl try: --starttls and --plain exclude each other" },
    { { "host", "--user", "ann", "--plain", "--insecure" },
      "imapstatectl try: with --plain there is no certificate: --insecure and --ca-file have no effect" },
    { { "host", "--user", "ann", "--plain", "--ca-file", "x" },
      "imapstatectl try: with --plain there is no certificate: --insecure and --ca-file have no effect" },
    { { "host", "--user", "ann", "--insecure", "--ca-file", "x" },
      "imapstatectl try: --insecure and --ca-file exclude each other" },
    { { "host", "--user", "ann", "--password", "x" },
      "imapstatectl try: every user of this machine can see a password on the command line: use --password-file" },
    { { "host", "--user", "ann", "--nothing" }, "imapstatectl try: unrecognized option '--nothing'" },
};

TEST(what_is_wrong_with_a_command_line_is_said)
{
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct outcome outcome;
        run(wrong[i].words, "secret\n", &outcome);
        CHECK_ROW(wrong[i].err, outcome.status == 2 && !*outcome.out);
        size_t len = strlen(wrong[i].err);
        CHECK_ROW(wrong[i].err, strncmp(outcome.err, wrong[i].err, len) == 0 && outcome.err[len] == '\n');
        CHECK_ROW(wrong[i].err, strstr(outcome.err, "Try \"imapstatectl try --help\".\n"));
    }
}

TEST(help_names_every_option)
{
    static const char *const options[] = { "--user",  "--password-file", "--oauth",    "--port",    "--starttls",
                                           "--plain", "--ca-file",       "--insecure", "--timeout", "--help" };
    struct outcome outcome;
    run((const char *[]){ "--help", NULL }, "", &outcome);
    assert_int_equal(outcome.status, 0);
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        CHECK_ROW(options[i], strstr(outcome.out, options[i]));
}

#define GREETING  "< * OK [CAPABILITY IMAP4rev1] hi\n"
#define LOGIN     "> LOGIN\n< $ OK in\n"
#define LIST(has) "> CAPABILITY\n< * CAPABILITY IMAP4rev1" has "\n< $ OK x\n"
#define EXAMINE   "> EXAMINE INBOX\n< $ OK x\n"
#define BYE       "> LOGOUT\n< $ OK x\n"
#define SAVED                                                                                                          \
    GREETING LOGIN LIST(" STATE") "> STATE\n< $ OK x\n> SAVESTATE\n< * SAVESTATE TOKEN\n< $ OK x\n" BYE "---\n"
#define SECRET "se\\\"cret"

static const struct {
    const char *name, *script;
    int status;
    const char *out[4], *err[2]; /* each stands there */
} runs[] = {
    { "it restores",
      SAVED GREETING "> LOGIN\n< $ OK in\n> STATE TOKEN\n< * STATE TOKEN\n< $ OK x\n> EXAMINE INBOX\n< $ OK x\n" BYE
                     "---\n" GREETING LOGIN LIST(" STATE") EXAMINE BYE,
      0,
      { "STATE works here: a client is at its mail after 1 round trip instead of 3.",
        "The state was empty: the server offers nothing that is stored.", "no TLS", "C: A2 STATE ********" },
      { "warning: --plain" } },
    { "no STATE",
      GREETING LOGIN LIST("") EXAMINE BYE,
      3,
      { "This server does not offer STATE. A client that sets itself up needs 3 round trips",
        "to CAPABILITY after login    no" },
      { NULL } },
    { "it does not restore",
      SAVED GREETING "> LOGIN\n< $ OK in\n> STATE TOKEN\n< $ NO gone\n> EXAMINE INBOX\n< $ OK x\n" BYE,
      4,
      { "This server offers STATE, but does not restore." },
      { "STATE with the token was refused: NO gone" } },
    { "the login is refused",
      GREETING "> LOGIN\n< $ NO no " SECRET "\x1b here\nZ",
      1,
      { "C: A1 LOGIN \"ann\" \"********\"" },
      { "the login was refused: NO no ********\\x1b here" } },
};

TEST(a_trial_is_told_with_secrets_masked)
{
    for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
        struct scripted server;
        struct outcome outcome;
        scripted_begin(&server, runs[i].script, NULL);
        run((const char *[]){ "127.0.0.1", "--user", "ann", "--plain", "--port", server.port, "--timeout", "60", NULL },
            SECRET "\nmore\n", &outcome);
        CHECK_ROW(runs[i].name, outcome.status == runs[i].status);
        for (size_t at = 0; at < 4 && runs[i].out[at]; at++)
            CHECK_ROW(runs[i].out[at], strstr(outcome.out, runs[i].out[at]));
        for (size_t at = 0; at < 2 && runs[i].err[at]; at++)
            CHECK_ROW(runs[i].err[at], strstr(outcome.err, runs[i].err[at]));
        CHECK_ROW(runs[i].name, !strstr(outcome.out, SECRET) && !strstr(outcome.err, SECRET));
        CHECK_ROW(runs[i].name, !strstr(outcome.out, "TOKEN"));
        scripted_end(&server, runs[i].name);
    }
}

TEST(without_a_password_nothing_is_begun)
{
    struct outcome outcome;
    run((const char *[]){ "127.0.0.1", "--user", "ann", "--plain", NULL }, "\n", &outcome);
    assert_int_equal(outcome.status, 1);
    assert_non_null(strstr(outcome.err, "standard input: the password is missing: the first line is empty\n"));
    run((const char *[]){ "127.0.0.1", "--user", "ann", "--insecure", "--oauth", "--password-file", "/nonexistent",
                          NULL },
        "", &outcome);
    assert_int_equal(outcome.status, 1);
    assert_non_null(strstr(outcome.err, "warning: --insecure"));
    assert_non_null(strstr(outcome.err, "/nonexistent: No such file or directory\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_with_a_command_line_is_said),
        cmocka_unit_test(help_names_every_option),
        cmocka_unit_test(a_trial_is_told_with_secrets_masked),
        cmocka_unit_test(without_a_password_nothing_is_begun),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
