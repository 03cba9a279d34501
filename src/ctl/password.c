#include "password.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/ui.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool password_fail(const char *where, const char *what)
{
    fprintf(stderr, "imapstatectl: %s: %s\n", where, what);
    return false;
}

/* Octet by octet, so that nothing behind the line is taken from whoever reads on. */
static bool password_read_line(int fd, const char *where, struct imapstate_buf *ret_password)
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
            return password_fail(where, "the password has a NUL");
        if (ret_password->len == PASSWORD_MAX || !imapstate_buf_put_byte(ret_password, octet))
            return password_fail(where, "the password is too long");
    }
    sodium_memzero(&octet, sizeof octet);
    /* A file from elsewhere may have lines that end in CRLF; no server takes a CR in a password. */
    if (ret_password->len > 0 && ret_password->at[ret_password->len - 1] == '\r')
        ret_password->len--;
    return ret_password->len > 0 || password_fail(where, "the first line is empty; a password is expected there");
}

/* OpenSSL turns the echo off, and on again whichever signal ends us. */
static bool password_ask(const char *prompt, struct imapstate_buf *ret_password)
{
    char text[PASSWORD_MAX + 1];
    if (UI_UTIL_read_pw_string(text, sizeof text, prompt, 0) != 0)
        return password_fail("terminal", "no password was given");
    size_t len = strlen(text);
    bool fits = imapstate_buf_put(ret_password, (struct imapstate_span){ (uint8_t *)text, len });
    sodium_memzero(text, sizeof text);
    if (!fits)
        return password_fail("terminal", "out of memory");
    return len > 0 || password_fail("terminal", "the password is empty");
}

bool password_read(const char *path, const char *prompt, struct imapstate_buf *ret_password)
{
    if (!path && isatty(STDIN_FILENO))
        return password_ask(prompt, ret_password);
    if (!path || strcmp(path, "-") == 0)
        return password_read_line(STDIN_FILENO, "standard input", ret_password);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return password_fail(path, strerror(errno));
    bool is_read = password_read_line(fd, path, ret_password);
    close(fd);
    return is_read;
}
