#include "password.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/ui.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A terminal gives no longer line (N_TTY_BUF_SIZE); what is behind it is lost without a word. */
#define TERMINAL_MAX 4094u

static bool password_fail(const char *where, const char *why)
{
    fprintf(stderr, "imapstatectl: %s: %s\n", where, why);
    return false;
}

static bool password_fail_as(const char *where, const char *what, const char *why)
{
    fprintf(stderr, "imapstatectl: %s: the %s %s\n", where, what, why);
    return false;
}

/* Octet by octet, so that nothing behind the line is taken from whoever reads on. */
static bool password_read_line(int fd, const char *where, const char *what, struct imapstate_buf *ret_secret)
{
    uint8_t octet;
    ssize_t len;
    while ((len = read(fd, &octet, 1)) != 0) {
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0)
            return password_fail(where, strerror(errno));
        if (octet == '\n')
            break;
        if (octet == '\0')
            return password_fail_as(where, what, "has a NUL");
        if (!imapstate_buf_put_byte(ret_secret, octet))
            return password_fail_as(where, what, "is too long");
    }
    sodium_memzero(&octet, sizeof octet);
    /* A file from elsewhere may have lines that end in CRLF; no server takes a CR in a secret. */
    if (ret_secret->len > 0 && ret_secret->at[ret_secret->len - 1] == '\r')
        ret_secret->len--;
    return ret_secret->len > 0 || password_fail_as(where, what, "is missing: the first line is empty");
}

/* OpenSSL turns the echo off, and on again whichever signal ends us. */
static bool password_ask(const char *prompt, const char *what, struct imapstate_buf *ret_secret)
{
    char text[TERMINAL_MAX + 2];
    if (UI_UTIL_read_pw_string(text, sizeof text, prompt, 0) != 0)
        return password_fail_as("terminal", what, "was not given");
    size_t len = strlen(text);
    bool fits = len <= TERMINAL_MAX && imapstate_buf_put(ret_secret, (struct imapstate_span){ (uint8_t *)text, len });
    sodium_memzero(text, sizeof text);
    if (!fits)
        return password_fail_as("terminal", what, "is too long for a terminal: use --password-file");
    return len > 0 || password_fail_as("terminal", what, "is empty");
}

bool password_read(const char *path, const char *prompt, const char *what, struct imapstate_buf *ret_secret)
{
    if (!path && isatty(STDIN_FILENO))
        return password_ask(prompt, what, ret_secret);
    if (!path || strcmp(path, "-") == 0)
        return password_read_line(STDIN_FILENO, "standard input", what, ret_secret);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return password_fail(path, strerror(errno));
    bool is_read = password_read_line(fd, path, what, ret_secret);
    close(fd);
    return is_read;
}
